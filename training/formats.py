"""`python -m training export`: write a trained network for other programs, and check what was written."""

from __future__ import annotations

import argparse

import numpy as np

from mien.cnn.convert import compile_network
from mien.cnn.litert import UnusableError, open_compiled, source_digest
from model import FacialExpressionModel
from training.recipe import RunError

CHECKED_FACES = 100


def run(options: argparse.Namespace) -> None:
    """Compile a network for LiteRT; print the largest difference to Keras."""
    model = FacialExpressionModel(options.model, options.weights, runtime="keras")
    file = compile_network(model.network, options.model, options.weights, options.out)
    try:
        compiled = open_compiled(file, source_digest(options.model, options.weights))
    except UnusableError as error:
        raise RunError(str(error)) from error
    faces = np.random.default_rng(0).integers(0, 256, (CHECKED_FACES, *model.input_size_px), np.uint8)
    pixels = model.as_input(faces)
    difference = np.abs(compiled(pixels)[:, model.output_order] - model.predict(faces)).max()
    print(f"wrote {file}, which differs from Keras by at most {difference:.1g} on {CHECKED_FACES} faces")
