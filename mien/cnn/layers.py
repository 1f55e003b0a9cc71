"""Custom Keras layers that a model.json of this project may contain; they use keras.ops and run on any backend.

Importing this module registers them with Keras, in the package "mien".
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

NEIGHBORS = 8
PATTERNS = NEIGHBORS * (NEIGHBORS - 1) + 3
"""58 uniform patterns and one bin for all others."""


def pattern_of_code() -> np.ndarray:
    """The bin of each code 0 to 255 of eight neighbors, int32 (256,): 0 to 57 for uniform codes, 58 for all others.

    Uniform: at most two changes between 0 and 1 around the circle (Ojala, Pietikäinen and Mäenpää,
    "Multiresolution gray-scale and rotation invariant texture classification with local binary patterns", 2002).
    """
    codes = np.arange(2**NEIGHBORS)
    bits = (codes[:, None] >> np.arange(NEIGHBORS)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    bins = np.full(len(codes), PATTERNS - 1, np.int32)
    uniform = np.flatnonzero(changes <= 2)
    bins[uniform] = np.arange(len(uniform))
    return bins


@keras.saving.register_keras_serializable(package="mien")
class LocalBinaryPatterns(keras.layers.Layer):
    """Histograms of uniform local binary patterns over a grid of cells: a description of texture.

    A pattern says which of a pixel's eight neighbors are at least as bright as the pixel; at the border the edge is
    repeated. Monotonic changes of brightness and contrast do not change it. No gradient flows through the layer.
    Patterns after Ojala et al. (2002), the grid after Ahonen, Hadid and Pietikäinen, "Face description with local
    binary patterns" (2006).

    Input: gray (n, h, w, 1) of any range. Output: float32 (n, grid * grid * 59): for each cell, row by row, the shares
    of the 59 patterns, which sum to 1.

    Args:
        grid: Number of cells on each side.
        **kwargs: Of any Keras layer.

    Raises:
        ValueError: The input has another rank, or fewer pixels on a side than cells.

    Example:
        layer = LocalBinaryPatterns(grid=6)
        layer(np.zeros((1, 48, 48, 1))).shape  # (1, 2124)
    """

    def __init__(self, grid: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def build(self, input_shape: Any) -> None:
        """Compute the constants for this input size."""
        if len(input_shape) != 4 or input_shape[3] != 1 or min(input_shape[1:3]) < self.grid:
            raise ValueError(f"expected gray images (n, h, w, 1) of at least {self.grid} pixels, found {input_shape}")
        self._columns = _shares(input_shape[2], self.grid)

    def call(self, images: Any) -> Any:
        """Compute the histograms.

        Args:
            images: Gray, (n, h, w, 1).

        Returns:
            float32 (n, grid * grid * 59).
        """
        height, width = images.shape[1:3]
        patterns = self._patterns(ops.cast(images[..., 0], "float32"), height, width)
        edges = _edges(height, self.grid)
        cells = []
        for top, bottom in itertools.pairwise(edges):  # strip by strip, because one-hot pixels are large
            pixels = ops.one_hot(patterns[:, top:bottom], PATTERNS, dtype="float32")
            cells.append(ops.einsum("nwp,wg->ngp", ops.mean(pixels, axis=1), self._columns))
        return ops.reshape(ops.stack(cells, axis=1), (-1, self.grid * self.grid * PATTERNS))

    def _patterns(self, gray: Any, height: int, width: int) -> Any:
        """Bin of each pixel's pattern: int32 (n, h, w)."""
        rows = ops.concatenate([gray[:, :1], gray, gray[:, -1:]], axis=1)
        padded = ops.concatenate([rows[:, :, :1], rows, rows[:, :, -1:]], axis=2)
        around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
        code = ops.zeros_like(gray, dtype="int32")
        for bit, (y, x) in enumerate(around):
            neighbor = padded[:, y : y + height, x : x + width]
            code = code + ops.cast(neighbor >= gray, "int32") * (1 << bit)
        return ops.take(ops.convert_to_tensor(pattern_of_code()), code, axis=0)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, int]:
        """(n, grid * grid * 59)."""
        return (input_shape[0], self.grid * self.grid * PATTERNS)

    def get_config(self) -> dict[str, Any]:
        """What model.json needs to build the layer again."""
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable(package="mien")
class MeanImage(keras.layers.Layer):
    """Subtracts the mean of the training images, pixel by pixel, and divides by 64, about their standard deviation.

    As in Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks" (2012).
    Input: (n, h, w, c), 0 to 255. Output: float32 of the same shape, about -4 to 4. The weight `mean` (h, w, c) is not
    trained; it is 0 until it is assigned.

    Example:
        layer = MeanImage()
        layer.build((None, 48, 48, 1))
        layer.mean.assign(images.mean(axis=0))
    """

    def build(self, input_shape: Any) -> None:
        """Add the weight for the mean."""
        self.mean = self.add_weight(shape=input_shape[1:], initializer="zeros", trainable=False, name="mean")

    def call(self, images: Any) -> Any:
        """The images minus the mean, divided by 64."""
        return (ops.cast(images, self.compute_dtype) - self.mean) / 64


@keras.saving.register_keras_serializable(package="mien")
class Standardize(keras.layers.Layer):
    """Scales each image to mean 0 and standard deviation 1, so that exposure and contrast matter less.

    Input: (n, h, w, c). Output: float32 of the same shape. A deviation below 1 counts as 1: a uniform image becomes 0.

    Example:
        layer = Standardize()
        float(np.std(layer(images)[0]))  # 1.0
    """

    def call(self, images: Any) -> Any:
        """Each image minus its mean, divided by its standard deviation."""
        images = ops.cast(images, self.compute_dtype)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        deviation = ops.std(images, axis=(1, 2, 3), keepdims=True)
        return (images - mean) / ops.maximum(deviation, 1.0)


def _edges(size: int, cells: int) -> list[int]:
    """Borders of `cells` nearly equal cells along `size` pixels: cells + 1 integers."""
    return [round(i * size / cells) for i in range(cells + 1)]


def _shares(size: int, cells: int) -> np.ndarray:
    """Weight of each pixel in the mean of each cell: float32 (size, cells)."""
    shares = np.zeros((size, cells), np.float32)
    edges = _edges(size, cells)
    for cell, (begin, end) in enumerate(itertools.pairwise(edges)):
        shares[begin:end, cell] = 1 / (end - begin)
    return shares
