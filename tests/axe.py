"""Accessibility by axe-core at any width, theme and size of text: for the tests and benchmarks.accessibility."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.patience import scaled
from tests.web_fakes import resize

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"

RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => done(violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => [id, nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)])));
"""
"""Serious violations only; https://www.deque.com/axe/core-documentation/api-documentation/."""

WIDTHS = (375, 768, 1280, 1920, 3840)
MODES = ("light", "dark", "forced colors", "text of 200 %")

EACH_ONCE = ((375, "light"), (768, "dark"), (1280, "forced colors"), (1920, "text of 200 %"), (3840, "dark"))
"""Each width and each mode; `python -m benchmarks.accessibility` tries all combinations."""

USUAL_PX = 16


class MissingError(Exception):
    """There is no axe-core, and it cannot be fetched."""


def axe_source() -> str:
    """The script, fetched by npm once. Raises MissingError."""
    if not AXE.exists():
        if not shutil.which("npm"):
            raise MissingError("there is no npm on this computer to fetch axe-core with")
        with tempfile.TemporaryDirectory(dir=HERE) as folder:  # another test process may be fetching it, too
            _fetch(Path(folder))
            AXE.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / AXE.relative_to(HERE)).replace(AXE)
    return AXE.read_text(encoding="utf-8")


def _fetch(folder: Path) -> None:
    shutil.copy(HERE / "package.json", folder)
    options = ("--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    done = subprocess.run(
        ["npm", "install", *options], cwd=folder, capture_output=True, text=True, timeout=scaled(300), check=False
    )
    if done.returncode:
        raise MissingError(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")


def set_mode(browser: Any, width: int, mode: str, height: int = 812) -> None:
    """Show the page in a window of this width, in one of MODES."""
    resize(browser, width, height, "dark" if mode == "dark" else "light")
    if mode == "forced colors":
        features = [{"name": "forced-colors", "value": "active"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    text_px = 2 * USUAL_PX if mode == "text of 200 %" else USUAL_PX
    browser.execute_cdp_cmd("Page.setFontSizes", {"fontSizes": {"standard": text_px}})


def serious_faults(
    browser: Any, axe: str, conditions: Sequence[tuple[int, str]] = EACH_ONCE
) -> dict[tuple[int, str], list[Any]]:
    """Serious violations by width and mode, if there are any."""
    browser.execute_script(axe)
    found = {}
    try:
        for width, mode in conditions:
            set_mode(browser, width, mode)
            found[width, mode] = browser.execute_async_script(RUN_AXE)
    finally:
        set_mode(browser, 1280, "light", 800)
    return {where: faults for where, faults in found.items() if faults}
