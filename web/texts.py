"""Texts of answers: messages of the program, without what a stranger should not learn or a screen not obey."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from mien.names import printable

# An absolute path of two or more parts, but no part of an address; devices and our own routes are no secret.
_FOLDERS = re.compile(r"""(?<![\w.:/*~-])/(?!api/|dev/)(?:[^\s/:;,'"()]+/)+(?=[^\s/])""")
_WINDOWS_FOLDERS = re.compile(r"""(?<!\w)(?:[A-Za-z]:|\\)\\(?:[^\s\\/:;,'"()]+\\)+""")


@cache
def _roots() -> tuple[str, ...]:
    """The folders of this computer that messages are likely to name, the longest first; they may contain spaces."""
    roots = [Path(__file__).resolve().parent.parent, Path(sys.prefix)]
    for find in (Path.cwd, Path.home, lambda: Path(tempfile.gettempdir())):
        with suppress(OSError, RuntimeError):  # there may be no home, no folder for temporary files
            roots.append(find())
    return tuple(sorted({str(root) for root in roots if len(root.parts) > 1}, key=len, reverse=True))


def public(text: str) -> str:
    """A message as it may be sent to whoever asks: files without their folders, control characters escaped.

    Args:
        text: The message of an error, or the reason of a state.
    """
    if "/" in text or "\\" in text:
        for root in _roots():
            text = text.replace(f"{root}/", "").replace(f"{root}\\", "")
        text = _WINDOWS_FOLDERS.sub("", _FOLDERS.sub("", text))
    return printable(text)


Message = Annotated[str, AfterValidator(public)]
"""A field that holds such a message."""

Name = Annotated[str, AfterValidator(printable)]
"""A field that holds the name of a file or device."""
