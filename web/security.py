"""What every answer carries and what no request may do."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

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
