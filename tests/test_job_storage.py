"""The folder of uploaded files: private, gone at the end, and after a kill at the next start."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

import mien.queue.storage
from mien.queue.storage import LOCK, Storage, remove_abandoned, shown_size
from tests.clips import demo_pictures, write_video
from tests.media import ROOT
from tests.patience import PATIENCE_S, wait_for
from tests.test_program import Running

HOLD = """
import sys
from pathlib import Path
from mien.queue.storage import Storage
storage = Storage(Path(sys.argv[1]))
(storage.new_folder("job") / "content").write_bytes(b"x")
print(storage.root.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Processes that have a folder below tmp_path: (process, its folder)."""
    processes = []

    def start():
        words = [sys.executable, "-c", HOLD, str(tmp_path)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        processes.append(process)
        return process, tmp_path / process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permissions of this kind")
def test_only_this_user_can_open_the_folder(tmp_path) -> None:
    storage = Storage(tmp_path)
    folder = storage.new_folder("job")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (storage.root, folder)] == [0o700, 0o700]
    storage.close()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_no_other(tmp_path, hold) -> None:
    dead, abandoned = hold()
    _, in_use = hold()
    own = Storage(tmp_path)
    (tmp_path / "mien-jobs-file").write_text("a file of this name")
    (tmp_path / "other").mkdir()
    others = {own.root, in_use, tmp_path / "mien-jobs-file", tmp_path / "other"}
    dead.kill()
    dead.wait(PATIENCE_S)
    assert (abandoned / "job" / "content").exists()
    assert remove_abandoned(tmp_path) == 1
    assert set(tmp_path.iterdir()) == others
    assert (in_use / "job" / "content").read_bytes() == b"x"
    assert remove_abandoned(tmp_path) == 0
    own.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs a permission for links")
def test_a_link_is_not_followed(tmp_path) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    (target / LOCK).write_text("")
    (target / "photo.jpg").write_text("mine")
    (tmp_path / "mien-jobs-link").symlink_to(target)
    assert remove_abandoned(tmp_path) == 0
    assert (target / "photo.jpg").exists()


def test_a_folder_without_a_lock_is_removed_once_it_is_old_and_empty(tmp_path) -> None:
    new, old, full = (tmp_path / f"mien-jobs-{name}" for name in ("new", "old", "full"))
    for folder in (new, old, full):
        folder.mkdir()
    (full / "content").write_text("x")
    for folder in (old, full):
        os.utime(folder, (1, 1))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mien-jobs-full", "mien-jobs-new"]


def test_a_folder_that_another_start_takes_for_abandoned_is_created_again(tmp_path, monkeypatch) -> None:
    real = mien.queue.storage._lock
    calls = []

    def lock(path: Path, *, create: bool) -> int | None:
        calls.append(path)
        return None if len(calls) == 1 else real(path, create=create)

    monkeypatch.setattr(mien.queue.storage, "_lock", lock)
    storage = Storage(tmp_path)
    assert storage.root == calls[1].parent != calls[0].parent
    storage.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no folder with an open file")
def test_a_folder_that_was_removed_is_created_again(tmp_path) -> None:
    storage = Storage(tmp_path)
    first = storage.root
    shutil.rmtree(first)
    storage.check_free(0)
    assert (storage.new_folder("job").parent, storage.root.is_dir()) == (storage.root, True)
    assert (storage.root / LOCK).exists()
    assert remove_abandoned(tmp_path) == 0
    storage.close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_yet_is_removed_later(tmp_path, monkeypatch) -> None:
    storage = Storage(tmp_path)
    folder = storage.new_folder("job")
    with monkeypatch.context() as patch:
        patch.setattr(
            mien.queue.storage.shutil, "rmtree", lambda path, **_: (_ for _ in ()).throw(PermissionError(13, "in use"))
        )
        storage.remove(folder)
        storage.remove_leftover()
    assert folder.exists()
    storage.remove_leftover()
    assert not folder.exists()
    storage.close()


def test_all_but_an_open_file_is_removed_and_the_rest_when_it_is_closed(tmp_path, monkeypatch) -> None:
    storage = Storage(tmp_path)
    for name in ("a", "b", "c"):
        (storage.new_folder(name) / "content").write_text(name)
    root, unlink = storage.root, os.unlink
    held = (root / "b" / "content").stat().st_ino

    def refuse(path, *arguments, **more) -> None:
        if os.stat(path, dir_fd=more.get("dir_fd")).st_ino == held:
            raise PermissionError(13, "in use")
        unlink(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        storage.close()
    assert [path.relative_to(root).as_posix() for path in root.rglob("*")] == ["b", "b/content"]
    storage.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (2_500_000, "2.5 MB"),
        (2 * 10**9, "2 GB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert shown_size(count) == text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_program_leaves_no_process_and_the_next_one_no_files(tmp_path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    video = write_video(tmp_path / "clip.mp4", demo_pictures(40) * 5).read_bytes()
    environ = {"TMPDIR": str(folder)}
    first = Running("--source", "demo", environ=environ)
    try:
        first.wait_for(lambda state: True)
        request = urllib.request.Request(f"{first.url}/api/jobs?name=a.mp4", video, {"Content-Type": "video/mp4"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            number = json.load(answer)["id"]
        wait_for(lambda: json.loads(first.get(f"/api/jobs/{number}")[1])["frames"], "the first frames", 120)
        assert first.process.poll() is None, first.process.communicate()
        children = psutil.Process(first.process.pid).children(recursive=True)
        assert children
    finally:
        first.process.kill()
        first.process.communicate()
    assert list(folder.glob(f"mien-jobs-*/{number}"))
    wait_for(lambda: not any(child.is_running() for child in children), "the end of the process that analyzes")
    second = Running("--source", "demo", environ=environ)
    try:
        second.wait_for(lambda state: True)
        wait_for(lambda: not list(folder.glob("mien-jobs-*")), "an empty folder")
        request = urllib.request.Request(f"{second.url}/api/jobs?name=a.mp4", video, {"Content-Type": "video/mp4"})
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        assert list(folder.glob("mien-jobs-*"))
        status, _, _ = second.stop()
        assert status == 0
        assert list(folder.glob("mien-jobs-*")) == []
    finally:
        second.process.kill()
        second.process.communicate()
