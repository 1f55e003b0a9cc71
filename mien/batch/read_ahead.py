"""Another thread that prepares the next items while this one works with the last."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def read_ahead(items: Iterator[Item], count: int) -> Generator[Item]:
    """The same items in the same order, taken by another thread.

        with closing(read_ahead(decoded(path), count=4)) as pictures:
            for picture in pictures:
                ...

    Args:
        items: Is used by the other thread alone.
        count: How many items it may be ahead.

    Yields:
        The items. Closed, it waits until the other thread has ended.

    Raises:
        Exception: Whatever `items` raises.
    """
    ready: SimpleQueue[object] = SimpleQueue()
    free = threading.Semaphore(count)
    stopped = threading.Event()

    def run() -> None:
        end: object = _END
        try:
            while free.acquire() and not stopped.is_set():
                ready.put((next(items),))
        except StopIteration:
            pass
        except BaseException as error:  # raised where the items are used
            end = error
        ready.put(end)

    thread = threading.Thread(target=run, name="read-ahead", daemon=True)
    thread.start()
    try:
        while isinstance(found := ready.get(), tuple):
            free.release()
            yield found[0]
        if isinstance(found, BaseException):
            raise found
    finally:
        stopped.set()
        free.release()
        thread.join()
