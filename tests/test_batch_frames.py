"""Frames of videos in media time: every frame, upright, whatever the file's rate, rotation and size."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import mien.batch.frames as frames_module
from mien.batch.frames import Reading, Sampling, read_frames
from tests.clips import damage, rotate_by_metadata, write_video


def gray(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def steps(tmp_path):
    """50 frames, two seconds."""
    return write_video(tmp_path / "steps.mp4", [gray(4 * i) for i in range(50)])


def test_a_variable_frame_rate_keeps_the_times_of_the_file(tmp_path):
    times_s = [0.0, 0.04, 0.08, 0.5, 0.51, 1.7, 3.0]
    clip = write_video(tmp_path / "varying.mp4", [gray(30 * i) for i in range(7)], times_s)
    frames = list(read_frames(clip))
    assert [frame.media_time_s for frame in frames] == pytest.approx(times_s, abs=1e-3)
    assert [frame.index for frame in frames] == list(range(7))
    levels = [frame.pixels_bgr.mean() for frame in frames]
    assert levels == pytest.approx([30 * i for i in range(7)], abs=6)


@pytest.mark.parametrize(("suffix", "codec"), [("h264", "libx264"), ("m4v", "mpeg4"), ("mjpeg", "mjpeg")])
def test_a_file_without_times_and_duration_has_the_times_of_its_frame_rate(tmp_path, suffix, codec):
    clip = write_video(tmp_path / f"bare.{suffix}", [gray(4 * i) for i in range(30)], codec=codec)
    reading = Reading()
    times_s = [frame.media_time_s for frame in read_frames(clip, reading=reading)]
    assert len(times_s) == reading.frames == 30
    assert np.diff(times_s) == pytest.approx(0.04, abs=1e-3)
    assert reading.end_s == pytest.approx(1.2, abs=0.01)


def test_a_rate_picks_from_a_variable_frame_rate_by_time(tmp_path):
    clip = write_video(tmp_path / "varying.mp4", [gray(9)] * 6, [0.0, 0.1, 0.2, 0.9, 1.05, 1.1])
    assert [frame.index for frame in read_frames(clip, Sampling(fps=2))] == [0, 3, 4]


def test_frames_are_rotated_as_the_file_asks(tmp_path):
    picture = gray(0)
    picture[:24, :32] = 255  # the upper left quarter
    clip = rotate_by_metadata(write_video(tmp_path / "phone.mp4", [picture] * 3), 64, 48)
    for frame in read_frames(clip):
        assert (frame.width, frame.height) == (48, 64)
        assert frame.pixels_bgr[:28, 28:].mean() > 200, "turned clockwise, it is at the upper right"
        assert frame.pixels_bgr[36:].mean() < 50


@pytest.mark.parametrize(("width", "height"), [(63, 47), (65, 48), (48, 33)])
def test_odd_sizes_are_kept(tmp_path, width, height):
    clip = write_video(tmp_path / "odd.avi", [gray(120, width, height)] * 3, codec="mjpeg")
    frames = list(read_frames(clip))
    assert [(frame.width, frame.height) for frame in frames] == [(width, height)] * 3
    assert frames[0].pixels_bgr.mean() == pytest.approx(120, abs=4)


@pytest.mark.parametrize(
    ("sampling", "indices"),
    [
        (Sampling(), range(50)),
        (Sampling(start_s=1.0), range(25, 50)),
        (Sampling(end_s=0.4), range(10)),
        (Sampling(start_s=0.5, end_s=0.6), range(13, 15)),
        (Sampling(fps=5, start_s=1.0), range(25, 50, 5)),
        (Sampling(fps=1000), range(50)),
        (Sampling(start_s=9), []),
    ],
)
def test_start_end_and_rate_select_by_media_time(steps, sampling, indices):
    assert [frame.index for frame in read_frames(steps, sampling)] == list(indices)


def test_what_was_read_is_counted(steps):
    reading = Reading()
    list(read_frames(steps, Sampling(fps=5), reading))
    assert reading.frames == 50
    assert reading.end_s == pytest.approx(2.0, abs=1e-3)
    assert reading.duration_s == pytest.approx(2.0, abs=0.05)
    assert reading.unreadable == []


def test_parts_that_cannot_be_decoded_are_listed_and_the_rest_is_read(tmp_path):
    clip = write_video(tmp_path / "broken.avi", [gray(5 * i) for i in range(40)], codec="mjpeg")
    damage(clip, 10, 20)
    reading = Reading()
    frames = list(read_frames(clip, reading=reading))
    assert len(frames) == 38
    assert [time_s for time_s, _ in reading.unreadable] == pytest.approx([0.4, 0.8])
    assert all(reason for _, reason in reading.unreadable)


def test_a_part_that_cannot_be_decoded_before_the_first_frame_has_no_time(tmp_path):
    clip = write_video(tmp_path / "broken.avi", [gray(5 * i) for i in range(40)], codec="mjpeg")
    damage(clip, 0, 20)
    reading = Reading()
    assert len(list(read_frames(clip, reading=reading))) == 38
    assert [time_s for time_s, _ in reading.unreadable] == [None, pytest.approx(0.76)]


def test_pictures_are_freed_without_waiting_for_the_garbage_collector(steps):
    gc.collect()
    gc.disable()
    try:
        for _ in read_frames(steps):
            pass
        left = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    assert left < 10


def test_only_the_first_parts_that_cannot_be_decoded_are_listed_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "MOST_LISTED", 3)
    clip = write_video(tmp_path / "broken.avi", [gray(5 * i) for i in range(30)], codec="mjpeg")
    damage(clip, *range(5, 15))
    reading = Reading()
    assert len(list(read_frames(clip, reading=reading))) == 20
    assert ([time_s for time_s, _ in reading.unreadable], reading.unreadable_parts) == ([0.2, 0.24, 0.28], 10)
    assert reading.faults == "10 parts of the video cannot be decoded"


def test_a_damaged_video_is_decoded_to_the_same_pixels_each_time(tmp_path):
    """Several at once, so that threads of a decoder would run in another order each time."""
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    pictures = [np.roll(cv2.GaussianBlur(noise, (9, 9), 0), 3 * number, axis=1) for number in range(80)]
    clip = write_video(tmp_path / "hurt.mkv", pictures, codec="libx264", options={"g": "40"})
    data = bytearray(clip.read_bytes())
    for start in range(len(data) // 10, len(data) - 200, len(data) // 8):
        data[start : start + 100] = noise.tobytes()[:100]
    clip.write_bytes(data)
    with ThreadPoolExecutor(4) as together:
        runs = list(together.map(lambda _: [frame.pixels_bgr.tobytes() for frame in read_frames(clip)], range(8)))
    assert all(run == runs[0] for run in runs)
    whole = write_video(tmp_path / "whole.mkv", pictures, codec="libx264", options={"g": "40"})
    assert runs[0] != [frame.pixels_bgr.tobytes() for frame in read_frames(whole)]


class BreakingOff:
    """A container of which no more than 10 packets can be read."""

    def __init__(self, container):
        self._container = container

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, stream):
        yield from islice(self._container.demux(stream), 10)
        raise av.error.InvalidDataError(1094995529, "Invalid data found")


def test_a_file_that_breaks_off_keeps_all_frames_up_to_there(steps, monkeypatch):
    opened = frames_module.open_video

    @contextmanager
    def broken(path):
        with opened(path) as (container, video):
            yield BreakingOff(container), video

    monkeypatch.setattr(frames_module, "open_video", broken)
    reading = Reading()
    assert [frame.index for frame in read_frames(steps, reading=reading)] == list(range(10))
    assert reading.faults == "the file breaks off after 0.4 s: Invalid data found"


@pytest.mark.parametrize("name", ["slides.mp4", "slides.mkv"])
def test_a_video_whose_last_frame_lasts_long_is_complete(tmp_path, name):
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(1, 5))  # a slide every five seconds
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for level in range(8):
            picture = np.full((48, 64, 3), 20 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    reading = Reading()
    assert len(list(read_frames(tmp_path / name, reading=reading))) == 8
    assert (reading.end_s, reading.faults) == (40.0, None)


def test_the_end_of_an_animation_is_held_for_as_long_as_it_says(tmp_path):
    first, *others = (Image.fromarray(gray(60 * level)) for level in range(4))
    first.save(tmp_path / "held.gif", save_all=True, append_images=others, duration=[100, 100, 100, 5000])
    reading = Reading()
    assert len(list(read_frames(tmp_path / "held.gif", reading=reading))) == 4
    assert reading.end_s == pytest.approx(5.3)


@pytest.mark.parametrize("name", ["cut.mkv", "cut.avi"])
def test_a_file_that_was_cut_off_says_how_much_is_missing(tmp_path, name):
    clip = write_video(tmp_path / name, [gray(i) for i in range(200)], codec="mjpeg")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    reading = Reading()
    found = list(read_frames(clip, reading=reading))
    assert 60 < len(found) < 180
    assert reading.remarks == [f"the last frame is at {found[-1].media_time_s:.1f} s of 8.0 s"]
    wanted = Reading()
    list(read_frames(clip, Sampling(end_s=1), wanted))
    assert wanted.faults is None, "what was asked for is there"


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_an_invalid_rate_is_refused(fps):
    with pytest.raises(ValueError, match="fps: expected a number above 0"):
        Sampling(fps=fps)
