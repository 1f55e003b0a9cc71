"""Inputs that are almost right: seeds in which bytes, words or parts of a structure are broken, by a random seed."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

NUMBERS = (0, 1, 2, 127, 128, 255, 256, *(2**bits + one for bits in (15, 16, 24, 31, 32, 63, 64) for one in (-1, 0)))

_PRINTABLE = r"""
0 -1 -0 00 1 1.0 1e3 1e400 -1e400 nan NaN inf -Infinity 0x10 1_000 ² ٣ true null None [] {} = == , ,, ; : :: / // \ .
.. ../../etc/passwd C:\x ~ ~nobody - -- --- % %s %n %00 {0} {x.__class__} $HOME * ? [ ] ( ) # @ & | ' " ` < <script>
é İ ß 😀 localhost 127.0.0.1 [::1] [::1%lo] 0.0.0.0 http:// rtsp://a:b@c demo file:///etc/passwd auto contempt=none
happy= =happy Happy 1:2:3 99:99:99 0/0 1280x720 bytes=0- chunked
"""
WORDS = (
    *_PRINTABLE.split(),
    *("", " ", "\t", "\0", "\r", "\n", "\r\n", "\x1b[2J", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", "\udcff"),
    *("9" * 400, "a" * 5000),
)
"""Words that parsers stumble over."""

_NESTED = "@nested"


def mutated(seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> SearchStrategy[bytes]:
    """Seeds with broken bytes.

    Args:
        seeds: Valid inputs.
        words: Words of the format, which are inserted.
    """
    return _by_dice(lambda dice: break_bytes(dice, seeds, words))


def mutated_text(seeds: Sequence[str]) -> SearchStrategy[bytes]:
    """Texts with broken words and lines, in UTF-8; some are mutated as bytes too."""

    def make(dice: random.Random) -> bytes:
        data = break_text(dice, dice.choice(seeds)).encode("utf-8", "surrogatepass")
        return break_bytes(dice, [data]) if dice.random() < 0.2 else data

    return _by_dice(make)


def mutated_json(seeds: Sequence[Any]) -> SearchStrategy[bytes]:
    """JSON texts of structures in which values and keys are broken; some are mutated as bytes too."""

    def make(dice: random.Random) -> bytes:
        data = dump(break_structure(dice, dice.choice(seeds)))
        return break_bytes(dice, [data]) if dice.random() < 0.15 else data

    return _by_dice(make)


def _by_dice(make: Callable[[random.Random], bytes]) -> SearchStrategy[bytes]:
    return st.integers(0, 2**63 - 1).map(lambda seed: make(random.Random(seed)))


def break_bytes(dice: random.Random, seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """One of the seeds, broken in one to four ways.

    Args:
        dice: Chooses.
        seeds: Valid inputs.
        words: Words of the format, which are inserted.
    """
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
        if not data:
            return dice.randbytes(dice.randint(0, 200))
        dice.choice(_BYTE_MUTATIONS)(dice, data, seeds)
    if words and dice.random() < 0.3:
        at = dice.randint(0, len(data))
        data[at : at + dice.choice((0, 0, 4))] = dice.choice(words)
    return bytes(data)


def _flip(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    for _ in range(dice.choice((1, 3, 10, 100))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _set_in_head(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(min(128, len(data)))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _set_number(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    form, size = dice.choice((("<H", 2), (">H", 2), ("<I", 4), (">I", 4), ("<Q", 8), (">Q", 8)))
    if len(data) >= size:
        top = len(data) if dice.random() < 0.5 else min(len(data), 512)  # sizes are in heads
        at = dice.randrange(max(1, top - size + 1))
        number = dice.choice(NUMBERS) % (1 << 8 * size)
        data[at : at + size] = struct.pack(form, number)


def _cut(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[dice.randrange(len(data)) :]


def _remove(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 4, 16, 100))]


def _repeat(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[dice.randrange(len(data)) :][: dice.randint(1, 3000)] * dice.randint(1, 3)


def _splice(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = dice.choice(seeds)
    if other:
        data[dice.randrange(len(data)) :] = other[dice.randrange(len(other)) :]


def _noise(dice: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[dice.randint(0, min(40, len(data))) :] = dice.randbytes(dice.randint(0, 2000))


_OFTEN = (_flip, _set_in_head, _set_number)
_BYTE_MUTATIONS = (*_OFTEN, *_OFTEN, _cut, _remove, _repeat, _splice, _noise)


def break_text(dice: random.Random, text: str) -> str:
    """A text in which words are replaced, and lines repeated, left out or exchanged."""
    for _ in range(dice.choice((1, 1, 2, 4))):
        if dice.random() < 0.6:
            spans = [match.span() for match in re.finditer(r"[\w.+-]+|[^\w\s]", text)]
            if not spans:
                return dice.choice(WORDS)
            start, end = dice.choice(spans)
            text = text[:start] + dice.choice(WORDS) + text[dice.choice((end, start)) :]
            continue
        lines = text.splitlines(keepends=True) or [""]
        at, other = dice.randrange(len(lines)), dice.randrange(len(lines))
        match dice.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: dice.randint(0, len(lines[at]))]
            case 4:
                lines.insert(at, dice.choice(WORDS) + dice.choice(("", "\n", ",", "\t")))
        text = "".join(lines)
    return text


def break_structure(dice: random.Random, seed: Any) -> Any:
    """A copy of a structure for JSON in which one to four places are broken."""
    structure = deepcopy(seed)
    for _ in range(dice.choice((1, 1, 2, 4))):
        places = list(_places(structure))
        if not places or dice.random() < 0.02:
            structure = any_value(dice)
            continue
        holder, key = dice.choice(places)
        _break_place(dice, holder, key, structure)
    return structure


def _break_place(dice: random.Random, holder: Any, key: Any, structure: Any) -> None:
    match dice.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[dice.choice((*WORDS[:60], *holder))] = holder.pop(key)
        case 2:
            holder[key] = [deepcopy(holder[key])] * dice.choice((1, 2, 50))
        case 3:
            other_holder, other = dice.choice(list(_places(structure)))
            holder[key] = deepcopy(other_holder[other])
        case 4 if isinstance(holder[key], str):
            holder[key] = break_text(dice, holder[key])
        case 5 if isinstance(holder[key], int | float):
            holder[key] = dice.choice((-1, *NUMBERS, 0.5, 1e308, float("nan"), float("inf"), -holder[key]))
        case _:
            holder[key] = any_value(dice)


def any_value(dice: random.Random) -> Any:
    """Any value that JSON can hold, and NaN; some are nested deeply."""
    if dice.random() < 0.03:
        return f"{_NESTED}{dice.choice('[{')}{dice.choice((50, 200, 900, 5000))}"
    plain = (None, True, False, -1, 0.5, float("nan"), float("inf"), 10**400, *NUMBERS[:6], dice.choice(NUMBERS))
    holders: tuple[Any, ...] = ([], {}, [[]], [1, 2, 3], {"a": 1}, {"class_name": "x"})
    return deepcopy(dice.choice((*plain, *holders, dice.choice(WORDS), dice.choice(WORDS))))


def dump(structure: Any) -> bytes:
    """A structure as JSON text, with brackets in brackets where `any_value` asks for them."""
    text = json.dumps(structure)
    return re.sub(rf'"{_NESTED}([\[{{])([0-9]+)"', _nest, text).encode()


def _nest(match: re.Match[str]) -> str:
    depth = int(match[2])
    return "[" * depth + "]" * depth if match[1] == "[" else '{"config": ' * depth + "1" + "}" * depth


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """All (holder, key) below a node."""
    pending = [node]
    while pending:
        holder = pending.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            pending.append(holder[key])
