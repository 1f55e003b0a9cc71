"""Every kind of source: its frames, its timing, and its errors."""

import io
import itertools
import logging
import os
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import sources
from mien.analysis.tracker import Tracker
from mien.errors import SourceEndedError, SourceError, SourceMissingError
from mien.images.codecs import encode_jpeg, encode_png
from mien.sources import network, open_source, source_kind, source_name, webcam
from mien.sources.catalog import SourceCatalog
from mien.sources.decoder import PictureTimes
from mien.sources.demo import CYCLE_S, HEIGHT_PX, SHOWN_S, WIDTH_PX, DemoSource, face_place
from mien.sources.demo_faces import FACES_FILE, GRID, PEOPLE, DemoFaces
from mien.sources.files import MAX_IMAGE_SIDE_PX, REPEAT_AFTER_S, ImageSource, VideoSource, open_file
from mien.sources.network import StreamSource, masked_url
from mien.sources.webcam import Webcams, WebcamSource, webcam_indices
from mien.types import EXPRESSIONS, Box
from tests.fakes import FakeCapture, FakeClock, FakeVideo, gray_faces, network_camera, write_clip
from tests.patience import PATIENCE_S, scaled

SHARED_CLIP = Path(__file__).resolve().parents[2] / "shared" / "media" / "expressions.mp4"
LEVELS = list(range(0, 250, 10))


def level(frame):
    """The gray level of a uniform frame, rounded to tens as in the clips."""
    return round(float(np.median(frame.pixels_bgr)) / 10) * 10


# --- values of --source


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("auto", "auto"),
        ("demo", "demo"),
        ("0", "webcam"),
        ("12", "webcam"),
        ("/dev/video3", "webcam"),
        ("/dev/v4l/by-id/usb-Camera-index0", "webcam"),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb", "webcam"),
        ("/dev/shm/clip.mp4", "file"),
        ("192.168.1.5:8080/video", "url"),
        ("-1", "file"),
        ("1234", "file"),
        ("²", "file"),
        ("", "file"),
        ("demo.mp4", "file"),
        ("C:\\clips\\a.mp4", "file"),
        ("rtsp://camera/stream", "url"),
        ("ftp://host/a.mp4", "url"),
    ],
)
def test_source_kind(spec, kind):
    assert source_kind(spec) == kind


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("auto", "Auto"),
        ("demo", "Demo"),
        ("0", "Webcam 0"),
        ("/dev/video3", "Webcam 3"),
        ("some/where/clip.mp4", "clip.mp4"),
        ("http://host:81/video", "http://host:81/video"),
        ("rtsp://me:s3cret@host/live", "rtsp://***@host/live"),
        ("rtsp://me@host:554/live", "rtsp://***@host:554/live"),
        ("HTTPS://host/cgi?user=me&pwd=s3cret", "https://host/cgi?***"),
        ("rtsp://host/user=me&password=s3cret&channel=1", "rtsp://host/user=me&password=***&channel=1"),
        ("rtsp://me:s3cret@[::1]:554/live", "rtsp://***@[::1]:554/live"),
        ("rtsp://me:s3cret#x@host/", "rtsp://***@host/"),
        ("rtsp://me:s3cret@host:x/", None),
    ],
)
def test_a_name_identifies_the_source_without_secrets(spec, name):
    if name is None:
        with pytest.raises(SourceMissingError) as caught:
            source_name(spec)
        assert "s3cret" not in str(caught.value)
    else:
        assert source_name(spec) == name


@pytest.mark.parametrize(
    "url", ["ftp://host/a", "file:///etc/passwd", "rtsp://", "http:///x", "http://[::1", "http://host:port/", "://x"]
)
def test_unsupported_urls_are_refused(url):
    with pytest.raises(SourceMissingError, match="http, https, rtsp"):
        masked_url(url)
    with pytest.raises(SourceMissingError):
        open_source(url)


# --- files


