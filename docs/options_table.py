"""Write the tables of docs/options.md from the declarations in mien/settings.py: `python -m docs.options_table`."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from mien.options import SWITCH, Option, options_of
from mien.settings import Settings

PAGE = Path(__file__).with_name("options.md")
BEGIN = "<!-- Begin of tables: python -m docs.options_table writes them from mien/settings.py -->\n"
END = "<!-- End of tables -->\n"


def tables() -> str:
    """One heading and table for each group of settings, as Markdown."""
    parts = []
    for group, options in itertools.groupby(options_of(Settings), key=lambda each: each.group):
        rows = [f"| {' | '.join(_cells(each))} |\n" for each in options]
        header = "| option | meaning | values | default |\n|---|---|---|---|\n"
        parts.append(f"## {group}\n\n{header}{''.join(rows)}")
    return "\n" + "\n".join(parts) + "\n"


def updated(page: str) -> str:
    """The page with its tables written anew."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + tables() + END + after


def _cells(each: Option) -> list[str]:
    flags = ", ".join(f"`{flag}`" for flag in each.flags)
    values = "on or off" if each.kind is SWITCH else each.kind.expected
    meaning = re.sub(r"(--[a-z][a-z-]+|MIEN_[A-Z]+)", r"`\1`", each.help)
    default = re.sub(r"(--[a-z][a-z-]+)", r"`\1`", each.shown_default)
    return [text.replace("|", r"\|") for text in (flags, meaning, values, default)]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
