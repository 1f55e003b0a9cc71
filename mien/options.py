"""Options declared once, as fields of a dataclass: command line, variables, checks and documentation come from there.

Example:
    @dataclass(frozen=True)
    class Settings:
        port: int = option(5000, whole_number(1, 65535), "port to listen on", group="web server")
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mien.addresses import masked
from mien.errors import SettingsError

ENVIRONMENT_PREFIX = "MIEN_"


@dataclass(frozen=True, slots=True)
class Kind:
    """How the text of an option becomes its value.

        percent = Kind("a number 0 to 100", "P", lambda text: float(text) / 100, show="{:.0%}".format)
        percent.read("50", "--unsure")  # 0.5

    Args:
        expected: The accepted values in words, for messages and documentation: "a whole number 1 to 65535".
        metavar: Placeholder for the value in --help.
        parse: Converts the text; raises ValueError where it is not accepted.
        show: The reverse of `parse`, for documented defaults.
        secret: Whether messages must not repeat the text.
        is_switch: Whether the option may stand without a value, which is on, and has the opposite --no-name.
        shown: What of a value may be shown and stored, where that is not all.
    """

    expected: str
    metavar: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    secret: bool = False
    is_switch: bool = False
    shown: Callable[[Any], Any] | None = None

    def read(self, text: str, name: str) -> Any:
        """Convert the text of an option or variable.

        Args:
            text: The text; white space around it is ignored.
            name: The option or variable, such as "--port", for messages.

        Raises:
            SettingsError: Naming `name`, what was expected and what was found.
        """
        try:
            return self.parse(text.strip())
        except ValueError:
            found = "" if self.secret else f", found {masked(text)!r}"
            raise SettingsError(f"{name}: expected {self.expected}{found}") from None


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option, as `options_of` lists it.

        port = next(each for each in options_of(Settings) if each.name == "port")
        print(port.flag, port.variable, port.shown_default)  # --port MIEN_PORT 5000, or the next free one

    Args:
        name: Name of the field, such as "min_face".
        default: Value of the field where neither command line nor environment names one.
        kind: Accepted values.
        help: Meaning, in one sentence without a full stop.
        group: Heading it stands under in --help and in the documentation.
        shown_default: The default in words, where the value itself says too little.
        repeatable: Whether it may be given several times; its value is a tuple. In a variable, white space separates.
    """

    name: str
    default: Any
    kind: Kind
    help: str
    group: str
    shown_default: str
    repeatable: bool = False

    @property
    def flag(self) -> str:
        """Name on the command line: "--min-face"."""
        return "--" + self.name.replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All names on the command line; a switch has two: "--loop", "--no-loop"."""
        return (self.flag, "--no" + self.flag[1:]) if self.kind.is_switch else (self.flag,)

    @property
    def variable(self) -> str:
        """Name of the environment variable: "MIEN_MIN_FACE"."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def read(self, given: str | Sequence[str], name: str) -> Any:
        """Convert the text, or the texts of a repeatable option; raises SettingsError as `Kind.read`.

        Args:
            given: As found.
            name: The option or variable, for messages.
        """
        return self.kind.read(given, name) if isinstance(given, str) else tuple(self.kind.read(x, name) for x in given)


def option(
    default: Any, kind: Kind, help: str, *, group: str, shown_default: str | None = None, repeatable: bool = False
) -> Any:
    """Declare a field of a dataclass as an option.

    Args:
        default, kind, help, group, repeatable: As in `Option`.
        shown_default: The default in words; by default the value as text.
    """
    if shown_default is None:
        shown_default = "none" if default is None else kind.show(default)
    metadata = {
        "kind": kind,
        "help": help,
        "group": group,
        "shown_default": shown_default,
        "repeatable": repeatable,
    }
    return dataclasses.field(default=default, repr=not kind.secret, metadata=metadata)


