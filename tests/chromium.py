"""A headless Chromium for the browser tests and the screenshots."""

from __future__ import annotations

import shutil
from typing import Any

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses to start its sandbox as root, and containers often lack what it needs
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


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
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def _program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
