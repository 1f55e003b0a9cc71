"""The commands of `python -m training` and their options.

This module imports neither Keras nor NumPy, so that help and usage errors come at once.
"""

from __future__ import annotations

import argparse
import dataclasses
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import mien
from mien.options import SWITCH, Kind, one_of
from mien.settings import DETECTOR, LABELS, PIXELS
from training.recipe import ARCHITECTURE, DISTILLATION, HEADS, START, VOTES, Recipe, recipe_options

FORMATS = ("litert", "onnx", "savedmodel")
"""What `export` writes."""

FACES = 600
"""Faces of each size that `evaluate --end-to-end` shows."""

WEIGHTS = Path("model_weights.h5")
"""Of `--model model.json`, where no weights are named."""

NEUTRAL_RECALL = 0.84
"""Least recall of neutral faces by default: people mind most that a neutral face is taken for a sad one."""


def _train(parser: ArgumentParser) -> None:
    """train a network and export its best epoch on the validation images"""
    _add(parser, "--data", "--run", "--export", "--devices", run=Path("runs/default"))
    _add_recipe(parser, (START, VOTES))
    _add_teachers(parser)


def _teach(parser: ArgumentParser) -> None:
    """train a teacher once for each fold of the training images, without that fold, for train --teachers"""
    _add(parser, "--data", "--votes", "--run", "--folds", "--devices", run=Path("runs/teacher"), folds=5)
    _add_recipe(parser, (START, DISTILLATION), network="resnet18")


def _finetune(parser: ArgumentParser) -> None:
    """train the shipped network, or another one, further on your own images, and export it"""
    names = ("--data", "--votes", *_NETWORK, "--run", "--export", "--devices")
    _add(parser, *names, run=Path("runs/finetune"))
    parser.add_argument("--head", choices=HEADS, default="people", help="with votes, the head to export (%(default)s)")
    _add_teachers(parser)
    _add_recipe(parser, (ARCHITECTURE,), learning_rate=1e-4, epochs=8, warmup_epochs=0.5)


def _search(parser: ArgumentParser) -> None:
    """compare recipes by cross-validation on the training images; print and save a table and a plot"""
    _add(parser, "--data", "--run", "--folds", "--devices", run=Path("runs/search"), folds=3)
    grid = "fields of the recipe and their values"
    parser.add_argument("--grid", nargs="+", required=True, metavar="NAME=VALUE,...", help=grid)
    _add_recipe(parser)


def _evaluate(parser: ArgumentParser) -> None:
    """print and save accuracy, macro-F1, calibration, confusion and costs of an exported network"""
    _add(parser, "--data", "--votes", *_NETWORK, "--card", "--in-place")
    folder = "folder for JSON, Markdown and plots (%(default)s)"
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"), help=folder)
    also = "also write the figures here, such as docs/figures/NAME.json, and NAME.png beside it"
    parser.add_argument("--json", type=Path, help=also)
    parser.add_argument("--check", action="store_true", help="fail where the figures are worse than the recorded ones")
    recorded = "figures to compare with (%(default)s); the shipped network always is"
    parser.add_argument("--recorded", type=Path, default=Path("docs/figures/six_layer.json"), help=recorded)
    parser.add_argument("--end-to-end", action="store_true", help="also detect and classify faces in frames, slower")
    parser.add_argument("--faces", type=int, help=f"for --end-to-end: at most this many faces of each size ({FACES})")
    parser.add_argument("--detector", nargs="+", type=_kind(DETECTOR), help="for --end-to-end (haar and auto)")
    parser.add_argument("--detector-model", type=Path, help="for --end-to-end: network file of yunet")


def _framing(parser: ArgumentParser) -> None:
    """fit how detectors frame faces, and measure which crop of a face is classified best"""
    _add(parser, "--data", "--votes", "--model", "--weights")
    parser.add_argument("--faces", type=int, default=FACES, help="number of faces of each kind (%(default)s)")
    parser.add_argument("--detector", nargs="+", type=_kind(DETECTOR), default=["haar"], help="(haar)")
    parser.add_argument("--detector-model", type=Path, help="network file of yunet")


