"""Webhooks: each message as the JSON body of a POST request, for home automation, chat services and own servers."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError
from urllib3.util import Timeout

from mien import __version__
from mien.errors import NotTakenError, OutputError, SettingsError
from mien.outputs.addresses import Address
from mien.outputs.base import Output
from mien.outputs.messages import Message

FRAMES = "frames"
CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
"""What is read of an answer, so that its connection can serve the next request."""

LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may change soon, after which there is a pause before the next request."""


class Webhook(Output):
    """Posts changes; also frames, by default one per second, if the address ends with `#frames`.

    There is one request at a time. Certificates are verified, and redirects are not followed, so nothing is sent to an
    address that the command line does not name.

    Args:
        address: `webhook:https://USER:PASSWORD@HOST/PATH`.
    """

    default_fps = 1.0
    connects = False

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        wrong = "--out: expected webhook:https://HOST/PATH or webhook:http://HOST/PATH"
        try:
            parts = urlsplit(address.rest)
            host, port = parts.hostname, parts.port
        except ValueError:  # whose message may quote a password
            raise SettingsError(f"{wrong}, found a host or port that cannot be read") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise SettingsError(f"{wrong}, found {address.name}")
        if parts.fragment not in {"", FRAMES}:
            raise SettingsError(f"--out {address.name}: expected nothing or {FRAMES} after #, found another word")
        self.takes_frames = parts.fragment == FRAMES
        self._url = parts._replace(
            netloc=(f"[{host}]" if ":" in host else host) + (f":{port}" if port else ""), fragment=""
        ).geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": f"Mien/{__version__}"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        self._pool: urllib3.PoolManager | None = None

    def open(self) -> None:
        """Prepare; each request connects if it has to."""
        timeout = Timeout(connect=CONNECT_WITHIN_S, read=ANSWER_WITHIN_S)
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, timeout=timeout, retries=False)

    def send(self, message: Message) -> None:
        """Post a message, and wait for the status of the answer."""
        assert self._pool is not None
        body = message.json.encode("ascii")
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=self._headers, preload_content=False)
        except SSLError as error:
            raise OutputError(f"the certificate is not accepted: {_reason(error)}") from None
        except HTTPError as error:
            raise OutputError(_reason(error)) from None
        try:
            _discard(answer)
        finally:
            answer.release_conn()
        if 200 <= answer.status < 300:
            return
        found = f"expected a status of 200 to 299, found {answer.status}"
        if 300 <= answer.status < 400:
            found += ", a redirect, which is not followed"
        raise OutputError(found) if answer.status in LATER else NotTakenError(found)

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.clear()


def _discard(answer: urllib3.BaseHTTPResponse) -> None:
    try:
        answer.read(MAX_ANSWER_BYTES)
        if answer.read(1):
            answer.close()
    except HTTPError:  # the status has arrived, and nothing else matters
        answer.close()


def _reason(error: HTTPError) -> str:
    """What happened, without the address, which may be secret."""
    cause: BaseException = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    kinds = {
        "ConnectTimeoutError": f"no connection within {CONNECT_WITHIN_S:g} s",
        "ReadTimeoutError": f"no answer within {ANSWER_WITHIN_S:g} s",
        "NameResolutionError": "the host is not known",
        "NewConnectionError": "the connection is refused",
        "ProtocolError": "the connection was closed without an answer",
    }
    system = cause.__context__
    if type(cause).__name__ == "NewConnectionError" and isinstance(system, OSError) and system.strerror:
        return f"no connection: {system.strerror}"
    if isinstance(cause, SSLError):
        return getattr(cause.args[0] if cause.args else None, "verify_message", "") or "TLS failed"
    return kinds.get(type(cause).__name__, type(cause).__name__)
