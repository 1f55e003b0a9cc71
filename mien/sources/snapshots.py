"""Network cameras that send one image for each request, polled as a live source."""

from __future__ import annotations

import numpy as np

from mien.clock import Clock
from mien.errors import ImageError, NotAnImageError, SourceError
from mien.images.codecs import MAX_IMAGE_BYTES, decode_image
from mien.images.resize import fit_within
from mien.sources import reasons
from mien.sources.base import Source
from mien.sources.files import MAX_IMAGE_SIDE_PX
from mien.sources.http_client import Body, HttpClient
from mien.types import Frame, SourceState

FASTEST_S = 0.1
"""Shortest time from one request to the next; a camera that takes longer to answer is asked again at once."""
SLOWEST_S = 0.5
"""Longest time from one request to the next, while the image remains the same, as that of a web page does."""


class SnapshotSource(Source):
    """A camera that gives its newest image for each request: about ten per second, fewer while nothing changes.

    Args:
        spec: Its address as it was given.
        client: Requests its address.
        first: The first answer, unread.
        clock: The computer's clock by default.

    Raises:
        SourceError: The first answer is no image, or too large; the connection is closed then.

    Example:
        with open_url("http://192.168.1.5/snapshot.jpg") as source:
            frame = source.read()
    """

    state: SourceState = "live"

    def __init__(self, spec: str, client: HttpClient, first: Body, *, clock: Clock | None = None) -> None:
        self.spec = spec
        self.name = str(client.given)
        self._address = client.given
        self._timeout_s = client.timeout_s
        self._client: HttpClient | None = client
        self._clock = clock or Clock()
        self._index = 0  # of the next frame
        self._interval_s = FASTEST_S
        self._asked_at_s = self._clock.monotonic()
        self._data = b""
        self._tag: str | None = first.tag
        try:
            self._pixels_bgr = self._decode(first)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def read(self) -> Frame:
        """The next image. Raises SourceError, with the reason, if there is none within the time-out."""
        if self._index:
            self._clock.sleep(self._asked_at_s + self._interval_s - self._clock.monotonic())
            self._asked_at_s = self._clock.monotonic()
            self._request()
        self._index += 1
        return Frame(self._pixels_bgr, self._index - 1, self._clock.wall())

    def _request(self) -> None:
        if self._client is None:
            raise SourceError(f"{self.name} is closed")
        response = self._client.get({"If-None-Match": self._tag} if self._tag else None)
        body = Body(self._client, response)
        previous = self._pixels_bgr
        if response.status == 304:
            body.rest(0)
        else:
            self._tag = body.tag
            self._pixels_bgr = self._decode(body)
        is_same = self._pixels_bgr is previous
        self._interval_s = min(self._interval_s * 2, SLOWEST_S) if is_same else FASTEST_S

    def _decode(self, body: Body) -> np.ndarray:
        """The pixels of an answer; the same array as before if it has not changed."""
        try:
            data = body.rest(MAX_IMAGE_BYTES)
        except OSError as error:
            raise SourceError(reasons.for_error(self._address, error, self._timeout_s)) from None
        if self._data and data == self._data:
            return self._pixels_bgr
        try:
            pixels_bgr = fit_within(decode_image(data, max_bytes=MAX_IMAGE_BYTES), MAX_IMAGE_SIDE_PX)
        except NotAnImageError:
            raise SourceError(reasons.for_content(self._address, data)) from None
        except ImageError as error:
            raise SourceError(f"{self.name}: {error}") from None
        self._data = data
        return pixels_bgr
