"""The annotated video on disk: playable whatever happens, and never a delay."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien import recording
from mien.errors import SettingsError
from mien.recording import video
from mien.recording.video import QUEUE_FRAMES, Saving, VideoWriter
from tests.patience import PATIENCE_S, wait_for

ROOT = Path(__file__).resolve().parents[1]
START = 1_700_000_000.0


def flat(level, size=(64, 48)):
    return np.full((size[1], size[0], 3), level, np.uint8)


def write_all(writer, frames):
    """Write (pixels, captured_at) pairs no faster than they are encoded, so that none is dropped."""
    for number, (pixels, captured_at) in enumerate(frames, 1):
        assert writer.write(pixels, captured_at)
        wait_for(lambda number=number: writer.written == number or writer.error)


def read_back(path):
    """Gray levels, times in seconds and (width, height) of the written video."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    levels, times_s, size = [], [], None
    while True:
        ok, pixels = capture.read()
        if not ok:
            break
        levels.append(float(np.median(pixels)))
        times_s.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        size = (pixels.shape[1], pixels.shape[0])
    capture.release()
    return levels, times_s, size


def test_a_written_video_is_h264_and_can_be_played(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, fps=25) as writer:
        write_all(writer, [(flat(level), START + level / 250) for level in range(0, 250, 10)])
    assert (writer.written, writer.dropped, writer.error) == (25, 0, None)
    levels, times_s, size = read_back(path)
    assert size == (64, 48)
    assert levels == pytest.approx(range(0, 250, 10), abs=4.9)
    assert times_s == pytest.approx([i / 25 for i in range(25)], abs=0.002)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"  # the only format that every browser plays
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=0.05)


def test_each_frame_is_shown_as_long_as_it_lasted(tmp_path):
    times_s = [0.0, 0.1, 0.15, 1.9, 2.0]
    with VideoWriter(tmp_path / "out.mp4") as writer:
        write_all(writer, [(flat(100), START + at_s) for at_s in times_s])
    assert read_back(tmp_path / "out.mp4")[1] == pytest.approx(times_s, abs=0.002)


@pytest.mark.parametrize(
    ("captured_s", "expected_s"),
    [
        ([0.0, 0.1, -3600.0, -3599.9], [0.0, 0.1, 0.133, 0.233]),
        ([0.0, 0.0, 0.0], [0.0, 0.033, 0.067]),
        ([0.0, 0.0001, 0.0002], [0.0, 0.001, 0.002]),
        ([0.0, 59.0, 59.1], [0.0, 59.0, 59.1]),
        ([0.0, 0.1, 3600.1, 3600.2], [0.0, 0.1, 1.1, 1.2]),
        ([0.0, 345600.0, 345600.1], [0.0, 1.0, 1.1]),
    ],
    ids=["clock set back", "same time", "faster than the file can say", "an outage", "an hour on", "days on"],
)
def test_timestamps_only_increase_and_never_jump_far(tmp_path, captured_s, expected_s):
    with VideoWriter(tmp_path / "out.mp4", fps=30) as writer:
        write_all(writer, [(flat(100), START + at_s) for at_s in captured_s])
    assert read_back(tmp_path / "out.mp4")[1] == pytest.approx(expected_s, abs=0.002)


@pytest.mark.parametrize(
    ("captured_s", "expected_s"),
    [
        ([0.5, 600.0, 600.1, -2999.8, -2999.7, -2999.5], [0.0, 600.0, 600.1, 600.2, 600.3, 600.5]),
        ([-3600.0, -3599.9, -3599.8], [0.0, 0.001, 0.1]),
        ([-0.05, 0.05, 0.15], [0.0, 0.05, 0.15]),
        ([0.0, 0.1, 3600.1, 3600.2], [0.0, 0.1, 3600.1, 3600.2]),
        ([0.0, 0.1, 0.1, 0.2], [0.0, 0.1, 0.101, 0.2]),
    ],
    ids=["clock set back", "before the first frame", "a frame from before", "an hour on", "the same frame again"],
)
def test_frames_of_a_session_are_at_their_time_since_it_began(tmp_path, captured_s, expected_s):
    with VideoWriter(tmp_path / "out.mp4", began_at=START) as writer:
        write_all(writer, [(flat(100), START + at_s) for at_s in captured_s])
    assert read_back(tmp_path / "out.mp4")[1] == pytest.approx(expected_s, abs=0.002)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 48), (64, 48)), ((65, 49), (64, 48)), ((641, 360), (640, 360)), ((3, 3), (2, 2)), ((1, 1), (2, 2))],
)
def test_odd_sizes_are_made_even(tmp_path, size, expected):
    with VideoWriter(tmp_path / "out.mp4") as writer:
        write_all(writer, [(flat(100, size), START + i / 10) for i in range(3)])
    levels, _, found = read_back(tmp_path / "out.mp4")
    assert (len(levels), found) == (3, expected)


