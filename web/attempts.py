"""Wrong tokens: slowed down, counted, and logged once for each address."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from werkzeug.exceptions import TooManyRequests

DELAY_S = 1.0
"""A wrong token is answered after this time."""

MAX_DELAYED = 4
"""Wrong tokens that are delayed at once; with the delay this limits how many can be tried per second."""

FORGET_AFTER_S = 600.0
MAX_LOGGED = 20
MAX_ADDRESSES = 1000

log = logging.getLogger(__name__)


class Attempts:
    """Compares tokens so that they cannot be guessed quickly; thread-safe.

    An address that has sent a wrong token may try one more only while fewer than MAX_DELAYED answers are delayed. Other
    addresses are never refused, so a stranger locks nobody out but those that share its address.

        attempts = Attempts()
        attempts.check("192.0.2.7", lambda: given == token)

    Args:
        now: Clock in seconds.
        sleep: Waits for this many seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._delayed = threading.Semaphore(MAX_DELAYED)
        self._lock = threading.Lock()
        self._wrong_at_s: dict[str, float] = {}  # of the last wrong token, by address; the oldest first
        self.count = 0
        """Wrong tokens so far."""

    def check(self, address: str, is_right: Callable[[], bool]) -> bool:
        """Whether a token is right; returns late if it is not.

        Args:
            address: Where it comes from; of IPv6 the first half counts, as one computer has all addresses below it.
            is_right: Compares it.

        Raises:
            TooManyRequests: The address has sent wrong ones, and may try the next in a second; nothing was compared.
        """
        address = _group(address)
        holds = False
        if self._is_suspect(address):
            holds = self._delayed.acquire(blocking=False)
            if not holds:
                raise TooManyRequests("Too many wrong tokens. Try again in a second.", retry_after=1)
        try:
            if is_right():
                return True
            self._remember(address)
            holds = holds or self._delayed.acquire(blocking=False)
            if holds:
                self._sleep(DELAY_S)
            return False
        finally:
            if holds:
                self._delayed.release()

    def _is_suspect(self, address: str) -> bool:
        with self._lock:
            self._forget()
            return address in self._wrong_at_s

    def _remember(self, address: str) -> None:
        with self._lock:
            self._forget()
            self.count += 1
            is_new = self._wrong_at_s.pop(address, None) is None
            self._wrong_at_s[address] = self._now()
            known, count = len(self._wrong_at_s), self.count
            if known > MAX_ADDRESSES:
                del self._wrong_at_s[next(iter(self._wrong_at_s))]
        if is_new and known <= MAX_LOGGED:
            log.warning("a wrong token from %s was refused (%d so far); more from there are not logged", address, count)
            if known == MAX_LOGGED:
                log.warning("wrong tokens from further addresses are not logged")

    def _forget(self) -> None:
        """Forget addresses after a while; with the lock held."""
        oldest_s = self._now() - FORGET_AFTER_S
        while self._wrong_at_s:
            address, at_s = next(iter(self._wrong_at_s.items()))
            if at_s > oldest_s:
                break
            del self._wrong_at_s[address]


def _group(address: str) -> str:
    """The part of an address that stands for one computer or network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "an unknown address"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
