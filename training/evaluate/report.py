"""Reports of a network's figures: JSON, Markdown, plots, and the tables of the model card."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from training.evaluate import doubt, end_to_end, plots, quality, votes
from training.evaluate.costs import Costs
from training.evaluate.doubt import Doubt
from training.evaluate.end_to_end import EndToEnd
from training.evaluate.metrics import CLEAN, FLIPPED, Scores
from training.evaluate.quality import QualityScores
from training.evaluate.tables import by_expression, by_set, markdown_table
from training.evaluate.votes import VoteScores
from training.inputs import writable
from training.recipe import Recipe, recipe_from

SHIPPED = "as shipped"
HEAD_NAMES = {"people": "people's head, tau 0", "folders": "folder head"}
"""Names in tables: of the network itself, and of its heads, see `training.heads.HEADS`."""

CARD_BEGIN, CARD_END = "<!-- figures: begin -->", "<!-- figures: end -->"
TABLE_BEGIN, TABLE_END = "<!-- networks: begin -->", "<!-- networks: end -->"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All figures that `evaluate` measures.

    Attributes:
        sets: Scores by the name of the set.
        costs: Of the network.
        epochs: Number of finished epochs, None if unknown.
        recipe: That it was trained by, None if unknown.
        end_to_end: Results for faces in frames, if requested.
        heads: Scores of the network itself and of each of its heads against votes and labels, if votes were given.
        quality: What the quality of a face is worth, if votes were given.

    Example:
        report = Report.read_json(Path("docs/figures/six_layer.json"))
        print(f"{report.sets[report.main_set].accuracy:.1%} on {report.main_set}")
        print(report.as_markdown())
    """

    sets: dict[str, Scores]
    costs: Costs
    epochs: int | None = None
    recipe: Recipe | None = None
    end_to_end: tuple[EndToEnd, ...] = ()
    heads: tuple[HeadScores, ...] = ()
    quality: QualityScores | None = None

    @property
    def main_set(self) -> str:
        """Name of the set that is shown in detail: PrivateTest or test, or the first where there is none."""
        return _main_set(self.sets)

    def write(self, folder: Path) -> list[Path]:
        """Write evaluation.json, evaluation.md, confusion.png and reliability.png; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / name for name in ("evaluation.json", "evaluation.md", "confusion.png", "reliability.png")]
        self.write_json(files[0])
        files[1].write_text(self.as_markdown(), encoding="utf-8")
        plots.confusion(self.sets[self.main_set].confusion, title=self.main_set).savefig(files[2])
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
            document["end_to_end"] = [dataclasses.asdict(result) for result in self.end_to_end]
        if self.heads:
            document["heads"] = [head.as_dict() for head in self.heads]
        if self.quality:
            document["quality"] = dataclasses.asdict(self.quality)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read_json(cls, path: Path) -> Report:
        """Read what `write_json` wrote. Raise ModelError for a missing file or another one."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            network = document["network"]
            costs = Costs(**{field.name: network[field.name] for field in dataclasses.fields(Costs)})
            sets = {name: Scores.from_dict(figures) for name, figures in document["sets"].items()}
            recipe = recipe_from(network["recipe"]) if network.get("recipe") else None
            frames = tuple(EndToEnd(**result) for result in document.get("end_to_end", ()))
            heads = tuple(HeadScores.from_dict(figures) for figures in document.get("heads", ()))
            scores = QualityScores.from_dict(document["quality"]) if "quality" in document else None
            return cls(sets, costs, network["epochs"], recipe, frames, heads, scores)
        except OSError as error:
            raise ModelError(f"{path}: expected the figures that evaluate wrote, found {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: expected the figures that evaluate wrote, found other text ({error})") from error

    def as_markdown(self) -> str:
        """Return all figures; scores with flip averaging have a table of their own."""
        plain = {name: s for name, s in self.sets.items() if not name.endswith(FLIPPED)}
        averaged = {name: s for name, s in self.sets.items() if name.endswith(FLIPPED)}
        text = self._people_as_markdown() + as_markdown(plain) + self._labels_by_head()
        if averaged:
            text += "\nThe same, averaged over each image and its mirror image (twice the work):\n\n"
            text += by_set(averaged)
        text += self._in_frames()
        if self.quality:
            text += f"\n{quality.as_markdown(self.quality)}"
        costs = self.costs
        return text + (
            f"\n`{costs.network}`: {costs.parameters:,} parameters; {costs.multiply_adds / 1e6:,.1f} million "
            f"multiply-adds a face in convolutions and dense layers, {costs.flops / 1e6:,.1f} MFLOPs where each counts "
            f"as two; {costs.ms_per_face:.1f} ms for one face (median; {costs.measured_on}).\n"
        )

    def people_accuracy(self) -> str:
        """Return how often people's head, or a network with one head, names what people see; "" if not measured."""
        by_name = {head.name: head.votes.get(self.main_set) for head in self.heads}
        scores = by_name.get(HEAD_NAMES["people"]) or by_name.get(SHIPPED)
        return f"{scores.accuracy:.2%}" if scores else ""

    def _people_as_markdown(self) -> str:
        """Return the scores against votes, which come first."""
        if not self.heads:
            return ""
        text = votes.as_markdown({head.name: head.votes for head in self.heads}, self.main_set)
        for head in self.heads:
            if head.doubt:
                text += "\n" + doubt.as_markdown(head.doubt, next(iter(head.doubt)), _main_set(head.doubt))
        return f"{self._headline()}What people see:\n\n{text}\nFolder labels, as shipped:\n\n"

    def _in_frames(self) -> str:
        """Return the end-to-end results; those by what people see come first."""
        text = ""
        meaning = {"people": "what most people see", "folders": "the label of the folder"}
        for by, right in meaning.items():
            if results := [result for result in self.end_to_end if result.by == by]:
                text += "\nShown in frames of 640x480, found by the detector, cropped and classified as live; right is "
                text += f"{right}:\n\n{end_to_end.as_markdown(results)}"
        return text

    def _headline(self) -> str:
        """Return the figure that says most about the network as shipped, in a sentence."""
        scores = {head.name: head.votes for head in self.heads}.get(SHIPPED, {}).get(self.main_set)
        if scores is None:
            return ""
        return (
            f"Of the {scores.n:,} images of {self.main_set} about which most people agree, the network as shipped "
            f"names what they see in {scores.accuracy:.1%}.\n\n"
        )

    def _labels_by_head(self) -> str:
        """Return the scores of each head against the folders' labels, with details for the head that learned them."""
        text = ""
        for head in self.heads:
            if head.labels:
                table = as_markdown(head.labels) if head.name == HEAD_NAMES["folders"] else by_set(head.labels)
                text += f"\nFolder labels, {head.name}:\n\n{table}"
        return text


