"""Whether an address leads back to this program, which would then watch its own pictures."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own_address(url: str, host: str, port: int) -> bool:
    """Whether a URL leads to the address on which the program listens, by whatever name.

    A proxy of this program cannot be told from another server.

    Args:
        url: The address of a source.
        host: The address the program listens on.
        port: Its port.
    """
    try:
        parts = urlsplit(url)
        name, its_port = parts.hostname, parts.port
    except ValueError:  # refused where it is opened
        return False
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not name or (its_port or DEFAULT_PORTS[scheme]) != port:
        return False
    own = {_plain(each) for each in _addresses(host)}
    listens_everywhere = bool(own & {"0.0.0.0", "::"})
    for address in _addresses(name):
        plain = _plain(address)
        if plain in own or (listens_everywhere and _is_local(address)):
            return True
        if plain in ("0.0.0.0", "::") and any(_is_local(each) for each in own):  # connects to this one
            return True
    return False


def _addresses(name: str) -> list[str]:
    """The IP addresses of a name; none if there are none."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def _plain(address: str) -> str:
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def _is_local(address: str) -> bool:
    """Whether an address is one of this computer: only those can be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
