"""Save the annotated video as H.264 in an MP4 file.

PyAV is used because its wheels include FFmpeg with libx264 on every system, which OpenCV's writer lacks.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import logging
import os
import queue
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien.errors import SettingsError
from mien.images.resize import letterbox
from mien.recording import GONE, has_name, new_file, reason_of
from mien.recording.timeline import SessionClock

QUEUE_FRAMES = 8  # 22 MB at 1280x720: enough for a disk that is slow for a quarter of a second
KEYFRAME_EVERY_S = 0.5
CLOSE_WITHIN_S = 2.0
CHECK_EVERY_S = 1.0
"""How often to check that the file has not been deleted."""
LONGEST_STEP_S = 60.0
"""A longer time between two frames (an outage, a clock set forward) becomes one second of the video."""
_TIME_BASE = Fraction(1, 1000)
_BT601 = 5  # the matrix swscale converts with; without it, players assume another one for HD and shift the colors

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saving:
    """State of a VideoWriter.

    Args:
        name: Name of the file that is being written; None if there is none.
        error: Why writing stopped; None while it works.
        dropped: Frames that are missing because the encoder could not keep up.

    Example:
        saving = writer.status()
        print(saving.name, saving.error or "")
    """

    name: str | None = None
    error: str | None = None
    dropped: int = 0


class VideoWriter:
    """Writes frames to an MP4 file in its own thread, each shown for as long as it really lasted.

    The file consists of fragments of about half a second, so that all but the last second can be played even after the
    process was killed; `close` turns it into an ordinary MP4 file. If the encoder cannot keep up, frames are dropped
    and counted instead of slowing the caller.

    Args:
        path: Must end in .mp4; if the file exists, NAME-2.mp4, NAME-3.mp4, ... is written instead.
        fps: The nominal rate; frames carry their own times.
        began_at: When the video begins, in seconds since the epoch: every frame is at its time since then, and the
            first one is shown from there on. By default it begins with the first frame, and long gaps are shortened.

    Raises:
        SettingsError: The file cannot be written.

    Example:
        with VideoWriter("out.mp4") as writer:
            writer.write(pixels_bgr, captured_at=time.time())
    """

    def __init__(self, path: Path | str, fps: float = 30, began_at: float | None = None) -> None:
        self._wanted = Path(path)
        self._began_at = began_at
        if importlib.util.find_spec("av") is None:
            raise SettingsError("expected the package av to save a video, found none; pip install av installs it")
        _check_writable(self._wanted)
        self.path: Path | None = None
        """The file that is being written; None if there is none."""
        self.dropped = 0
        """Frames dropped because the encoder could not keep up."""
        self.written = 0
        """Frames passed to the encoder."""
        self.error: str | None = None
        """Why writing stopped (disk full ...); None while it works."""
        self._rate = Fraction(fps).limit_denominator(1001)
        self._queue: queue.Queue[tuple[np.ndarray, float] | Literal["end of file"] | None] = queue.Queue(QUEUE_FRAMES)
        self._closed = False
        self._unfinished = False  # frames were accepted since the last `finish_file`
        # These belong to the thread.
        self._encoder: _Encoder | None = None
        self._created: os.stat_result | None = None
        self._checked_s = 0.0
        self._thread = threading.Thread(target=self._run, name="video-writer", daemon=True)
        self._thread.start()

    def write(self, pixels_bgr: np.ndarray, captured_at: float) -> bool:
        """Queue a frame; returns at once.

        The first frame sets the size of the video (made even, as H.264 requires); later frames of another size are
        fitted into it with black bars.

        Args:
            pixels_bgr: uint8 (height, width, 3), not to be changed afterwards.
            captured_at: Time of capture, in seconds since the epoch.

        Returns:
            False if the frame was dropped.
        """
        if self._closed or self.status().error is not None:
            return False
        try:
            self._queue.put_nowait((pixels_bgr, captured_at))
        except queue.Full:
            self.dropped += 1
            return False
        self._unfinished = True
        return True

    def status(self) -> Saving:
        """What is being saved now; thread-safe."""
        if self.error is None and not self._closed and not self._thread.is_alive():
            self._fail("its thread has ended")
        path = self.path
        return Saving(None if path is None else path.name, self.error, self.dropped)

    def finish_file(self) -> None:
        """Finish the file once the queued frames are written; the next frame starts another. Returns at once.

        Call it from the thread that writes, repeatedly while no frames arrive: the queue may be full.
        """
        if self._unfinished and not self._closed:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait("end of file")
                self._unfinished = False

    def close(self, timeout_s: float | None = None) -> None:
        """Encode the queued frames and finish the file within about `timeout_s`; may be called twice.

        Args:
            timeout_s: How long to wait for that, by default CLOSE_WITHIN_S.
        """
        if self._closed:
            return
        timeout_s = CLOSE_WITHIN_S if timeout_s is None else timeout_s
        self._closed = True
        deadline_s = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        path = self.path or self._wanted
        if self._thread.is_alive():
            log.warning("%s is not finished after %g s; it can be played up to its last fragment", path, timeout_s)
        if self.dropped:
            log.warning("%s: %d frames written, %d dropped", path, self.written, self.dropped)

    def __enter__(self) -> VideoWriter:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the file."""
        self.close()

    # --- in the writer's thread

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                if item == "end of file":
                    self._end()
                else:
                    self._encode(*item)
                if self._closed and self._queue.empty():  # there may have been no room for None
                    break
            self._end()
        except BaseException as error:  # of any kind: the live picture continues; the reason is kept
            self._fail(reason_of(error))
            self._drain()
            with contextlib.suppress(Exception):  # the first reason counts
                self._end()
            self.path = None

    def _fail(self, reason: str) -> None:
        error = f"{(self.path or self._wanted).name} cannot be written any more: {reason}"
        log.error("%s", error)  # first, so that whoever sees the error finds it in the log
        self.error = error

    def _encode(self, pixels_bgr: np.ndarray, captured_at: float) -> None:
        if self._encoder is None:
            self._encoder = self._begin(pixels_bgr)
        self._encoder.add(pixels_bgr, captured_at)
        self.written += 1
        now_s = time.monotonic()
        if now_s - self._checked_s >= CHECK_EVERY_S:
            self._checked_s = now_s
            if self.path is not None and self._created is not None and not has_name(self._created, self.path):
                raise FileNotFoundError(errno.ENOENT, GONE)

    def _begin(self, pixels_bgr: np.ndarray) -> _Encoder:
        self.path, file = new_file(self._wanted)
        with file:  # PyAV opens it by name
            self._created = os.fstat(file.fileno())
        self._checked_s = time.monotonic()
        log.info("the video is saved to %s", self.path)
        return _Encoder(self.path, (pixels_bgr.shape[1], pixels_bgr.shape[0]), self._rate, self._began_at)

    def _end(self) -> None:
        """Finish the file; if that fails, it can be played as far as it was written."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.finish()
        self.path = None

    def _drain(self) -> None:
        """Discard the queued frames, so that `close` finds room."""
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return


class _Encoder:
    """The H.264 stream of one file; used only by the writer's thread."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction, began_at: float | None = None) -> None:
        # Imported here because only --save needs it, and it loads its own FFmpeg.
        import av

        self._av = av
        self._size = (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2))
        # flush_packets: a finished fragment is passed to the operating system at once, so that it survives a kill
        self._container: Any = av.open(
            str(path), "w", format="mp4", options={"movflags": "hybrid_fragmented", "flush_packets": "1"}
        )
        self._stream: Any = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        # superfast, no look-ahead, one thread: the analysis needs the processor more
        self._stream.options = {"preset": "superfast", "tune": "zerolatency", "crf": "23"}
        self._stream.codec_context.time_base = _TIME_BASE
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.colorspace = _BT601
        self._default_step_s = float(1 / rate)
        self._clock = None if began_at is None else SessionClock(began_at)  # that of the rows: they go together
        self._captured_at: float | None = None
        self._time_s = 0.0
        self._pts = -1
        self._next_key_s = 0.0
        self._frames = 0

    def add(self, pixels_bgr: np.ndarray, captured_at: float) -> None:
        if self._captured_at is not None and self._clock is not None:
            self._time_s = self._clock.at(repr(captured_at).encode(), captured_at)
        elif self._captured_at is not None:
            self._time_s += self._step_s(captured_at - self._captured_at)
        self._captured_at = captured_at
        self._pts = max(self._pts + 1, round(self._time_s / _TIME_BASE))
        frame = self._av.VideoFrame.from_ndarray(letterbox(pixels_bgr, self._size), format="bgr24")
        frame.pts, frame.time_base = self._pts, _TIME_BASE
        if self._time_s >= self._next_key_s:  # begins a fragment; the first one ends at once, so that there is a video
            frame.pict_type = self._av.video.frame.PictureType.I
            self._next_key_s = self._time_s + (KEYFRAME_EVERY_S if self._frames > 0 else 0.0)
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def _step_s(self, passed_s: float) -> float:
        if passed_s <= 0:  # the computer's clock may be set back, but times in a video must increase
            return self._default_step_s
        return passed_s if passed_s <= LONGEST_STEP_S else 1.0

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _check_writable(path: Path) -> None:
    expected = f"expected an .mp4 file to write the video to, found {path}"
    if path.suffix.lower() != ".mp4":
        raise SettingsError(f"{expected}, which ends in {path.suffix or 'nothing'}")
    try:
        if path.is_dir():
            raise SettingsError(f"{expected}, which is a folder")
        if not path.parent.is_dir():
            raise SettingsError(f"{expected}, whose folder does not exist")
        trial, file = new_file(path)
        file.close()
        trial.unlink()
    except OSError as error:
        raise SettingsError(f"{expected}, which cannot be written: {error.strerror}") from error
