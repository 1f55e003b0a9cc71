"""The page of the sessions, and their files: tables, report and video."""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template, send_file
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from mien.errors import BusyError, LoadingError
from web import languages
from web.job_answers import attachment
from web.jobs import REPORT_POLICY
from web.limits import Slots
from web.openapi import HTML, Answer, Operation
from web.ports import AppOptions, SessionStore
from web.sessions import NOT_FOUND, answering_errors, describe
from web.state import sentence

RETRY_AFTER_S = 2

MAX_MAKING = 4
"""Concurrent requests for files that are made, one at a time: each occupies a worker of the server."""

PARQUET = "application/vnd.apache.parquet"

MAKING = (
    Answer(422, "It cannot be made, for example without a face, or while a package is missing."),
    Answer(429, "Others are being made.", retry=True),
    Answer(503, "It takes too long.", retry=True),
)


def blueprint(options: AppOptions) -> Blueprint:
    """Routes of the page and the files.

    Args:
        options: Its `sessions` are shown; if None, the routes of files respond with 404. Its `exports` make reports,
            events and Parquet files; if None, they cannot be made. In its `privacy` mode no uncovered video is sent.
    """
    routes = Blueprint("session_files", __name__)
    exports, privacy = options.exports, options.privacy
    making = Slots(MAX_MAKING)

    def offered() -> SessionStore:
        if options.sessions is None:
            abort(404, "This program keeps no sessions.")
        return options.sessions

    @routes.get("/sessions")
    @Operation("The recorded sessions, for people.", Answer(200, "HTML.", HTML), parameters=(languages.PARAMETER,))
    def page() -> str:
        parquet = exports is not None and exports.parquet
        return render_template("sessions.html", events=exports is not None, parquet=parquet)

    @routes.get("/api/sessions/<session>/faces.csv")
    @Operation(
        "The table of a session, with the columns marker, person and excluded.",
        Answer(200, "CSV with a header.", "text/csv"),
        NOT_FOUND,
    )
    def faces_csv(session: str) -> Response:
        with answering_errors():
            name = _name(offered(), session)
            return Response(offered().csv(session), mimetype="text/csv", headers=attachment(f"{name}.csv"))

    @routes.get("/api/sessions/<session>/faces.json")
    @Operation(
        "The same table as JSON: the fields session, as the route of the session answers, and rows.",
        Answer(200, "JSON with an object for each row; null where there is no value.", "application/json"),
        NOT_FOUND,
    )
    def faces_json(session: str) -> Response:
        with answering_errors():
            found = offered().get(session, complete=True)
            pieces = offered().json(session, describe(found, private=privacy is not None and privacy.on).to_json())
        headers = attachment(f"{found.state.name or session}.json")
        return Response(pieces, mimetype="application/json", headers=headers)

    @routes.get("/api/sessions/<session>/faces.parquet")
    @Operation(
        "The same table as Parquet.",
        Answer(200, "Parquet.", PARQUET),
        NOT_FOUND,
        *MAKING,
    )
    def faces_parquet(session: str) -> Response:
        response = made(session, "faces.parquet", PARQUET)
        response.headers.update(attachment(f"{_name(offered(), session)}.parquet"))
        return response

    @routes.get("/api/sessions/<session>/events.csv")
    @Operation(
        "When each person showed which expression and for how long, with markers and excluded spans.",
        Answer(200, "CSV with a header.", "text/csv"),
        NOT_FOUND,
        *MAKING,
    )
    def events_csv(session: str) -> Response:
        response = made(session, "events.csv", "text/csv")
        response.headers.update(attachment(f"{_name(offered(), session)} events.csv"))
        return response

    @routes.get("/api/sessions/<session>/report")
    @Operation(
        "The report of a session, made when it is asked for.",
        Answer(200, "HTML that needs no other file.", HTML),
        NOT_FOUND,
        *MAKING,
    )
    def report(session: str) -> Response:
        response = made(session, "report.html", HTML)
        response.headers["Content-Security-Policy"] = REPORT_POLICY
        return response

    @routes.get("/api/sessions/<session>/video.mp4")
    @Operation(
        "The video of a session, where it was kept.",
        Answer(200, "MP4.", "video/mp4"),
        Answer(206, "The part of it that the header Range asks for.", "video/mp4"),
        Answer(404, "There is no such session, or no video, or one with visible faces while privacy mode is on."),
        Answer(416, "There is no such part."),
    )
    def video(session: str) -> Response:
        with answering_errors():
            if privacy is not None and privacy.on and not offered().get(session).state.covered:
                abort(404, "In privacy mode, only videos are shown in which it was on from beginning to end.")
            return send_file(offered().video(session), mimetype="video/mp4", conditional=True, max_age=0)

    def made(session: str, name: str, content_type: str) -> Response:
        try:
            with answering_errors():
                offered().get(session)
                if exports is None:
                    abort(503, "This program makes no reports.")
                with making.hold("Others are being made.", RETRY_AFTER_S):
                    path = exports.make(session, name)
                    return send_file(path, mimetype=content_type, conditional=False, etag=False)
        except BusyError as error:
            raise TooManyRequests(sentence(error), retry_after=RETRY_AFTER_S) from error
        except LoadingError as error:
            raise ServiceUnavailable(sentence(error), retry_after=RETRY_AFTER_S) from error

    return routes


def _name(sessions: SessionStore, session: str) -> str:
    """What to call its files."""
    return sessions.get(session).state.name or session
