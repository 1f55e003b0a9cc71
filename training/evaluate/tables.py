"""Tables in Markdown, for the terminal and the model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mien.types import EXPRESSIONS
from training.evaluate.metrics import Counted, Scores


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of rows, below the names of the columns and a line of dashes."""
    lines = [f"| {' | '.join(row)} |\n" for row in (columns, *rows)]
    lines.insert(1, f"|{'---|' * len(columns)}\n")
    return "".join(lines)


def by_expression(s: Counted, figures: Mapping[str, Sequence[float]]) -> str:
    """Return a table with a row for each expression.

    Args:
        s: Has the confusion matrix, for the last columns: how often the expression was labeled as which.
        figures: Further figures of each expression by name, such as its precision, for the first columns.
    """
    rows = [
        [expression, *(f"{values[i]:.3f}" for values in figures.values()), *map(str, s.confusion[i])]
        for i, expression in enumerate(EXPRESSIONS)
    ]
    return markdown_table(["expression", *figures, *EXPRESSIONS], rows)


def by_set(scores: Mapping[str, Scores]) -> str:
    """Return a table with a row for each set, by its name."""
    rows = [
        [name, str(s.n), *accuracy_cells(s), f"{s.macro_f1:.3f}", f"{s.ece:.3f}", f"{s.nll:.3f}"]
        for name, s in scores.items()
    ]
    return markdown_table(["set", "images", "accuracy", "95 % interval", "macro-F1", "ECE", "NLL"], rows)


def accuracy_cells(s: Counted) -> tuple[str, str]:
    """Return the cells of the accuracy and of its interval: "67.29%", "65.8% to 68.8%"."""
    low, high = s.interval
    return f"{s.accuracy:.2%}", f"{low:.1%} to {high:.1%}"
