"""The URLs of `--out`: their parts, and their names, which do not contain passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from mien.errors import SettingsError
from mien.masking import HIDDEN, shown_url
from mien.names import printable


@dataclass(frozen=True)
class Address:
    """One value of `--out`.

    Args:
        kind: The part before the first colon, in lower case: "mqtt".
        rest: The part after it. Not part of the representation, since it may contain a password.
        name: The value as it may be shown and logged.
        secrets: Parts of the value that must not appear in messages.

    Example:
        address = parse_address("mqtt://anna:secret@broker/home")
        print(address.name)  # mqtt://***@broker/home
    """

    kind: str
    rest: str = field(repr=False)
    name: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, text: str) -> str:
        """The text of an error in one line, without the secrets of this address."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return printable(text)


@dataclass(frozen=True)
class Endpoint:
    """The parts of an address of the form KIND://USER:PASSWORD@HOST:PORT/PATH?NAME=VALUE.

    Args:
        host: Host name or IP address, without brackets.
        port: Port.
        user: User, or None.
        password: Password, or None.
        path: Path without slashes at its ends; may be empty.
        options: Values of the query, by name.
    """

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)


def parse_address(text: str) -> Address:
    """Split a value of `--out` into its kind and the rest, whatever the kind.

    Args:
        text: The value.

    Raises:
        SettingsError: There is no kind before a colon.
    """
    kind, colon, rest = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", kind):
        raise SettingsError("--out: expected an output such as osc://127.0.0.1:9000, found no kind before a colon")
    kind = kind.lower()
    return Address(kind, rest, *_shown(kind, rest))


def endpoint(address: Address, default_port: int | None, *, options: tuple[str, ...] = ()) -> Endpoint:
    """Read an address that names a host.

    Args:
        address: The address.
        default_port: The port if none is named; None where one must be.
        options: Names that the query may have.

    Raises:
        SettingsError: A part is missing, or is not understood.
    """
    wrong = f"--out: expected {address.kind}://HOST{':PORT' if default_port is None else ''}"
    try:
        parts = urlsplit(f"{address.kind}:{address.rest}")
        host, port = parts.hostname, parts.port
    except ValueError:  # whose message may quote a password
        raise SettingsError(f"{wrong}, found a host or port that cannot be read") from None
    if not host or (port is None and default_port is None):
        raise SettingsError(f"{wrong}, found {address.name}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := next((name for name in given if name not in options), None):
        expected = f"only {', '.join(options)}" if options else "nothing"
        raise SettingsError(f"--out: {address.name}: expected {expected} after the question mark, found {unknown!r}")
    return Endpoint(
        host,
        port or default_port or 0,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        unquote(parts.path).strip("/"),
        given,
    )


def _shown(kind: str, rest: str) -> tuple[str, tuple[str, ...]]:
    """The name of an address, and its secrets; see `mien.masking`."""
    if "//" in rest:
        shown, secrets = shown_url(rest, secret_path=kind == "webhook")
        return printable(f"{kind}:{shown}"), secrets
    if kind == "webhook":  # an address that lacks a slash; its path may be a password
        return f"{kind}:{HIDDEN}", (rest,) if rest else ()
    user, _, host = rest.rpartition("@")
    if ":" in user and not re.match(r"[A-Za-z]:[\\/]", rest):  # an address that lacks a slash
        return printable(f"{kind}:{HIDDEN}@{host.partition('?')[0]}"), (user,)
    last = rest.replace("\\", "/").rpartition("/")[2]  # of a file, without its folder
    return printable(f"{kind}:{last}"), ()
