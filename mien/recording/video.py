"""The session on disk: the annotated video, as H.264 in an MP4 file.

PyAV is used, as its wheels bring FFmpeg with libx264 on every system, which OpenCV's writer lacks.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from mien.errors import SettingsError
from mien.images.resize import letterbox
from mien.recording import new_file

QUEUE_FRAMES = 8  # 22 MB at 1280x720; enough to ride out a slow disk for a quarter of a second
KEYFRAME_EVERY_S = 1.0
LONGEST_STEP_S = 60.0
"""A longer time between two frames (an outage, a clock set forward) is one second of the video."""
_TIME_BASE = Fraction(1, 1000)
_BT601 = 5  # the matrix swscale converts with; unsaid, players take another for HD and shift the colours

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saving:
    """What a VideoWriter does.

    name: of the file that is being written, None while there is none. error: why writing stopped, None while all is
    well. dropped: frames that are missing, as the encoder was busy with too many before them.
    """

    name: str | None = None
    error: str | None = None
    dropped: int = 0


class VideoWriter:
    """Writes frames to an MP4 file in a thread of its own, each shown as long as it really lasted.

    The file is cut into fragments of about a second, so that all but the last second can be played even
    after the process was killed; `close` turns it into an ordinary MP4 file. When the encoder can not keep
    up, frames are dropped and counted rather than slowing the caller.

    path: must end in .mp4; where there is such a file already it stays, and NAME-2.mp4, NAME-3.mp4, ... is written.
    fps: the rate to announce; frames carry their own times. Raises SettingsError where the file can not be written.
    """

    def __init__(self, path: Path | str, fps: float = 30) -> None:
        self._wanted = Path(path)
        _check_writable(self._wanted)
        self.path: Path | None = None
        """The file that is being written; None while there is none."""
        self.dropped = 0
        """Frames that came while the encoder was busy with too many before them."""
        self.written = 0
        """Frames handed to the encoder."""
        self.error: str | None = None
        """Why writing stopped (disk full ...), None while all is well."""
        self._rate = Fraction(fps).limit_denominator(1001)
        self._queue: queue.Queue[tuple[np.ndarray, float] | Literal["file ends"] | None] = queue.Queue(QUEUE_FRAMES)
        self._closed = False
        self._unfinished = False  # frames were taken since the last `finish_file`
        self._encoder: _Encoder | None = None  # belongs to the thread
        self._thread = threading.Thread(target=self._run, name="video-writer", daemon=True)
        self._thread.start()

    def write(self, pixels_bgr: np.ndarray, captured_at: float) -> bool:
        """Hand over a frame: uint8 (height, width, 3), not to be changed afterwards; seconds since the epoch.

        Returns at once; false where the frame was dropped. The first frame sets the size of the video
        (made even, as H.264 needs it); a later one of another size is scaled into it with black bars.
        """
        if self._closed or self.error is not None:
            return False
        try:
            self._queue.put_nowait((pixels_bgr, captured_at))
        except queue.Full:
            self.dropped += 1
            return False
        self._unfinished = True
        return True

    def status(self) -> Saving:
        """What is being saved now; threads may ask."""
        path = self.path
        return Saving(None if path is None else path.name, self.error, self.dropped)

    def finish_file(self) -> None:
        """Turn the file into an ordinary one once it has what waits; the next frame begins another. Returns at once.

        To be called by the thread that writes, again and again while no frames come: the encoder may be too busy.
        """
        if self._unfinished and not self._closed:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait("file ends")
                self._unfinished = False

    def close(self, timeout_s: float = 2.0) -> None:
        """Encode what waits and finish the file, within about `timeout_s`; may be called twice."""
        if self._closed:
            return
        self._closed = True
        deadline_s = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        path = self.path or self._wanted
        if self._thread.is_alive():
            log.warning("%s is not finished within %g s; it plays up to its last fragment", path, timeout_s)
        if self.dropped:
            log.warning("%s: %d frames written, %d dropped", path, self.written, self.dropped)

    def __enter__(self) -> VideoWriter:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        self.close()

    # --- in the writer's thread

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                if item == "file ends":
                    self._end()
                else:
                    self._encode(*item)
        except Exception as error:  # the thread's last stop: the picture goes on, the reason is kept
            reason = getattr(error, "strerror", None) or error  # whoever watches is told, but not where the file is
            self.error = f"{(self.path or self._wanted).name} can not be written any more: {reason}"
            log.error("%s", self.error)
            self._drain()
        self._end()

    def _encode(self, pixels_bgr: np.ndarray, captured_at: float) -> None:
        if self._encoder is None:
            self._encoder = self._begin(pixels_bgr)
        self._encoder.add(pixels_bgr, captured_at)
        self.written += 1

    def _begin(self, pixels_bgr: np.ndarray) -> _Encoder:
        self.path, file = new_file(self._wanted)
        file.close()  # PyAV opens it by its name
        log.info("the video is saved to %s", self.path)
        return _Encoder(self.path, (pixels_bgr.shape[1], pixels_bgr.shape[0]), self._rate)

    def _end(self) -> None:
        if self._encoder is not None:
            self._encoder.finish()
        self._encoder = self.path = None

    def _drain(self) -> None:
        """Let go of the frames that wait, so that a `close` finds room."""
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return


class _Encoder:
    """The H.264 stream of one file; belongs to the writer's thread."""

    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        # Imported here, as only --save needs it: it brings an FFmpeg of its own.
        import av

        self._av = av
        self._path = path
        self._size = (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2))
        # flush_packets: a finished fragment goes to the system at once, where a kill can not reach it
        self._container: Any = av.open(
            str(path), "w", format="mp4", options={"movflags": "hybrid_fragmented", "flush_packets": "1"}
        )
        self._stream: Any = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        # superfast, no look-ahead, one thread: the analysis needs the processor more than the file does
        self._stream.options = {"preset": "superfast", "tune": "zerolatency", "crf": "23"}
        self._stream.codec_context.time_base = _TIME_BASE
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.colorspace = _BT601
        self._default_step_s = float(1 / rate)
        self._captured_at: float | None = None
        self._time_s = 0.0
        self._pts = -1
        self._next_key_s = 0.0

    def add(self, pixels_bgr: np.ndarray, captured_at: float) -> None:
        if self._captured_at is not None:
            self._time_s += self._step_s(captured_at - self._captured_at)
        self._captured_at = captured_at
        self._pts = max(self._pts + 1, round(self._time_s / _TIME_BASE))
        frame = self._av.VideoFrame.from_ndarray(letterbox(pixels_bgr, self._size), format="bgr24")
        frame.pts, frame.time_base = self._pts, _TIME_BASE
        if self._time_s >= self._next_key_s:
            frame.pict_type = self._av.video.frame.PictureType.I
            self._next_key_s = self._time_s + KEYFRAME_EVERY_S
        self._container.mux(self._stream.encode(frame))

    def _step_s(self, passed_s: float) -> float:
        if passed_s <= 0:  # the computer's clock may be set back; the video's must not
            return self._default_step_s
        return passed_s if passed_s <= LONGEST_STEP_S else 1.0

    def finish(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (self._av.FFmpegError, OSError, ValueError) as error:
            log.error("%s can not be finished: %s", self._path, error)


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
        raise SettingsError(f"{expected}, which can not be written: {error.strerror}") from error
