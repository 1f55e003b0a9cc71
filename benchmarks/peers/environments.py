"""A Python environment for each program of `python -m benchmarks.peers`, built once and kept in a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20
INSTALL_LIMIT_S = 3600
STAMP = "installed.json"
"""Written last: an environment without it was interrupted, and is rebuilt."""


class PeerError(Exception):
    """Why a program cannot be installed or run, in one line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment with packages installed.

    Args:
        folder: Where it is.
        packages: How many packages it has, pip among them where pip installed them.
        size_mb: What they take on disk in MiB, byte code included and pip left out.
    """

    folder: str
    packages: int
    size_mb: float

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return python_of(Path(self.folder))


def environment(name: str, requirements: Sequence[str], folder: Path) -> Environment:
    """The environment with these packages, built if it is not there yet.

    Args:
        name: What the environment's own folder is called; a digest of the requirements is appended.
        requirements: Pinned packages, and names of requirement files of this project.
        folder: Where the environments are.

    Raises:
        PeerError: It cannot be built.
    """
    for each in requirements:
        if each.endswith(".txt") and not (ROOT / each).is_file():
            raise PeerError(f"there is no {each}")
    home = folder.absolute() / f"{name}-{digest(requirements)}"
    stamp = home / STAMP
    if stamp.is_file():
        return Environment(**json.loads(stamp.read_text()))
    print(f"{name}: installing {', '.join(requirements)} into {home} ...", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    uv = shutil.which("uv")
    run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(home)], INSTALL_LIMIT_S)
    before = size_bytes(home)
    python = python_of(home)
    # pip compiles what it installs; uv does so on request
    tool = [uv, "pip", "install", "--python", str(python), "--compile-bytecode"] if uv else [*pip(python), "install"]
    run([*tool, *arguments(requirements)], INSTALL_LIMIT_S)
    built = Environment(str(home), count_packages(python), (size_bytes(home) - before) / MEGABYTE)
    stamp.write_text(json.dumps(asdict(built)))
    return built


def pip(python: Path) -> list[str]:
    """The command of an environment's pip."""
    return [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]


def arguments(requirements: Sequence[str]) -> list[str]:
    """What pip gets: packages as they are, files as `-r FILE`."""
    return [word for each in requirements for word in (["-r", str(ROOT / each)] if each.endswith(".txt") else [each])]


def digest(requirements: Sequence[str]) -> str:
    """Eight hexadecimal digits that change with the packages, with the content of a file, and with Python's version."""
    texts = [(ROOT / each).read_text() if each.endswith(".txt") else each for each in requirements]
    return hashlib.sha256("\n".join([*texts, str(sys.version_info[:2])]).encode()).hexdigest()[:8]


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def count_packages(python: Path) -> int:
    """How many packages an environment has."""
    code = "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"
    return int(run([str(python), "-I", "-c", code], 60))


def size_bytes(*paths: Path) -> int:
    """Bytes of files and of everything in folders; nothing for what does not exist, links not followed."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def run(words: Sequence[str], limit_s: float, variables: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Args:
        words: The command.
        limit_s: How long it may take, in seconds.
        variables: Its environment variables, by default those of this process.

    Raises:
        PeerError: It failed, with the last line that it printed, or took longer than `limit_s` seconds.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"it took longer than {limit_s:g} s") from None
    except OSError as error:
        raise PeerError(f"{words[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise PeerError(reason(done.stderr or done.stdout, done.returncode))
    return done.stdout


def reason(printed: str, status: int) -> str:
    """The line of a failed command's output that says why: pip's last error, or else the last line."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    line = errors[-1].removeprefix("ERROR:").strip() if errors else lines[-1] if lines else f"exit status {status}"
    return line if len(line) <= 200 else f"{line[:200]} ..."
