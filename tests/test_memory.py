import ctypes
import gc
import sys
import weakref

import pytest

from mien import memory


class FakeLibrary:
    def __init__(self):
        self.trimmed = []

    def malloc_trim(self, pad):
        self.trimmed.append(pad)
        return 1


class Knot:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def _thaw():
    yield
    gc.unfreeze()


def test_objects_that_refer_to_each_other_alone_are_freed_and_the_others_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    gc.disable()
    try:
        gone = weakref.ref(Knot())
        assert gone() is not None
        memory.give_back()
        assert gone() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()


@pytest.mark.parametrize(("platform", "trimmed"), [("linux", [0]), ("darwin", []), ("win32", [])])
def test_freed_memory_is_given_back_on_linux_alone(platform, trimmed, monkeypatch):
    library = FakeLibrary()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    memory.give_back()
    assert library.trimmed == trimmed


def test_another_c_library_is_no_fault(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    memory.give_back()