def _calibrate(parser: ArgumentParser) -> None:
    """fit a network's temperature, and with votes its logit adjustment, on PublicTest"""
    _add(parser, "--data", "--votes", *_NETWORK)
    parser.add_argument("--tau", type=float, help="of the logit adjustment, 0 to 1 (default: chosen on PublicTest)")
    floor = "share of neutral faces that must still be named neutral by the tau chosen (%(default)s)"
    parser.add_argument("--neutral-recall", type=float, default=NEUTRAL_RECALL, help=floor)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--export", type=Path, help="folder for the calibrated files")
    target.add_argument("--in-place", action="store_true", help="overwrite the files of --model and --weights")


def _export(parser: ArgumentParser) -> None:
    """write a network for LiteRT or other programs, and check that it gives the same answers"""
    _add(parser, *_NETWORK)
    formats = "litert: model.tflite, which the program runs; onnx; savedmodel: a folder for TensorFlow (%(default)s)"
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=formats)
    parser.add_argument("--out", type=Path, help="file or folder to write (default: beside model.json)")


def _predict(parser: ArgumentParser) -> None:
    """label images that have no label: a folder of faces, or a CSV file such as Kaggle's test.csv"""
    parser.add_argument("source", type=Path, help="folder of face images, or a CSV file with a column pixels")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="file to write (%(default)s)")
    _add(parser, *_NETWORK)


def _card(parser: ArgumentParser) -> None:
    """print a table of networks from the figures that evaluate wrote, or all figures of one, for the model card"""
    parser.add_argument("figures", type=Path, nargs="+", help="JSON files written by evaluate, one for each row")
    parser.add_argument("--details", action="store_true", help="all figures of one network instead of the table")
    _add(parser, "--card", "--in-place")


def _masking(parser: ArgumentParser) -> None:
    """test Grad-CAM: hide the pixels that it rates highest, or others, and measure how far the probability falls"""
    _add(parser, "--data", *_NETWORK)
    parser.add_argument("--images", type=int, default=1500, help="number of validation images (%(default)s)")


def _composites(parser: ArgumentParser) -> None:
    """compute the average faces of the demo from training images that people agree on"""
    _add(parser, "--data", "--votes")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and people (%(default)s)")
    _add_out(parser, "runs/composites", "sources/demo_faces.npz")


def _face_filter(parser: ArgumentParser) -> None:
    """fit the small network that filters the proposals of the Haar detector"""
    _add(parser, "--data")
    parser.add_argument("--faces", type=int, default=14000, help="images that train the network (%(default)s)")
    parser.add_argument("--frames", type=int, default=1200, help="frames that the cascades search (%(default)s)")
    parser.add_argument("--hidden", type=int, default=24, help="units of the hidden layer (%(default)s)")
    _add_out(parser, "runs/face_filter", "detectors/face_filter.npz")


def _quality(parser: ArgumentParser) -> None:
    """fit how well a face can be read: what size, sharpness, light, pose, cuts and covers cost in right labels"""
    _add(parser, "--data", "--votes", "--model", "--weights")
    landmarks = "network file of yunet, to take landmarks of the training images from it instead of centerface"
    parser.add_argument("--detector-model", type=Path, help=landmarks)
    parser.add_argument("--images", type=int, default=28000, help="training images that are used (%(default)s)")
    _add_out(parser, "runs/quality", "analysis/quality.npz")


def _mean_face(parser: ArgumentParser) -> None:
    """compute the mean face, with which head poses are measured, from the faces of the demo"""
    _add_out(parser, "runs/mean_face", "landmarks/mean_face.npz")


COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "train": ("training.fit.train", _train),
    "teach": ("training.fit.teach", _teach),
    "finetune": ("training.fit.finetune", _finetune),
    "evaluate": ("training.evaluate.evaluate", _evaluate),
    "framing": ("training.evaluate.framing", _framing),
    "calibrate": ("training.evaluate.calibration", _calibrate),
    "export": ("training.formats", _export),
    "predict": ("training.evaluate.predict", _predict),
    "card": ("training.evaluate.report", _card),
    "search": ("training.fit.search", _search),
    "masking": ("training.evaluate.gradcam_deletion", _masking),
    "composites": ("training.assets.composites", _composites),
    "face-filter": ("training.assets.face_filter", _face_filter),
    "quality": ("training.assets.quality", _quality),
    "mean-face": ("training.assets.mean_face", _mean_face),
}
"""For each command the module whose `run(options)` carries it out, and what adds its options and holds its help."""


