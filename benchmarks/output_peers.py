"""The receivers of benchmarks/outputs.py, each a process: `python -m benchmarks.output_peers NAME WHERE`.

It prints `ready`, and then for each frame it receives a line with the frame's index and the time in seconds since the
epoch.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


def received(index: int) -> None:
    """Note that a frame has arrived; the first call of a receiver does nothing else."""
    print(index, time.time(), flush=True)


def received_json(text: str | bytes | bytearray) -> None:
    """Note a message in JSON, if it is about a frame."""
    at_s = time.time()
    message = json.loads(text)
    if message["type"] == "frame" and message["frame"] is not None:
        print(message["frame"]["index"], at_s, flush=True)


def ready() -> None:
    """Note that messages may come."""
    print("ready", flush=True)


def read_lines(where: str) -> None:
    """Read lines of JSON from a named pipe."""
    ready()
    while True:
        with Path(where).open(encoding="ascii") as pipe:
            for line in pipe:
                received_json(line)


def serve_osc(where: str) -> None:
    """Receive OSC."""
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import BlockingOSCUDPServer

    dispatcher = Dispatcher()
    dispatcher.map("/mien/frame", lambda _address, index: received(index))
    server = BlockingOSCUDPServer(("127.0.0.1", urlsplit(where).port or 0), dispatcher)
    ready()
    server.serve_forever()


def subscribe_mqtt(where: str) -> None:
    """Subscribe to the frames at a broker."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("mien/frame")
    client.on_subscribe = lambda *_: ready()
    client.on_message = lambda _client, _data, message: received_json(message.payload)
    client.connect("127.0.0.1", urlsplit(where).port or 0)
    client.loop_forever()


def connect_websocket(where: str) -> None:
    """Receive from the server that the output is, as soon as it is there, again and again."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    ready()
    while True:
        with suppress(OSError, ConnectionClosed), connect(where) as client:
            for text in client:
                received_json(text)
        time.sleep(0.05)


def serve_webhook(where: str) -> None:
    """Answer POST requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            received_json(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", urlsplit(where.partition(":")[2]).port or 0), Handler)
    ready()
    server.serve_forever()


def pull_lsl(where: str) -> None:
    """Pull the samples of the first face, as soon as its stream is there."""
    import pylsl

    ready()
    name = where.partition(":")[2].partition("?")[0]
    while not (found := pylsl.resolve_byprop("name", f"{name} face 1", timeout=1)):
        pass
    inlet = pylsl.StreamInlet(found[0])
    while True:
        values, _ = inlet.pull_sample()
        if values[-1] == values[-1]:  # not NaN, which says that the face has left
            received(int(values[-1]))


PEERS: dict[str, Callable[[str], None]] = {
    "jsonl": read_lines,
    "osc": serve_osc,
    "mqtt": subscribe_mqtt,
    "ws": connect_websocket,
    "webhook": serve_webhook,
    "lsl": pull_lsl,
}


if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2])
