"""The faces that the built-in demo draws, and the file that contains them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.errors import SourceMissingError
from mien.types import EXPRESSIONS

FACES_FILE = Path(__file__).with_name("demo_faces.npz")
PEOPLE = 3
SIDE_PX = 160
"""Of a face's tile in the file."""

FACE_MIDDLE, FACE_WIDTH = (0.5, 0.5), 0.57
"""Where the face is in its tile, and how wide, as shares of the tile's side."""

GRID = 40
"""Offsets across a tile."""

_STEP_PX = 0.25  # of an offset in the file


@dataclass(frozen=True, slots=True, eq=False)
class DemoFaces:
    """What the demo draws, for each person and expression.

    A face is stored as an appearance model does (Cootes, Edwards and Taylor, 1998): textures have one shape in
    common, and each pixel of a face is looked up in them. So between two expressions the features move.

        faces = DemoFaces.load()
        happy = faces.textures[0, EXPRESSIONS.index("happy")]  # uint8 (160, 160)

    Attributes:
        textures: uint8 (people, 7, side, side), gray, expressions in the order of EXPRESSIONS.
        offsets: float32 (people, 7, grid, grid, 2), how far away, in x and y, the texture is looked up: in pixels.
    """

    textures: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        people, labels, side = self.textures.shape[:3] if self.textures.ndim == 4 else (0, 0, 0)
        if self.textures.shape != (people, len(EXPRESSIONS), side, side) or self.textures.dtype != np.uint8 or not side:
            found = f"{self.textures.dtype} {self.textures.shape}"
            raise ValueError(
                f"expected uint8 textures of shape (people, {len(EXPRESSIONS)}, side, side), found {found}"
            )
        if self.offsets.shape[:2] != (people, labels) or self.offsets.shape[2:] != (GRID, GRID, 2):
            expected = f"({people}, {labels}, {GRID}, {GRID}, 2)"
            raise ValueError(f"expected offsets of shape {expected}, found {self.offsets.shape}")

    @classmethod
    def of(cls, textures: np.ndarray, lookups: np.ndarray) -> DemoFaces:
        """Make faces of textures and of where each pixel is looked up.

        Args:
            textures: uint8 (people, 7, side, side).
            lookups: float32 (people, 7, side, side, 2), x and y in pixels.
        """
        side = textures.shape[-1]
        y, x = np.mgrid[0:side, 0:side].astype(np.float32)
        moved = (lookups - np.stack([x, y], axis=-1)).reshape(-1, side, side, 2)
        smooth = [cv2.GaussianBlur(each, (0, 0), side / GRID) for each in moved]  # no steps between the grid's cells
        coarse = [cv2.resize(each, (GRID, GRID), interpolation=cv2.INTER_AREA) for each in smooth]
        return cls(textures, np.stack(coarse).reshape(*textures.shape[:2], GRID, GRID, 2))

    @classmethod
    def load(cls, path: Path = FACES_FILE) -> DemoFaces:
        """Load faces from a file that `save` has written.

        Args:
            path: The file.

        Raises:
            SourceMissingError: The file is missing or contains something else.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                sheet, offsets = file["sheet"], file["offsets"]
            pixels = cv2.imdecode(sheet, cv2.IMREAD_GRAYSCALE)
            if pixels is None:
                raise ValueError("its picture cannot be decoded")
            side = pixels.shape[1] // len(EXPRESSIONS)
            textures = pixels.reshape(-1, side, len(EXPRESSIONS), side).swapaxes(1, 2)
            return cls(np.ascontiguousarray(textures), offsets.astype(np.float32) * _STEP_PX)
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, cv2.error) as error:
            raise SourceMissingError(f"expected the demo's faces in {path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write the faces: a PNG picture of all textures, and the offsets in quarters of a pixel.

        Args:
            path: The file, which is replaced.
        """
        people, labels, side, _ = self.textures.shape
        sheet = self.textures.swapaxes(1, 2).reshape(people * side, labels * side)
        png = cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].ravel()
        steps = np.clip(np.round(self.offsets / _STEP_PX), -127, 127).astype(np.int8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, sheet=png, offsets=steps)
        path.write_bytes(buffer.getvalue())
