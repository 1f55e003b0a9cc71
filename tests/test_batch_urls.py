"""URLs as inputs and for the results of `analyze`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import main
from mien.batch import destination, urls
from mien.batch.inputs import NO_FILE, NO_MATCH, OTHER, RESULT, find_inputs
from mien.errors import MienError
from mien.images.codecs import encode_jpeg
from mien.masking import without_login
from tests.clips import demo_pictures, files_of, write_video

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system of memory:// URLs, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """Three videos, one of them broken, and two images."""
    folder = tmp_path_factory.mktemp("media")
    pictures = demo_pictures(12)
    write_video(folder / "a.mp4", pictures)
    write_video(folder / "b.mp4", pictures[:8])
    (folder / "broken.mp4").write_bytes(b"no video")
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(pictures[number]))
    return folder


def content(memory: Any, folder: str) -> dict[str, bytes]:
    """All files of a folder by path."""
    return {path.removeprefix(f"/{folder}/"): memory.cat_file(path) for path in sorted(memory.find(f"/{folder}"))}


@pytest.mark.parametrize(
    ("word", "names", "missing"),
    [
        ("memory://day/a.mp4", ["a.mp4"], {}),
        ("memory://day", ["1/b.PNG", "a.mp4"], {}),
        ("memory://day/", ["1/b.PNG", "a.mp4"], {}),
        ("memory://day/*.mp4", ["a.mp4"], {}),
        ("memory://day/**/*.PNG", ["1/b.PNG"], {}),
        ("memory://day/?", ["1/b.PNG"], {}),
        ("memory://day/notes.txt", ["notes.txt"], {}),
        ("memory://day/no.mp4", [], {"memory://day/no.mp4": NO_FILE}),
        ("memory://day/*.mkv", [], {"memory://day/*.mkv": NO_MATCH}),
        ("https://example.org/day/a.mp4?size=1", ["a.mp4?size=1"], {}),
    ],
)
def test_a_url_names_files(memory, word, names, missing):
    for name in ("a.mp4", "1/b.PNG", "notes.txt", ".hidden.mp4", ".git/c.mp4"):
        memory.pipe_file(f"/day/{name}", b"1")
    found = find_inputs([word])
    assert [each.name.split("/day/")[1] for each in found.found] == names
    assert dict(found.missing) == missing
    assert all(each.url == each.name and each.is_image == each.name.endswith("PNG") for each in found.found)


def test_a_file_is_named_as_it_was_typed_and_found_once(memory):
    memory.pipe_file("/day/1/a.mp4", b"1")
    memory.pipe_file("/day/notes.txt", b"1")
    found = find_inputs(["memory://day/", "memory://day/1/a.mp4", "memory://day/notes.txt"])
    assert [(each.name, each.folder, each.path) for each in found.found] == [
        ("memory://day/1/a.mp4", "1-a", Path("a.mp4")),
        ("memory://day/notes.txt", "notes", Path("notes.txt")),
    ]
    assert not found.skipped
    assert find_inputs(["memory://day"]).skipped == (("memory://day/notes.txt", OTHER),)
    assert find_inputs(["memory://day"], leave_out="memory://day/1").found == ()
    named = find_inputs(["memory://day/1/a.mp4"], leave_out="memory://day/1")
    assert (named.found, named.skipped) == ((), (("memory://day/1/a.mp4", RESULT),))


def test_a_run_from_url_to_url_gives_the_files_of_a_run_on_this_computer(memory, media, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    memory.put(str(media), "/media", recursive=True)
    options = ["--jobs", "1", "--report", "--format", "csv,jsonl"]
    assert main.main(["analyze", "memory://media", "--out", "memory://results", *options]) == 1
    assert main.main(["analyze", str(media), "--out", str(tmp_path / "out"), *options]) == 1
    ours, theirs = content(memory, "results"), files_of(tmp_path / "out")
    assert list(ours) == list(theirs)
    for name in ours:
        if Path(name).suffix in (".csv", ".png"):
            assert ours[name].replace(b"memory://media", str(media).encode()) == theirs[name], name
    (failed,) = [line for line in ours["inputs.csv"].decode().splitlines() if ",failed," in line]
    assert failed.startswith("memory://media/broken.mp4,")
    assert "found memory://media/broken.mp4" in failed
    jobs = [json.loads(line) for line in ours["jobs.jsonl"].splitlines()]
    assert sorted(job["job"] for job in jobs[1:]) == [".images-00000000", "a", "b", "broken", "images"]


def test_a_run_to_a_url_continues_where_it_was_interrupted(memory, media, monkeypatch, caplog, capsys):
    words = ["analyze", str(media / "a.mp4"), str(media / "b.mp4"), str(media / "0.jpg"), "--out", "memory://results"]
    words += ["--jobs", "1"]
    upload = urls.upload

    def fail(path: Path, url: str) -> None:
        if url.endswith("b/mien.json"):
            raise MienError(f"{url} cannot be written: full")
        upload(path, url)

    with monkeypatch.context() as patch:
        patch.setattr(urls, "upload", fail)
        assert main.main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "mien: memory://results/b/mien.json cannot be written: full"
    assert "b/mien.json" not in content(memory, "results")
    assert main.main(words) == 2
    assert "expected a new or empty folder, or --resume, found results" in capsys.readouterr().err
    caplog.set_level("INFO")
    assert main.main([*words, "--resume"]) == 0
    assert "1 of 3 jobs were complete" in caplog.text
    again = content(memory, "results")
    assert {"b/mien.json", "images/faces.csv", "inputs.csv", "summary.csv"} < set(again)
    assert not [name for name in again if name.startswith(".unfinished")]
    caplog.clear()
    assert main.main([*words, "--resume"]) == 0
    assert "3 of 3 jobs were complete" in caplog.text
    assert content(memory, "results") == again


def test_a_changed_file_is_analyzed_again_and_its_old_result_is_gone(memory, media):
    words = ["analyze", "memory://media/a.mp4", "--out", "memory://results", "--jobs", "1"]
    memory.pipe_file("/media/a.mp4", (media / "a.mp4").read_bytes())
    assert main.main(words) == 0
    memory.pipe_file("/results/a/old.png", b"of another face")
    memory.pipe_file("/media/a.mp4", (media / "b.mp4").read_bytes())
    assert main.main([*words, "--resume"]) == 0
    found = content(memory, "results")
    assert json.loads(found["a/mien.json"])["frames"]["read"] == 8
    assert "a/old.png" not in found


def test_a_run_killed_in_its_first_upload_can_be_continued(memory, media, monkeypatch):
    words = ["analyze", str(media / "a.mp4"), "--out", "memory://results", "--jobs", "1"]
    upload = urls.upload
    left: dict[str, bytes] = {}

    def watch(path: Path, url: str) -> None:
        upload(path, url)
        if not left and "/a/" in url:
            left.update(content(memory, "results"))

    monkeypatch.setattr(urls, "upload", watch)
    assert main.main(words) == 0
    whole = content(memory, "results")
    memory.store.clear()
    for name, data in left.items():
        memory.pipe_file(f"/results/{name}", data)
    assert main.main([*words, "--resume"]) == 0
    assert content(memory, "results") == whole


def test_a_video_that_breaks_leaves_no_old_results_at_a_url(memory, media):
    words = ["analyze", "memory://media/a.mp4", "--out", "memory://results", "--jobs", "1"]
    memory.pipe_file("/media/a.mp4", (media / "b.mp4").read_bytes())
    assert main.main(words) == 0
    assert {"a/mien.json", "summary.csv"} < set(content(memory, "results"))
    memory.pipe_file("/media/a.mp4", b"no video")
    assert main.main([*words, "--resume"]) == 1
    assert set(content(memory, "results")) == {"inputs.csv", "jobs.jsonl"}


def test_a_url_with_other_files_is_refused(memory, media, capsys):
    memory.pipe_file("/results/notes.txt", b"1")
    assert main.main(["analyze", str(media / "a.mp4"), "--out", "memory://results"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "mien: --out: expected a new or empty folder, found files in memory://results"


def test_the_list_of_jobs_is_uploaded_at_the_end_and_no_more_often_than_chosen(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(destination, "SAVE_EVERY_S", 3600.0)
    place = destination.UrlDestination(tmp_path, "memory://results")
    for number in range(3):
        (tmp_path / "jobs.jsonl").write_text(str(number))
        place.save_manifest()
    assert memory.cat_file("/results/jobs.jsonl") == b"0"
    place.finish()
    assert memory.cat_file("/results/jobs.jsonl") == b"2"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "nonsense://a.mp4",
            "nonsense://a.mp4: expected a URL that fsspec can open, found: Protocol",
        ),
        ("sftp://host/a.mp4", "sftp://host/a.mp4: expected a URL that fsspec can open, found: "),
    ],
)
def test_a_url_that_cannot_be_opened_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, url, message):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    for words in ([url, "--out", str(tmp_path / "out")], ["a.mp4", "--out", url]):
        assert main.main(["analyze", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"mien: {message}")


def test_without_the_package_it_is_one_line_and_status_2(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert main.main(["analyze", "s3://bucket/a.mp4", "--out", str(tmp_path / "out")]) == 2
    expected = "mien: s3://bucket/a.mp4: expected the package fsspec to read and write URLs, found none; "
    assert capsys.readouterr().err.splitlines() == [expected + "pip install -r requirements-dask.txt installs it"]


def test_a_file_that_cannot_be_downloaded_fails_alone(memory, media, tmp_path, monkeypatch):
    for name in ("a", "b"):
        memory.pipe_file(f"/media/{name}.mp4", (media / "b.mp4").read_bytes())
    get_file = type(memory).get_file

    def broken(self, remote: str, local: str, **options: Any) -> None:
        if remote.endswith("a.mp4"):
            raise PermissionError("Access Denied")
        get_file(self, remote, local, **options)

    monkeypatch.setattr(type(memory), "get_file", broken)
    assert main.main(["analyze", "memory://media", "--out", str(tmp_path / "out"), "--jobs", "1"]) == 1
    listed = (tmp_path / "out" / "inputs.csv").read_text().splitlines()
    assert listed[1].startswith("memory://media/a.mp4,failed,memory://media/a.mp4 cannot be read: Access Denied,")
    assert listed[2].startswith("memory://media/b.mp4,done,")


def test_a_password_in_a_url_is_neither_shown_nor_stored(memory, media, tmp_path, capfd, caplog):
    caplog.set_level("INFO")  # as the program's; fsspec itself logs paths below it
    memory.pipe_file("/me:s3cret@day/0.jpg", (media / "0.jpg").read_bytes())
    memory.pipe_file("/me:s3cret@day/x.txt", b"x")
    words = ["analyze", "memory://me:s3cret@day", "memory://me:s3cret@night/b.mp4"]
    assert main.main([*words, "--out=memory://me:s3cret@results"]) == 1
    assert main.main([*words, "--out", "memory://me:s3cret@results"]) == 2
    assert "found results in memory://***@results" in capfd.readouterr().err
    results = content(memory, "me:s3cret@results")
    assert b"memory://***@day/0.jpg" in results["inputs.csv"]
    assert b"memory://***@night/b.mp4" in results["inputs.csv"]
    assert not [name for name, data in results.items() if b"s3cret" in data]
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sftp://me:s3/cret@host/clip.mp4", "sftp://***@host/clip.mp4"),
        ("https://me@host/clip.mp4?id=1", "https://***@host/clip.mp4?id=1"),
        ("s3://bucket/a@b.mp4", "s3://bucket/a@b.mp4"),
        ("https://host:8443/a@b.mp4", "https://host:8443/a@b.mp4"),
        ("a@b.mp4", "a@b.mp4"),
    ],
)
def test_a_login_is_left_out_of_a_url_and_nothing_else(url, shown):
    assert without_login(url) == shown
