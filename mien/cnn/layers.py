"""Layers of its own that a model.json of this project may name. Each computes with keras.ops: on any backend.

Importing this module is what makes them known to Keras, under the package "mien".
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

NEIGHBOURS = 8
PATTERNS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
"""58 uniform patterns and one bin for all others."""


def pattern_of_code() -> np.ndarray:
    """For each code 0..255 of eight neighbours its bin, int32 (256,): uniform codes 0..57 in rising order, else 58.

    Uniform: at most two changes between 0 and 1 around the circle (Ojala, Pietikäinen and Mäenpää,
    "Multiresolution gray-scale and rotation invariant texture classification with local binary patterns", 2002).
    """
    codes = np.arange(2**NEIGHBOURS)
    bits = (codes[:, None] >> np.arange(NEIGHBOURS)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    bins = np.full(len(codes), PATTERNS - 1, np.int32)
    uniform = np.flatnonzero(changes <= 2)
    bins[uniform] = np.arange(len(uniform))
    return bins


@keras.saving.register_keras_serializable(package="mien")
class LocalBinaryPatterns(keras.layers.Layer):
    """Histograms of uniform local binary patterns over a grid of cells: a description of texture.

    Input (n, h, w, 1), gray of any scale; output float32 (n, grid * grid * 59): cell after cell, row by row, the
    share of the cell's pixels that has each pattern; the 59 shares of a cell sum to 1. A pattern says which of a
    pixel's eight neighbours are at least as bright as it; the image's border repeats. Rising changes of brightness
    and contrast leave it as it is. No gradient flows through it. Patterns after Ojala et al. (2002), the grid after
    Ahonen, Hadid and Pietikäinen, "Face description with local binary patterns" (2006).
    Raises ValueError for an input of another rank or with fewer pixels a side than cells.
    """

    def __init__(self, grid: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def build(self, input_shape: Any) -> None:
        """Prepare the constants for this size."""
        if len(input_shape) != 4 or input_shape[3] != 1 or min(input_shape[1:3]) < self.grid:
            raise ValueError(f"expected gray images (n, h, w, 1) of at least {self.grid} pixels, found {input_shape}")
        self._columns = _shares(input_shape[2], self.grid)

    def call(self, images: Any) -> Any:
        """(n, grid * grid * 59) from (n, h, w, 1)."""
        height, width = images.shape[1:3]
        patterns = self._patterns(ops.cast(images[..., 0], "float32"), height, width)
        edges = _edges(height, self.grid)
        cells = []
        for top, bottom in itertools.pairwise(edges):  # strip by strip, as one-hot pixels are large
            pixels = ops.one_hot(patterns[:, top:bottom], PATTERNS, dtype="float32")
            cells.append(ops.einsum("nwp,wg->ngp", ops.mean(pixels, axis=1), self._columns))
        return ops.reshape(ops.stack(cells, axis=1), (-1, self.grid * self.grid * PATTERNS))

    def _patterns(self, gray: Any, height: int, width: int) -> Any:
        """The bin of each pixel's pattern: int32 (n, h, w)."""
        rows = ops.concatenate([gray[:, :1], gray, gray[:, -1:]], axis=1)
        padded = ops.concatenate([rows[:, :, :1], rows, rows[:, :, -1:]], axis=2)
        around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
        code = ops.zeros_like(gray, dtype="int32")
        for bit, (y, x) in enumerate(around):
            neighbour = padded[:, y : y + height, x : x + width]
            code = code + ops.cast(neighbour >= gray, "int32") * (1 << bit)
        return ops.take(ops.convert_to_tensor(pattern_of_code()), code, axis=0)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, int]:
        """(n, grid * grid * 59)."""
        return (input_shape[0], self.grid * self.grid * PATTERNS)

    def get_config(self) -> dict[str, Any]:
        """What model.json needs to build the layer again."""
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable(package="mien")
class MeanImage(keras.layers.Layer):
    """Subtracts the mean of the training images, pixel by pixel, and divides by 64, about their deviation.

    Input and output: float32 (n, h, w, c), 0..255 in, about -4..4 out. mean: (h, w, c), a weight that is not
    trained: 0 until it is assigned. As in Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
    convolutional neural networks" (2012).
    """

    def build(self, input_shape: Any) -> None:
        """Make room for the mean."""
        self.mean = self.add_weight(shape=input_shape[1:], initializer="zeros", trainable=False, name="mean")

    def call(self, images: Any) -> Any:
        """The images without their mean."""
        return (ops.cast(images, self.compute_dtype) - self.mean) / 64


@keras.saving.register_keras_serializable(package="mien")
class Standardize(keras.layers.Layer):
    """Brings each image to mean 0 and deviation 1, so that light and contrast of the camera matter less.

    Input and output: float32 (n, h, w, c). A deviation below 1 counts as 1: an even image becomes 0.
    """

    def call(self, images: Any) -> Any:
        """Each image less its mean, divided by its deviation."""
        images = ops.cast(images, self.compute_dtype)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        deviation = ops.std(images, axis=(1, 2, 3), keepdims=True)
        return (images - mean) / ops.maximum(deviation, 1.0)


def _edges(size: int, cells: int) -> list[int]:
    """Where `cells` nearly equal cells begin and end along `size` pixels: cells + 1 whole numbers."""
    return [round(i * size / cells) for i in range(cells + 1)]


def _shares(size: int, cells: int) -> np.ndarray:
    """float32 (size, cells): the weight of each pixel in the mean of each cell."""
    shares = np.zeros((size, cells), np.float32)
    edges = _edges(size, cells)
    for cell, (begin, end) in enumerate(itertools.pairwise(edges)):
        shares[begin:end, cell] = 1 / (end - begin)
    return shares
