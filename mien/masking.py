"""Hides passwords and keys in addresses of every kind that are shown, logged or stored.

Nothing here reads an address by the rules of URLs: what is too broken for them must not show its password either. So
everything before the last "@" is hidden, and every query. `mien.addresses` reads addresses of cameras.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

HIDDEN = "***"

_LOGIN = re.compile(r"^([a-z][a-z0-9+.-]*://)(?:[^/]*|[^/:@]*:(?![0-9]*/)[^@]*)@", re.IGNORECASE)
# Many recorders expect the password inside the path: /user=admin&password=...&channel=1
_SECRET_IN_PATH = re.compile(r"((?:password|passwd|pass|pwd|token|key)=)([^&/;]+)", re.IGNORECASE)
_LEAST_SECRET = 3
"""Shorter secrets are not replaced in other texts, where they may be parts of words."""


def without_login(url: str) -> str:
    """A URL of any scheme, or a path, as it may be shown and stored: without user and password, otherwise as it is.

    Args:
        url: The URL, such as sftp://me:secret@host/clips.
    """
    return _LOGIN.sub(rf"\1{HIDDEN}@", url, count=1)


def shown_target(target: str) -> str:
    """Path and query as they may be shown: without the query, and without passwords in the path.

    Args:
        target: Path and query, which begins with a slash, or is empty.
    """
    path, _, query = target.partition("?")
    _, at, after = path.rpartition("@")
    if at:
        path = f"/{HIDDEN}@{after}"
    return _SECRET_IN_PATH.sub(rf"\1{HIDDEN}", path) + (f"?{HIDDEN}" if query else "")


def shown_url(url: str, *, secret_path: bool = False) -> tuple[str, tuple[str, ...]]:
    """A URL of any scheme as it may be shown, and what must not be shown.

    Args:
        url: A text that contains //.
        secret_path: Whether the path is a password, as that of many receivers of webhooks.

    Returns:
        The URL without user, password and query; and the secrets in it, the longest first.
    """
    before, _, after = url.partition("//")
    user_before, at_before, host_before = before.rpartition("@")
    if at_before:  # two addresses in one
        before = f"{HIDDEN}@{host_before.partition('?')[0]}"
    user, at, rest = after.rpartition("@")
    host = re.split("[/?]", rest, maxsplit=1)[0]
    target = rest[len(host) :]
    path, _, query = target.partition("?")
    _, _, password = user.partition(":")
    secrets = {user_before, user if password else "", password, unquote(password), query}
    secrets |= {value for _, value in parse_qsl(query)} | {found[2] for found in _SECRET_IN_PATH.finditer(path)}
    if secret_path and path.strip("/"):
        secrets |= {path, path.removeprefix("/")}
        target = f"/{HIDDEN}{target[len(path) :]}"
    shown = f"{before}//{HIDDEN + '@' if at else ''}{host}{shown_target(target)}"
    return shown, tuple(sorted((each for each in secrets if len(each) >= _LEAST_SECRET), key=len, reverse=True))
