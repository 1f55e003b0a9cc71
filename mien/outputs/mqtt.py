"""MQTT 3.1.1, for Home Assistant and other smart homes. https://docs.oasis-open.org/mqtt/mqtt/v3.1.1

Topics with the state are retained, so that whoever subscribes later gets them at once; they are published when they
change, and all of them after each connection, since a broker that restarts may have lost them.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from mien.errors import NotTakenError, OutputError, SettingsError
from mien.options import from_home
from mien.outputs.addresses import Address, endpoint
from mien.outputs.base import Output
from mien.outputs.home_assistant import NO_FACE, NOT_SETTLED, discovery
from mien.outputs.messages import ChangeMessage, FaceState, FrameMessage, Message

PORT, TLS_PORT = 1883, 8883
DEFAULT_PREFIX = "mien"
DEFAULT_SLOTS = 4
MAX_SLOTS = 16

KEEPALIVE_S = 10
"""Without anything from the broker for one and a half times as long, the connection counts as lost."""

CONNECT_WITHIN_S = 5.0
SAY_GOODBYE_WITHIN_S = 0.5
LOST = "the connection is lost"
MAX_UNCONFIRMED = 100
"""Messages that wait for the broker's confirmation; beyond them, new ones are dropped."""

AT_MOST_ONCE, AT_LEAST_ONCE = 0, 1  # quality of service