def options_of(settings: type) -> list[Option]:
    """All options of a dataclass whose fields are declared with `option`, in their order."""
    return [Option(field.name, field.default, **field.metadata) for field in dataclasses.fields(settings)]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are SettingsErrors of one line, and which reads variables as well.

    Example:
        parser = Parser(prog="python main.py")
        parser.add_options(Settings)
        Settings(**parser.read(["--port", "7000"], {"MIEN_PORT": "6000"}))  # port 7000
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(argument_default=argparse.SUPPRESS, **options)
        self._declared: dict[str, Option] = {}
        self._words: str | None = None

    def add_words(self, name: str, help: str) -> None:
        """Accept words beside the options, such as names of files; `read` returns them under this name."""
        self._words = name
        self.add_argument(name, nargs="*", metavar=name.upper(), help=help)

    def add_options(self, settings: type) -> None:
        """Add an option for each field of a dataclass declared with `option`, under the headings of their groups."""
        groups: dict[str, Any] = {}
        for each in options_of(settings):
            self._declared[each.name] = each
            if each.group not in groups:
                groups[each.group] = self.add_argument_group(each.group)
            text = f"{each.help} (default: {each.shown_default})".replace("%", "%%")
            if each.kind is SWITCH:
                groups[each.group].add_argument(each.flag, action=argparse.BooleanOptionalAction, help=text)
            elif each.kind.is_switch:
                on, off = each.flags
                groups[each.group].add_argument(on, nargs="?", const=True, metavar=each.kind.metavar, help=text)
                groups[each.group].add_argument(off, dest=each.name, action="store_false", help=f"the opposite of {on}")
            else:
                action = "append" if each.repeatable else "store"
                groups[each.group].add_argument(each.flag, action=action, metavar=each.kind.metavar, help=text)

    def read(self, argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
        """Read the options that are given; the command line has precedence.

        Args:
            argv: The words of the command line, without the program's name.
            environ: The environment variables by name.

        Returns:
            Values by field.

        Raises:
            SettingsError: For a value that is not accepted, or an option or MIEN_* variable that does not exist.
        """
        argv = with_joined_values(argv)
        end = list(argv).index("--") if self._words is not None and "--" in argv else len(argv)
        parse = self.parse_known_args if self._words is None else self.parse_known_intermixed_args
        given, unknown = parse(argv[:end])
        if unknown:
            self._refuse(unknown[0])
        values = self._from_environment(environ)
        if self._words is not None:
            values[self._words] = (*getattr(given, self._words, ()), *argv[end + 1 :])
        for name, value in vars(given).items():
            if name == self._words:
                continue
            each = self._declared[name]
            values[name] = value if isinstance(value, bool) else each.read(_given(value), each.flag)
        return values

    def _from_environment(self, environ: Mapping[str, str]) -> dict[str, Any]:
        declared = {each.variable: each for each in self._declared.values()}
        values = {}
        for variable in sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX)):
            if variable not in declared:
                names = [name.removeprefix(ENVIRONMENT_PREFIX) for name in declared]
                hint = did_you_mean(variable.removeprefix(ENVIRONMENT_PREFIX), names, prefix=ENVIRONMENT_PREFIX)
                raise SettingsError(f"{variable}: unknown variable{hint or '; --help lists all'}")
            if environ[variable]:
                each = declared[variable]
                text = environ[variable]
                values[each.name] = each.read(text.split() if each.repeatable else text, variable)
        return values

    def _refuse(self, word: str) -> NoReturn:
        flag = word.partition("=")[0]
        if not flag.startswith("-"):
            raise SettingsError(f"expected an option, such as --source {masked(word)}, found {masked(word)!r}")
        names = [name for each in self._declared.values() for name in each.flags]
        raise SettingsError(f"{flag}: unknown option{did_you_mean(flag, names) or '; --help lists all'}")

    def error(self, message: str) -> NoReturn:
        """Raise the message of argparse as a SettingsError, instead of printing it below the usage."""
        if match := re.fullmatch(r"argument (\S+): expected one argument", message):
            expected = next(each.kind.expected for each in self._declared.values() if each.flag == match[1])
            raise SettingsError(f"{match[1]}: expected {expected}, found nothing")
        if match := re.fullmatch(r"argument (\S+): ignored explicit argument (['\"])(.*)\2", message):
            raise SettingsError(f"{match[1]}: expected no value, found {masked(match[3])!r}")
        raise SettingsError(message)


