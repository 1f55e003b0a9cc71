"""Addresses of network cameras and videos: read, checked and shown without secrets in one place.

Users copy addresses from manuals, with passwords as they are. "@", "#", "?" and "/" in them end the user information by
the rules of URLs; here, the host decides: see `parse_address`. What is shown and logged never contains a password, even
where it was read wrongly: everything before the last "@" is hidden.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote

from mien.masking import HIDDEN, shown_target
from mien.names import is_printable

SCHEMES = ("http", "https", "rtsp", "rtsps")
DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
RTSP_PORTS = (554, 8554)
"""Ports of RTSP, for an address without a scheme."""

_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]{1,19})://", re.IGNORECASE)
_MISTYPED = re.compile(r"(https?|rtsps?)(:/?|//?)(?=[^/:])", re.IGNORECASE)
_PASSWORD = re.compile(r"(?![a-z]:\\)[^/\\?#]*:.*@", re.IGNORECASE | re.DOTALL)
"""What looks like user:password@host; no path of Windows does."""
_HOST = re.compile(r"(\[(?P<v6>[0-9a-f:.%a-z]+)\]|(?P<name>[^\s/?#@:\[\]]{1,253}))(:(?P<port>\d{0,5}))?", re.IGNORECASE)
_NAMED = re.compile(r"[\w-]+(\.[\w-]+)*\.[^\W\d]{2,63}\.?|localhost", re.IGNORECASE)
_END = re.compile("[/?#]")


class AddressError(ValueError):
    """A text that is no address; the message never repeats it, because it may contain a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address, taken apart; `str` gives it without secrets.

        address = parse_address("RTSP://admin:p@ss#1@192.168.1.5/live")
        address.host, address.password  # "192.168.1.5", "p@ss#1"
        str(address)  # "rtsp://***@192.168.1.5/live"

    Args:
        scheme: In lower case, one of SCHEMES.
        host: A name, in ASCII (IDNA), or an IP address without brackets.
        port: None for the default one.
        target: Path and query, which begins with a slash; without spaces and control characters.
        user, password: As they are typed into a camera; None if the address names none.
    """

    scheme: str
    host: str
    port: int | None
    target: str
    user: str | None = None
    password: str | None = None

    @property
    def netloc(self) -> str:
        """Host and port, as in an URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def port_or_default(self) -> int:
        """The port to connect to."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what may see the password."""
        return self.scheme, self.host.lower(), self.port_or_default

    @property
    def bare(self) -> str:
        """The URL without user and password, but with secrets in path and query: not to be shown."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    @property
    def full(self) -> str:
        """The URL with user and password, escaped: not to be shown."""
        if self.user is None:
            return self.bare
        secret = _escaped(self.user) + ("" if self.password is None else f":{_escaped(self.password)}")
        return f"{self.scheme}://{secret}@{self.netloc}{self.target}"

    def __str__(self) -> str:
        """The URL as it may be shown and logged: without user, password and query, which often contains a key."""
        secret = "" if self.user is None else f"{HIDDEN}@"
        return f"{self.scheme}://{secret}{self.netloc}{shown_target(self.target)}"

    def __repr__(self) -> str:
        """As `str`, so that no log or traceback shows a secret."""
        return f"<Address {self}>"


def parse_address(text: str) -> Address:
    """Read an address.

    Where several "@" could separate the password from the host, the one before an IP address or a full name wins; where
    that leaves a choice, the address is refused.

    Args:
        text: The address, with a password as it is or escaped (%40 for @).

    Raises:
        AddressError: It is not an http, https, rtsp or rtsps address with a host, or can be read in two ways.
    """
    expected = f"expected an address such as rtsp://host/path with {', '.join(SCHEMES)}"
    found = _SCHEME.match(text)
    if found is None:
        meant = _meant(text)
        raise AddressError(f"{expected}, found none of them{f'; did you mean {meant}?' if meant else ''}")
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise AddressError(f"{expected}, found the scheme {scheme!r}")
    rest = text[found.end() :].rstrip()
    if not rest or rest[0] in "/?#":
        raise AddressError(f"{expected}, found no host in it")
    readings = _readings(rest)
    if not readings:
        raise AddressError(f"{expected}, found one whose host or port cannot be read")
    found_one = _best(readings, expected)
    user, colon, password = found_one.info.partition(":")
    return Address(
        scheme,
        found_one.host,
        found_one.port,
        _target(found_one.tail),
        _unescaped(user) if found_one.info else None,
        _unescaped(password) if colon else None,
    )


def is_address(text: str) -> bool:
    """Whether a text is meant as an address: it begins with a scheme and "://".

    Args:
        text: A --source value.
    """
    return "://" in text


def looks_like_address(text: str) -> bool:
    """Whether a text that names no file looks like an address without its scheme, such as `192.168.1.5:8080/video`.

    Args:
        text: A --source value.
    """
    return _meant(text) is not None or _PASSWORD.match(text) is not None


def masked(text: str) -> str:
    """A text as it may be shown and logged: if it is, or looks like, an address, without its secrets.

    Args:
        text: Any text, such as a --source value or an argument.
    """
    if not is_address(text):
        if "@" not in text:
            return text
        return _meant(text) or (f"{HIDDEN}@{text.rpartition('@')[2]}" if _PASSWORD.match(text) else text)
    try:
        return str(parse_address(text))
    except AddressError:
        return f"{text.partition('://')[0] if _SCHEME.match(text) else HIDDEN}://{HIDDEN}"


def _meant(text: str) -> str | None:
    """The address that was probably meant by a text without "scheme://", as it may be shown; None if none."""
    text = text.strip()
    mistyped = _MISTYPED.match(text)
    scheme, rest = (mistyped[1].lower(), text[mistyped.end() :]) if mistyped else ("", text.removeprefix("//"))
    if not rest or is_address(text) or not is_printable(text) or re.match(r"[a-z]:\\", text, re.IGNORECASE):
        return None
    likely = [each for each in _readings(rest) if each.is_full or each.port or ":" in each.info]
    if not likely or likely[-1].may_be_wrong or (len(likely) > 1 and not likely[-1].is_full):
        return None
    meant = likely[-1]
    if not (scheme or meant.info or meant.port or _is_ip(meant.host) or meant.tail.startswith("/")):
        return None  # one word, such as clip.avi
    scheme = scheme or ("rtsp" if meant.port in RTSP_PORTS else "http")
    return str(Address(scheme, meant.host, meant.port, _target(meant.tail), "" if meant.info else None))


class _Reading(NamedTuple):
    """One way to read an address: what is before the "@", the host, and what follows it."""

    info: str
    host: str
    port: int | None
    tail: str
    from_end: int  # position of the "@", counted from the end
    has_colon: bool  # behind the host, with a port or without
    is_full: bool  # the host is an IP address or a full name

    @property
    def may_be_wrong(self) -> bool:
        """Whether a further "@" behind the host makes it seem that the password goes on."""
        query = re.match(r"/[^?#]*\?[^=#]+=", self.tail) if self.is_full else None
        has_at = "@" in (query[0] if query else self.tail)
        return has_at and (bool(self.info) or (self.has_colon and not _is_ip(self.host)))

    def has_in_query(self, from_end: int) -> bool:
        """Whether another "@" is in the query, as in /video?mail=me@example.com."""
        before = self.tail[: max(0, len(self.tail) - from_end)]
        return self.tail.startswith("/") and re.match(r"[^?#]*\?[^=#]+=", before) is not None


def _readings(rest: str) -> list[_Reading]:
    """How what follows "://" can be read: without user information, then with what is before each "@"."""
    readings: list[_Reading] = []
    for at in [-1, *(match.start() for match in re.finditer("@", rest))]:
        info, host_on = rest[: max(at, 0)], rest[at + 1 :]
        if at >= 0 and re.match(r"[^/?#:]*([/?#]|$)", info) and (not info or re.search("[/?#]", info)):
            continue  # a user without password contains none of these
        from_end = len(rest) - at
        if any(each.is_full and each.has_in_query(from_end) for each in readings):
            continue
        end = _END.search(host_on)
        netloc = host_on[: end.start() if end else None]
        host, port = _host_and_port(netloc)
        if host is not None:
            tail = host_on[end.start() :] if end else ""
            readings.append(
                _Reading(info, host, port, tail, from_end, ":" in netloc.rpartition("]")[2], _is_full(host))
            )
    return readings


def _best(readings: list[_Reading], expected: str) -> _Reading:
    """The reading that is surely meant. Raises AddressError where none is: a wrong one could show a password."""
    best = [each for each in readings if each.is_full] or readings
    in_query = any(one.has_in_query(each.from_end) for one in readings for each in readings)
    if len(best) > 1 or best[0].may_be_wrong or in_query:
        raise AddressError(
            f"{expected}, found one that can be read in two ways: write @ as %40, / as %2F, # as %23 and ? as %3F in "
            "user and password, and @ as %40 behind the host"
        )
    return best[0]


def _host_and_port(text: str) -> tuple[str | None, int | None]:
    found = _HOST.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        return None, None
    host = unquote(found["v6"] or "") or found["name"]
    try:
        if found["v6"]:
            IPv6Address(host)
        else:
            host = host.encode("idna").decode("ascii")
    except ValueError:  # UnicodeError too
        return None, None
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        return None, None
    return host, int(found["port"]) if found["port"] else None


def _is_full(host: str) -> bool:
    return _is_ip(host) or _NAMED.fullmatch(host) is not None


def _is_ip(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return ":" in host
    return True


def _target(tail: str) -> str:
    """Path and query without fragment, spaces and control characters: they could forge further lines of a request."""
    tail = tail.partition("#")[0]
    tail = tail if tail.startswith("/") else f"/{tail}"
    return "".join(char if "!" <= char <= "~" else _escaped(char) for char in tail)


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _unescaped(text: str) -> str:
    return unquote(text, errors="surrogateescape")
