"""What axe-core finds on every view, at any width and in any mode: `python -m benchmarks.accessibility`.

Prints for each view how many of the 20 combinations of width (375 to 3840 px) and mode (light, dark, forced colors,
text of 200 %) have serious violations, and lists them. The tests try five of them for each view.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mien.types import EXPRESSIONS, Box
from tests.axe import MODES, WIDTHS, axe_source, serious_faults
from tests.chromium import start_chromium
from tests.page import appears, click, press, texts
from tests.patience import wait_for
from tests.web_fakes import FakeCamera, face_showing
from web import AppOptions, create_app
from web.server import Server


def _as_it_opens(browser: Any) -> None:
    wait_for(lambda: len(texts(browser, ".session-row")) > 1, "the session")


def _sources(browser: Any) -> None:
    click(browser, "#source")
    appears(browser, "#source-menu")


def _help(browser: Any) -> None:
    press(browser, "?")
    appears(browser, "#help")


def _presenting(browser: Any) -> None:
    press(browser, "f")
    appears(browser, "#strips")


def _as_it_is(browser: Any) -> None:
    wait_for(lambda: browser.execute_script("return document.readyState") == "complete", "the page")


VIEWS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "live, five faces": ("/", _as_it_opens),
    "sources": ("/", _sources),
    "help": ("/", _help),
    "presenting": ("/", _presenting),
    "?view=stage": ("/?view=stage", _as_it_is),
    "?view=bars": ("/?view=bars", _as_it_is),
    "model card": ("/model-card", _as_it_is),
    "HTTP API": ("/api", _as_it_is),
}


def main() -> int:
    """Print the table; status 1 if there are violations."""
    camera = FakeCamera()
    faces = [face_showing(name, i + 1) for i, name in enumerate(EXPRESSIONS[:5])]
    camera.faces = tuple(replace(face, box=Box(10 + 60 * i, 60, 50, 60)) for i, face in enumerate(faces))
    server = Server(create_app(camera, AppOptions()), port=0)
    server.start()
    camera.play(fps=5)
    browser = start_chromium()
    browser.set_script_timeout(120)
    axe = axe_source()
    combinations = list(itertools.product(WIDTHS, MODES))
    faulty = 0
    try:
        for name, (path, prepare) in VIEWS.items():
            browser.get(server.url + path)
            prepare(browser)
            found = serious_faults(browser, axe, combinations)
            faulty += len(found)
            print(f"{name:<20} {len(found):>2} of {len(combinations)} with serious violations", flush=True)
            for (width, mode), faults in found.items():
                print(f"  {width} px, {mode}: {faults}")
    finally:
        browser.quit()
        camera.close()
        server.stop()
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
