"""`python -m training`: train, evaluate and export from the command line."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from mien.cnn.whole import is_whole
from mien.errors import MienError, SettingsError
from mien.names import printable
from mien.options import with_joined_values
from mien.process import escape_standard_output
from training.options import COMMANDS, WEIGHTS

_RESUMABLE = ("train", "teach", "finetune", "search")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are SettingsErrors of one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a SettingsError, instead of printing it below the usage."""
        raise SettingsError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def main(argv: list[str] | None = None) -> int:
    """Run one command, `train` unless another is named.

    Args:
        argv: Command and options; by default those of the program.

    Returns:
        The exit status: 0, 2 after one line for a user's mistake, 130 when interrupted.

    Raises:
        SystemExit: --help was given.
    """
    command = ""
    escape_standard_output()
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        command = options.command
        _load(command).run(options)
    except MienError as error:
        print(f"training: {printable(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:  # a file or folder that the user named
        print(printable(f"training: {error.filename or command}: {error.strerror or error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = "; the same command resumes after the last finished epoch" if command in _RESUMABLE else ""
        print(f"stopped{resumes}", file=sys.stderr)
        return 130
    return 0


def _load(command: str) -> Any:
    """Import Keras and the module of a command. Raise SettingsError where a package is missing."""
    try:
        from mien.cnn.loader import import_keras

        import_keras()  # first, so that its backend starts without its notes
        return import_module(COMMANDS[command][0])
    except ModuleNotFoundError as error:
        needed = f"expected the packages of requirements-train.txt, found no {error.name}"
        raise SettingsError(f"{needed}; pip install -r requirements-train.txt installs them") from error


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command and its options, without importing Keras.

    Args:
        argv: Command and options; `train` where the command is missing.

    Returns:
        The options, and the command as `command`.

    Raises:
        SettingsError: They are invalid.
        ModelError: The file of the network cannot be read.
        SystemExit: --help was given.
    """
    words = list(argv)
    parser = _Parser(prog="python -m training", description="Train and measure Mien's networks.")
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "train")
    if words[0] not in COMMANDS and not words[0].startswith("-"):
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        expected = near[0] if near else "one of " + ", ".join(COMMANDS)
        parser.error(f"expected {expected}, found the unknown command {words[0]!r}")
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, (_, add_options) in COMMANDS.items():
        add_options(parsers.add_parser(name, help=add_options.__doc__))
    options = parser.parse_args(with_joined_values(words))
    if getattr(options, "weights", ...) is None:
        whole = options.model.exists() and is_whole(options.model)
        options.weights = options.model if whole else WEIGHTS
    return options


if __name__ == "__main__":
    sys.exit(main())