def test_after_a_change_of_size_the_video_continues_in_its_first_size(tmp_path):
    sizes = [(64, 48), (128, 96), (320, 48), (65, 49), (10, 200)]
    with VideoWriter(tmp_path / "out.mp4") as writer:
        write_all(writer, [(flat(200, size), START + i / 10) for i, size in enumerate(sizes)])
    levels, _, size = read_back(tmp_path / "out.mp4")
    assert (len(levels), size) == (5, (64, 48))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.avi", r"ends in \.avi"),
        ("out", "ends in nothing"),
        ("folder.mp4", "is a folder"),
        ("none/out.mp4", "whose folder does not exist"),
        ("x" * 300 + ".mp4", "cannot be written|too long"),
    ],
)
def test_a_path_that_cannot_be_written_is_an_immediate_clear_error(tmp_path, name, says):
    (tmp_path / "folder.mp4").mkdir()
    before = threading.active_count()
    with pytest.raises(SettingsError, match=says):
        VideoWriter(tmp_path / name)
    assert threading.active_count() <= before  # fewer where a thread of an earlier test has just ended


def test_a_folder_without_permission_is_a_clear_error(tmp_path, monkeypatch):
    def no_permission(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(video.Path, "open", no_permission)
    with pytest.raises(SettingsError, match="Permission denied"):
        VideoWriter(tmp_path / "out.mp4")


def test_an_old_file_stays_and_the_next_number_is_written(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    for number in (2, 3):
        with VideoWriter(path) as writer:
            assert writer.path is None
            write_all(writer, [(flat(10), START)] * number)
            assert writer.path == tmp_path / f"out-{number}.mp4"
            assert writer.status() == Saving(f"out-{number}.mp4")
        assert len(read_back(tmp_path / f"out-{number}.mp4")[0]) == number
        assert f"out-{number}.mp4" in caplog.text
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


def test_without_a_free_number_there_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "MAX_NUMBER", 2)
    (tmp_path / "out.mp4").touch()
    (tmp_path / "out-2.mp4").touch()
    with pytest.raises(SettingsError, match=r"all names up to out-2\.mp4 are taken"):
        VideoWriter(tmp_path / "out.mp4")


def test_without_frames_no_file_is_left(tmp_path):
    VideoWriter(tmp_path / "out.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_after_closing_no_frames_are_accepted(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4")
    write_all(writer, [(flat(10), START)])
    writer.close()
    writer.close()
    assert not writer.write(flat(10), START + 1)
    assert writer.dropped == 0
    assert len(read_back(tmp_path / "out.mp4")[0]) == 1


def test_after_a_file_is_finished_the_next_frame_begins_another(tmp_path):
    with VideoWriter(tmp_path / "out.mp4") as writer:
        writer.finish_file()  # there is none yet
        write_all(writer, [(flat(10), START), (flat(10), START + 1)])
        for _ in range(QUEUE_FRAMES + 1):  # may be called repeatedly
            writer.finish_file()
        wait_for(lambda: writer.path is None)
        assert writer.write(flat(200, (128, 96)), START + 100)
        wait_for(lambda: writer.path == tmp_path / "out-2.mp4")
    assert writer.path is None
    assert read_back(tmp_path / "out.mp4") == ([pytest.approx(10, abs=4)] * 2, [0.0, 1.0], (64, 48))
    assert read_back(tmp_path / "out-2.mp4") == ([pytest.approx(200, abs=4)], [0.0], (128, 96))
    writer.finish_file()
    assert len(list(tmp_path.iterdir())) == 2


class SlowEncoder:
    """Accepts the first frame and blocks on it."""

    def __init__(self, *_):
        self.added = 0

    release = threading.Event()

    def add(self, *_):
        self.added += 1
        self.release.wait(PATIENCE_S)

    def finish(self):
        pass


def test_a_slow_encoder_drops_and_counts_frames_and_never_blocks(tmp_path, monkeypatch):
    SlowEncoder.release.clear()
    monkeypatch.setattr(video, "_Encoder", SlowEncoder)
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.write(flat(0), START)
    wait_for(writer._queue.empty)
    taken = [writer.write(flat(0), START + i) for i in range(QUEUE_FRAMES + 5)]
    assert taken == [True] * QUEUE_FRAMES + [False] * 5
    assert writer.dropped == 5
    writer.close(timeout_s=0.05)  # gives up in time although the queue is full
    SlowEncoder.release.set()
    writer._thread.join(PATIENCE_S)
    assert not writer._thread.is_alive(), "it finishes the file later"
    assert writer.written == QUEUE_FRAMES + 1
    assert writer.path is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_reported_once_and_stops_nothing(tmp_path, monkeypatch, caplog):
    full = tmp_path / "full.mp4"
    full.symlink_to("/dev/full")
    writer = VideoWriter(tmp_path / "out.mp4")
    monkeypatch.setattr(video, "new_file", lambda _: (full, full.open("ab")))
    noise = np.random.default_rng(0)
    for i in range(200):
        writer.write(noise.integers(0, 256, (240, 320, 3), dtype=np.uint8), START + i / 5)
        if writer.error:
            break
        wait_for(lambda: writer._queue.empty() or writer.error)
    reason = "full.mp4 cannot be written any more: No space left on device"
    assert wait_for(lambda: writer.status().error) == reason
    assert not writer.write(flat(0), START + 999)
    writer.close()
    assert writer.status() == Saving(None, reason, 0)
    assert sum("cannot be written any more" in record.message for record in caplog.records) == 1


class FullAtTheEnd(video._Encoder):
    """The disk is full when the file is finished."""

    def finish(self):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("end", ["close", "finish_file"])
def test_a_video_that_cannot_be_finished_says_so(tmp_path, monkeypatch, caplog, end):
    monkeypatch.setattr(video, "_Encoder", FullAtTheEnd)
    writer = VideoWriter(tmp_path / "out.mp4")
    write_all(writer, [(flat(100), START)])
    getattr(writer, end)()
    reason = "out.mp4 cannot be written any more: No space left on device"
    assert wait_for(lambda: writer.status().error) == reason
    assert not writer.write(flat(100), START + 1)
    writer.close()
    assert writer.status() == Saving(None, reason, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert sum("No space left" in record.message for record in caplog.records) == 1


FULL_CHILD = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from mien.recording.video import VideoWriter
    from tests.patience import PATIENCE_S, wait_for

    def write(name, most_bytes=None):
        path = Path(sys.argv[1], name)
        writer = VideoWriter(path, fps=10)
        for number in range(45):
            writer.write(np.full((48, 64, 3), 10 * number % 250, np.uint8), 1.7e9 + number / 10)
            wait_for(lambda: writer.written > number)
        written = path.stat().st_size
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, unlimited[1]))
        writer.close(PATIENCE_S)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        return writer.error, written, path.stat().st_size

    error, written, whole = write("whole.mp4")
    assert error is None and written < whole - 100
    assert write("nothing-more.mp4", written)[0]
    assert write("all-but-the-last.mp4", whole - 100)[0]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to the size of files")
