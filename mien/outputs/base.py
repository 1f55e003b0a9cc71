"""What every output has in common: a new kind is a subclass of `Output`, listed in `mien/outputs/kinds.py`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from mien.outputs.addresses import Address
from mien.outputs.messages import Message

OutputState = Literal["connecting", "connected", "waiting", "failed"]
"""State of an output: `waiting` until the next attempt, or for a receiver that takes nothing; `failed` for good."""


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """State of one output.

    Args:
        name: Its URL as it may be shown, without passwords.
        state: See `OutputState`.
        error: What went wrong last, in one line; None while it is connected.
        sent: Messages that were sent.
        dropped: Messages that were not, because the receiver was absent or too slow; those that `--out-fps` leaves
            out do not count.

    Example:
        for status in outputs.status():
            print(status.name, status.state, status.error or "")
    """

    name: str
    state: OutputState
    error: str | None = None
    sent: int = 0
    dropped: int = 0


class Output(ABC):
    """One output, which a `Runner` opens, feeds and closes, all in one thread of its own.

    Every method may take its time, since nobody else waits for it, but waits in steps that end when `stopping` is set,
    or with a time-out of at most a few seconds.

    Args:
        address: Where to send, as `--out` names it.

    Raises:
        SettingsError: The address lacks something, or has something that is not understood.

    Attributes:
        address: As given.
        stopping: Set when the program ends.

    Example:
        class Printer(Output):
            def send(self, message):
                print(message.json)
    """

    default_fps: ClassVar[float | None] = None
    """Most frames per second without `--out-fps`; None for all."""

    takes_frames: bool = True
    """Whether frames are sent, and not only changes."""

    connects: ClassVar[bool] = True
    """Whether `open` fails without a receiver; if not, only a message that was sent shows that there is one."""

    shows_pictures: ClassVar[bool] = False
    """Whether pictures are shown, so that a sharp one must not stay after privacy mode is switched on."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.stopping = threading.Event()

    def open(self) -> None:  # noqa: B027  not every kind has a connection
        """Connect. Raises OutputError or OSError if that fails."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send a message.

        Args:
            message: A frame or a change; `message.json` is its text, made once for all outputs.

        Raises:
            NotTakenError: This message was lost.
            OutputError, OSError: The connection is lost: it is closed, and opened again later.
        """

    def check(self) -> None:  # noqa: B027  most kinds notice only when they send
        """Called once a second while there is nothing to send. Raises as `send` if the connection is lost."""

    def close(self) -> None:  # noqa: B027  as `open`
        """Disconnect, and free everything; may be called again, and without `open` or after it has failed."""