def missing_files(folder):
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video " * 100)
    (folder / "zeros.mp4").write_bytes(bytes(5000))
    (folder / "cut.png").write_bytes(encode_png(np.zeros((50, 50, 3), np.uint8))[:60])
    bomb = bytearray(encode_png(np.zeros((1, 1, 3), np.uint8)))
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2
    (folder / "bomb.png").write_bytes(bomb)
    (folder / "folder.mp4").mkdir()
    clip = write_clip(folder / "whole.avi", LEVELS).read_bytes()
    (folder / "cut.avi").write_bytes(clip[:100])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.mp4", "found no file .*nowhere.mp4$"),
        ("webcam", "found no file .*webcam; a webcam is named by its number, such as 0$"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "is a text file: give a video or an image"),
        ("zeros.mp4", r"unknown type that begins with b'.x00"),
        ("cut.avi", "cut off|no picture"),
        ("cut.png", "broken or cut off"),
        ("bomb.png", "400 megapixels"),
        ("folder.mp4", "found the folder"),
        ("nul\0.mp4", "cannot be read|found no file"),
    ],
)
def test_a_file_that_cannot_be_played_is_one_clear_line(tmp_path, name, says, capfd):
    missing_files(tmp_path)
    with pytest.raises(SourceMissingError, match=says) as caught:
        open_source(str(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["text.mp4", "cut.avi", "empty.mp4"])
def test_the_decoder_prints_nothing(tmp_path, name, capfd):
    missing_files(tmp_path)
    with pytest.raises(SourceMissingError):
        open_source(str(tmp_path / name))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("spec", ["", "  "])
def test_an_empty_source_is_a_clear_error(spec):
    with pytest.raises(SourceMissingError, match="found nothing"):
        open_source(spec)


def test_every_frame_of_a_clip_is_read_in_order_until_the_end(tmp_path):
    write_clip(tmp_path / "clip.avi", LEVELS, fps=25)
    with open_source(str(tmp_path / "clip.avi"), loop=False, paced=False) as source:
        assert (source.name, source.state, source.spec) == ("clip.avi", "file", str(tmp_path / "clip.avi"))
        frames = [source.read() for _ in LEVELS]
        with pytest.raises(SourceEndedError, match="played to its end"):
            source.read()
        with pytest.raises(SourceEndedError):
            source.read()
    assert [level(frame) for frame in frames] == LEVELS
    assert [frame.index for frame in frames] == list(range(len(LEVELS)))
    assert [frame.media_time_s for frame in frames] == pytest.approx([i / 25 for i in range(len(LEVELS))], abs=0.002)
    assert all(frame.truth is None for frame in frames)
    assert abs(frames[-1].captured_at - time.time()) < 60


def test_a_clip_that_loops_starts_again_while_the_index_goes_on(tmp_path):
    write_clip(tmp_path / "clip.avi", LEVELS[:3], fps=25)
    with open_source(str(tmp_path / "clip.avi"), paced=False) as source:
        frames = [source.read() for _ in range(8)]
    assert [level(frame) for frame in frames] == [0, 10, 20, 0, 10, 20, 0, 10]
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.media_time_s for frame in frames][3] == 0.0


def test_a_clip_deleted_while_it_plays_is_a_source_error_at_its_next_loop(tmp_path):
    path = write_clip(tmp_path / "clip.avi", LEVELS[:2])
    with open_source(str(path), paced=False) as source:
        source.read()
        source.read()
        path.unlink()
        with pytest.raises(SourceError, match="again from its start"):
            source.read()


