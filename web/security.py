"""What every answer carries, what no request may do, and who is let in: host names and the token."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

HEADERS = {
    # Nothing but what is named; no inline script or style, nothing from another host, no framing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Another site's page may not show the picture of this computer's camera in an <img>.
    "Cross-Origin-Resource-Policy": "same-site",
}

MIN_TOKEN = 16

NO_TOKEN = "Open the address that Mien printed when it started, or send its token as Authorization: Bearer."


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this computer alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def _host_name(host: str) -> str:
    """The header Host without its port; nothing where it can not be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # e.g. a bracket that is not closed
        return ""


def is_foreign(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a browser sends this request for the page of another site.

    origin, fetch_site: the headers Origin and Sec-Fetch-Site, which pages can not forge and programs do not send.
    host: the header Host. The scheme is left out: a proxy may have taken HTTPS off.
    """
    if fetch_site is not None:  # what the browser itself says; a proxy may have put another Host in
        return fetch_site not in ("same-origin", "none")
    return origin is not None and origin.lower().partition("://")[2] != host.lower()


def protect(app: Flask, is_known_name: Callable[[str], bool]) -> None:
    """Add the headers to each answer and refuse requests that name another host.

    A site whose name is made to point at 127.0.0.1 (DNS rebinding) would otherwise count as this page's own origin.
    What is sent for another site's page is refused too, though it change nothing: an analysis costs the processor.
    """

    @app.before_request
    def check_host() -> None:
        named = _host_name(request.host)
        if not is_known_name(named):
            abort(403, f"This program does not answer to the name {named!r}; --names adds one.")

    @app.before_request
    def check_origin() -> None:
        headers = request.headers
        if request.method not in SAFE_METHODS and is_foreign(
            headers.get("Origin"), headers.get("Sec-Fetch-Site"), request.host
        ):
            abort(403, "Another site's page may not send this.")
        if headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate":
            abort(403, "Another site's page may not load this.")  # it could take every place of the streams

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":  # static files are revalidated by their ETag
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def token_for(host: str, token: str | None) -> str | None:
    """The token to ask for: the one given, a new one where the network can reach `host`, None on loopback."""
    if token is None and not is_loopback(host):
        return secrets.token_urlsafe(24)
    return token


def is_known_name(named: str, host: str, names: Collection[str] = ()) -> bool:
    """Whether a request that names this host can be meant for a program that listens on `host`.

    A page of another site can point its own name at our address (DNS rebinding), but an address stays what it is.
    names: further names this computer is reached by.
    """
    named = named.lower()
    if is_loopback(host):
        return is_loopback(named) or named in names
    own = socket.gethostname().lower()
    if named in {"localhost", host.lower(), own, f"{own}.local", *names}:
        return True
    try:
        ip_address(named)
    except ValueError:
        return False
    return True


def ask_for(app: Flask, token: str | None) -> None:
    """Refuse every request without the token: as Authorization: Bearer, as `?token=`, or as cookie.

    An address with the right `?token=` leaves the cookie behind, so that it is needed once. The cookie does not hold
    the token itself: browsers send cookies to every port of a host.
    """
    if token is None:
        return
    if len(token) < MIN_TOKEN:
        raise ValueError(f"a token needs at least {MIN_TOKEN} characters, found {len(token)}")
    key = hmac.digest(token.encode(), b"cookie", "sha256").hex()
    cookie = f"mien-{key[:8]}"  # two programs on one host do not overwrite each other's

    @app.before_request
    def check_token() -> None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else ""
        if not (
            _same(given, token)
            or _same(request.args.get("token", ""), token)
            or _same(request.cookies.get(cookie, ""), key)
        ):
            raise Unauthorized(NO_TOKEN, www_authenticate=WWWAuthenticate("bearer"))

    @app.after_request
    def leave_cookie(response: Response) -> Response:
        if request.method == "GET" and _same(request.args.get("token", ""), token):
            response.set_cookie(cookie, key, httponly=True, samesite="Strict", secure=request.is_secure)
        return response


def _same(given: str, expected: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
