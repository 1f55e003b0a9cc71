"""A value that is made when somebody first asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class Once(Generic[T]):
    """Call it for the value; it is made by the first call, at most once, and other threads wait for that one.

    make: called without arguments, and let go of when it has given the value. What it raises is raised to who asked,
    and the next who asks tries again. now: a clock in seconds.
    """

    def __init__(self, make: Callable[[], T], now: Callable[[], float] = time.perf_counter) -> None:
        self.took_ms = 0.0
        """Milliseconds the making took; 0 until then."""
        self._make: Callable[[], T] | None = make
        self._now = now
        self._lock = threading.Lock()
        self._value: T | None = None

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            if self._make is not None:
                start_s = self._now()
                self._value = self._make()
                self._make = None  # it may hold pictures that nobody needs any more
                self.took_ms = (self._now() - start_s) * 1000
            return cast(T, self._value)
