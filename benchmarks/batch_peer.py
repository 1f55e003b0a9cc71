"""`analyze` beside the package fer on the same clip, every frame, in alternating rounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.peers.environments import ROOT, Environment, PeerError, environment
from benchmarks.peers.programs import PEERS

LOOP = """import sys, time
sys.path.insert(0, sys.argv[1])
import cv2
from loop import fer
find, video, frames, found, start_s = fer(), cv2.VideoCapture(sys.argv[2]), -1, 0, 0.0
while True:
    ok, pixels_bgr = video.read()
    if not ok:
        break
    found += bool(find(pixels_bgr, 0, 0.0))
    frames += 1
    if frames == 0:
        start_s = time.perf_counter()  # the first frame prepares its network
print(frames / (time.perf_counter() - start_s), found)
"""
"""Run with the Python of its environment: Haar cascade, its network, no drawing; the time to start does not count."""


def fer_environment(cache: Path) -> Environment:
    """The environment of fer, built if it is not there yet. Raises PeerError if it cannot be built."""
    return environment(PEERS["fer"].environment_name, PEERS["fer"].requirements, cache)


def fer_rate(built: Environment, clip: Path) -> tuple[float, int]:
    """Frames a second of fer, and in how many it found a face. Raises PeerError if it does not run."""
    words = [str(built.python), "-I", "-c", LOOP, str(ROOT / "benchmarks" / "peers"), str(clip)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(done.stderr.strip().splitlines()[-1])
    rate, found = done.stdout.split()[-2:]
    return float(rate), int(found)
