"""Fit the quality of a face: what size, sharpness, light, pose, cuts and covers cost in labels that people agree with.

`python -m training quality --data data/fer2013 --votes ferplus_votes.csv` takes about five minutes; its seeds are
fixed. Half of the Training images train the small network that estimates pose and cover, on
landmarks of a detector and on faces turned in the plane and covered. The others are degraded, measured and classified,
and a logistic regression fits what each measure costs: hinge functions with slopes of 0 and more, so that a worse
measure never makes a face better. What is written into quality.npz is scored on PublicTest.
"""

from __future__ import annotations

import argparse
from typing import Any

import cv2
import keras
import numpy as np

from mien.analysis.face_measures import SIDE_PX, FaceReader, Pose, features
from mien.analysis.quality import QualityModel, hinges
from mien.detectors import create_detector
from mien.detectors.base import Detector
from mien.errors import ModelError
from mien.images.resize import crop_faces
from mien.types import QUALITY_REASONS, Detection
from model import FacialExpressionModel
from training.data.degrade import degrade
from training.data.splits import Split
from training.evaluate.quality import (
    SEED,
    as_markdown,
    measure_degraded,
    reasons_by_cause,
    score_quality,
    with_majority,
)
from training.inputs import read_data, writable

HIDDEN = 48
COVERED = 0.08
"""From this share on, a face counts as covered."""
YAW_LIMIT = 0.8

KNOTS = {
    "small": (0, 1, 2),
    "blurred": (1, 2, 3.5),
    "dark": (0, 1.5, 3),
    "overexposed": (0.05, 0.4, 0.8),
    "turned away": (0.5, 1, 1.6),
    "cut off": (0, 0.2, 0.4),
    "covered": (-1, 0, 1.5),
}
"""Where the slope of each penalty may change, in the units of `mien.analysis.face_measures.measure`."""


def run(options: argparse.Namespace) -> None:
    """Fit the quality, score it on the validation images, and write its file."""
    cv2.setNumThreads(1)
    if options.votes_file is None:
        raise ModelError("quality: expected --votes FILE, found none")
    model_file = options.detector_model
    detector = create_detector("yunet" if model_file else "centerface", model_file=model_file)
    classifier = FacialExpressionModel(options.model, options.weights)
    dataset = read_data(options, SIDE_PX)
    chosen = np.random.default_rng(SEED).permutation(len(dataset.train))[: options.images]
    half = len(chosen) // 2
    weights = fit_reader(dataset.train.take(chosen[:half]), detector)
    reader = FaceReader(weights)
    measured = measure_degraded(classifier, with_majority(dataset.train.take(chosen[half:])), reader, SEED + 1)
    weights |= fit_penalties(measured.measures, measured.right)
    for reason, slopes in zip(QUALITY_REASONS, weights["slopes"], strict=True):
        print(f"{reason}: " + ", ".join(f"{s:.2f} from {k:g}" for k, s in zip(KNOTS[reason], slopes, strict=True)))
    model = QualityModel(weights)
    for name, split, seed in (("Training", None, 0), (dataset.named[0], dataset.validation, SEED)):
        found = measured if split is None else measure_degraded(classifier, with_majority(split), reader, seed)
        print(as_markdown(score_quality(found, name, model)))
        print(f"Reasons given, {name}, by what was done:\n\n{reasons_by_cause(found, model)}", flush=True)
    small: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(writable(options.out), **small)
    print(f"wrote {options.out}, {options.out.stat().st_size / 1e3:.0f} kB")


def fit_reader(split: Split, detector: Detector) -> dict[str, np.ndarray]:
    """Train the network that estimates pose and cover, by AdamW with a cosine schedule.

    Args:
        split: The images.
        detector: Gives landmarks.

    Returns:
        Arrays as `mien.analysis.face_measures.FaceReader` takes them.
    """
    rng = np.random.default_rng(SEED)
    found, targets = zip(*(_example(image, detector, rng) for image in split.images[..., 0]), strict=True)
    x, y = np.array(found, np.float32), np.array(targets, np.float32)
    known = np.isfinite(y)
    print(f"{len(x)} faces, {known[:, 0].mean():.0%} with landmarks, {y[:, 2].mean():.0%} covered", flush=True)
    keras.utils.set_random_seed(SEED)
    hidden = keras.layers.Dense(HIDDEN, activation="relu", kernel_initializer="he_normal")
    out = keras.layers.Dense(3)
    network = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Dropout(0.1), hidden, keras.layers.Dropout(0.2), out]
    )
    epochs, batch_size = 30, 128
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(x) // batch_size))
    network.compile(keras.optimizers.AdamW(rate, weight_decay=0.02), _loss, jit_compile=False)
    network.fit(x, np.hstack([np.nan_to_num(y), known[:, :1]]), batch_size=batch_size, epochs=epochs, verbose=0)
    (kernel, bias), (out_kernel, out_bias) = hidden.get_weights(), out.get_weights()
    return {"hidden": kernel, "hidden_bias": bias, "out": out_kernel, "out_bias": out_bias}