def test_a_truncated_clip_is_reported_at_its_end(tmp_path):
    path = write_clip(tmp_path / "clip.avi", range(100))
    os.truncate(path, path.stat().st_size // 2)
    message = r"clip.avi broke off after [12]\.\d s of the 4\.0 s it announced"
    with pytest.raises(SourceEndedError, match=message), open_source(str(path), loop=False, paced=False) as source:
        for _ in range(100):
            source.read()


@pytest.mark.parametrize(
    ("announced_s", "whole"),
    [*((announced_s, True) for announced_s in (None, 0, -1, 0.9, 1.0, 1.1)), (1.2, False), (10, False)],
)
def test_a_video_is_truncated_if_clearly_shorter_than_announced(announced_s, whole, caplog):
    videos = [FakeVideo(range(10), duration_s=announced_s) for _ in range(4)]
    once = video(videos.pop(), FakeClock(), paced=False, loop=False)
    for _ in range(10):
        once.read()
    with pytest.raises(SourceEndedError, match="played to its end" if whole else "broke off after 1.0 s"):
        once.read()
    again = VideoSource("clip", "clip", videos.pop, paced=False, clock=FakeClock())
    assert [again.read().index for _ in range(30)][-1] == 29
    assert len([line for line in caplog.messages if "broke off" in line]) == (0 if whole else 1), "reported once"


def test_a_closed_clip_gives_an_error_and_closes_twice(tmp_path):
    source = open_file(write_clip(tmp_path / "clip.avi", LEVELS))
    source.close()
    source.close()
    with pytest.raises(SourceError, match="closed"):
        source.read()


def test_an_animated_gif_plays_as_a_video(tmp_path):
    animation = cv2.Animation()
    animation.frames = [np.full((20, 30, 4), value, np.uint8) for value in (10, 110, 210)]
    animation.durations = np.array([100, 100, 100])
    assert cv2.imwriteanimation(str(tmp_path / "moving.gif"), animation)
    with open_file(tmp_path / "moving.gif", loop=False, paced=False) as source:
        assert [round(source.read().pixels_bgr.mean(), -1) for _ in range(3)] == [10, 110, 210]


def test_a_file_name_that_looks_like_a_pattern_is_taken_literally(tmp_path):
    with open_file(write_clip(tmp_path / "a%02d.avi", LEVELS[:2]), paced=False) as source:
        assert level(source.read()) == 0


# --- timing, with a fake clock


def video(found, clock, **options):
    return VideoSource("clip", "clip", lambda: found, clock=clock, **options)


def test_frames_are_returned_at_their_media_time():
    clock = FakeClock()
    source = video(FakeVideo(range(5), times_s=[0, 0.1, 0.25, 0.3, 0.4]), clock)
    begun_s = clock.now_s
    at_s = []
    for _ in range(5):
        source.read()
        at_s.append(clock.now_s - begun_s)
    assert at_s == pytest.approx([0, 0.1, 0.25, 0.3, 0.4])


def test_loops_follow_each_other_without_a_gap():
    clock = FakeClock()
    videos = [FakeVideo(range(3)) for _ in range(3)]
    source = VideoSource("clip", "clip", videos.pop, clock=clock)
    begun_s = clock.now_s
    at_s = []
    for _ in range(7):
        source.read()
        at_s.append(clock.now_s - begun_s)
    assert at_s == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_late_frames_are_dropped_so_that_the_speed_is_kept():
    clock = FakeClock()
    source = video(FakeVideo(range(20)), clock)
    source.read()
    clock.advance(0.45)  # the reader was busy
    frame = source.read()
    assert frame.media_time_s == pytest.approx(0.4)
    assert frame.index == 4  # dropped frames are counted
    assert source.read().index == 5


def test_an_unpaced_source_drops_nothing_and_never_sleeps():
    clock = FakeClock()
    source = video(FakeVideo(range(20)), clock, paced=False)
    indices = []
    for _ in range(20):
        clock.advance(3)
        indices.append(source.read().index)
    assert indices == list(range(20))
    assert clock.slept_s == []


def test_after_a_long_pause_it_continues_where_it_was():
    clock = FakeClock()
    source = video(FakeVideo(range(20)), clock)
    source.read()
    clock.advance(3600)  # the lid was closed
    assert source.read().index == 1
    assert source.read().index == 2
    assert sum(clock.slept_s) == pytest.approx(0.1)


def test_a_video_that_decodes_slower_than_it_plays_still_advances():
    clock = FakeClock()
    source = video(FakeVideo(range(100), clock=clock, cost_s=0.15), clock)
    begun_s = clock.now_s
    indices = [source.read().index for _ in range(12)]
    assert indices == sorted(set(indices))
    assert clock.now_s - begun_s < 12 * 0.15 * 6  # a picture at least every few frames


def test_a_long_still_is_repeated_so_that_it_does_not_look_like_a_hang():
    clock = FakeClock()
    source = video(FakeVideo([10, 20], times_s=[0, 3.2]), clock)
    begun_s = clock.now_s
    first = source.read()
    frames = []
    while not frames or frames[-1].index == 0:
        frames.append(source.read())
    assert max(clock.slept_s) <= REPEAT_AFTER_S
    assert len(frames) == 7
    assert frames[0].pixels_bgr is first.pixels_bgr
    assert frames[0].captured_at > first.captured_at
    assert clock.now_s - begun_s == pytest.approx(3.2)


@pytest.mark.parametrize(
    "times_s",
    [[0, 0, 0, 0], [5, 5.1, 5.2, 5.3], [0, None, 0.2, 0.3], [0, 0.1, 0.05, 0.3], [-1, -0.9, -0.8, -0.7]],
)
def test_invalid_timestamps_in_a_file_still_advance(times_s):
    source = video(FakeVideo(range(4), times_s=times_s), FakeClock(), paced=False)
    found = [source.read().media_time_s for _ in range(4)]
    assert found[0] == 0
    assert all(later > earlier for earlier, later in itertools.pairwise(found))
    assert found[-1] == pytest.approx(0.3)


@pytest.mark.parametrize("fps", [None, 0, -1, 1000, 90_000])
def test_an_invalid_frame_rate_is_replaced(fps):
    source = video(FakeVideo(range(2), fps=fps, times_s=[0, 0]), FakeClock(), paced=False)
    source.read()
    assert source.read().media_time_s == pytest.approx(1 / 25)


def test_a_video_without_frames_is_reported_as_missing_and_closed():
    for levels in ([None], []):
        found = FakeVideo(levels)
        with pytest.raises(SourceMissingError, match="no picture"):
            video(found, FakeClock())
        assert found.closed == 1


def test_a_rate_that_cannot_be_true_is_replaced_even_where_the_times_agree_with_it():
    source = video(FakeVideo(range(4), fps=1200, times_s=[0, 1 / 1200, 2 / 1200, 3 / 1200]), FakeClock(), paced=False)
    assert [source.read().media_time_s for _ in range(4)] == pytest.approx([0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("fps", [240.3, 480.2, 960.4])
def test_slow_motion_plays_at_its_own_rate(fps):
    for times_s in ([i / fps for i in range(4)], [None] * 4):
        source = video(FakeVideo(range(4), fps=fps, times_s=times_s), FakeClock(), paced=False)
        assert [source.read().media_time_s for _ in range(4)] == pytest.approx([i / fps for i in range(4)])


@pytest.mark.parametrize(
    ("fps", "stamps_ms", "times_s"),
    [
        (1000, [0, 1, 2, 3], [0, 0.04, 0.08, 0.12]),
        (1000, [0, 1, 2, 4, 5], [0, 0.04, 0.08, 0.082, 0.122]),  # a picture is missing
        (1000, [0, 33, 67, 68, 101], [0, 0.033, 0.067, 0.068, 0.101]),  # two in quick succession at a variable rate
        (960, [0, 1, 2, 3, 4], [0, 0.001, 0.002, 0.003, 0.004]),  # as Matroska rounds them
    ],
)
def test_times_a_thousandth_of_a_second_apart_are_kept_where_the_rate_can_be_true(fps, stamps_ms, times_s):
    times = PictureTimes(Fraction(fps))
    assert [times.next_s(Fraction(stamp, 1000)) for stamp in stamps_ms] == pytest.approx(times_s)


def test_true_times_are_kept_where_the_rate_is_only_the_finest_step_of_time():
    source = video(FakeVideo(range(4), fps=1000, times_s=[0, 0.033, 0.067, 0.1]), FakeClock(), paced=False)
    assert [source.read().media_time_s for _ in range(4)] == pytest.approx([0, 0.033, 0.067, 0.1])


def test_a_frame_is_shown_for_a_minute_at_most():
    clock = FakeClock()
    source = video(FakeVideo([1, 2, 3], times_s=[0, 36_000, 36_000.1]), clock)
    begun_s = clock.now_s
    while source.read().index < 2:
        pass
    assert clock.now_s - begun_s == pytest.approx(60.1)


# --- pictures


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.mp4"])
def test_a_picture_with_any_file_name_is_returned_ten_times_a_second(tmp_path, name):
    pixels = np.full((30, 40, 3), 77, np.uint8)
    (tmp_path / name).write_bytes(encode_jpeg(pixels) if name == "a.jpg" else encode_png(pixels))
    clock = FakeClock()
    begun_s = clock.now_s
    with open_source(str(tmp_path / name), clock=clock) as source:
        frames = [source.read() for _ in range(4)]
    assert isinstance(source, ImageSource)
    assert (source.name, source.state) == (name, "file")
    assert clock.now_s - begun_s == pytest.approx(0.3)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert all(abs(frame.pixels_bgr.astype(int) - 77).max() <= 1 for frame in frames)


def test_a_picture_without_loop_is_shown_for_a_second_in_which_its_face_is_confirmed(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((90, 120, 3), np.uint8)))
    clock, tracker, faces = FakeClock(), Tracker(), []
    begun_s = clock.now_s
    with pytest.raises(SourceEndedError), open_file(tmp_path / "a.png", loop=False, clock=clock) as source:
        while True:
            faces.append(tracker.update([Box(20, 20, 40, 40)], source.read().captured_at))
    assert clock.now_s - begun_s == pytest.approx(0.9)
    assert len(faces[-1]) == 1


def test_a_very_large_picture_is_scaled_down(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((1000, 4000, 3), np.uint8)))
    frame = open_file(tmp_path / "a.png").read()
    assert (frame.width, frame.height) == (MAX_IMAGE_SIDE_PX, 480)


# --- webcams, with a stand-in for OpenCV


@pytest.fixture
def devices(monkeypatch):
    """Pretend that every requested webcam exists."""
    monkeypatch.setattr(webcam, "_check_device", lambda device: None)


def opened_webcam(capture, **options):
    return WebcamSource(0, open_capture=lambda index, backend: capture, clock=FakeClock(), **options)


def test_mjpg_then_size_and_rate_are_requested_from_a_webcam_and_the_granted_ones_logged(devices, caplog):
    caplog.set_level(logging.INFO)
    capture = FakeCapture([10, 20], fps=15)
    capture.properties |= {
        cv2.CAP_PROP_FRAME_WIDTH: 640,
        cv2.CAP_PROP_FRAME_HEIGHT: 480,
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"),
    }
    source = opened_webcam(capture, size=(1920, 1080), fps=60)
    assert capture.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1920),
        (cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        (cv2.CAP_PROP_FPS, 60),
    ]
    assert "requested 1920x1080 at 60 frames per second in MJPG, granted 640x480 at 15 in YUYV" in caplog.text
    assert (source.name, source.state, source.spec) == ("Webcam 0", "live", "0")


