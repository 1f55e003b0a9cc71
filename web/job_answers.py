"""What the routes of the queue share: keys and ids in queries, jobs as JSON and events, errors as answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import abort, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable

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
from web.openapi import Answer
from web.ports import AppOptions, Jobs
from web.state import sentence
from web.streams import HEARTBEAT, HEARTBEAT_S, RECONNECT_MS

if TYPE_CHECKING:
    from mien.queue.jobs import JobStatus

KEY = "[A-Za-z0-9_-]{22,64}"
MAX_IDS = 100
MESSAGES_PER_S = 4
RETRY_AFTER_S = 1

GROUP = {
    "name": "group",
    "in": "query",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": "A random key you choose for your jobs, 22 to 64 characters: whoever knows it may use them.",
}
WHOLE_GROUP = {**GROUP, "required": True}
IDS = {
    "name": "id",
    "in": "query",
    "schema": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_IDS},
    "description": f"Id of a job; may be repeated, at most {MAX_IDS} times.",
}

NOT_FOUND = Answer(404, "There is no such job, or none any more.")
NO_KEY = Answer(400, "The group is missing or no valid key.")
BAD_CHOICE = Answer(400, "The group is no valid key, or there are too many ids.")

STATUS = {JobMissingError: 404, JobStateError: 409, JobLimitError: 413, JobTypeError: 415}


class InsufficientStorageError(HTTPException):
    """507, which Werkzeug does not have."""

    code = 507


def offered(options: AppOptions) -> Jobs:
    """The queue; raises 404 if the program has none."""
    if options.jobs is None:
        abort(404, "This program analyzes no files.")
    return options.jobs


def group_key() -> str | None:
    """The key of the group in the query, None without one; raises 400 if it is not valid."""
    group = request.args.get("group")
    if group is not None and not re.fullmatch(KEY, group):
        abort(400, "Expected a key of 22 to 64 letters, digits, - or _ as group.")
    return group


def required_group() -> str:
    """The key of the group in the query; raises 400 if there is no valid one."""
    group = group_key()
    if group is None:
        abort(400, "Expected a key of 22 to 64 letters, digits, - or _ as group, found none.")
    return group


def ids() -> list[str]:
    """The ids in the query; raises 400 if there are too many."""
    numbers = request.args.getlist("id")
    if len(numbers) > MAX_IDS:
        abort(400, f"Expected at most {MAX_IDS} ids, found {len(numbers)}; a group may have more jobs.")
    return numbers


def describe(job: JobStatus, piece_bytes: int | None = None, root: str | None = None) -> schemas.Job:
    """A job as JSON.

    Args:
        job: What the queue knows of it.
        piece_bytes: Largest piece, where an upload begins.
        root: The path below which the program answers; None for that of the present request.
    """
    base = request.script_root if root is None else root
    fields: dict[str, Any] = {name: getattr(job, name) for name in schemas.Job.model_fields if name != "piece_bytes"}
    if job.result is not None:
        faces = [{**face, "thumbnail": _thumbnail(job, face["id"], base)} for face in job.result["faces"]]
        fields["result"] = {**job.result, "faces": faces}
    if piece_bytes is not None:
        fields["piece_bytes"] = piece_bytes
    return schemas.Job.model_validate(fields)


def describe_all(jobs: Jobs, found: list[JobStatus]) -> schemas.Jobs:
    """Jobs and limits as JSON.

    Args:
        jobs: The queue.
        found: What it knows of them.
    """
    return schemas.Jobs(
        jobs=[describe(job) for job in found], limits=schemas.JobLimits.model_validate(_limits_of(jobs))
    )


def _limits_of(jobs: Jobs) -> dict[str, int]:
    return {name: getattr(jobs.limits, name) for name in schemas.JobLimits.model_fields}


def _thumbnail(job: JobStatus, face: int, base: str) -> str | None:
    return f"{base}/api/jobs/{job.id}/thumbnails/{face}" if face in job.pictures else None


def messages(
    jobs: Jobs,
    find: Callable[[], list[JobStatus]],
    root: str = "",
    heartbeat_s: float = HEARTBEAT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """Yield jobs as events whenever they change, all of them first; those that are forgotten as canceled.

    Args:
        jobs: The queue.
        find: Returns those that are watched.
        root: The path below which the program answers.
        heartbeat_s: After this long without a change a comment is sent.
        sleep: Waits for this many seconds.
    """
    yield b"retry: %d\n\n" % RECONNECT_MS
    known: dict[str, JobStatus] | None = None
    version = 0
    while version >= 0:
        before = known or {}
        found = {job.id: job for job in find()}
        changed = [describe(job, root=root) for job in found.values() if _version(before.get(job.id)) != job.version]
        gone = [describe(job, root=root) for number, job in before.items() if number not in found]
        changed += [job.model_copy(update={"state": "canceled", "result": None}) for job in gone]
        if changed or known is None:
            yield f"data: {schemas.ChangedJobs(jobs=changed).to_json()}\n\n".encode()
            sleep(1 / MESSAGES_PER_S)
        else:
            yield HEARTBEAT
        known = found
        version = jobs.wait(version, heartbeat_s)


def _version(job: JobStatus | None) -> int | None:
    return None if job is None else job.version


def attachment(name: str) -> dict[str, str]:
    """Headers of a download.

    Args:
        name: Of the file, any characters.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


@contextmanager
def answering_errors() -> Iterator[None]:
    """A context in which errors of the queue become answers."""
    try:
        yield
    except LoadingError as error:
        raise ServiceUnavailable(sentence(error), retry_after=RETRY_AFTER_S) from error
    except StorageError as error:
        raise InsufficientStorageError(sentence(error)) from error
    except MienError as error:
        abort(STATUS.get(type(error), 503), sentence(error))
