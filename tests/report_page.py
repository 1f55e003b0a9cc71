"""The pages of reports as tests read and print them."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}  # inches


class Page(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Page:
    """A page of a file."""
    return Page(path.read_text(encoding="utf-8"))


def printed_pages(browser: Any, paper: str) -> int:
    """Number of pages on which the browser prints what it shows; paper: of PAPERS."""
    width, height = PAPERS[paper]
    asked = {"paperWidth": width, "paperHeight": height, "printBackground": True}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", asked)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", pdf))
