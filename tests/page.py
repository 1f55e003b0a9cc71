"""What the browser tests ask of the page."""

from __future__ import annotations

import json
from urllib.request import urlopen

from tests.web_fakes import eventually

SHADE = """
const picture = document.getElementById("picture");
if (picture.hidden) return null;
const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
probe.drawImage(picture, picture.width / 2, picture.height / 2, 1, 1, 0, 0, 1, 1);
return probe.getImageData(0, 0, 1, 1).data[0];
"""
"""The shade of the picture's middle, 0..255; the fake camera's pictures differ in nothing else."""

BLOCKS = """
const picture = document.getElementById("picture");
const [x, y, w, h] = arguments[0];
const copy = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
copy.drawImage(picture, x, y, w, h, 0, 0, w, h);
const { data } = copy.getImageData(0, 0, w, h);
const colours = new Set();
for (let i = 0; i < data.length; i += 4) colours.add(data[i] + 256 * data[i + 1] + 65536 * data[i + 2]);
return colours.size;
"""
"""How many colours there are in a part of the picture."""


def find(browser, selector: str):
    return browser.find_element("css selector", selector)


def texts(browser, selector: str) -> list[str]:
    """In one step: the page changes its list of faces at any moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
    return browser.execute_script(script, selector)


def changes(browser, within_s: float = 8) -> bool:
    """Whether the picture shows something and then something else."""
    first: list[int] = []

    def another() -> bool:
        shade = browser.execute_script(SHADE)
        if shade is not None and not first:
            first.append(shade)
        return bool(first) and shade is not None and shade != first[0]

    return eventually(another, within_s)


def viewers(server) -> int:
    with urlopen(f"{server.url}/api/state") as answer:
        return json.load(answer)["viewers"]


def press(browser, key: str) -> None:
    find(browser, "body").send_keys(key)


def asked(browser, path: str) -> int:
    """How often the page has asked for an address that contains this."""
    script = "return performance.getEntriesByType('resource').filter((e) => e.name.includes(arguments[0])).length"
    return browser.execute_script(script, path)
