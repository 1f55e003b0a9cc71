"""Privacy mode on the page, which pixelates this browser's camera and dropped images itself."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera import default_pipeline
from mien.analysis.face_stream import FaceStream
from mien.analysis.uploads import UploadSessions
from mien.images import privacy
from mien.images.privacy import Privacy
from mien.types import Analysis, Box
from tests.browser_camera import CHOOSE, FACE, Program, choose_camera, demo_pictures, film, set_permission
from tests.media import SHARED
from tests.page import BLOCKS, appears, find, lists, press, says, shows, texts
from tests.patience import wait_for
from tests.test_privacy import YUNET, analysis, clip, frame, yunet
from tests.web_fakes import free_port

INSIDE = [270, 190, 100, 100]
WHOLE = [0, 0, 640, 480]


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def open_page(with_camera, camera_file, fake_camera, serve, program):
    """open_page(answers, follow=...): the page of a program that answers this browser's camera."""

    def start(answers=(), **parts):
        film(camera_file, demo_pictures(0.5))
        fake_camera.play()
        server = serve(fake_camera, port=free_port(), answers=CHOOSE | dict(answers), **(program.parts | parts))
        set_permission(with_camera, server)
        with_camera.get(server.url)
        return server

    yield start
    with_camera.get("about:blank")


@pytest.fixture
def page(open_page, with_camera):
    server = open_page()
    shows(with_camera, "#status", "LIVE")
    return server


@pytest.mark.browser
def test_in_privacy_mode_faces_are_pixelated_and_it_fails_closed(with_camera, page, program) -> None:
    choose_camera(with_camera)
    lists(with_camera, "#faces .label", ["happy"])
    wait_for(lambda: with_camera.execute_script(BLOCKS, INSIDE) > 200)
    press(with_camera, "b")
    wait_for(lambda: with_camera.execute_script(BLOCKS, INSIDE) <= 64)
    wait_for(lambda: with_camera.execute_script(BLOCKS, WHOLE) > 200)  # the rest has finer blocks
    program.faces = ()  # not detected for a moment: the region stays pixelated, then the whole picture is
    sent = len(program.sizes)
    wait_for(lambda: len(program.sizes) > sent + 2 and texts(with_camera, "#faces .label") == [])
    assert with_camera.execute_script(BLOCKS, INSIDE) <= 64
    wait_for(lambda: with_camera.execute_script(BLOCKS, WHOLE) <= 88)


@pytest.mark.browser
def test_in_privacy_mode_the_whole_picture_is_pixelated_until_a_face_is_found(with_camera, page, program) -> None:
    press(with_camera, "b")
    appears(with_camera, "#privacy-badge")
    program.faces = ()
    choose_camera(with_camera)
    wait_for(lambda: len(program.sizes) > 3)
    wait_for(lambda: find(with_camera, "#picture").get_property("width") == 640)
    assert with_camera.execute_script(BLOCKS, WHOLE) <= 88
    program.faces = (FACE,)
    wait_for(lambda: with_camera.execute_script(BLOCKS, WHOLE) > 200)
    assert with_camera.execute_script(BLOCKS, INSIDE) <= 64


@pytest.mark.browser
def test_faces_are_pixelated_until_the_program_reports_that_they_may_be_seen(with_camera, open_page, program) -> None:
    silent = {path: lambda: ({"error": "Not now."}, 503) for path in ("/api/frames", "/api/state", "/api/controls")}
    program.faces = ()
    open_page(silent)
    choose_camera(with_camera)
    wait_for(lambda: find(with_camera, "#picture").get_property("width") == 640)
    assert with_camera.execute_script(BLOCKS, WHOLE) <= 88
    with_camera.get_log("browser")  # says 503


@pytest.mark.browser
def test_a_picture_that_cannot_be_pixelated_is_not_shown(with_camera, page, program) -> None:
    press(with_camera, "b")
    appears(with_camera, "#privacy-badge")
    with_camera.execute_script(
        "const draw = CanvasRenderingContext2D.prototype.drawImage;"
        "CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {"
        "  if (image instanceof HTMLCanvasElement) throw new Error('no pixels for you');"
        "  return draw.call(this, image, ...rest); };"
    )
    choose_camera(with_camera)
    says(with_camera, "#banner", "no pixels for you")
    assert with_camera.execute_script(BLOCKS, WHOLE) == 1


# ---- the same rule in two languages

PRIVACY_JS = Path(__file__).parent.parent / "static" / "privacy.js"


def test_the_page_has_the_same_constants_as_the_program() -> None:
    figures = dict(re.findall(r"^const ([A-Z_]+) = ([^;]+);", PRIVACY_JS.read_text(), re.MULTILINE))
    assert len(figures) == 7
    assert figures == {name: str(getattr(privacy, name)) for name in figures}


REGIONS = """
const [series, done] = arguments;
import("/static/privacy.js").then(({ PrivacyFilter }) => {
  const filter = new PrivacyFilter();
  done(series.map(([now, faces]) => {
    filter.update(faces, now);
    return filter.regions(640, 480, now).map(({ x, y, w, h, block }) => [x, y, w, h, block]);
  }));
});
"""

