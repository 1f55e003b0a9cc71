"""Grid search over recipes: each combination is evaluated by k-fold cross-validation on the training images alone."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure

from mien.options import SWITCH, Kind
from training.data.splits import Dataset, Split, folds
from training.evaluate.plots import BLUE, ORANGE, figure, plain
from training.evaluate.tables import markdown_table
from training.fit.devices import use_devices
from training.fit.fitting import fit
from training.inputs import read_data
from training.options import recipe_of
from training.recipe import DISTILLATION, START, VOTES, Recipe, RunError, recipe_options
from training.run_folder import read_history

_FIXED = (START, DISTILLATION, VOTES)
"""Groups of the recipe that a search cannot vary, as its networks start untrained; nor does the size of the images."""


@dataclass(frozen=True, slots=True)
class Result:
    """One combination: the fields of the recipe that it sets, and the best validation accuracy of each fold, 0 to 1.

    Example:
        best = search(Recipe(epochs=5), parse_grid(["l2=0,1e-4"]), dataset.train, Path("runs/search"))[0]
        print(f"{best.name}: {best.mean:.1%} on {len(best.accuracies)} folds")
        recipe = dataclasses.replace(Recipe(), **best.choices)
    """

    choices: dict[str, Any]
    accuracies: tuple[float, ...]

    @property
    def name(self) -> str:
        """The choices as text: "learning_rate=0.001, optimizer=sgd"."""
        return ", ".join(f"{name}={value}" for name, value in self.choices.items())

    @property
    def mean(self) -> float:
        """Mean accuracy over the folds."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Standard deviation over the folds; 0 for a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


def parse_grid(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return all combinations of the values of a grid.

    Args:
        words: A field of the recipe and its values each, such as "learning_rate=1e-3,5e-4".

    Returns:
        Fields and values of each combination.

    Raises:
        RunError: A field is unknown or cannot vary, or a value is not of its type.
    """
    variable = {
        each.name: each.kind for each in recipe_options() if each.group not in _FIXED and each.name != "side_px"
    }
    axes: dict[str, list[Any]] = {}
    for word in words:
        name, _, values = word.partition("=")
        name = name.strip().replace("-", "_")
        if name not in variable or not values:
            raise RunError(f"grid: expected name=value,value,... with a field of the recipe, found {word!r}")
        if name in axes:
            raise RunError(f"grid: expected each field once, with all its values, found {name} twice")
        axes[name] = list(dict.fromkeys(_parse(name, variable[name], value.strip()) for value in values.split(",")))
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def search(
    base: Recipe,
    grid: list[dict[str, Any]],
    split: Split,
    folder: Path,
    *,
    count: int = 3,
    report: Callable[[str], None] = print,
) -> list[Result]:
    """Train every combination on every fold; the same call resumes where it was stopped.

    The accuracy is that of the best epoch on the fold's validation images, so it is slightly optimistic, for all
    combinations alike.

    Args:
        base: The recipe that the combinations vary.
        grid: The combinations, from `parse_grid`.
        split: The training images.
        folder: Gets a run folder for each fit, search.json, search.md and search.png.
        count: Number of folds.
        report: Called with each line of progress.

    Returns:
        The results, best mean first.

    Raises:
        RunError: A combination is not a valid recipe, or an expression has too few images for the folds.
    """
    recipes = [dataclasses.replace(base, **choices) for choices in grid]  # checks all before the first is trained
    results = []
    for choices, recipe in zip(grid, recipes, strict=True):
        accuracies = []
        for i, (train, validation) in enumerate(folds(split, count, base.seed)):
            keras.utils.clear_session()
            name = ",".join(f"{key}={value}" for key, value in choices.items()) or "base"
            run = folder / name / f"fold{i}"
            report(f"{name}, fold {i + 1} of {count}")
            fit(recipe, Dataset(train, validation, split.take(np.arange(0))), run, report=report)
            accuracies.append(max(row["val_accuracy"] for row in read_history(run)))
        results.append(Result(choices, tuple(accuracies)))
        results.sort(key=lambda result: -result.mean)
        _write(results, folder)
    return results


def as_table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    rows = []
    for result in results:
        each = ", ".join(f"{accuracy:.1%}" for accuracy in result.accuracies)
        rows.append([*map(str, result.choices.values()), f"{result.mean:.2%}", f"{result.deviation:.2%}", each])
    return markdown_table([*results[0].choices, "mean accuracy", "deviation", "folds"], rows)


def plot(results: Sequence[Result]) -> Figure:
    """Draw a point for each fold and a bar at the mean, best combination on top."""
    drawing = figure(7, 0.8 + 0.4 * len(results))
    axes = plain(drawing.subplots())
    for row, result in enumerate(reversed(results)):
        axes.scatter(result.accuracies, [row] * len(result.accuracies), color=BLUE, alpha=0.7, zorder=2)
        axes.scatter(result.mean, row, marker="|", s=300, color=ORANGE, zorder=3)
    axes.set_yticks(range(len(results)), [result.name or "base" for result in reversed(results)])
    axes.set(xlabel="accuracy on the held-out fold (bar: mean)", ylim=(-0.6, len(results) - 0.4))
    return drawing


def _write(results: list[Result], folder: Path) -> None:
    document = [{**dataclasses.asdict(r), "mean": r.mean, "deviation": r.deviation} for r in results]
    (folder / "search.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "search.md").write_text(as_table(results), encoding="utf-8")
    plot(results).savefig(folder / "search.png")


def _parse(name: str, kind: Kind, text: str) -> Any:
    try:
        return kind.parse({"true": "1", "false": "0"}.get(text.lower(), text) if kind is SWITCH else text)
    except ValueError:
        raise RunError(f"grid: expected for {name} {kind.expected}, found {text!r}") from None


def run(options: argparse.Namespace) -> None:
    """Compare recipes by cross-validation; print and save a table and a plot."""
    use_devices(options.devices)
    base, grid = recipe_of(options), parse_grid(options.grid)
    dataset = read_data(options, base.side_px, base.seed)
    results = search(base, grid, dataset.train, options.run, count=options.folds)
    print(as_table(results))
    print(f"wrote search.json, search.md and search.png in {options.run}")
