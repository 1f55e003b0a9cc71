"""Names of files and cameras as they may be shown, logged and sent."""

from __future__ import annotations

import logging
import unicodedata

JOINERS = "\u200c\u200d"
"""Inside words of some scripts, and inside emoji."""


def printable(name: str) -> str:
    r"""A name without line breaks, escape sequences, and bytes that are no UTF-8.

    Args:
        name: Any text, such as the name of a file as the system gives it.

    Returns:
        The same where all of it is printable; anything else is written as in Python: `\n`, `\x1b`, `\xe9` for a byte.

    Example:
        printable("two\nlines")  # r"two\nlines"
    """
    return "".join(char if is_printable(char) else _escaped(char) for char in name)


def is_printable(name: str) -> bool:
    """Whether a name is shown as it is: nothing in it ends a line, controls a terminal or changes the order of writing.

    Unlike `str.isprintable`, this accepts all kinds of spaces: macOS writes U+202F before "AM" in names of recordings.

    Args:
        name: Any text.
    """
    return name.isprintable() or all(
        char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs" for char in name
    )


class PrintableFormatter(logging.Formatter):
    """Log lines in which no name or message can begin a new line, or control the terminal.

    handler.setFormatter(PrintableFormatter())
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, and the lines of its traceback."""
        record.message = record.getMessage()  # as every formatter does, for other handlers
        return "\n".join(printable(line) for line in self._lines(record))

    def _lines(self, record: logging.LogRecord) -> list[str]:
        lines = [record.message]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        return lines


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python keeps a byte of a name that is no UTF-8: PEP 383
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
