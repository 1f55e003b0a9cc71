"""Who may use the program: security headers of every answer, accepted host names and origins, and the token."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.datastructures import Headers, WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from web.addresses import is_loopback
from web.attempts import Attempts

HEADERS = {
    # Only what is listed: no inline script or style, nothing from another host, no framing.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Another site's page must not display the picture of this computer's camera in an <img>.
    "Cross-Origin-Resource-Policy": "same-site",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
}

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FRAMES = frozenset({"iframe", "frame", "fencedframe", "object", "embed", "portal"})
"""Values of Sec-Fetch-Dest for pages inside of other pages."""

BARS = "bars"
"""The view of the live page that pages of other origins may show in a frame, if the user has named them (`--embed`)."""

MIN_TOKEN = 16

NO_TOKEN = "Open the address that Mien printed when it started, or send its token as Authorization: Bearer."


def token_for(host: str, token: str | None) -> str | None:
    """The token to require.

    Args:
        host: The address the server listens on.
        token: The token the user has set, or None.

    Returns:
        The given one; without one, a random one if the network can reach `host`, else None.
    """
    if token is None and not is_loopback(host):
        return secrets.token_urlsafe(24)
    return token


def is_known_name(requested: str, host: str, names: Collection[str] = ()) -> bool:
    """Whether a request for this host name can be meant for a program that listens on `host`.

    Another site can point its own name at our address (DNS rebinding), but not change what an address refers to.

    Args:
        requested: The host name of the request.
        host: The address the server listens on.
        names: Additional accepted host names.
    """
    requested = requested.lower()
    if is_loopback(host):
        return is_loopback(requested) or requested in names
    own = socket.gethostname().lower()
    if requested in {"localhost", host.lower(), own, f"{own}.local", *names}:
        return True
    try:
        ip_address(requested)
    except ValueError:
        return False
    return True


def is_foreign(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a browser sends this request on behalf of another site's page.

    Args:
        origin: The header Origin. Pages cannot forge it or Sec-Fetch-Site, and programs do not send them.
        fetch_site: The header Sec-Fetch-Site.
        host: The header Host. The scheme is not compared: a proxy may terminate HTTPS.
    """
    if fetch_site is not None:  # the browser's own judgment; a proxy may have changed Host
        return fetch_site not in ("same-origin", "none")
    return origin is not None and origin.lower().partition("://")[2] != host.lower()


def may_load(headers: Mapping[str, str] | Headers, host: str, *, idle: bool = False) -> bool:
    """Whether a GET request comes from this page, from a program, or from a person who goes to an address.

    A request for a page or stream opens an idle camera, whoever sees the answer. Frames, images, scripts and prefetches
    of other sites are therefore refused. A page of another program on this computer ("same-site") may show pictures in
    an image, but not open the camera.

    Args:
        headers: Sec-Fetch-* and Origin, which pages cannot forge; programs and older browsers send none of them.
            https://www.w3.org/TR/fetch-metadata/
        host: The header Host.
        idle: Whether the request would open the camera.
    """
    site = headers.get("Sec-Fetch-Site")
    if site == "same-origin":
        return True
    if any(headers.get(name) for name in ("Sec-Purpose", "Purpose", "X-Moz")):  # a prefetch: nobody has gone there yet
        return False
    if headers.get("Sec-Fetch-Dest") in FRAMES or is_foreign(headers.get("Origin"), None, host):
        return False
    if site in (None, "none"):
        return True
    dest = headers.get("Sec-Fetch-Dest", "document")  # the first browsers with these headers lacked this one
    navigates = headers.get("Sec-Fetch-Mode") == "navigate" and dest == "document"
    return navigates or (site == "same-site" and not idle)


def is_framed(headers: Mapping[str, str] | Headers) -> bool:
    """Whether a page is requested for a frame: it opens no camera, as the browser may refuse to show it.

    Args:
        headers: Sec-Fetch-Dest, which pages cannot forge.
    """
    return headers.get("Sec-Fetch-Dest") in FRAMES


