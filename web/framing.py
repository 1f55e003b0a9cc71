"""Strict framing of HTTP/1.1 requests: where a request ends must be beyond doubt, or it is refused.

Cheroot's parser takes the last of two Content-Lengths, reads "+12" as 12 and continues folded lines. A proxy in front
that reads such a request differently would pass on a second request hidden in the first. Mien therefore checks each
head itself, before that parser sees it. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_FIELDS = 200
"""Header fields of a request; browsers send about twenty."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(
    rb"(?:" + _TOKEN + rb" (?:/[^\x00-\x20\x7f]*|\*)|CONNECT [^\x00-\x20\x7f]+) HTTP/([0-9]\.[0-9])\r\n"
)
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CODINGS = re.compile(_TOKEN + rb"([ \t]*,[ \t]*" + _TOKEN + rb")*")

_SINGLE = frozenset(
    b"host content-length content-type content-encoding transfer-encoding expect authorization origin sec-fetch-site "
    b"sec-fetch-mode sec-fetch-dest x-forwarded-prefix".split()
)
"""Fields on which the framing of a request or the permission for it depends; each may be given once."""


class FramingError(ValueError):
    """A request whose head is not answered by the app.

        raise FramingError("400 Bad Request", "Expected one Host, found 2.")

    Args:
        status: Status line of the answer.
        text: What was expected and what was found.
    """

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Head:
    """What the head of a request says about its body.

    Args:
        length: Bytes of the body; None for a chunked body.
        waits: Whether the client waits for "100 Continue" before it sends the body.
    """

    length: int | None
    waits: bool


def read_head(readline: Callable[[int], bytes], max_bytes: int) -> list[bytes]:
    """Receive the request line and the header fields.

    Args:
        readline: Receives a line of at most so many bytes.
        max_bytes: Most bytes of the whole head.

    Returns:
        The lines with their ends, the empty one included; none if the client sent nothing.

    Raises:
        FramingError: The head is too long, or ends too early.
    """
    lines: list[bytes] = []
    left = max_bytes
    while True:
        line = readline(left + 1)
        left -= len(line)
        if left < 0:
            if not lines:
                raise FramingError("414 URI Too Long", f"Expected a request line of at most {max_bytes} bytes.")
            raise FramingError("413 Content Too Large", f"Expected headers of at most {max_bytes} bytes.")
        if not line and not lines:
            return []
        if not line.endswith(b"\r\n"):
            raise _bad("Expected lines that end with CR LF.")
        if line == b"\r\n":
            if not lines and left == max_bytes - 2:  # one empty line before a request is to be ignored
                continue
            break
        lines.append(line)
    if not lines:
        raise _bad("Expected a request line, found empty lines.")
    return [*lines, b"\r\n"]


def check_head(lines: list[bytes]) -> Head:
    """Check that a head can be read in one way only.

    Args:
        lines: As `read_head` returns them.

    Raises:
        FramingError: It cannot.
    """
    request = _REQUEST_LINE.fullmatch(lines[0])
    if request is None:
        raise _bad("Expected a request line of method, path and version, separated by one space.")
    if len(lines) - 2 > MAX_FIELDS:
        raise FramingError("431 Request Header Fields Too Large", f"Expected at most {MAX_FIELDS} header fields.")
    single: dict[bytes, bytes] = {}
    for line in lines[1:-1]:
        field = _FIELD_LINE.fullmatch(line)
        if field is None:
            raise _bad("Expected header fields of a name, a colon and a value on one line without control characters.")
        name = field[1].lower()
        if name in _SINGLE:
            if name in single:
                raise _bad(f"Expected one {name.decode().title()}, found more.")
            single[name] = field[2].rstrip(b" \t")
    if request[1] == b"1.1" and b"host" not in single:
        raise _bad("Expected a Host, found none.")
    expect = single.get(b"expect", b"").lower()
    if expect not in (b"", b"100-continue"):
        raise FramingError("417 Expectation Failed", "Expected no Expect other than 100-continue.")
    return Head(_length(single, request[1]), waits=expect != b"")


def _length(single: dict[bytes, bytes], version: bytes) -> int | None:
    """Length of the body; None if it is chunked."""
    length, coding = single.get(b"content-length"), single.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise _bad("Expected Content-Length or Transfer-Encoding, found both.")
        if version != b"1.1" or _CODINGS.fullmatch(coding) is None:
            raise _bad("Expected Transfer-Encoding: chunked, in HTTP/1.1.")
        if coding.lower() != b"chunked":
            raise FramingError("501 Not Implemented", "Expected no Transfer-Encoding other than chunked.")
        return None
    if length is not None and _LENGTH.fullmatch(length) is None:
        raise _bad("Expected a Content-Length of digits alone.")
    return int(length or 0)


def _bad(text: str) -> FramingError:
    return FramingError("400 Bad Request", text)