@dataclass(frozen=True, slots=True, eq=False)
class HeadScores:
    """Scores of one head by set, against votes and against labels.

    Attributes:
        name: SHIPPED, or one of HEAD_NAMES.
        votes: Scores against votes.
        labels: Scores against labels; none where they are in `Report.sets`.
        doubt: What the page says, for the network as shipped if it learned votes.

    Example:
        for head in report.heads:
            print(head.name, head.votes["PrivateTest"].accuracy)
    """

    name: str
    votes: dict[str, VoteScores]
    labels: dict[str, Scores]
    doubt: dict[str, Doubt] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers, lists and names, for JSON."""
        figures: dict[str, Any] = {
            "head": self.name,
            "votes": {name: s.as_dict() for name, s in self.votes.items()},
            "labels": {name: s.as_dict() for name, s in self.labels.items()},
        }
        if self.doubt:
            figures["doubt"] = {name: dataclasses.asdict(found) for name, found in self.doubt.items()}
        return figures

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> HeadScores:
        """Build from the result of `as_dict`. Raise KeyError or TypeError for anything else."""
        votes = {name: VoteScores.from_dict(s) for name, s in figures["votes"].items()}
        labels = {name: Scores.from_dict(s) for name, s in figures["labels"].items()}
        found = {name: Doubt.from_dict(one) for name, one in figures.get("doubt", {}).items()}
        return cls(figures["head"], votes, labels, found)


def _main_set(sets: dict[str, Any]) -> str:
    return next((name for name in ("PrivateTest", "test") if name in sets), next(iter(sets)))


def as_markdown(scores: dict[str, Scores]) -> str:
    """Return two Markdown tables: one row for each set, and one for each expression of the main set."""
    detailed = _main_set(scores)
    s = scores[detailed]
    text = f"\n{detailed}; rows are the true expression, the last seven columns the predicted one:\n\n"
    return by_set(scores) + text + by_expression(s, {"precision": s.precision, "recall": s.recall, "F1": s.f1})


def comparison(reports: list[Report]) -> str:
    """Return a Markdown table of networks, one row for each report."""
    columns = ["network", "recipe", "epochs", "parameters", "PublicTest", "PrivateTest", "clean", "macro-F1", "ECE"]
    rows = []
    for report in reports:
        costs, recipe = report.costs, report.recipe
        s = report.sets[report.main_set]
        public, clean = (report.sets.get(name) for name in ("PublicTest", f"{report.main_set}{CLEAN}"))
        other = f" ({report.main_set})" if report.main_set != "PrivateTest" else ""
        cells = [costs.network, recipe.in_words() if recipe else "?", str(report.epochs or "?")]
        cells += [f"{costs.parameters:,}", f"{public.accuracy:.2%}" if public else "", f"{s.accuracy:.2%}{other}"]
        cells += [f"{clean.accuracy:.2%}" if clean else "", f"{s.macro_f1:.3f}", f"{s.ece:.3f}"]
        cells += [report.people_accuracy(), f"{costs.ms_per_face:.1f}", f"{costs.multiply_adds / 1e6:,.1f}"]
        rows.append(cells)
    return markdown_table([*columns, "what people see", "ms a face", "million multiply-adds"], rows)


def write_card(
    options: argparse.Namespace, folder: Path, text: str, begin: str = CARD_BEGIN, end: str = CARD_END
) -> None:
    """Replace the text between the markers of --card, in a copy or in place; print which.

    Args:
        options: Of the command: card, in_place.
        folder: For the copy.
        text: The new text.
        begin: The first marker.
        end: The last marker.

    Raises:
        ModelError: The card has no such markers.
    """
    before, after = around(options.card, begin, end)
    out = options.card if options.in_place else writable(folder / options.card.name)
    out.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
    print(f"wrote {out}")


def around(card: Path, begin: str = CARD_BEGIN, end: str = CARD_END) -> tuple[str, str]:
    """Return the text before `begin` and after `end` in a model card. Raise ModelError where they are missing."""
    try:
        before, found_begin, rest = card.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise ModelError(f"{card}: expected a model card, found none ({error.strerror})") from error
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ModelError(f"{card}: expected the markers {begin} and {end}, found no such pair")
    return before, after


def run(options: argparse.Namespace) -> None:
    """Print a table of networks, or all figures of one; write it into a model card. Raise ModelError for two of one."""
    reports = [Report.read_json(path) for path in options.figures]
    if options.details and len(reports) != 1:
        raise ModelError(f"--details: expected the figures of one network, found {len(reports)} files")
    text, markers = comparison(reports), (TABLE_BEGIN, TABLE_END)
    if options.details:
        text, markers = reports[0].as_markdown(), (CARD_BEGIN, CARD_END)
    print(text)
    if options.card:
        write_card(options, Path("runs/card"), text, *markers)
