"""What GET /api/explain costs the stream: frames a second without and with a client that asks as fast as it may.

    python -m benchmarks.explain

The program runs on the demo with one viewer; blocks without and with the client alternate, so that other work on the
computer falls on both.
"""

from __future__ import annotations

import argparse
import http.client
import threading
import time

from benchmarks.crowd import crowd
from benchmarks.program import Program

_BLOCK_S = 8
_LOADED_WITHIN_S = 120
_BLOCKS = 3


class _Asker(threading.Thread):
    """Asks for explanations one after the other, and counts them."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.answers = 0
        self.refusals: set[str] = set()
        self._done = threading.Event()

    def run(self) -> None:
        """Ask until `stop` is called."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self._done.is_set():
            connection.request("GET", "/api/explain")
            response = connection.getresponse()
            body = response.read()
            if response.status == http.client.OK:
                self.answers += 1
            else:
                self.refusals.add(body.decode())
        connection.close()

    def stop(self) -> None:
        """End after the answer it waits for."""
        self._done.set()
        self.join(60)


def main() -> None:
    """Print frames a second with and without, their ratio, and explanations a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=__doc__)
    parser.add_argument("--source", default="demo")
    program = Program("--source", parser.parse_args().source)
    without: list[float] = []
    asked: list[float] = []
    answers = 0
    refusals: set[str] = set()
    try:
        program.wait_for_first_picture(limit_s=300)
        with crowd(program.port, 1):
            warm_up = _Asker(program.port)
            warm_up.start()
            deadline_s = time.perf_counter() + _LOADED_WITHIN_S
            while not warm_up.answers and time.perf_counter() < deadline_s:  # the first request loads Keras
                time.sleep(0.1)
            warm_up.stop()
            for _ in range(_BLOCKS):
                without.append(program.analyzed_fps(_BLOCK_S))
                asker = _Asker(program.port)
                asker.start()
                asked.append(program.analyzed_fps(_BLOCK_S))
                asker.stop()
                answers += asker.answers
                refusals |= asker.refusals
    finally:
        program.stop()
    alone_fps, asked_fps = sum(without) / _BLOCKS, sum(asked) / _BLOCKS
    per_s = answers / (_BLOCKS * (_BLOCK_S + 2))  # analyzed_fps waits for 2 s first
    print("| stream alone | while asked | ratio | explanations |\n|---|---|---|---|")
    print(f"| {alone_fps:.1f} fps | {asked_fps:.1f} fps | {asked_fps / alone_fps:.1%} | {per_s:.1f} a second |")
    for refusal in sorted(refusals):
        print(f"refused: {refusal}")


if __name__ == "__main__":
    main()
