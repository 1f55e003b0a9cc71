"""A small data set in FER-2013's layout whose classes a small network can learn: bright bars at seven heights."""

import csv
from pathlib import Path

import cv2
import numpy as np

from mien.types import EXPRESSIONS
from training.data.dataset import CSV_CODES


def picture(expression: str, rng: np.random.Generator, side_px: int = 48) -> np.ndarray:
    """Noise with a bright bar whose position encodes the expression: uint8 (side_px, side_px)."""
    image = rng.integers(40, 90, (side_px, side_px), dtype=np.uint8)
    row = round((EXPRESSIONS.index(expression) + 0.5) / len(EXPRESSIONS) * side_px)
    image[row - 2 : row + 3, side_px // 6 : -side_px // 6] = rng.integers(200, 255)
    return image


def write_folders(root: Path, *, train: int = 6, public: int = 2, private: int = 2, seed: int = 0) -> Path:
    """Write these numbers of images of each expression to `train/` and, with FER-2013's file names, to `test/`."""
    rng = np.random.default_rng(seed)
    for expression in EXPRESSIONS:
        for folder, prefix, count in (
            ("train", "Training", train),
            ("test", "PublicTest", public),
            ("test", "PrivateTest", private),
        ):
            where = root / folder / expression
            where.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                cv2.imwrite(str(where / f"{prefix}_{i}.png"), picture(expression, rng))
    return root


def write_csv(path: Path, rows: list[tuple[str, np.ndarray, str | None]]) -> Path:
    """A Kaggle CSV of (expression, image, usage) rows; without the Usage column if every usage is None."""
    with_usage = any(usage for _, _, usage in rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"] if with_usage else ["emotion", "pixels"])
        for expression, image, usage in rows:
            row = [CSV_CODES.index(expression), " ".join(map(str, image.ravel()))]
            writer.writerow([*row, usage] if with_usage else row)
    return path
