"""Media times from the time stamps of a file, which may be missing, jump or go back."""

from __future__ import annotations

from fractions import Fraction

LONGEST_S = 10
"""A frame counts as shown for at most this long, as FFmpeg takes more for a jump; unless frames are that rare."""
LONGEST_RATIO = 10
"""Or for this many times the frame before it, as in a time lapse."""


class MediaTimes:
    """The time of each frame of a video, from 0 and always rising.

    Where time stamps go back by more than LONGEST_S, as where recordings were put together, times go on from the frame
    before. Where they jump forward, times do too, but the gap is left out of durations: see `gap_s`.

        times = MediaTimes(interval=Fraction(1, 25))
        at = times.next(Fraction(90_000, 90_000))

    Args:
        interval: Seconds from frame to frame where there are no time stamps.

    Attributes:
        first: Time stamp of the first frame, in seconds.
        gap_s: Seconds in which no frame counts as shown, so far.
        end: When the last frame ends, in seconds: it lasts as long as the file says, if that was right for the frame
            before, else as long as the frame before.
        jumps: Jumps so far.
        first_jump: The first of them: (seconds of media time, seconds forward or, below 0, back).
    """

    def __init__(self, interval: Fraction) -> None:
        self._interval = interval
        self.first = Fraction(0)
        self._last: Fraction | None = None
        self._shift = Fraction(0)
        self._shown = interval  # how long the frame before the last one counts as shown
        self._stated: Fraction | None = None  # how long the last one lasts
        self.gap_s = 0.0
        self.end = Fraction(0)
        self.jumps = 0
        self.first_jump: tuple[float, float] | None = None

    def next(self, stamp: Fraction | None, lasts: Fraction | None = None) -> Fraction:
        """The time of the next frame, in seconds.

        Args:
            stamp: Its time stamp in seconds, from any origin; None if it has none.
            lasts: How long the file says that it lasts, in seconds; None if it does not say. In some files this is an
                average, or the time to the frame that is decoded next.
        """
        ends = None
        if self._last is None:
            self.first = stamp or Fraction(0)
            at = Fraction(0)
        else:
            at = self._after(self._last, stamp)
            longest = max(Fraction(LONGEST_S), LONGEST_RATIO * self._shown)
            self._shown = min(at - self._last, longest)
            if lasts and at - self._last == self._stated:
                ends = at + min(lasts, max(Fraction(LONGEST_S), LONGEST_RATIO * self._shown))
            if at - self._last > longest:
                self.gap_s += float(at - self._last - longest)
                self._jump(self._last, at - self._last)
        self._last, self._stated = at, lasts
        self.end = ends or at + self._shown
        return at

    def of(self, stamp: Fraction) -> Fraction | None:
        """The time that belongs to a time stamp near the last frame, in seconds; None before the first frame."""
        return None if self._last is None else stamp - self.first + self._shift

    @property
    def described(self) -> str:
        """The jumps in words; empty if there are none."""
        if self.first_jump is None:
            return ""
        at_s, by_s = self.first_jump
        times = "time" if self.jumps == 2 else "times"
        more = f", and {self.jumps - 1} more {times}" if self.jumps > 1 else ""
        return f"time stamps jump by {by_s:+.1f} s after {at_s:.1f} s{more}"

    def _after(self, last: Fraction, stamp: Fraction | None) -> Fraction:
        if stamp is None:
            return last + self._interval
        at = stamp - self.first + self._shift
        if at > last:
            return at
        if last - at > LONGEST_S:
            self._shift += last + self._interval - at
            self._jump(last, at - last)
        return last + self._interval

    def _jump(self, at: Fraction, by: Fraction) -> None:
        self.jumps += 1
        if self.first_jump is None:
            self.first_jump = float(at), float(by)
