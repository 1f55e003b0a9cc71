"""One writer, any number of readers, and no reader can slow the writer."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """The newest value and its sequence number (1, 2, 3, ...); older values are gone.

    A reader remembers the number it saw last and waits for a higher one, so a slow reader skips
    values and a fast one sees each once.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._sequence = 0
        self._closed = False

    def publish(self, value: T) -> int:
        """Replace the value, wake every waiting reader, return the new sequence number."""
        with self._condition:
            self._value = value
            self._sequence += 1
            self._condition.notify_all()
            return self._sequence

    def close(self) -> None:
        """Wake every reader for the last time: from now on `wait` returns at once."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the writer has finished."""
        return self._closed

    def peek(self) -> tuple[int, T | None]:
        """The newest sequence number and value, at once; (0, None) before the first value."""
        with self._condition:
            return self._sequence, self._value

    def wait(self, after: int, timeout_s: float) -> tuple[int, T | None]:
        """The newest (sequence, value) as soon as its number is higher than `after`.

        After `timeout_s` seconds, or once closed, the newest there is, which may be the one already seen.
        """
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._sequence <= after and not self._closed:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    break
                self._condition.wait(remaining_s)
            return self._sequence, self._value
