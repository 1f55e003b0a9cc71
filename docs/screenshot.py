"""Take the screenshots of README and docs: `make screenshot`.

They show the real page on the demo in Chromium, in the dark and the light theme and at the size of a phone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.program import Program
from tests.chromium import start_chromium
from tests.web_fakes import resize

HERE = Path(__file__).parent
SCREENSHOTS = {
    "screenshot.png": (1280, 800, "dark"),
    "screenshot-light.png": (1920, 1080, "light"),
    "screenshot-phone.png": (375, 812, "dark"),
}
"""Width and height of the window in pixels, and the color scheme, by file name."""

SETTLE_S = 15
"""Time before each screenshot, in seconds, so that chart and session have something to show."""


def main() -> None:
    """Start the program, wait until the wanted expression is fully shown, and take the screenshots."""
    parser = argparse.ArgumentParser(prog="python -m docs.screenshot", description=__doc__)
    parser.add_argument("--source", default="demo")
    truth = "expression that the demo shows in the screenshots (%(default)s)"
    parser.add_argument("--truth", default="happy", help=truth)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    program = Program("--source", options.source)
    browser = start_chromium()
    try:
        program.wait_for_first_picture(limit_s=240)
        for name, (width, height, scheme) in SCREENSHOTS.items():
            resize(browser, width, height, scheme)
            browser.get(f"http://127.0.0.1:{program.port}")
            time.sleep(SETTLE_S)
            for _ in range(1200):
                state = program.state() or {}
                shown = [face["confidence"] for face in state.get("faces", ())]
                if options.source != "demo" or (
                    state["source"]["truth"] == options.truth
                    and None not in state["source"]["truths"]
                    and len(shown) == len(state["source"]["truths"])
                    and min(shown) > 0.6
                ):
                    break
                time.sleep(0.05)
            time.sleep(0.1)
            (options.out / name).write_bytes(browser.get_screenshot_as_png())
            print(f"wrote {options.out / name}")
    finally:
        browser.quit()
        program.stop()


if __name__ == "__main__":
    main()
