"""`--start` decodes from a key frame: numbers, times and pixels are those of a video decoded from its beginning."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import mien.batch.frames as frames_module
from mien.batch.frames import Reading, Sampling, read_frames
from tests.clips import damage, write_video

VARYING_S = np.cumsum([0.0, *np.random.default_rng(1).choice([0.02, 0.033, 0.05, 0.12], 99)]).round(3).tolist()
EVEN_S = [number / 25 for number in range(100)]

OPEN_GOP = {"x264-params": "keyint=20:open-gop=1:bframes=3:scenecut=0"}
INTRA_REFRESH = {"x264-params": "keyint=20:intra-refresh=1"}
VP9 = {"deadline": "realtime", "lag-in-frames": "8", "g": "20"}
VP8 = VP9 | {"auto-alt-ref": "1"}


def pictures() -> list[np.ndarray]:
    """Moving textures, so that a frame decoded without those it depends on is different."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8), (9, 9), 0)
    return [np.roll(noise, 3 * number, axis=1) for number in range(100)]


def selected(clip, start_s: float, sampling: Sampling, reading: Reading | None = None) -> list:
    frames = read_frames(clip, sampling, reading)
    return [
        (frame.index, frame.media_time_s, frame.pixels_bgr.tobytes())
        for frame in frames
        if (frame.media_time_s or 0.0) >= start_s
    ]


@pytest.mark.parametrize(
    ("name", "codec", "options", "times_s"),
    [
        ("a.mp4", "libx264", {"g": "20", "bf": "3"}, VARYING_S),
        ("a.mkv", "libx264", {"g": "20", "bf": "3"}, VARYING_S),
        ("open.mp4", "libx264", OPEN_GOP, VARYING_S),
        ("open.ts", "libx264", OPEN_GOP, VARYING_S),
        ("a.mov", "mpeg4", {"g": "12", "bf": "2"}, VARYING_S),
        ("a.webm", "libvpx-vp9", VP9, VARYING_S),
        ("a.avi", "mjpeg", {}, EVEN_S),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99, 1.5])
def test_frames_are_those_of_a_video_decoded_from_its_beginning(tmp_path, name, codec, options, times_s, share):
    clip = write_video(tmp_path / name, pictures(), times_s, codec, options=options)
    start_s = max(0.001, share * times_s[-1])
    reading, whole = Reading(), Reading()
    found = selected(clip, start_s, Sampling(start_s=start_s), reading)
    assert found == selected(clip, start_s, Sampling(), whole)
    assert len(found) == sum(time_s >= start_s for time_s in times_s)
    assert (reading.decoded_from_start, reading.faults) == (None, None)
    assert reading.passed_over + reading.frames == whole.frames == 100
    assert (reading.passed_over > 0) == (share >= 0.3)
    assert (reading.end_s, reading.duration_s) == (whole.end_s, whole.duration_s)


@pytest.mark.parametrize(
    ("name", "codec", "options", "reason"),
    [
        ("refreshed.ts", "libx264", INTRA_REFRESH, "frames that need those before"),
        ("a.webm", "libvpx", VP8, "vp8 has frames that are not shown"),
        ("bare.h264", "libx264", {}, "frames without a time stamp"),
    ],
)
def test_where_packets_do_not_say_enough_all_frames_are_decoded(tmp_path, name, codec, options, reason):
    clip = write_video(tmp_path / name, pictures(), None, codec, options=options)
    reading = Reading()
    found = selected(clip, 2.0, Sampling(start_s=2.0), reading)
    assert found == selected(clip, 2.0, Sampling())
    assert reason in (reading.decoded_from_start or "")
    assert (reading.passed_over, reading.frames) == (0, 100)


@pytest.mark.parametrize("start_s", [2.0, 5.0])
def test_after_time_stamps_that_go_back_all_frames_are_decoded(tmp_path, start_s):
    """Recordings put together: the time stamps of the second begin with those of the first."""
    first = write_video(tmp_path / "first.ts", pictures(), EVEN_S, "libx264", options={"g": "20"})
    clip = tmp_path / "both.ts"
    clip.write_bytes(2 * first.read_bytes())
    reading = Reading()
    found = selected(clip, start_s, Sampling(start_s=start_s), reading)
    assert found == selected(clip, start_s, Sampling())
    assert len(found) > 70
    assert (reading.decoded_from_start is None) == (start_s < 4)


def test_a_broken_key_frame_is_decoded_around(tmp_path):
    clip = damage(write_video(tmp_path / "a.avi", pictures(), EVEN_S, "mjpeg"), 50)
    reading = Reading()
    found = selected(clip, 2.0, Sampling(start_s=2.0), reading)
    assert found == selected(clip, 2.0, Sampling())
    assert reading.decoded_from_start is not None
    assert reading.unreadable_parts == 1


def test_an_index_that_leads_elsewhere_is_not_trusted(tmp_path, monkeypatch):
    clip = write_video(tmp_path / "a.mp4", pictures(), VARYING_S, "libx264", options={"g": "20"})
    find = frames_module.find_key_frame

    def find_another(container, video, start_s):
        key = find(container, video, start_s)
        return type(key)(key.pts + 1, key.dts, key.before, key.following)

    monkeypatch.setattr(frames_module, "find_key_frame", find_another)
    reading = Reading()
    found = selected(clip, 2.0, Sampling(start_s=2.0), reading)
    assert found == selected(clip, 2.0, Sampling())
    assert reading.decoded_from_start == "its index does not lead to the key frame"


def test_a_rate_selects_the_same_frames_after_seeking(tmp_path):
    clip = write_video(tmp_path / "a.mp4", pictures(), VARYING_S, "libx264", options={"g": "20"})
    found = selected(clip, 2.0, Sampling(fps=5, start_s=2.0, end_s=3.5))
    assert found == selected(clip, 2.0, Sampling(fps=5, end_s=3.5))
    assert found