SERIES = {
    "no face": [(0.0, {}), (1.0, {})],
    "at rest, then lost": [(0.0, {1: (200, 150, 100, 120)}), (0.5, {}), (1.0, {}), (1.01, {})],
    "moving, then lost": [
        *((i / 30, {1: (50 + 12 * i, 90, 80, 80)}) for i in range(12)),
        (0.5, {}),
        (0.9, {}),
        (2.0, {}),
    ],
    "two, one of them leaves": [
        (i / 4, {1: (20, 20, 90, 90)} | ({2: (300, 99, 200, 230)} if i < 3 else {})) for i in range(9)
    ],
    "at the edge and beyond": [(0.0, {1: (-50, -40, 120, 150), 2: (600, 440, 300, 300), 3: (900, 900, 50, 50)})],
    "large": [(0.0, {1: (0, 0, 640, 480)})],
}


@pytest.mark.browser
def test_the_page_pixelates_the_same_regions_as_the_program(browser, fake_camera, serve) -> None:
    browser.get(serve(fake_camera).url)
    for name, series in SERIES.items():
        sent = [
            [at_s, [{"id": i, "box": dict(zip("xywh", box, strict=True))} for i, box in faces.items()]]
            for at_s, faces in series
        ]
        pixelated = browser.execute_async_script(REGIONS, sent)
        program = Privacy(on=True)
        for (at_s, faces), found in zip(series, pixelated, strict=True):
            seen = analysis(*(Box(*box) for box in faces.values()), numbers=tuple(faces))
            expected = program_regions(program, at_s, seen)
            assert np.array(found) == pytest.approx(np.array(expected), abs=1.01), (name, at_s)


def program_regions(program: Privacy, at_s: float, seen) -> list[list[float]]:
    now = frame(at_s)
    program.prepare(now, seen)
    return [[box.x, box.y, box.w, box.h, px] for box, px in program._regions(640, 480, now.captured_at)]


@pytest.mark.browser
def test_faces_of_the_previous_scene_are_forgotten_by_the_page(with_camera, open_page, program) -> None:
    elsewhere = replace(FACE, id=2, box=Box(20, 20, 100, 100))

    def cut_to_and_fro(key: str, data: bytes) -> Analysis:
        found = program.follow(key, data)
        return replace(found, faces=((FACE, elsewhere)[len(program.sizes) % 2],), new_scene=True)

    open_page(follow=cut_to_and_fro)
    press(with_camera, "b")
    choose_camera(with_camera)
    wait_for(lambda: with_camera.execute_script(BLOCKS, INSIDE) in range(31, 65))  # as fine as the rest
    wait_for(lambda: with_camera.execute_script(BLOCKS, INSIDE) in range(1, 31))


# ---- a real face

FRAMES = """
const [count, done] = arguments;
const frames = [];
document.addEventListener("mien:frame", function take({ detail }) {
  const { frame, faces } = detail.state;
  frames.push([document.getElementById("picture").toDataURL("image/webp", 1), faces]);
  if (frames.length < count) return;
  document.removeEventListener("mien:frame", take);
  done(frames);
});
"""
"""The next pictures as displayed on the page, with their faces."""


def next_frames(browser, count: int) -> list[tuple[np.ndarray, list[dict]]]:
    frames = []
    for url, faces in browser.execute_async_script(FRAMES, count):
        data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        frames.append((cv2.imdecode(data, cv2.IMREAD_COLOR), faces))
    return frames


@pytest.mark.browser
@pytest.mark.shared
@pytest.mark.skipif(not YUNET.is_file() or not (SHARED / "media").is_dir(), reason="../shared is missing")
def test_a_real_face_in_the_camera_is_classified_and_pixelated(with_camera, camera_file, open_page) -> None:
    pipeline = default_pipeline()
    open_page(follow=UploadSessions(lambda: FaceStream(pipeline)).analyze)
    film(camera_file, clip()[::3])
    choose_camera(with_camera)
    wait_for(lambda: texts(with_camera, "#faces .label") != [])
    clear = next_frames(with_camera, 16)
    found = [detected(pixels) for pixels, _ in clear]
    read = [
        [Box(**face["box"]).iou(box) > 0.3 for face in faces] == [True]
        for (_, faces), box in zip(clear, found, strict=True)
    ]
    assert sum(read) >= 0.75 * len(clear), "the only face, at its position"
    assert {"happy", "sad"} & {faces[0]["label"] for _, faces in clear if faces}
    press(with_camera, "b")
    appears(with_camera, "#privacy-badge")
    pixelated = next_frames(with_camera, 36)
    assert yunet([pixels for pixels, _ in pixelated]) == 0
    assert sum(len(faces) for _, faces in pixelated) >= 0.75 * len(pixelated), "not just the whole picture is pixelated"


def detected(pixels: np.ndarray) -> Box:
    """The only face that YuNet finds."""
    height, width = pixels.shape[:2]
    faces = cv2.FaceDetectorYN.create(str(YUNET), "", (width, height), 0.6).detect(pixels)[1]
    return Box(*(round(float(side)) for side in faces[0][:4]))
