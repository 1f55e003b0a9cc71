"""A frame made small and gray, as detection and following need it."""

from __future__ import annotations

import cv2
import numpy as np


def reduced_gray(pixels_bgr: np.ndarray, longer_side_px: int) -> tuple[np.ndarray, float]:
    """(the picture in gray, its longer side at most longer_side_px; how much smaller it is than before, 0..1).

    pixels_bgr: uint8 (height, width, 3). Averaging all pixels of a large picture costs 3 ms, as much as everything else
    between two detections. So it is taken to twice the size asked for by bilinear interpolation, which looks at four
    pixels for each it gives, and only then averaged: a fifth of the time, and for 1280x720 the very same.
    """
    height, width = pixels_bgr.shape[:2]
    reduction = min(1.0, longer_side_px / max(height, width))
    size = max(1, round(width * reduction)), max(1, round(height * reduction))
    if reduction < 0.5:
        pixels_bgr = cv2.resize(pixels_bgr, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    gray = cv2.cvtColor(pixels_bgr, cv2.COLOR_BGR2GRAY)
    if reduction == 1:
        return gray, reduction
    average = cv2.INTER_AREA if reduction <= 0.5 else cv2.INTER_LINEAR
    return cv2.resize(gray, size, interpolation=average), reduction
