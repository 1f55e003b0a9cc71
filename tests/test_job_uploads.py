"""Files for the queue arrive over HTTP: in one piece or several, within limits, and nothing else."""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import mien.queue.scheduler
import mien.queue.service
from mien.queue.jobs import clean_name
from mien.queue.service import FileQueue
from mien.queue.storage import Storage
from mien.queue.uploads import Limits
from mien.settings import AnalysisSettings
from tests.fakes import FakeChild
from tests.patience import PATIENCE_S
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app
from web.openapi import document

GROUP = "g" * 22
VIDEO = b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(range(256)) * 16
LIMITS = Limits(file_bytes=6000, total_bytes=10_000, jobs=3, piece_bytes=2000, small_bytes=5000, free_bytes=1000)
BINARY = "application/octet-stream"

DOCUMENT = document(create_app(FakeCamera()))


@pytest.fixture
def free() -> list[int]:
    """Free bytes of the disk; a test changes them."""
    return [10**9]


@pytest.fixture
def queue(monkeypatch, tmp_path, free):
    monkeypatch.setattr(mien.queue.scheduler, "Child", FakeChild)
    monkeypatch.setattr(FakeChild, "started", [])
    storage = Storage(tmp_path, keep_bytes=LIMITS.free_bytes, free=lambda _: free[0])
    queue = FileQueue(AnalysisSettings, limits=LIMITS, storage=storage)
    yield queue
    queue.close()


@pytest.fixture
def client(queue):
    return create_app(FakeCamera(), AppOptions(jobs=queue)).test_client()


