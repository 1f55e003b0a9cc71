"""`python -m training`: train, evaluate and export from the command line."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from mien.cnn.loader import import_keras
from mien.errors import MienError, SettingsError

COMMANDS = {
    "train": "training.fit.train",
    "teach": "training.fit.teach",
    "finetune": "training.fit.finetune",
    "evaluate": "training.evaluate.evaluate",
    "calibrate": "training.evaluate.calibration",
    "predict": "training.evaluate.predict",
    "card": "training.evaluate.report",
    "search": "training.fit.search",
    "masking": "training.evaluate.gradcam_deletion",
    "composites": "training.assets.composites",
    "face-filter": "training.assets.face_filter",
}
"""The module of each command, with `add_options(parser)` and `run(options)`, whose docstring is the command's help.

The modules import Keras, so they are imported once its backend has been chosen.
"""

RESUMABLE = ("train", "teach", "finetune", "search")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are SettingsErrors of one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a SettingsError, instead of printing it below the usage."""
        raise SettingsError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def main(argv: list[str] | None = None) -> int:
    """Run one command, `train` unless another is named.

    Returns:
        The exit status: 0, 2 after one line for a user's mistake, 130 when interrupted.

    Raises:
        SystemExit: --help was asked.
    """
    try:
        import_keras()  # first, so that its backend starts without its notes
        commands = load_commands()
    except ModuleNotFoundError as error:
        needed = "training: expected the packages of requirements-train.txt"
        print(f"{needed}, found no {error.name}; pip install -r requirements-train.txt installs them", file=sys.stderr)
        return 2

    command = ""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        command = options.command
        commands[command].run(options)
    except MienError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a file or folder that the user named
        print(f"training: {error.filename or command}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = "; the same command resumes after the last finished epoch" if command in RESUMABLE else ""
        print(f"stopped{resumes}", file=sys.stderr)
        return 130
    return 0


def load_commands() -> dict[str, ModuleType]:
    """Import the modules of COMMANDS, and with them Keras; return them by command."""
    return {name: import_module(module) for name, module in COMMANDS.items()}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command and its options; import Keras. Raise SettingsError where they make no sense."""
    words = list(argv)
    parser = Parser(prog="python -m training", description="Train and measure Mien's networks.")
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "train")
    if words[0] not in COMMANDS and not words[0].startswith("-"):
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        expected = near[0] if near else "one of " + ", ".join(COMMANDS)
        parser.error(f"expected {expected}, found the unknown command {words[0]!r}")
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, command in load_commands().items():
        command.add_options(parsers.add_parser(name, help=command.run.__doc__))
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