def protect(
    app: Flask,
    host: str,
    names: Collection[str] = (),
    is_idle: Callable[[], bool] = lambda: False,
    embed: Collection[str] = (),
) -> None:
    """Add the headers to each answer, and refuse requests for other host names or from other sites' pages.

    With DNS rebinding a foreign page would otherwise count as this page's own origin. Requests from other sites' pages
    are refused even if they change nothing: an analysis costs processor time.

    Args:
        app: The app to protect.
        host: The address the server listens on.
        names: Additional accepted host names.
        is_idle: Returns whether the camera is released until somebody asks for its pictures.
        embed: Origins whose pages may show the view `BARS` of the live page in a frame. Only the browser knows which
            page a frame belongs to, and it enforces `frame-ancestors`.
    """
    policy = HEADERS["Content-Security-Policy"]
    framed = policy.replace("frame-ancestors 'none'", f"frame-ancestors {' '.join(sorted(embed))}") if embed else policy

    @app.before_request
    def check_host() -> None:
        requested = _host_name(request.host)
        if not is_known_name(requested, host, names):
            abort(403, f"This program does not answer to the name {requested!r}; --names adds one.")

    @app.before_request
    def check_origin() -> None:
        headers = request.headers
        if request.method in SAFE_METHODS:
            if embed and _is_bars() and headers.get("Sec-Fetch-Dest") == "iframe":
                return
            if not may_load(headers, request.host, idle=request.endpoint != "static" and is_idle()):
                abort(403, "Another site's page may not load this.")
        elif is_foreign(headers.get("Origin"), headers.get("Sec-Fetch-Site"), request.host):
            abort(403, "Another site's page may not send this.")

    @app.after_request
    def add_headers(response: Response) -> Response:
        if embed and _is_bars():
            response.headers.setdefault("Content-Security-Policy", framed)  # before X-Frame-Options for browsers
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":  # static files are revalidated by their ETag
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def require_token(app: Flask, host: str, token: str | None, *, embeds: bool = False) -> None:
    """Refuse every request without the token, sent as Authorization: Bearer, as `?token=`, or as a cookie.

    Wrong ones are answered after a second, counted and logged: see `Attempts`. A request with the right `?token=` sets
    the cookie, so that it is needed once. The cookie does not contain the token itself: browsers send cookies to every
    port of a host.

    Args:
        app: The app to protect.
        host: The address the server listens on.
        token: The token, or None where only this computer can connect.
        embeds: Whether pages of other origins may show the view `BARS` in a frame.

    Raises:
        ValueError: The token is too short, or missing although the network can reach `host`.
    """
    if token is None:
        if not is_loopback(host):
            raise ValueError(f"an app on {host}, which the network can reach, needs a token")
        return
    if len(token) < MIN_TOKEN:
        raise ValueError(f"a token needs at least {MIN_TOKEN} characters, found {len(token)}")
    key = hmac.digest(token.encode(), b"cookie", "sha256").hex()
    attempts = Attempts()
    cookie = f"mien-{key[:8]}"  # two programs on one host do not overwrite each other's

    @app.before_request
    def check_token() -> None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else ""
        pairs = [(given, token), (request.args.get("token", ""), token), (request.cookies.get(cookie, ""), key)]
        tried = [pair for pair in pairs if pair[0]]
        if not tried or not attempts.check(request.remote_addr or "", lambda: any(_is_same(*pair) for pair in tried)):
            raise Unauthorized(NO_TOKEN, www_authenticate=WWWAuthenticate("bearer"))

    @app.after_request
    def set_cookie(response: Response) -> Response:
        if request.method == "GET" and _is_same(request.args.get("token", ""), token):
            # In a frame of another site, browsers keep only cookies that belong to that site's page alone, over HTTPS.
            partitioned = embeds and _is_bars() and request.is_secure
            response.set_cookie(
                cookie,
                key,
                path=request.script_root or "/",
                httponly=True,
                samesite="None" if partitioned else "Strict",
                secure=request.is_secure,
                partitioned=partitioned,
            )
        return response


def _is_bars() -> bool:
    """Whether the request asks for the one view that may be embedded."""
    return request.method == "GET" and request.endpoint == "pages.index" and request.args.get("view") == BARS


def _host_name(host: str) -> str:
    """The header Host without its port; empty if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # e.g. an unclosed bracket
        return ""


def _is_same(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
