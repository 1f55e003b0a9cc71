"""The figures of a network as files: JSON for programs, Markdown and plots for people, and lines of the model card."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.types import EXPRESSIONS
from training.evaluate import frames, plots, votes
from training.evaluate.costs import Costs
from training.evaluate.frames import EndToEnd
from training.evaluate.metrics import CLEAN, FLIPPED, Scores
from training.evaluate.votes import VoteScores
from training.recipe import Recipe, recipe_from

SHIPPED = "as shipped"
HEAD_NAMES = {"people": "people's head, tau 0", "folders": "folder head"}
"""What the heads are called in tables: the network itself, and those of `training.heads.HEADS`."""

CARD_BEGIN, CARD_END = "<!-- figures: begin -->", "<!-- figures: end -->"
TABLE_BEGIN, TABLE_END = "<!-- networks: begin -->", "<!-- networks: end -->"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything `evaluate` found.

    sets: scores by name. costs: of the network. epochs, recipe: how long and how it was trained, None if unknown.
    end_to_end: what became of PrivateTest faces in frames, if that was asked. heads: the same sets by each head of
    the network, "as shipped" by the network itself, against votes and labels, if votes were given.
    """

    sets: dict[str, Scores]
    costs: Costs
    epochs: int | None = None
    recipe: Recipe | None = None
    end_to_end: tuple[EndToEnd, ...] = ()
    heads: tuple[HeadScores, ...] = ()

    @property
    def main_set(self) -> str:
        """The set that is shown in detail: PrivateTest where there is one."""
        return main_set(self.sets)

    def write(self, folder: Path) -> list[Path]:
        """Write evaluation.json, evaluation.md, confusion.png and reliability.png; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / name for name in ("evaluation.json", "evaluation.md", "confusion.png", "reliability.png")]
        self.write_json(files[0])
        files[1].write_text(self.as_markdown(), encoding="utf-8")
        name = self.main_set
        plots.confusion(self.sets[name].confusion, title=name).savefig(files[2])
        self.write_reliability(files[3])
        return files

    def write_reliability(self, path: Path) -> None:
        """Write the reliability diagram of the main set as PNG."""
        plots.reliability(self.sets[self.main_set], title=self.main_set).savefig(path)

    def write_json(self, path: Path) -> None:
        """Write the figures as JSON."""
        recipe = dataclasses.asdict(self.recipe) if self.recipe else None
        costs = dataclasses.asdict(self.costs)
        network = {**costs, "flops": self.costs.flops, "epochs": self.epochs, "recipe": recipe}
        document: dict[str, Any] = {"network": network, "sets": {name: s.as_dict() for name, s in self.sets.items()}}
        if self.end_to_end:
            document["end_to_end"] = [result.as_dict() for result in self.end_to_end]
        if self.heads:
            document["heads"] = [head.as_dict() for head in self.heads]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read_json(cls, path: Path) -> Report:
        """The report that `write_json` wrote. Raises ModelError for a missing file or another one."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            network = document["network"]
            costs = Costs(**{field.name: network[field.name] for field in dataclasses.fields(Costs)})
            sets = {name: Scores.from_dict(figures) for name, figures in document["sets"].items()}
            recipe = recipe_from(network["recipe"]) if network.get("recipe") else None
            frames = tuple(EndToEnd(**result) for result in document.get("end_to_end", ()))
            heads = tuple(HeadScores.from_dict(figures) for figures in document.get("heads", ()))
            return cls(sets, costs, network["epochs"], recipe, frames, heads)
        except OSError as error:
            raise ModelError(f"{path}: expected the figures that evaluate wrote, found {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: expected the figures that evaluate wrote, found other text ({error})") from error

    def as_markdown(self) -> str:
        """All figures: scores, scores with flip averaging apart, and what the network costs."""
        plain = {name: s for name, s in self.sets.items() if not name.endswith(FLIPPED)}
        averaged = {name: s for name, s in self.sets.items() if name.endswith(FLIPPED)}
        text = self._people_as_markdown() + as_markdown(plain) + self._labels_by_head()
        if averaged:
            text += "\nThe same, averaged over each image and its mirror image (twice the work):\n\n"
            text += "\n".join(_set_table(averaged)) + "\n"
        if self.end_to_end:
            text += "\nShown in frames of 640x480, found by the detector, cropped and classified as live:\n\n"
            text += frames.as_markdown(self.end_to_end)
        costs = self.costs
        return text + (
            f"\n`{costs.network}`: {costs.parameters:,} parameters; {costs.multiply_adds / 1e6:,.1f} million "
            f"multiply-adds a face in convolutions and dense layers, {costs.flops / 1e6:,.1f} MFLOPs where each counts "
            f"as two; {costs.ms_per_face:.1f} ms for one face (median; {costs.measured_on}).\n"
        )

    def _people_as_markdown(self) -> str:
        """What people see, first, where votes were given."""
        if not self.heads:
            return ""
        text = votes.as_markdown({head.name: head.votes for head in self.heads}, self.main_set)
        return f"What people see, by the votes of ten for each image:\n\n{text}\nFolder labels, as shipped:\n\n"

    def _labels_by_head(self) -> str:
        """Folder labels by each head, with the table of expressions for the one that learned them."""
        text = ""
        for head in self.heads:
            if head.labels:
                table = as_markdown(head.labels) if head.learned_labels else "\n".join(_set_table(head.labels)) + "\n"
                text += f"\nFolder labels, {head.name}:\n\n{table}"
        return text


