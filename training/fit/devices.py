"""Several devices: every batch is split among them by Keras' own data parallelism, `keras.distribution`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from training.recipe import RunError


def use_devices(wanted: str | None) -> int:
    """Split the batches of networks built from now on among so many devices ("all", "4"); returns how many.

    None: all there are where Keras can split batches, which it does on its jax backend alone, else one. Every device
    holds the whole network; the gradients are those of the whole batch. Raises RunError for more devices than there
    are, for a word that is no number, and for several on another backend.
    """
    able = keras.backend.backend() == "jax"
    found = keras.distribution.list_devices() if able else []
    if wanted not in (None, "all") and not (wanted.isdecimal() and int(wanted) > 0):
        raise RunError(f"devices: expected all or a number from 1, found {wanted!r}")
    if not able and wanted not in (None, "1"):
        raise RunError(
            f"devices: expected 1, as Keras splits batches among several on its jax backend alone, found {wanted} on "
            f"{keras.backend.backend()}; install jax and set KERAS_BACKEND=jax"
        )
    if not able:
        return 1
    count = len(found) if wanted in (None, "all") else int(wanted)
    if count > len(found):
        raise RunError(f"devices: expected 1 to {len(found)}, as many as there are ({', '.join(found)}), found {count}")
    parallel = keras.distribution.DataParallel(devices=found[:count]) if count > 1 else None
    keras.distribution.set_distribution(parallel)
    return count


def answers(network: keras.Model, images: np.ndarray) -> Any:
    """What the network predicts of images (n, ...): one array (n, ...) or more, in batches that fill all devices."""
    devices = device_count()
    filled = -(-len(images) // devices) * devices
    padded = np.resize(images, (filled, *images.shape[1:]))  # begins anew
    found = network.predict(padded, batch_size=256 // devices * devices, verbose=0)
    return keras.tree.map_structure(lambda values: values[: len(images)], found)


def device_count() -> int:
    """Among how many devices batches are split: their sizes must be multiples of it."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)
