"""`python -m training teach`: teachers that are trained once for each fold of the training images, without that fold.

A teacher has memorized the label of an image it was trained on, or of a copy of it. So each image is labeled by the
network that has not seen it, as in cross-validation (Stone, "Cross-validatory choice and assessment of statistical
predictions", 1974).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from keras import ops

from mien.cnn.loader import load_network
from training.data.splits import Dataset, Split, fold_of
from training.export import export
from training.fit.devices import predict_all, use_devices
from training.fit.distillation import Teachers
from training.fit.fitting import fit
from training.fit.graph_edits import computing_in
from training.fit.two_heads import majority_hits, targets_of
from training.fit.warm_start import accuracy
from training.inputs import read_data
from training.options import recipe_of
from training.recipe import Recipe, RunError
from training.run_folder import read_history

_FOLD_SEED = 0
"""All teachers have the same folds, whatever their own seeds, so that they can label the same image together."""

_TEACHER_FILE = "teacher.json"


def run(options: argparse.Namespace) -> None:
    """Train teachers, and print how well they label images that they have not seen."""
    use_devices(options.devices)
    recipe = recipe_of(options, votes=options.votes_file.name if options.votes_file else "")
    dataset = read_data(options, recipe.side_px, recipe.seed, drop_ambiguous=recipe.drop_ambiguous)
    share = teach(recipe, dataset, options.run, options.folds)
    images = "training images with a clear majority" if recipe.votes else "training images"
    print(f"{share:.2%} of the {images} labeled correctly by the network that has not seen them")


def teach(recipe: Recipe, dataset: Dataset, folder: Path, count: int, report: Callable[[str], None] = print) -> float:
    """Train a teacher on all folds but one, for each fold; the same call resumes where it was stopped.

    Args:
        recipe: Of every fold's network.
        dataset: Its validation images choose the best epoch of each.
        folder: Gets a run folder for each fold, fold0, fold1, ..., with the exported network.
        count: Number of folds.
        report: Called with each line of progress.

    Returns:
        The share of the training images that the network that has not seen them labels correctly; with votes, of
        those with a clear majority.

    Raises:
        RunError: The folder holds a teacher of other images or folds.
    """
    fold = fold_of(dataset.train, count, _FOLD_SEED)
    wanted = {"folds": count, "images": dataset.train.digest()}
    if (folder / _TEACHER_FILE).is_file() and (found := _read(folder)) != wanted:
        raise RunError(f"{folder} holds a teacher of {found}, {wanted} asked; choose another run folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _TEACHER_FILE).write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    correct = images = 0.0
    for i in range(count):
        keras.utils.clear_session()
        report(f"fold {i + 1} of {count}")
        unseen = dataset.train.take(fold == i)
        part = replace(dataset, train=dataset.train.take(fold != i))
        run_folder = folder / f"fold{i}"
        network = fit(recipe, part, run_folder, report=report)
        export(network, run_folder, recipe=recipe, epochs=len(read_history(run_folder)))
        hits, counts = _majority_hits(network, unseen) if recipe.votes else _hits(network, unseen)
        correct, images = correct + hits, images + counts
    return correct / images


def _hits(network: keras.Model, split: Split) -> tuple[float, float]:
    """How many images the network labels correctly, and how many there are."""
    return accuracy(network, split) * len(split), len(split)


def _majority_hits(network: keras.Model, split: Split) -> tuple[float, float]:
    """How many images with a clear majority the network names right, and how many there are."""
    predicted = predict_all(network, split.images)[:, None]
    hits, counts = (ops.sum(each) for each in majority_hits(targets_of(split), predicted))
    return float(hits), float(counts)


def read_teachers(folders: Sequence[Path], train: Split, precision: str = "float32") -> Teachers:
    """Load the teachers that `teach` trained.

    Args:
        folders: Its run folders.
        train: The training images, which must be those of the teachers.
        precision: One of PRECISIONS, in which the teachers compute.

    Raises:
        RunError: Teachers are missing, unfinished, or were trained on other images or folds.
        ModelError: A file cannot be loaded.
    """
    descriptions = [_read(folder) for folder in folders]
    count = descriptions[0]["folds"]
    wanted = {"folds": count, "images": train.digest()}
    for folder, found in zip(folders, descriptions, strict=True):
        if found != wanted:
            raise RunError(f"{folder}: expected a teacher of these images in {count} folds, found one of {found}")
    digest = hashlib.sha256()
    ensembles = []
    for i in range(count):
        ensemble = []
        for folder in folders:
            model_file, weights_file = (folder / f"fold{i}" / name for name in ("model.json", "model_weights.h5"))
            if not weights_file.is_file():
                raise RunError(f"{folder}: expected {count} finished folds, found fold {i + 1} missing")
            digest.update(weights_file.read_bytes())
            teacher = computing_in(precision, load_network(model_file, weights_file))
            teacher.trainable = False
            ensemble.append(teacher)
        ensembles.append(tuple(ensemble))
    return Teachers(tuple(ensembles), fold_of(train, count, _FOLD_SEED), digest.hexdigest()[:12])


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _TEACHER_FILE).read_text(encoding="utf-8"))
        return {"folds": int(found["folds"]), "images": str(found["images"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder}: expected a teacher trained by teach, found none ({error})") from error
