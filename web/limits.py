"""How many streams and requests may be open at once, and what the others are answered."""

from __future__ import annotations

import threading

from flask import Response, jsonify, request

RETRY_AFTER_S = 5

PARTS_PER_S = 3000
"""To all viewers together: above it (100 viewers of 30 frames a second) they get fewer, and the analysis its time."""


class Viewers:
    """Which streams are open. Refuses more than `limit`, so that workers are left for everything else."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"at least one stream must be allowed, found a limit of {limit}")
        self.limit = limit
        self._lock = threading.Lock()
        self._names: list[str] = []

    @property
    def count(self) -> int:
        """Streams open at this moment."""
        return len(self._names)

    @property
    def pause_s(self) -> float:
        """How long each picture stays where so many watch; 0 for up to 100 viewers."""
        return self.count / PARTS_PER_S if self.count > PARTS_PER_S / 30 else 0.0

    def __contains__(self, name: str) -> bool:
        """Whether a stream of this name is open."""
        with self._lock:
            return name in self._names

    def enter(self, name: str = "") -> bool:
        """Take a place; False when all are taken."""
        with self._lock:
            if len(self._names) >= self.limit:
                return False
            self._names.append(name)
            return True

    def leave(self, name: str = "") -> None:
        """Give the place back."""
        with self._lock:
            self._names.remove(name)


def refusal(text: str) -> Response:
    """All places are taken: JSON for programs, a line of text for people."""
    response = jsonify(error=text) if request.path.startswith("/api/") else Response(f"{text}\n", mimetype="text/plain")
    response.status_code = 503
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
