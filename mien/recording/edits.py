"""What people add to a session: its name, markers, names of people, merged faces and excluded spans.

Nothing of it changes the recorded rows. Each edit is a JSON object; the state of a session is the result of applying
all its edits in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mien.errors import SessionError
from mien.names import is_printable
from mien.types import EXPRESSIONS

MAX_NAME = 120
MAX_TEXT = 500
MAX_S = 1e7
"""Latest time in a session, about four months."""
MAX_AT_S = 1e11
"""Latest time at which a session may begin, in seconds since the epoch: the year 5138."""
MAX_FACE = 10**9
MAX_MERGED = 100
MAX_MARKERS = MAX_SPANS = MAX_NAMES = 2000
MAX_BASELINES = 2000
MAX_LOG_ODDS = 100

Edit = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Marker:
    """A word at a moment.

    Args:
        id: m1, m2, ...; never used twice in a session.
        t: Seconds since the session began.
        text: What happened; may be empty.
    """

    id: str
    t: float
    text: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """A span that does not count.

    Args:
        id: x1, x2, ...; never used twice in a session.
        start_s: Its begin, in seconds since the session began.
        end_s: Its end.
    """

    id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class RestingFace:
    """A person's resting face, with which `rest_angry` and so on of the rows compare.

    Args:
        log_odds: Of each of EXPRESSIONS, after 0.02 was mixed into its probability.
        frames: How many frames they are the mean of.
        rare: How often rare expressions were expected; None for a network without base rates.
    """

    log_odds: tuple[float, ...]
    frames: int
    rare: float | None


@dataclass(frozen=True)
class SessionState:
    """The result of all edits of a session.

        state = apply(SessionState(), {"do": "person", "face": 1, "name": "Anna"})
        state.person(1)  # "Anna"

    Args:
        began_s: When the recording began, in seconds since the epoch; None for those of version 0.1.
        source: "program" or "browser": whose camera was recorded.
        length_s: How long it was recorded; None while it runs, and where the program was killed.
        covered: Whether privacy mode was on in all of its video; False where that is not known.
        name: Its name; empty for none.
        markers: In order of time.
        names: Names of people, by the number of a face.
        merged: The lowest number of the faces of a person, for each face that is not a person by itself.
        excluded: In order of time.
        last_marker: The number of the last id of a marker.
        last_excluded: The number of the last id of an excluded span.
        count: How many edits there were.
        baselines: The last resting face that was measured, by the number of a face.
    """

    began_s: float | None = None
    source: str = "program"
    length_s: float | None = None
    covered: bool = False
    name: str = ""
    markers: tuple[Marker, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    merged: Mapping[int, int] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    last_marker: int = 0
    last_excluded: int = 0
    count: int = 0
    baselines: Mapping[int, RestingFace] = field(default_factory=dict)

    def first_face(self, face: int) -> int:
        """The lowest number of the faces that are the same person as this one.

        Args:
            face: Number of a face.
        """
        return self.merged.get(face, face)

    def faces_of(self, face: int) -> list[int]:
        """The numbers of all faces that are the same person as this one, as far as they were merged.

        Args:
            face: Number of a face.
        """
        first = self.first_face(face)
        return sorted({first, face, *(each for each, lowest in self.merged.items() if lowest == first)})

    def named(self, face: int) -> str:
        """The name of the person with this face; empty for none.

        Args:
            face: Number of a face.
        """
        return next((self.names[each] for each in self.faces_of(face) if each in self.names), "")

    def person(self, face: int) -> str:
        """What to call the person with this face: the name, else "Face 1".

        Args:
            face: Number of a face.
        """
        return self.named(face) or f"Face {self.first_face(face)}"

    def shifted(self, by_s: float) -> SessionState:
        """The same with other times.

        Args:
            by_s: Seconds by which everything is later.
        """
        markers = tuple(replace(each, t=each.t + by_s) for each in self.markers)
        excluded = tuple(replace(each, start_s=each.start_s + by_s, end_s=each.end_s + by_s) for each in self.excluded)
        return replace(self, markers=markers, excluded=excluded)

    def is_excluded(self, t: float) -> bool:
        """Whether a moment, in seconds since the session began, lies in an excluded span."""
        return any(span.start_s <= t < span.end_s for span in self.excluded)


def apply(state: SessionState, edit: Edit) -> SessionState:
    """The state after one more edit.

    Args:
        state: The state before.
        edit: With "do", and what that needs.

    Raises:
        SessionError: The edit is unknown or not valid.
    """
    do = edit.get("do")
    change = CHANGES.get(do) if isinstance(do, str) else None
    if change is None:
        raise SessionError(f"expected one of {', '.join(CHANGES)} as do, found {do!r}")
    return replace(change(state, edit), count=state.count + 1)


def numbered(state: SessionState, edit: Edit) -> Edit:
    """A new edit with the id that a new marker or excluded span gets.

    Args:
        state: The state before.
        edit: The edit; one with the id of a marker changes it.

    Raises:
        SessionError: There is no marker with this id. Only the journal of a session may have a new one with an id.
    """
    if edit.get("do") == "mark" and "id" not in edit:
        return {**edit, "id": f"m{state.last_marker + 1}"}
    if edit.get("do") == "mark" and all(each.id != edit["id"] for each in state.markers):
        raise SessionError(f"expected the id of a marker, found {str(edit['id'])[:20]!r}")
    if edit.get("do") == "exclude":
        return {**edit, "id": f"x{state.last_excluded + 1}"}
    return edit


# --- what each edit does


def _begin(state: SessionState, edit: Edit) -> SessionState:
    return replace(state, began_s=_number(edit, "at", MAX_AT_S), source=str(edit.get("source", "program")))


def _end(state: SessionState, edit: Edit) -> SessionState:
    return replace(state, length_s=_number(edit, "length_s"), covered=edit.get("covered") is True)


def _rename(state: SessionState, edit: Edit) -> SessionState:
    return replace(state, name=_text(edit, "name", MAX_NAME))


def _mark(state: SessionState, edit: Edit) -> SessionState:
    number = _id_number(edit, "m")
    before = next((each for each in state.markers if each.id == edit["id"]), None)
    if before is None and number <= state.last_marker:
        raise SessionError(f"expected the id of a marker, found {edit['id']}, which does not exist")
    if before is None and len(state.markers) >= MAX_MARKERS:
        raise SessionError(f"expected at most {MAX_MARKERS} markers")
    t = before.t if before and "t" not in edit else _number(edit, "t")
    text = before.text if before and "text" not in edit else _text(edit, "text", MAX_TEXT)
    others = (each for each in state.markers if each is not before)
    markers = sorted([*others, Marker(edit["id"], t, text)], key=lambda each: each.t)
    return replace(state, markers=tuple(markers), last_marker=max(number, state.last_marker))


def _unmark(state: SessionState, edit: Edit) -> SessionState:
    left = tuple(each for each in state.markers if each.id != edit.get("id"))
    if len(left) == len(state.markers):
        raise SessionError(f"expected the id of a marker, found {edit.get('id')!r}")
    return replace(state, markers=left)


def _person(state: SessionState, edit: Edit) -> SessionState:
    name, same = _text(edit, "name", MAX_NAME), state.faces_of(_face(edit.get("face")))
    names = {face: given for face, given in state.names.items() if face not in same}
    if name:
        names |= dict.fromkeys(same, name)
    if len(names) > MAX_NAMES:
        raise SessionError(f"expected names for at most {MAX_NAMES} faces")
    return replace(state, names=names)


def _merge(state: SessionState, edit: Edit) -> SessionState:
    faces = _faces(edit, at_least=2)
    together = sorted({each for face in faces for each in state.faces_of(face)})
    if len(together) > MAX_MERGED:
        raise SessionError(f"expected at most {MAX_MERGED} faces of a person, found {len(together)}")
    return replace(state, merged={**state.merged, **dict.fromkeys(together[1:], together[0])})


def _split(state: SessionState, edit: Edit) -> SessionState:
    alone = _faces(edit, at_least=1)
    merged = dict(state.merged)
    for face in alone:
        left = [each for each in state.faces_of(face) if each not in alone]
        if len(state.faces_of(face)) == 1:
            raise SessionError(f"expected a face that was merged with another, found {face}")
        for each in (face, *left):
            merged.pop(each, None)
        merged |= dict.fromkeys(left[1:], left[0] if left else 0)
    return replace(state, merged=merged)


def _exclude(state: SessionState, edit: Edit) -> SessionState:
    number = _id_number(edit, "x")
    if number <= state.last_excluded:
        raise SessionError(f"expected a new id, found {edit['id']}")
    if len(state.excluded) >= MAX_SPANS:
        raise SessionError(f"expected at most {MAX_SPANS} excluded spans")
    start_s, end_s = _number(edit, "from"), _number(edit, "to")
    if end_s <= start_s:
        raise SessionError(f"expected a span that ends after it begins, found {start_s:g} to {end_s:g} s")
    spans = sorted([*state.excluded, Excluded(edit["id"], start_s, end_s)], key=lambda each: each.start_s)
    return replace(state, excluded=tuple(spans), last_excluded=number)


def _include(state: SessionState, edit: Edit) -> SessionState:
    left = tuple(each for each in state.excluded if each.id != edit.get("id"))
    if len(left) == len(state.excluded):
        raise SessionError(f"expected the id of an excluded span, found {edit.get('id')!r}")
    return replace(state, excluded=left)


def _baseline(state: SessionState, edit: Edit) -> SessionState:
    face, log_odds = _face(edit.get("face")), edit.get("log_odds")
    baselines = {each: rest for each, rest in state.baselines.items() if each != face}
    if log_odds is not None:
        if not isinstance(log_odds, Mapping) or log_odds.keys() != set(EXPRESSIONS):
            raise SessionError(f"expected log_odds of {', '.join(EXPRESSIONS)}, found {log_odds!r}")
        odds = tuple(_number(log_odds, name, MAX_LOG_ODDS, -MAX_LOG_ODDS, "log odds") for name in EXPRESSIONS)
        rare = None if edit.get("rare") is None else _number(edit, "rare", 1, what="a share")
        baselines[face] = RestingFace(odds, int(_number(edit, "frames", what="a number")), rare)
    if len(baselines) > MAX_BASELINES:
        raise SessionError(f"expected resting faces of at most {MAX_BASELINES} faces")
    return replace(state, baselines=baselines)


CHANGES: Mapping[str, Callable[[SessionState, Edit], SessionState]] = {
    "begin": _begin,
    "end": _end,
    "rename": _rename,
    "mark": _mark,
    "unmark": _unmark,
    "person": _person,
    "merge": _merge,
    "split": _split,
    "exclude": _exclude,
    "include": _include,
    "baseline": _baseline,
}


# --- values of edits


def _number(edit: Edit, name: str, most: float = MAX_S, least: float = 0, what: str = "seconds") -> float:
    value = edit.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SessionError(f"expected {what} from {least:g} to {most:g} as {name}, found {value!r}")
    return float(value)


def _text(edit: Edit, name: str, longest: int) -> str:
    value = edit.get(name, "")
    if not isinstance(value, str) or len(value) > longest or not is_printable(value):
        raise SessionError(f"expected at most {longest} printable characters as {name}")
    return value.strip()


def _face(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FACE:
        raise SessionError(f"expected the number of a face, found {value!r}")
    return value


def _faces(edit: Edit, at_least: int) -> list[int]:
    value = edit.get("faces")
    faces = sorted({_face(each) for each in value}) if isinstance(value, list) else []
    if not at_least <= len(faces) <= MAX_MERGED:
        raise SessionError(f"expected from {at_least} to {MAX_MERGED} numbers of faces, found {value!r}")
    return faces


def _id_number(edit: Edit, letter: str) -> int:
    value = edit.get("id")
    if not isinstance(value, str) or value[:1] != letter or not value[1:].isascii() or not value[1:].isdigit():
        raise SessionError(f"expected an id such as {letter}1, found {value!r}")
    if len(value) > 9:
        raise SessionError(f"expected an id such as {letter}1, found {value!r}")
    return int(value[1:])
