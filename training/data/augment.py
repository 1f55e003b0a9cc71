"""Random augmentation of training images, as a Keras layer that runs on the device."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops


@dataclass(frozen=True, slots=True)
class Strengths:
    """How much `Augment` changes images at most; numbers are drawn uniformly from -value to value.

    Attributes:
        flip: Mirror half of the images, left to right.
        vertical_flip: Turn half of the images upside down.
        rotation_deg: Rotation in degrees.
        shift: Shift as a share of the side.
        scale: Change of size; 0.1 for 0.9 to 1.1 times.
        shear: Shift of the top against the bottom as a share of the height.
        contrast: Change of contrast; 0.2 for 0.8 to 1.2 times, and brightness by up to 64 * 0.2 levels.
        erase: Share of the images that lose a rectangle of 2 to 20 % of their area, less where it exceeds the border
            (Zhong et al., "Random erasing data augmentation", 2017).
        coarse: Share of the images that lose detail, as small or blurred faces have: blended, with a uniform weight,
            with a copy of half or a third of their width.
        gamma: Change of log gamma; 0.2 for pixels, as shares of 255, to the power of exp(-0.2) to exp(0.2).

    Example:
        still = Strengths(flip=False, rotation_deg=0, shift=0, scale=0, contrast=0)
        mirrored = dataclasses.replace(still, flip=True)
        Augment(**dataclasses.asdict(mirrored))
    """

    flip: bool = True
    vertical_flip: bool = False
    rotation_deg: float = 10.0
    shift: float = 0.06
    scale: float = 0.1
    shear: float = 0.0
    contrast: float = 0.2
    erase: float = 0.0
    coarse: float = 0.0
    gamma: float = 0.0


class Augment(keras.layers.Layer):
    """Flips, rotates, shifts, scales, changes contrast and brightness, erases: each image with its own random numbers.

    Input and output: float32 (n, h, w, 1), 0 to 255; outside training the images are returned unchanged. Flips,
    rotation, shift, scale and shear are one affine transform, so each image is interpolated once; pixels from outside
    repeat the border.

    Args:
        seed: Of the random numbers.
        **strengths: Fields of `Strengths`.

    Example:
        augment = Augment(rotation_deg=20, erase=0.5, seed=1)
        changed = augment(images, training=True)
        same = augment(images)
    """

    STRENGTHS = tuple(field.name for field in dataclasses.fields(Strengths))

    def __init__(self, *, seed: int = 0, **strengths: Any) -> None:
        super().__init__()
        self.strengths = Strengths(**strengths)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return augmented images in training, the same images otherwise."""
        images = ops.cast(images, "float32")
        if not training:
            return images
        images = ops.image.affine_transform(
            images, self._affine_maps(images), interpolation="bilinear", fill_mode="nearest"
        )
        if self.strengths.coarse > 0:
            images = self._lose_detail(images)
        images = self._change_contrast(images)
        if self.strengths.gamma > 0:
            power = _each(ops.exp(self._draw(images, self.strengths.gamma)))
            images = 255 * ops.power(ops.clip(images / 255, 1e-6, 1), power)
        return self._erase_rectangle(images) if self.strengths.erase > 0 else images

    def _uniform(self, images: Any, low: float = 0, high: float = 1) -> Any:
        return keras.random.uniform((ops.shape(images)[0],), low, high, seed=self.seed_generator)

    def _draw(self, images: Any, strength: float) -> Any:
        return self._uniform(images, -strength, strength)

    def _affine_maps(self, images: Any) -> Any:
        """Return, for each image, the transform from output to input pixels: (n, 8)."""
        by = self.strengths
        height, width = images.shape[1:3]
        center_x, center_y = (width - 1) / 2, (height - 1) / 2
        angle = self._draw(images, by.rotation_deg) * (math.pi / 180)
        zoom = 1 / self._uniform(images, 1 - by.scale, 1 + by.scale)
        mirror = ops.where(self._uniform(images) < (0.5 if by.flip else 0.0), -1.0, 1.0)
        shift_x, shift_y = self._draw(images, by.shift) * width, self._draw(images, by.shift) * height
        a, b = ops.cos(angle) * zoom * mirror, -ops.sin(angle) * zoom * mirror
        c, d = ops.sin(angle) * zoom, ops.cos(angle) * zoom
        if by.shear > 0:
            slide = self._draw(images, by.shear)
            b, d = b + a * slide, d + c * slide
        if by.vertical_flip:
            upside_down = ops.where(self._uniform(images) < 0.5, -1.0, 1.0)
            c, d = c * upside_down, d * upside_down
        offset_x = center_x + shift_x - a * center_x - b * center_y
        offset_y = center_y + shift_y - c * center_x - d * center_y
        zero = ops.zeros_like(a)
        return ops.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1)

    def _change_contrast(self, images: Any) -> Any:
        contrast = self.strengths.contrast
        gain = _each(self._uniform(images, 1 - contrast, 1 + contrast))
        brightness = _each(self._draw(images, contrast)) * 64
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip((images - mean) * gain + mean + brightness, 0, 255)

    def _lose_detail(self, images: Any) -> Any:
        size = images.shape[1:3]
        half, third = (
            ops.image.resize(ops.average_pool(images, pool, pool, padding="same"), size, interpolation="bilinear")
            for pool in (2, 3)
        )
        coarser = ops.where(_each(self._uniform(images)) < 0.5, half, third)
        kept = _each(ops.where(self._uniform(images) < self.strengths.coarse, self._uniform(images), 1.0))
        return kept * images + (1 - kept) * coarser

    def _erase_rectangle(self, images: Any) -> Any:
        height, width = images.shape[1:3]
        area = self._uniform(images, 0.02, 0.2)
        aspect = ops.exp(self._uniform(images, -1.0, 1.0))
        half_h, half_w = ops.sqrt(area * aspect) * height / 2, ops.sqrt(area / aspect) * width / 2
        at_y, at_x = self._uniform(images, 0, height), self._uniform(images, 0, width)
        chosen = self._uniform(images) < self.strengths.erase
        rows = ops.abs(ops.arange(height, dtype="float32")[None, :] - at_y[:, None]) < half_h[:, None]
        columns = ops.abs(ops.arange(width, dtype="float32")[None, :] - at_x[:, None]) < half_w[:, None]
        hole = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
        return ops.where(hole[..., None], _each(self._uniform(images, 0, 255)), images)


def _each(numbers: Any) -> Any:
    """Shape one number for each image (n,) so that it applies to all its pixels: (n, 1, 1, 1)."""
    return ops.reshape(numbers, (-1, 1, 1, 1))
