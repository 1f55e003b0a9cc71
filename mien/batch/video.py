"""`--video`: the annotated video as H.264, with the times of its frames and its sound as they are in the file."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mien.analysis.scenes import Scene, SceneDetector
from mien.batch.frames import Reading, Timing
from mien.batch.sound import Sound
from mien.errors import MienError
from mien.images.draw import annotate
from mien.images.privacy import Privacy
from mien.images.resize import letterbox, reduced_gray
from mien.types import Analysis, Frame

NAME = "annotated"
ENCODER = "libx264"
OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0"}
"""Measured at 640x360: 38 dB, as with slower presets, in 3 ms per frame; `superfast` needs 1.4 times as many bytes and
`medium` 2.5 times as long. Without B-frames, MP4 files keep times and duration of a variable frame rate exactly."""
ENCODER_THREADS = 2
"""The same on each computer: the bytes depend on it."""
KEYFRAME_EVERY_S = 4.0
SCENE_PX = 160
DISK_ERRORS = {errno.ENOSPC, errno.EIO, errno.EROFS, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_BT601 = 5  # the matrix swscale converts with; without it, players assume another one for HD and shift the colors


def check_encoder() -> None:
    """Check that H.264 can be written. Raises MienError if the package or its encoder is missing."""
    expected = "--video: expected the package av with the H.264 encoder libx264, found"
    try:
        import av
    except ModuleNotFoundError as error:
        raise MienError(f"{expected} none; pip install av installs it") from error
    if ENCODER not in av.codecs_available:
        raise MienError(f"{expected} av {av.__version__} without it; the wheels that pip install av installs have it")


def video_notes(facts: Mapping[str, Any] | None) -> list[str]:
    """What is not as one would expect in an annotated video, in a line each.

    Args:
        facts: What `AnnotatedVideo.close` returned; None without a video.
    """
    if facts is None:
        return []
    notes = []
    if facts["file"] != f"{NAME}.mp4":
        codecs = ", ".join(each["codec"] for each in facts["sound"])
        notes.append(f"{facts['file']} instead of {NAME}.mp4, because its sound is {codecs}")
    if any(facts["cut_px"]):
        columns, rows = facts["cut_px"]
        lost = " and ".join(["the last column"] * columns + ["the last row"] * rows)
        notes.append(f"{facts['file']} lacks {lost} of pixels, because H.264 needs even sizes")
    if "sound_problem" in facts:
        notes.append(f"{facts['file']} has not all of the sound: {facts['sound_problem']}")
    return notes


class AnnotatedVideo:
    """Writes the frames of one video with boxes and labels.

        video = AnnotatedVideo(folder, Path("clip.mp4"), reading, end_s=None)
        video.show(frame, analysis)
        facts = video.close()

    Args:
        folder: Of the file, which is `annotated.mp4`, or `annotated.mkv` for sound that MP4 files usually do not hold.
        source: The video file, of which the sound is taken.
        reading: Is up to date with each frame.
        end_s: Media time at which the analysis ends; None for the end of the file.
        privacy: Whether to cover faces by the rule of the live program.
    """

    def __init__(
        self, folder: Path, source: Path, reading: Reading, end_s: float | None, *, privacy: bool = False
    ) -> None:
        self._folder, self._source, self._reading, self._end_s = folder, source, reading, end_s
        self._privacy = Privacy(privacy)
        self._scenes = SceneDetector()
        self._analysis: Analysis | None = None
        self._file: _File | None = None

    def show(self, frame: Frame, analysis: Analysis) -> None:
        """Write an analyzed frame.

        Args:
            frame: The next frame.
            analysis: What was found in it.
        """
        self._is_new_scene(frame)
        self._analysis = analysis
        self._write(self._privacy.prepare(frame, analysis), analysis)

    def show_between(self, frame: Frame) -> None:
        """Write a frame that was not analyzed, with what was found in the last analyzed one.

        To privacy mode, no face is found in it: what was covered stays covered, with a growing margin, and after a cut
        the whole picture is.

        Args:
            frame: The next frame.
        """
        new_scene = self._is_new_scene(frame)
        unknown = Analysis(frame.width, frame.height, new_scene=new_scene)
        self._write(self._privacy.prepare(frame, unknown), self._analysis or unknown)

    def close(self) -> dict[str, Any]:
        """Finish the file.

        Returns:
            What `mien.json` says of it.
        """
        assert self._file is not None, "a result without a frame is not written"
        facts = self._file.finish(self._reading.end_s)
        self._file = None
        return facts | {"faces": "covered" if self._privacy.on else "shown"}

    def abandon(self) -> None:
        """Close the file without an error, because another one is on its way."""
        if self._file is not None:
            self._file.abandon()

    def _is_new_scene(self, frame: Frame) -> bool:
        if not self._privacy.on:
            return False
        return self._scenes.step(reduced_gray(frame.pixels_bgr, SCENE_PX)[0]) is not Scene.SAME

    def _write(self, frame: Frame, analysis: Analysis) -> None:
        if self._file is None:
            timing = self._reading.timing
            assert timing is not None, "it is known from the first frame on"
            sound = Sound(self._source, timing, frame.captured_at, self._end_s)
            self._file = _File(self._folder, frame, timing, sound)
        self._file.add(annotate(frame, analysis), frame.captured_at)


class _File:
    """The file: H.264 and the packets of the sound."""

    def __init__(self, folder: Path, first: Frame, timing: Timing, sound: Sound) -> None:
        import av

        self._av = av
        self._timing, self._sound = timing, sound
        self._start_s = first.captured_at
        self._size = (max(2, first.width // 2 * 2), max(2, first.height // 2 * 2))
        self._cut = [max(0, first.width - self._size[0]), max(0, first.height - self._size[1])]
        self._path = folder / f"{NAME}.{'mp4' if sound.fits_mp4 else 'mkv'}"
        # bitexact: no random identifiers, and nothing of the version of FFmpeg, so that the file is the same each time
        self._container: Any = av.open(str(self._path), "w", options={"fflags": "+bitexact"})
        self._stream: Any = self._video_stream()
        sound.copy_to(self._container)
        self._frames = 0
        self._pts = -1

    def _video_stream(self) -> Any:
        rate = (1 / self._timing.interval).limit_denominator(1_000_000)
        stream = self._container.add_stream(ENCODER, rate=rate)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.options = OPTIONS | {"g": str(max(1, round(KEYFRAME_EVERY_S * rate)))}
        stream.time_base = stream.codec_context.time_base = self._timing.time_base
        stream.codec_context.thread_count = ENCODER_THREADS
        stream.codec_context.colorspace = _BT601
        return stream

    def add(self, pixels_bgr: np.ndarray, time_s: float) -> None:
        """Write the next frame; time_s: its media time."""
        at_s = time_s - self._start_s
        self._pts = max(self._pts + 1, self._ticks(time_s) - self._ticks(self._start_s))
        frame = self._av.VideoFrame.from_ndarray(letterbox(pixels_bgr, self._size), format="bgr24")
        frame.pts, frame.time_base = self._pts, self._timing.time_base
        self._frames += 1
        self._mux_sound(self._sound.packets(at_s))
        self._mux(self._stream.encode(frame))

    def finish(self, end_s: float) -> dict[str, Any]:
        """Write what is left; end_s: media time at which the last frame ends. Returns facts."""
        for packet in self._stream.encode(None):
            if packet.pts is not None and packet.pts * packet.time_base == self._pts * self._timing.time_base:
                lasts = self._ticks(end_s) - self._ticks(self._start_s) - self._pts
                packet.duration = max(1, round(lasts * self._timing.time_base / packet.time_base))
            self._mux([packet])
        self._mux_sound(self._sound.packets(None))
        self._container.close()
        self._sound.close()
        problem = self._sound.problem
        return {
            "file": self._path.name,
            "codec": "h264",
            "width": self._size[0],
            "height": self._size[1],
            "cut_px": self._cut,
            "frames": self._frames,
            "starts_at_s": round(self._start_s, 6),
            "sound": self._sound.facts(),
            **({} if problem is None else {"sound_problem": problem}),
        }

    def abandon(self) -> None:
        """Close all without an error."""
        for each in (self._container, self._sound):
            with contextlib.suppress(Exception):
                each.close()

    def _ticks(self, time_s: float) -> int:
        return round(Fraction(time_s) / self._timing.time_base)

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            try:
                self._container.mux(packet)
            except self._av.error.FFmpegError as error:
                self._raise_if_disk(error)
                raise MienError(f"{self._path.name} cannot be written: {error.strerror}") from error

    def _mux_sound(self, packets: Iterable[Any]) -> None:
        """A packet that the file cannot hold ends the sound, not the video."""
        for packet in packets:
            try:
                self._container.mux(packet)
            except self._av.error.FFmpegError as error:
                self._raise_if_disk(error)
                self._sound.stop(f"it cannot be written further: {error.strerror}")
                return

    def _raise_if_disk(self, error: Any) -> None:
        """PyAV also raises subclasses of OSError for faults of the data."""
        if error.errno in DISK_ERRORS:
            raise OSError(error.errno, error.strerror, str(self._path)) from error