def test_an_unplugged_webcam_raises_an_error_after_its_last_frame(devices):
    capture = FakeCapture([10, 20, None])
    source = opened_webcam(capture)
    frames = [source.read(), source.read()]
    assert [int(frame.pixels_bgr[0, 0, 0]) for frame in frames] == [10, 20]
    assert [frame.index for frame in frames] == [0, 1]
    assert [frame.media_time_s for frame in frames] == [None, None]
    with pytest.raises(SourceError, match="unplugged"):
        source.read()
    source.close()
    source.close()
    assert capture.released == 1
    with pytest.raises(SourceError):
        source.read()


def test_a_webcam_may_need_a_moment_to_start(devices):
    assert int(opened_webcam(FakeCapture([None, None, 30])).read().pixels_bgr[0, 0, 0]) == 30


def test_a_webcam_that_opens_without_frames_is_released(devices):
    capture = FakeCapture([None] * 20)
    with pytest.raises(SourceError, match="gives no picture"):
        opened_webcam(capture)
    assert capture.released == 1


def test_a_webcam_without_frames_is_given_up_soon_even_if_reads_are_slow(devices):
    clock = FakeClock()
    with pytest.raises(SourceError, match="gives no picture"):
        WebcamSource(0, open_capture=lambda *_: FakeCapture([None] * 9, clock=clock, cost_s=2), clock=clock)
    assert clock.now_s == 106
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"]  # for a read on Linux; 10 s without


