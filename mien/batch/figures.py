"""The figures of a report, drawn by matplotlib: as SVG whose colors follow the theme of the page, and as PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mien import app
from mien.batch.series import Series, runs
from mien.errors import MienError
from mien.types import EXPRESSIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 8.6
LANE_IN = 0.27
"""Height of a row of a figure."""
FILLED = 0.84
"""Share of a row that a probability of 1 fills."""
LETTER_IN = 0.075
"""Width of a letter of a label in a strip."""
DRAWN = ("text", "muted", "line", "track", "panel", *EXPRESSIONS)
"""The colors in use, by their names in the style sheet of the page."""
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
MOST_TICKS = 10
PNG_DPI = 150

STYLE: dict[str, Any] = {
    "svg.hashsalt": "mien",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.major.size": 0,
}


def check_figures() -> None:
    """Check that figures can be drawn. Raises MienError if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise MienError(
            "--report: expected the package matplotlib, found none; pip install -r requirements-batch.txt installs it"
        ) from error


@cache
def themes() -> tuple[dict[str, str], dict[str, str]]:
    """The colors of the page by name, light and dark, as its style sheet declares them."""
    text = (app.FOLDER / "static" / "style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    light, dark = ({**dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))} for block in blocks[:2])
    return light, dark


def face_figure(series: Series) -> Figure:
    """One face over time: a strip of its label, a row for each of the seven probabilities, and one for the quality.

    Args:
        series: The face.
    """
    names = ("label", *EXPRESSIONS, "quality")
    light, _ = themes()
    figure, axes = _rows(names, series)
    _strip(axes, series, 0)
    edges_s = series.span.edges_s
    shaded = [(edges_s[start], edges_s[end] - edges_s[start]) for value, start, end in runs(series.unsure) if value]
    axes.broken_barh(shaded, (1 - FILLED, 7 + FILLED), facecolors=light["line"], linewidth=0, zorder=0)
    lanes = [*zip(EXPRESSIONS, series.probabilities.T, strict=True), ("muted", series.quality)]
    for row, (color, values) in enumerate(lanes, 1):
        base = row + FILLED / 2 + 0.08
        axes.axhline(base, color=light["line"], linewidth=0.6, zorder=1)
        heights = base - FILLED * values
        axes.stairs(heights, edges_s, baseline=base, fill=True, color=light[color], linewidth=0, zorder=2)
    return figure


def strips_figure(names: Sequence[str], strips: Sequence[Series]) -> Figure:
    """The label of several faces over time, a strip for each.

    Args:
        names: Of the faces, in plain letters.
        strips: The faces; those that end earlier leave the rest empty.
    """
    longest = max(strips, key=lambda each: each.span.end_s - each.span.start_s)
    figure, axes = _rows(names, longest)
    for row, series in enumerate(strips):
        _strip(axes, series, row)
    return figure


def shares_figure(names: Sequence[str], shares: Sequence[Sequence[tuple[float, float, float]]]) -> Figure:
    """The share of each expression, side by side, with their intervals.

    Args:
        names: Of what is compared, in plain letters.
        shares: For each of these, and each expression: share, lower and upper end of its interval, 0 to 1; the ends
            equal the share where there is no interval.
    """
    light, _ = themes()
    count = len(names)
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_IN, 2.6), layout="constrained")
        axes = figure.subplots()
        width = 0.84 / count
        for number, name in enumerate(names):
            for place, expression in enumerate(EXPRESSIONS):
                share, low, high = (100 * value for value in shares[number][place])
                x = place + (number - (count - 1) / 2) * width
                axes.bar(x, share, 0.86 * width, color=light[expression], linewidth=0, zorder=2)
                if high > low:
                    axes.vlines(x, low, high, color=light["text"], linewidth=1, zorder=3)
                axes.text(x, max(share, high) + 1, name, ha="center", va="bottom", color=light["muted"], fontsize=7.5)
        axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS)
        axes.tick_params(colors=light["muted"], labelcolor=light["text"], length=0)
        axes.set_ylim(0, 112)
        axes.set_yticks(range(0, 101, 25), [f"{value} %" for value in range(0, 101, 25)])
        axes.grid(axis="y", color=light["line"], linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines["bottom"].set_color(light["muted"])
    return figure


def as_svg(figure: Figure, name: str, description: str) -> str:
    """A figure as an SVG element within HTML: without addresses, its colors those of the page's theme.

    Args:
        figure: The figure.
        name: Starts the ids in it, so that several figures can be in one page.
        description: What it shows, for people who do not see it.
    """
    file = io.StringIO()
    with _style():
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    head = f'<svg {box[0]} role="img" aria-label="{escape(description)}"'
    text = re.sub(r"<svg[^>]*", lambda _: head, text, count=1)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    light, _ = themes()
    for color in DRAWN:
        text = text.replace(light[color], f"var(--{color})")
    return text.strip()


def as_png(figure: Figure) -> bytes:
    """A figure as a PNG file on white."""
    file = io.BytesIO()
    with _style():
        figure.savefig(file, format="png", dpi=PNG_DPI, facecolor="white", metadata={"Software": None})
    return file.getvalue()


def clock(time_s: float, step_s: float = 1.0) -> str:
    """A time as people read it: "0:07", "1:02:30", with tenths if the step is shorter than a second."""
    tenths = round(10 * time_s)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10:04.1f}" if step_s < 1 else f"{rest // 10:02d}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def _style() -> Any:
    """matplotlib's defaults and STYLE, whatever the user's settings."""
    from matplotlib import style

    return style.context(["default", STYLE])


def _rows(names: Sequence[str], series: Series) -> tuple[Figure, Axes]:
    """An empty figure with a row for each name, 0 at the top, over the time of a series."""
    light, _ = themes()
    span = series.span
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_IN, LANE_IN * len(names) + 0.35), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(span.start_s, max(span.end_s, span.start_s + 1e-3)), ylim=(len(names) - 0.4, -0.5))
        axes.set_yticks(range(len(names)), names)
        length_s = span.end_s - span.start_s
        step_s = next((step for step in STEPS_S if length_s / step <= MOST_TICKS), STEPS_S[-1])
        ticks = np.arange(np.ceil(span.start_s / step_s - 1e-9), np.floor(span.end_s / step_s + 1e-9) + 1) * step_s
        axes.set_xticks(ticks, [clock(tick, step_s) for tick in ticks])
        axes.tick_params(colors=light["muted"], labelcolor=light["text"])
        axes.spines["bottom"].set_color(light["muted"])
    return figure, axes


def _strip(axes: Axes, series: Series, row: int) -> None:
    """The label over time as colors, half as high where it is unsure; with its name where there is space."""
    light, _ = themes()
    edges_s = series.span.edges_s
    per_in = (axes.get_xlim()[1] - axes.get_xlim()[0]) / (WIDTH_IN - 1)
    states = np.where(series.label < 0, -1, 2 * series.label + series.unsure)
    for state, start, end in runs(states):
        if state < 0:
            continue
        label, unsure = divmod(state, 2)
        name = EXPRESSIONS[label]
        left_s, width_s = edges_s[start], edges_s[end] - edges_s[start]
        height = FILLED / 2 if unsure else FILLED
        bar = (row + FILLED / 2 - height, height)
        axes.broken_barh([(left_s, width_s)], bar, facecolors=light[name], linewidth=0, zorder=2)
        if not unsure and width_s / per_in > LETTER_IN * (len(name) + 1):
            style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "weight": "bold", "fontsize": 7.5}
            axes.text(left_s + width_s / 2, row, name, color=light["panel"], zorder=4, **style)
