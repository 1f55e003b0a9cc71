"""Small tables of votes for the data sets of tests/synthetic.py."""

import csv
from pathlib import Path

from mien.types import EXPRESSIONS
from training.data.votes import VOTED

OFFICIAL_ORDER = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
"""The columns of FER+ in the order of its file."""


def row_of(votes: dict[str, int]) -> list[int]:
    """Counts in the order of FER+'s file, from those given for some of VOTED."""
    return [votes.get(column.lower(), 0) for column in OFFICIAL_ORDER]


def agreed(expression: str, agreeing: int = 8) -> dict[str, int]:
    """Ten votes: this number for the expression, the others for the next one."""
    label = EXPRESSIONS.index(expression)
    return {VOTED[label]: agreeing, VOTED[(label + 1) % len(EXPRESSIONS)]: 10 - agreeing}


def write_votes(path: Path, rows: list[tuple[str, str, str, dict[str, int]]]) -> Path:
    """A table of (split, folder, file, votes)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "folder", "file", *OFFICIAL_ORDER])
        writer.writerows([*row[:3], *row_of(row[3])] for row in rows)
    return path


def write_official(path: Path, rows: list[tuple[str, dict[str, int]]]) -> Path:
    """FER+'s own table, fer2013new.csv, of (usage, votes) in the order of the Kaggle CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Usage", "Image name", *OFFICIAL_ORDER])
        writer.writerows([usage, f"fer{i:07}.png", *row_of(votes)] for i, (usage, votes) in enumerate(rows))
    return path


def votes_for_folders(path: Path, *, train: int = 6, public: int = 2, private: int = 2) -> Path:
    """Votes for `tests.synthetic.write_folders`: eight of ten for the expression of the folder."""
    counts = {"Training": train, "PublicTest": public, "PrivateTest": private}
    rows = [
        (split, expression, f"{split}_{i}.png", agreed(expression))
        for split, count in counts.items()
        for expression in EXPRESSIONS
        for i in range(count)
    ]
    return write_votes(path, rows)
