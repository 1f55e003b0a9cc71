"""Helpers of the browser tests that query the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from tests.patience import wait_for

SHADE = """
const picture = document.getElementById("picture");
if (picture.hidden) return null;
const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
probe.drawImage(picture, picture.width / 2, picture.height / 2, 1, 1, 0, 0, 1, 1);
return probe.getImageData(0, 0, 1, 1).data[0];
"""
"""The gray level in the middle of the picture, 0 to 255; the fake camera's pictures differ only in this."""

BLOCKS = """
const picture = document.getElementById("picture");
const [x, y, w, h] = arguments[0];
const copy = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
copy.drawImage(picture, x, y, w, h, 0, 0, w, h);
const { data } = copy.getImageData(0, 0, w, h);
const colors = new Set();
for (let i = 0; i < data.length; i += 4) colors.add(data[i] + 256 * data[i + 1] + 65536 * data[i + 2]);
return colors.size;
"""
"""The number of different colors in a region of the picture."""


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def texts(browser: Any, selector: str) -> list[str]:
    """Read all texts in one step, because the page may change its list of faces at any time."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
    return browser.execute_script(script, selector)


def see(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition on elements that may not exist yet or may be replaced meanwhile."""
    from selenium.common import exceptions

    not_yet = (
        exceptions.NoSuchElementException,
        exceptions.StaleElementReferenceException,
        exceptions.ElementNotInteractableException,
        exceptions.ElementClickInterceptedException,
    )

    def seen() -> object:
        try:
            return condition()
        except not_yet:
            return False

    wait_for(seen, what)


def shows(browser: Any, selector: str, text: str) -> None:
    """Wait until an element has this text."""
    see(lambda: find(browser, selector).text == text, f"{selector} with the text {text!r}")


def says(browser: Any, selector: str, part: str) -> None:
    """Wait until an element's text contains these words."""
    see(lambda: part in find(browser, selector).text, f"{selector} with {part!r} in its text")


def lists(browser: Any, selector: str, expected: list[str]) -> None:
    """Wait until the elements have these texts."""
    wait_for(lambda: texts(browser, selector) == expected, f"{selector} with the texts {expected!r}")


def appears(browser: Any, selector: str) -> None:
    """Wait until an element is displayed."""
    see(lambda: find(browser, selector).is_displayed(), f"{selector} displayed")


def vanishes(browser: Any, selector: str) -> None:
    """Wait until an element is not displayed."""
    see(lambda: not find(browser, selector).is_displayed(), f"{selector} hidden")


def is_pressed(browser: Any, selector: str, pressed: bool = True) -> None:
    """Wait until a button is pressed, or not."""
    wanted = str(pressed).lower()
    see(lambda: find(browser, selector).get_attribute("aria-pressed") == wanted, f"{selector} pressed: {wanted}")


def click(browser: Any, selector: str) -> None:
    """Click an element as soon as it can be clicked."""
    see(lambda: find(browser, selector).click() or True, f"{selector} clicked")


def caught_up(browser: Any, camera: Any) -> None:
    """Wait until a picture is displayed that the camera published after this call."""
    now = camera.snapshots.peek()[1].frame.index
    see(lambda: int(find(browser, "#picture").get_attribute("data-frame") or -1) > now, "a newer picture")


def changes(browser: Any) -> None:
    """Wait until the picture shows something and then something else."""
    first: list[int] = []

    def another() -> bool:
        shade = browser.execute_script(SHADE)
        if shade is not None and not first:
            first.append(shade)
        return bool(first) and shade is not None and shade != first[0]

    wait_for(another, "a picture that moves")


def viewers(server: Any) -> int:
    with urlopen(f"{server.url}/api/state") as answer:
        return json.load(answer)["viewers"]


def press(browser: Any, key: str) -> None:
    find(browser, "body").send_keys(key)


def consent(browser: Any) -> None:
    """As in a browser in which somebody has confirmed that those who are recorded know of it."""
    browser.execute_script("localStorage.setItem('mien.consent', 'in a test')")


def asked(browser: Any, path: str) -> int:
    """How often the page has requested an address that contains this text."""
    script = "return performance.getEntriesByType('resource').filter((e) => e.name.includes(arguments[0])).length"
    return browser.execute_script(script, path)
