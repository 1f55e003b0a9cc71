"""Random augmentation of training images, as a Keras layer that runs on the device."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Augment(keras.layers.Layer):
    """Flips, rotates, shifts, scales, changes contrast and brightness, erases: each image with its own random numbers.

    Input and output: float32 (n, h, w, 1), 0 to 255; outside training the images are returned unchanged. Flips,
    rotation, shift, scale and shear are one affine transform, so each image is interpolated once; pixels from outside
    repeat the border. Numbers are uniform from -value to value.

    Args:
        flip: Mirror half of the images, left to right.
        rotation_deg: Largest rotation in degrees.
        shift: Largest shift as a share of the side.
        scale: Largest change of size; 0.1 for 0.9 to 1.1 times.
        contrast: Largest change of contrast; 0.2 for 0.8 to 1.2 times, and brightness by up to 64 * 0.2 levels.
        erase: Share of the images that lose a rectangle of 2 to 20 % of their area, less where it exceeds the border
            (Zhong et al., "Random erasing data augmentation", 2017).
        vertical_flip: Turn half of the images upside down.
        shear: Largest shift of the top against the bottom as a share of the height.
        coarse: Share of the images that lose detail, as small or blurred faces have: blended, with a uniform weight,
            with a copy of half or a third of their width.
        gamma: Largest change of the logarithm of gamma; 0.2 for pixels, as shares of 255, to the power of exp(-0.2) to
            exp(0.2).
        seed: Of the random numbers.
        **kwargs: Of `keras.layers.Layer`.
    """

    STRENGTHS = (
        "flip",
        "vertical_flip",
        "rotation_deg",
        "shift",
        "scale",
        "shear",
        "contrast",
        "erase",
        "coarse",
        "gamma",
    )

    def __init__(
        self,
        *,
        flip: bool = True,
        rotation_deg: float = 10.0,
        shift: float = 0.06,
        scale: float = 0.1,
        contrast: float = 0.2,
        erase: float = 0.0,
        vertical_flip: bool = False,
        shear: float = 0.0,
        coarse: float = 0.0,
        gamma: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flip = flip
        self.rotation_deg = rotation_deg
        self.shift = shift
        self.scale = scale
        self.contrast = contrast
        self.erase = erase
        self.vertical_flip = vertical_flip
        self.shear = shear
        self.coarse = coarse
        self.gamma = gamma
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return augmented images in training, the same images otherwise."""
        images = ops.cast(images, "float32")
        if not training:
            return images
        images = ops.image.affine_transform(
            images, self._affine_maps(images), interpolation="bilinear", fill_mode="nearest"
        )
        if self.coarse > 0:
            images = self._lose_detail(images)
        images = self._change_contrast(images)
        if self.gamma > 0:
            power = ops.exp(ops.reshape(self._uniform(ops.shape(images)[0], -self.gamma, self.gamma), (-1, 1, 1, 1)))
            images = 255 * ops.power(ops.clip(images / 255, 1e-6, 1), power)
        if self.erase > 0:
            images = self._erase_rectangle(images)
        return images

    def _uniform(self, n: Any, low: float, high: float) -> Any:
        return keras.random.uniform((n,), low, high, seed=self.seed_generator)

    def _affine_maps(self, images: Any) -> Any:
        """Return, for each image, the transform from output to input pixels: (n, 8)."""
        n = ops.shape(images)[0]
        height, width = images.shape[1:3]
        center_x, center_y = (width - 1) / 2, (height - 1) / 2
        angle = self._uniform(n, -self.rotation_deg, self.rotation_deg) * (3.14159265 / 180)
        zoom = 1 / self._uniform(n, 1 - self.scale, 1 + self.scale)
        mirror = ops.where(self._uniform(n, 0, 1) < (0.5 if self.flip else 0.0), -1.0, 1.0)
        shift_x = self._uniform(n, -self.shift, self.shift) * width
        shift_y = self._uniform(n, -self.shift, self.shift) * height
        a, b = ops.cos(angle) * zoom * mirror, -ops.sin(angle) * zoom * mirror
        c, d = ops.sin(angle) * zoom, ops.cos(angle) * zoom
        if self.shear > 0:
            slide = self._uniform(n, -self.shear, self.shear)
            b, d = b + a * slide, d + c * slide
        if self.vertical_flip:
            upside_down = ops.where(self._uniform(n, 0, 1) < 0.5, -1.0, 1.0)
            c, d = c * upside_down, d * upside_down
        offset_x = center_x + shift_x - a * center_x - b * center_y
        offset_y = center_y + shift_y - c * center_x - d * center_y
        zero = ops.zeros_like(a)
        return ops.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1)

    def _change_contrast(self, images: Any) -> Any:
        n = ops.shape(images)[0]
        gain = ops.reshape(self._uniform(n, 1 - self.contrast, 1 + self.contrast), (-1, 1, 1, 1))
        brightness = ops.reshape(self._uniform(n, -self.contrast, self.contrast), (-1, 1, 1, 1)) * 64
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip((images - mean) * gain + mean + brightness, 0, 255)

    def _lose_detail(self, images: Any) -> Any:
        n = ops.shape(images)[0]
        height, width = images.shape[1:3]
        half, third = (
            ops.image.resize(ops.average_pool(images, size, padding="same"), (height, width), interpolation="bilinear")
            for size in (2, 3)
        )
        chosen = self._uniform(n, 0, 1)
        kept = ops.where(self._uniform(n, 0, 1) < self.coarse, self._uniform(n, 0, 1), 1.0)
        coarser = ops.where(ops.reshape(chosen, (-1, 1, 1, 1)) < 0.5, half, third)
        kept = ops.reshape(kept, (-1, 1, 1, 1))
        return kept * images + (1 - kept) * coarser

    def _erase_rectangle(self, images: Any) -> Any:
        n = ops.shape(images)[0]
        height, width = images.shape[1:3]
        area = self._uniform(n, 0.02, 0.2)
        aspect = ops.exp(self._uniform(n, -1.0, 1.0))
        half_h, half_w = ops.sqrt(area * aspect) * height / 2, ops.sqrt(area / aspect) * width / 2
        at_y, at_x = self._uniform(n, 0, height), self._uniform(n, 0, width)
        chosen = self._uniform(n, 0, 1) < self.erase
        rows = ops.abs(ops.arange(height, dtype="float32")[None, :] - at_y[:, None]) < half_h[:, None]
        columns = ops.abs(ops.arange(width, dtype="float32")[None, :] - at_x[:, None]) < half_w[:, None]
        hole = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
        fill = ops.reshape(self._uniform(n, 0, 255), (-1, 1, 1, 1))
        return ops.where(hole[..., None], fill, images)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build the layer again from a checkpoint."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.STRENGTHS}}
