"""What is seen in the frames: faces found, followed and read."""
