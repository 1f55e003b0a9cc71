"""Mien beside other programs on the same clip in one run: `python -m benchmarks.peers`."""
