"""Landmarks of a face: 468 points, and what follows from them: head pose, how far eyes and mouth are open, blinks."""