def check(answer, code: int, path: str = "/api/jobs", method: str = "post"):
    """Check status and body against the description of the route, and return the JSON."""
    assert answer.status_code == code, answer.text
    described = DOCUMENT["paths"][path][method]["responses"][str(code)]
    if not described["content"]:
        assert answer.data == b""
        return None
    schema = described["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer.json)
    return answer.json


def begin(client, size: int = len(VIDEO), name: str = "may/anna.mp4", query: str = "") -> dict:
    return check(client.post(f"/api/jobs{query}", json={"name": name, "bytes": size}), 201)


def put(client, number: str, offset: object, data: bytes):
    return client.put(f"/api/jobs/{number}/content?offset={offset}", data=data, content_type=BINARY)


def check_piece(answer, code: int):
    return check(answer, code, "/api/jobs/{job}/content", "put")


def stored(tmp_path: Path) -> list[str]:
    """Everything below the folder of the queue but its lock."""
    return sorted(path.name for path in tmp_path.glob("*/**/*") if path.name != "lock")


# ---- in pieces


def test_a_file_in_pieces_is_queued_once_it_is_complete(client, queue, tmp_path) -> None:
    job = begin(client)
    assert (job["state"], job["kind"], job["name"], job["received"]) == ("uploading", "video", "may/anna.mp4", 0)
    assert job["piece_bytes"] == LIMITS.piece_bytes
    for offset in range(0, len(VIDEO), 2000):
        job = check_piece(put(client, job["id"], offset, VIDEO[offset : offset + 2000]), 200)
        assert job["received"] == min(len(VIDEO), offset + 2000)
    assert job["state"] == "analyzing"
    (order,) = [message[1] for message in FakeChild.started[0].sent]
    assert order.name == "may/anna.mp4"
    assert order.files.content.read_bytes() == VIDEO
    assert order.files.content.relative_to(tmp_path).parts[1:] == (job["id"], "content")


def test_a_piece_with_another_offset_is_refused_with_the_expected_one(client) -> None:
    number = begin(client)["id"]
    check_piece(put(client, number, 0, VIDEO[:2000]), 200)
    for offset in (1999, 1000, 2001, 3000):
        answer = check_piece(put(client, number, offset, VIDEO[:1500]), 409)
        assert answer["received"] == 2000
        assert "from byte 2000" in answer["error"]
    check_piece(put(client, number, 2000, VIDEO[2000:4000]), 200)


@pytest.mark.parametrize("offset", [0, 1000, 2000])
def test_a_piece_whose_answer_was_lost_may_be_repeated(client, offset: int) -> None:
    number = begin(client)["id"]
    check_piece(put(client, number, 0, VIDEO[:2000]), 200)
    check_piece(put(client, number, 2000, VIDEO[2000:4000]), 200)
    assert check_piece(put(client, number, offset, bytes(1000)), 200)["received"] == 4000
    check_piece(put(client, number, 4000, VIDEO[4000:]), 200)
    assert check_piece(put(client, number, 4000, VIDEO[4000:]), 200)["state"] == "analyzing"
    assert FakeChild.started[0].sent[0][1].files.content.read_bytes() == VIDEO


def test_of_a_piece_that_breaks_off_nothing_counts(client, queue) -> None:
    number = begin(client)["id"]
    check_piece(put(client, number, 0, VIDEO[:2000]), 200)
    environ = {"CONTENT_LENGTH": "2000", "wsgi.input": io.BytesIO(b"x" * 700)}
    answer = client.put(f"/api/jobs/{number}/content?offset=2000", environ_overrides=environ, content_type=BINARY)
    check_piece(answer, 400)
    assert queue.get(number).received == 2000
    for offset in range(2000, len(VIDEO), 2000):
        check_piece(put(client, number, offset, VIDEO[offset : offset + 2000]), 200)
    assert FakeChild.started[0].sent[0][1].files.content.read_bytes() == VIDEO


class Slow:
    """A stream whose second half comes once a test says so."""

    def __init__(self, data: bytes) -> None:
        self._halves = [data[: len(data) // 2], data[len(data) // 2 :]]
        self.reached, self.go_on = threading.Event(), threading.Event()

    def read(self, count: int = -1) -> bytes:
        if len(self._halves) == 1:
            self.reached.set()
            assert self.go_on.wait(PATIENCE_S)
        return self._halves.pop(0)


def test_a_second_piece_at_the_same_time_is_refused_and_a_deleted_job_leaves_nothing(client, queue, tmp_path) -> None:
    number = begin(client)["id"]
    source = Slow(VIDEO[:2000])
    failed: list[Exception] = []

    def write() -> None:
        try:
            queue.write(number, 0, source, 2000)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert source.reached.wait(PATIENCE_S)
    assert "one piece at a time" in check_piece(put(client, number, 0, VIDEO[:2000]), 409)["error"]
    queue.delete(number)
    source.go_on.set()
    thread.join(PATIENCE_S)
    assert [str(error) for error in failed] == ["expected a job, found one that was canceled"]
    assert stored(tmp_path) == []


class Repeating(threading.Condition):
    """A lock of the queue after whose release a test does something, in the thread that has released it."""

    released: Callable[[], None] = staticmethod(lambda: None)

    def __exit__(self, *reason: object) -> None:
        super().__exit__(*reason)
        self.released()


def test_a_piece_that_is_repeated_before_its_answer_counts_once(queue, monkeypatch) -> None:
    monkeypatch.setattr(mien.queue.service, "TICK_S", 1e6)
    queue._board.lock = lock = Repeating(threading.RLock())
    number, piece = queue.create("anna.mp4", len(VIDEO)).id, VIDEO[:2000]
    content = queue._board.jobs[number].files.content

    def repeat() -> None:
        if content.is_file() and content.stat().st_size == len(piece):
            del lock.released
            queue.write(number, 0, io.BytesIO(piece), len(piece))

    lock.released = repeat
    queue.write(number, 0, io.BytesIO(piece), len(piece))
    assert "released" not in vars(lock)
    assert queue.get(number).received == len(piece)


@pytest.mark.parametrize(
    ("offset", "data", "code", "says"),
    [
        ("", b"x", 400, "Expected a number of bytes as offset"),
        ("-1", b"x", 400, "Expected a number of bytes as offset"),
        ("1e3", b"x", 400, "Expected a number of bytes as offset"),
        (0, b"", 400, "Expected bytes, found none."),
        (0, bytes(2001), 413, "Expected at most 2000 bytes, found 2001."),
    ],
)
def test_a_piece_that_makes_no_sense_is_refused(client, offset, data, code, says) -> None:
    assert says in check_piece(put(client, begin(client)["id"], offset, data), code)["error"]


def test_more_bytes_than_announced_are_refused(client) -> None:
    number = begin(client, size=100)["id"]
    assert "at most 100 more bytes, found 101" in check_piece(put(client, number, 0, bytes(101)), 413)["error"]


def test_a_piece_of_no_job_is_refused(client) -> None:
    check_piece(put(client, "A" * 22, 0, b"x"), 404)


# ---- at once


@pytest.mark.parametrize("kind", ["video/mp4", "image/png", BINARY])
def test_a_body_is_a_file_whatever_its_type_claims(client, kind: str) -> None:
    job = check(client.post("/api/jobs?name=a.mp4", data=VIDEO, content_type=kind), 201)
    assert (job["name"], job["kind"], job["state"], job["bytes"]) == ("a.mp4", "video", "analyzing", len(VIDEO))
    assert "piece_bytes" not in job
    assert FakeChild.started[0].sent[0][1].files.content.read_bytes() == VIDEO


def test_a_form_has_one_file(client, tmp_path) -> None:
    job = check(client.post("/api/jobs", data={"file": (io.BytesIO(VIDEO), "may/b.mp4"), "more": "text"}), 201)
    assert (job["name"], job["bytes"]) == ("may/b.mp4", len(VIDEO))
    assert FakeChild.started[0].sent[0][1].files.content.read_bytes() == VIDEO
    assert stored(tmp_path) == sorted([job["id"], "content"]), "the temporary file is gone"


@pytest.mark.parametrize(
    "form",
    [
        {"file": "text"},
        {"image": (io.BytesIO(VIDEO), "a.mp4")},
        {"file": [(io.BytesIO(VIDEO[:900]), "a.mp4"), (io.BytesIO(VIDEO[:900]), "b.mp4")]},
        {"file": (io.BytesIO(b""), "a.mp4")},
    ],
)
def test_a_form_without_exactly_one_file_is_refused(client, tmp_path, form) -> None:
    check(client.post("/api/jobs", data=form, content_type="multipart/form-data"), 400)
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x", 400),
        (b"broken", "multipart/form-data", 400),
        (VIDEO, "text/plain", 415),
        (VIDEO, None, 415),
        (b"", "video/mp4", 400),
        (b"{", "application/json", 400),
        (b'{"name": "a.mp4"}', "application/json", 400),
        (b'{"name": "a.mp4", "bytes": 0}', "application/json", 400),
        (b'{"name": "a.mp4", "bytes": "5"}', "application/json", 400),
        (b'{"name": "", "bytes": 5}', "application/json", 400),
        (b'{"name": "a.mp4", "bytes": 5, "more": 1}', "application/json", 400),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(client, tmp_path, data, kind, code) -> None:
    check(client.post("/api/jobs", data=data, content_type=kind), code)
    assert stored(tmp_path) == []


def test_a_body_of_unknown_length_is_refused(client) -> None:
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(VIDEO), "wsgi.input_terminated": True}
    check(client.post("/api/jobs", environ_overrides=environ, content_type="video/mp4"), 411)


# ---- types and names


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"MZ" + bytes(100), "film.mp4"),
        (b"<html></html>", "film.mp4"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300), "photo.jpg"),
        (b"x", "x.png"),
    ],
)
def test_what_is_neither_video_nor_image_by_its_first_bytes_is_refused(client, queue, tmp_path, data, name) -> None:
    answer = check(client.post(f"/api/jobs?name={name}&group={GROUP}", data=data, content_type="video/mp4"), 415)
    assert answer["error"].startswith("Expected a video or an image, found ")
    assert stored(tmp_path) == [], "a file sent at once leaves nothing"
    number = begin(client, len(data), name)["id"]
    assert check_piece(put(client, number, 0, data), 415) == answer
    job = queue.get(number)
    assert (job.state, job.reason) == ("failed", answer["error"][0].lower() + answer["error"][1:-1])
    assert stored(tmp_path) == [number], "of a failed job no content is kept"
    assert FakeChild.started == []


