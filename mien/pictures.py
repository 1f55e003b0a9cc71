"""One frame as JPEG, with boxes and labels and without, made for those who look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mien.clock import Clock
from mien.images.codecs import encode_jpeg
from mien.once import Once
from mien.types import Analysis, Frame


class Pictures:
    """Each is made when first asked for, and once for all who ask.

    drawn: the frame with boxes and labels, uint8 (height, width, 3), not to be changed. annotated: the same as JPEG.
    plain: the frame as it is, as JPEG. annotate: draws on a copy of a frame. quality: of the JPEG, 1..100.
    """

    def __init__(
        self,
        frame: Frame,
        analysis: Analysis,
        annotate: Callable[[Frame, Analysis], np.ndarray],
        quality: int,
        clock: Clock,
    ) -> None:
        self.drawn = Once(lambda: annotate(frame, analysis), clock.monotonic)
        self.annotated = Once(lambda: encode_jpeg(self.drawn(), quality), clock.monotonic)
        self.plain = Once(lambda: encode_jpeg(frame.pixels_bgr, quality), clock.monotonic)
