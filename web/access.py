"""Who is let in: the names this program answers to, and the token that a program open to the network asks for."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Collection
from ipaddress import ip_address

from flask import Flask, Response, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from web.security import is_loopback

MIN_TOKEN = 16

NO_TOKEN = "Open the address that Mien printed when it started, or send its token as Authorization: Bearer."


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
