"""Write the two files that the program loads, and read from them how a network was trained."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.cnn.facts import stored_facts
from mien.cnn.whole import is_whole, read_document
from mien.errors import ModelError
from mien.types import EXPRESSIONS
from training.heads import Head, HeadFacts, head_of, read_other_head, set_head, write_other_head
from training.recipe import Recipe, RunError, recipe_from
from training.run_folder import read_history, read_recipe


def export(
    network: keras.Model,
    folder: Path,
    *,
    recipe: Recipe | None = None,
    epochs: int | None = None,
    about: HeadFacts | None = None,
) -> tuple[Path, Path]:
    """Write model.json and model_weights.h5.

    The weights are a whole-model HDF5 file without optimizer, which `load_weights` reads back exactly. model.json also
    has keys that Keras ignores: "expressions", the order of the outputs, and what the arguments say.

    Args:
        network: The trained network.
        folder: Created if missing.
        recipe: That it was trained by, for the key "training".
        epochs: Number of finished epochs, likewise.
        about: Of the network's head, for the keys "head", "shares" and "tau".

    Returns:
        The paths of both files.
    """
    description = json.loads(network.to_json())
    description["expressions"] = list(EXPRESSIONS)
    if about is not None:
        shares = dict(zip(EXPRESSIONS, about.base_rates, strict=True))
        description |= {"head": about.head, "shares": shares, "tau": about.tau}
    if recipe is not None:
        description["training"] = {"recipe": dataclasses.asdict(recipe), "epochs": epochs}
    return _write(network, description, folder)


def export_heads(
    network: keras.Model, folder: Path, heads: Mapping[str, Head], about: HeadFacts, **trained: Any
) -> tuple[Path, Path]:
    """Export a network with the head that `about` names, and write the other head into a file beside it.

    Args:
        network: The trained network, whose last layer is set to that head.
        folder: Created if missing.
        heads: Both heads by name.
        about: Of the exported head.
        **trained: Recipe and epochs, as for `export`.

    Returns:
        As `export`.
    """
    set_head(network, heads[about.head])
    for name in heads.keys() - {about.head}:
        write_other_head(folder, name, heads[name])
    return export(network, folder, about=about, **trained)


def read_heads(network: keras.Model, model_file: Path) -> tuple[HeadFacts | None, dict[str, Head]]:
    """Read the heads of a network, and what model_file, the model.json that it was loaded from, says about them.

    Returns:
        What model.json says about the last layer, and the heads by name; people's without the logit adjustment that
        `calibrate` has added to its bias. None and no heads for a network with one head; only one head where the file
        of the other one is missing.

    Raises:
        RunError: model.json or the file of the other head is broken.
    """
    about = _read_facts(model_file)
    if about is None:
        return None, {}
    own = head_of(network)
    if about.head == "people":
        own = own.shifted(about.tau * np.log(about.base_rates))
    found = read_other_head(model_file.parent)
    return about, {about.head: own} | ({} if found is None else dict([found]))


def _read_facts(model_file: Path) -> HeadFacts | None:
    description = stored_facts(model_file)
    if "head" not in description:
        return None
    try:
        shares = tuple(float(description["shares"][expression]) for expression in EXPRESSIONS)
        return HeadFacts(description["head"], shares, float(description.get("tau", 0.0)))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{model_file}: expected head, shares and tau as written by training, found {error}") from error


def export_calibrated(
    network: keras.Model, model_file: Path, temperature: float, folder: Path, **stored: Any
) -> tuple[Path, Path]:
    """Export a network that was loaded from a file and calibrated since.

    model.json keeps its content, except for "temperature", the product of all temperatures so far, and `stored`.

    Args:
        network: The network, with calibrated weights.
        model_file: The file that it was loaded from.
        temperature: By which its logits have been divided.
        folder: Created if missing.
        **stored: Other values to store, such as "tau" of the logit adjustment in its bias; None for none.

    Returns:
        As `export`.
    """
    description = json.loads(network.to_json()) if is_whole(model_file) else read_document(model_file)
    description["temperature"] = temperature * float(description.get("temperature", 1.0))
    description |= {key: value for key, value in stored.items() if value is not None}
    return _write(network, description, folder)


def _write(network: keras.Model, description: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    model_file, weights_file = folder / "model.json", folder / "model_weights.h5"
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)  # Keras advises against HDF5, which is wanted here
    try:
        network.save(weights_file, include_optimizer=False)
    finally:
        log.setLevel(level)
    model_file.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return model_file, weights_file


def read_origin(model_file: Path) -> tuple[Recipe | None, int | None]:
    """Return (recipe, number of finished epochs) from model.json, else from the run in its folder, else None."""
    try:
        origin = stored_facts(model_file)["training"]
        return recipe_from(origin["recipe"]), origin["epochs"]
    except (ModelError, ValueError, KeyError, TypeError):
        pass
    run_folder = model_file.parent
    recipe = read_recipe(run_folder / "recipe.json") if (run_folder / "recipe.json").is_file() else None
    return recipe, len(read_history(run_folder)) or None
