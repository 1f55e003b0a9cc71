"""The queue of files with its real process: results are those of `analyze`, and jobs pause, end and fail alone."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from mien.batch.times import LONGEST_S
from mien.images.codecs import encode_jpeg
from mien.queue import service
from mien.queue.service import FileQueue
from mien.queue.storage import Storage
from mien.settings import AnalysisSettings
from mien.sources.demo import DemoSource
from tests.clips import files_of, write_video
from tests.media import time_of
from tests.patience import scaled, wait_for
from tests.test_job_uploads import check
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app

GROUP = "g" * 22
LONG_FRAMES = 200
JOB_S = 120
"""So long one takes at most, on a fast computer: its process loads much before it begins, and all at low priority."""
GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    demo = DemoSource(count=1)
    pictures = [demo.render(time_of("happy") + number / 25)[0] for number in range(30)]
    write_video(folder / "clip.mp4", pictures)
    small = [cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA) for picture in pictures]
    write_video(folder / "long.mp4", islice(cycle(small), LONG_FRAMES))
    (folder / "broken.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:3000])
    (folder / "photo.jpg").write_bytes(encode_jpeg(pictures[0]))
    (folder / "cut.jpg").write_bytes(encode_jpeg(pictures[0])[:700])
    (folder / "dot.gif").write_bytes(GIF)
    return folder


@pytest.fixture(scope="module")
def analyzed(media, tmp_path_factory) -> dict[str, bytes]:
    """What `analyze` writes."""
    out = tmp_path_factory.mktemp("analyzed") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(media)
        assert main.main(["analyze", "clip.mp4", "long.mp4", "photo.jpg", "--out", str(out), "--jobs", "1"]) == 0
    return files_of(out)


class Privacy:
    on = locked = False
    lifted_at = None

    def switch(self, on: bool) -> None:
        self.on = on


@pytest.fixture
def privacy() -> Privacy:
    return Privacy()


@pytest.fixture
def queue(privacy, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "REPORT_S", scaled(service.REPORT_S))
    queue = FileQueue(AnalysisSettings, lambda: privacy.on, storage=Storage(tmp_path))
    yield queue
    queue.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def client(queue, privacy):
    return create_app(FakeCamera(), AppOptions(jobs=queue, privacy=privacy)).test_client()


def send(client, path: Path, group: str = GROUP) -> str:
    body, kind = path.read_bytes(), "application/octet-stream"
    answer = client.post(f"/api/jobs?group={group}&name={path.name}", data=body, content_type=kind)
    return check(answer, 201)["id"]


def until(client, number: str, *states: str) -> dict:
    def look():
        job = check(client.get(f"/api/jobs/{number}"), 200, "/api/jobs/{job}", "get")
        return job["state"] in states and job

    return wait_for(look, f"a job that is {states}", JOB_S)


def ended(client, number: str) -> dict:
    return until(client, number, "done", "failed")


def under_way(client, number: str) -> dict:
    return wait_for(lambda: (job := client.get(f"/api/jobs/{number}").json)["progress"] and job, "some progress", JOB_S)


def data(client, path: str) -> bytes:
    with client.get(path) as answer:
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.data


# ---- results


@pytest.mark.parametrize(("name", "folder"), [("clip.mp4", "clip"), ("photo.jpg", "images")])
def test_the_tables_of_a_job_are_those_that_analyze_writes(client, media, analyzed, name, folder) -> None:
    number = send(client, media / name)
    job = ended(client, number)
    assert (job["state"], job["reason"], job["progress"]) == ("done", None, 1)
    assert data(client, f"/api/jobs/{number}/faces.csv") == analyzed[f"{folder}/faces.csv"]
    if folder == "clip":
        assert data(client, f"/api/jobs/{number}/events.csv") == analyzed["clip/events.csv"]
    else:
        assert client.get(f"/api/jobs/{number}/events.csv").status_code == 404


def test_the_result_of_a_video_sums_up_its_tables(client, media, analyzed) -> None:
    job = ended(client, send(client, media / "clip.mp4"))
    result = job["result"]
    about = json.loads(analyzed["clip/mien.json"])
    assert (result["width"], result["height"], result["duration_s"]) == (640, 480, 1.2)
    assert (result["frames"], result["frames_with_face"]) == (30, about["frames"]["with_face"])
    (face,) = result["faces"]
    rows = [line.split(",") for line in analyzed["clip/summary.csv"].decode().splitlines()]
    summary = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert sum(face["seconds"].values()) == pytest.approx(float(summary[0]["face_seconds"]), abs=0.01)
    share = face["seconds"]["unsure"] / sum(face["seconds"].values())
    assert share == pytest.approx(float(summary[0]["unsure_share"]), abs=0.01)
    assert face["unsure"] == (share > 0.5)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.01)
    picture = cv2.imdecode(np.frombuffer(data(client, face["thumbnail"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (112, 112, 3)
    assert client.get(f"/api/jobs/{job['id']}/thumbnails/7").status_code == 404


def test_a_gap_of_time_stamps_is_no_time_of_a_person(client, tmp_path_factory) -> None:
    demo = DemoSource(count=1)
    pictures = [demo.render(time_of("happy") + number / 25)[0] for number in range(8)]
    times_s = [number / 25 + (3600 if number >= 5 else 0) for number in range(8)]
    clip = write_video(tmp_path_factory.mktemp("gap") / "gap.mkv", pictures, times_s)
    job = ended(client, send(client, clip))
    assert "time stamps jump" in job["reason"]
    (face,) = job["result"]["faces"]
    assert 0 < sum(face["seconds"].values()) < LONGEST_S + 1


def test_files_that_cannot_be_read_fail_alone_and_the_common_table_has_the_others(client, media, analyzed) -> None:
    names = ["broken.mp4", "photo.jpg", "cut.jpg", "clip.mp4", "dot.gif"]
    numbers = [send(client, media / name) for name in names]
    jobs = [ended(client, number) for number in numbers]
    assert [job["state"] for job in jobs] == ["failed", "done", "failed", "done", "done"]
    assert jobs[0]["reason"].startswith("expected a video")
    assert "broken or cut off" in jobs[2]["reason"]
    assert not [job["reason"] for job in jobs if job["reason"] and "content" in job["reason"]], "names, not paths"
    assert (jobs[4]["kind"], jobs[4]["result"]["faces"]) == ("image", [])
    with client.get(f"/api/jobs/{numbers[0]}/faces.csv") as answer:
        assert answer.status_code == 404
        assert answer.json["error"] == "Expected a job that is done, found one that is failed."
    lines = data(client, f"/api/jobs/faces.csv?group={GROUP}").splitlines()
    photo, clip = (analyzed[name].splitlines() for name in ("images/faces.csv", "clip/faces.csv"))
    assert lines[0] == clip[0]
    assert lines[1 : len(photo)] == photo[1:]
    assert lines[len(photo)].startswith(b"cut.jpg,0,0.000000,0,")
    assert lines[len(photo) + 1 : -1] == clip[1:]
    assert lines[-1].startswith(b"dot.gif,0,0.000000,0,")
    assert check(client.get("/api/jobs/faces.csv?group=" + "x" * 22), 404, "/api/jobs/faces.csv", "get")


def test_a_report_shows_the_video_without_a_word_from_elsewhere(client, media) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    video, image = send(client, media / "clip.mp4"), send(client, media / "photo.jpg")
    ended(client, video)
    assert ended(client, image)["state"] == "done"
    with client.get(f"/api/jobs/{video}/report.html") as answer:
        assert answer.status_code == 200
        assert "clip.mp4" in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    check(client.get(f"/api/jobs/{image}/report.html"), 404, "/api/jobs/{job}/report.html", "get")


def test_without_matplotlib_the_report_names_the_package(client, media, monkeypatch, tmp_path_factory) -> None:
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "matplotlib.py").write_text("raise ModuleNotFoundError('hidden', name='matplotlib')")
    monkeypatch.syspath_prepend(hidden)  # the process inherits the path
    number = send(client, media / "clip.mp4")
    assert ended(client, number)["state"] == "done"
    answer = client.get(f"/api/jobs/{number}/report.html")
    assert "matplotlib" in check(answer, 503, "/api/jobs/{job}/report.html", "get")["error"]


# ---- privacy mode


def test_in_privacy_mode_no_pictures_are_stored(client, media, privacy, tmp_path) -> None:
    privacy.on = True
    numbers = [send(client, media / "clip.mp4"), send(client, media / "photo.jpg")]
    for number in numbers:
        (face,) = ended(client, number)["result"]["faces"]
        assert face["thumbnail"] is None
        assert client.get(f"/api/jobs/{number}/thumbnails/1").status_code == 404
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".jpg" or "moments" in path.name] == []
    privacy.on = False
    assert client.get(f"/api/jobs/{numbers[0]}").json["result"]["faces"][0]["thumbnail"] is None


def test_switching_privacy_mode_on_removes_pictures_for_good(client, media, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    number, under = send(client, media / "clip.mp4"), send(client, media / "long.mp4")
    (face,) = ended(client, number)["result"]["faces"]
    shown = data(client, f"/api/jobs/{number}/report.html")
    assert b"data:image/jpeg" in shown
    under_way(client, under)
    assert client.post("/api/privacy", json={"on": True}).status_code == 200
    assert showing_faces(tmp_path, number) == []
    assert client.get(face["thumbnail"]).status_code == 404
    hidden = data(client, f"/api/jobs/{number}/report.html")
    assert b"data:image/jpeg" not in hidden
    client.post("/api/privacy", json={"on": False})
    assert client.get(face["thumbnail"]).status_code == 404
    assert data(client, f"/api/jobs/{number}/report.html") == hidden
    assert ended(client, under)["result"]["faces"][0]["thumbnail"] is None
    assert showing_faces(tmp_path, under) == []


def showing_faces(folder: Path, number: str) -> list[Path]:
    """The files of a job that show faces."""
    return [*folder.glob(f"*/{number}/*.jpg"), *folder.glob(f"*/{number}/*faces.html")]


# ---- while a job runs


def test_a_job_that_is_paused_while_others_run_gives_the_same_table(client, media, analyzed) -> None:
    long, short = send(client, media / "long.mp4"), send(client, media / "clip.mp4")
    under_way(client, long)
    check(client.post(f"/api/jobs/{long}/pause"), 200, "/api/jobs/{job}/pause")
    check(client.post(f"/api/jobs/{long}/pause"), 409, "/api/jobs/{job}/pause")
    assert ended(client, short)["state"] == "done"
    job = client.get(f"/api/jobs/{long}").json
    assert job["state"] == "paused"
    assert 0 < job["progress"] < 1
    assert data(client, f"/api/jobs/{short}/faces.csv") == analyzed["clip/faces.csv"]
    check(client.post(f"/api/jobs/{long}/resume"), 200, "/api/jobs/{job}/resume")
    assert ended(client, long)["frames"] == LONG_FRAMES
    assert data(client, f"/api/jobs/{long}/faces.csv") == analyzed["long/faces.csv"]


def test_a_job_that_is_canceled_midway_leaves_nothing_and_the_next_one_runs(client, media, queue, tmp_path) -> None:
    long, short = send(client, media / "long.mp4"), send(client, media / "clip.mp4")
    under_way(client, long)
    pid = queue.pid
    check(client.delete(f"/api/jobs/{long}"), 204, "/api/jobs/{job}", "delete")
    check(client.get(f"/api/jobs/{long}"), 404, "/api/jobs/{job}", "get")
    assert ended(client, short)["state"] == "done"
    assert queue.pid == pid, "at a frame boundary, in the same process"
    assert list(tmp_path.glob(f"*/{long}")) == []
    assert not list(tmp_path.glob(f"*/{short}/content")), "an analyzed file is not kept"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_fails_its_job_only(client, media, queue, analyzed) -> None:
    long, short = send(client, media / "long.mp4"), send(client, media / "clip.mp4")
    under_way(client, long)
    pid = queue.pid
    os.kill(pid, signal.SIGKILL)
    assert ended(client, long)["reason"] == (
        "the process that analyzed it ended unexpectedly: SIGKILL, perhaps for lack of memory"
    )
    assert ended(client, short)["state"] == "done"
    assert queue.pid != pid
    assert data(client, f"/api/jobs/{short}/faces.csv") == analyzed["clip/faces.csv"]


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="this system has no priorities of this kind")
def test_the_process_has_a_low_priority(client, media, queue) -> None:
    under_way(client, send(client, media / "long.mp4"))
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, queue.pid) == min(19, ours + 10)


# ---- events


def events_of(answer):
    """The lists of jobs in a stream."""
    for block in answer.response:
        if b"data: " in block:
            yield json.loads(block.decode().partition("data: ")[2])["jobs"]


def test_events_follow_a_group_from_upload_to_result(client, media, queue) -> None:
    first = send(client, media / "clip.mp4")
    ended(client, first)
    send(client, media / "photo.jpg", group="h" * 22)
    with client.get(f"/api/jobs/events?group={GROUP}") as answer:
        assert answer.mimetype == "text/event-stream"
        stream = events_of(answer)
        assert [(job["id"], job["state"]) for job in next(stream)] == [(first, "done")]
        second = send(client, media / "clip.mp4")
        seen: list[dict] = []
        for jobs in stream:
            seen += jobs
            if seen[-1]["state"] == "done":
                break
        assert {job["id"] for job in seen} == {second}
        assert seen[-1]["result"]["frames"] == 30
        assert [job["progress"] for job in seen] == sorted(job["progress"] for job in seen)
        client.delete(f"/api/jobs/{first}")
        assert [(job["id"], job["state"]) for job in next(stream)] == [(first, "canceled")]
    with client.get(f"/api/jobs/{second}/events") as answer:
        assert [job["id"] for job in next(events_of(answer))] == [second]
    with client.get(f"/api/jobs/events?id={second}&id={first}") as answer:
        assert [job["id"] for job in next(events_of(answer))] == [second]
    check(client.get(f"/api/jobs/{first}/events"), 404, "/api/jobs/{job}/events", "get")


def test_events_end_with_the_program(client, queue) -> None:
    with client.get(f"/api/jobs/events?group={GROUP}") as answer:
        stream = iter(answer.response)
        assert next(stream).startswith(b"retry:")
        assert next(stream) == b'data: {"jobs":[]}\n\n'
        queue.close()
        assert list(stream) == []


def test_a_multipart_image_is_analyzed(client, media) -> None:
    form = {"file": (io.BytesIO((media / "photo.jpg").read_bytes()), "may/photo.jpg")}
    job = ended(client, check(client.post("/api/jobs", data=form), 201)["id"])
    assert (job["name"], job["kind"], job["result"]["duration_s"]) == ("may/photo.jpg", "image", None)
    (face,) = job["result"]["faces"]
    assert face["seconds"] is None
    assert face["probabilities"][face["label"]] == face["confidence"]
