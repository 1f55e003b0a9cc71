"""How many streams and requests may run concurrently, and the answer to the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, jsonify, request
from werkzeug.exceptions import TooManyRequests

RETRY_AFTER_S = 5

PARTS_PER_S = 3000
"""Pictures per second, to all viewers together. Above it (100 viewers at 30 fps) each viewer gets fewer, which leaves
processor time for the analysis."""


class Slots:
    """A limited number of concurrent uses, each with an optional name; thread-safe.

    Args:
        limit: Number of slots.

    Raises:
        ValueError: The limit is below 1.

    Example:
        slots = Slots(2)
        if slots.acquire():
            slots.release()
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"expected a limit of at least 1, found {limit}")
        self.limit = limit
        self._lock = threading.Lock()
        self._names: list[str] = []

    @property
    def count(self) -> int:
        """Slots in use."""
        return len(self._names)

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self.count >= self.limit

    def __contains__(self, name: str) -> bool:
        """Whether a slot is in use under this name."""
        with self._lock:
            return name in self._names

    def acquire(self, name: str = "") -> bool:
        """Take a slot.

        Args:
            name: Name under which it is taken; several slots may have the same.

        Returns:
            False if none is free.
        """
        with self._lock:
            if self.full:
                return False
            self._names.append(name)
            return True

    @contextmanager
    def hold(self, refusal: str, retry_after_s: int) -> Iterator[None]:
        """A context that holds a slot.

        Args:
            refusal: What the answer says where none is free.
            retry_after_s: When it is worth trying again, in seconds.

        Raises:
            TooManyRequests: None is free.
        """
        if not self.acquire():
            raise TooManyRequests(refusal, retry_after=retry_after_s)
        try:
            yield
        finally:
            self.release()

    def release(self, name: str = "") -> None:
        """Return a slot that was taken under this name."""
        with self._lock:
            self._names.remove(name)


def pause_s(viewers: int) -> float:
    """Minimum time between two pictures of one stream, in seconds.

    Args:
        viewers: Number of open picture streams; up to 100 need no pause.
    """
    return viewers / PARTS_PER_S if viewers > PARTS_PER_S / 30 else 0.0


def refusal(text: str) -> Response:
    """The answer 503 to a stream without a slot: JSON below /api/, else a line of text.

    Args:
        text: What was expected and what was found.
    """
    response = jsonify(error=text) if request.path.startswith("/api/") else Response(f"{text}\n", mimetype="text/plain")
    response.status_code = 503
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
