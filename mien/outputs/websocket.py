"""WebSocket: a server that any page or program can connect to. RFC 6455."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import threading
from collections import deque
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from mien.errors import OutputError, SettingsError
from mien.outputs.addresses import Address, Endpoint, endpoint
from mien.outputs.base import Output
from mien.outputs.messages import FrameMessage, Message

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
MIN_TOKEN = 16
MAX_CLIENTS = 32

MAX_CONNECTIONS = 64
"""Of clients, and of those that have not said yet what they want."""

MAX_CHANGES = 64
"""Changes that wait for one client; when there are more, the oldest is dropped."""

BUFFER_BYTES = 16 * 1024
"""What is handed to the system before a client that does not read has to wait."""

MAX_RECEIVED_BYTES = 1024
"""Clients have nothing to say; a longer message ends the connection."""

PING_EVERY_S = 10.0
OPEN_WITHIN_S = 5.0

LIBRARY_LOG = logging.getLogger(f"{__name__}.websockets")
LIBRARY_LOG.setLevel(logging.CRITICAL + 1)  # it logs a traceback for each client that vanishes


class WebSocket(Output):
    """Sends every message to every client, as text. A slow client skips frames, and delays no other.

    Pages of other sites are refused, since a browser would let them read what any page of its user can read; `origin`
    admits one.

    Args:
        address: `ws:` for 127.0.0.1:8765, or `ws://HOST:PORT?token=TOKEN&origin=https://SITE`. An address that other
            computers can reach needs a token.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._at = _where(address)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        self._clients: set[_Client] = set()
        self._newest: FrameMessage | None = None

    def open(self) -> None:
        """Listen."""
        failed: list[Exception] = []
        ready = threading.Event()

        def run() -> None:
            try:
                asyncio.run(self._serve(ready))
            except Exception as error:  # of any kind: the thread that waits raises it
                failed.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="output-ws-server", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]

    def send(self, message: Message) -> None:
        """Hand a message to the clients."""
        loop = self._loop
        if loop is None or self._thread is None or not self._thread.is_alive():
            raise OutputError("the server has ended")
        text = message.json
        try:
            loop.call_soon_threadsafe(self._offer, message, text)
        except RuntimeError:  # it ends at this moment
            raise OutputError("the server has ended") from None

    def check(self) -> None:
        """Whether the server is there."""
        if self._thread is not None and not self._thread.is_alive():
            raise OutputError("the server has ended")

    def close(self) -> None:
        """Close all connections."""
        thread, loop, ended = self._thread, self._loop, self._ended
        self._thread = None
        if thread is None:
            return
        if loop is not None and ended is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(ended.set)
        thread.join(1.0)

    # --- in the thread of the server

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._clients = set()  # not those of a server that is still ending
        server = await serve(
            self._handle,
            self._at.host,
            self._at.port,
            process_request=self._refusal,
            create_connection=_Connection,
            logger=LIBRARY_LOG,
            compression=None,  # costs more time than it saves on one computer or network
            max_size=MAX_RECEIVED_BYTES,
            max_queue=1,
            write_limit=BUFFER_BYTES,
            ping_interval=PING_EVERY_S,
            ping_timeout=PING_EVERY_S,
            open_timeout=OPEN_WITHIN_S,
            close_timeout=0.5,
            server_header=None,
        )
        try:
            ready.set()
            await self._ended.wait()
        finally:
            await _close(server)

    def _offer(self, message: Message, text: str) -> None:
        if isinstance(message, FrameMessage):
            self._newest = message
        for client in self._clients:
            client.offer(text, is_frame=isinstance(message, FrameMessage))

    async def _handle(self, connection: ServerConnection) -> None:
        client = _Client(connection)
        self._clients.add(client)
        if self._newest is not None:
            client.offer(self._newest.json, is_frame=True)
        feeding = asyncio.create_task(client.feed())
        try:
            with contextlib.suppress(ConnectionClosed):
                async for _ in connection:  # what it says is ignored
                    pass
        finally:
            self._clients.discard(client)
            feeding.cancel()

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a client that is refused; None to admit it."""
        headers = request.headers
        if len(self._clients) >= MAX_CLIENTS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"At most {MAX_CLIENTS} clients are served.\n")
        hosts = headers.get_all("Host")
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            return connection.respond(HTTPStatus.FORBIDDEN, "This program does not answer to that name.\n")
        if not all(map(self._admits, headers.get_all("Origin"))):
            text = "Pages of other sites are refused; ?origin= in the address of --out admits one.\n"
            return connection.respond(HTTPStatus.FORBIDDEN, text)
        if not self._has_token(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Expected ?token= or Authorization: Bearer.\n")
        return None

    def _is_known(self, host: str) -> bool:
        """Whether a name is ours: no other site can point its own name at our address and be answered.

        With a token, which no other site has, any name will do, such as one that only the local network knows.
        """
        if self._at.options.get("token") is not None:
            return True
        name = _host_of(host)
        return name == self._at.host.lower() or name == "localhost" or _is_ip(name)

    def _admits(self, origin: str) -> bool:
        """Whether a page may connect: one on this computer, or the one that the address names."""
        named = self._at.options.get("origin")
        if named and origin.lower() == named.lower().rstrip("/"):
            return True
        name = _host_of(origin.partition("://")[2])
        return name == "localhost" or _is_loopback(name)

    def _has_token(self, request: Request) -> bool:
        token = self._at.options.get("token")
        if token is None:
            return True
        given = parse_qs(request.path.partition("?")[2]).get("token", [])
        for header in request.headers.get_all("Authorization"):
            scheme, _, bearer = header.partition(" ")
            given += [bearer.strip()] if scheme.lower() == "bearer" else []
        return any(hmac.compare_digest(each.encode(errors="replace"), token.encode()) for each in given)


class _Connection(ServerConnection):
    """A connection, which ends at once if there are too many: silent ones hold a socket, too, until they time out."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        super().connection_made(transport)
        if len(self.server.handler_tasks) > MAX_CONNECTIONS:
            self.transport.abort()


