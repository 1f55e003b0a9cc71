"""How the project is written, where a search can tell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def tracked_texts() -> dict[str, str]:
    """The text files of the repository by their paths."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {}
    for name in filter(None, names.split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in data:
            texts[name] = data.decode("utf-8")
    return texts


def test_cannot_is_written_as_one_word() -> None:
    texts = tracked_texts()
    assert "README.md" in texts
    split = re.compile(r"(?i)\bcan[\s#/*_]+not(?![a-z])")  # also across lines, in comments and in the names of tests
    found = {name: match[0] for name, text in texts.items() if (match := split.search(text))}
    assert not found
