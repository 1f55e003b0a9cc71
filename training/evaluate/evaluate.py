"""`python -m training evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.analysis.quality import QualityModel
from mien.detectors import create_detector
from mien.errors import ModelError
from mien.settings import Settings
from model import FacialExpressionModel
from training.data.splits import Dataset, Split
from training.data.votes import ambiguous
from training.evaluate.costs import measure
from training.evaluate.doubt import Doubt, measure_doubt
from training.evaluate.end_to_end import EndToEnd, end_to_end
from training.evaluate.metrics import Scores, compared, evaluate, regressions, same_sets, with_clean
from training.evaluate.quality import QualityScores, measure_degraded, score_quality, with_majority
from training.evaluate.report import HEAD_NAMES, SHIPPED, HeadScores, Report, around, write_card
from training.evaluate.votes import VoteScores, score_votes
from training.export import read_heads, read_origin
from training.heads import HEADS, predict_heads
from training.inputs import read_data, square_model, warn_of_known_images
from training.options import FACES


def run(options: argparse.Namespace) -> None:
    """Measure an exported network; print and save its figures.

    Raises:
        ModelError: The options are invalid, or with --check the figures are worse than the recorded ones.
    """
    if not options.end_to_end and (options.faces or options.detector or options.detector_model):
        raise ModelError("--faces, --detector and --detector-model: expected --end-to-end with them, found none")
    if options.faces is not None and options.faces < 1:
        raise ModelError(f"--faces: expected 1 or more, found {options.faces}")
    model, side_px = square_model(options)
    shipped = (options.model, options.weights) == (Path("model.json"), Path("model_weights.h5"))
    recorded = Report.read_json(options.recorded) if options.check or (shipped and options.recorded.is_file()) else None
    if options.card:
        around(options.card)  # refuses a card without markers before anything is measured
    dataset = read_data(options, side_px)
    warn_of_known_images(dataset)
    recipe, epochs = read_origin(options.model)
    frames = _in_frames(options, model, dataset.test) if options.end_to_end else ()
    sets = evaluate(model.predict, dataset, flip=True)
    heads = _by_head(options, model, dataset) if options.votes_file else ()
    quality = _quality(model, dataset) if options.votes_file else None
    report = Report(sets, measure(model), epochs, recipe, frames, heads, quality)
    print(report.as_markdown())
    if recorded and (options.check or same_sets(report.sets, recorded.sets)):
        print(f"compared with {options.recorded}: {compared(report.sets, recorded.sets)}")
    print("wrote " + ", ".join(str(path) for path in report.write(options.out)))
    if options.json:
        report.write_json(options.json)
        report.write_reliability(options.json.with_suffix(".png"))
    if options.card:
        write_card(options, options.out, report.as_markdown())
    if options.check and recorded and (worse := regressions(report.sets, recorded.sets)):
        raise ModelError(f"worse than {options.recorded}: " + "; ".join(worse))


def _by_head(options: argparse.Namespace, model: FacialExpressionModel, dataset: Dataset) -> tuple[HeadScores, ...]:
    """Score the network against votes, and both its heads and what the page says where it was trained with two."""
    about, heads = read_heads(model.network, options.model)
    splits = dict(zip(dataset.named, (dataset.validation, dataset.test), strict=True))
    votes: dict[str, dict[str, VoteScores]] = {}
    labels: dict[str, dict[str, Scores]] = {}
    doubt: dict[str, Doubt] = {}
    for set_name, split in splits.items():
        predicted = {SHIPPED: model.predict(split.images)} if len(split) else {}
        if about is not None and len(split):
            found = predict_heads(model.network, heads, split.images)
            predicted |= {HEAD_NAMES[name]: found[name] for name in HEADS if name in found}
        if SHIPPED in predicted and (said := _doubt_of(model, predicted[SHIPPED], split)):
            doubt[set_name] = said
        for name, probabilities in predicted.items():
            if scores := score_votes(probabilities, split):
                votes.setdefault(name, {})[set_name] = scores
            if name != SHIPPED:
                train = dataset.train if split is dataset.test else None
                labels.setdefault(name, {}).update(with_clean(set_name, split, probabilities, train))
    names = dict.fromkeys([*votes, *labels])
    return tuple(
        HeadScores(name, votes.get(name, {}), labels.get(name, {}), doubt if name == SHIPPED else {}) for name in names
    )


def _quality(model: FacialExpressionModel, dataset: Dataset) -> QualityScores | None:
    """Score the quality of degraded validation images; None where people agree on none of them."""
    faces = with_majority(dataset.validation)
    if not len(faces):
        return None
    measured = measure_degraded(model, faces, QualityModel.stored().reader)
    return score_quality(measured, dataset.named[0])


def _doubt_of(model: FacialExpressionModel, probabilities: np.ndarray, split: Split) -> Doubt | None:
    """Measure what the page says; None for a network that learned no votes, or a split with ambiguous images only."""
    shares = None if model.adjustment is None else model.adjustment.people_shares(probabilities)
    return None if shares is None or ambiguous(split).all() else measure_doubt(probabilities, shares, split)


def _in_frames(options: argparse.Namespace, model: FacialExpressionModel, faces: Split) -> tuple[EndToEnd, ...]:
    """Measure each of the detectors end to end. Raise ModelError where there are no test images."""
    if not len(faces):
        raise ModelError("--end-to-end: expected test images, found none")
    detectors = {}
    for name in options.detector or ("haar", Settings().detector):
        file = options.detector_model if name in ("yunet", "auto") else None
        detector = create_detector(name, model_file=file)
        detectors[detector.name] = detector  # the default may be haar, where the file of another is missing
    return tuple(
        result
        for detector in detectors.values()
        for result in end_to_end(detector, model, faces, faces=options.faces or FACES)
    )
