"""What requests about sessions and their answers hold; see `web.schemas`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from web.schemas import Body, Count, LogOdds, Probability, Schema, Seconds
from web.texts import Name

MAX_EDITS = 50
MAX_TEXT = 120
"""Characters of the word of a marker."""

FaceNumber = Annotated[int, Field(ge=1, strict=True)]
Time = Annotated[float, Field(ge=0, le=1e7, strict=True)]


class Shares(Schema):
    """The share of time of each expression, and of labels that were unsure; they sum to 1."""

    angry: Probability
    disgust: Probability
    fear: Probability
    happy: Probability
    neutral: Probability
    sad: Probability
    surprise: Probability
    unsure: Probability


class SessionEntry(Schema):
    """A recorded session."""

    id: str = Field(description="Also the name of its folder.")
    name: Name | None = Field(description="The name it was given; null without one.")
    began: float = Field(description="When the recording began, seconds since the epoch.")
    length_s: float | None = Field(description="Seconds; null if not known yet.")
    recording: bool = Field(description="Whether it is being recorded.")
    source: Literal["program", "browser"] = Field(description="Whose camera was recorded.")
    people: Count | None = Field(description="How many people were seen, merged faces once; null if not known yet.")
    shares: Shares | None = Field(
        description="Of the time of all faces, without excluded spans; null if not known yet, and without a face."
    )
    bytes: Count = Field(description="Size of all its files.")
    has_video: bool = Field(description="Whether it has a video that is shown: in privacy mode, not all are.")


class Sessions(Schema):
    """The recorded sessions, the newest first."""

    sessions: list[SessionEntry]


class SessionPerson(Schema):
    """A person of a session."""

    face: int = Field(description="The lowest number of the faces.")
    faces: list[int] = Field(description="The numbers of all faces that are this person.")
    name: Name | None = Field(description="The name the person was given; null without one.")
    seconds: Seconds = Field(description="Without excluded spans.")


class SessionMarker(Schema):
    """A word at a moment."""

    id: str
    t: float = Field(description="Seconds since the session began.")
    text: Name


class ExcludedSpan(Schema):
    """A span that does not count."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    start: float = Field(alias="from", description="Seconds since the session began.")
    to: float = Field(description="Seconds since the session began.")


class RestingFace(Schema):
    """A resting face that was measured while the session was recorded."""

    face: int = Field(description="The number of the face.")
    frames: Count = Field(description="How many frames it is the mean of.")
    rare: Probability | None = Field(description="How often rare expressions were expected meanwhile.")
    log_odds: LogOdds = Field(description="Those of each expression.")


class Session(SessionEntry):
    """A recorded session, and what people have added to it."""

    persons: list[SessionPerson] | None = Field(
        description="Who was seen, the longest first, while it is being recorded so far; null if not known yet."
    )
    names: dict[str, Name] = Field(description="Names of people, by the number of each of their faces.")
    merged: dict[str, int] = Field(description="Faces that are the person with the lower number.")
    markers: list[SessionMarker]
    excluded: list[ExcludedSpan]
    made: list[str] = Field(description="Ids of the markers and excluded spans that this request has made.")
    baselines: list[RestingFace] = Field(description="The last one of each face; rows compare with them.")


class Mark(Schema):
    """Set a marker, or change the one with this id."""

    do: Literal["mark"]
    id: str | None = Field(default=None, description="Of a marker to change; a new one gets its id.")
    t: Time | None = Field(
        default=None, description="Seconds since the session began; by default now, while it is being recorded."
    )
    text: str | None = Field(default=None, max_length=MAX_TEXT, description="What happened; may be empty.")


class Unmark(Schema):
    """Remove a marker."""

    do: Literal["unmark"]
    id: str


class NamePerson(Schema):
    """Name the person with a face; an empty name removes it."""

    do: Literal["person"]
    face: FaceNumber
    name: str


class Merge(Schema):
    """Faces that are one person."""

    do: Literal["merge"]
    faces: list[FaceNumber] = Field(min_length=2, max_length=100)


class Split(Schema):
    """Faces that are each a person by itself after all."""

    do: Literal["split"]
    faces: list[FaceNumber] = Field(min_length=1, max_length=100)


class Exclude(Schema):
    """Exclude a span."""

    model_config = ConfigDict(serialize_by_alias=True)

    do: Literal["exclude"]
    start: Time = Field(alias="from", description="Seconds since the session began.")
    to: Time = Field(description="Seconds since the session began.")


class Include(Schema):
    """Let an excluded span count again."""

    do: Literal["include"]
    id: str


SessionEdit = Annotated[Mark | Unmark | NamePerson | Merge | Split | Exclude | Include, Field(discriminator="do")]


class SessionChange(Body):
    """A new name, edits, or both: all of them are made, or none."""

    EXAMPLE: ClassVar[dict[str, object]] = {"edits": [{"do": "mark", "t": 12.5, "text": "laughs"}]}

    name: str | None = Field(default=None, description="Its new name; empty for none.")
    edits: list[SessionEdit] = Field(default_factory=list, max_length=MAX_EDITS, description="In their order.")

    @model_validator(mode="after")
    def _check_not_empty(self) -> SessionChange:
        if self.name is None and not self.edits:
            raise ValueError("expected a name or edits")
        return self
