"""How well a face can be read: the expected reason for each thing that may be wrong, and worse means lower."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.analysis.face_measures import FaceReader, Pose, blur, cut_share, features, measure
from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.quality import MEASURE_EVERY_S, QualityMeter, QualityModel
from mien.detectors import HaarDetector
from mien.sources.demo import DemoSource
from mien.types import QUALITY_REASONS, Box, Detection, Face, Frame, Quality, clip_box
from tests.test_pipeline import LEFT, BrightnessClassifier, ScriptedDetector


@pytest.fixture(scope="module")
def demo():
    """A frame of the demo, and the box of its face."""
    frame = DemoSource(count=1, paced=False).read()
    (box,) = HaarDetector().detect(frame.pixels_bgr)
    return frame.pixels_bgr, Box(box.x, box.y, box.w, box.h)


def small(pixels, box, strength):
    scale = (48 - 32 * strength) / box.w
    picture = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return picture, Box(*(round(side * scale) for side in (box.x, box.y, box.w, box.h)))


def blurred(pixels, box, strength):
    return cv2.GaussianBlur(pixels, (0, 0), (0.02 + 0.08 * strength) * box.w), box


def dark(pixels, box, strength):
    return (pixels * 2.0 ** -(1.5 + 3 * strength)).astype(np.uint8), box


def overexposed(pixels, box, strength):
    return np.clip(pixels * (1.3 + 2 * strength) + 60, 0, 255).astype(np.uint8), box


def turned_away(pixels, box, strength):
    center = box.x + box.w / 2, box.y + box.h / 2
    matrix = cv2.getRotationMatrix2D(center, 15 + 40 * strength, 1.0)
    return cv2.warpAffine(pixels, matrix, pixels.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), box


def cut_off(pixels, box, strength):
    left = box.x + round((0.15 + 0.4 * strength) * box.w)
    return pixels[:, left:], clip_box(box.x - left, box.y, box.w, box.h, pixels.shape[1] - left, pixels.shape[0])


def covered(pixels, box, strength):
    picture = pixels.copy()
    top = box.y + round((0.7 - 0.2 * strength) * box.h)
    picture[top : box.y + box.h, box.x + box.w // 10 : box.x + box.w - box.w // 10] = 210
    return picture, box


SPOILED = dict(zip(QUALITY_REASONS, (small, blurred, dark, overexposed, turned_away, cut_off, covered), strict=True))


def quality_of(pixels, box):
    return QualityModel.stored().assess(pixels, box)


def test_the_demo_can_be_read_well(demo):
    quality = quality_of(*demo)
    assert quality.value > 0.9
    assert quality.reason is None


@pytest.mark.parametrize("reason", QUALITY_REASONS)
def test_a_spoiled_face_is_worse_for_the_expected_reason(demo, reason):
    quality = quality_of(*SPOILED[reason](*demo, 1.0))
    assert quality.reason == reason
    assert quality.value < quality_of(*demo).value - 0.05


def test_sunglasses_cover_a_face(demo):
    pixels, box = demo[0].copy(), demo[1]
    for x in (0.32, 0.68):
        center = round(box.x + x * box.w), round(box.y + 0.37 * box.h)
        cv2.ellipse(pixels, center, (box.w // 6, box.h // 9), 0, 0, 360, (20, 20, 20), -1)
    assert quality_of(pixels, box).reason == "covered"


@pytest.mark.parametrize("reason", [reason for reason in QUALITY_REASONS if reason != "covered"])
def test_the_more_a_face_is_spoiled_the_lower_its_quality(demo, reason):
    values = [quality_of(*SPOILED[reason](*demo, strength)).value for strength in (0.0, 0.5, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_no_measure_makes_a_face_better_by_getting_worse():
    model = QualityModel.stored()
    levels = np.linspace(-5, 10, 61)
    for i in range(len(QUALITY_REASONS)):
        measures = np.zeros((len(levels), len(QUALITY_REASONS)))
        measures[:, i] = levels
        assert (np.diff(model.costs(measures)[:, i]) >= 0).all(), QUALITY_REASONS[i]


@pytest.mark.parametrize("side", [1, 3, 7, 20])
def test_tiny_boxes_are_measured(demo, side):
    assert quality_of(demo[0], Box(300, 200, side, side)).value < 0.7


def test_a_box_outside_the_picture_cannot_be_read(demo):
    assert quality_of(demo[0], Box(5000, 0, 10, 10)).value < 1e-6


def test_landmarks_decide_whether_a_face_is_turned(demo):
    pixels, box = demo

    def with_nose(x):
        left, right = box.x + 0.3 * box.w, box.x + 0.7 * box.w
        y = box.y + 0.4 * box.h
        points = ((left, y), (right, y), (x, y + 40), (left, y + 80), (right, y + 80))
        return Detection(box.x, box.y, box.w, box.h, "scripted", points)

    front, turned = with_nose(box.x + box.w / 2), with_nose(box.x + 0.75 * box.w)
    assert quality_of(pixels, front).reason is None
    assert quality_of(pixels, turned).reason == "turned away"


@pytest.mark.parametrize(
    ("points", "yaw", "roll_deg"),
    [
        ([(0, 0), (10, 0), (5, 5)], 0, 0),
        ([(0, 0), (10, 0), (9, 5)], 0.4, 0),
        ([(0, 0), (0, 10), (-5, 5)], 0, 90),
        ([(0, 0), (10, 10), (5, 5)], 0, 45),
    ],
)
def test_the_pose_of_landmarks(points, yaw, roll_deg):
    pose = Pose.of_landmarks((*points, (0, 9), (9, 9)))
    assert (pose.yaw, pose.roll_deg) == (pytest.approx(yaw), pytest.approx(roll_deg))


def test_blur_ignores_light_and_contrast():
    rng = np.random.default_rng(0)
    sharp = cv2.resize(rng.integers(0, 200, (12, 12), dtype=np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    assert blur(soft) > blur(sharp) + 1
    assert blur((sharp * 0.5 + 60).astype(np.uint8)) == pytest.approx(blur(sharp), abs=0.3)
    assert blur(np.full((48, 48), 128, np.uint8)) >= 0, "without any detail it is finite"


@pytest.mark.parametrize(
    ("box", "inside", "share"),
    [
        (Box(0, 0, 40, 40), Box(0, 0, 40, 40), 0),
        (Box(0, 0, 20, 40), Box(0, 0, 20, 40), 0.5),
        (Box(-20, 0, 40, 40), Box(0, 0, 20, 40), 0.5),
        (Box(0, 0, 38, 40), Box(0, 0, 38, 40), 0),
    ],
)
def test_what_a_clipped_box_lacks_to_a_square_is_cut_off(box, inside, share):
    assert cut_share(box, inside) == pytest.approx(share)


def test_features_of_a_face_do_not_depend_on_brightness(demo):
    pixels, box = demo
    crop = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)[box.y : box.y + box.h, box.x : box.x + box.w], (48, 48))
    found = features(crop)
    assert found.shape == (972,)
    assert found.dtype == np.float32
    assert np.abs(features(crop // 2 + 40) - found).mean() < 0.05
    assert np.isfinite(features(np.zeros((48, 48), np.uint8))).all()


def test_measures_have_the_order_of_the_reasons(demo):
    model = QualityModel.stored()
    before = measure(*demo, model.reader)
    after = measure(*dark(*demo, 1.0), model.reader)
    assert before.shape == (len(QUALITY_REASONS),)
    assert int(np.argmax(after - before)) == QUALITY_REASONS.index("dark")
    assert isinstance(model.reader, FaceReader)


# ---- over time


def test_a_tracked_face_is_measured_four_times_a_second(demo):
    meter, (pixels, box) = QualityMeter(), demo
    first = meter.update(pixels, box, 0.0)
    worse = dark(pixels, box, 1.0)[0]
    assert meter.update(worse, box, MEASURE_EVERY_S / 2) is first
    assert meter.update(worse, box, MEASURE_EVERY_S).value < first.value


def test_one_bad_frame_is_smoothed_and_many_are_not(demo):
    meter, (pixels, box) = QualityMeter(), demo
    worse = dark(pixels, box, 1.0)[0]
    values = [meter.update(pixels, box, 0.0).value]
    values += [meter.update(worse, box, (i + 1) * MEASURE_EVERY_S).value for i in range(20)]
    assert values == sorted(values, reverse=True)
    assert values[1] > quality_of(worse, box).value + 0.1
    assert values[-1] == pytest.approx(quality_of(worse, box).value, abs=0.02)


def test_a_clock_that_is_set_back_does_not_stop_the_measurement(demo):
    meter, (pixels, box) = QualityMeter(), demo
    meter.update(pixels, box, 100.0)
    for i in range(1, 30):
        last = meter.update(*dark(pixels, box, 1.0), i * MEASURE_EVERY_S)
    assert last.reason == "dark"


def test_the_same_frames_at_the_same_times_have_the_same_quality():
    def values():
        stream = FaceStream(Pipeline(HaarDetector(), BrightnessClassifier()))
        source = DemoSource(count=1, paced=False)
        frames = [source.read() for _ in range(20)]
        return [face.quality for frame in frames for face in stream.analyze(frame, frame.media_time_s).faces]

    found = values()
    assert len(found) > 10
    assert found == values()


# ---- where it is used


@pytest.mark.parametrize(("min_quality", "unsure"), [(0.0, False), (0.5, True)])
def test_a_face_below_the_least_quality_is_unsure(demo, min_quality, unsure):
    pixels, box = dark(*demo, 1.0)
    pipeline = Pipeline(ScriptedDetector([box]), BrightnessClassifier(), min_quality=min_quality)
    (face,) = pipeline.analyze(Frame(pixels)).faces
    assert face.quality.value < 0.5
    assert (face.confidence, face.unsure) == (pytest.approx(0.94), unsure)
    stream = FaceStream(pipeline)
    (*_, (tracked,)) = [stream.analyze(Frame(pixels, i), i / 30).faces for i in range(3)]
    assert (tracked.quality.reason, tracked.unsure) == ("dark", unsure)


def test_a_face_that_can_be_read_well_stays_sure(demo):
    pixels, box = demo
    (face,) = Pipeline(ScriptedDetector([box]), BrightnessClassifier()).analyze(Frame(pixels)).faces
    assert not face.unsure


def test_json_has_quality_and_reason():
    probabilities = np.full(7, 1 / 7, np.float32)
    face = Face(LEFT, probabilities, probabilities)
    assert [face.to_dict()[key] for key in ("quality", "quality_reason")] == [None, None]
    dim = replace(face, quality=Quality(np.float64(0.123456), "dark"))
    assert json.loads(json.dumps(dim.to_dict()))["quality"] == 0.123
    assert dim.to_dict()["quality_reason"] == "dark"


@pytest.mark.parametrize(("value", "reason"), [(1.1, None), (-0.1, None), (float("nan"), None), (0.5, "ugly")])
def test_a_quality_validates_itself(value, reason):
    with pytest.raises(ValueError, match="quality: expected"):
        Quality(value, reason)
