"""Recorded sessions: their list, what people add to them, and their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request

from mien.errors import SessionError, SessionMissingError, SessionRunningError
from mien.types import EXPRESSIONS
from web import session_schemas as schemas
from web.openapi import Answer, Operation
from web.ports import AppOptions, SessionStore
from web.schemas import LogOdds, Seconds
from web.state import sentence

if TYPE_CHECKING:
    from mien.recording.edits import Excluded
    from mien.recording.session import Session

NOT_FOUND = Answer(404, "There is no such session, or none any more.")
NOT_VALID = Answer(422, "An edit is not valid, or cannot be written; none of them was made.")

COMPLETE = {
    "name": "complete",
    "in": "query",
    "schema": {"type": "integer", "enum": [0, 1], "default": 1},
    "description": "0 does not wait for what is not known yet, and is null then.",
}

MAX_CHANGE_BYTES = 96 * 1024
"""Length of a body: that of the longest edits, each character escaped."""

PERSONS = {
    "name": "persons",
    "in": "query",
    "schema": {"type": "integer", "minimum": 0},
    "description": "At most so many of persons, those seen longest; by default all.",
}

STATUS = {SessionMissingError: 404, SessionRunningError: 409}


def blueprint(options: AppOptions) -> Blueprint:
    """Routes of the sessions.

    Args:
        options: Its `sessions` are listed and changed; if None, the routes respond with 404. With a session, the files
            that its `exports` have made of it are deleted.
    """
    routes = Blueprint("sessions", __name__)
    privacy = options.privacy

    def described(session: Session, most: int | None = None) -> schemas.Session:
        return describe(session, most, private=privacy is not None and privacy.on)

    def offered() -> SessionStore:
        if options.sessions is None:
            abort(404, "This program keeps no sessions.")
        return options.sessions

    @routes.get("/api/sessions")
    @Operation(
        "The recorded sessions, the newest first.",
        Answer(
            200,
            "What is not computed yet is null; sessions_version increases when it is.",
            schemas.Sessions,
        ),
        Answer(404, "This program keeps no sessions."),
    )
    def listed() -> schemas.Sessions:
        private = privacy is not None and privacy.on
        return schemas.Sessions(
            sessions=[schemas.SessionEntry(**_entry(each, private=private)) for each in offered().all()]
        )

    @routes.get("/api/sessions/<session>")
    @Operation(
        "A session.",
        Answer(200, "With what people have added to it.", schemas.Session),
        Answer(400, "persons is not a number."),
        NOT_FOUND,
        parameters=(COMPLETE, PERSONS),
    )
    def one(session: str) -> schemas.Session:
        most = request.args.get("persons")
        if most is not None and not re.fullmatch("[0-9]{1,9}", most):
            abort(400, f"Expected a number as persons, found {most[:20]!r}.")
        with answering_errors():
            found = offered().get(session, complete=request.args.get("complete") != "0")
        return described(found, None if most is None else int(most))

    @routes.patch("/api/sessions/<session>")
    @Operation(
        "Rename a session, or add edits to it; the recorded rows stay as they are.",
        Answer(200, "The session after that; everything is on the disk.", schemas.Session),
        NOT_FOUND,
        NOT_VALID,
        body=schemas.SessionChange,
        max_bytes=MAX_CHANGE_BYTES,
    )
    def change(body: schemas.SessionChange, session: str) -> schemas.Session:
        renamed: list[dict[str, Any]] = [] if body.name is None else [{"do": "rename", "name": body.name}]
        edits = [each.model_dump(by_alias=True, exclude_none=True) for each in body.edits]
        with answering_errors():
            return described(offered().edit(session, [*renamed, *edits]))

    @routes.delete("/api/sessions/<session>")
    @Operation(
        "Delete a session with all its files.",
        Answer(204, "It is gone.", None),
        NOT_FOUND,
        Answer(409, "It is being recorded."),
        Answer(422, "It cannot be deleted."),
    )
    def delete(session: str) -> Response:
        with answering_errors():
            offered().delete(session)
        if options.exports is not None:
            options.exports.forget_deleted()
        return Response(status=204)

    return routes


def describe(session: Session, most: int | None = None, *, private: bool = False) -> schemas.Session:
    """A session as JSON.

    Args:
        session: What the store knows of it.
        most: How many of its people are described at most, those seen longest; None for all.
        private: Whether privacy mode is on, in which not all videos are shown.
    """
    state = session.state
    persons = None
    if session.people is not None:
        persons = [
            schemas.SessionPerson(
                face=person.face,
                faces=list(person.faces),
                name=person.name or None,
                seconds=Seconds(**_by_name(person.seconds)),
            )
            for person in session.people[:most]
        ]
    return schemas.Session(
        **_entry(session, private=private),
        persons=persons,
        names={str(face): name for face, name in state.names.items()},
        merged={str(face): first for face, first in state.merged.items()},
        markers=[schemas.SessionMarker(id=each.id, t=each.t, text=each.text) for each in state.markers],
        excluded=[_span(each) for each in state.excluded],
        made=list(session.made),
        baselines=[
            schemas.RestingFace(
                face=face,
                frames=rest.frames,
                rare=rest.rare,
                log_odds=LogOdds(**dict(zip(EXPRESSIONS, rest.log_odds, strict=True))),
            )
            for face, rest in sorted(state.baselines.items())
        ],
    )


@contextmanager
def answering_errors() -> Iterator[None]:
    """A context in which errors of sessions become answers."""
    try:
        yield
    except SessionError as error:
        abort(STATUS.get(type(error), 422), sentence(error))


def _entry(session: Session, *, private: bool) -> dict[str, Any]:
    shares = session.shares
    return {
        "id": session.id,
        "name": session.state.name or None,
        "began": round(session.began_s, 3),
        "length_s": None if session.length_s is None else round(session.length_s, 3),
        "recording": session.recording is not None,
        "source": "browser" if session.state.source == "browser" else "program",
        "people": session.number_of_people,
        "shares": None if shares is None else schemas.Shares(**_by_name([round(each, 5) for each in shares])),
        "bytes": session.bytes,
        "has_video": session.has_video and (session.state.covered or not private),
    }


def _span(span: Excluded) -> schemas.ExcludedSpan:
    return schemas.ExcludedSpan.model_validate({"id": span.id, "from": span.start_s, "to": span.end_s})


def _by_name(values: Sequence[float]) -> dict[str, float]:
    return dict(zip((*EXPRESSIONS, "unsure"), values, strict=True))
