"""Rules of spelling that a search can check."""

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


ISE = (
    "author|categor|character|custom|emphas|final|general|initial|local|maxim|memor|minim|normal|optim|organ|parallel|"
    "penal|quant|random|real|recogn|regular|serial|special|stabil|standard|summar|synchron|synthes|token|util|vector|visual"
)
"""Beginnings of verbs that American English ends in -ize and British English often in -ise."""

BRITISH = re.compile(
    rf"""(?ix)
    (?:{ISE})is(?:e[drs]?|ing|able|ations?)(?![a-z])
    | (?:re|pre)?analys(?:ed?|er|ing)(?![a-z])
    | analyses\ (?:an?|each|every|it|its|the|these)(?![a-z])  # not the plural of analysis
    | (?<!mono)(?:behavi|col|endeav|fav|flav|harb|hon|hum|lab|neighb|rig|vig)our  # but MonoBehaviour, of Unity
    | (?:cent|fib|lit|met|theat)re[ds]?(?![a-z])
    | (?:label|model|signal|travel)l(?:ed|er|ing)(?!by)  # but aria-labelledby
    | (?<![-_])distil(?![-_a-z])  # but --distil-weight
    | artefact | catalogue | defence | grey(?![a-z]) | judgement | learnt | licence | misspelt | offence | practise
    | programme(?![drs]) | whilst | (?:to|up|down|out)wards
    """
)


def test_spelling_is_american() -> None:
    texts = tracked_texts()
    del texts[Path(__file__).relative_to(ROOT).as_posix()]
    texts = {name: text for name, text in texts.items() if not re.fullmatch(r"static/texts/(?!en)\w+\.json", name)}
    found = {name: sorted({match[0] for match in BRITISH.finditer(text)}) for name, text in texts.items()}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("word", ["analysed", "until_analysed", "Colours", "centred", "normalisation", "licence"])
def test_british_spelling_is_found(word: str) -> None:
    assert BRITISH.search(word)


@pytest.mark.parametrize(
    "word", ["analyses", "millimeter", "aria-labelledby", "self_distil", "raised", "realism", "MonoBehaviour"]
)
def test_other_words_are_not_taken_for_british(word: str) -> None:
    assert not BRITISH.search(word)
