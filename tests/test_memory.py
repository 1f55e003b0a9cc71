import ctypes
import sys

import pytest

from mien import memory


class FakeLibrary:
    def __init__(self):
        self.trimmed = []

    def malloc_trim(self, pad):
        self.trimmed.append(pad)
        return 1


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
