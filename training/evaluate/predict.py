"""Label images that have no label: a folder of images, or a CSV file with a column of pixels."""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from mien.names import printable
from mien.types import EXPRESSIONS
from training.data.files import DataError, files_under, parse_pixels, read_image, read_rows, resized
from training.inputs import report_skipped, square_model

BATCH = 256


@dataclass(slots=True)
class Outcome:
    """What `predict_to_csv` has done.

    Attributes:
        labeled: Number of rows written.
        skipped: One line for each image or row that could not be read.

    Example:
        outcome = predict_to_csv(model.predict, Path("faces"), Path("labels.csv"), side_px=48)
        print(outcome.labeled, *outcome.skipped, sep="\n")
    """

    labeled: int = 0
    skipped: list[str] = field(default_factory=list)


def predict_to_csv(predict: Callable[[np.ndarray], np.ndarray], source: Path, out: Path, side_px: int) -> Outcome:
    """Write a CSV file with a label for each image of a folder or each row of a CSV file, batch by batch.

    The file appears once it is complete. Its columns: path (in the folder) or id (the row, from 1), label, confidence,
    and the seven probabilities.

    Args:
        predict: Faces uint8 (n, side_px, side_px) -> probabilities (n, 7).
        source: The folder or the CSV file.
        out: The file to write.
        side_px: Side of the faces that `predict` takes.

    Raises:
        DataError: There is no readable image, or `out` cannot be written.
    """
    outcome = Outcome()
    faces, name_of_key = _faces_of(source, side_px, outcome)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
            unfinished = Path(folder) / out.name
            # Names may be of any bytes on Linux: those that are no UTF-8 are written as in tables of `analyze`.
            with unfinished.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                writer = csv.writer(file)
                writer.writerow([name_of_key, "label", "confidence", *EXPRESSIONS])
                for row in _labeled(predict, faces):
                    writer.writerow(row)
                    outcome.labeled += 1
            if not outcome.labeled:
                first = f"; {len(outcome.skipped)} skipped, first {outcome.skipped[0]}" if outcome.skipped else ""
                raise DataError(f"{source}: expected images to label, found none that can be read{first}")
            unfinished.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    return outcome


def _faces_of(source: Path, side_px: int, outcome: Outcome) -> tuple[Iterator[tuple[str, np.ndarray]], str]:
    """Return (pairs of key and face, the name of the key)."""

    def read(items: Iterable[tuple[str, str, Callable[[], np.ndarray]]]) -> Iterator[tuple[str, np.ndarray]]:
        for key, name, read_face in items:
            try:
                yield key, resized(read_face(), side_px)
            except ValueError as error:
                outcome.skipped.append(f"{name}: {error}")

    if source.is_dir():
        named = ((path.relative_to(source).as_posix(), path) for path in files_under(source))
        return read((name, name, partial(read_image, path)) for name, path in named), "path"
    if source.is_file():
        rows = read_rows(source, {"pixels"}, "a column pixels")
        return read((str(n), f"row {n}", partial(parse_pixels, row["pixels"])) for n, row in rows), "id"
    raise DataError(f"{source}: expected a folder of images or a CSV file with a column pixels, found nothing there")


def _labeled(
    predict: Callable[[np.ndarray], np.ndarray], faces: Iterable[tuple[str, np.ndarray]]
) -> Iterator[list[str]]:
    iterator = iter(faces)
    while batch := list(itertools.islice(iterator, BATCH)):
        probabilities = predict(np.stack([face for _, face in batch]))
        for (key, _), row in zip(batch, probabilities, strict=True):
            best = int(row.argmax())
            yield [key, EXPRESSIONS[best], f"{row[best]:.6f}", *(f"{p:.6f}" for p in row)]


def run(options: argparse.Namespace) -> None:
    """Label images that have no label, and print how many."""
    model, side_px = square_model(options)
    outcome = predict_to_csv(model.predict, options.source, options.out, side_px)
    report_skipped(outcome.skipped)
    print(f"wrote {printable(str(options.out))} with {outcome.labeled} labels")
