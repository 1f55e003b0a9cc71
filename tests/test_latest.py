"""One writer, many readers: what each reads, and that none can block the writer."""

import threading
import time

import pytest

from mien.stream.latest import Latest
from tests.patience import PATIENCE_S


def test_is_empty_before_the_first_value():
    latest: Latest[str] = Latest()
    assert latest.peek() == (0, None)
    assert latest.wait(0, timeout_s=0) == (0, None)
    assert not latest.closed


def test_a_reader_sees_the_newest_value_and_its_number():
    latest: Latest[str] = Latest()
    assert [latest.publish(value) for value in "abc"] == [1, 2, 3]
    assert latest.peek() == (3, "c")
    assert latest.wait(0, timeout_s=0) == (3, "c")
    assert latest.wait(2, timeout_s=0) == (3, "c")


@pytest.mark.parametrize("after", [3, 4])
def test_an_up_to_date_reader_gets_the_same_value_after_the_timeout(after):
    latest: Latest[str] = Latest()
    for value in "abc":
        latest.publish(value)
    begun_s = time.monotonic()
    assert latest.wait(after, timeout_s=0.05) == (3, "c")
    assert time.monotonic() - begun_s >= 0.05


def test_publishing_wakes_every_waiting_reader():
    latest: Latest[int] = Latest()
    results = []
    threads = [threading.Thread(target=lambda: results.append(latest.wait(0, PATIENCE_S))) for _ in range(10)]
    for thread in threads:
        thread.start()
    latest.publish(7)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert results == [(1, 7)] * 10


def test_closing_wakes_readers_and_ends_waiting():
    latest: Latest[int] = Latest()
    latest.publish(7)
    results = []
    thread = threading.Thread(target=lambda: results.append(latest.wait(1, PATIENCE_S)))
    thread.start()
    begun_s = time.monotonic()
    latest.close()
    thread.join(PATIENCE_S)
    assert latest.closed
    assert latest.wait(1, PATIENCE_S) == (1, 7)
    assert results == [(1, 7)]
    assert time.monotonic() - begun_s < PATIENCE_S / 2


def test_a_fast_reader_sees_each_value_once_and_a_slow_one_skips():
    latest: Latest[int] = Latest()
    fast, slow = [], []
    seen_fast = seen_slow = 0
    for value in range(9):
        latest.publish(value)
        seen_fast, got = latest.wait(seen_fast, 0)
        fast.append(got)
        if value % 4 == 0:
            seen_slow, got = latest.wait(seen_slow, 0)
            slow.append(got)
    assert fast == list(range(9))
    assert slow == [0, 4, 8]


def test_a_reader_that_never_returns_does_not_delay_the_writer():
    latest: Latest[bytes] = Latest()
    waiting = [threading.Thread(target=latest.wait, args=(10**9, PATIENCE_S), daemon=True) for _ in range(20)]
    for thread in waiting:
        thread.start()
    begun_s = time.monotonic()
    for _ in range(500):
        latest.publish(b"picture")
    elapsed_s = time.monotonic() - begun_s
    latest.close()
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert elapsed_s < PATIENCE_S / 2, "it has waited for a reader"


def test_old_values_are_released():
    class Value:
        alive = 0

        def __init__(self) -> None:
            Value.alive += 1

        def __del__(self) -> None:
            Value.alive -= 1

    latest: Latest[Value] = Latest()
    for _ in range(100):
        latest.publish(Value())
    assert Value.alive == 1
