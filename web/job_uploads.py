"""Routes that take files for the queue, whole or in pieces; their bytes go to the disk as they arrive."""

from __future__ import annotations

import re
from contextlib import suppress
from os import SEEK_END
from typing import IO, TYPE_CHECKING

from flask import Blueprint, abort, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from mien.errors import JobStateError, MienError, StorageError
from web import schemas
from web.job_answers import GROUP, NOT_FOUND, RETRY_AFTER_S, answering_errors, describe, group_key, offered
from web.limits import Slots
from web.openapi import Answer, Operation, read_json
from web.ports import AppOptions, Jobs
from web.state import sentence

if TYPE_CHECKING:
    from mien.queue.jobs import JobStatus

MAX_PARTS = 20
MAX_FIELD_BYTES = 100_000
"""Of a multipart form; fields that are no files are ignored."""

NAME = {
    "name": "name",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Name of the file that is the body.",
}
OFFSET = {
    "name": "offset",
    "in": "query",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
    "description": "Where the piece begins: the `received` of the job.",
}
FILE = {"type": "string", "format": "binary"}
FORM = {"type": "object", "properties": {"file": FILE}, "required": ["file"]}
NEW_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": schemas.NewJob.model_json_schema()},
        **{kind: {"schema": FILE} for kind in ("video/*", "image/*", "application/octet-stream")},
        "multipart/form-data": {"schema": FORM},
    },
}
PIECE_BODY = {"required": True, "content": {"application/octet-stream": {"schema": FILE}}}

REFUSALS = (
    Answer(411, "The header Content-Length is missing."),
    Answer(413, "A limit of the queue is exceeded: bytes of a file or piece, of all files, or the number of jobs."),
    Answer(415, "The file is neither a video nor an image, by its first bytes."),
    Answer(429, "Too many concurrent uploads.", retry=True),
    Answer(507, "There is not enough space for temporary files."),
)


def add_routes(routes: Blueprint, options: AppOptions) -> None:
    """Add the routes of uploads.

    Args:
        routes: The blueprint of the queue.
        options: Its `jobs` take the files.
    """
    uploads = Slots(options.max_uploads)
    full = f"{uploads.limit} files are being uploaded already."

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
        with answering_errors():
            jobs, group = offered(options), group_key()
            if request.is_json:
                body = read_json(schemas.NewJob)
                return describe(jobs.create(body.name, body.bytes, group), jobs.limits.piece_bytes), 201
            with uploads.hold(full, RETRY_AFTER_S):
                return describe(_take_file(jobs, group)), 201

    @routes.put("/api/jobs/<job>/content")
    @Operation(
        "Send a piece of a file. After a lost connection, it may be sent again.",
        Answer(200, "The job; it is queued once all bytes have arrived.", schemas.Job),
        Answer(400, "The offset is not a number, or the piece is empty or cut off."),
        NOT_FOUND,
        Answer(409, "Another offset is expected, or the job is not uploading.", schemas.WrongOffset),
        *REFUSALS,
        parameters=(OFFSET,),
        other_body=PIECE_BODY,
    )
    def content(job: str) -> schemas.Job | tuple[schemas.WrongOffset, int]:
        with answering_errors():
            jobs = offered(options)
            offset = request.args.get("offset", "")
            if not re.fullmatch(r"[0-9]{1,15}", offset):
                abort(400, f"Expected a number of bytes as offset, found {offset!r}.")
            with uploads.hold(full, RETRY_AFTER_S):
                length = _length(jobs.limits.piece_bytes)
                try:
                    return describe(jobs.write(job, int(offset), request.stream, length))
                except JobStateError as error:
                    return schemas.WrongOffset(error=sentence(error), received=error.received), 409


def _length(most: int) -> int:
    """Length of the body; raises 400 if it is 0, 411 if it is unknown, and 413 above the limit."""
    length = request.content_length or 0
    if request.environ.get("wsgi.input_terminated"):
        abort(411, "Expected the header Content-Length, found a body in chunks.")
    if length > most:
        raise RequestEntityTooLarge(f"Expected at most {most} bytes, found {length}.")
    if length == 0:
        abort(400, "Expected bytes, found none.")
    return length


def _take_file(jobs: Jobs, group: str | None) -> JobStatus:
    """Queue the file that is the body, or in a multipart form."""
    length = _length(jobs.limits.small_bytes)
    if request.mimetype == "multipart/form-data":
        with jobs.temporary_file() as spool:
            name, size = _read_form(spool, length)
            return _write_whole(jobs, request.args.get("name") or name, group, spool, size)
    if not re.match(r"(image|video)/|application/octet-stream$", request.mimetype):
        abort(415, f"Expected a video, an image or JSON, found {request.mimetype or 'no type'}.")
    return _write_whole(jobs, request.args.get("name", "file"), group, request.stream, length)


def _read_form(spool: IO[bytes], length: int) -> tuple[str, int]:
    """Write the file of a multipart form to `spool`; its name and its size."""
    parser = FormDataParser(
        lambda *_, **__: spool, max_form_memory_size=MAX_FIELD_BYTES, max_form_parts=MAX_PARTS, silent=False
    )
    try:
        _, _, files = parser.parse(request.stream, request.mimetype, length, request.mimetype_params)
    except ValueError as error:
        raise BadRequest("Expected a multipart form, found a broken one.") from error
    except OSError as error:
        raise StorageError(f"the file cannot be stored: {error.strerror or error}") from error
    sent = [(field, file) for field, several in files.lists() for file in several]
    if len(sent) != 1 or sent[0][0] != "file":
        abort(400, "Expected one file in the multipart field file.")
    size = spool.seek(0, SEEK_END)
    spool.seek(0)
    if size == 0:
        abort(400, "Expected bytes, found none.")
    return sent[0][1].filename or "file", size


def _write_whole(jobs: Jobs, name: str, group: str | None, source: IO[bytes], length: int) -> JobStatus:
    job = jobs.create(name, length, group)
    try:
        return jobs.write(job.id, 0, source, length)
    except BaseException:
        with suppress(MienError):
            jobs.delete(job.id)
        raise
