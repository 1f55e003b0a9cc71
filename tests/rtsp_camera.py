"""A small RTSP camera on this computer: H.264 over RTP within the RTSP connection (RFC 2326, RFC 6184)."""

from __future__ import annotations

import base64
import re
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.patience import PATIENCE_S
from tests.web_camera import wrap

CLOCK_HZ = 90_000
FPS = 25


def nal_units(pictures: Sequence[np.ndarray]) -> list[list[bytes]]:
    """The H.264 units of each picture, blue-green-red."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt, encoder.framerate = "yuv420p", FPS
    encoder.options = {"tune": "zerolatency", "g": "5"}
    packets = []
    for picture in pictures:
        packets += encoder.encode(av.VideoFrame.from_ndarray(picture, format="bgr24"))
    return [[unit for unit in re.split(rb"\x00*\x00\x00\x01", bytes(packet)) if unit] for packet in packets]


class _Handler(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        while True:
            lines = []
            while line := self.rfile.readline().strip().decode():
                lines.append(line)
            if not lines:
                return
            method = lines[0].split()[0]
            fields = dict(line.split(": ", 1) for line in lines[1:])
            self.server.asked.append(method)
            refusal = self._refusal(method, fields)
            if refusal:
                self.wfile.write(f"RTSP/1.0 {refusal}\r\nCSeq: {fields['CSeq']}\r\n\r\n".encode())
                continue
            self._answer(method, fields)
            if method == "PLAY":
                self._play()
                if self.server.stays:
                    self.server.stopping.wait(PATIENCE_S)
                return

    def _refusal(self, method: str, fields: dict[str, str]) -> str | None:
        login = self.server.login
        if method == "OPTIONS":
            return None
        if login is not None and fields.get("Authorization") != f"Basic {base64.b64encode(login.encode()).decode()}":
            return '401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"'
        return self.server.refusal

    def _answer(self, method: str, fields: dict[str, str]) -> None:
        body, more = b"", ""
        if method == "DESCRIBE":
            sets = ",".join(base64.b64encode(unit).decode() for unit in self.server.units[0] if unit[0] & 31 in (7, 8))
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                f"a=rtpmap:96 H264/{CLOCK_HZ}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                "a=control:track1\r\n"
            ).encode()
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            more = f"Transport: {fields['Transport']}\r\nSession: 1\r\n"
            self.server.transports.append(fields["Transport"])
        elif method == "OPTIONS":
            more = "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {fields['CSeq']}\r\n{more}\r\n".encode() + body)

    def _play(self) -> None:
        sequence = 0
        for number, units in enumerate(self.server.units):
            for unit in units:
                is_last = unit is units[-1]
                header = struct.pack(">BBHII", 0x80, 96 | is_last << 7, sequence, number * CLOCK_HZ // FPS, 1)
                sequence += 1
                try:
                    self.wfile.write(b"$\0" + struct.pack(">H", len(header + unit)) + header + unit)
                except OSError:  # the reader disconnected
                    return


@contextmanager
def rtsp_camera(
    pictures: Sequence[np.ndarray],
    *,
    login: str | None = None,
    refusal: str | None = None,
    certificate: Path | None = None,
) -> Iterator[tuple[str, Any]]:
    """A camera that sends these pictures and closes, over TLS stays; yields its address, and the server.

    Args:
        pictures: Blue-green-red.
        login: "user:password" that it asks for.
        refusal: Status that it answers instead, such as "404 Not Found".
        certificate: Of the camera, to speak TLS.
    """
    server: Any
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # the reader disconnected
        server.units, server.asked, server.transports = nal_units(pictures), [], []
        server.login, server.refusal = login, refusal
        server.stays, server.stopping = certificate is not None, threading.Event()
        if certificate is not None:
            wrap(server, certificate)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"rtsp{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/live", server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()
