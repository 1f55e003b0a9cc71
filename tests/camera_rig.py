"""A VideoCamera with all its dependencies replaced by fakes."""

from dataclasses import fields

import numpy as np

from camera import VideoCamera
from mien.errors import SourceError
from mien.loading import Loading
from mien.stream.config import CameraOptions, Services, Timeouts
from tests.fakes import FakeClock, FakeFaceStream, FakeOpener, FakePipeline, FakeSource
from tests.patience import wait_for

FRAME = (32, 24)
DIED = SourceError("it died")


def _pick(kind, given):
    """The dataclass with its fields from `given`, from which they are removed."""
    return kind(**{field.name: given.pop(field.name) for field in fields(kind) if field.name in given})


class Rig:
    """A camera with all its dependencies replaced by fakes, which are attributes."""

    def __init__(self, *opened, spec="0", load=None, **options):
        """load: makes the pipeline in the background, in place of one that is there."""
        self.sources = [source for source in opened if isinstance(source, FakeSource)]
        self.opener = FakeOpener(*opened)
        self.pipeline = FakePipeline()
        self.clock = FakeClock()
        self.placeholders = []
        self.streams = []
        self.numbers = []  # of their faces, an iterator for each
        given = {
            "open": self.opener,
            "clock": self.clock,
            "draw": lambda frame, analysis: frame.pixels_bgr.copy(),
            "placeholder": self.placeholder,
            "make_stream": self.make_stream,
            "tick_s": 0.01,
            **options,
        }
        self.camera = VideoCamera(
            spec,
            self.pipeline if load is None else Loading(load),
            options=_pick(CameraOptions, given),
            timeouts=_pick(Timeouts, given),
            services=_pick(Services, given),
        )
        assert not given, f"no field of CameraOptions, Timeouts or Services: {list(given)}"

    def placeholder(self, width, height, lines):
        self.placeholders.append(list(lines))
        return np.full((height, width, 3), 255, np.uint8)

    def make_stream(self, pipeline, numbers):
        self.numbers.append(numbers)
        self.streams.append(FakeFaceStream(pipeline))
        return self.streams[-1]

    def until(self, state):
        return wait_for(lambda: (status := self.camera.status()).state == state and status)

    def until_reason(self, part):
        """Wait until the camera is reconnecting for this reason; returns the status."""
        status = wait_for(lambda: part in ((status := self.camera.status()).reason or "") and status)
        assert status.state == "reconnecting"
        return status

    def until_analyzed(self, count):
        wait_for(lambda: len(self.pipeline.seen) >= count and self.camera._health.busy_since_s is None)

    def snapshot(self, condition):
        """Wait for a newest snapshot that meets the condition, and return it."""
        return wait_for(lambda: (found := self.camera.snapshots.peek()[1]) and condition(found) and found)