def test_a_busy_webcam_is_a_clear_error(devices):
    capture = FakeCapture([], opened=False)
    with pytest.raises(SourceError, match="busy, missing") as caught:
        opened_webcam(capture)
    assert not isinstance(caught.value, SourceMissingError)
    assert capture.released == 1


def test_a_gray_webcam_gives_three_channels(devices):
    capture = FakeCapture([50])
    capture.retrieve = lambda: (True, np.full((6, 8), 50, np.uint8))  # type: ignore[method-assign]
    assert opened_webcam(capture).read().pixels_bgr.shape == (6, 8, 3)


@pytest.mark.parametrize(("platform", "backends"), [("win32", [700, 1400]), ("darwin", [0])])
def test_each_system_uses_its_own_backend(monkeypatch, platform, backends):
    monkeypatch.setattr(webcam.sys, "platform", platform)
    tried = []

    def open_capture(index, backend):
        tried.append(backend)
        return FakeCapture([], opened=False)

    with pytest.raises(SourceError):
        WebcamSource(1, open_capture=open_capture)
    assert tried == backends
    assert webcam_indices() == [0, 1, 2, 3]  # those listed in the menu


@pytest.mark.parametrize(("platform", "opened"), [("darwin", [0]), ("linux", []), ("win32", [])])
def test_only_macos_is_asked_for_camera_access_and_the_camera_released(monkeypatch, platform, opened):
    monkeypatch.setattr(webcam.sys, "platform", platform)
    capture, tried = FakeCapture([], opened=False), []
    webcam.request_camera_access(lambda index, backend: tried.append(index) or capture)
    assert tried == opened
    assert capture.released == len(opened)


@pytest.mark.parametrize(
    ("exists", "allowed", "says"), [(False, False, "no such device"), (True, False, "join the group")]
)
def test_linux_devices_are_checked_before_opencv_opens_them(monkeypatch, tmp_path, exists, allowed, says):
    monkeypatch.setattr(webcam.sys, "platform", "linux")
    monkeypatch.setattr(webcam.Path, "exists", lambda self: exists)
    monkeypatch.setattr(webcam.os, "access", lambda *_: allowed)
    with pytest.raises(SourceError, match=says):
        WebcamSource(7, open_capture=lambda *_: pytest.fail("opened"))


@pytest.fixture
def lasting_names(tmp_path, monkeypatch):
    """A folder of devices: webcam 2 by two other names, and a name that leads nowhere."""
    (tmp_path / "v4l" / "by-id").mkdir(parents=True)
    (tmp_path / "video2").touch()
    (tmp_path / "v4l" / "by-id" / "usb-Desk_C920-index0").symlink_to("../../video2")
    (tmp_path / "v4l" / "by-id" / "usb-Gone-index0").symlink_to("../../video9")
    (tmp_path / "desk").symlink_to("video2")
    (tmp_path / "clip.mp4").touch()
    monkeypatch.setattr(webcam, "DEVICES", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["v4l/by-id/usb-Desk_C920-index0", "desk"])
