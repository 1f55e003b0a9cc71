from __future__ import annotations

import ctypes
import gc
import os
import platform
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace

import pytest

import main
from mien import process
from mien.cnn import loader
from mien.settings import Settings
from tests.fakes import FakePipeline
from tests.media import ROOT
from tests.patience import PATIENCE_S
from tests.web_fakes import free_port


class FakeLibrary:
    def __init__(self):
        self.trimmed = []
        self.chosen = []

    def mallopt(self, name, value):
        self.chosen.append((name, value))
        return 1

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


def test_reference_cycles_are_freed_and_reachable_objects_kept(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    gc.disable()
    try:
        gone = weakref.ref(Knot())
        assert gone() is not None
        process.release_memory()
        assert gone() is None
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()


@pytest.mark.parametrize(("platform", "trimmed"), [("linux", [0]), ("darwin", []), ("win32", [])])
def test_freed_memory_is_returned_only_on_linux(platform, trimmed, monkeypatch):
    library = FakeLibrary()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    process.release_memory()
    assert library.trimmed == trimmed


@pytest.mark.parametrize(("platform", "chosen"), [("linux", [(-8, 2)]), ("darwin", []), ("win32", [])])
def test_the_parts_of_the_memory_are_limited_only_on_linux(platform, chosen, monkeypatch):
    library = FakeLibrary()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    process.limit_arenas()
    assert library.chosen == chosen


GROWTH = """
import sys, threading, time
from mien.process import limit_arenas
if sys.argv[1] == "limited":
    limit_arenas()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def use_and_free():
    pieces = [bytearray(100_000) for _ in range(100)]
    kept.append(bytearray(20_000))
    pieces.clear()
    done.wait()

kept, done, before = [], threading.Barrier(13), resident()
threads = [threading.Thread(target=use_and_free) for _ in range(12)]
for number, thread in enumerate(threads, 1):
    thread.start()
    while len(kept) < number or done.n_waiting < number:
        time.sleep(0.001)
print(resident() - before)
done.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_many_threads_keep_no_memory_that_each_needed_for_a_moment():
    def grown(limited):
        words = [sys.executable, "-c", GROWTH, limited]
        return int(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert grown("limited") < 0.5 * grown("free")


@pytest.mark.parametrize(("every_s", "expected"), [(1e9, 2), (0.0, 3)])
def test_memory_is_trimmed_each_time_the_camera_is_released_and_again(every_s, expected, monkeypatch) -> None:
    trimmed, stop = [], threading.Event()
    in_use = iter(["demo", None, None, "demo", None])

    class Camera:
        failed = None

        @property
        def in_use(self):
            try:
                return next(in_use)
            except StopIteration:
                stop.set()
                return "demo"

    monkeypatch.setattr(main, "TICK_S", 0)
    monkeypatch.setattr(main, "TRIM_EVERY_S", every_s)
    monkeypatch.setattr(process, "trim_memory", lambda: trimmed.append(True))
    main.watch(Camera(), SimpleNamespace(failed=None), stop)
    assert len(trimmed) == expected


def test_another_c_library_is_not_an_error(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    process.release_memory()


COPY = """
import os, sys
from mien.process import copy_standard_error
copy_standard_error()
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
os.write(2, b"a library's line\\n")
print("our line", file=sys.stderr)
"""


def test_own_lines_appear_while_file_descriptor_2_is_silenced() -> None:
    done = subprocess.run([sys.executable, "-c", COPY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "our line\n"


@contextmanager
def _in_a_thread(silenced: AbstractContextManager[None], entered: threading.Event) -> Iterator[None]:
    """A context of a thread of its own that enters `silenced`, and leaves it at the end."""
    leave = threading.Event()

    def run() -> None:
        with silenced:
            entered.set()
            assert leave.wait(PATIENCE_S)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    leave.set()
    thread.join()


@pytest.mark.parametrize("first", [lambda: process.without_notes(b"INFO"), loader._quiet_standard_error])
@pytest.mark.parametrize("second", [lambda: process.without_notes(b"INFO"), loader._quiet_standard_error])
def test_after_two_threads_have_silenced_standard_error_it_leads_where_it_did(first, second, monkeypatch) -> None:
    monkeypatch.setattr(loader, "_standard_error", lambda: -1)  # Python writes elsewhere, as in the program
    before, kept = os.fstat(2), os.dup(2)
    entered, entered_too = threading.Event(), threading.Event()
    try:
        with ExitStack() as later, _in_a_thread(first(), entered):
            assert entered.wait(PATIENCE_S)
            later.enter_context(_in_a_thread(second(), entered_too))
            entered_too.wait(0.1)  # has to wait for the first one
        assert os.path.samestat(os.fstat(2), before)
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_a_process_without_standard_error_stays_without(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    process.copy_standard_error()
    assert sys.stderr is None


ENDLESS = -1


class Limits(SimpleNamespace):
    """Stands in for the module `resource`."""

    RLIMIT_NOFILE = 7
    RLIM_INFINITY = ENDLESS

    def getrlimit(self, _):
        return self.now

    def setrlimit(self, _, limits):
        if self.refuses:
            raise ValueError("not allowed to raise maximum limit")
        self.now = limits


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((256, ENDLESS), (4096, ENDLESS)),
        ((1024, 1048576), (4096, 1048576)),
        ((256, 1000), (1000, 1000)),
        ((1000, 1000), (1000, 1000)),
        ((8192, 8192), (8192, 8192)),
        ((ENDLESS, ENDLESS), (ENDLESS, ENDLESS)),
    ],
)
def test_the_limit_is_raised_as_far_as_allowed_and_never_lowered(monkeypatch, before, after) -> None:
    limits = Limits(now=before, refuses=False)
    monkeypatch.setitem(sys.modules, "resource", limits)
    process.raise_open_file_limit()
    assert limits.now == after


def test_a_system_that_refuses_or_has_no_limit_is_not_an_error(monkeypatch) -> None:
    limits = Limits(now=(256, ENDLESS), refuses=True)
    for module in (limits, None):  # None: it cannot be imported
        monkeypatch.setitem(sys.modules, "resource", module)
        process.raise_open_file_limit()
    assert limits.now == (256, ENDLESS)


def test_the_program_raises_the_limit_at_startup(monkeypatch) -> None:
    raised = []
    monkeypatch.setattr(process, "raise_open_file_limit", lambda: raised.append(True))
    monkeypatch.setattr(main, "build_pipeline", lambda *_: FakePipeline())
    stop = threading.Event()
    stop.set()
    main.run(Settings(source="demo", port=free_port()), stop)
    assert raised == [True]
