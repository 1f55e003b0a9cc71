"""Teachers fitted several times, each time without one fold of the training images, which they then judge.

Of the images it was fitted on, or of their copies, a teacher would know the label by heart. The same parts serve
cross-validation (Stone, "Cross-validatory choice and assessment of statistical predictions", 1974).
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
import numpy as np

from mien.cnn.loader import load_network
from training.data.dataset import Dataset, Split, load_dataset
from training.data.folds import fold_of
from training.export import export
from training.fit.devices import use_devices
from training.fit.distillation import Teachers
from training.fit.fitting import fit
from training.fit.graph_edits import computing_in
from training.fit.warm_start import accuracy
from training.options import add_data, add_devices, add_recipe, recipe_of, report_data
from training.recipe import Recipe, RunError
from training.run_folder import read_history

FOLD_SEED = 0
"""All teachers have the same folds, whatever their own seeds: only so can they judge the same image together."""

TOLD = "teacher.json"


def teach(recipe: Recipe, dataset: Dataset, folder: Path, count: int, report: Callable[[str], None] = print) -> float:
    """Fit a teacher `count` times, each without one fold; the same call goes on where it was stopped.

    Each has a run folder fold0, fold1, ... in `folder` and is exported there; its best epoch is chosen on the
    validation images. Returns the share of the training images labelled right by the one that has not seen them.
    """
    fold = fold_of(dataset.train, count, FOLD_SEED)
    _claim(folder, {"folds": count, "images": dataset.train.digest()})
    right = 0.0
    for i in range(count):
        keras.utils.clear_session()
        report(f"fold {i + 1} of {count}")
        unseen = dataset.train.take(np.flatnonzero(fold == i))
        part = replace(dataset, train=dataset.train.take(np.flatnonzero(fold != i)))
        run = folder / f"fold{i}"
        network = fit(recipe, part, run, report=report)
        export(network, run, recipe=recipe, epochs=len(read_history(run)))
        right += accuracy(network, unseen) * len(unseen)
    return right / len(dataset.train)


def read_teachers(folders: Sequence[Path], train: Split, precision: str = "float32") -> Teachers:
    """The teachers that `teach` left in these folders, to compute in this precision.

    Raises RunError where they are missing, unfinished, or were fitted on other images or folds; ModelError for files
    that can not be loaded.
    """
    told = [_read(folder) for folder in folders]
    count = told[0]["folds"]
    wanted = {"folds": count, "images": train.digest()}
    for folder, found in zip(folders, told, strict=True):
        if found != wanted:
            raise RunError(f"{folder}: expected a teacher of these images in {count} folds, found one of {found}")
    digest = hashlib.sha256()
    networks = []
    for i in range(count):
        judges = []
        for folder in folders:
            model_file, weights_file = (folder / f"fold{i}" / name for name in ("model.json", "model_weights.h5"))
            if not weights_file.is_file():
                raise RunError(f"{folder}: expected {count} finished folds, found fold {i + 1} missing")
            digest.update(weights_file.read_bytes())
            judge = computing_in(precision, load_network(model_file, weights_file))
            judge.trainable = False
            judges.append(judge)
        networks.append(tuple(judges))
    return Teachers(tuple(networks), fold_of(train, count, FOLD_SEED), digest.hexdigest()[:12])


def _claim(folder: Path, told: dict[str, Any]) -> None:
    if (folder / TOLD).is_file() and _read(folder) != told:
        raise RunError(f"{folder} holds a teacher of {_read(folder)}, {told} asked; choose another run folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOLD).write_text(json.dumps(told) + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / TOLD).read_text(encoding="utf-8"))
        return {"folds": int(told["folds"]), "images": str(told["images"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder}: expected a teacher that teach has left there, found none ({error})") from error


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, folds, folder and the recipe of the teacher."""
    add_data(parser)
    folder = "for train --teachers; the same folder resumes (%(default)s)"
    parser.add_argument("--run", type=Path, default=Path("runs/teacher"), help=folder)
    parser.add_argument("--folds", type=int, default=5, help="parts of the training images (%(default)s)")
    add_devices(parser)
    add_recipe(parser, network="resnet18")


def run(options: argparse.Namespace) -> None:
    """fit a teacher once for each fold of the training images, without that fold, so that it can judge it"""
    use_devices(options.devices)
    recipe = recipe_of(options)
    dataset = load_dataset(options.data, side_px=recipe.side_px, seed=recipe.seed)
    report_data(dataset)
    share = teach(recipe, dataset, options.run, options.folds)
    print(f"{share:.2%} of the training images labelled right by the network that has not seen them")
