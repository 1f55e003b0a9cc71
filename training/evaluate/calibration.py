"""Temperature and base rates: two numbers that decide what a network's probabilities mean.

The temperature makes its confidence honest and leaves its answers as they are (Guo et al., "On calibration of modern
neural networks", 2017). Logit adjustment says how much more rare expressions count than the training images taught
(Menon et al., "Long-tail learning via logit adjustment", 2021).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

from mien.cnn.loader import load_network
from mien.types import EXPRESSIONS
from training.data.dataset import Dataset, Split
from training.data.votes import ambiguous, shares
from training.evaluate.metrics import score
from training.evaluate.votes import VoteScores, agreement, score_votes
from training.export import export_calibrated, read_heads
from training.heads import Head, HeadFacts, answers_of, last_layer, set_head, write_other_head
from training.options import add_data, add_network, add_votes, read_data, square_model, warn_of_known_images
from training.recipe import RunError

LOWEST, HIGHEST = 0.25, 4.0
STEPS = 60
NEUTRAL = EXPRESSIONS.index("neutral")
NEUTRAL_RECALL = 0.85
"""As many neutral faces as the shipped network must still name neutral: being read as sad is what people mind most."""

TAUS = tuple(np.linspace(0, 1, 21).round(2).tolist())
"""What `choose_tau` chooses from: 0 to 1 in steps of 0.05."""


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.25 to 4, at which the mean confidence is the share of right answers.

    probabilities: (n, 7), of images the network was not fitted on. labels: int (n,). Above 1 the network was too
    sure of itself, below 1 not sure enough. Found by bisection, as confidence falls with the temperature. After Clarté
    et al., "Expectation consistency for calibration of neural networks" (2023): the smallest negative log-likelihood,
    which Guo et al. look for, left a network fitted to softened labels too sure (MODEL_CARD.md).
    """
    return _temperature_at(probabilities, float((probabilities.argmax(axis=1) == labels).mean()))


def fit_temperature_to_votes(probabilities: np.ndarray, split: Split) -> float:
    """The temperature at which the mean confidence is the mean share of people who agree with what is predicted.

    As `fit_temperature`, over the images with three votes for one of the seven or more.
    """
    kept = ~ambiguous(split)
    return _temperature_at(probabilities[kept], float(agreement(probabilities[kept], shares(split)[kept]).mean()))


def _temperature_at(probabilities: np.ndarray, wanted: float) -> float:
    """The temperature at which the mean confidence is `wanted`, as near as LOWEST and HIGHEST allow."""
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if at_temperature(probabilities, np.exp(middle)).max(axis=1).mean() > wanted:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What softmax(logits / temperature) would give, from softmax(logits): float64 (n, 7)."""
    powers = np.log(np.clip(probabilities.astype(np.float64), 1e-30, 1)) / temperature
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fold_into(network: keras.Model, temperature: float) -> None:
    """Divide the weights of the last layer by the temperature, and so its logits: nothing else need know of it.

    Raises RunError for a network that does not end in a dense layer with a softmax.
    """
    last = last_layer(network)
    last.set_weights([weights / np.float32(temperature) for weights in last.get_weights()])


def adjusted(probabilities: np.ndarray, base_rates: np.ndarray, tau: float) -> np.ndarray:
    """Probabilities times base rate to the power of minus tau, renormalised: float64 (n, 7).

    base_rates: (7,), the share of each expression in what the network was fitted on. tau: 0 leaves it as people see
    it, 1 takes all seven for equally frequent; a negative one undoes what a positive one did.
    """
    powers = np.log(np.clip(probabilities.astype(np.float64), 1e-30, 1)) - tau * np.log(base_rates)
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def choose_tau(probabilities: np.ndarray, split: Split, base_rates: np.ndarray, neutral_recall: float = 0.0) -> float:
    """The tau with the largest sum of accuracy and balanced recall on images with a clear majority.

    neutral_recall: share of the neutral faces that must still be named neutral. The larger tau, the more of them are
    taken for rare expressions, and the sum alone hardly notices: a class of 24 images counts in it as much as one of
    a thousand. Tau is 0 where no other one leaves so many. Raises RunError where no image has a clear majority.
    """
    scores = {tau: score_votes(adjusted(probabilities, base_rates, tau), split) for tau in TAUS}
    found = {tau: s for tau, s in scores.items() if s is not None}
    if not found:
        raise RunError("expected images with a clear majority, found none")
    kept = [tau for tau, s in found.items() if s.recall[NEUTRAL] >= neutral_recall] or [0.0]
    return max(kept, key=lambda tau: found[tau].accuracy + found[tau].balanced_recall)


def fold_tau_into(network: keras.Model, base_rates: np.ndarray, tau: float) -> None:
    """Subtract tau * log(base rate) from the bias of the last layer: `adjusted`, in the weights themselves."""
    last = last_layer(network)
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias - np.float32(tau) * np.log(base_rates).astype(np.float32)])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, votes, network, and where the calibrated one goes."""
    add_data(parser)
    add_votes(parser)
    add_network(parser)
    parser.add_argument("--tau", type=float, help="of the logit adjustment, 0 to 1 (default: chosen on PublicTest)")
    floor = "share of neutral faces that must still be named neutral by the tau chosen (%(default)s)"
    parser.add_argument("--neutral-recall", type=float, default=NEUTRAL_RECALL, help=floor)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--export", type=Path, help="folder for the calibrated files")
    target.add_argument("--in-place", action="store_true", help="overwrite the files of --model and --weights")