class Mqtt(Output):
    """Publishes the state as retained topics, changes as events, and frames a few times a second.

    Args:
        address: `mqtt://USER:PASSWORD@HOST:PORT/PREFIX?slots=4&discovery=homeassistant`, or `mqtts://` for TLS, with
            `ca=FILE` for a certificate authority that the system does not know.
    """

    default_fps = 2.0

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._encrypted = address.kind == "mqtts"
        options = ("slots", "discovery", *(("ca",) if self._encrypted else ()))
        self._endpoint = endpoint(address, TLS_PORT if self._encrypted else PORT, options=options)
        self._prefix = self._endpoint.path or DEFAULT_PREFIX
        if re.search(r"[+#\x00-\x1f]", self._prefix):
            raise SettingsError(f"--out: {address.name}: expected a topic without + and #, found one with")
        slots = self._endpoint.options.get("slots", str(DEFAULT_SLOTS))
        if not re.fullmatch(r"[0-9]{1,2}", slots) or not 1 <= int(slots) <= MAX_SLOTS:
            raise SettingsError(f"--out: {address.name}: slots: expected 1 to {MAX_SLOTS}, found {slots!r}")
        self._slots = int(slots)
        root = self._endpoint.options.get("discovery", "homeassistant")
        self._discovery = discovery(root, self._prefix, self._slots) if root else {}
        self._ca = self._endpoint.options.get("ca")
        if self._ca is not None and not Path(from_home(self._ca)).is_file():
            raise SettingsError(f"--out: {address.name}: ca: expected the file of a certificate, found none")
        self._client: Client | None = None
        self._connected = threading.Event()
        self._lost: str | None = None
        self._published: dict[str, str] = {}  # retained topics, by what was published since the connection
        self._faces: dict[int, FaceState] = {}  # by slot
        self._frame_s = 0.0  # when the last frame and change that were applied were made
        self._change_s = 0.0

    def open(self) -> None:
        """Connect, and publish what does not change."""
        self._connected.clear()
        self._lost = None
        self._published.clear()
        self._faces.clear()
        self._client = client = self._new_client()
        client.connect(self._endpoint.host, self._endpoint.port, keepalive=KEEPALIVE_S)
        client.loop_start()
        deadline_s = time.monotonic() + CONNECT_WITHIN_S
        while not self._connected.wait(0.05):
            self._raise_if_lost()
            if self.stopping.is_set() or time.monotonic() > deadline_s:
                raise OutputError("the broker does not answer")
        for topic, config in self._discovery.items():
            self._retain(topic, json.dumps(config))
        self._retain(f"{self._prefix}/status", "online")

    def send(self, message: Message) -> None:
        """Publish what has changed, and the message itself."""
        self._raise_if_lost()
        if not self._is_written():
            return
        self._retain(f"{self._prefix}/source", json.dumps(message.source.to_dict()))
        if isinstance(message, FrameMessage):
            if message.made_s >= self._change_s:  # else it waited for the broker, and the state is newer
                self._frame_s = message.made_s
                self._faces = {face.slot: face for face in message.faces}
                self._retain(f"{self._prefix}/faces", str(len(message.faces)))
                self._retain_faces()
            self._publish(f"{self._prefix}/frame", message.json, AT_MOST_ONCE)
        elif isinstance(message, ChangeMessage):
            if message.made_s > self._frame_s:  # as above
                self._change_s = message.made_s
                self._note(message)
            self._publish(f"{self._prefix}/event", message.json, AT_LEAST_ONCE)

    def check(self) -> None:
        """Raises OutputError if the connection is lost."""
        self._raise_if_lost()

    def close(self) -> None:
        """Say that this output is offline, and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._connected.is_set() and self._lost is None:
            with contextlib.suppress(ValueError, RuntimeError, OSError):
                last = client.publish(f"{self._prefix}/status", "offline", AT_LEAST_ONCE, retain=True)
                last.wait_for_publish(SAY_GOODBYE_WITHIN_S)
                if last.is_published():
                    client.disconnect()
        # The library's thread does not end while there is something to send, so what it waits for has to end.
        if (connection := client.socket()) is not None:
            with contextlib.suppress(OSError):
                # Not that of TLS, which first takes away what the library's thread encrypts with.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # type: ignore[arg-type]
        client.loop_stop()

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"mien-{secrets.token_hex(6)}", reconnect_on_failure=False
        )
        client.disable_logger()  # what it would log, `status` and the log say in other words
        client.connect_timeout = CONNECT_WITHIN_S
        client.max_queued_messages_set(MAX_UNCONFIRMED)
        client.will_set(f"{self._prefix}/status", "offline", AT_LEAST_ONCE, retain=True)
        if self._endpoint.user is not None:
            client.username_pw_set(self._endpoint.user, self._endpoint.password)
        if self._encrypted:
            client.tls_set(None if self._ca is None else from_home(self._ca))  # verifies certificate and host name
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        return client

    # --- in the thread of the client

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"the broker refuses: {str(reason).lower()}"
        else:
            self._connected.set()

    def _on_disconnect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if client is self._client and self._lost is None:
            cause = str(reason).lower()
            self._lost = LOST if cause == "unspecified error" else f"{LOST}: {cause}"

    # --- in the thread of the output

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise OutputError(self._lost)

    def _is_written(self) -> bool:
        """Wait until what was published is on its way: a slow broker must not fill the memory. False at the end."""
        while self._client is not None and self._client.want_write():
            self._raise_if_lost()
            if self.stopping.wait(0.005):
                return False
        return self._client is not None

    def _note(self, message: ChangeMessage) -> None:
        """Publish a settled label at once, and not with the next frame that is sent."""
        face = message.face
        if face is None:
            return
        if message.type == "face_left":
            self._faces.pop(face.slot, None)
        else:
            self._faces[face.slot] = face
        self._retain_faces()

    def _retain_faces(self) -> None:
        for slot in range(1, self._slots + 1):
            topic, face = f"{self._prefix}/face/{slot}", self._faces.get(slot)
            label = _state(face)
            if self._published.get(f"{topic}/label") != label:
                # Before the label: if the broker does not take one of them, both are tried again.
                self._retain(topic, json.dumps({} if face is None else face.plain))
                self._retain(f"{topic}/label", label)
        smiles = any(_state(face) == "happy" for face in self._faces.values())
        self._retain(f"{self._prefix}/smile", "ON" if smiles else "OFF")

    def _retain(self, topic: str, text: str) -> None:
        """Publish a retained topic if its text has changed."""
        if self._published.get(topic) != text:
            self._publish(topic, text, AT_LEAST_ONCE, retain=True)
            self._published[topic] = text

    def _publish(self, topic: str, text: str, quality: int, *, retain: bool = False) -> MQTTMessageInfo:
        assert self._client is not None
        info = self._client.publish(topic, text, quality, retain=retain)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise NotTakenError("the broker does not confirm messages")
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OutputError(self._lost or LOST)
        return info


def _state(face: FaceState | None) -> str:
    return NO_FACE if face is None else face.settled_label or NOT_SETTLED
