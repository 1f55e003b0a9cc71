"""The folder of a run: recipe.json, data.json with a digest of its images, and history.csv."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

from training.recipe import Recipe, RunError, recipe_from


def read_history(run: Path) -> list[dict[str, float]]:
    """Return a dict for each finished epoch: epoch, accuracy, loss, val_accuracy, val_loss, seconds.

    Of several rows for one epoch the last counts.

    Args:
        run: The folder of a run, or a copy of its history.csv. Where neither exists, no epoch is finished.
    """
    path = run if run.is_file() else run / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    return [{name: float(value or 0) for name, value in row.items()} for row in rows.values()]


def epochs_since_best(history: list[dict[str, float]]) -> int:
    """Return the number of epochs since the first one with the best validation accuracy; 0 for an empty history."""
    accuracies = [row["val_accuracy"] for row in history]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.json. A field that an older file lacks has its default, which is what older versions did.

    Raises:
        RunError: The file holds no recipe.
    """
    try:
        return recipe_from(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: expected the recipe of a run, found another file ({error})") from error


def start_run(run_folder: Path, recipe: Recipe, images: str) -> None:
    """Write the recipe and the digest of the images into the folder of a new or resumed run.

    Args:
        run_folder: Created where it is missing.
        recipe: May differ from that of finished epochs in `epochs` only.
        images: A digest of the training and validation images.

    Raises:
        RunError: Epochs were finished there with another recipe or other images.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    path, data = run_folder / "recipe.json", run_folder / "data.json"
    digest = json.dumps({"images": images}) + "\n"
    wanted = dataclasses.asdict(recipe)
    found = dataclasses.asdict(read_recipe(path)) if path.is_file() else wanted
    if (run_folder / "history.csv").is_file():
        differing = sorted(name for name in wanted if name != "epochs" and found[name] != wanted[name])
        if differing:
            changes = ", ".join(f"{name} {found[name]} there, {wanted[name]} asked" for name in differing)
            raise RunError(f"{run_folder} holds a run with another recipe ({changes}); choose another run folder")
        if data.is_file() and data.read_text(encoding="utf-8") != digest:
            raise RunError(f"{run_folder} holds a run with other images; choose another run folder")
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    data.write_text(digest, encoding="utf-8")