@dataclass(frozen=True, slots=True, eq=False)
class HeadScores:
    """Figures of one head. votes: by set, against votes. labels: by set, against labels; empty where in Report.sets."""

    name: str
    votes: dict[str, VoteScores]
    labels: dict[str, Scores]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers, lists and names, for JSON."""
        votes = {name: dataclasses.asdict(s) for name, s in self.votes.items()}
        return {"head": self.name, "votes": votes, "labels": {name: s.as_dict() for name, s in self.labels.items()}}

    @property
    def learned_labels(self) -> bool:
        """Whether this head was fitted to the folders' labels."""
        return self.name == HEAD_NAMES["folders"]

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> HeadScores:
        """Scores as `as_dict` wrote them. Raises KeyError or TypeError for anything else."""
        votes = {name: VoteScores.from_dict(s) for name, s in figures["votes"].items()}
        return cls(figures["head"], votes, {name: Scores.from_dict(s) for name, s in figures["labels"].items()})


def main_set(sets: dict[str, Any]) -> str:
    """PrivateTest or test, or the first set where there is none."""
    return next((name for name in ("PrivateTest", "test") if name in sets), next(iter(sets)))


def as_markdown(scores: dict[str, Scores]) -> str:
    """The figures as two Markdown tables: one row for each set, and for PrivateTest one for each expression."""
    detailed = main_set(scores)
    s = scores[detailed]
    lines = [
        *_set_table(scores),
        "",
        f"{detailed}; rows are the true expression, the last seven columns what it was taken for:",
        "",
        "| expression | precision | recall | F1 | " + " | ".join(EXPRESSIONS) + " |",
        "|---|---|---|---|" + "---|" * len(EXPRESSIONS),
    ]
    for i, expression in enumerate(EXPRESSIONS):
        counts = " | ".join(str(n) for n in s.confusion[i])
        lines.append(f"| {expression} | {s.precision[i]:.3f} | {s.recall[i]:.3f} | {s.f1[i]:.3f} | {counts} |")
    return "\n".join(lines) + "\n"


def _set_table(scores: dict[str, Scores]) -> list[str]:
    lines = ["| set | images | accuracy | 95 % interval | macro-F1 | ECE | NLL |", "|---|---|---|---|---|---|---|"]
    for name, s in scores.items():
        low, high = s.interval
        lines.append(
            f"| {name} | {s.n} | {s.accuracy:.2%} | {low:.1%} to {high:.1%} "
            f"| {s.macro_f1:.3f} | {s.ece:.3f} | {s.nll:.3f} |"
        )
    return lines


def comparison(reports: list[Report]) -> str:
    """Networks side by side as a Markdown table, one row for each report."""
    columns = ["network", "recipe", "epochs", "parameters", "PublicTest", "PrivateTest", "clean", "macro-F1", "ECE"]
    columns += ["ms a face", "million multiply-adds"]
    rows = [columns, ["---"] * len(columns)]
    for report in reports:
        costs, recipe = report.costs, report.recipe
        s = report.sets[report.main_set]
        public, clean = (report.sets.get(name) for name in ("PublicTest", f"{report.main_set}{CLEAN}"))
        other = f" ({report.main_set})" if report.main_set != "PrivateTest" else ""
        rows.append(
            [
                costs.network,
                recipe.in_words() if recipe else "?",
                str(report.epochs or "?"),
                f"{costs.parameters:,}",
                f"{public.accuracy:.2%}" if public else "",
                f"{s.accuracy:.2%}{other}",
                f"{clean.accuracy:.2%}" if clean else "",
                f"{s.macro_f1:.3f}",
                f"{s.ece:.3f}",
                f"{costs.ms_per_face:.1f}",
                f"{costs.multiply_adds / 1e6:,.1f}",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_into_card(card: Path, text: str, begin: str = CARD_BEGIN, end: str = CARD_END) -> None:
    """Replace what stands between the markers of a model card. Raises ModelError where there are none."""
    before, after = around(card, begin, end)
    card.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def around(card: Path, begin: str = CARD_BEGIN, end: str = CARD_END) -> tuple[str, str]:
    """What stands before and behind the markers of a model card. Raises ModelError where there are none."""
    try:
        before, found_begin, rest = card.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise ModelError(f"{card}: expected a model card, found none ({error.strerror})") from error
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ModelError(f"{card}: expected the markers {begin} and {end}, found no such pair")
    return before, after


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files of figures, and the card."""
    parser.add_argument("figures", type=Path, nargs="+", help="JSON files that evaluate wrote, one for each row")
    parser.add_argument("--details", action="store_true", help="all figures of one network instead of the table")
    parser.add_argument("--card", type=Path, help="put the text into this model card, between its markers")


def run(options: argparse.Namespace) -> None:
    """print networks side by side from the figures that evaluate wrote, or all figures of one, for the model card"""
    reports = [Report.read_json(path) for path in options.figures]
    if options.details and len(reports) != 1:
        raise ModelError(f"--details: expected the figures of one network, found {len(reports)} files")
    text, markers = comparison(reports), (TABLE_BEGIN, TABLE_END)
    if options.details:
        text, markers = reports[0].as_markdown(), (CARD_BEGIN, CARD_END)
    print(text)
    if options.card:
        write_into_card(options.card, text, *markers)
