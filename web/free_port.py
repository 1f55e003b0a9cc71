"""Which TCP port the server listens on: the one named by the user, or the first free one."""

from __future__ import annotations

import errno
import logging
import socket

from mien.errors import ServerError
from web.addresses import is_local

DEFAULT_PORT = 5000
PORTS_TRIED = 20
AIRPLAY = " (on macOS often by AirPlay Receiver)"

log = logging.getLogger(__name__)


def check_port(host: str, port: int) -> None:
    """Check that no other program on this computer already answers on a port.

    macOS lets a program bind 127.0.0.1 while another holds all addresses; "localhost" then reaches the other one.

    Args:
        host: The address to listen on.
        port: The port; 0 stands for any free one.

    Raises:
        ServerError: Another program answers.
    """
    if port and is_local(host) and _answers("localhost", port):
        raise ServerError(taken_message(port))


def choose_port(host: str, port: int | None) -> int:
    """Choose the port to listen on; one other than DEFAULT_PORT that the user has not named is logged.

    Args:
        host: The address to listen on.
        port: The port the user has named, or None.

    Returns:
        The given one, or for None the first free one from DEFAULT_PORT on.

    Raises:
        ServerError: The given port is taken, or PORTS_TRIED in a row are.
    """
    if port is not None:
        check_port(host, port)
        return port
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        if _is_free(host, candidate):
            if candidate != DEFAULT_PORT:
                log.info("port %d is in use by another program%s: using %d", DEFAULT_PORT, AIRPLAY, candidate)
            return candidate
    raise ServerError(
        f"ports {DEFAULT_PORT} to {DEFAULT_PORT + PORTS_TRIED - 1} are in use by other programs: choose one with --port"
    )


def _is_free(host: str, port: int) -> bool:
    """Whether the server can listen there; true too where it cannot for another reason, which it then explains."""
    if is_local(host) and _answers("localhost", port):
        return False
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def taken_message(port: int) -> str:
    """What to tell the user about a port that another program uses.

    Args:
        port: The port.
    """
    airplay = AIRPLAY if port == DEFAULT_PORT else ""
    return f"port {port} is already in use by another program{airplay}: choose another with --port"


def _answers(host: str, port: int) -> bool:
    """Whether some program already accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=0.3).close()
    except OSError:
        return False
    return True
