"""Which of the 468 points is where; right and left are the person's, so the right eye is on the left of the picture.

The order is that of MediaPipe's face mesh.
"""

from __future__ import annotations

POINTS = 468

RIGHT_EYE, LEFT_EYE = 33, 263  # outer corners
RIGHT_EYE_INNER, LEFT_EYE_INNER = 133, 362
RIGHT_EAR, LEFT_EAR, FOREHEAD, CHIN = 234, 454, 10, 152
UPPER_LIP, LOWER_LIP, RIGHT_LIP, LEFT_LIP = 13, 14, 78, 308  # inner edge of the lips

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""The outline of the face, clockwise from the middle of the forehead."""

RIGID = (*OVAL[:9], *OVAL[-8:], RIGHT_EYE, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE, 168, 6, 197, 195, 5, 98, 327)
"""Points that expressions hardly move: the outline from ear to ear, corners of the eyes, the nose."""

RIGHT_EYE_REGION = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245,
    156, 70, 63, 105, 66, 107, 55, 193,
)  # fmt: skip
"""The 71 points around the right eye, from the eyelids outward: nine of the lower lid from the outer to the inner
corner, seven of the upper lid in between, then wider rings, the last one along the eyebrow."""

LEFT_EYE_REGION = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398,
    359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414,
    446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465,
    383, 300, 293, 334, 296, 336, 285, 417,
)  # fmt: skip
"""The same around the left eye."""

LOWER_LID, UPPER_LID = slice(2, 7), slice(10, 15)
"""The middle five points of each lid in the two regions above; the first of one is opposite the first of the other."""
