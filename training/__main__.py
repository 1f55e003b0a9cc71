"""`python -m training`: train, evaluate and export from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from mien.expressions import MienError
from mien.keras_files import import_keras

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
}
"""The commands by name: modules with `add_options(parser)` and `run(options)`.

What `run` has as docstring stands in the help. They import Keras, so import them when its backend has started.
"""

RESUMABLE = ("train", "teach", "finetune", "search")


def main(argv: list[str] | None = None) -> int:
    """Run one command, `train` unless another is named; 0 when it went well, 2 with one line for a user's mistake."""
    try:
        import_keras()  # first, so that its backend starts without notes
        commands = load_commands()
    except ModuleNotFoundError as error:
        needed = "training: expected the packages of requirements-train.txt"
        print(f"{needed}, found no {error.name}; pip install -r requirements-train.txt installs them", file=sys.stderr)
        return 2

    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        commands[options.command].run(options)
    except MienError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # of the files and folders a user named
        print(f"training: {error.filename or options.command}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from the last finished epoch" if options.command in RESUMABLE else ""
        print(f"stopped{goes_on}", file=sys.stderr)
        return 130
    return 0


def load_commands() -> dict[str, ModuleType]:
    """The modules of COMMANDS, by name. Imports Keras."""
    return {name: import_module(module) for name, module in COMMANDS.items()}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command and its options; exits as argparse does where they make no sense. Imports Keras."""
    words = list(argv)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help")):
        words.insert(0, "train")
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure Mien's networks.")
    parsers = parser.add_subparsers(dest="command", required=True)
    for name, command in load_commands().items():
        command.add_options(parsers.add_parser(name, help=command.run.__doc__))
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