def test_a_webcam_is_opened_and_opened_again_by_a_lasting_name(lasting_names, monkeypatch, name):
    opened = []

    def open_webcam(index, open_capture):
        opened.append(index)
        return FakeCapture([40] * 9)

    monkeypatch.setattr(webcam, "open_webcam", open_webcam)
    spec = str(lasting_names / name)
    assert source_kind(spec) == "webcam"
    for index in (2, 5):
        with open_source(spec) as source:
            assert (source.spec, source.name) == (spec, source_name(spec))
            assert source.name == f"Webcam {name.rpartition('/')[2]}"
        assert SourceCatalog(webcams=Webcams(platform="none")).current(spec) == str(index)
        (lasting_names / f"video{index}").rename(lasting_names / "video5")  # unplugged, and plugged in again
        for link in (lasting_names / "v4l/by-id/usb-Desk_C920-index0", lasting_names / "desk"):
            link.unlink()
            link.symlink_to(lasting_names / "video5")
    assert opened == [2, 5]


def test_a_lasting_name_of_a_webcam_that_is_not_plugged_in_may_work_later(lasting_names):
    spec = str(lasting_names / "v4l" / "by-id" / "usb-Gone-index0")
    with pytest.raises(SourceError, match=r"expected a webcam at .*usb-Gone-index0, found no such device .*here: 2"):
        open_source(spec)
    assert SourceCatalog().current(spec) is None
    assert source_kind(str(lasting_names / "clip.mp4")) == "file"
    assert source_kind(str(lasting_names / "nothing")) == "file"


# --- auto


@pytest.fixture
def stand_in_faces(monkeypatch):
    monkeypatch.setattr(DemoFaces, "load", gray_faces)


@pytest.mark.parametrize(
    ("webcams", "working", "name", "spec"),
    [
        ([], [], "Demo (no webcam found)", "demo"),
        ([0, 2], [], "Demo (no webcam found)", "demo"),
        ([0, 2], [2], "Webcam 2", "2"),
        ([0, 2], [0, 2], "Webcam 0", "0"),
    ],
)
def test_auto_is_the_first_webcam_with_a_frame_or_else_the_demo(
    monkeypatch, devices, stand_in_faces, webcams, working, name, spec
):
    monkeypatch.setattr(sources, "webcam_indices", lambda: webcams)

    def open_webcam(index, **options):
        return WebcamSource(
            index, open_capture=lambda *_: FakeCapture([40] * 3 if index in working else [None] * 9), **options
        )

    monkeypatch.setattr(sources, "WebcamSource", open_webcam)
    with open_source("auto") as source:
        assert (source.name, source.spec) == (name, spec)
        assert source.read().index == 0


def test_auto_tries_no_other_webcam_once_another_source_is_shown(monkeypatch):
    tried = []

    def open_webcam(index, **_):
        tried.append(index)
        raise SourceError("it hung for a while")

    monkeypatch.setattr(sources, "webcam_indices", lambda: [0, 2])
    monkeypatch.setattr(sources, "WebcamSource", open_webcam)
    with pytest.raises(SourceError, match="no webcam is wanted"):
        open_source("auto", wanted=lambda: not tried)
    assert tried == [0]


# --- network cameras


def test_an_http_camera_returns_its_pictures_and_then_an_error():
    with network_camera() as url, open_source(f"{url}/video") as source:
        assert isinstance(source, StreamSource)
        assert (source.state, source.name) == ("live", f"{url}/video")
        frames = []
        with pytest.raises(SourceError, match="stopped"):
            while len(frames) < 100:
                frames.append(source.read())
    levels = [level(frame) for frame in frames]
    assert levels == list(range(0, 10 * len(levels), 10))
    assert len(levels) >= 24
    assert frames[0].media_time_s is None


def test_a_file_on_a_web_server_is_played_as_a_file(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", LEVELS[:5])
    with network_camera(clip) as url, open_source(f"{url}/clip.avi", loop=False, paced=False) as source:
        assert isinstance(source, VideoSource)
        assert source.state == "file"
        assert [level(source.read()) for _ in range(5)] == LEVELS[:5]
        with pytest.raises(SourceEndedError):
            source.read()


def test_a_camera_that_stops_sending_times_out(monkeypatch):
    monkeypatch.setattr(network, "URL_TIMEOUT_S", 0.5)
    with network_camera() as url:
        begun_s = time.monotonic()
        with pytest.raises(SourceError), open_source(f"{url}/silent") as source:
            for _ in range(3):
                source.read()
        assert time.monotonic() - begun_s < PATIENCE_S / 2, "not when the camera ends"


def test_no_camera_at_the_address_is_a_source_error_without_the_password(capfd):
    with network_camera() as url:
        address = url.replace("http://", "http://me:s3cret@")
        with pytest.raises(SourceError, match="expected a video stream") as caught:
            open_source(f"{address}/missing")
    with pytest.raises(SourceError, match=r"http://\*\*\*@127.0.0.1:\d+/gone"):
        open_source(f"{address}/gone")
    assert not isinstance(caught.value, SourceMissingError)
    assert "s3cret" not in str(caught.value)
    assert capfd.readouterr().err == ""


# --- the demo


STEP_S = CYCLE_S / len(EXPRESSIONS)


@pytest.fixture(scope="module")
def faces_demo():
    return DemoSource(gray_faces(), paced=False)


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("cycle", [0, 3])
def test_each_expression_is_fully_shown_for_its_time(faces_demo, index, cycle):
    begin_s = cycle * CYCLE_S + index * STEP_S
    for within_s, shown in [(0.01, True), (0.9, True), (1.89, True), (1.92, False), (2.2, False), (2.39, False)]:
        pixels, truths = faces_demo.render(begin_s + within_s)
        assert len(truths) == PEOPLE
        assert truths[0] == (EXPRESSIONS[index] if shown else None)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (HEIGHT_PX, WIDTH_PX, 3))


