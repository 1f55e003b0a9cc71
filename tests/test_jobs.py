"""The queue of files over HTTP: what comes out is what `analyze` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

import main
from mien.images.codecs import encode_jpeg
from mien.queue.service import FileQueue
from mien.settings import AnalysisSettings
from tests.clips import demo_pictures, files_of, write_video
from tests.patience import wait_for
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    pictures = demo_pictures(30)
    write_video(folder / "clip.mp4", pictures)
    (folder / "photo.jpg").write_bytes(encode_jpeg(pictures[0]))
    return folder


@pytest.fixture(scope="module")
def analyzed(media, tmp_path_factory) -> dict[str, bytes]:
    """What `analyze` writes."""
    out = tmp_path_factory.mktemp("analyzed") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(media)
        assert main.main(["analyze", "clip.mp4", "photo.jpg", "--out", str(out)]) == 0
    return files_of(out)


@pytest.fixture
def queue():
    queue = FileQueue(AnalysisSettings)
    yield queue
    queue.close()


@pytest.fixture
def client(queue):
    return create_app(FakeCamera(), AppOptions(jobs=queue)).test_client()


def done(client, number: str) -> dict:
    path = f"/api/jobs/{number}"
    return wait_for(lambda: (job := client.get(path).json)["state"] in ("done", "failed") and job, "the job")


@pytest.mark.parametrize(("name", "folder"), [("clip.mp4", "clip"), ("photo.jpg", "images")])
def test_the_table_of_a_job_is_the_one_that_analyze_writes(client, media, analyzed, name, folder) -> None:
    answer = client.post(f"/api/jobs?name={name}", data=(media / name).read_bytes(), content_type="image/jpeg")
    assert answer.status_code == 201
    job = done(client, answer.json["id"])
    assert (job["state"], job["reason"], job["progress"]) == ("done", None, 1)
    tables = ["faces.csv", "events.csv"] if folder == "clip" else ["faces.csv"]
    for table in tables:
        with client.get(f"/api/jobs/{job['id']}/{table}") as found:
            assert found.data == analyzed[f"{folder}/{table}"]