def test_the_type_is_known_after_the_first_piece(client, queue) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(3000)
    job = begin(client, len(png), "film.mp4")
    assert job["kind"] == "video", "a guess"
    assert check_piece(put(client, job["id"], 0, png[:5]), 200)["kind"] == "video"
    assert check_piece(put(client, job["id"], 5, png[5:2000]), 200)["kind"] == "image"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("may/anna.mp4", "may/anna.mp4"),
        ("C:\\videos\\anna.mp4", "C:/videos/anna.mp4"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("a\r\nSet-Cookie: x=1\0.mp4", "aSet-Cookie: x=1.mp4"),
        ("\u202egpj.exe", "gpj.exe"),
        ("\ud800.mp4", ".mp4"),
        (" \t\n", "file"),
        ("é" * 600, "é" * 500),
    ],
)
def test_names_are_text_only(given: str, shown: str) -> None:
    assert clean_name(given) == shown


def test_a_name_never_becomes_a_path_or_a_header(client, tmp_path) -> None:
    job = begin(client, name='../x"\r\nY: z\u20ac.mp4')
    for offset in range(0, len(VIDEO), 2000):
        put(client, job["id"], offset, VIDEO[offset : offset + 2000])
    (child,) = FakeChild.started
    files = child.sent[0][1].files
    files.results.mkdir()
    files.table.write_text("a,b\n")
    child.finish(job["id"])
    with client.get(f"/api/jobs/{job['id']}/faces.csv") as answer:
        header = answer.headers["Content-Disposition"]
    assert header == "attachment; filename=\"x_Y__z_-faces.csv\"; filename*=UTF-8''x%22Y%3A%20z%E2%82%AC-faces.csv"
    assert sorted(path.name for path in tmp_path.glob("*/*")) == sorted([job["id"], "lock"])


