"""Data parallelism: each batch is split among several devices, by `keras.distribution`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from training.recipe import RunError


def use_devices(wanted: str | None) -> int:
    """Split the batches of networks that are built from now on.

    Each device holds the whole network; the gradients are those of the whole batch.

    Args:
        wanted: A number, or "all". None takes all devices on Keras' jax backend, the only one that can split batches,
            and one on others.

    Returns:
        The number of devices.

    Raises:
        RunError: There are fewer devices, or several are wanted on another backend, or `wanted` is not a number.
    """
    on_jax = keras.backend.backend() == "jax"
    found = keras.distribution.list_devices() if on_jax else []
    if wanted not in (None, "all") and not (wanted.isdecimal() and int(wanted) > 0):
        raise RunError(f"devices: expected all or a number from 1, found {wanted!r}")
    if not on_jax and wanted not in (None, "1"):
        raise RunError(
            f"devices: expected 1, as Keras splits batches only on its jax backend, found {wanted} on "
            f"{keras.backend.backend()}; install jax and set KERAS_BACKEND=jax"
        )
    if not on_jax:
        return 1
    count = len(found) if wanted in (None, "all") else int(wanted)
    if count > len(found):
        raise RunError(f"devices: expected 1 to {len(found)} ({', '.join(found)}), found {count}")
    parallel = keras.distribution.DataParallel(devices=found[:count]) if count > 1 else None
    keras.distribution.set_distribution(parallel)
    return count


def predict_all(network: keras.Model, images: np.ndarray) -> Any:
    """Predict images (n, ...) by a network in batches that fill all devices; return (n, ...) for each output."""
    devices = device_count()
    filled = -(-len(images) // devices) * devices
    padded = np.resize(images, (filled, *images.shape[1:]))  # repeats the first ones
    found = network.predict(padded, batch_size=256 // devices * devices, verbose=0)
    return keras.tree.map_structure(lambda values: values[: len(images)], found)


def device_count() -> int:
    """Return the number of devices that share each batch; batch sizes must be multiples of it."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)