@pytest.mark.parametrize("count", [2, 3])
def test_faces_show_different_expressions_and_never_change_together(count):
    source = DemoSource(gray_faces(), count=count)
    seen = [source.render(i / 10)[1] for i in range(round(10 * CYCLE_S))]
    shown = [[truth for truth in truths if truth] for truths in seen]
    assert all(len(set(each)) == len(each) >= count - 1 for each in shown)
    assert all(set(column) == {*EXPRESSIONS, None} for column in zip(*seen, strict=True))


@pytest.mark.parametrize(("count", "person"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_the_middle_of_a_face_shows_the_current_expression_and_changes_gradually(count, person):
    source = DemoSource(gray_faces(), count=count)
    ahead_s = CYCLE_S * (1 - person / count)

    def level_in_the_middle(time_s):
        x, y, side = face_place(time_s, person, count)
        return int(source.render(time_s)[0][round(y + side / 2), round(x + side / 2), 2])

    still = [level_in_the_middle(ahead_s + index * STEP_S + 0.6) for index in range(7)]
    assert still == sorted(set(still)), "the darkest stand-in is the first, the lightest the last"
    change = [level_in_the_middle(ahead_s + STEP_S + SHOWN_S + 0.05 * step) for step in range(11)]
    assert change == sorted(change)
    assert still[1] < change[5] < still[2]


def test_features_move_while_an_expression_changes():
    """A bright line is 16 pixels lower in the second texture: halfway through, it is one line in the middle."""
    textures = np.full((1, 7, 160, 160), 60, np.uint8)
    textures[:, :, 78:82] = 250
    offsets = np.zeros((1, 7, GRID, GRID, 2), np.float32)
    offsets[:, 1, :, :, 1] = 16
    source = DemoSource(DemoFaces(textures, offsets), count=1)

    def line(time_s):
        x, y, side = face_place(time_s)
        rows = source.render(time_s)[0][round(y) : round(y + side), round(x + side / 2), 2].astype(int)
        bright = np.flatnonzero(rows > rows.max() - 30)
        assert np.ptp(bright) < 12
        return bright.mean() / side

    begin, halfway, end = line(SHOWN_S - 0.1), line(SHOWN_S + 0.25), line(SHOWN_S + 0.6)
    assert begin > halfway > end
    assert halfway == pytest.approx((begin + end) / 2, abs=0.02)


def test_rendering_depends_only_on_time(faces_demo):
    first = faces_demo.render(4.321)[0]
    first_copy = first.copy()
    first[:] = 0  # a caller may modify its frame
    faces_demo.render(9.9)
    assert np.array_equal(faces_demo.render(4.321)[0], first_copy)
    assert np.array_equal(DemoSource(gray_faces()).render(4.321)[0], first_copy)


@pytest.mark.parametrize(
    ("count", "person", "sides_px"),
    [(1, 0, (190, 230)), *((2, i, (130, 180)) for i in range(2)), *((3, i, (110, 180)) for i in range(3))],
)
def test_a_face_stays_inside_at_a_suitable_size_and_moves_slowly(count, person, sides_px):
    positions = np.array([face_place(i / 30, person, count) for i in range(30 * 600)])
    x, y, side = positions.T
    assert x.min() >= 0
    assert y.min() >= 0
    assert (x + side).max() <= WIDTH_PX - 1
    assert (y + side).max() <= HEIGHT_PX - 1
    assert side.min() >= sides_px[0]
    assert side.max() <= sides_px[1]
    steps = np.abs(np.diff(positions, axis=0))
    assert steps.max() < 4  # pixels a frame
    assert steps.max(axis=1).min() > 0  # never still


@pytest.mark.parametrize("count", [2, 3])
def test_faces_never_overlap(count):
    for i in range(3 * 600):
        boxes = [Box(*(round(value) for value in (x, y, side, side)))
                 for x, y, side in (face_place(i / 3, person, count) for person in range(count))]  # fmt: skip
        assert all(a.iou(b) == 0 for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_face_has_no_hard_border(count):
    pixels, _ = DemoSource(gray_faces(), count=count).render(6 * STEP_S + 0.5)  # the brightest on the dark background
    gray = pixels.max(axis=2).astype(int)
    assert max(np.abs(np.diff(gray, axis=0)).max(), np.abs(np.diff(gray, axis=1)).max()) < 25


def test_the_demo_has_thirty_frames_a_second_and_skips_late_ones():
    clock = FakeClock()
    source = DemoSource(gray_faces(), clock=clock)
    begun_s = clock.now_s
    frames = [source.read() for _ in range(31)]
    assert clock.now_s - begun_s == pytest.approx(1.0)
    assert [frame.index for frame in frames] == list(range(31))
    clock.advance(2.0)
    late = source.read()
    assert late.index == 90
    assert late.media_time_s == pytest.approx(3.0)
    assert late.truth == "disgust"
    pixels, truths = source.render(3.0)
    assert np.array_equal(late.pixels_bgr, pixels)
    assert late.truths == truths


def test_the_unpaced_demo_returns_every_frame_of_a_cycle():
    clock = FakeClock()
    source = DemoSource(gray_faces(), paced=False, clock=clock)
    truths = [source.read().truths for _ in range(504)]
    for column in zip(*truths, strict=True):
        counts = [column.count(truth) for truth in EXPRESSIONS]
        assert max(counts) <= 58
        assert min(counts) >= 57
    assert clock.slept_s == []


def test_a_demo_frame_is_cheap(faces_demo):
    def cost_s():  # processor time of this thread: this computer may be busy with other tasks
        begun_s = time.thread_time()
        for i in range(20):
            faces_demo.render(i / 2)
        return (time.thread_time() - begun_s) / 20

    assert min(cost_s() for _ in range(5)) < scaled(0.005)


def test_faces_are_read_from_the_file_they_were_written_to(tmp_path):
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 256, (2, 7, 24, 24), np.uint8)
    offsets = rng.integers(-80, 81, (2, 7, GRID, GRID, 2)).astype(np.float32) / 4
    DemoFaces(textures, offsets).save(tmp_path / "faces.npz")
    read = DemoFaces.load(tmp_path / "faces.npz")
    assert np.array_equal(read.textures, textures)
    assert np.array_equal(read.offsets, offsets)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


SHEET = cv2.imencode(".png", np.zeros((10, 70), np.uint8))[1].ravel()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "No data"),
        (b"no archive", "pickle"),
        (npz(sheet=SHEET)[:50], "not a zip file"),
        (npz(sheet=SHEET), "offsets"),
        (npz(sheet=SHEET, offsets=np.zeros((1, 7, 3, 3, 2), np.int8)), "expected offsets of shape"),
        (npz(sheet=SHEET[:20], offsets=np.zeros((1, 7, GRID, GRID, 2), np.int8)), "its picture cannot be decoded"),
    ],
)
def test_an_invalid_file_of_faces_is_a_clear_error(tmp_path, content, says):
    path = tmp_path / "faces.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceMissingError, match=f"expected the demo's faces in .*{says}"):
        DemoFaces.load(path)


