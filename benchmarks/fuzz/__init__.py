"""Generated and mutated inputs for every parser of the program, and for the decoders behind its limits."""
