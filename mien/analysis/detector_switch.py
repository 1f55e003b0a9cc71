"""The detectors that may be chosen while the program runs, and the one in use."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mien.analysis.pipeline import Pipeline
from mien.detectors import DETECTORS, Detector, choose_detector
from mien.detectors.centerface import installed_file
from mien.errors import DetectorError


class DetectorSwitch:
    """Replaces the detector of a pipeline, for all streams and uploads; thread-safe.

    A detector is made when it is first chosen; meanwhile the pipeline goes on with the previous one.

        switch = DetectorSwitch("auto", available_detectors(), lambda: pipeline, create_detector)
        switch.switch("haar")

    Args:
        current: Name of the detector that the pipeline has.
        available: Names of those that may be chosen.
        pipeline: Returns the pipeline, after it has been loaded.
        make: Makes a detector by name.
    """

    def __init__(
        self,
        current: str,
        available: Sequence[str],
        pipeline: Callable[[], Pipeline],
        make: Callable[[str], Detector],
    ) -> None:
        self.current = current
        self.available = tuple(available)
        self._pipeline = pipeline
        self._make = make
        self._lock = threading.Lock()  # one change at a time
        self._made: dict[str, Detector] = {}

    def switch(self, name: str) -> None:
        """Use another detector from the next detection on; returns when it is in use.

        Args:
            name: One of `available`.

        Raises:
            DetectorError: It is not available, or is broken; the previous one stays in use.
        """
        if name not in self.available:
            raise DetectorError(f"expected an installed detector, {' or '.join(self.available)}; found {name!r}")
        with self._lock:
            pipeline = self._pipeline()
            self._made.setdefault(self.current, pipeline.detector)
            if name not in self._made:
                self._made[name] = self._make(name)
            pipeline.detector = self._made[name]
            self.current = name

    def renew(self) -> None:
        """Replace the detector in use by a new one of the same kind, after a detection that never returned.

        Raises:
            DetectorError: No further one can be made; the same one stays in use.
        """
        with self._lock:
            pipeline = self._pipeline()
            self._made[self.current] = pipeline.detector = self._make(self.current)


def available_detectors(model_file: str | Path | None = None) -> list[str]:
    """Names of the detectors whose packages and files are installed, in the order of DETECTORS.

    Args:
        model_file: The network of yunet.
    """
    there = {
        "auto": choose_detector("auto", model_file) == "auto",
        "haar": True,
        "centerface": installed_file() is not None,
        "yunet": model_file is not None,
        "dlib": _is_installed("dlib"),
        "mtcnn": _is_installed("mtcnn") and _is_installed("tensorflow"),  # mtcnn itself does not require it
    }
    return [name for name in DETECTORS if there[name]]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