def recipe_of(options: argparse.Namespace, **fixed: Any) -> Recipe:
    """Build the recipe of a command's options.

    Args:
        options: Of the command.
        **fixed: Fields that are not options.

    Raises:
        RunError: The fields do not fit together.
    """
    names = [field.name for field in dataclasses.fields(Recipe)]
    return Recipe(**{name: getattr(options, name) for name in names if hasattr(options, name)}, **fixed)


# ---- options that several commands share


def _kind(kind: Kind) -> Callable[[str], Any]:
    """What argparse calls to read an option of this kind."""

    def parse(text: str) -> Any:
        try:
            return kind.parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.expected}, found {text!r}") from None

    return parse


_NETWORK = ("--model", "--weights", "--labels", "--pixels", "--input-scale")

_SHARED: dict[str, dict[str, Any]] = {
    "--data": {
        "type": Path,
        "required": True,
        "help": "folder with train/ and test/, or with the seven expressions' folders, or a Kaggle CSV",
    },
    "--votes": {
        "dest": "votes_file",
        "type": Path,
        "metavar": "FILE",
        "help": "CSV of several people's votes for each image, by split and file name; or FER+'s, beside a Kaggle CSV",
    },
    "--model": {"type": Path, "default": Path("model.json"), "help": "architecture or whole network (%(default)s)"},
    "--weights": {"type": Path, "help": f"{WEIGHTS}, or those of a whole network"},
    "--labels": {"type": _kind(LABELS), "metavar": "A,B,...", "help": "names of the network's outputs, in their order"},
    "--pixels": {
        "dest": "fed_pixels",
        "type": _kind(PIXELS),
        "metavar": PIXELS.metavar,
        "help": "range of pixels that the network was trained on (default: as the network tells, else 0..255)",
    },
    "--input-scale": {
        "type": _kind(one_of(1, 255)),
        "metavar": "1|255",
        "help": "1 is --pixels 0..255, 255 is --pixels 0..1",
    },
    "--run": {"type": Path, "help": "folder of the run, with its checkpoints; the same one resumes (%(default)s)"},
    "--export": {"type": Path, "help": "folder for model.json and model_weights.h5 (default: that of the run)"},
    "--folds": {"type": int, "help": "number of folds (%(default)s)"},
    "--devices": {
        "metavar": "N|all",
        "help": "split each batch among this many devices, or all (default: all with Keras' jax backend, else 1)",
    },
    "--card": {"type": Path, "help": "model card to put the text into, between its markers, as a copy"},
    "--in-place": {"action": "store_true", "help": "overwrite the model card instead of writing a copy"},
}


def _add(parser: ArgumentParser, *names: str, **defaults: Any) -> None:
    """Add options of _SHARED, some with a default of this command."""
    for name in names:
        parser.add_argument(name, **_SHARED[name])
    parser.set_defaults(**defaults)


def _add_teachers(parser: ArgumentParser) -> None:
    folders = "distill the teachers that teach trained in these folders"
    parser.add_argument("--teachers", dest="teacher_folders", type=Path, nargs="+", metavar="DIR", help=folders)


def _add_out(parser: ArgumentParser, folder: str, shipped: str) -> None:
    """Add --out, and --in-place, which overwrites a file shipped in the package mien instead."""
    file = Path(*mien.__path__, shipped)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, default=Path(folder, file.name), help="file to write (%(default)s)")
    text = f"overwrite the file that the program uses, {file.name}"
    where.add_argument("--in-place", dest="out", action="store_const", const=file, help=text)


def _add_recipe(
    parser: ArgumentParser, without: Collection[str] = (START, DISTILLATION, VOTES), **defaults: Any
) -> None:
    """Add an option for each field of the recipe, except those of the groups `without`; defaults: other defaults."""
    for each in recipe_options():
        if each.group in without:
            continue
        kind: dict[str, Any] = {"type": _kind(each.kind), "metavar": each.kind.metavar}
        if each.kind is SWITCH:
            kind = {"action": BooleanOptionalAction}
        default = defaults.get(each.name, each.default)
        parser.add_argument(each.flag, default=default, help=f"{each.help} (%(default)s)", **kind)
