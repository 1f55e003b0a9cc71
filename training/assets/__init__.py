"""What is computed for the program from training images: the faces of the demo, the filter of the Haar detector."""
