"""What was found in a file, in short: for each person of a video or face of an image, label, shares and a picture."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.batch.thumbnails import LEAST_GAIN, Thumbnail, Thumbnails, crop_face
from mien.images.codecs import encode_jpeg, read_image
from mien.queue.files import JobFiles
from mien.results import Result
from mien.types import BOX, EXPRESSIONS, Box, Frame

MOST_FACES = 64
"""Of a video those seen longest, of an image the largest; the tables have all."""

UNSURE = len(EXPRESSIONS)
"""Index of the time in which a label was unsure, after those of the expressions."""


@dataclass(slots=True)
class _Person:
    seconds: np.ndarray = field(default_factory=lambda: np.zeros(len(EXPRESSIONS) + 1))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(len(EXPRESSIONS)))
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(len(EXPRESSIONS)))
    quality: float = 0.0
    quality_s: float = 0.0


class People:
    """Sums up each person of a video while it is analyzed; memory does not grow with its length.

        people = People()
        people.add(result, duration_s)
        outcome = people.outcome(facts)

    Attributes:
        width, height: Size of the upright picture in pixels.
    """

    def __init__(self) -> None:
        self.width = self.height = 0
        self._people: dict[int, _Person] = {}

    def add(self, result: Result, duration_s: float) -> None:
        """Take the next analyzed frame.

        Args:
            result: What was found in it.
            duration_s: How long it is shown, in seconds, as the tables count it.
        """
        self.width, self.height = result.width, result.height
        for face in result.faces:
            assert face.id is not None
            person = self._people.setdefault(face.id, _Person())
            label = EXPRESSIONS.index(face.label)
            person.seconds[UNSURE if face.unsure else label] += duration_s
            person.labels[label] += duration_s
            person.probabilities += duration_s * np.asarray(face.probabilities, float)
            if face.quality is not None:
                person.quality += duration_s * face.quality.value
                person.quality_s += duration_s

    def outcome(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The result of the job.

        Args:
            facts: Those of `mien.batch.jobs.Done`.
        """
        longest = sorted(self._people, key=lambda number: (-self._people[number].seconds.sum(), number))[:MOST_FACES]
        return {
            "width": self.width,
            "height": self.height,
            "duration_s": round(facts["duration_s"] or facts["decoded_s"], 3),
            "frames": facts["analyzed"],
            "frames_with_face": facts["with_face"],
            "faces": [_describe(number, self._people[number]) for number in sorted(longest)],
        }


def _describe(number: int, person: _Person) -> dict[str, Any]:
    total_s = float(person.seconds.sum())
    share = 1 / total_s if total_s else 0.0
    sure = person.seconds[:UNSURE]
    by_label = sure if sure.any() else person.labels
    label = int(by_label.argmax())
    return {
        "id": number,
        "label": EXPRESSIONS[label],
        "confidence": _rounded(by_label[label] * share),
        "unsure": bool(person.seconds[UNSURE] > sure.max()),
        "quality": _rounded(person.quality / person.quality_s) if person.quality_s else None,
        "seconds": {name: round(float(s), 3) for name, s in zip((*EXPRESSIONS, "unsure"), person.seconds, strict=True)},
        "probabilities": {name: _rounded(p * share) for name, p in zip(EXPRESSIONS, person.probabilities, strict=True)},
    }


def image_outcome(table: Path, facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[int, Box]]:
    """The result of a job with an image, and the boxes of its faces by number.

    Args:
        table: Its `faces.csv`.
        facts: Those of `mien.batch.jobs.Done`.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["success"] == "1"]
    boxes = {int(row["face"]): Box(*(int(row[side]) for side in BOX)) for row in rows}
    largest = sorted(boxes, key=lambda number: (-boxes[number].w * boxes[number].h, number))[:MOST_FACES]
    boxes = {number: boxes[number] for number in sorted(largest)}
    outcome = {
        "width": facts["width"],
        "height": facts["height"],
        "duration_s": None,
        "frames": 1,
        "frames_with_face": min(1, len(rows)),
        "faces": [
            {
                "id": int(row["face"]),
                "label": row["label"],
                "confidence": _rounded(row["confidence"]),
                "unsure": row["unsure"] == "1",
                "quality": _rounded(row["quality"]) if row["quality"] else None,
                "seconds": None,
                "probabilities": {name: _rounded(row[name]) for name in EXPRESSIONS},
            }
            for row in rows
            if int(row["face"]) in boxes
        ],
    }
    return outcome, boxes


def write_image_pictures(files: JobFiles, boxes: Mapping[int, Box]) -> list[int]:
    """Write a picture of each face of an image; their numbers.

    Args:
        files: Of the job.
        boxes: Of its faces.
    """
    if not boxes:
        return []
    pixels_bgr = read_image(files.content)
    for number, box in boxes.items():
        files.picture(number).write_bytes(encode_jpeg(crop_face(pixels_bgr, box)))
    return list(boxes)


def write_video_pictures(files: JobFiles, thumbnails: Pictures, outcome: Mapping[str, Any]) -> list[int]:
    """Write the clearest picture of each person, of its label if there is one; their numbers.

    Args:
        files: Of the job.
        thumbnails: The clearest moments of the video; they are kept for its report.
        outcome: The result of the job.
    """
    written, moments = [], []
    for face in outcome["faces"]:
        found = thumbnails.of(face["id"])
        moments += [{"face": face["id"], **asdict(each), "jpeg": _text(each.jpeg)} for each in found.values()]
        best = found.get(face["label"]) or thumbnails.clearest(face["id"])
        if best is not None:
            files.picture(face["id"]).write_bytes(best.jpeg)
            written.append(face["id"])
    files.moments.write_text(json.dumps(moments), encoding="utf-8")
    return written


class Pictures(Thumbnails):
    """The clearest moments, and the clearest of a face whose label was always unsure."""

    def __init__(self) -> None:
        super().__init__()
        self._unsure: dict[int, Thumbnail] = {}

    def add(self, frame: Frame, result: Result) -> None:
        """Take the next analyzed frame."""
        super().add(frame, result)
        for face in result.faces:
            if face.id is None or self.of(face.id):
                continue
            clearness = face.confidence * (1.0 if face.quality is None else face.quality.value)
            before = self._unsure.get(face.id)
            if before is None or clearness > before.clearness + LEAST_GAIN:
                jpeg = encode_jpeg(crop_face(frame.pixels_bgr, face.box))
                self._unsure[face.id] = Thumbnail(face.label, result.time_s, face.confidence, clearness, jpeg)
        self._unsure = {number: kept for number, kept in self._unsure.items() if number in self._kept}

    def clearest(self, face: int) -> Thumbnail | None:
        """The clearest moment of a face, if possible one in which its label is not unsure."""
        return max(self.of(face).values(), key=lambda each: each.clearness, default=self._unsure.get(face))


class StoredThumbnails(Thumbnails):
    """The clearest moments of a video that was analyzed before, for its report.

    Args:
        files: Of the job.

    Raises:
        OSError: There are none.
    """

    def __init__(self, files: JobFiles) -> None:
        super().__init__()
        for moment in json.loads(files.moments.read_text(encoding="utf-8")):
            face, jpeg = moment.pop("face"), base64.b64decode(moment.pop("jpeg"))
            self._kept.setdefault(face, {})[moment["expression"]] = Thumbnail(**moment, jpeg=jpeg)


def _text(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode("ascii")


def _rounded(value: Any) -> float:
    """A probability or share, 0 to 1."""
    return min(1.0, max(0.0, round(float(value), 4)))
