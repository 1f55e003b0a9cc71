"""From a trained network to the two files the program loads, and from those back to how it was trained."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from mien.expressions import EXPRESSIONS
from training.callbacks import read_history
from training.recipe import Recipe, read_recipe, recipe_from


def export(
    network: keras.Model, folder: Path, *, recipe: Recipe | None = None, epochs: int | None = None
) -> tuple[Path, Path]:
    """Write model.json and model_weights.h5 into `folder` and return their paths.

    The weights are a whole-model HDF5 file without optimizer, which `load_weights` reads back exactly.
    model.json also holds the order of the outputs, under "expressions", and how the network was trained, recipe and
    finished epochs, under "training"; Keras ignores these keys.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model_file, weights_file = folder / "model.json", folder / "model_weights.h5"
    description = json.loads(network.to_json())
    description["expressions"] = list(EXPRESSIONS)
    if recipe is not None:
        description["training"] = {"recipe": dataclasses.asdict(recipe), "epochs": epochs}
    with _without_advice():
        network.save(weights_file, include_optimizer=False)
    model_file.write_text(json.dumps(description, indent=1) + "\n")
    return model_file, weights_file


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keras advises against HDF5 each time it writes one; here it is wanted."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def read_origin(model_file: Path) -> tuple[Recipe | None, int | None]:
    """(recipe, finished epochs) that `export` wrote into model.json, else those of the run in the same folder.

    None where neither tells it.
    """
    try:
        origin = json.loads(model_file.read_text(encoding="utf-8"))["training"]
        return recipe_from(origin["recipe"]), origin["epochs"]
    except (ValueError, KeyError, TypeError):
        pass
    run_folder = model_file.parent
    recipe = read_recipe(run_folder / "recipe.json") if (run_folder / "recipe.json").is_file() else None
    return recipe, len(read_history(run_folder)) or None
