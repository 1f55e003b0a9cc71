"""Videos and images that are analyzed one after the other: their progress, controls, tables, reports and pictures."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Response, request, send_file

from mien.errors import JobMissingError
from web import job_uploads, schemas
from web.job_answers import (
    BAD_CHOICE,
    GROUP,
    IDS,
    MESSAGES_PER_S,
    NO_KEY,
    NOT_FOUND,
    WHOLE_GROUP,
    answering_errors,
    attachment,
    describe,
    describe_all,
    group_key,
    ids,
    messages,
    offered,
    required_group,
)
from web.limits import Slots
from web.openapi import Answer, Operation
from web.ports import AppOptions
from web.streams import ALL_SLOTS_USED, EVENT_STREAM, respond

REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A report has its style inline, and neither scripts nor anything from elsewhere."""


def blueprint(options: AppOptions, readers: Slots) -> Blueprint:
    """Routes of the queue.

    Args:
        options: Its `jobs` do the work; if None, the routes respond with 404.
        readers: Slots of the event streams.
    """
    routes = Blueprint("jobs", __name__)
    job_uploads.add_routes(routes, options)
    _add_progress(routes, options, readers)
    for action, summary, conflict in (
        ("pause", "Pause at the next frame; other jobs go on", "The job is neither waiting nor being analyzed."),
        ("resume", "Go on after a pause", "The job is not paused."),
    ):
        _add_action(routes, options, action, summary, conflict)
    _add_deletion(routes, options)
    for name, summary in (
        ("faces.csv", "The table of faces, byte for byte the one that `analyze` writes."),
        ("events.csv", "When each expression of a video began and how long it lasted, as `analyze` writes it."),
    ):
        _add_table(routes, options, name, summary)
    _add_results(routes, options)
    return routes


def _add_progress(routes: Blueprint, options: AppOptions, readers: Slots) -> None:
    @routes.get("/api/jobs")
    @Operation(
        "The jobs with these ids, or of a group, and the limits of the queue. Nobody can list those of others.",
        Answer(200, "Jobs that do not exist are left out.", schemas.Jobs),
        BAD_CHOICE,
        NOT_FOUND,
        parameters=(IDS, GROUP),
    )
    def listed() -> schemas.Jobs:
        jobs = offered(options)
        return describe_all(jobs, jobs.find(ids(), group_key()))

    @routes.get("/api/jobs/events")
    @Operation(
        f"Changes of the jobs with these ids, or of a group, at most {MESSAGES_PER_S} messages per second.",
        Answer(200, "Server-sent events; the data of each is ChangedJobs. The first has all jobs.", EVENT_STREAM),
        BAD_CHOICE,
        NOT_FOUND,
        ALL_SLOTS_USED,
        parameters=(IDS, GROUP),
    )
    def events() -> Response:
        jobs, numbers, group, root = offered(options), ids(), group_key(), request.script_root
        return respond(lambda: messages(jobs, lambda: jobs.find(numbers, group), root), EVENT_STREAM, readers)

    @routes.get("/api/jobs/<job>")
    @Operation("A job.", Answer(200, "Its state.", schemas.Job), NOT_FOUND)
    def one(job: str) -> schemas.Job:
        with answering_errors():
            return describe(offered(options).get(job))

    @routes.get("/api/jobs/<job>/events")
    @Operation(
        f"Changes of a job, at most {MESSAGES_PER_S} messages per second.",
        Answer(200, "Server-sent events; the data of each is ChangedJobs.", EVENT_STREAM),
        NOT_FOUND,
        ALL_SLOTS_USED,
    )
    def events_of_one(job: str) -> Response:
        jobs, root = offered(options), request.script_root
        with answering_errors():
            jobs.get(job)
        return respond(lambda: messages(jobs, lambda: jobs.find([job]), root), EVENT_STREAM, readers)