class _Client:
    """One client, and what waits for it.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._changes: deque[str] = deque(maxlen=MAX_CHANGES)
        self._frame: str | None = None
        self._waiting = asyncio.Event()

    def offer(self, text: str, *, is_frame: bool) -> None:
        """Take a message to send: a frame replaces the one that waits."""
        if is_frame:
            self._frame = text
        else:
            self._changes.append(text)
        self._waiting.set()

    async def feed(self) -> None:
        """Send what is offered until the connection ends."""
        try:
            while True:
                await self._waiting.wait()
                self._waiting.clear()
                while self._changes or self._frame is not None:
                    if self._changes:
                        text = self._changes.popleft()
                    else:
                        text, self._frame = self._frame or "", None
                    await self._connection.send(text)
        except ConnectionClosed:
            pass


async def _close(server: Server) -> None:
    server.close()
    await server.wait_closed()


def _where(address: Address) -> Endpoint:
    if not address.rest.strip("/"):
        return Endpoint(DEFAULT_HOST, DEFAULT_PORT)
    found = endpoint(address, DEFAULT_PORT, options=("token", "origin"))
    if found.user is not None or found.path:
        raise SettingsError(f"--out: expected ws://HOST:PORT?token=TOKEN, found {address.name}")
    token = found.options.get("token")
    if token is not None and len(token) < MIN_TOKEN:
        raise SettingsError(
            f"--out {address.name}: expected a token of at least {MIN_TOKEN} characters, found {len(token)}"
        )
    if token is None and not (found.host == "localhost" or _is_loopback(found.host)):
        raise SettingsError(
            f"--out {address.name}: expected ?token=TOKEN after an address that other computers can reach, found none"
        )
    return found


def _host_of(host: str) -> str:
    """A host and port without the port, in lower case; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_ip(name) and ip_address(name).is_loopback
