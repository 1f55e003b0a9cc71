"""A headless Chromium for the browser tests and the screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from tests.patience import PATIENCE_S

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses to start its sandbox as root, and containers often lack what it needs
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--lang=en-US",  # tests look for English texts
    "--accept-lang=en-US",
)

PAGE_S = 2 * PATIENCE_S
"""A page that has not loaded by then fails its test."""
COMMAND_S = PAGE_S + PATIENCE_S
"""A browser or driver that has not answered by then hangs. The other time limits are shorter: they say what is late."""


def missing() -> str | None:
    """Why no browser can be started; None if one can."""
    if not _program() or not shutil.which("chromedriver"):
        return "there is no Chromium with its chromedriver on this computer"
    return None


def start_chromium(*more: str) -> Any:
    """A new browser that keeps its console log; more: additional command-line options."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _program() or ""
    for option in (*OPTIONS, *more):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser: Any = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.command_executor.client_config.timeout = COMMAND_S
    browser.set_page_load_timeout(PAGE_S)
    browser.set_script_timeout(PATIENCE_S)
    return browser


class Lender:
    """Lends one browser to one test after the other, and replaces it when it no longer answers.

    Args:
        more: As for `start_chromium`.
    """

    def __init__(self, *more: str) -> None:
        self._more = more
        self._start()

    @contextmanager
    def lend(self, prepare: Callable[[Any], object], note: Callable[[str], object]) -> Iterator[Any]:
        """Lend the browser.

        Args:
            prepare: Brings the browser into its initial state.
            note: Called with what has to be said where the browser was replaced.
        """
        from selenium.common import WebDriverException
        from urllib3.exceptions import HTTPError

        no_answer = (WebDriverException, HTTPError, OSError)
        try:
            prepare(self._browser)
        except no_answer as error:
            note(f"before this test, since it did not answer: {_first_line(error)}")
            self._replace()
            prepare(self._browser)
        yield self._browser
        try:
            self._browser.get("about:blank")
        except no_answer as error:  # the next test must not fail for what this one has left
            note(f"after this test, since it did not leave its page: {_first_line(error)}")
            self._replace()

    def close(self) -> None:
        """End the browser and its driver, even if they hang."""
        self._browser.command_executor.client_config.timeout = PATIENCE_S
        with suppress(Exception):  # of any kind, as from a driver that has died
            self._browser.quit()
        self._kill()

    def _start(self) -> None:
        from selenium.common import WebDriverException

        try:
            self._browser = start_chromium(*self._more)
        except WebDriverException:  # once more, since all browser tests depend on it: a busy computer may be too slow
            self._browser = start_chromium(*self._more)
        driver = psutil.Process(self._browser.service.process.pid)
        self._processes = [driver, *driver.children(recursive=True)]

    def _replace(self) -> None:
        self._kill()
        self._start()

    def _kill(self) -> None:
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._browser.service.process.wait(PATIENCE_S)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
