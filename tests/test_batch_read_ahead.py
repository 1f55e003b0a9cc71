"""Items prepared by another thread: the same ones, errors included, and never more than asked for."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import count

import pytest

from mien.batch.read_ahead import read_ahead
from tests.patience import wait_for


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize("ahead", [1, 4])
def test_all_items_come_in_their_order(ahead):
    assert list(read_ahead(iter(range(50)), ahead)) == list(range(50))
    assert list(read_ahead(iter([]), ahead)) == []
    assert threads() == []


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    found = read_ahead(items(), 4)
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert threads() == []


def test_no_more_is_prepared_than_asked_for_and_closing_ends_the_thread():
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    with closing(read_ahead(items(), 3)) as found:
        assert next(found) == 0
        wait_for(lambda: len(taken) == 4, "the items ahead")
        assert next(found) == 1
        wait_for(lambda: len(taken) == 5, "one more")
        assert threads() == ["read-ahead"]
    assert len(taken) == 5
    assert threads() == []