def run(options: argparse.Namespace) -> None:
    """make an exported network's confidence honest, and choose how much rare expressions count, on PublicTest"""
    model, side_px = square_model(options)
    if model.output_order != sorted(model.output_order):
        raise RunError(f"{options.model}: expected outputs in the order {', '.join(EXPRESSIONS)}, found another")
    network = load_network(options.model, options.weights)
    about, heads = read_heads(network, options.model)
    check(options, about)
    dataset = read_data(options, side_px)
    warn_of_known_images(dataset)
    if about is None:
        temperature, tau = calibrate_labels(model.predict(dataset.validation.images), dataset), None
        fold_into(network, temperature)
    else:
        temperature, tau = calibrate_heads(options, network, (about, heads), dataset)
    folder = options.export or options.model.parent
    files = export_calibrated(network, options.model, temperature, folder, tau)
    print(f"temperature {temperature:.4f}; wrote {files[0]} and {files[1]}")


def check(options: argparse.Namespace, about: HeadFacts | None) -> None:
    """Raises RunError where the options do not fit the network."""
    if options.tau is not None and not 0 <= options.tau <= 1:
        raise RunError(f"--tau: expected 0 to 1, found {options.tau:g}")
    if not 0 <= options.neutral_recall <= 1:
        raise RunError(f"--neutral-recall: expected 0 to 1, found {options.neutral_recall:g}")
    people = about is not None and about.head == "people"
    if people and not options.votes_file:
        raise RunError(f"{options.model}: its last layer says what people see; expected --votes to calibrate it by")
    if not people and options.tau is not None:
        raise RunError(f"--tau: expected a network with the head of people, found {options.model} without")
    if about is None and options.votes_file:
        raise RunError(f"--votes: expected a network that was fitted to votes, found {options.model}")


def calibrate_labels(before: np.ndarray, dataset: Dataset) -> float:
    """The temperature that fits the labels of the validation images; prints what it changes."""
    labels = dataset.validation.labels
    temperature = fit_temperature(before, labels)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        s = score(probabilities, labels)
        print(f"{when}: NLL {s.nll:.4f}, ECE {s.ece:.4f} on {s.n} images ({dataset.named[0]})")
    return temperature


def calibrate_heads(
    options: argparse.Namespace, network: keras.Model, stored: tuple[HeadFacts, dict[str, Head]], dataset: Dataset
) -> tuple[float, float | None]:
    """Calibrate both heads and put them into the network and the file beside it; (temperature, tau) of the network."""
    about, heads = stored
    answers = answers_of(network, heads, dataset.validation.images)
    temperatures = {}
    for name, before in answers.items():
        print(f"head of {name}:")
        if name == "people" and options.votes_file:
            temperatures[name] = calibrate_votes(before, dataset)
        elif name == "folders":
            temperatures[name] = calibrate_labels(before, dataset)
    heads = {name: head.divided(temperatures.get(name, 1.0)) for name, head in heads.items()}
    set_head(network, heads[about.head])
    tau = None
    if about.head == "people":
        people = at_temperature(answers["people"], temperatures["people"])
        base_rates = np.array(about.base_rates)
        tau = options.tau
        if tau is None:
            tau = choose_tau(people, dataset.validation, base_rates, options.neutral_recall)
        fold_tau_into(network, base_rates, tau)
        print(f"tau {tau:g}: {in_words(score_votes(adjusted(people, base_rates, tau), dataset.validation))}")
    for name, head in heads.items():
        if name != about.head:
            write_other_head(options.export or options.model.parent, name, head)
    return temperatures[about.head], tau


def calibrate_votes(before: np.ndarray, dataset: Dataset) -> float:
    """The temperature that fits the votes for the validation images; prints what it changes."""
    temperature = fit_temperature_to_votes(before, dataset.validation)
    for when, probabilities in (("before", before), ("after", at_temperature(before, temperature))):
        print(f"{when}: {in_words(score_votes(probabilities, dataset.validation))} ({dataset.named[0]})")
    return temperature


def in_words(s: VoteScores | None) -> str:
    """The figures that a choice is made by, for one line."""
    if s is None:
        raise RunError("--votes: expected validation images with a clear majority, found none")
    return (
        f"{s.accuracy:.2%} of {s.n} clear majorities, balanced recall {s.balanced_recall:.3f}, neutral "
        f"{s.recall[NEUTRAL]:.3f}, "
        f"share error {s.share_error:.4f}, ECE {s.ece:.4f} on {s.shown} images"
    )
