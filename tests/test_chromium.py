"""A browser that no longer answers is replaced before the next test, and the summary says so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from tests import chromium, web_fakes
from tests.patience import PATIENCE_S

pytest.importorskip("selenium", reason="selenium is not installed")


@pytest.fixture
def started(monkeypatch) -> Iterator[list[Mock]]:
    """The browsers that were started: fakes, each with a real process as its driver."""
    browsers: list[Mock] = []

    def start(*_: str) -> Mock:
        driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        browsers.append(Mock(service=SimpleNamespace(process=driver)))
        return browsers[-1]

    monkeypatch.setattr(chromium, "start_chromium", start)
    yield browsers
    for each in browsers:
        each.service.process.kill()
        each.service.process.communicate()


def raising(text: str) -> Mock:
    from selenium.common import TimeoutException

    return Mock(side_effect=TimeoutException(f"{text}\na trace"))


def test_a_browser_that_answers_is_lent_again(started) -> None:
    lender, notes = chromium.Lender(), []
    for _ in range(2):
        with lender.lend(lambda browser: None, notes.append) as browser:
            assert browser is started[0]
    lender.close()
    assert notes == []
    assert started[0].quit.called
    assert started[0].service.process.wait(PATIENCE_S) != 0


def test_a_browser_that_does_not_leave_its_page_is_replaced_before_the_next_test(started) -> None:
    lender, notes = chromium.Lender(), []
    started[0].get = raising("it hangs")
    with lender.lend(lambda browser: None, notes.append):
        pass
    assert started[0].service.process.wait(PATIENCE_S) != 0
    with lender.lend(lambda browser: None, notes.append) as browser:
        assert browser is started[1]
    (note,) = notes
    assert note.endswith("after this test, since it did not leave its page: TimeoutException: Message: it hangs")


def test_a_browser_that_has_died_between_two_tests_is_replaced(started) -> None:
    lender, notes = chromium.Lender(), []
    started[0].get_log = raising("no such window")
    with lender.lend(lambda browser: browser.get_log("browser"), notes.append) as browser:
        assert browser is started[1]
    (note,) = notes
    assert note.startswith("before this test, since it did not answer: TimeoutException")


def test_a_failed_test_fails_although_its_browser_is_replaced(started) -> None:
    lender, notes = chromium.Lender(), []
    started[0].get = started[0].quit = raising("it hangs")
    with pytest.raises(ZeroDivisionError), lender.lend(lambda browser: None, notes.append):
        raise ZeroDivisionError
    lender.close()


def test_a_browser_that_does_not_start_is_started_once_more(started, monkeypatch) -> None:
    from selenium.common import SessionNotCreatedException

    faults, start = [SessionNotCreatedException("it crashed")], chromium.start_chromium

    def start_at_last(*more: str) -> Mock:
        if faults:
            raise faults.pop()
        return start(*more)

    monkeypatch.setattr(chromium, "start_chromium", start_at_last)
    lender = chromium.Lender()
    assert len(started) == 1
    lender.close()


def test_time_limits_of_the_browser_end_before_that_of_its_driver() -> None:
    assert PATIENCE_S <= chromium.PAGE_S < chromium.COMMAND_S


@pytest.mark.parametrize("worker", ["", "gw0", "gw1", "gw9"])
def test_browsers_open_every_port_of_a_test_server(monkeypatch, worker: str) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    ports = set(islice(web_fakes._own_ports(), 5_000))
    assert 10_080 not in ports  # ERR_UNSAFE_PORT
    assert min(ports) > 10_000
    assert max(ports) < 32_768, "the system assigns the others on request"
