"""`analyze --video`: the annotated video has the frames, times and sound of its file, and no face with --privacy."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import main
import mien.batch.sound as sound_module
from mien.batch.frames import Reading, Sampling, Timing, read_frames
from mien.batch.options import read_analyze_settings
from mien.batch.sound import Sound
from mien.batch.video import AnnotatedVideo, video_notes
from mien.errors import SourceMissingError
from mien.sources.demo import face_place
from mien.types import Analysis, Face
from tests.clips import demo_pictures, files_of, rotate_by_metadata, write_video
from tests.web_fakes import face_showing

ADTS_BYTES = 7
"""Header of each packet of AAC in MPEG-TS, which MP4 files do not have."""
VARYING_S = [0.0, 0.04, 0.08, 0.5, 0.51, 1.1, 1.14, 1.9]


def gray(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def rewrite(source: Path, sampling: Sampling | None = None, faces: Sequence[Face] = ()) -> tuple[Path, dict]:
    """Write the annotated video of a file as `analyze` does, without a network."""
    sampling, reading = sampling or Sampling(), Reading()
    folder = source.parent / "out"
    folder.mkdir()
    video = AnnotatedVideo(folder, source, reading, sampling.end_s)
    for frame in read_frames(source, sampling, reading, video.show_between):
        video.show(frame, Analysis(frame.width, frame.height, tuple(faces)))
    facts = video.close()
    return folder / facts["file"], facts


def pictures_of(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Times in seconds and pixels of all frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [float(each.pts * each.time_base) for each in frames], [
            each.to_ndarray(format="bgr24") for each in frames
        ]


def packets_of(path: Path) -> list[tuple[float, bytes]]:
    """Times in seconds and bytes of all packets of the sound."""
    with av.open(str(path)) as container:
        return [(float(each.pts * each.time_base), bytes(each)) for each in container.demux(audio=0) if each.size]


def samples_of(path: Path, start_s: float, end_s: float) -> np.ndarray:
    """The sound of a stretch, mono, as its times say."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            time_s, values = float(frame.pts * frame.time_base), frame.to_ndarray()[0].astype(float)
            times_s = time_s + np.arange(len(values)) / frame.sample_rate
            found.append(values[(times_s >= start_s - 1e-6) & (times_s < end_s - 1e-6)])
    return np.concatenate(found)