# ---- limits


def test_the_limits_are_said_with_what_was_found(client) -> None:
    assert client.get("/api/jobs").json["limits"] == {
        "file_bytes": 6000,
        "total_bytes": 10_000,
        "jobs": 3,
        "piece_bytes": 2000,
    }
    answer = check(client.post("/api/jobs", json={"name": "a.mp4", "bytes": 6001}), 413)
    assert answer["error"] == "Expected a file of at most 6 kB, found one of 6 kB."
    begin(client, 6000)
    answer = check(client.post("/api/jobs", json={"name": "a.mp4", "bytes": 5000}), 413)
    assert answer["error"] == (
        "Expected at most 10 kB in files that are not analyzed yet, found 6 kB already and 5 kB more."
    )
    begin(client, 10)
    begin(client, 10)
    answer = check(client.post("/api/jobs", json={"name": "a.mp4", "bytes": 10}), 413)
    assert answer["error"] == "Expected at most 3 jobs of all viewers, found 3 already."
    answer = check(client.post("/api/jobs", data=bytes(5001), content_type="video/mp4"), 413)
    assert answer["error"] == "Expected at most 5000 bytes, found 5001."


def test_a_file_that_is_done_or_deleted_no_longer_counts(client) -> None:
    first = check(client.post("/api/jobs", data=VIDEO, content_type="video/mp4"), 201)["id"]
    second = begin(client, 5500)["id"]
    assert client.post("/api/jobs", json={"name": "a.mp4", "bytes": 5500}).status_code == 413
    FakeChild.started[0].finish(first)
    third = begin(client, 4500)["id"]
    assert client.post("/api/jobs", json={"name": "a.mp4", "bytes": 10}).status_code == 413
    for number in (second, third):
        check(client.delete(f"/api/jobs/{number}"), 204, "/api/jobs/{job}", "delete")
    begin(client, 6000)


def test_too_many_uploads_at_once_are_refused(queue) -> None:
    client = create_app(FakeCamera(), AppOptions(jobs=queue, max_uploads=1)).test_client()
    number = begin(client)["id"]
    source = Slow(VIDEO[:2000])
    environ = {"CONTENT_LENGTH": "2000", "wsgi.input": source}
    path = f"/api/jobs/{number}/content?offset=0"
    options = {"environ_overrides": environ, "content_type": BINARY}
    thread = threading.Thread(target=client.application.test_client().put, args=(path,), kwargs=options)
    thread.start()
    assert source.reached.wait(PATIENCE_S)
    answer = put(client, begin(client, 10)["id"], 0, b"x")
    check_piece(answer, 429)
    assert answer.headers["Retry-After"] == "1"
    source.go_on.set()
    thread.join(PATIENCE_S)
    assert queue.get(number).received == 2000


# ---- the disk


def test_a_disk_that_is_nearly_full_is_left_alone(client, free, queue) -> None:
    begin(client, 3000)
    free[0] = 6000
    answer = check(client.post("/api/jobs", json={"name": "a.mp4", "bytes": 2001}), 507)
    assert answer["error"] == ("Expected 5 kB and 1 kB to spare on the disk for temporary files, found 6 kB free."), (
        "what others have announced counts"
    )
    number = begin(client, 2000)["id"]
    free[0] = 2000
    check_piece(put(client, number, 0, VIDEO[:1500]), 507)
    free[0] = 10**6
    check_piece(put(client, number, 0, VIDEO[:1500]), 200)


