"""How a network was fed: the range of pixels that it was trained on, which most files do not say."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Pixels = Literal["0..255", "0..1", "-1..1", "standardize"]
PIXELS: tuple[Pixels, ...] = get_args(Pixels)
"""Ranges of pixels that networks are trained on; `standardize`: each image to mean 0 and standard deviation 1."""

DEFAULT: Pixels = "0..255"
"""Of the networks of this project: they scale inside."""

_OF_SCALE: dict[int, Pixels] = {1: "0..255", 255: "0..1"}


def wanted_pixels(pixels: str | None, input_scale: int | None) -> Pixels | None:
    """Join the two ways to name the range of pixels.

    Args:
        pixels: One of PIXELS, or None.
        input_scale: 1, which means 0..255, 255, which means 0..1, or None.

    Returns:
        The range; None where neither is given.

    Raises:
        ValueError: One is another value, or the two contradict each other.
    """
    if input_scale is not None and input_scale not in _OF_SCALE:
        raise ValueError(f"input scale: expected 1 or 255, found {input_scale!r}")
    if pixels is not None and pixels not in PIXELS:
        raise ValueError(f"pixels: expected {', '.join(PIXELS[:-1])} or {PIXELS[-1]}, found {pixels!r}")
    by_scale = None if input_scale is None else _OF_SCALE[input_scale]
    if pixels is None or by_scale is None:
        return by_scale or next((each for each in PIXELS if each == pixels), None)
    if pixels != by_scale:
        raise ValueError(
            f"pixels: expected {by_scale}, which the input scale {input_scale} means, or no input scale, found {pixels}"
        )
    return by_scale


def feed(faces: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Convert gray values to the range that a network was trained on.

    Args:
        faces: float32 0..255, (n, height, width) or more dimensions.
        pixels: The range.

    Returns:
        float32 of the same shape.
    """
    if pixels == "0..255":
        return faces
    if pixels == "0..1":
        return faces / np.float32(255)
    if pixels == "-1..1":
        return faces / np.float32(127.5) - np.float32(1)
    axes = tuple(range(1, faces.ndim))
    deviation = faces.std(axis=axes, keepdims=True)
    return np.asarray((faces - faces.mean(axis=axes, keepdims=True)) / np.maximum(deviation, np.float32(1)), np.float32)