@pytest.mark.parametrize("times_s", [None, VARYING_S], ids=["constant", "varying"])
@pytest.mark.parametrize(
    ("suffix", "codec", "sound", "name"),
    [
        ("mp4", "mpeg4", "aac", "annotated.mp4"),
        ("mkv", "libx264", "libopus", "annotated.mp4"),
        ("mkv", "mpeg4", "libmp3lame", "annotated.mp4"),
        ("mkv", "mpeg4", "pcm_s16le", "annotated.mkv"),
    ],
)
def test_frames_times_and_sound_are_those_of_the_file(tmp_path, suffix, codec, sound, name, times_s):
    pictures = [gray(30 * i) for i in range(8)]
    clip = write_video(tmp_path / f"clip.{suffix}", pictures, times_s, codec, sound)
    written, facts = rewrite(clip)
    assert written.name == facts["file"] == name
    with av.open(str(written)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
    times, shown = pictures_of(written)
    expected, originals = pictures_of(clip)
    assert times == pytest.approx(np.subtract(expected, expected[0]), abs=1e-3 if suffix == "mkv" else 1e-6)
    assert [np.median(each[:24]) for each in shown] == pytest.approx([np.median(each) for each in originals], abs=6)
    assert [data for _, data in packets_of(written)] == [data for _, data in packets_of(clip)]
    assert [at for at, _ in packets_of(written)] == pytest.approx([at for at, _ in packets_of(clip)], abs=2e-3)
    assert facts["sound"][0]["packets"] == len(packets_of(clip))


@pytest.mark.parametrize(("name", "lasts_s"), [("clip.mkv", 0.76), ("clip.mp4", 0.04)], ids=["not stated", "stated"])
def test_the_last_frame_lasts_as_long_as_in_the_tables(tmp_path, name, lasts_s):
    written, _ = rewrite(write_video(tmp_path / name, [gray(9)] * 8, VARYING_S))
    with av.open(str(written)) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(VARYING_S[-1] + lasts_s, abs=1e-3)


def test_a_video_without_sound_has_none(tmp_path):
    written, facts = rewrite(write_video(tmp_path / "clip.mp4", [gray(9)] * 3))
    assert facts["sound"] == []
    assert video_notes(facts) == []
    with av.open(str(written)) as container:
        assert not container.streams.audio


def test_of_an_odd_size_the_last_row_and_column_are_left_out_and_that_is_said(tmp_path):
    written, facts = rewrite(write_video(tmp_path / "odd.avi", [gray(120, 63, 47)] * 3, codec="mjpeg"))
    assert pictures_of(written)[1][0].shape == (46, 62, 3)
    assert facts["cut_px"] == [1, 1]
    assert video_notes(facts) == [
        "annotated.mp4 lacks the last column and the last row of pixels, because H.264 needs even sizes"
    ]


def test_frames_are_upright(tmp_path):
    picture = gray(0)
    picture[:24, :32] = 255  # the upper left quarter
    written, _ = rewrite(rotate_by_metadata(write_video(tmp_path / "phone.mp4", [picture] * 3), 64, 48))
    for shown in pictures_of(written)[1]:
        assert shown.shape == (64, 48, 3)
        assert shown[:24, 30:].mean() > 200, "turned clockwise, it is at the upper right"


@pytest.mark.parametrize("sound", ["aac", "libopus", "pcm_s16le"])
def test_a_stretch_has_its_own_sound_in_sync(tmp_path, sound):
    clip = write_video(tmp_path / "clip.mkv", [gray(4 * i) for i in range(50)], sound=sound)
    written, facts = rewrite(clip, Sampling(start_s=0.5, end_s=1.4))
    times, shown = pictures_of(written)
    assert facts["starts_at_s"] == 0.52
    assert times == pytest.approx([i / 25 for i in range(22)], abs=1e-3)
    assert np.median(shown[0][:10]) == pytest.approx(4 * 13, abs=6)
    packets = packets_of(written)
    assert {data for _, data in packets} <= {data for _, data in packets_of(clip)}
    assert max(at for at, _ in packets) < 1.4 - 0.52
    heard, expected = samples_of(written, 0.1, 0.8), samples_of(clip, 0.62, 1.32)
    count = min(len(heard), len(expected))
    assert count == pytest.approx(0.7 * 48000, abs=100)
    shifts = [
        np.corrcoef(heard[200 + by : count - 200 + by], expected[200 : count - 200])[0, 1] for by in range(-99, 99)
    ]
    assert max(shifts) > 0.99, "a millisecond is 48 samples, and the file has no finer times"


def test_the_sound_of_a_video_with_a_title_in_any_encoding_is_kept(tmp_path):
    clip = write_video(tmp_path / "clip.avi", [gray(9)] * 5, codec="mjpeg", sound="libmp3lame")
    data = clip.read_bytes()
    start = data.index(b"INFOISFT")  # the name of the program that wrote it, in a list of tags
    (length,) = struct.unpack_from("<I", data, start + 8)
    tag = b"INFOINAM" + struct.pack("<I", length) + b"Caf\xe9".ljust(length, b"x")
    clip.write_bytes(data.replace(data[start : start + 12 + length], tag))
    written, facts = rewrite(clip)
    assert facts["sound"][0]["packets"] == len(packets_of(written)) > 0


def test_only_the_demuxer_of_the_video_is_tried_for_its_sound(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_text("ffconcat version 1.0\nfile 'other.mp4'\n")
    with pytest.raises(SourceMissingError, match="a playlist"):
        Sound(clip, Timing(Fraction(0), Fraction(1, 1000), Fraction(1, 25)), 0.0, None)


def test_sound_that_begins_before_the_first_frame_stays_in_sync(tmp_path):
    clip = write_video(tmp_path / "clip.mkv", [gray(9)] * 40, [0.5 + i / 25 for i in range(40)], sound="aac")
    written, _ = rewrite(clip)
    assert pictures_of(written)[0][:2] == pytest.approx([0.0, 0.04], abs=1e-3)
    kept = packets_of(written)
    begun = dict(zip((data for _, data in packets_of(clip)), (at for at, _ in packets_of(clip)), strict=True))
    assert [at + 0.5 for at, _ in kept] == pytest.approx([begun[data] for _, data in kept], abs=2e-3)
    assert kept[-1][1] == packets_of(clip)[-1][1]


def test_sound_stays_in_sync_where_time_stamps_go_back(tmp_path):
    part = write_video(tmp_path / "part.ts", [gray(9 * i) for i in range(24)], [i / 2 for i in range(24)], sound="aac")
    clip = tmp_path / "clip.ts"
    clip.write_bytes(2 * part.read_bytes())
    written, _ = rewrite(clip)
    times = pictures_of(written)[0]
    assert len(times) == 48
    assert times[-1] == pytest.approx(23.5, abs=0.6)
    fifth = packets_of(part)[5][1][ADTS_BYTES:]
    starts = [at for at, data in packets_of(written) if data == fifth]
    assert len(starts) == 2
    assert starts[1] - starts[0] == pytest.approx(times[24] - times[0], abs=0.6), "half a second is from frame to frame"


def test_a_packet_of_sound_that_cannot_be_written_ends_the_sound_and_not_the_video(tmp_path, monkeypatch):
    moved = Sound._moved

    def broken(self: Sound, packet):
        packet = moved(self, packet)
        if packet.pts * packet.time_base > 0.5:
            packet.pts = packet.dts = 0
        return packet

    monkeypatch.setattr(Sound, "_moved", broken)
    written, facts = rewrite(write_video(tmp_path / "clip.mp4", [gray(9)] * 30, sound="aac"))
    assert len(pictures_of(written)[0]) == 30
    assert facts["sound_problem"].startswith("it cannot be written further: ")
    assert packets_of(written)[-1][0] == pytest.approx(0.5, abs=0.05)
    (note,) = video_notes(facts)
    assert note.startswith("annotated.mp4 has not all of the sound: it cannot be written further")


class GrowingContainer:
    """A container in which another stream has appeared: PyAV fails after the last packet."""

    def __init__(self, container):
        self._container = container

    def __getattr__(self, name):
        return getattr(self._container, name)

    def demux(self, streams):
        yield from self._container.demux(streams)
        raise IndexError("list index out of range")


def test_a_stream_that_appears_meanwhile_costs_no_sound(tmp_path, monkeypatch):
    opened = sound_module.open_video_file
    monkeypatch.setattr(sound_module, "open_video_file", lambda *args: GrowingContainer(opened(*args)))
    clip = write_video(tmp_path / "clip.mp4", [gray(9)] * 10, sound="aac")
    written, facts = rewrite(clip)
    assert len(packets_of(written)) == len(packets_of(clip))
    assert "sound_problem" not in facts


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_of_the_results(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", [gray(9)] * 3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "annotated.mp4").symlink_to("/dev/full")
    reading = Reading()
    video = AnnotatedVideo(tmp_path / "out", clip, reading, None)
    with pytest.raises(OSError, match="No space left"):
        for frame in read_frames(clip, reading=reading):
            video.show(frame, Analysis(64, 48))
        video.close()
    video.abandon()


def test_with_a_rate_all_frames_are_written_with_the_last_analysis(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", [gray(90, 320, 240)] * 25)
    written, facts = rewrite(clip, Sampling(fps=5), [face_showing("happy", 1)])
    times, shown = pictures_of(written)
    assert facts["frames"] == len(times) == 25
    assert all(np.abs(each[40:200, 30:160].astype(int) - 90).max() > 60 for each in shown), "the box is in each"


def test_without_the_encoder_one_line_says_what_is_missing(monkeypatch, capsys, tmp_path):
    clip = write_video(tmp_path / "clip.mp4", [gray(9)] * 3)
    monkeypatch.setattr(av, "codecs_available", frozenset({"mpeg4"}))
    assert main.main(["analyze", str(clip), "--out", str(tmp_path / "out"), "--video"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mien: --video: expected the package av with the H.264 encoder libx264, found av")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["1", "locked"])
def test_the_variable_for_privacy_in_the_live_program_counts_here_too(value):
    settings, _ = read_analyze_settings(["clip.mp4", "--out", "out"], {"MIEN_PRIVACY": value, "MIEN_FPS": "30"})
    assert (settings.privacy, settings.fps) == (True, None)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Two people; then, after a cut within a second of the video, one in another place."""
    folder = tmp_path_factory.mktemp("people")
    return write_video(folder / "clip.mp4", [*demo_pictures(35, people=2), *demo_pictures(25)], sound="aac")


def face_regions(index: int) -> list[tuple[slice, slice]]:
    """Where the faces of `people` are in a frame, by how the demo draws them."""
    at = [face_place(index / 30, person, 2) for person in (0, 1)] if index < 35 else [face_place((index - 35) / 30)]
    return [(slice(round(y), round(y + side)), slice(round(x), round(x + side))) for x, y, side in at]


def details(pixels: np.ndarray) -> np.ndarray:
    shade = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return cv2.GaussianBlur(shade, (0, 0), 2) - cv2.GaussianBlur(shade, (0, 0), 6)


def likeness(source: Path, written: Path) -> list[float]:
    """How much of the details of each face of each frame can be seen, 1 for all of them."""
    found = []
    for index, (pixels, shown) in enumerate(zip(pictures_of(source)[1], pictures_of(written)[1], strict=True)):
        for region in face_regions(index):
            a, b = details(pixels)[region].ravel(), details(shown)[region].ravel()
            found.append(float(np.dot(a, b) / np.dot(a, a)))
    return found


@pytest.fixture(scope="module")
def shown(people, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("shown") / "out"
    assert main.main(["analyze", str(people), "--out", str(out), "--video"]) == 0
    return out / "clip"


@pytest.mark.parametrize("words", [(), ("--fps", "2")], ids=["every frame", "two per second"])
def test_privacy_leaves_no_face_in_any_frame(people, shown, tmp_path, words):
    out = tmp_path / "out"
    report = () if words else ("--report",)
    assert main.main(["analyze", str(people), "--out", str(out), "--video", "--privacy", *report, *words]) == 0
    described = json.loads((out / "clip" / "mien.json").read_text())
    assert described["settings"]["privacy"]
    assert described["video"]["faces"] == "covered"
    assert max(likeness(people, out / "clip" / "annotated.mp4")) < 0.3
    assert min(likeness(people, shown / "annotated.mp4")) > 0.8, "without privacy they can be seen"
    if report:
        assert "data:image/jpeg" not in (out / "clip" / "report.html").read_text()


def test_the_tables_are_the_same_with_and_without_video_and_so_is_the_video_each_time(people, shown, tmp_path):
    for name, words in (("tables", []), ("again", ["--video"])):
        assert main.main(["analyze", str(people), "--out", str(tmp_path / name), *words]) == 0
    first, again, tables = (
        files_of(shown),
        files_of(tmp_path / "again" / "clip"),
        files_of(tmp_path / "tables" / "clip"),
    )
    for each in (first, again, tables):
        del each["mien.json"]
    assert again == first
    assert set(first) - set(tables) == {"annotated.mp4"}
    assert tables == {name: data for name, data in first.items() if name != "annotated.mp4"}
