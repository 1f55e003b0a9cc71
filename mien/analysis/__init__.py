"""What is seen in the frames: faces detected, tracked and classified."""
