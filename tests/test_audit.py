"""The audit of packages says what it found, and never passes where it could not look."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.audit import CLEAN, NOT_AUDITED, VULNERABLE, audit

ROOT = Path(__file__).parent.parent
OLD_IS_KNOWN = json.dumps({"dependencies": [{"name": "pyyaml", "version": "5.3", "vulns": [{"id": "CVE-2020-1747"}]}]})
OLD_IS_SKIPPED = json.dumps({"dependencies": [{"name": "pyyaml", "skip_reason": "not found on PyPI"}]})
FLAW = {"id": "CVE-1", "fix_versions": ["3.2", "4.0"]}


def report(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


@pytest.mark.parametrize(
    ("old", "found", "status", "said"),
    [
        (
            OLD_IS_KNOWN,
            report({"name": "a", "version": "1", "vulns": []}, {"name": "mien", "skip_reason": "not found"}),
            CLEAN,
            "1 packages, no known vulnerability",
        ),
        (
            OLD_IS_KNOWN,
            report({"name": "a", "version": "3.1", "vulns": [FLAW]}),
            VULNERABLE,
            "a 3.1: CVE-1, mended in 3.2, 4.0",
        ),
        (
            OLD_IS_KNOWN,
            report({"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}),
            NOT_AUDITED,
            "audit: expected all packages in the database, found 1 that are not: b",
        ),
        (OLD_IS_SKIPPED, report(), NOT_AUDITED, "nothing was audited"),
        (report(), report(), NOT_AUDITED, "nothing was audited"),
        ("ConnectionError", report(), NOT_AUDITED, "found 'ConnectionError'"),
        (OLD_IS_KNOWN, "[]", NOT_AUDITED, "found '[]'"),
    ],
)
def test_an_audit_says_what_it_found(old, found, status, said) -> None:
    answered, lines = audit(lambda words: found if "--path" in words else old, "site-packages")
    assert answered == status
    assert said in lines[-1]


def test_an_audit_without_a_network_is_no_pass() -> None:
    def run(words):
        raise ValueError("ConnectionError: no route to the host")

    status, (line,) = audit(run, "site-packages")
    assert status == NOT_AUDITED
    assert line.endswith("found ConnectionError: no route to the host")


EXACT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9]+(\.[0-9]+)*(\.post[0-9]+)?(;[^#]*)?\s+# .+")


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.name)
def test_each_requirement_is_one_version_and_no_file_asks_for_anything_else(path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        if line.startswith("-"):
            assert re.fullmatch(r"-r requirements[a-z-]*\.txt", line)
            assert (ROOT / line.split()[1]).is_file()
        else:
            assert EXACT.fullmatch(line), line


def test_what_make_and_the_build_install_is_one_version_too() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in re.findall(r"pip install (.*)", makefile):
        named = [word for word in re.sub(r"-r \S+", "", words).split() if not word.startswith("-") and word != "on"]
        assert all("==" in word for word in named), words
    build = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("requires = [")[2].partition("]")[0]
    assert all("==" in word for word in build.split(","))
