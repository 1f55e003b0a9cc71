"""User and password over HTTP: Digest (RFC 7616), or Basic (RFC 7617) where a server offers nothing else."""

from __future__ import annotations

import hashlib
import re
import secrets
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress

from mien.addresses import Address

_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256"}


class Login:
    """Answers to the challenge of a server.

        login = Login.chosen(address, response.headers.get_all("WWW-Authenticate"))
        headers["Authorization"] = login.answer(address.target)

    Args:
        address: With user and password.
        scheme: "digest" or "basic".
        fields: Of the challenge, by name.
    """

    def __init__(self, address: Address, scheme: str, fields: Mapping[str, str]) -> None:
        self._user = (address.user or "").encode("utf-8", "surrogateescape")
        self._password = (address.password or "").encode("utf-8", "surrogateescape")
        self._scheme = scheme
        self._fields = fields
        self._count = 0
        self.is_stale = fields.get("stale", "").lower() == "true"
        """Whether the password was right, and only the server's number too old."""

    @classmethod
    def chosen(cls, address: Address, challenges: list[str]) -> Login | None:
        """The best that a server offers.

        Args:
            address: With user and password.
            challenges: The headers of its answer.

        Returns:
            None if it offers nothing known.
        """
        offered: dict[str, Login] = {}
        lines = re.sub(r"\r?\n[ \t]+", " ", ", ".join(challenges))  # folded lines, RFC 9112, 5.2
        for challenge in re.split(r",\s*(?=(?:basic|digest)\s)", lines, flags=re.IGNORECASE):
            scheme, _, rest = challenge.partition(" ")
            fields = _fields(rest)
            if scheme.lower() == "digest" and _is_known(fields):
                offered.setdefault("digest", cls(address, "digest", fields))
            elif scheme.lower() == "basic":
                offered.setdefault("basic", cls(address, "basic", fields))
        return offered.get("digest") or offered.get("basic")

    def answer(self, target: str) -> str:
        """The header of a request.

        Args:
            target: Its path and query.
        """
        if self._scheme == "basic":
            return f"Basic {b64encode(self._user + b':' + self._password).decode()}"
        fields, realm = self._fields, self._fields.get("realm", "")
        algorithm = fields.get("algorithm", "MD5").upper()
        first = self._hash(self._user + f":{realm}:".encode("latin-1", "replace") + self._password)
        second = self._hash(f"GET:{target}".encode())
        parts = {"realm": realm, "nonce": fields["nonce"], "uri": target}
        if "qop" in fields:
            self._count += 1
            number, client = f"{self._count:08x}", secrets.token_hex(8)
            parts["response"] = self._hash(f"{first}:{fields['nonce']}:{number}:{client}:auth:{second}".encode())
            bare = f", qop=auth, nc={number}"
            parts["cnonce"] = client
        else:
            parts["response"] = self._hash(f"{first}:{fields['nonce']}:{second}".encode())
            bare = ""
        if "opaque" in fields:
            parts["opaque"] = fields["opaque"]
        quoted = "".join(f", {name}={_quoted(value)}" for name, value in parts.items())
        return f"Digest username={_quoted(self._user.decode('latin-1'))}{quoted}, algorithm={algorithm}{bare}"

    def _hash(self, data: bytes) -> str:
        name = _ALGORITHMS[self._fields.get("algorithm", "MD5").upper()]
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _is_known(fields: Mapping[str, str]) -> bool:
    """Whether a challenge can be answered, which repeats parts of it: no control characters may be in it."""
    if re.search(r"[\x00-\x1f\x7f]", "".join(fields.values())):
        return False
    qualities = re.split(r"[,\s]+", fields.get("qop", "auth").lower())
    return "nonce" in fields and "auth" in qualities and fields.get("algorithm", "MD5").upper() in _ALGORITHMS


def _quoted(text: str) -> str:
    """A quoted string, RFC 9110, 5.6.4; `_fields` gives it without its quotes and escapes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fields(text: str) -> dict[str, str]:
    """The fields of a challenge, such as `realm="camera", nonce="..."`."""
    with suppress(ValueError, IndexError):
        fields = urllib.request.parse_keqv_list([each for each in urllib.request.parse_http_list(text) if "=" in each])
        return {name.lower(): value for name, value in fields.items()}
    return {}