def _add_action(routes: Blueprint, options: AppOptions, action: str, summary: str, conflict: str) -> None:
    """Add a route that does something to a job, and one that does it to all of a group."""

    @routes.post(f"/api/jobs/<job>/{action}", endpoint=action)
    @Operation(f"{summary}.", Answer(200, "The job.", schemas.Job), NOT_FOUND, Answer(409, conflict))
    def act(job: str) -> schemas.Job:
        with answering_errors():
            return describe(getattr(offered(options), action)(job))

    @routes.post(f"/api/jobs/{action}", endpoint=f"{action}_group")
    @Operation(
        f"{summary}: all jobs of a group.",
        Answer(200, "Its jobs.", schemas.Jobs),
        NO_KEY,
        NOT_FOUND,
        parameters=(WHOLE_GROUP,),
    )
    def act_on_group() -> schemas.Jobs:
        jobs = offered(options)
        return describe_all(jobs, getattr(jobs, f"{action}_group")(required_group()))


def _add_deletion(routes: Blueprint, options: AppOptions) -> None:
    @routes.delete("/api/jobs/<job>")
    @Operation("Cancel and forget a job, and remove its files.", Answer(204, "It is gone.", None), NOT_FOUND)
    def delete(job: str) -> Response:
        with answering_errors():
            offered(options).delete(job)
        return Response(status=204)

    @routes.delete("/api/jobs")
    @Operation(
        "Cancel and forget the jobs of a group, and remove their files.",
        Answer(204, "They are gone.", None),
        NO_KEY,
        NOT_FOUND,
        parameters=(WHOLE_GROUP,),
    )
    def delete_group() -> Response:
        offered(options).delete_group(required_group())
        return Response(status=204)


def _add_table(routes: Blueprint, options: AppOptions, name: str, summary: str) -> None:
    @routes.get(f"/api/jobs/<job>/{name}", endpoint=name.replace(".", "_"))
    @Operation(
        summary,
        Answer(200, "CSV with a header.", "text/csv"),
        Answer(404, "There is no such job or table, or the job is not done."),
    )
    def table(job: str) -> Response:
        with answering_errors():
            path, source = offered(options).table(job, name)
            response = _file(path, "text/csv")
        base = re.sub(r"\.\w{1,5}$", "", source.rpartition("/")[2]) or "file"
        response.headers.update(attachment(f"{base}-{name}"))
        return response


def _add_results(routes: Blueprint, options: AppOptions) -> None:
    @routes.get("/api/jobs/faces.csv")
    @Operation(
        "The rows of all jobs of a group that are done, with one header.",
        Answer(200, "CSV with a header.", "text/csv"),
        NO_KEY,
        Answer(404, "None is done."),
        parameters=(WHOLE_GROUP,),
    )
    def all_faces() -> Response:
        with answering_errors():
            rows = offered(options).tables(required_group())
        return Response(rows, mimetype="text/csv", headers=attachment("faces.csv"))

    @routes.get("/api/jobs/<job>/report.html")
    @Operation(
        "The report of a video, which is drawn when it is first asked for; in privacy mode without pictures.",
        Answer(200, "HTML that needs no other file.", "text/html"),
        Answer(404, "There is no such job, it is not done, or its file is an image."),
        Answer(503, "It cannot be drawn, as without the package matplotlib, or takes long (then with Retry-After)."),
    )
    def report(job: str) -> Response:
        with answering_errors():
            response = _file(offered(options).report(job), "text/html")
        response.headers["Content-Security-Policy"] = REPORT_POLICY
        return response

    @routes.get("/api/jobs/<job>/thumbnails/<int:face>")
    @Operation(
        "A picture of a face at its clearest moment.",
        Answer(200, "JPEG.", "image/jpeg"),
        Answer(404, "There is none, as in privacy mode."),
    )
    def thumbnail(job: str, face: int) -> Response:
        with answering_errors():
            return Response(offered(options).picture(job, face), mimetype="image/jpeg")


def _file(path: Path, content_type: str) -> Response:
    """A file of the queue, which browsers must not store: it may be about to be forgotten."""
    try:
        response = send_file(path, mimetype=content_type, conditional=False, etag=False)
    except OSError as error:
        raise JobMissingError("expected a job that is done, found one that was canceled") from error
    response.headers["Cache-Control"] = "no-store"
    return response
