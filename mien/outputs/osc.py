"""Open Sound Control over UDP, for Unity, TouchDesigner, Max and others. https://opensoundcontrol.stanford.edu"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator, Sequence

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from mien.errors import NotTakenError, SettingsError
from mien.outputs.addresses import Address, endpoint
from mien.outputs.base import Output
from mien.outputs.messages import ChangeMessage, FaceState, FrameMessage, Message

DEFAULT_PREFIX = "mien"

MAX_BYTES = 1472
"""Of a bundle: what one packet of Ethernet holds. Longer datagrams are lost where any of their fragments is."""

Value = int | float | str


class Osc(Output):
    """Sends each frame as a bundle, or as several if there are many faces.

    Args:
        address: `osc://HOST:PORT` or `osc://HOST:PORT/PREFIX`; OSC addresses begin with the prefix, by default "mien".
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        parts = endpoint(address, None)
        if not re.fullmatch(r"[A-Za-z0-9._/-]*", parts.path):
            raise SettingsError(f"--out: {address.name}: expected letters, digits or . _ - / after the port")
        if parts.user is not None:
            raise SettingsError(f"--out: {address.name}: expected no user, OSC has none")
        self._host, self._port = parts.host, parts.port
        self._prefix = f"/{parts.path or DEFAULT_PREFIX}"
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Look up the host. UDP has no connection: whether somebody listens shows only on this computer."""
        family, kind, protocol, _, found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.connect(found)  # so that the system reports that nobody listens

    def send(self, message: Message) -> None:
        """Send a message as one bundle, or several."""
        if isinstance(message, FrameMessage):
            groups = list(frame_groups(self._prefix, message))
        elif isinstance(message, ChangeMessage):
            groups = [list(change_messages(self._prefix, message))]
        else:
            return
        for datagram in bundles(groups):
            self._send(datagram)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, datagram: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(datagram)
        except ConnectionRefusedError:  # of an earlier datagram; this one was not sent
            with contextlib.suppress(OSError):
                self._socket.send(datagram)  # somebody may listen by now
            raise NotTakenError(f"nothing listens on port {self._port}") from None
        except BlockingIOError:
            raise NotTakenError("the network is too slow") from None


def frame_groups(prefix: str, message: FrameMessage) -> Iterator[list[OscMessage]]:
    """The messages of a frame: a group about the frame, and one for each face, which belong into the same bundle.

    Args:
        prefix: Beginning of all addresses, such as "/mien".
        message: The frame.
    """
    frame = [
        _message(f"{prefix}/faces", len(message.faces)),
        _message(f"{prefix}/source", message.source.name, message.source.state),
        _message(f"{prefix}/fps", float(message.fps)),
    ]
    if message.frame is not None:
        frame.append(_message(f"{prefix}/frame", message.frame.index))
    yield frame
    for face in message.faces:
        yield list(face_messages(f"{prefix}/face/{face.slot}", face))


def face_messages(prefix: str, face: FaceState) -> Iterator[OscMessage]:
    """The messages of a face.

    Args:
        prefix: Beginning of all addresses, such as "/mien/face/1".
        face: The face.
    """
    plain, position, head = face.plain, face.position, face.face.head
    yield _message(f"{prefix}/present", 1)
    yield _message(f"{prefix}/id", face.face.id or 0)
    for name, probability in plain["probabilities"].items():
        yield _message(f"{prefix}/{name}", probability)
    yield _message(f"{prefix}/label", face.label)
    yield _message(f"{prefix}/confidence", plain["confidence"])
    yield _message(f"{prefix}/unsure", int(plain["unsure"]))
    yield _message(f"{prefix}/position", position.x, position.y, position.w, position.h)
    if plain["quality"] is not None:
        yield _message(f"{prefix}/quality", plain["quality"])
    if head is not None:
        yield _message(f"{prefix}/head", float(head.yaw_deg), float(head.pitch_deg), float(head.roll_deg))
        yield _message(f"{prefix}/eyes", float(head.left_eye), float(head.right_eye))
        yield _message(f"{prefix}/mouth", float(head.mouth))


def change_messages(prefix: str, message: ChangeMessage) -> Iterator[OscMessage]:
    """The messages of a change.

    Args:
        prefix: Beginning of all addresses, such as "/mien".
        message: The change.
    """
    if message.face is None:
        yield _message(f"{prefix}/source", message.source.name, message.source.state)
        return
    face = message.face
    if message.type == "face_left":
        yield _message(f"{prefix}/face/{face.slot}/present", 0)
    yield _message(f"{prefix}/{message.type}", face.slot, face.face.id or 0, face.label)


def bundles(groups: Sequence[Sequence[OscMessage]]) -> Iterator[bytes]:
    """Pack groups of messages into as few datagrams as possible, without dividing a group.

    Args:
        groups: The groups.
    """
    builder, size = OscBundleBuilder(IMMEDIATELY), 0
    for group in groups:
        added = sum(message.size + 4 for message in group)
        if size and size + added + 16 > MAX_BYTES:
            yield builder.build().dgram
            builder, size = OscBundleBuilder(IMMEDIATELY), 0
        for message in group:
            builder.add_content(message)
        size += added
    yield builder.build().dgram


def _message(address: str, *values: Value) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()