def _loss(truth: Any, found: Any) -> Any:
    """Squared error of yaw, where known, and of the roll's sine; cross-entropy of the cover."""
    pose = keras.ops.square(truth[:, :2] - found[:, :2])
    covered = keras.losses.binary_crossentropy(truth[:, 2:3], found[:, 2:3], from_logits=True)
    return 8 * (pose[:, 0] + pose[:, 1]) * truth[:, 3] + covered


def _example(image: np.ndarray, detector: Detector, rng: np.random.Generator) -> tuple[np.ndarray, tuple[float, ...]]:
    """Features of a spoiled face; its yaw, the sine of its roll (NaN if unknown), and 1 if it is covered."""
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    pose = _pose(image, detector)
    causes = [(), ("turned away",), ("covered",)][int(rng.choice(3, p=(0.25, 0.25, 0.5)))]
    if rng.random() < 0.4:
        causes = (*causes, str(rng.choice(["small", "blurred", "dark", "overexposed", "cut off"])))
    face = degrade(image, causes, rng)
    (crop,) = crop_faces(face.pixels_bgr, [face.box], (SIDE_PX, SIDE_PX))
    yaw = np.clip(pose.yaw, -YAW_LIMIT, YAW_LIMIT) if pose else np.nan
    roll = np.sin(np.radians(np.clip(pose.roll_deg + face.roll_deg, -90, 90))) if pose else np.nan
    return features(crop), (float(yaw), float(roll), float(face.covered > COVERED))


def _pose(image: np.ndarray, detector: Detector) -> Pose | None:
    """The pose by a detector's landmarks; None where it finds no face."""
    margin, side = 32, 160
    scene = np.full((side + 2 * margin, side + 2 * margin, 3), 128, np.uint8)
    face = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    scene[margin:-margin, margin:-margin] = face[..., np.newaxis]
    found = max(detector.detect(scene), key=lambda each: each.area, default=None)
    landmarks = found.landmarks if isinstance(found, Detection) else None
    return None if landmarks is None else Pose.of_landmarks(landmarks)


def fit_penalties(measures: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Fit what each measure costs, by logistic regression.

    Args:
        measures: float64 (n, 7), see `mien.analysis.face_measures.measure`.
        right: Whether the label is what people see, bool (n,).

    Returns:
        Arrays as `mien.analysis.quality.QualityModel` takes them: knots and slopes (7, k), and best.
    """
    knots = np.array([KNOTS[reason] for reason in QUALITY_REASONS], float)
    weights = decreasing_regression(hinges(measures, knots).reshape(len(measures), -1), right)
    return {"knots": knots, "slopes": weights[1:].reshape(knots.shape), "best": weights[:1].reshape(())}


def decreasing_regression(x: np.ndarray, right: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Fit p = sigmoid(w[0] - x @ w[1:]) with w[1:] of 0 and more, by Newton's method with an active set.

    Args:
        x: float64 (n, d).
        right: bool (n,).
        rounds: Of the iteration.

    Returns:
        float64 (1 + d,).
    """
    inputs = np.hstack([np.ones((len(x), 1)), -x])
    ridge = np.r_[0.0, np.full(x.shape[1], 1e-4 * len(x))]
    weights = np.zeros(inputs.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(inputs @ weights, -60, 60)))
        gradient = inputs.T @ (p - right) + ridge * weights
        free = (weights > 0) | (gradient < 0)
        free[0] = True
        part = inputs[:, free]
        hessian = (part * (p * (1 - p))[:, np.newaxis]).T @ part + np.diag(ridge[free] + 1e-9)
        weights[free] -= np.linalg.solve(hessian, gradient[free])
        weights[1:] = np.maximum(weights[1:], 0)
    return weights
