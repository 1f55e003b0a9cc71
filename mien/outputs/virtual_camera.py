"""Virtual camera: the annotated picture as a webcam for video calls and OBS."""

from __future__ import annotations

import numpy as np
import pyvirtualcam

from mien.errors import OutputError, SettingsError
from mien.images.draw import annotate
from mien.images.resize import letterbox
from mien.outputs.addresses import Address
from mien.outputs.base import Output
from mien.outputs.messages import FrameMessage, Message

FPS = 30.0
"""The rate the camera announces; pictures are sent as they come."""


class VirtualCamera(Output):
    """Sends the picture as viewers see it: with boxes and labels, and in privacy mode with covered faces.

    The size is that of the first picture. Later pictures of another size are fitted into it, since programs do not
    expect that a webcam changes its size. While no frames arrive, the picture is black.

    Args:
        address: `camera:`, or `camera:DEVICE` such as `camera:/dev/video10` (Linux) or `camera:OBS Virtual Camera`.
    """

    connects = False
    shows_pictures = True

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        if address.rest.startswith("//"):
            raise SettingsError("--out: expected camera: or camera:DEVICE, found an address after camera:")
        self._device = address.rest or None
        self._camera: pyvirtualcam.Camera | None = None

    def send(self, message: Message) -> None:
        """Send the picture of a frame."""
        if not isinstance(message, FrameMessage):
            return
        snapshot = message.snapshot
        if message.frame is None or snapshot is None or snapshot.analysis is None:
            if self._camera is not None:
                _show(self._camera, np.zeros((self._camera.height, self._camera.width, 3), np.uint8))
            return
        picture = annotate(message.frame, snapshot.analysis)
        camera = self._camera or self._open(picture)
        _show(camera, letterbox(picture, (camera.width, camera.height)))

    def close(self) -> None:
        """End the camera."""
        if self._camera is not None:
            camera, self._camera = self._camera, None
            camera.close()

    def _open(self, picture: np.ndarray) -> pyvirtualcam.Camera:
        # Even numbers, which the formats of video need.
        height, width = (side - side % 2 for side in picture.shape[:2])
        try:
            self._camera = pyvirtualcam.Camera(
                width, height, FPS, fmt=pyvirtualcam.PixelFormat.BGR, device=self._device
            )
        except (RuntimeError, ValueError) as error:
            raise OutputError(str(error)) from None
        return self._camera


def _show(camera: pyvirtualcam.Camera, picture: np.ndarray) -> None:
    try:
        camera.send(picture)
    except RuntimeError as error:  # as when the device is gone
        raise OutputError(str(error)) from None
