"""One recorded session: its files, what is known of it, and who was seen for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mien.errors import SessionError
from mien.recording import reason_of
from mien.recording.csv_log import Recording
from mien.recording.edits import SessionState
from mien.recording.export import read_rows
from mien.recording.overview import Overview
from mien.recording.session_files import SessionFiles


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a session.

    Args:
        face: The lowest number of the faces.
        faces: The numbers of all faces that are this person.
        name: The name; empty for none.
        seconds: How long each of SHOWN was shown.
    """

    face: int
    faces: Sequence[int]
    name: str
    seconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded session.

    Args:
        files: Its files.
        state: What people have added.
        began_s: When it began, in seconds since the epoch.
        length_s: How long it is; None if that is not known yet.
        recording: The recording, while it is being recorded.
        bytes: Size of all files.
        people: Who was seen, the longest first; None if that is not known yet.
        made: Ids of the markers and excluded spans that the last edits have made.
    """

    files: SessionFiles
    state: SessionState
    began_s: float
    length_s: float | None
    recording: Recording | None
    bytes: int
    people: Sequence[Person] | None
    made: Sequence[str] = ()

    @property
    def id(self) -> str:
        """Its id."""
        return self.files.id

    @property
    def number_of_people(self) -> int | None:
        """How many people were seen; None if that is not known yet."""
        if self.people is not None:
            return len(self.people)
        return None if self.recording is None else self.recording.people

    @property
    def has_video(self) -> bool:
        """Whether it has a video."""
        return self.files.video.is_file()

    @property
    def shares(self) -> list[float] | None:
        """The share of the time of all faces of each of SHOWN; None if it is not known yet, or there was no face."""
        sums_s = [sum(each) for each in zip(*(person.seconds for person in self.people or ()), strict=True)]
        total_s = sum(sums_s)
        return [each / total_s for each in sums_s] if total_s else None

    def rows(self) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
        """Its table with what people have added, as `mien.recording.export.read_rows` describes it.

        Raises:
            SessionError: It cannot be read.
        """
        try:
            return read_rows(self.files.faces, self.state, self.began_s)
        except OSError as error:
            raise SessionError(f"{self.id} cannot be read: {reason_of(error)}") from error


def people_of(overview: Overview, state: SessionState) -> list[Person]:
    """Who was seen, the longest first.

    Args:
        overview: Of the faces.
        state: Which of them are one person, and their names.
    """
    groups: dict[int, list[int]] = {}
    for face in sorted(overview.seconds):
        groups.setdefault(state.first_face(face), []).append(face)
    people = [
        Person(
            first,
            faces,
            state.named(first),
            [round(sum(each), 3) for each in zip(*(overview.seconds[face] for face in faces), strict=True)],
        )
        for first, faces in groups.items()
    ]
    return sorted(people, key=lambda person: (-sum(person.seconds), person.face))
