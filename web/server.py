"""The web server: a pool of threads, one for each stream, that stops quickly and drops stalled viewers.

Cheroot, chosen by measurement: see benchmarks/servers.py.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from _pyio import BufferedReader  # type: ignore[import-not-found]  # the base of Cheroot's reader
from concurrent.futures import Future
from io import BytesIO
from typing import Any

from cheroot import wsgi
from cheroot.makefile import StreamReader, StreamWriter
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest
from flask import Flask

from mien.errors import ServerError
from web.addresses import is_local
from web.body import Body
from web.framing import FramingError, check_head, read_head
from web.free_port import DEFAULT_PORT, check_port, taken_message
from web.guard import App, guarded
from web.limits import CLIENT_IS_GONE
from web.workers import Shortage, WorkerPool

log = logging.getLogger(__name__)

SPARE_WORKERS = 16
"""Workers beyond those of the streams, so that page, state and health answer while all streams are in use."""

SOCKET_TIMEOUT_S = 5
"""A viewer that accepts no byte for this long has stalled: its connection is closed and its worker released."""

SEND_BUFFER_BYTES = 64 * 1024
"""The kernel would let a slow viewer's buffer grow to megabytes, that is, to seconds of stale pictures."""

REQUEST_GRACE_S = 10.0
MIN_BYTES_PER_S = 500_000
"""A request must be complete ten seconds after it began, a large one must arrive at this rate. A client that sends a
byte now and then would never time out, and would occupy a worker and a slot of the analysis."""

MAX_HEADER_BYTES = 64 * 1024
"""Of request line and headers together; they are received before the token can be checked."""

STOP_S = 2

DRAIN_BYTES = 128 * 1024 * 1024
"""This much of an unread body is still received: a client that is busy sending would not see why it is refused."""


class _Receiver(socket.SocketIO):
    """The receiving side of a connection, which times out where a request takes too long."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "rb")
        self.begin()

    def begin(self) -> None:
        """Start timing the next request."""
        self._begun_s = time.monotonic()
        self._received = 0

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError, as the socket itself does when nothing arrives."""
        count = super().readinto(buffer)
        self._received += count or 0
        if count and time.monotonic() - self._begun_s > REQUEST_GRACE_S + self._received / MIN_BYTES_PER_S:
            raise TimeoutError("timed out")
        return count


class _Reader(StreamReader):
    """Cheroot's reader on top of `_Receiver`."""

    def __init__(self, sock: socket.socket, size: int) -> None:
        self.receiver = _Receiver(sock)
        BufferedReader.__init__(self, self.receiver, size)
        self.bytes_read = 0


def _make_file(sock: socket.socket, mode: str, size: int) -> StreamReader | StreamWriter:
    return _Reader(sock, size) if "r" in mode else StreamWriter(sock, mode, size)


class _SafeHeaders(HeaderReader):
    """Header fields without those that would count as others.

    The app sees "Content_Length" as "Content-Length". Expect is answered when the body is read: Cheroot would ask for
    the body before it is known whether the app wants it.
    """

    def _allow_header(self, key_name: bytes) -> bool:
        return b"_" not in key_name and key_name != b"Expect"


