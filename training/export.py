"""From a trained network to the two files the program loads."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from mien.expressions import EXPRESSIONS


def export(network: keras.Model, folder: Path) -> tuple[Path, Path]:
    """Write model.json and model_weights.h5 into `folder` and return their paths.

    The weights are a whole-model HDF5 file without optimizer, which `load_weights` reads back exactly.
    model.json also holds the order of the outputs, under "expressions"; Keras ignores that key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model_file, weights_file = folder / "model.json", folder / "model_weights.h5"
    description = json.loads(network.to_json())
    description["expressions"] = list(EXPRESSIONS)
    network.save(weights_file, include_optimizer=False)
    model_file.write_text(json.dumps(description, indent=1) + "\n")
    return model_file, weights_file