def test_a_disk_that_becomes_full_ends_one_piece_and_not_the_job(client, queue, monkeypatch) -> None:
    class Full:
        def __init__(self, file) -> None:
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self._file.close()

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data) -> int:
            self._file.write(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

    number = begin(client)["id"]
    check_piece(put(client, number, 0, VIDEO[:2000]), 200)
    real = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *args, **more: Full(real(self, *args, **more)))
        answer = check_piece(put(client, number, 2000, VIDEO[2000:4000]), 507)
    assert answer["error"] == "The file cannot be stored: No space left on device."
    for offset in range(2000, len(VIDEO), 2000):
        check_piece(put(client, number, offset, VIDEO[offset : offset + 2000]), 200)
    assert FakeChild.started[0].sent[0][1].files.content.read_bytes() == VIDEO


def test_without_a_folder_for_temporary_files_the_queue_alone_does_not_work(tmp_path, fake_camera) -> None:
    queue = FileQueue(AnalysisSettings, storage=Storage(tmp_path / "missing"))
    fake_camera.publish()
    client = create_app(fake_camera, AppOptions(jobs=queue)).test_client()
    for answer in (
        client.post("/api/jobs", json={"name": "a.mp4", "bytes": 10}),
        client.post("/api/jobs", data=VIDEO, content_type="video/mp4"),
        client.post("/api/jobs", data={"file": (io.BytesIO(VIDEO), "a.mp4")}),
    ):
        assert "folder for temporary files" in check(answer, 507)["error"]
    assert client.get("/api/jobs").json["jobs"] == []
    assert client.get("/api/state").status_code == 200
    queue.close()


# ---- who may


def test_a_program_without_a_queue_says_so(fake_camera) -> None:
    client = create_app(fake_camera).test_client()
    check(client.post("/api/jobs", data=VIDEO, content_type="video/mp4"), 404)
    check(client.get("/api/jobs"), 404, method="get")


@pytest.mark.parametrize("method", ["post", "put", "delete"])
@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_other_sites_cannot_send_anything(client, queue, method: str, headers) -> None:
    number = begin(client, query=f"?group={GROUP}")["id"]
    path = {"post": f"/api/jobs/pause?group={GROUP}", "put": f"/api/jobs/{number}/content?offset=0"}
    path["delete"] = f"/api/jobs/{number}"
    assert getattr(client, method)(path[method], data=b"x", headers=headers).status_code == 403
    assert (queue.get(number).state, queue.get(number).received) == ("uploading", 0)


def test_nobody_sees_the_jobs_of_others(client) -> None:
    mine = begin(client, 10, query=f"?group={GROUP}")["id"]
    other = begin(client, 10, query=f"?group={'h' * 22}")["id"]
    alone = begin(client, 10)["id"]

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/api/jobs{query}").json["jobs"]]

    assert listed("") == []
    assert listed(f"?group={GROUP}") == [mine]
    assert listed(f"?group={'x' * 22}") == []
    assert listed(f"?id={alone}&id={'x' * 22}&id={mine}") == [mine, alone]
    client.post(f"/api/jobs/pause?group={GROUP}")
    check(client.delete(f"/api/jobs?group={GROUP}"), 204, method="delete")
    assert listed(f"?id={mine}&id={other}&id={alone}") == [other, alone]


@pytest.mark.parametrize("group", ["", "short", "x" * 65, "x" * 21 + "/", "x" * 21 + "é"])
def test_a_group_needs_a_long_key(client, group: str) -> None:
    check(client.post(f"/api/jobs?group={group}", json={"name": "a.mp4", "bytes": 10}), 400)
    check(client.get(f"/api/jobs?group={group}"), 400, method="get")
    check(client.post(f"/api/jobs/pause?group={group}"), 400, "/api/jobs/pause")
    check(client.delete(f"/api/jobs?group={group}"), 400, method="delete")
    check(client.delete("/api/jobs"), 400, method="delete")


def test_ids_are_long_and_never_repeat(client) -> None:
    numbers = {begin(client, 10)["id"] for _ in range(3)}
    assert len(numbers) == 3
    assert {len(number) for number in numbers} == {22}
    check(client.get("/api/jobs?" + "&".join(["id=x"] * 101)), 400, method="get")