class _Request(HTTPRequest):
    """A request with unambiguous framing, whose body is received only while the app reads it.

    What the app has not read is discarded piece by piece, or not received at all.
    """

    header_reader = _SafeHeaders()

    def parse_request(self) -> None:
        self.conn.rfile.receiver.begin()
        try:
            lines = read_head(self.conn.rfile.readline, MAX_HEADER_BYTES)
            if not lines:
                return
            self.started_request = True
            head = check_head(lines)
        except FramingError as error:
            self.simple_response(error.status, f"{error}\n")
            self.conn.discard_received()
            return
        self.rfile = BytesIO(b"".join(lines))
        try:
            self.ready = self.read_request_line() and self.read_request_headers()
        except ValueError:  # an address such as //[ which no URL may contain
            self.simple_response("400 Bad Request", "Expected another address.\n")
        self.rfile = Body(self.conn.rfile, head.length, self._ask_for_body if head.waits else None)

    def respond(self) -> None:
        gateway = self.server.gateway(self)
        gateway.env[CLIENT_IS_GONE] = self.conn.is_gone
        gateway.respond()
        self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        # A connection with a chunked body is not used again: proxies disagree most about where those end.
        complete = self.rfile.discard(DRAIN_BYTES)
        if self.chunked_read or not complete:
            self.close_connection = True
        super().send_headers()

    def _ask_for_body(self) -> None:
        self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class _Connection(HTTPConnection):
    """A connection that the server keeps track of, so that it can be closed from another thread."""

    RequestHandlerClass = _Request

    def __init__(self, server: _Cheroot, sock: socket.socket, *_: Any) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        super().__init__(server, sock, _make_file)
        self._open = server.open_connections
        self._open.add(self)

    def close(self) -> None:
        self._open.discard(self)
        super().close()

    def discard_received(self) -> None:
        """Drop what has arrived: closing a connection with unread bytes would also drop the answer on its way."""
        self.socket.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(16):
                if not self.socket.recv(64 * 1024):
                    break

    def is_gone(self) -> bool:
        """Whether the client has closed the connection, so that nobody waits for the answer any more."""
        timeout_s = self.socket.gettimeout()
        try:
            self.socket.settimeout(0)
            return not self.rfile.has_data() and self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(timeout_s)

    def hang_up(self) -> None:
        """Unblock a worker that is sending to or receiving from this connection."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class _Cheroot(wsgi.Server):
    ConnectionClass = _Connection
    expiration_interval = 0.25  # seconds; stopping waits for up to one such interval

    def __init__(self, address: tuple[str, int], app: App, workers: int) -> None:
        super().__init__(
            address,
            app,
            server_name="Mien",
            request_queue_size=128,
            timeout=SOCKET_TIMEOUT_S,
            shutdown_timeout=STOP_S,
        )
        self.shortage = Shortage()
        self.requests = WorkerPool(self, workers, self.shortage)
        self.keep_alive_conn_limit = 4 * workers
        self.open_connections: set[_Connection] = set()
        self.bind_error: OSError | None = None

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().bind(*args, **kwargs)
        except OSError as error:  # Cheroot passes on only the text
            self.bind_error = error
            raise

    def process_conn(self, conn: Any) -> None:
        """Let a new connection wait for its first byte without a worker: browsers open some they never use."""
        if conn.last_used is None:
            self.put_conn(conn)
        else:
            super().process_conn(conn)

    def put_conn(self, conn: Any) -> None:
        """Let a connection wait for its next request, or close it if the server has stopped."""
        try:
            super().put_conn(conn)
        except ValueError:  # it stopped just after this was asked, and has closed what watches all connections
            if self.ready:
                raise
            conn.close()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        if not self.shortage.notice(sys.exc_info()[1]):
            log.log(level, "%s", msg, exc_info=traceback)


class Server:
    """Serves one app from its own threads between `start` and `stop`, or as a context manager.

    Args:
        app: The app; its MAX_STREAMS sets the number of workers.
        host: The address to listen on.
        port: 0 takes a free one.

    Attributes:
        failed: Why it no longer serves, though it was not stopped; None while it does.

    Example:
        with Server(create_app(camera), port=0) as server:
            print(server.url)
    """

    def __init__(self, app: Flask, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        self.failed: str | None = None
        self.host = host
        self.port = port
        self._cheroot = _Cheroot((host, port), guarded(app), app.config["MAX_STREAMS"] + SPARE_WORKERS)

    @property
    def url(self) -> str:
        """The address of the page for a browser on this computer."""
        host = "localhost" if is_local(self.host) else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Bind and serve in the background.

        Raises:
            ServerError: The port is in use, or the host is not an address of this computer.
        """
        check_port(self.host, self.port)
        bound: Future[None] = Future()
        # The workers inherit `daemon`, so that none of them keeps the process from exiting.
        threading.Thread(target=self._serve, args=(bound,), name="web server", daemon=True).start()
        bound.result()
        self.port = self._cheroot.bind_addr[1]

    def _serve(self, bound: Future[None]) -> None:
        try:
            self._cheroot.prepare()
        except OSError as error:
            bound.set_exception(ServerError(self._explain(self._cheroot.bind_error or error)))
            return
        except Exception as error:  # of any kind: `start` is waiting for the result
            bound.set_exception(error)
            return
        bound.set_result(None)
        try:
            self._cheroot.serve()
        except BaseException as error:  # of any kind: nobody else would notice
            log.exception("the web server ended unexpectedly")
            self.failed = f"the web server ended unexpectedly: {type(error).__name__}: {error}"

    def stop(self) -> None:
        """Close every connection, open streams included, and release the port, within two seconds."""
        stopping = threading.Thread(target=self._cheroot.stop, name="web server stop", daemon=True)
        stopping.start()
        deadline = time.monotonic() + STOP_S
        while stopping.is_alive() and time.monotonic() < deadline:
            self.hang_up()  # repeatedly: new connections may still arrive
            stopping.join(0.05)
        if stopping.is_alive() and self._cheroot.open_connections:  # else only its own threads are late
            log.warning("a request did not end within %d s", STOP_S)

    def hang_up(self) -> None:
        """Close every connection; clients may connect again."""
        for connection in self._cheroot.open_connections.copy():
            connection.hang_up()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _explain(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return taken_message(self.port)
        if error.errno in {errno.EACCES, errno.EPERM}:
            return f"no permission to use port {self.port}: choose one above 1023 with --port"
        return f"cannot listen on {self.host}, port {self.port}: {error.strerror or error}"
