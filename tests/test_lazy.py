"""Lazy: a value computed on first use, once for all threads, and again after a failure."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from mien.stream.publisher import Lazy
from tests.patience import PATIENCE_S


def test_the_value_is_computed_only_on_demand():
    made = []
    value = Lazy(lambda: made.append(1) or "value")
    assert made == []
    assert [value(), value()] == ["value", "value"]
    assert made == [1]


def test_concurrent_callers_get_the_same_value():
    everybody = threading.Barrier(8)
    value = Lazy(object)

    def ask(_):
        everybody.wait(PATIENCE_S)
        return value()

    with ThreadPoolExecutor(8) as pool:
        assert len({id(each) for each in pool.map(ask, range(8))}) == 1


def test_none_is_a_valid_value():
    made = []
    value = Lazy(lambda: made.append(1))
    assert value() is None
    assert value() is None
    assert made == [1]


def test_a_failed_computation_is_repeated():
    results = [ValueError("first"), "second"]

    def make():
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    value = Lazy(make)
    with pytest.raises(ValueError, match="first"):
        value()
    assert value() == "second"
    assert value() == "second"


def test_the_function_is_released_after_use():
    class Pixels:
        pass

    pixels = Pixels()
    gone = weakref.ref(pixels)
    value = Lazy(lambda pixels=pixels: len(str(pixels)))
    del pixels
    gc.collect()
    assert gone() is not None
    value()
    gc.collect()
    assert gone() is None


def test_the_duration_of_the_computation_is_measured():
    ticks = iter((10.0, 10.5))
    value = Lazy(lambda: 1, lambda: next(ticks))
    assert value.took_ms == 0
    value()
    value()
    assert value.took_ms == 500
