"""All files of the results of images: the pictures that each job leaves, then one folder for all of them."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mien.batch.images_report import MOST_ROWS, ImageCounts, write_images_report
from mien.batch.inputs import Names, file_name
from mien.batch.options import AnalyzeSettings
from mien.batch.outputs import FaceTables, write_provenance
from mien.batch.thumbnails import crop_face, whole
from mien.images.codecs import decode_image, encode_jpeg
from mien.images.draw import annotate
from mien.images.privacy import Privacy
from mien.images.resize import fit_within
from mien.results import Result
from mien.types import Analysis, Frame

ANNOTATED = "annotated"
"""Folder of the annotated copies."""
JPEG_QUALITY = 92
MAX_JPEG_SIDE_PX = 65_500
"""Of the copies: the encoder writes no larger ones."""


@dataclass(slots=True)
class ImagePictures:
    """The pictures that come of one job with images.

        pictures = ImagePictures(folder, settings, first=0)
        pictures.add(0, data, result)

    Args:
        folder: Of the annotated copies, each under its number in the job.
        settings: Which pictures are wanted.
        first: Number of the first image of the job; only the first images of all get thumbnails.

    Attributes:
        thumbnails: JPEG files in base64, one for each row of the first images, None where there is none.
    """

    folder: Path
    settings: AnalyzeSettings
    first: int = 0
    thumbnails: list[str | None] = field(default_factory=list)

    def add(self, number: int, data: bytes | None, result: Result) -> None:
        """Take the next image.

        Args:
            number: Its number in the job, from 0.
            data: The content of its file; None if it could not be analyzed.
            result: What was found in it.

        Raises:
            OSError: Its copy cannot be written.
        """
        wants_thumbnails = self.settings.shows_thumbnails and self.first + len(self.thumbnails) < MOST_ROWS
        if data is None:
            self.thumbnails += [None] * wants_thumbnails
            return
        if not (self.settings.video or wants_thumbnails):
            return
        pixels_bgr = decode_image(data)
        if wants_thumbnails:
            pictures = [crop_face(pixels_bgr, face.box) for face in result.faces] or [whole(pixels_bgr)]
            self.thumbnails += [base64.b64encode(encode_jpeg(each)).decode("ascii") for each in pictures]
        if self.settings.video:
            self.folder.mkdir(parents=True, exist_ok=True)
            copy = fit_within(self._annotated(pixels_bgr, result), MAX_JPEG_SIDE_PX)
            self._copy_path(number).write_bytes(encode_jpeg(copy, JPEG_QUALITY))

    def _annotated(self, pixels_bgr: np.ndarray, result: Result) -> np.ndarray:
        analysis = Analysis(result.width, result.height, result.faces)
        frame = Privacy(self.settings.privacy).prepare(Frame(pixels_bgr), analysis)
        return annotate(frame, analysis)

    def _copy_path(self, number: int) -> Path:
        return self.folder / copy_name(number)


def copy_name(number: int) -> str:
    """Name of the annotated copy of an image while its job is not joined with the others; number: in its job."""
    return f"{number:02d}.jpg"


class ImageOutputs:
    """What is written for all images together.

        outputs = ImageOutputs(folder, settings)
        outputs.add(part, copies)
        outputs.close(described, command)

    Args:
        folder: Of the files.
        settings: What is written.
    """

    def __init__(self, folder: Path, settings: AnalyzeSettings) -> None:
        self._folder, self._settings = folder, settings
        self._tables = FaceTables(folder, settings)
        self._inputs: list[dict[str, Any]] = []
        self._names = Names()
        self._counts = ImageCounts()

    def add(self, part: Mapping[str, Any], copies: Path) -> None:
        """Take what one job left.

        Args:
            part: Its `rows`, the `thumbnails` of the first ones, and `done`, what became of each input.
            copies: Folder of its annotated copies; it stays, so that joining can be repeated after a kill.
        """
        self._tables.add(part["rows"])
        self._counts.add(part["rows"], part["thumbnails"])
        for number, one in enumerate(part["done"]):
            facts = {"name": one["input"], **one["facts"]}
            if one["reason"] is not None:
                facts["failed"] = one["reason"]
            if (copies / copy_name(number)).exists():
                facts["annotated"] = f"{ANNOTATED}/{self._keep(copies / copy_name(number), one['input'])}"
            self._inputs.append(facts)

    def close(self, described: Mapping[str, Any], command: Sequence[str]) -> None:
        """Write the rest.

        Args:
            described: What determined the results.
            command: The words of the command line.
        """
        read = sum("sha256" in one for one in self._inputs)
        with_face = sum(bool(one.get("faces")) for one in self._inputs)
        frames = {"read": read, "analyzed": read, "with_face": with_face, "dropped": 0}
        described = {"inputs": self._inputs, "frames": frames, **described}
        self._tables.close(described)
        write_provenance(self._folder, described, command)
        if self._settings.report:
            write_images_report(self._folder, described, self._counts)

    def _keep(self, copy: Path, name: str) -> str:
        """Put an annotated copy into the folder of the results; its name there is that of the image, or NAME-2."""
        kept = self._names.take(file_name(PurePosixPath(name).stem) or "image")
        to = self._folder / ANNOTATED / f"{kept}.jpg"
        to.parent.mkdir(exist_ok=True)
        try:
            os.link(copy, to)
        except OSError:  # not every file system has links
            shutil.copyfile(copy, to)
        return to.name
