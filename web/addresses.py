"""Whether an address to listen on admits other computers."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this computer only.

    Args:
        host: An IP address, with or without brackets, or a host name.
    """
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"


def is_local(host: str) -> bool:
    """Whether a server that listens on this address can be reached as "localhost".

    Args:
        host: The address to listen on.
    """
    return is_loopback(host) or host in {"0.0.0.0", "::"}
