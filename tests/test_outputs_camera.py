"""The virtual camera, with a fake device: real ones need a kernel module or OBS."""

from dataclasses import replace

import numpy as np
import pytest
import pyvirtualcam

from mien.errors import OutputError, SettingsError
from mien.outputs.kinds import create
from mien.outputs.messages import FrameMessage, SourceState
from tests.outputs_fake import face_showing, frame_message, snapshot

SOURCE = SourceState("Webcam 0", "live")


class FakeDevice:
    """Keeps the pictures."""

    def __init__(self, width, height, fps, *, fmt, device):
        if device == "/dev/video9":
            raise RuntimeError("'v4l2loopback' backend: Device /dev/video9 does not exist.")
        self.width, self.height, self.fmt, self.device = width, height, fmt, device
        self.pictures = []
        self.closed = False
        self.is_gone = False
        devices.append(self)

    def send(self, picture):
        if self.is_gone:
            raise RuntimeError("device is gone")
        assert picture.shape == (self.height, self.width, 3)
        assert picture.dtype == np.uint8
        self.pictures.append(picture)

    def close(self):
        self.closed = True


devices: list[FakeDevice] = []


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    devices.clear()
    monkeypatch.setattr(pyvirtualcam, "Camera", FakeDevice)


def message(found):
    return FrameMessage(1.0, SOURCE, found.frame, (), 30.0, 1.0, found)


def test_the_camera_shows_the_annotated_picture_in_one_size():
    output = create("camera:/dev/video10")
    output.open()
    found = snapshot(1, face_showing("happy"))
    output.send(message(found))
    (device,) = devices
    assert (device.width, device.height, device.device) == (320, 240, "/dev/video10")
    assert device.pictures[0].any()  # boxes and labels on black
    other = replace(found.frame, pixels_bgr=np.full((100, 101, 3), 255, np.uint8))
    output.send(message(replace(found, frame=other)))
    assert device.pictures[1][120, 160].all()
    assert not device.pictures[1][120, 0].any()  # fitted, with bars beside it
    output.close()
    assert device.closed


def test_an_odd_size_is_made_even():
    output = create("camera:")
    found = snapshot(1)
    odd = replace(found.frame, pixels_bgr=np.zeros((101, 151, 3), np.uint8))
    output.send(message(replace(found, frame=odd)))
    assert (devices[0].width, devices[0].height, devices[0].device) == (150, 100, None)


def test_no_old_picture_stays_when_frames_cease():
    output = create("camera:")
    nothing = FrameMessage(1.0, SOURCE)
    output.send(nothing)
    assert not devices
    output.send(frame_message(1))
    output.send(nothing)
    assert devices[0].pictures[0].any()
    assert not devices[0].pictures[1].any()


def test_a_device_that_is_gone_is_opened_again():
    output = create("camera:")
    output.send(frame_message(1))
    devices[0].is_gone = True
    with pytest.raises(OutputError, match="device is gone"):
        output.send(frame_message(2))
    output.close()
    output.send(frame_message(3))
    assert devices[1].pictures


def test_a_missing_device_is_named():
    output = create("camera:/dev/video9")
    with pytest.raises(OutputError, match="/dev/video9 does not exist"):
        output.send(frame_message(1))


def test_an_address_is_refused():
    with pytest.raises(SettingsError, match="camera:DEVICE"):
        create("camera://host")
