"""How each detector's boxes become squares that frame a face as the images of FER-2013 do."""

from __future__ import annotations

from dataclasses import dataclass

BoxPx = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CropRule:
    """Where the square lies that frames a face, relative to a detector's box.

        CropRule(margin=1.1).square(10, 20, 80, 100)  # a square with the same center

    Args:
        margin: Its side, in mean sides of the box: square roots of the area.
        shift_x: How far its center is to the right of the box's, in mean sides of the box.
        shift_y: How far its center is below the box's, in mean sides of the box.
    """

    margin: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0

    def square(self, x: float, y: float, w: float, h: float) -> BoxPx:
        """The square (x, y, w, h) that belongs to a box, in pixels.

        Args:
            x, y, w, h: The box in pixels.
        """
        mean_side = (w * h) ** 0.5
        side = self.margin * mean_side
        center_x = x + w / 2 + self.shift_x * mean_side
        center_y = y + h / 2 + self.shift_y * mean_side
        return center_x - side / 2, center_y - side / 2, side, side


CROP_RULES = {
    "centerface": CropRule(margin=1.14, shift_y=-0.02),
    "yunet": CropRule(margin=1.12),
}
"""Rules by detector, medians on Training faces; those of other detectors keep center and area."""
