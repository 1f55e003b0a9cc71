"""Privacy mode: no face can be recognized, whatever the detector finds or misses."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.detectors import HaarDetector
from mien.images.privacy import BACKGROUND_BLOCKS, FACE_BLOCKS, WHOLE_BLOCKS, Privacy, pixelate
from mien.sources.demo import CYCLE_S, DemoSource
from mien.types import Analysis, Box, Face, Frame
from tests.media import GROUP_BOXES, SHARED

WIDTH, HEIGHT = 640, 480
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
SHARES = np.full(7, 1 / 7, np.float32)
FACE = Box(100, 120, 120, 150)


def frame(at_s: float = 0.0, pixels: np.ndarray = NOISE, stream: int = 1) -> Frame:
    return Frame(pixels, round(at_s * 30), 1_700_000_000.0 + at_s, stream=stream)


def analysis(*boxes: Box, numbers: tuple[int, ...] = (1, 2, 3), new_scene: bool = False) -> Analysis:
    faces = tuple(Face(box, SHARES, SHARES, number) for box, number in zip(boxes, numbers, strict=False))
    return Analysis(WIDTH, HEIGHT, faces, new_scene=new_scene)


def coarseness(pixels: np.ndarray, box: Box) -> float:
    """Side of the blocks inside a box in pixels, from how rarely a pixel differs from its left neighbor."""
    part = pixels[box.y : box.y + box.h, box.x : box.x + box.w].astype(int)
    changes = (np.abs(np.diff(part, axis=1)).sum(axis=2) > 0).mean()
    return 1 / max(float(changes), 1e-9)


def is_whole(pixels: np.ndarray) -> bool:
    """Whether the whole picture is pixelated with the coarsest blocks."""
    quarters = [Box(x, y, WIDTH // 2, HEIGHT // 2) for x in (0, WIDTH // 2) for y in (0, HEIGHT // 2)]
    return min(coarseness(pixels, quarter) for quarter in quarters) > 0.9 * HEIGHT / WHOLE_BLOCKS


def is_pixelated(pixels: np.ndarray, box: Box, blocks: float = FACE_BLOCKS) -> bool:
    return coarseness(pixels, box) >= 0.8 * max(box.w, box.h) / blocks


def test_while_off_frames_pass_unchanged() -> None:
    one = frame()
    assert Privacy().prepare(one, analysis(FACE)) is one


def test_the_original_frame_stays_unchanged_for_the_analysis() -> None:
    one = frame(pixels=NOISE.copy())
    shown = Privacy(on=True).prepare(one, analysis(FACE))
    assert np.array_equal(one.pixels_bgr, NOISE)
    assert not np.shares_memory(shown.pixels_bgr, one.pixels_bgr)
    assert replace(shown, pixels_bgr=NOISE).captured_at == one.captured_at
    assert (shown.index, shown.stream, shown.pixels_bgr.shape) == (one.index, one.stream, NOISE.shape)


def test_until_the_first_face_the_whole_picture_is_pixelated() -> None:
    privacy = Privacy(on=True)
    for index in range(60):
        assert is_whole(privacy.prepare(frame(index / 30), analysis()).pixels_bgr)
    shown = privacy.prepare(frame(2), analysis(FACE)).pixels_bgr
    assert is_pixelated(shown, FACE)
    assert not is_whole(shown)


@pytest.mark.parametrize(
    ("wait_s", "whole"), [(0.05, False), (0.5, False), (0.99, False), (1.01, True), (60.0, True), (-0.01, True)]
)
def test_a_lost_face_stays_pixelated_for_a_second_then_the_whole_picture_is(wait_s: float, whole: bool) -> None:
    privacy = Privacy(on=True)
    privacy.prepare(frame(10), analysis(FACE))
    shown = privacy.prepare(frame(10 + wait_s), analysis()).pixels_bgr
    assert is_pixelated(shown, FACE)
    assert is_whole(shown) is whole


def test_no_part_of_the_picture_is_ever_sharp() -> None:
    """A missed face beside a detected one is pixelated, too."""
    shown = Privacy(on=True).prepare(frame(), analysis(FACE)).pixels_bgr
    for missed in (Box(400, 50, 100, 100), Box(330, 200, 200, 250), Box(0, 400, 60, 60)):
        assert coarseness(shown, missed) >= 0.9 * WIDTH / BACKGROUND_BLOCKS


def test_the_pixelated_region_extends_beyond_the_box() -> None:
    shown = Privacy(on=True).prepare(frame(), analysis(FACE)).pixels_bgr
    head = Box(FACE.x - 30, FACE.y - 40, FACE.w + 60, FACE.h + 70)
    assert coarseness(shown, head) >= 0.8 * 150 / FACE_BLOCKS


@pytest.mark.parametrize("lost_s", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("speed_px_s", [-150, 0, 60, 200])
def test_the_pixelated_region_follows_a_face_that_moves_undetected(lost_s: float, speed_px_s: int) -> None:
    privacy = Privacy(on=True)
    start = Box(260, 160, 120, 150)
    for index in range(10):
        box = Box(start.x + round(speed_px_s * index / 30), start.y, start.w, start.h)
        privacy.prepare(frame(index / 30), analysis(box))
    shown = privacy.prepare(frame(9 / 30 + lost_s), analysis()).pixels_bgr
    left = start.x + round(speed_px_s * (9 / 30 + lost_s))
    assert is_pixelated(shown, Box(max(0, left), start.y, start.w, start.h))


def test_several_faces_are_pixelated_each_by_its_size() -> None:
    small, large = Box(20, 20, 90, 90), Box(300, 100, 300, 330)
    shown = Privacy(on=True).prepare(frame(), analysis(small, large)).pixels_bgr
    assert is_pixelated(shown, small)
    assert is_pixelated(shown, large)
    assert coarseness(shown, small) < coarseness(shown, large)


@pytest.mark.parametrize(
    "box",
    [
        Box(-50, -40, 120, 150),
        Box(600, 440, 300, 300),
        Box(0, 0, WIDTH, HEIGHT),
        Box(639, 479, 1, 1),
        Box(700, 500, 9, 9),
    ],
)
def test_faces_at_and_beyond_the_edge(box: Box) -> None:
    shown = Privacy(on=True).prepare(frame(), analysis(box)).pixels_bgr
    assert shown.shape == NOISE.shape
    assert coarseness(shown, Box(0, 0, WIDTH, HEIGHT)) >= 0.9 * WIDTH / BACKGROUND_BLOCKS


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 700), (700, 2), (7, 7), (1920, 1080)])
def test_pictures_of_any_size(width: int, height: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    for found in (analysis(), analysis(Box(0, 0, 1, 1))):
        assert Privacy(on=True).prepare(frame(pixels=pixels), found).pixels_bgr.shape == pixels.shape


@pytest.mark.parametrize("found", [analysis(new_scene=True), analysis(Box(400, 50, 60, 60), new_scene=True)])
def test_faces_of_the_previous_scene_are_forgotten(found: Analysis) -> None:
    privacy = Privacy(on=True)
    privacy.prepare(frame(0), analysis(FACE))
    shown = privacy.prepare(frame(0.1), found)
    afresh = Privacy(on=True).prepare(frame(0.1), found)
    assert np.array_equal(shown.pixels_bgr, afresh.pixels_bgr)
    assert is_whole(shown.pixels_bgr) is (not found.faces)


def test_switched_on_again_it_has_seen_no_face() -> None:
    privacy = Privacy(on=True)
    privacy.prepare(frame(0), analysis(FACE))
    privacy.switch(False)
    privacy.switch(True)
    assert is_whole(privacy.prepare(frame(0.1), analysis()).pixels_bgr)
    assert privacy.on


def test_switching_on_twice_forgets_nothing() -> None:
    privacy = Privacy(on=True)
    privacy.prepare(frame(0), analysis(FACE))
    privacy.switch(True)
    assert not is_whole(privacy.prepare(frame(0.1), analysis()).pixels_bgr)


def test_memory_does_not_grow() -> None:
    privacy = Privacy(on=True)
    for index in range(120):
        privacy.prepare(frame(index / 30), analysis(FACE, FACE, numbers=(index, index + 1000)))
    assert sum(map(len, privacy._seen.values())) <= 62


@pytest.mark.parametrize("block_px", [1, 7.3, 40, 1000])
def test_blocks_have_at_least_the_given_side(block_px: float) -> None:
    shown = pixelate(NOISE, block_px)
    assert shown.shape == NOISE.shape
    colors = len(np.unique(shown.reshape(-1, 3), axis=0))
    assert colors <= max(1, WIDTH / block_px) * max(1, HEIGHT / block_px)


# ---- against a strong detector

YUNET = SHARED / "models" / "face_detection_yunet_2023mar.onnx"


class Even:
    """Gives every expression the same probability: only the boxes matter here."""

    input_size_px = (48, 48)
    adjustment = None

    def predict(self, faces: np.ndarray) -> np.ndarray:
        return np.full((len(faces), 7), 1 / 7, np.float32)


def clip() -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(SHARED / "media" / "expressions.mp4"))
    pictures = []
    while (read := capture.read())[0]:
        pictures.append(read[1])
    capture.release()
    return pictures


def demo(count: int = 3) -> list[np.ndarray]:
    source = DemoSource(count=count)
    return [source.render(index * CYCLE_S / 30)[0] for index in range(30)]


def pan() -> list[np.ndarray]:
    group = cv2.imread(str(SHARED / "media" / "group.jpg"))
    return [np.ascontiguousarray(group[min(187, 6 * i) :, 12 * i :][:480, :640]) for i in range(30)]


def yunet(pictures: list[np.ndarray]) -> int:
    """The number of pictures in which YuNet finds a face."""
    height, width = pictures[0].shape[:2]
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", (width, height), 0.6)
    return sum(detector.detect(picture)[1] is not None for picture in pictures)


@pytest.mark.shared
@pytest.mark.skipif(not YUNET.is_file(), reason="../shared/models is missing")
@pytest.mark.parametrize(("pictures", "at_least"), [(clip, 472), (demo, 30), (pan, 30)])
def test_yunet_finds_no_face(pictures, at_least: int, fuzz: int) -> None:
    clear = pictures()
    assert len(clear) >= at_least
    clear = clear[:fuzz]
    assert yunet(clear[::10]) == len(clear[::10]), "it finds all of them without privacy mode"
    stream, privacy = FaceStream(Pipeline(HaarDetector(), Even())), Privacy(on=True)
    shown = []
    for index, pixels in enumerate(clear):
        one = frame(index / 24, pixels)
        shown.append(privacy.prepare(one, stream.analyze(one, one.captured_at)).pixels_bgr)
    assert yunet(shown) == 0
    whole = [pixelate(pixels, min(pixels.shape[:2]) / WHOLE_BLOCKS) for pixels in clear]
    in_part = sum(not np.array_equal(*pair) for pair in zip(shown, whole, strict=True))
    assert in_part > 0.8 * len(shown), "not just the whole picture is pixelated"


@pytest.mark.shared
@pytest.mark.skipif(not YUNET.is_file(), reason="../shared/models is missing")
def test_yunet_finds_no_face_of_twelve_blocks_or_less() -> None:
    """So a missed face in the background is found only if it takes more than 12 / BACKGROUND_BLOCKS of the side."""
    pictures = [*clip()[::40], *(cv2.resize(picture, (640, 360)) for picture in demo(count=1)[::4])]
    detector = cv2.FaceDetectorYN.create(str(YUNET), "", (640, 360), 0.6)
    widths = [detector.detect(picture)[1][0][2] for picture in pictures]
    for blocks in (3, 5, 8, 12):
        shown = [pixelate(picture, width / blocks) for picture, width in zip(pictures, widths, strict=True)]
        assert yunet(shown) == 0, blocks
    assert yunet([pixelate(picture, width / 40) for picture, width in zip(pictures, widths, strict=True)]) > 0


@pytest.mark.shared
@pytest.mark.skipif(not YUNET.is_file(), reason="../shared/models is missing")
@pytest.mark.parametrize("seen", range(len(GROUP_BOXES)))
def test_yunet_finds_none_of_the_missed_faces_beside_a_detected_one(seen: int) -> None:
    group = cv2.imread(str(SHARED / "media" / "group.jpg"))
    shown = Privacy(on=True).prepare(frame(pixels=group), analysis(GROUP_BOXES[seen])).pixels_bgr
    assert yunet([shown]) == 0
