"""The limit of open files, on systems that are pretended."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest

import main
from mien import open_files
from mien.open_files import allow_open_files
from mien.settings import Settings
from tests.fakes import FakePipeline
from tests.web_fakes import free_port

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
    allow_open_files()
    assert limits.now == after


def test_a_system_that_refuses_or_has_no_limit_is_no_fault(monkeypatch) -> None:
    limits = Limits(now=(256, ENDLESS), refuses=True)
    for module in (limits, None):  # None: it can not be imported
        monkeypatch.setitem(sys.modules, "resource", module)
        allow_open_files()
    assert limits.now == (256, ENDLESS)


def test_the_program_raises_it_when_it_starts(monkeypatch) -> None:
    raised = []
    monkeypatch.setattr(open_files, "allow_open_files", lambda: raised.append(True))
    monkeypatch.setattr(main, "create_pipeline", lambda _: FakePipeline())
    stop = threading.Event()
    stop.set()
    main.run(Settings(source="demo", port=free_port()), stop)
    assert raised == [True]
