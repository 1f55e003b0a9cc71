"""Keeps the web server running whatever the app raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

App = Callable[[dict[str, Any], Any], Iterable[bytes]]

log = logging.getLogger(__name__)


def guarded(app: App) -> App:
    """The same WSGI app, which raises nothing that would end the server.

    A server takes SystemExit and KeyboardInterrupt for a request to stop, but a library that raises one while a picture
    is drawn should cost one answer, not the program.

    Args:
        app: The app.
    """

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return _Guarded(_contain(lambda: app(environ, start_response)))

    return call


def _contain(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception:  # includes StopIteration; the server handles these
        raise
    except BaseException as error:
        log.exception("a request ended unexpectedly")
        raise RuntimeError(f"{type(error).__name__} in a request") from error


class _Guarded:
    """The parts of an answer."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        self._next = iter(parts).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return _contain(self._next)

    def close(self) -> None:
        """Release what the answer holds, such as a place among the streams."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            _contain(close)
