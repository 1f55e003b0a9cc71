"""Let the threads of a test run in an order that is rare otherwise: `--others-first 0.02`, `--threads-late 0.05`.

What a test reads after it has woken another thread may have changed already, or not yet. Both happen seldom on an idle
computer, and with these options nearly always.
"""

from __future__ import annotations

import _thread
import queue
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any


def let_others_go_first(seconds: float) -> None:
    """Have the main thread pause after it has started or woken another one, as soon as it holds no lock.

    seconds: how long.
    """
    main, sleep = threading.main_thread().ident, time.sleep  # tests may replace time.sleep
    held, owed = 0, False

    def pause() -> None:
        nonlocal owed
        if held == 0:
            owed = False
            sleep(seconds)

    def waking(wake: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(wake)
        def call(*given: Any, **named: Any) -> Any:
            nonlocal owed
            answer = wake(*given, **named)
            if threading.get_ident() == main:  # current_thread() would create another in a thread that begins
                owed = True
                pause()
            return answer

        return call

    def entering(enter: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(enter)
        def call(lock: Any) -> Any:
            nonlocal held
            answer = enter(lock)
            if threading.get_ident() == main:
                held += 1
            return answer

        return call

    def leaving(leave: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(leave)
        def call(lock: Any, *given: Any) -> Any:
            nonlocal held
            answer = leave(lock, *given)
            if threading.get_ident() == main:
                held -= 1
                if owed:
                    pause()
            return answer

        return call

    class Lock:
        """The lock of the same name: a class, so that its methods can be replaced."""

        def __init__(self) -> None:
            self._lock = _thread.allocate_lock()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lock, name)

        def __enter__(self) -> bool:
            return self._lock.__enter__()

        def __exit__(self, *given: Any) -> None:
            self._lock.__exit__(*given)

    class SimpleQueue(queue.SimpleQueue):
        """The queue of the same name, likewise."""

        put = waking(queue.SimpleQueue.put)

    for wakes, name in ((threading.Thread, "start"), (threading.Event, "set"), (threading.Condition, "notify")):
        setattr(wakes, name, waking(getattr(wakes, name)))
    for locks in (Lock, threading.Condition):
        locks.__enter__ = entering(locks.__enter__)  # type: ignore[method-assign]
        locks.__exit__ = leaving(locks.__exit__)  # type: ignore[method-assign]
    threading.Lock = Lock  # type: ignore[assignment, misc]
    queue.SimpleQueue = SimpleQueue  # type: ignore[misc]


def let_threads_begin_late(seconds: float) -> None:
    """Have every new thread wait before it does anything.

    seconds: how long.
    """
    begin, sleep = threading.Thread.run, time.sleep

    @wraps(begin)
    def run(thread: threading.Thread) -> None:
        sleep(seconds)
        begin(thread)

    threading.Thread.run = run  # type: ignore[method-assign]
