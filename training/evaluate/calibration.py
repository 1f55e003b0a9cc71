"""Calibrate a network: temperature scaling and logit adjustment.

The temperature makes the mean confidence equal to the accuracy and changes no predicted label (Guo et al., "On
calibration of modern neural networks", 2017). Logit adjustment raises rare expressions against their base rates (Menon
et al., "Long-tail learning via logit adjustment", 2021).
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

from mien.cnn.feeding import DEFAULT
from mien.cnn.loader import load_network
from mien.cnn.whole import is_whole
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from training.data.splits import Dataset, Split
from training.data.votes import ambiguous, shares
from training.evaluate.metrics import score
from training.evaluate.votes import VoteScores, agreement, score_votes
from training.export import export_calibrated, read_heads
from training.formats import also_compile
from training.heads import Head, HeadFacts, head_of, predict_heads, set_head, softmax, write_other_head
from training.inputs import read_data, square_model, warn_of_known_images
from training.recipe import RunError

LOWEST, HIGHEST = 0.25, 4.0
"""Limits of the temperature."""

NEUTRAL = EXPRESSIONS.index("neutral")
TAUS = tuple(np.linspace(0, 1, 21).round(2).tolist())
"""The values that `choose_tau` tries: 0 to 1 in steps of 0.05."""


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature, 0.25 to 4, at which the mean confidence equals the accuracy.

    After Clarté et al., "Expectation consistency for calibration of neural networks" (2023). The temperature with the
    smallest negative log-likelihood, as in Guo et al., left a network that was trained on softened labels overconfident
    (MODEL_CARD.md).

    Args:
        probabilities: (n, 7), of images that the network was not trained on.
        labels: int (n,).

    Returns:
        Above 1 for an overconfident network, below 1 for an underconfident one.
    """
    return _temperature_at(probabilities, float((probabilities.argmax(axis=1) == labels).mean()))


def fit_temperature_to_votes(probabilities: np.ndarray, split: Split) -> float:
    """Find the temperature at which the mean confidence equals the mean share of votes for the predicted label.

    As `fit_temperature`, on the images that are not ambiguous, with probabilities (n, 7) of a split with votes.
    """
    kept = ~ambiguous(split)
    return _temperature_at(probabilities[kept], float(agreement(probabilities[kept], shares(split)[kept]).mean()))


