"""The environment of requirements-lite.txt: its size on disk, and start and memory of the program in it.

    python -m benchmarks.lite

Installs the environment into a temporary folder from the package index, or measures an existing one: `--python
.venv-lite/bin/python`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.program import ROOT
from benchmarks.start import measure_memory, measure_start

REQUIREMENTS = ROOT / "requirements-lite.txt"
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
PIP_OPTIONS = ("--disable-pip-version-check", "--only-binary", ":all:", "--retries", "1", "--timeout", "20")


class InstallError(Exception):
    """pip could not install the packages; the message is what it printed."""


def install(folder: Path) -> Path:
    """Make the environment as `make run LITE=1` does.

    Args:
        folder: Where; must not exist.

    Returns:
        Its interpreter.

    Raises:
        InstallError: A package is missing, or the package index cannot be reached.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / SCRIPTS / "python"
    words = [str(python), "-m", "pip", "install", "--quiet", *PIP_OPTIONS, "-r", str(REQUIREMENTS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(done.stdout + done.stderr)
    return python


def size_mb(folder: Path) -> float:
    """Disk space of a folder in MiB, as `du` counts it.

    Args:
        folder: The folder; links are not followed.
    """
    found = (path.lstat() for path in [folder, *folder.rglob("*")])
    # Windows has no st_blocks: there the length of the files is counted.
    return sum(getattr(stat, "st_blocks", -(-stat.st_size // 512)) * 512 for stat in found) / 2**20


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lite", description=__doc__)
    parser.add_argument("--python", type=Path, help="interpreter of an existing environment")
    existing = parser.parse_args().python
    with tempfile.TemporaryDirectory() as folder:
        python = (existing or install(Path(folder) / "environment")).absolute()
        figures = {"environment_mb": size_mb(python.parent.parent), **measure_start(python), **measure_memory(python)}
    for name, value in figures.items():
        print(f"{name:<24} {value:8.2f}", flush=True)


if __name__ == "__main__":
    main()
