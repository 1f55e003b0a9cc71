"""Lab Streaming Layer, for LabRecorder and other programs that record many devices on one clock. https://labstreaminglayer.org"""

from __future__ import annotations

import math
import re
import socket
import time
from urllib.parse import parse_qsl

import pylsl

from mien import __version__
from mien.errors import SettingsError
from mien.outputs.addresses import Address
from mien.outputs.base import Output
from mien.outputs.messages import ChangeMessage, FaceState, FrameMessage, Message
from mien.types import EXPRESSIONS

DEFAULT_NAME = "Mien"
DEFAULT_SLOTS = 4
MAX_SLOTS = 32

CHANNELS = (
    *((name, "probability") for name in EXPRESSIONS),
    ("unsure", "0 or 1"),
    ("quality", "0 to 1"),
    ("x", "share of the width"),
    ("y", "share of the height"),
    ("w", "share of the width"),
    ("h", "share of the height"),
    ("id", "number of the face"),
    ("frame", "number of the frame"),
)
"""Label and unit of each channel."""

MOST_DELAY_S = 60.0
"""A frame that seems to be older was captured before somebody set the computer's clock."""


class Lsl(Output):
    """One stream of values for each face slot, and one of markers for changes.

    Samples have the time of capture by the clock of LSL. The rate is irregular: there is a sample for each analyzed
    frame that contains the face, and one of NaN when it has left.

    Args:
        address: `lsl:`, `lsl:NAME` or `lsl:NAME?slots=2`; the streams are called "NAME face 1", ..., "NAME changes".
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        name, _, query = address.rest.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        slots = given.pop("slots", str(DEFAULT_SLOTS))
        if given or not re.fullmatch(r"[^/?#]*", name):
            raise SettingsError("--out: expected lsl:NAME?slots=NUMBER, both optional, found something else after lsl:")
        if not re.fullmatch("[0-9]{1,4}", slots) or not 1 <= int(slots) <= MAX_SLOTS:
            raise SettingsError(f"--out lsl: expected slots=1 to {MAX_SLOTS}, found {slots[:20]!r}")
        self._name = name or DEFAULT_NAME
        self._slots = int(slots)
        self._faces: list[pylsl.StreamOutlet] = []
        self._changes: pylsl.StreamOutlet | None = None
        self._present: set[int] = set()

    def open(self) -> None:
        """Announce the streams in the local network."""
        self._faces = [pylsl.StreamOutlet(self._describe_face(slot)) for slot in range(1, self._slots + 1)]
        self._changes = pylsl.StreamOutlet(self._describe_changes())

    def send(self, message: Message) -> None:
        """Push a sample for each face, or a marker."""
        if isinstance(message, ChangeMessage):
            assert self._changes is not None
            self._changes.push_sample([marker(message)], _lsl_time(message.at))
            return
        if not isinstance(message, FrameMessage):
            return
        at = _lsl_time(message.at if message.frame is None else message.frame.captured_at)
        shown = {face.slot: face for face in message.faces if face.slot <= self._slots}
        for slot, face in shown.items():
            index = math.nan if message.frame is None else message.frame.index
            self._faces[slot - 1].push_sample([*values_of(face), index], at)
        for slot in self._present - set(shown):
            self._faces[slot - 1].push_sample([math.nan] * len(CHANNELS), at)
        self._present = set(shown)

    def close(self) -> None:
        """End the streams."""
        self._faces, self._changes, self._present = [], None, set()

    def _describe_face(self, slot: int) -> pylsl.StreamInfo:
        name = f"{self._name} face {slot}"
        info = pylsl.StreamInfo(
            name, "Expressions", len(CHANNELS), pylsl.IRREGULAR_RATE, pylsl.cf_float32, self._source_id(name)
        )
        channels = info.desc().append_child("channels")
        for label, unit in CHANNELS:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", "Expressions" if label in EXPRESSIONS else "Misc")
        _describe_program(info)
        return info

    def _describe_changes(self) -> pylsl.StreamInfo:
        name = f"{self._name} changes"
        info = pylsl.StreamInfo(name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, self._source_id(name))
        _describe_program(info)
        return info

    def _source_id(self, name: str) -> str:
        """The same after a restart of the program, so that receivers go on."""
        return f"mien-{socket.gethostname()}-{name}".replace(" ", "-")


def values_of(face: FaceState) -> list[float]:
    """The values of CHANNELS without the last; NaN for what was not measured.

    Args:
        face: A face.
    """
    plain, position = face.plain, face.position
    quality = plain["quality"]
    return [
        *(float(plain["probabilities"][name]) for name in EXPRESSIONS),
        float(plain["unsure"]),
        math.nan if quality is None else float(quality),
        position.x,
        position.y,
        position.w,
        position.h,
        math.nan if face.face.id is None else float(face.face.id),
    ]


def marker(message: ChangeMessage) -> str:
    """A change as a short text: "label_settled slot=1 label=happy".

    Args:
        message: The change.
    """
    if message.face is None:
        return f"{message.type} state={message.source.state}"
    settled = f" label={message.face.label}" if message.type == "label_settled" else ""
    return f"{message.type} slot={message.face.slot}{settled}"


def _lsl_time(at: float) -> float:
    """A time of the computer's clock, in seconds since the epoch, on the clock of LSL."""
    ago_s = time.time() - at
    return pylsl.local_clock() - (ago_s if 0 <= ago_s <= MOST_DELAY_S else 0.0)


def _describe_program(info: pylsl.StreamInfo) -> None:
    acquisition = info.desc().append_child("acquisition")
    acquisition.append_child_value("manufacturer", "Mien")
    acquisition.append_child_value("model", __version__)
