"""`make audit`: whether a vulnerability is known of any package that is installed, by pip-audit.

pip-audit counts packages that its database does not have as skipped, and then says that no vulnerabilities were found:
behind a mirror of the package index, or without a network, it would pass for anything. Here an audit fails if a package
could not be looked up, or if the known vulnerabilities of an old package are not found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2
"""Exit statuses."""

OLD = "pyyaml==5.3"
"""Has had known vulnerabilities since 2020 (CVE-2020-1747): a database that does not know them tells nothing."""

OWN = frozenset({"mien"})
"""Not in the database: the program itself."""

OPTIONS = ("--format", "json", "--progress-spinner", "off", "--timeout", "30")
SHOWN = 5

Audit = Callable[[Sequence[str]], str]
"""Calls pip-audit with these words; returns what it prints."""


def main(python: str) -> int:
    """Audit the packages of an environment, and print what is known of them.

    Args:
        python: The interpreter of the environment.

    Returns:
        0 if nothing is known of any package, 1 for known vulnerabilities, 2 if not all could be audited.
    """
    find = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    folder = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    status, lines = audit(pip_audit, folder)
    print(*lines, sep="\n")
    return status


def audit(run: Audit, folder: str) -> tuple[int, list[str]]:
    """Audit the packages in a folder, and an old one.

    Args:
        run: Calls pip-audit.
        folder: `site-packages` of an environment.

    Returns:
        Exit status, and the lines to print.
    """
    with tempfile.TemporaryDirectory(prefix="mien-audit-") as temporary:
        old = Path(temporary, "old.txt")
        old.write_text(f"{OLD}\n", encoding="utf-8")
        try:
            control = _packages(run(["--requirement", str(old), "--no-deps", "--disable-pip", *OPTIONS]))
            found = _packages(run(["--path", folder, *OPTIONS]))
        except ValueError as error:
            return NOT_AUDITED, [f"audit: expected an answer of the database of vulnerabilities, found {error}"]
    if not any(each.get("vulns") for each in control):
        return NOT_AUDITED, [
            f"audit: expected the known vulnerabilities of {OLD}, found none: the database of vulnerabilities cannot "
            "be reached (a mirror of the package index has none), so nothing was audited"
        ]
    skipped = [each["name"] for each in found if "skip_reason" in each and each["name"] not in OWN]
    lines = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, mended in {', '.join(vulnerability['fix_versions'])}"
        for each in found
        for vulnerability in each.get("vulns", ())
    ]
    if skipped:
        names = ", ".join(skipped[:SHOWN]) + (", ..." if len(skipped) > SHOWN else "")
        lines.append(f"audit: expected all packages in the database, found {len(skipped)} that are not: {names}")
        return NOT_AUDITED, lines
    audited = len(found) - sum(each["name"] in OWN for each in found)
    return (VULNERABLE, lines) if lines else (CLEAN, [f"{audited} packages, no known vulnerability"])


def pip_audit(words: Sequence[str]) -> str:
    """Call pip-audit of this environment; returns its standard output.

    Args:
        words: Of its command line.

    Raises:
        ValueError: It printed nothing, with the last line of its error.
    """
    ended = subprocess.run([sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True, check=False)
    if not ended.stdout.strip():
        raise ValueError((ended.stderr.strip().splitlines() or ["nothing"])[-1][:300])
    return ended.stdout


def _packages(text: str) -> list[dict[str, Any]]:
    """The packages in a report; ValueError for anything else."""
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{text.strip()[:80]!r}") from None
    return packages


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else sys.executable))
