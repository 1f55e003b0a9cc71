"""Decoding from the key frame before a time, if packets alone say what the numbers and times of the frames are."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.sources.decoder import packets_of

HIDDEN = frozenset({"vp8"})
"""Codecs whose packets may contain a frame that is not shown, which would be counted."""


class CannotSeekError(Exception):
    """Why frames have to be counted by decoding them, in a few words."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """Where decoding may begin.

    Args:
        pts: Time stamp of the key frame.
        dts: When it is decoded, in the same unit; `pts` if that is unknown.
        before: Time stamps of all frames shown before it, in order: int64 (n,).
        following: Time stamps of the frames shown from it on, before the time that is sought.
    """

    pts: int
    dts: int
    before: np.ndarray
    following: tuple[int, ...]


def find_key_frame(container: Any, video: Any, start_s: float) -> KeyFrame | None:
    """Find the last key frame that is shown at or before a time, by reading the packets without decoding them.

    Args:
        container: An open file of PyAV, at its beginning.
        video: Its video stream.
        start_s: Seconds from the first frame.

    Returns:
        The key frame; None if it is the first frame.

    Raises:
        CannotSeekError: The packets do not say what the numbers and times of the frames are.
    """
    if video.codec_context.name in HIDDEN:
        raise CannotSeekError(f"{video.codec_context.name} has frames that are not shown")
    stamps = array("q")
    key: tuple[int, int] | None = None
    latest = earlier = -math.inf  # time stamps of the last two key frames
    later_keys = 0
    for packet in _checked(packets_of(container, video)):
        first = stamps[0] if stamps else packet.pts
        is_later = _seconds(packet.pts - first, video) > start_s
        later_keys += packet.is_keyframe and is_later
        # What follows is shown later: all frames shown before a key frame are decoded before the next one.
        if later_keys == 2 or (packet.dts is not None and _seconds(packet.dts - first, video) > start_s):
            break
        if packet.is_keyframe:
            latest, earlier = packet.pts, latest
        if packet.pts < max(earlier, first):
            raise CannotSeekError("its time stamps go back")
        stamps.append(packet.pts)
        if packet.is_keyframe and not is_later:
            key = packet.pts, packet.pts if packet.dts is None else packet.dts
    shown = np.sort(np.array(stamps, np.int64))
    if key is None:
        return None
    if (np.diff(shown) <= 0).any():
        raise CannotSeekError("it has frames with the same time stamp")
    pts, dts = key
    before = shown[shown < pts]
    following = [
        int(stamp) for stamp in shown[shown >= pts] if stamp == pts or _seconds(stamp - shown[0], video) < start_s
    ]
    return KeyFrame(pts, dts, before, tuple(following)) if len(before) else None


def packets_from(container: Any, video: Any, key: KeyFrame) -> Iterator[Any]:
    """The packets from a key frame on.

    Args:
        container: An open file of PyAV.
        video: Its video stream.
        key: The key frame.

    Raises:
        CannotSeekError: It is not found again.
        av.error.FFmpegError: A packet cannot be read.
    """
    import av

    try:
        container.seek(min(key.pts, key.dts), stream=video)
    except av.error.FFmpegError as error:
        raise CannotSeekError("it has no index") from error
    packets = packets_of(container, video)
    for packet in packets:
        if packet.is_keyframe and (packet.pts is None or packet.pts > key.pts):
            break
        if packet.pts == key.pts and packet.is_keyframe:
            yield packet
            yield from packets
            return
    raise CannotSeekError("its index does not lead to the key frame")


def check_following(pictures: Iterable[Any], key: KeyFrame) -> Iterator[Any]:
    """Pass pictures on, if they are those that the packets have announced.

    Args:
        pictures: Decoded from the key frame on.
        key: The key frame.

    Raises:
        CannotSeekError: They are not; before a picture of the time that is sought was passed on.
    """
    announced = iter(key.following)
    for picture in pictures:
        expected = next(announced, None)
        if expected is not None and picture.pts != expected:
            raise CannotSeekError("it has packets without a frame, or frames that need those before the key frame")
        yield picture
    if next(announced, None) is not None:
        raise CannotSeekError("it has frames that cannot be decoded from the key frame on")


def _checked(packets: Iterator[Any]) -> Iterator[Any]:
    import av

    number = 0
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            raise CannotSeekError("the file breaks off before") from error
        if packet is None or (packet.size == 0 and packet.pts is None):
            return
        if packet.pts is None:
            raise CannotSeekError("it has frames without a time stamp")
        if packet.is_corrupt or packet.is_discard:
            raise CannotSeekError("it has damaged or hidden frames")
        if number == 0 and not packet.is_keyframe:
            raise CannotSeekError("it does not begin with a key frame")
        number += 1
        yield packet


def _seconds(ticks: int, video: Any) -> float:
    return int(ticks) * video.time_base.numerator / video.time_base.denominator
