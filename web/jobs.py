"""Videos and images that are analyzed one after the other: uploads, progress, tables, reports and pictures."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import SEEK_END
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, request, send_file
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, ServiceUnavailable
from werkzeug.formparser import FormDataParser

from mien.errors import (
    JobLimitError,
    JobMissingError,
    JobStateError,
    JobTypeError,
    LoadingError,
    MienError,
    StorageError,
)
from web import schemas
from web.limits import Slots
from web.openapi import Answer, Operation, read_json
from web.ports import AppOptions, Jobs
from web.state import sentence
from web.streams import EVENT_STREAM, HEARTBEAT, HEARTBEAT_S, RECONNECT_MS, respond

if TYPE_CHECKING:
    from mien.queue.jobs import JobStatus

KEY = "[A-Za-z0-9_-]{22,64}"
MAX_IDS = 100
MESSAGES_PER_S = 4
RETRY_AFTER_S = 1
MAX_PARTS = 20
MAX_FIELD_BYTES = 100_000
"""Of a multipart form; fields that are no files are ignored."""
TABLES = {"faces.csv": "A row for each frame and face.", "events.csv": "A row for each stretch with the same label."}

GROUP = {
    "name": "group",
    "in": "query",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": "A random key you choose for your jobs, 22 to 64 characters: whoever knows it may use them.",
}
IDS = {
    "name": "id",
    "in": "query",
    "schema": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_IDS},
    "description": f"Id of a job; may be repeated, at most {MAX_IDS} times.",
}
NAME = {
    "name": "name",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Name of a file that is the body.",
}
OFFSET = {
    "name": "offset",
    "in": "query",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
    "description": "Where the piece begins: the `received` of the job.",
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
NEW_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": schemas.NewJob.model_json_schema()},
        "video/*": BINARY,
        "image/*": BINARY,
        "application/octet-stream": BINARY,
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": BINARY["schema"]}, "required": ["file"]}
        },
    },
}
PIECE_BODY = {"required": True, "content": {"application/octet-stream": BINARY}}

NOT_FOUND = Answer(404, "There is no such job, or none any more.")
REFUSALS = (
    Answer(413, "A limit of the queue is exceeded: bytes of a file or piece, of all files, or the number of jobs."),
    Answer(415, "The file is neither a video nor an image, by its first bytes."),
    Answer(429, "Too many concurrent uploads.", retry=True),
    Answer(507, "There is not enough space for temporary files."),
)

# The report has its style inline, and neither scripts nor anything from elsewhere.
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STATUS = {JobMissingError: 404, JobStateError: 409, JobLimitError: 413, JobTypeError: 415, StorageError: 507}


class InsufficientStorageError(HTTPException):
    """507, which Werkzeug does not have."""

    code = 507


def blueprint(options: AppOptions, readers: Slots) -> Blueprint:
    """Routes of the queue.

    Args:
        options: Its `jobs` do the work; if None, the routes respond with 404.
        readers: Slots of the event streams.
    """
    routes = Blueprint("jobs", __name__)
    uploads = Slots(options.max_uploads)
    _add_uploads(routes, options, uploads)
    _add_lists(routes, options, readers)
    _add_controls(routes, options)
    _add_results(routes, options)
    return routes


def _add_uploads(routes: Blueprint, options: AppOptions, uploads: Slots) -> None:
    @routes.post("/api/jobs")
    @Operation(
        "Queue a file for analysis: a small one as the body, or begin the upload of one in pieces with JSON.",
        Answer(201, "The new job; with JSON, it has `piece_bytes`.", schemas.Job),
        Answer(400, "The body or the group does not match its schema, or there is no file in the field file."),
        Answer(404, "This program analyzes no files."),
        *REFUSALS,
        parameters=(GROUP, NAME),
        other_body=NEW_BODY,
    )
    def create() -> tuple[schemas.Job, int]:
        with _answering_errors():
            jobs, group = _jobs(options), _group()
            if request.is_json:
                body = read_json(schemas.NewJob)
                job = describe(jobs.create(body.name, body.bytes, group))
                return job.model_copy(update={"piece_bytes": jobs.limits.piece_bytes}), 201
            with uploads.hold(f"{uploads.limit} files are being uploaded already.", RETRY_AFTER_S):
                return describe(_take_file(jobs, group)), 201

    @routes.put("/api/jobs/<job>/content")
    @Operation(
        "Send a piece of a file. After a lost connection, it may be sent again.",
        Answer(200, "The job; it is queued once all bytes have arrived.", schemas.Job),
        Answer(400, "The offset is not a number, or the piece was cut off."),
        NOT_FOUND,
        Answer(409, "Another offset is expected, or the job is not uploading.", schemas.WrongOffset | schemas.Error),
        *REFUSALS,
        parameters=(OFFSET,),
        other_body=PIECE_BODY,
    )
    def content(job: str) -> schemas.Job | tuple[schemas.WrongOffset, int]:
        with _answering_errors():
            jobs = _jobs(options)
            offset = request.args.get("offset", "")
            if not re.fullmatch(r"[0-9]{1,15}", offset):
                abort(400, f"Expected a number of bytes as offset, found {offset!r}.")
            with uploads.hold(f"{uploads.limit} files are being uploaded already.", RETRY_AFTER_S):
                length = _length(jobs.limits.piece_bytes)
                try:
                    return describe(jobs.write(job, int(offset), request.stream, length))
                except JobStateError as error:
                    if error.received is None:
                        raise
                    return schemas.WrongOffset(error=sentence(error), received=error.received), 409


def _add_lists(routes: Blueprint, options: AppOptions, readers: Slots) -> None:
    @routes.get("/api/jobs")
    @Operation(
        "The jobs with these ids, or of a group, and the limits of the queue. Nobody can list those of others.",
        Answer(200, "Jobs that do not exist are left out.", schemas.Jobs),
        Answer(400, "The group is no valid key, or there are too many ids."),
        NOT_FOUND,
        parameters=(IDS, GROUP),
    )
    def listed() -> schemas.Jobs:
        jobs = _jobs(options)
        return _described(jobs, jobs.find(_ids(), _group()))

    @routes.get("/api/jobs/events")
    @Operation(
        f"Changes of the jobs with these ids, or of a group, at most {MESSAGES_PER_S} messages per second.",
        Answer(200, "Server-sent events; the data of each is ChangedJobs. The first has all jobs.", EVENT_STREAM),
        Answer(400, "The group is no valid key, or there are too many ids."),
        NOT_FOUND,
        Answer(503, "The limit of streams is reached.", retry=True),
        parameters=(IDS, GROUP),
    )
    def events() -> Response:
        jobs, numbers, group = _jobs(options), _ids(), _group()
        return respond(lambda: messages(jobs, lambda: jobs.find(numbers, group)), EVENT_STREAM, readers)

    @routes.get("/api/jobs/<job>")
    @Operation("A job.", Answer(200, "Its state.", schemas.Job), NOT_FOUND)
    def one(job: str) -> schemas.Job:
        with _answering_errors():
            return describe(_jobs(options).get(job))

    @routes.get("/api/jobs/<job>/events")
    @Operation(
        f"Changes of a job, at most {MESSAGES_PER_S} messages per second.",
        Answer(200, "Server-sent events; the data of each is ChangedJobs.", EVENT_STREAM),
        NOT_FOUND,
        Answer(503, "The limit of streams is reached.", retry=True),
    )
    def events_of_one(job: str) -> Response:
        jobs = _jobs(options)
        with _answering_errors():
            jobs.get(job)
        return respond(lambda: messages(jobs, lambda: jobs.find([job])), EVENT_STREAM, readers)


def _add_controls(routes: Blueprint, options: AppOptions) -> None:
    def act(name: str, summary: str, conflict: str) -> None:
        @Operation(summary, Answer(200, "The job.", schemas.Job), NOT_FOUND, Answer(409, conflict))
        def act_on_one(job: str) -> schemas.Job:
            with _answering_errors():
                return describe(getattr(_jobs(options), name)(job))

        @Operation(
            f"{summary[:-1]}: of a whole group.",
            Answer(200, "Its jobs.", schemas.Jobs),
            Answer(400, "The group is missing or no valid key."),
            NOT_FOUND,
            parameters=({**GROUP, "required": True},),
        )
        def act_on_group() -> schemas.Jobs:
            jobs = _jobs(options)
            return _described(jobs, getattr(jobs, f"{name}_group")(_group(required=True)))

        routes.add_url_rule(f"/api/jobs/<job>/{name}", f"{name}_one", act_on_one, methods=["POST"])
        routes.add_url_rule(f"/api/jobs/{name}", f"{name}_group", act_on_group, methods=["POST"])

    act("pause", "Pause at the next frame; other jobs go on.", "The job is neither waiting nor being analyzed.")
    act("resume", "Go on after a pause.", "The job is not paused.")

    @routes.delete("/api/jobs/<job>")
    @Operation("Cancel and forget a job, and remove its files.", Answer(204, "It is gone.", None), NOT_FOUND)
    def delete(job: str) -> Response:
        with _answering_errors():
            _jobs(options).delete(job)
        return Response(status=204)

    @routes.delete("/api/jobs")
    @Operation(
        "Cancel and forget the jobs of a group, and remove their files.",
        Answer(204, "They are gone.", None),
        Answer(400, "The group is missing or no valid key."),
        NOT_FOUND,
        parameters=({**GROUP, "required": True},),
    )
    def delete_group() -> Response:
        _jobs(options).delete_group(_group(required=True) or "")
        return Response(status=204)


def _add_results(routes: Blueprint, options: AppOptions) -> None:
    def table(name: str, summary: str) -> None:
        @Operation(
            f"{summary} The file that `analyze` writes.",
            Answer(200, "CSV with a header.", "text/csv"),
            Answer(404, "There is no such job or table, or the job is not done."),
        )
        def one_table(job: str) -> Response:
            with _answering_errors():
                path, source = _jobs(options).table(job, name)
                return send_file(
                    path, mimetype="text/csv", as_attachment=True, download_name=f"{_base(source)}-{name}", max_age=None
                )

        routes.add_url_rule(f"/api/jobs/<job>/{name}", name.replace(".", "_"), one_table, methods=["GET"])

    for name, summary in TABLES.items():
        table(name, summary)

    @routes.get("/api/jobs/faces.csv")
    @Operation(
        "The rows of all jobs of a group that are done, with one header.",
        Answer(200, "CSV with a header.", "text/csv"),
        Answer(400, "The group is missing or no valid key."),
        Answer(404, "None is done."),
        parameters=({**GROUP, "required": True},),
    )
    def all_faces() -> Response:
        with _answering_errors():
            rows = _jobs(options).tables(_group(required=True) or "")
        return Response(rows, mimetype="text/csv", headers=_attachment("faces.csv"))

    @routes.get("/api/jobs/<job>/report.html")
    @Operation(
        "The report of a video, which is drawn when it is first asked for; in privacy mode without pictures.",
        Answer(200, "HTML that needs no other file.", "text/html"),
        Answer(404, "There is no such job, it is not done, or its file is an image."),
        Answer(503, "It cannot be drawn, as without the package matplotlib, or takes long (then with Retry-After)."),
    )
    def report(job: str) -> Response:
        with _answering_errors():
            response = send_file(_jobs(options).report(job), mimetype="text/html", max_age=None)
        response.headers["Content-Security-Policy"] = REPORT_POLICY
        return response

    @routes.get("/api/jobs/<job>/thumbnails/<int:face>")
    @Operation(
        "A picture of a face at its clearest moment.",
        Answer(200, "JPEG.", "image/jpeg"),
        Answer(404, "There is none, as in privacy mode."),
    )
    def thumbnail(job: str, face: int) -> Response:
        with _answering_errors():
            return Response(_jobs(options).picture(job, face), mimetype="image/jpeg")


def messages(
    jobs: Jobs,
    find: Callable[[], list[JobStatus]],
    heartbeat_s: float = HEARTBEAT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """Yield jobs as events whenever they change, all of them first; those that are forgotten as canceled.

    Args:
        jobs: The queue.
        find: Returns those that are watched.
        heartbeat_s: After this long without a change a comment is sent.
        sleep: Waits for this many seconds.
    """
    yield b"retry: %d\n\n" % RECONNECT_MS
    known: dict[str, schemas.Job] = {}
    version, is_first = 0, True
    while version >= 0:
        found = {job.id: describe(job) for job in find()}
        changed = [job for job in found.values() if known.get(job.id) != job]
        changed += [_gone(known[number]) for number in known.keys() - found.keys()]
        known = found
        if changed or is_first:
            is_first = False
            yield f"data: {schemas.ChangedJobs(jobs=changed).to_json()}\n\n".encode()
            sleep(1 / MESSAGES_PER_S)
        else:
            yield HEARTBEAT
        version = jobs.wait(version, heartbeat_s)


def describe(job: JobStatus) -> schemas.Job:
    """A job as JSON.

    Args:
        job: What the queue knows of it.
    """
    fields: dict[str, Any] = {name: getattr(job, name) for name in schemas.Job.model_fields if name != "piece_bytes"}
    if job.result is not None:
        faces = [{**face, "thumbnail": _thumbnail(job, face["id"])} for face in job.result["faces"]]
        fields["result"] = {**job.result, "faces": faces}
    return schemas.Job.model_validate(fields)


def _thumbnail(job: JobStatus, face: int) -> str | None:
    return f"/api/jobs/{job.id}/thumbnails/{face}" if face in job.pictures else None


def _described(jobs: Jobs, found: list[JobStatus]) -> schemas.Jobs:
    return schemas.Jobs(jobs=[describe(job) for job in found], limits=schemas.JobLimits.model_validate(_limits(jobs)))


def _limits(jobs: Jobs) -> dict[str, int]:
    return {name: getattr(jobs.limits, name) for name in schemas.JobLimits.model_fields}


def _gone(job: schemas.Job) -> schemas.Job:
    return job.model_copy(update={"state": "canceled", "result": None})


def _jobs(options: AppOptions) -> Jobs:
    if options.jobs is None:
        abort(404, "This program analyzes no files.")
    return options.jobs


def _group(*, required: bool = False) -> str | None:
    """The key of the group in the query; raises 400 if it is not valid."""
    group = request.args.get("group")
    if (group is None and required) or (group is not None and not re.fullmatch(KEY, group)):
        abort(400, "Expected a key of 22 to 64 letters, digits, - or _ as group.")
    return group


def _ids() -> list[str]:
    numbers = request.args.getlist("id")
    if len(numbers) > MAX_IDS:
        abort(400, f"Expected at most {MAX_IDS} ids, found {len(numbers)}; a group holds more.")
    return numbers


def _length(most: int) -> int:
    """Length of the body; raises 411 without one and 413 above the limit."""
    length = request.content_length
    if length is None:
        abort(411, "Expected a Content-Length, found none.")
    if length > most:
        raise RequestEntityTooLarge(f"Expected at most {most} bytes, found {length}.")
    if length == 0:
        abort(400, "Expected bytes, found none.")
    return length


def _take_file(jobs: Jobs, group: str | None) -> JobStatus:
    """Queue the file that is the body, or in a multipart form; its bytes go to the disk as they arrive."""
    if request.mimetype != "multipart/form-data":
        if not re.match(r"(image|video)/|application/octet-stream$", request.mimetype):
            abort(415, f"Expected a video, an image or JSON, found {request.mimetype or 'no type'}.")
        length = _length(jobs.limits.small_bytes)
        return _write_whole(jobs, request.args.get("name", "file"), group, request.stream, length)
    length = _length(jobs.limits.small_bytes)
    with jobs.temporary_file() as spool:
        parser = FormDataParser(
            lambda *_, **__: spool, max_form_memory_size=MAX_FIELD_BYTES, max_form_parts=MAX_PARTS, silent=False
        )
        try:
            _, _, files = parser.parse(request.stream, request.mimetype, length, request.mimetype_params)
        except ValueError as error:
            raise BadRequest("Expected a multipart form, found a broken one.") from error
        except OSError as error:
            raise StorageError(f"the file cannot be stored: {error.strerror or error}") from error
        sent = files.getlist("file")
        if len(list(files.values())) != 1 or len(sent) != 1:
            abort(400, "Expected one file in the multipart field file.")
        size = spool.seek(0, SEEK_END)
        spool.seek(0)
        if size == 0:
            abort(400, "Expected bytes, found none.")
        return _write_whole(jobs, request.args.get("name") or sent[0].filename or "file", group, spool, size)


def _write_whole(jobs: Jobs, name: str, group: str | None, source: IO[bytes], length: int) -> JobStatus:
    job = jobs.create(name, length, group)
    try:
        return jobs.write(job.id, 0, source, length)
    except BaseException:
        with suppress(MienError):
            jobs.delete(job.id)
        raise


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _base(name: str) -> str:
    """The last part of a file's name without its suffix, for the name of a download."""
    return re.sub(r"\.\w{1,5}$", "", name.rpartition("/")[2]) or "file"


@contextmanager
def _answering_errors() -> Iterator[None]:
    """Turn errors of the queue into answers."""
    try:
        yield
    except LoadingError as error:
        raise ServiceUnavailable(sentence(error), retry_after=RETRY_AFTER_S) from error
    except StorageError as error:
        raise InsufficientStorageError(sentence(error)) from error
    except MienError as error:
        abort(STATUS.get(type(error), 503), sentence(error))