def _given(value: Any) -> str | list[str]:
    """The text of an option, or its texts, where argparse makes an empty list of the value in `--source=--`."""
    if isinstance(value, list) and value:
        return [each if isinstance(each, str) else "--" for each in value]
    return value if isinstance(value, str) else "--"


def with_joined_values(argv: Sequence[str]) -> list[str]:
    """Join options with values that begin like negative numbers, which argparse takes for options: `--pixels -1..1`.

    Args:
        argv: The words of a command line.

    Returns:
        The words, with `--pixels=-1..1` instead.
    """
    words: list[str] = []
    for word in argv:
        follows = bool(words) and re.fullmatch(r"--[a-z][a-z-]*", words[-1]) is not None
        if follows and "--" not in words and re.match(r"-[0-9]", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def did_you_mean(word: str, known: Collection[str], prefix: str = "") -> str:
    """Suggest the most similar of the known words.

    Args:
        word: The word found.
        known: The words that are accepted.
        prefix: Is put before the suggested word.

    Returns:
        "; did you mean WORD?", to be appended to a message; empty where none is similar.
    """
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {prefix}{nearest[0]}?" if nearest else ""


def whole_number(low: int, high: int, metavar: str = "N") -> Kind:
    """Accept integers within a range.

    Args:
        low: Smallest accepted value, not negative.
        high: Largest accepted value.
        metavar: Placeholder for the value in --help.
    """

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(f"a whole number {low} to {high}", metavar, parse)


def number(low: float, high: float, metavar: str = "X") -> Kind:
    """Accept real numbers within a range.

    Args:
        low: Smallest accepted value.
        high: Largest accepted value.
        metavar: Placeholder for the value in --help.
    """

    def parse(text: str) -> float:
        if not low <= float(text) <= high:  # "nan" fails too
            raise ValueError
        return float(text)

    return Kind(f"a number {low:g} to {high:g}", metavar, parse, show="{:g}".format)


def one_of(*values: Any) -> Kind:
    """One of these strings or numbers, all of one type."""
    by_text = {str(value): value for value in values}

    def parse(text: str) -> Any:
        if text not in by_text:
            raise ValueError
        return by_text[text]

    *others, last = by_text
    return Kind(f"{', '.join(others)} or {last}", "|".join(by_text), parse)


def text(
    metavar: str,
    expected: str = "some text",
    convert: Callable[[str], str] = str,
    shown: Callable[[str], str] | None = None,
) -> Kind:
    """Accept any text that is not empty or only white space.

    Args:
        metavar: Placeholder for the value in --help.
        expected: The accepted values in words.
        convert: Is applied to the text.
        shown: As for `Kind`.
    """
    return Kind(expected, metavar, lambda text: convert(_not_empty(text)), shown=shown)


def path(metavar: str = "FILE", expected: str = "a path") -> Kind:
    """Accept the path of a file or folder, which need not exist; "~" is the user's home folder.

    Args:
        metavar: Placeholder for the value in --help.
        expected: The accepted values in words.
    """
    return Kind(expected, metavar, _parse_path)


def from_home(text: str) -> str:
    """A path without "~", which the shell does not replace in variables and after "=".

    Args:
        text: Any text; one that does not begin with the home folder of a user is returned as it is.
    """
    return os.path.expanduser(text)  # noqa: PTH111  Path.expanduser raises where there is no such user


def _parse_path(text: str) -> Path:
    found = from_home(_not_empty(text))
    if re.match(r"~[/\\]|~$", found):  # of a user without a home folder: it would be created where the program runs
        raise ValueError
    return Path(found)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _parse_switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


def _show_switch(on: bool) -> str:
    return "on" if on else "off"


SWITCH = Kind("0 or 1", "", _parse_switch, show=_show_switch, is_switch=True)
"""On or off: --name or --no-name on the command line, 1 or 0 in a variable."""


def switch_or(word: str) -> Kind:
    """On or off like SWITCH, or a word: --name, --no-name or --name=word; 1, 0 or the word in a variable.

    Args:
        word: The third value.
    """

    def parse(text: str) -> bool | str:
        return word if text == word else _parse_switch(text)

    return Kind(f"0, 1 or {word}", word, parse, show=_show_switch, is_switch=True)
