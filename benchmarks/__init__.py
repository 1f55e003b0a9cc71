"""Side-by-side measurements, as ratios taken in one run. Not tests: `make bench`."""
