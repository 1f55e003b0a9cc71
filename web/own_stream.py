"""Whether an address leads back to this program, which would then watch its own pictures."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address

from mien.addresses import AddressError, parse_address


def is_own_address(url: str, host: str, port: int) -> bool:
    """Whether a URL leads to the address on which the program listens, by whatever name.

    A proxy of this program cannot be told from another server.

    Args:
        url: The address of a source.
        host: The address the program listens on.
        port: Its port.
    """
    try:
        address = parse_address(url)
    except AddressError:  # refused where it is opened
        return False
    if address.scheme not in ("http", "https") or address.port_or_default != port:
        return False
    own = {_plain(each) for each in _addresses(host)}
    listens_everywhere = bool(own & {"0.0.0.0", "::"})
    for each in _addresses(address.host):
        plain = _plain(each)
        if plain in own or (listens_everywhere and _is_local(each)):
            return True
        if plain in ("0.0.0.0", "::") and any(_is_local(one) for one in own):  # connects to this one
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
