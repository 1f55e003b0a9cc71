"""`python -m training masking`."""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from mien.explain import GradCam
from training.data.dataset import load_dataset
from training.evaluate.gradcam_deletion import as_text, masking_drops
from training.options import add_data, add_network, report_skipped, square_model
from training.recipe import RunError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and how many images."""
    add_data(parser)
    add_network(parser)
    parser.add_argument("--images", type=int, default=1500, help="how many validation images (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """test Grad-CAM: hide the pixels it rates highest, or others, and print what the label loses"""
    if options.images < 2:
        raise RunError(f"--images: expected 2 or more, for a mean with an interval; found {options.images}")
    model, side_px = square_model(options)
    dataset = load_dataset(options.data, side_px=side_px)
    report_skipped(dataset.skipped)
    validation = dataset.validation
    chosen = np.random.default_rng(0).permutation(len(validation))[: options.images]

    def explain(cam: GradCam, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return cam(model.as_input(images[..., 0]), np.take(model.output_order, labels))

    cam, plain = (partial(explain, GradCam(model.network, plain=plain)) for plain in (False, True))
    print(as_text(masking_drops(model.predict, cam, validation.images[chosen], plain=plain)))