@pytest.mark.parametrize(
    "textures", [np.zeros((1, 6, 9, 9), np.uint8), np.zeros((1, 7, 9, 9), np.float32), np.zeros((9, 9), np.uint8)]
)
def test_invalid_textures_are_refused(textures):
    with pytest.raises(ValueError, match="expected uint8 textures"):
        DemoFaces(textures, np.zeros((1, 7, GRID, GRID, 2), np.float32))


@pytest.mark.parametrize(("people", "count"), [(3, 0), (3, 4), (1, 2)])
def test_more_faces_than_exist_are_refused(people, count):
    with pytest.raises(ValueError, match=f"expected 1 to {people} faces, found {count}"):
        DemoSource(gray_faces(people=people), count=count)


def test_the_faces_that_come_with_the_program_can_be_read_and_differ():
    faces = DemoFaces.load()
    assert faces.textures.shape[:2] == (PEOPLE, 7)
    flat = faces.textures.reshape(PEOPLE * 7, -1)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert FACES_FILE.stat().st_size < 400_000


@pytest.mark.shared
@pytest.mark.skipif(not SHARED_CLIP.exists(), reason="../shared/media/expressions.mp4 is missing")
def test_a_real_clip_is_played_whole():
    with open_file(SHARED_CLIP, loop=False, paced=False) as source:
        frames = 0
        last = None
        while True:
            try:
                last = source.read()
            except SourceEndedError:
                break
            frames += 1
    assert frames == 472
    assert last is not None
    assert (last.width, last.height, last.index) == (640, 360, 471)
    assert last.media_time_s == pytest.approx(471 / 23.976, abs=0.01)
