"""The pages of reports: templates, what they call, and figures within them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

import mien
from mien.batch.figures import as_png, as_svg, clock, themes
from mien.batch.methods import describe_methods, same_way, start_of
from mien.batch.thumbnails import SIZE_PX
from mien.types import EXPRESSIONS

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

REPORT = "report.html"

Row = Mapping[str, Any]


def write_page(folder: Path, template: str, results: Sequence[Row], **values: Any) -> None:
    """Write `report.html`.

    Args:
        folder: Of the file.
        template: Name of its template.
        results: The contents of the `mien.json` files that it is about.
        **values: What the template needs besides.

    Raises:
        OSError: It cannot be written.
    """
    text = _environment().get_template(template).render(methods=_methods(results), same_way=same_way(results), **values)
    (folder / REPORT).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def draw(figure: Figure, folder: Path, name: str, description: str) -> Markup:
    """Save a figure as `report-NAME.png`, and return it as a part of a page.

    Args:
        figure: The figure.
        folder: Of the file.
        name: Of the figure.
        description: What it shows, for people who do not see it.
    """
    (folder / f"report-{name}.png").write_bytes(as_png(figure))
    return Markup(as_svg(figure, name, description))


def spoken(rows: Sequence[Row]) -> str:
    """Shares in words: "happy 62 %, neutral 38 %"; rows: with `expression` and `share`."""
    return ", ".join(f"{row['expression']} {percent(row['share'])}" for row in rows) or "no time"


def _methods(results: Sequence[Row]) -> tuple[str, list[str]]:
    """The paragraph for a paper, and its references; empty where it is not known how the results came about."""
    if not same_way(results):
        return "", []
    paragraph, _, references = describe_methods(results).partition("\n\nReferences\n\n")
    return " ".join(paragraph.split()), references.splitlines()


def percent(share: float | None) -> str:
    """A share as on the page: "62 %", which no line breaks; a dash for none."""
    return "–" if share is None else f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _interval(row: Row) -> str:
    if row["share_low"] is None:
        return "–"
    return f"{100 * row['share_low']:.0f} to {100 * row['share_high']:.0f}\N{NO-BREAK SPACE}%"


def _setting(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment() -> Environment:
    """Templates with escaping, so that no name of a file can become a part of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("pages")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    light, dark = themes()
    environment.filters |= {
        "percent": percent,
        "interval": _interval,
        "start": start_of,
        "when": lambda text: text.replace("T", " ").replace("Z", " UTC"),
        "clock": lambda time_s: clock(time_s, 0.1),
        "address": lambda folder: quote(f"{folder}/{REPORT}"),
        "base64": lambda data: base64.b64encode(data).decode("ascii"),
        "spoken": lambda face: spoken(face.most),
        "setting": _setting,
        "seen": lambda frames: f"{100 * frames['with_face'] / frames['analyzed']:.1f}\N{NO-BREAK SPACE}%",
        "file": lambda name: PureWindowsPath(name).name or name,
    }
    environment.globals |= {"light": light, "dark": dark, "expressions": EXPRESSIONS, "size_px": SIZE_PX}
    environment.globals["version"] = mien.__version__
    return environment
