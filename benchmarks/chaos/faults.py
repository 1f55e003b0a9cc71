"""The faults that are caused, one at a time."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from mien.errors import OutputError, SourceError


class Switchboard:
    """Breaks named places of the program while a fault is on.

    board = Switchboard()
    with board.breaking("detector", MemoryError()):
        ...  # board.strike("detector") raises MemoryError meanwhile
    """

    def __init__(self) -> None:
        self._faults: dict[str, BaseException | threading.Event] = {}
        self.struck: set[str] = set()
        """Places that were reached while they were broken."""

    def strike(self, place: str) -> None:
        """Called by each place: raises or hangs if it is broken.

        Args:
            place: Its name.
        """
        fault = self._faults.get(place)
        if fault is None:
            return
        self.struck.add(place)
        if isinstance(fault, threading.Event):
            fault.wait()
        else:
            raise type(fault)(*fault.args)  # a new one: each `raise` adds frames to its traceback, with their pictures

    @contextmanager
    def breaking(self, place: str, error: BaseException | None) -> Iterator[None]:
        """A context in which a place is broken.

        Args:
            place: Its name.
            error: What it raises; None: it hangs until the context ends.
        """
        hang = threading.Event()
        self.struck.discard(place)
        self._faults[place] = hang if error is None else error
        try:
            yield
        finally:
            del self._faults[place]
            hang.set()


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        name: For the table.
        cause: Causes it; a context that ends it.
        loses: What may end because of it and has to say so, "recording" or "video"; it is begun anew afterwards.
        seconds: How long it lasts.
        place: That has to be reached while it lasts, else nothing was tried; None if its cause is all there is.
        hangs: Whether it is a hang, which lasts for seconds.
        spares_rows: Whether rows must go on while it lasts.
    """

    name: str
    cause: Callable[[], AbstractContextManager[object]] = field(repr=False)
    loses: Sequence[str] = ()
    seconds: float = 0.5
    place: str | None = None
    hangs: bool = False
    spares_rows: bool = False


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")

BROKEN: dict[str, tuple[tuple[BaseException | None, ...], tuple[str, ...]]] = {
    "open": ((SourceError("unplugged"), RuntimeError("driver"), None), ()),
    "read": ((SourceError("unplugged"), RuntimeError("driver"), SystemExit(1), MemoryError(), None), ()),
    "detector": ((ValueError("pixels"), SystemExit(1), MemoryError(), None), ()),
    "classifier": ((ValueError("shape"), KeyboardInterrupt(), None), ()),
    "prepare": ((ValueError("privacy"), SystemExit(1)), ()),
    "draw": ((ValueError("font"), SystemExit(1), MemoryError()), ()),
    "encode": ((ValueError("JPEG"), MemoryError()), ()),
    "rows": ((NO_SPACE, ValueError("row"), MemoryError(), SystemExit(1)), ("recording",)),
    "frames": ((NO_SPACE, ValueError("frame"), MemoryError(), SystemExit(1)), ("video",)),
    "output": ((OutputError("gone"), NO_SPACE, ValueError("message"), MemoryError(), SystemExit(1), None), ()),
}
"""Places of the program, what they raise (None: they hang), and what may end because of that."""

REACHED_BY: dict[str, tuple[str, BaseException]] = {"open": ("read", SourceError("unplugged"))}
"""What has to fail so that a place is reached: a source is opened again when it cannot be read."""


def broken_places(board: Switchboard) -> list[Fault]:
    """A fault for each place and each exception.

    Args:
        board: Breaks them.
    """
    faults = []
    for place, (errors, loses) in BROKEN.items():
        for error in errors:
            kind = "hangs" if error is None else type(error).__name__
            seconds = 3.0 if error is None else 0.5

            def cause(place: str = place, error: BaseException | None = error) -> AbstractContextManager[None]:
                return _breaking(board, place, error)

            name, spares = f"{place}: {kind}", place == "output"
            faults.append(Fault(name, cause, loses, seconds, place, hangs=error is None, spares_rows=spares))
    return faults


@contextmanager
def _breaking(board: Switchboard, place: str, error: BaseException | None) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(board.breaking(place, error))
        if place in REACHED_BY:
            stack.enter_context(board.breaking(*REACHED_BY[place]))
        yield
