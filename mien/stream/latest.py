"""The newest value of one writer for any number of readers, none of which can slow it down."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """The newest value and its sequence number (1, 2, 3, ...); thread-safe.

    Older values are dropped, so there is no backpressure. A reader remembers the sequence number it read last and waits
    for a higher one, so a slow reader skips values and a fast reader gets each once.

        latest: Latest[str] = Latest()
        latest.publish("hello")
        sequence, value = latest.wait(after=0, timeout_s=1.0)
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._sequence = 0
        self._closed = False

    def publish(self, value: T) -> int:
        """Replace the value, wake all waiting readers, and return the new sequence number."""
        with self._condition:
            self._value = value
            self._sequence += 1
            self._condition.notify_all()
            return self._sequence

    def close(self) -> None:
        """Wake all readers for the last time: from now on `wait` returns at once."""
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
        """Wait for a newer value.

        Args:
            after: The sequence number read last.
            timeout_s: How long to wait, in seconds.

        Returns:
            The newest sequence number and value: newer than `after`, unless the time-out ended or the writer closed.
        """
        deadline = time.monotonic() + timeout_s
        with self._condition:
            while self._sequence <= after and not self._closed:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    break
                self._condition.wait(remaining_s)
            return self._sequence, self._value