def _temperature_at(probabilities: np.ndarray, wanted: float) -> float:
    """Find the temperature at which the mean confidence is `wanted`, by bisection: it falls with the temperature."""
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(60):
        middle = (low + high) / 2
        sure = at_temperature(probabilities, np.exp(middle)).max(axis=1).mean() > wanted
        low, high = (middle, high) if sure else (low, middle)
    return float(np.exp((low + high) / 2))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(logits / temperature) of probabilities softmax(logits): float64 (n, 7)."""
    return softmax(_logits(probabilities) / temperature)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probabilities.astype(np.float64), 1e-30, 1))


def fold_into(network: keras.Model, temperature: float) -> None:
    """Divide the weights of the last layer, and so its logits, by the temperature.

    Raises:
        RunError: The network does not end with a dense layer with softmax.
    """
    set_head(network, head_of(network).divided(temperature))


def adjusted(probabilities: np.ndarray, base_rates: np.ndarray, tau: float) -> np.ndarray:
    """Multiply probabilities by base_rates^-tau and renormalize.

    Args:
        probabilities: (n, 7), of the network.
        base_rates: (7,), the share of each expression in its training data.
        tau: 0 changes nothing, 1 rates all seven equally frequent; a negative one undoes a positive one.

    Returns:
        float64 (n, 7).
    """
    return softmax(_logits(probabilities) - tau * np.log(base_rates))


def choose_tau(probabilities: np.ndarray, split: Split, base_rates: np.ndarray, neutral_recall: float = 0.0) -> float:
    """Find the tau of TAUS with the largest sum of accuracy and balanced recall on images with a clear majority.

    Args:
        probabilities: (n, 7), of a network without logit adjustment.
        split: Images with votes.
        base_rates: As for `adjusted`.
        neutral_recall: Least recall of neutral faces; 0 is chosen where no tau reaches it. The sum alone hardly counts
            neutral faces that are taken for rare expressions: a class of 24 images weighs as much as one of a thousand.

    Raises:
        RunError: No image has a clear majority.
    """
    scores = {tau: score_votes(adjusted(probabilities, base_rates, tau), split) for tau in TAUS}
    found = {tau: s for tau, s in scores.items() if s is not None}
    if not found:
        raise RunError("expected images with a clear majority, found none")
    kept = [tau for tau, s in found.items() if s.recall[NEUTRAL] >= neutral_recall] or [0.0]
    return max(kept, key=lambda tau: found[tau].accuracy + found[tau].balanced_recall)


def run(options: argparse.Namespace) -> None:
    """Calibrate a network, and both heads of one that was trained with votes; export it.

    Raises:
        RunError: The options do not fit the network.
    """
    model, side_px = square_model(options)
    network = load_network(options.model, options.weights)
    about, heads = read_heads(network, options.model)
    _check_options(options, about)
    _check_outputs(options, model, about)
    dataset = read_data(options, side_px)
    warn_of_known_images(dataset)
    if about is None:
        temperature, tau = _calibrate_labels(model.predict(dataset.validation.images), dataset), None
        fold_into(network, temperature)
    else:
        temperature, tau = _calibrate_heads(options, network, (about, heads), dataset)
    folder = options.export or options.model.parent
    in_order = model.labels.expressions == EXPRESSIONS
    labels = None if in_order and options.labels is None else list(model.labels.expressions)
    pixels = None if model.pixels == DEFAULT else model.pixels
    files = export_calibrated(network, options.model, temperature, folder, tau=tau, expressions=labels, pixels=pixels)
    print(f"temperature {temperature:.4f}; wrote {files[0]} and {files[1]}")
    also_compile(*files)


def _check_outputs(options: argparse.Namespace, model: FacialExpressionModel, about: HeadFacts | None) -> None:
    """Raise RunError where the outputs are not the seven expressions, for two heads in their usual order."""
    in_order = model.labels.expressions == EXPRESSIONS
    if not (in_order or (about is None and model.labels.is_permutation)):
        found = ", ".join(name or "none" for name in model.labels.expressions)
        raise RunError(f"{options.model}: expected outputs in the order {', '.join(EXPRESSIONS)}, found {found}")
    if options.in_place and is_whole(options.model):
        raise RunError(f"--in-place: expected model.json, found a whole network, {options.model}")


def _check_options(options: argparse.Namespace, about: HeadFacts | None) -> None:
    """Raise RunError where the options do not fit the network."""
    if options.tau is not None and not 0 <= options.tau <= 1:
        raise RunError(f"--tau: expected 0 to 1, found {options.tau:g}")
    if not 0 <= options.neutral_recall <= 1:
        raise RunError(f"--neutral-recall: expected 0 to 1, found {options.neutral_recall:g}")
    people = about is not None and about.head == "people"
    if people and not options.votes_file:
        raise RunError(f"{options.model}: expected --votes, as its last layer is the head of people; found none")
    if not people and options.tau is not None:
        raise RunError(f"--tau: expected a network with the head of people, found {options.model} without")
    if about is None and options.votes_file:
        raise RunError(f"--votes: expected a network that was trained with votes, found {options.model}")


def _calibrate_labels(before: np.ndarray, dataset: Dataset) -> float:
    """Fit the temperature to the labels of the validation images; print its effect."""
    labels = dataset.validation.labels
    temperature = fit_temperature(before, labels)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        s = score(probabilities, labels)
        print(f"{when}: NLL {s.nll:.4f}, ECE {s.ece:.4f} on {s.n} images ({dataset.named[0]})")
    return temperature


def _calibrate_heads(
    options: argparse.Namespace, network: keras.Model, stored: tuple[HeadFacts, dict[str, Head]], dataset: Dataset
) -> tuple[float, float | None]:
    """Calibrate both heads, in the network and in the file next to it; return the network's (temperature, tau)."""
    about, heads = stored
    predicted = predict_heads(network, heads, dataset.validation.images)
    temperatures = {}
    for name, before in predicted.items():
        print(f"head of {name}:")
        if name == "people" and options.votes_file:
            temperatures[name] = _calibrate_votes(before, dataset)
        elif name == "folders":
            temperatures[name] = _calibrate_labels(before, dataset)
    heads = {name: head.divided(temperatures.get(name, 1.0)) for name, head in heads.items()}
    set_head(network, heads[about.head])
    tau = None
    if about.head == "people":
        people = at_temperature(predicted["people"], temperatures["people"])
        base_rates = np.array(about.base_rates)
        tau = options.tau
        if tau is None:
            tau = choose_tau(people, dataset.validation, base_rates, options.neutral_recall)
        set_head(network, head_of(network).shifted(-tau * np.log(base_rates)))  # has the effect of `adjusted`
        print(f"tau {tau:g}: {_in_words(score_votes(adjusted(people, base_rates, tau), dataset.validation))}")
    for name, head in heads.items():
        if name != about.head:
            write_other_head(options.export or options.model.parent, name, head)
    return temperatures[about.head], tau


def _calibrate_votes(before: np.ndarray, dataset: Dataset) -> float:
    """Fit the temperature to the votes for the validation images; print its effect."""
    temperature = fit_temperature_to_votes(before, dataset.validation)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        print(f"{when}: {_in_words(score_votes(probabilities, dataset.validation))} ({dataset.named[0]})")
    return temperature


def _in_words(s: VoteScores | None) -> str:
    """Return the scores in one line. Raise RunError where there are none."""
    if s is None:
        raise RunError("--votes: expected validation images with a clear majority, found none")
    return (
        f"{s.accuracy:.2%} of {s.n} clear majorities, balanced recall {s.balanced_recall:.3f}, neutral "
        f"{s.recall[NEUTRAL]:.3f}, share error {s.share_error:.4f}, ECE {s.ece:.4f} on {s.shown} images"
    )