def test_a_video_that_could_not_be_finished_can_be_played(tmp_path):
    code = textwrap.dedent(FULL_CHILD)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=4 * PATIENCE_S)
    for name in ("nothing-more.mp4", "all-but-the-last.mp4"):
        levels = read_back(tmp_path / name)[0]
        assert len(levels) >= 35
        assert levels == pytest.approx([10 * i % 250 for i in range(len(levels))], abs=4.9)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps an open file from being moved or deleted")
def test_a_video_whose_file_is_deleted_ends_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "CHECK_EVERY_S", 0.0)
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.write(flat(0), START)
    wait_for(lambda: writer.written)
    writer.path.unlink()
    writer.write(flat(0), START + 1)
    assert wait_for(lambda: writer.error) == "out.mp4 cannot be written any more: it was moved or deleted"
    assert not writer.write(flat(0), START + 2)
    writer.close()


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3)])
def test_any_exception_in_the_encoder_ends_the_video_with_the_reason(tmp_path, monkeypatch, error):
    class Broken(SlowEncoder):
        def add(self, *_):
            raise error

    monkeypatch.setattr(video, "_Encoder", Broken)
    writer = VideoWriter(tmp_path / "out.mp4")
    writer.write(flat(0), START)
    assert type(error).__name__ in wait_for(lambda: writer.status().error)
    writer.close()


def test_a_video_without_its_thread_says_that_it_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(VideoWriter, "_run", lambda writer: None)
    writer = VideoWriter(tmp_path / "out.mp4")
    assert wait_for(lambda: writer.status().error) == "out.mp4 cannot be written any more: its thread has ended"
    assert not writer.write(flat(0), START)
    writer.close()


CHILD = """
    import sys, numpy as np
    from mien.recording.video import VideoWriter
    from tests.patience import wait_for
    writer = VideoWriter(sys.argv[1], fps=10)
    for number in range(45):
        writer.write(np.full((48, 64, 3), 10 * number % 250, np.uint8), 1.7e9 + number / 10)
        wait_for(lambda: writer.written > number)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_kill_9_all_but_the_last_second_can_be_played(tmp_path):
    path = tmp_path / "out.mp4"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    levels, times_s, _ = read_back(path)
    assert 35 <= len(levels) <= 45
    assert levels == pytest.approx([10 * i % 250 for i in range(len(levels))], abs=4.9)
    assert times_s == pytest.approx([i / 10 for i in range(len(levels))], abs=0.002)


def test_a_video_of_two_frames_can_be_played_after_a_kill(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path) as writer:
        write_all(writer, [(flat(100), START), (flat(100), START + 0.03)])
        left = tmp_path / "left.mp4"
        left.write_bytes(path.read_bytes())  # what a kill would leave now
    levels, times_s, _ = read_back(left)
    assert levels == pytest.approx([100], abs=4.9)
    assert times_s == [0]


def test_without_pyav_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="expected the package av to save a video, found none; pip install av"):
        VideoWriter(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())
