"""The sound of a video file, packet by packet, as it is: it is not decoded and not encoded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from mien.batch.frames import Timing
from mien.batch.times import LONGEST_S
from mien.sources.decoder import file_type, open_video_file, packets_of

MP4_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
"""What players expect in an MP4 file; FFmpeg can write others, such as PCM, that browsers do not play."""

PREROLL_S = 0.1
"""Sound before the first picture that decoders need (Opus 80 ms, AAC 21); the edit list of MP4 keeps it from being
heard."""

FARTHEST_S = 36_000
"""Time stamps that jump forward by more are taken for wrong."""


class Sound:
    """The sound that belongs to a stretch of a video.

        with Sound(Path("clip.mp4"), timing, start_s=60.0, end_s=None) as sound:
            sound.copy_to(container)
            for packet in sound.packets(until_s=61.0):
                container.mux(packet)

    Args:
        path: The video file.
        timing: How its media times relate to its time stamps.
        start_s: Media time of the first picture.
        end_s: Media time at which the pictures end; None for all sound that follows.

    Attributes:
        codecs: Names of the codecs of its streams by their index in the file.
        problem: Why the copy has not all of it; None if it has.
    """

    def __init__(self, path: Path, timing: Timing, start_s: float, end_s: float | None) -> None:
        import av

        self._ffmpeg_error = av.error.FFmpegError
        self._container: Any = open_video_file(path, file_type(path, "a video file"))
        self._streams: list[Any] = [each for each in self._container.streams.audio if each.codec_context is not None]
        self._copies: dict[int, Any] = {}
        self._last: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._shifts: Counter[int] = Counter()
        self._first = timing.first + Fraction(start_s).limit_denominator(10**6)
        self._end = None if end_s is None else timing.first + Fraction(end_s).limit_denominator(10**6)
        self._preroll = Fraction(0)
        self._waiting: Any = None  # the first packet beyond what was asked for
        self._packets: Iterator[Any] = iter(())
        self._counts: dict[int, int] = {}
        self.codecs: dict[int, str] = {each.index: each.codec_context.codec.canonical_name for each in self._streams}
        self.problem: str | None = None

    @property
    def fits_mp4(self) -> bool:
        """Whether an MP4 file can hold all of it."""
        return set(self.codecs.values()) <= MP4_CODECS

    def copy_to(self, container: Any) -> None:
        """Add streams for it to a file that is being written; those that it cannot hold are left out.

        Args:
            container: The file of PyAV, MP4 or Matroska.
        """
        has_edit_list = container.format.name == "mp4"
        self._preroll = Fraction(PREROLL_S) if has_edit_list else Fraction(0)
        for each in self._streams:
            try:
                self._copies[each.index] = container.add_stream_from_template(each, opaque=True)
            except ValueError as error:
                self.problem = str(error)
        self._counts = dict.fromkeys(self._copies, 0)
        if self._copies:
            copied = [each for each in self._streams if each.index in self._copies]
            self._packets = packets_of(self._container, copied)

    def packets(self, until_s: float | None) -> Iterator[Any]:
        """Return the next packets, with times from the first picture on.

        Args:
            until_s: Those that begin before this time, in seconds from the first picture; None for all that are left.
        """
        until = None if until_s is None else self._first + Fraction(until_s).limit_denominator(10**6)
        while (packet := self._next()) is not None:
            if until is not None and packet.pts * packet.time_base >= until:
                self._waiting = packet
                return
            yield self._moved(packet)

    def stop(self, problem: str) -> None:
        """Return no more packets.

        Args:
            problem: Why.
        """
        self.problem, self._waiting, self._packets = problem, None, iter(())

    def facts(self) -> list[dict[str, Any]]:
        """Codec and number of packets of each stream that was copied."""
        return [{"codec": self.codecs[index], "packets": count} for index, count in self._counts.items()]

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Sound:
        """The sound itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def _next(self) -> Any:
        """The next packet of the stretch, or None."""
        packet, self._waiting = self._waiting, None
        while packet is None or not self._belongs(packet):
            try:
                packet = self._unwrapped(next(self._packets, None))
            except self._ffmpeg_error as error:
                self.stop(f"it cannot be read further: {error.strerror}")
                return None
            if packet is None or self._is_far_beyond_end(packet):
                self._packets = iter(())
                return None
        return packet

    def _unwrapped(self, packet: Any) -> Any:
        """A packet whose time goes on where time stamps go back far, as `mien.batch.times` does for frames."""
        if packet is None or packet.pts is None:
            return packet
        index, duration = packet.stream.index, packet.duration or 0
        before = self._ends.get(index, round(self._first / packet.time_base))
        if (packet.pts + self._shifts[index] - before) * packet.time_base > FARTHEST_S:
            packet.pts = None  # a time below zero, wrapped around, as at the beginning of some MPEG-TS files
            return packet
        if index in self._ends and (before - packet.pts - self._shifts[index]) * packet.time_base > LONGEST_S:
            self._shifts[index] = before - packet.pts
        packet.pts += self._shifts[index]
        if packet.dts is not None:
            packet.dts += self._shifts[index]
        self._ends[index] = packet.pts + duration
        return packet

    def _is_far_beyond_end(self, packet: Any) -> bool:
        """Whether no packet that follows can belong, as far as files interleave their streams."""
        if self._end is None or packet.pts is None:
            return False
        return bool(packet.pts * packet.time_base > self._end + LONGEST_S)

    def _belongs(self, packet: Any) -> bool:
        if packet.pts is None or not packet.size:
            return False
        begin = packet.pts * packet.time_base
        lasts = (packet.duration or 0) * packet.time_base
        if self._end is not None and begin >= self._end:
            return False
        return begin >= self._first if not self._preroll else begin + lasts > self._first - self._preroll

    def _moved(self, packet: Any) -> Any:
        index = packet.stream.index
        shift = round(self._first / packet.time_base)
        # Times must rise; those of some files do not.
        dts = max((packet.pts if packet.dts is None else packet.dts) - shift, self._last.get(index, -(2**62)) + 1)
        packet.pts, packet.dts = max(packet.pts - shift, dts), dts
        self._last[index] = dts
        self._counts[index] += 1
        packet.stream = self._copies[index]
        return packet
