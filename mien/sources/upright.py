"""Pictures of a video as a player shows them: upright, with square pixels, and HDR reduced to the range of a screen."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import cv2
import numpy as np

from mien.errors import SourceError

MAX_PIXEL_ASPECT = 8
"""A file that asks for pixels wider or taller than this is not believed."""

REFERENCE_WHITE_NITS = 203.0
"""Luminance of diffuse white in HDR video: Rec. ITU-R BT.2408, table 1."""
HLG_PEAK_NITS = 1000.0
KNEE = 0.75
"""From this share of diffuse white on, highlights are compressed; below, nothing changes."""

_PQ, _HLG = 16, 18  # transfer characteristics: Rec. ITU-T H.273, table 3


def believed_aspect(pixel_aspect: Fraction | None) -> float:
    """The aspect ratio of the pixels as it is applied.

    Args:
        pixel_aspect: Width of a pixel divided by its height, as the file states it; None for square ones.

    Returns:
        The same as a number, 1 / MAX_PIXEL_ASPECT to MAX_PIXEL_ASPECT; 1 for one that is not believed.
    """
    aspect = float(pixel_aspect or 1)
    return aspect if 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT else 1.0


class PictureConverter:
    """Converts the decoded pictures of one video.

        convert = PictureConverter(stream.sample_aspect_ratio)
        pixels_bgr = convert(picture)

    Args:
        pixel_aspect: Width of a pixel divided by its height; None for square ones.
    """

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        from av.video.reformatter import VideoReformatter

        self._aspect = believed_aspect(pixel_aspect)
        self._rotation: float | None = None
        self._matrix: tuple[int, ...] | None = None
        self._reformatter = VideoReformatter()  # one for all pictures: `to_ndarray` would prepare another for each

    def __call__(self, picture: Any) -> np.ndarray:
        """Convert a picture.

        Args:
            picture: The `av.VideoFrame`.

        Returns:
            uint8 (height, width, 3), blue-green-red.

        Raises:
            SourceError: Its format cannot be converted.
        """
        import av

        try:
            pixels = self._reformatter.reformat(picture, format="bgr24").to_ndarray()
        except (av.error.FFmpegError, ValueError) as error:
            raise SourceError(f"pictures in the format {picture.format.name} cannot be converted") from error
        curve = tone_curve(int(picture.color_trc))
        if curve is not None:
            pixels = cv2.LUT(pixels, curve)
        if self._aspect != 1:
            height, width = pixels.shape[:2]
            size = max(1, round(width * self._aspect)), height
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        if picture.rotation != self._rotation:  # looking at the matrix keeps a picture until garbage is collected
            self._rotation, self._matrix = picture.rotation, display_matrix(picture)
        return turned(pixels, self._matrix)


def display_matrix(picture: Any) -> tuple[int, ...] | None:
    """The matrix by which a file asks to turn a picture.

    Args:
        picture: The `av.VideoFrame`.

    Returns:
        Nine fixed-point numbers (ISO/IEC 14496-12, 8.3.2); None where the file asks for nothing.
    """
    for data in picture.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return tuple(int(number) for number in np.frombuffer(bytes(data), np.int32, 9))
    return None


def turned(pixels: np.ndarray, matrix: tuple[int, ...] | None) -> np.ndarray:
    """Turn and mirror a picture, to the nearest quarter turn.

    Args:
        pixels: uint8 (height, width, 3).
        matrix: As `display_matrix` returns it: a point (x, y) is shown at (a x + c y, b x + d y).
    """
    if matrix is None:
        return pixels
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if a == b == c == d == 0:
        return pixels
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels = cv2.transpose(pixels)
        mirrored, flipped = c < 0, b < 0
    else:
        mirrored, flipped = a < 0, d < 0
    if mirrored or flipped:
        pixels = cv2.flip(pixels, -1 if mirrored and flipped else int(mirrored))
    return pixels


@cache
def tone_curve(transfer: int) -> np.ndarray | None:
    """The curve that reduces HDR to the range of a screen, for each of the three colors alike.

    Args:
        transfer: Transfer characteristics of the video (Rec. ITU-T H.273, table 3).

    Returns:
        uint8 (256,): the value to show for each value in the video. None for anything but PQ and HLG.
    """
    to_nits = {_PQ: _pq_nits, _HLG: _hlg_nits}.get(transfer)
    if to_nits is None:
        return None
    return np.array([round(255 * _shown(to_nits, value / 255)) for value in range(256)], np.uint8)


def _shown(to_nits: Callable[[float], float], value: float) -> float:
    """Linear up to the knee, then compressed toward white; encoded as sRGB (IEC 61966-2-1)."""
    linear = to_nits(value) / REFERENCE_WHITE_NITS
    if linear > KNEE:
        linear = KNEE + (1 - KNEE) * (1 - math.exp((KNEE - linear) / (1 - KNEE)))
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _pq_nits(value: float) -> float:
    """SMPTE ST 2084, equation 4.1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = value ** (1 / m2)
    return float(10000 * (max(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg_nits(value: float) -> float:
    """Rec. ITU-R BT.2100, table 5: inverse OETF, then the OOTF of a display of HLG_PEAK_NITS, for gray."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = value**2 / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12
    return HLG_PEAK_NITS * scene**1.2
