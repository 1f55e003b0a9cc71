"""Write the tables of options in docs/ from their declarations: `python -m docs.options_table`.

docs/options.md has those of mien/settings.py, docs/batch.md those of mien/batch/options.py, docs/training.md those of
training/recipe.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mien.batch.options import AnalyzeSettings
from mien.options import SWITCH, Option, options_of
from mien.settings import AnalysisSettings, Settings, names_of
from training.recipe import recipe_options

PAGE = Path(__file__).with_name("options.md")
BATCH_PAGE = Path(__file__).with_name("batch.md")
RECIPE_PAGE = Path(__file__).with_name("training.md")
BEGIN = "<!-- Begin of tables: python -m docs.options_table writes them -->\n"
END = "<!-- End of tables -->\n"


def tables(options: Sequence[Option], heading: str = "##") -> str:
    """Return a heading and a table for each group of options, as Markdown; heading: its `#` characters."""
    groups = dict.fromkeys(each.group for each in options)
    parts = []
    for group in groups:
        rows = [f"| {' | '.join(_cells(each))} |\n" for each in options if each.group == group]
        header = "| option | meaning | values | default |\n|---|---|---|---|\n"
        parts.append(f"{heading} {group}\n\n{header}{''.join(rows)}")
    return "\n" + "\n".join(parts) + "\n"


def updated(page: str, written: str) -> str:
    """Return the text of a page with `written` in place of its tables."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + written + END + after


def written_tables() -> dict[Path, str]:
    """Return the tables by page."""
    analyze = [each for each in options_of(AnalyzeSettings) if each.name not in names_of(AnalysisSettings)]
    return {
        PAGE: tables(options_of(Settings)),
        BATCH_PAGE: tables(analyze, "###"),
        RECIPE_PAGE: tables(recipe_options(), "###"),
    }


def _cells(each: Option) -> list[str]:
    flags = ", ".join(f"`{flag}`" for flag in each.flags)
    values = each.kind.expected
    if each.kind.is_switch:
        values = "on or off" if each.kind is SWITCH else f"on, off or {each.kind.metavar}"
    meaning = re.sub(r"(--[a-z][a-z-]+|MIEN_[A-Z]+)", r"`\1`", each.help)
    default = re.sub(r"(--[a-z][a-z-]+)", r"`\1`", each.shown_default)
    return [text.replace("|", r"\|") for text in (flags, meaning, values, default)]


if __name__ == "__main__":
    for path, written in written_tables().items():
        path.write_text(updated(path.read_text(encoding="utf-8"), written), encoding="utf-8")
