"""What every answer carries and what no request may do."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

HEADERS = {
    # No inline script or style, nothing from another host, no framing by another site.
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
    ),
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


def is_foreign(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Whether a browser sends this request for the page of another site.

    origin, fetch_site: the headers Origin and Sec-Fetch-Site, which pages can not forge and programs do not send.
    host: the header Host. The scheme is left out: a proxy may have taken HTTPS off.
    """
    if fetch_site not in (None, "same-origin", "none"):
        return True
    return origin is not None and origin.lower().partition("://")[2] != host.lower()


def protect(app: Flask, host: str) -> None:
    """Add the headers to each answer and, on loopback, refuse requests that name another host.

    A site whose name is made to point at 127.0.0.1 (DNS rebinding) would otherwise count as this page's own origin.
    What is sent for another site's page is refused too, though it change nothing: an analysis costs the processor.
    """

    @app.before_request
    def check_host() -> None:
        named = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(host) and not is_loopback(named):
            abort(403, f"This program answers to localhost alone, not to {named}.")

    @app.before_request
    def check_origin() -> None:
        headers = request.headers
        if request.method not in SAFE_METHODS and is_foreign(
            headers.get("Origin"), headers.get("Sec-Fetch-Site"), request.host
        ):
            abort(403, "Another site's page may not send this.")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":  # static files are revalidated by their ETag
            response.headers.setdefault("Cache-Control", "no-store")
        return response
