"""The folder of a run: its recipe, the digest of its images, and the history of its epochs."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

from training.recipe import Recipe, RunError, recipe_from

DATA = "data.json"


def read_history(run_folder: Path) -> list[dict[str, float]]:
    """One dict for each finished epoch: epoch, accuracy, loss, val_accuracy, val_loss; its last row counts."""
    path = run_folder / "history.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = {row["epoch"]: row for row in csv.DictReader(file)}
    return [{name: float(value or 0) for name, value in row.items()} for row in rows.values()]


def epochs_since_best(history: list[dict[str, float]]) -> int:
    """Epochs behind the first one with the best validation accuracy; 0 for an empty history."""
    accuracies = [row["val_accuracy"] for row in history]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def read_recipe(path: Path) -> Recipe:
    """The recipe in a recipe.json; what an older one does not name was, when it was written, as its default is now.

    Raises RunError for another file.
    """
    try:
        return recipe_from(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: expected the recipe of a run, found none ({error})") from error


def claim(run_folder: Path, recipe: Recipe, images: str) -> None:
    """Write recipe and images into a run folder; refuse one where epochs were finished with others.

    images: a digest of what is trained and validated on. `epochs` alone may differ. Raises RunError.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    path, data = run_folder / "recipe.json", run_folder / DATA
    wanted = dataclasses.asdict(recipe)
    found = dataclasses.asdict(read_recipe(path)) if path.is_file() else wanted
    if (run_folder / "history.csv").is_file():
        differing = sorted(name for name in wanted if name != "epochs" and found[name] != wanted[name])
        if differing:
            changes = ", ".join(f"{name} {found[name]} there, {wanted[name]} asked" for name in differing)
            raise RunError(f"{run_folder} holds a run with another recipe ({changes}); choose another run folder")
        if data.is_file() and data.read_text(encoding="utf-8") != _told(images):
            raise RunError(f"{run_folder} holds a run with other images; choose another run folder")
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    data.write_text(_told(images), encoding="utf-8")


def _told(images: str) -> str:
    return json.dumps({"images": images}) + "\n"
