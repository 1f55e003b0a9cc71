"""All outputs of the program: one thread makes the messages, and each output has one that sends them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from mien.clock import Clock
from mien.outputs.base import Output, OutputStatus
from mien.outputs.changes import MessageStream
from mien.outputs.kinds import create
from mien.outputs.runner import Runner
from mien.stream.latest import Latest
from mien.types import Snapshot, SourceStatus

POLL_S = 0.25
"""Without a new snapshot for this long, the source is asked for its state."""

STOP_WITHIN_S = 1.5

log = logging.getLogger(__name__)


class Outputs:
    """The outputs that `--out` names; thread-safe. They start and stop once.

        outputs = Outputs.of(["jsonl:faces.jsonl"])
        outputs.start(camera.snapshots, camera.status)
        outputs.stop()

    Args:
        outputs: The outputs.
        fps: Most frames per second that are sent to each; None for the default of its kind.
        clock: The computer's clock by default.
    """

    def __init__(self, outputs: Sequence[Output], *, fps: float | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._runners = [Runner(each, fps=fps, clock=self._clock) for each in outputs]
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, urls: Sequence[str], *, fps: float | None = None) -> Outputs:
        """Make the outputs for values of `--out`; connects to none yet.

        Args:
            urls: The values.
            fps: As for the class.

        Raises:
            SettingsError: One is not understood, or needs a package that is not installed.
        """
        return cls([create(url) for url in urls], fps=fps)

    def __len__(self) -> int:
        return len(self._runners)

    def start(self, snapshots: Latest[Snapshot], status: Callable[[], SourceStatus]) -> None:
        """Begin to send, from the newest snapshot on; does nothing if there are no outputs.

        Args:
            snapshots: Those of the camera.
            status: State of its source.
        """
        if not self._runners or self._stopping.is_set():
            return
        for runner in self._runners:
            runner.start()
        self._thread = threading.Thread(target=self._run, args=(snapshots, status), name="outputs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all outputs, within 1.5 s; one that hangs is left behind. May be called again."""
        self._stopping.set()
        for runner in self._runners:
            runner.request_stop()
        deadline_s = time.monotonic() + STOP_WITHIN_S
        for runner in self._runners:
            if not runner.join(max(0.0, deadline_s - time.monotonic())):
                log.warning("output %s does not end", runner.output.address.name)
        if self._thread is not None:
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def status(self) -> list[OutputStatus]:
        """State of each output, in the order of the command line."""
        return [runner.status() for runner in self._runners]

    def _run(self, snapshots: Latest[Snapshot], status: Callable[[], SourceStatus]) -> None:
        messages = MessageStream(self._clock)
        seen, snapshot = snapshots.peek()
        while not self._stopping.is_set() and not snapshots.closed:
            try:
                new = messages.next(snapshot, status())
                for runner in self._runners:
                    for message in new:
                        runner.offer(message)
                    if not new:
                        runner.renew(snapshot)
            except BaseException:  # of any kind: the next frame may be a better one
                log.exception("the outputs cannot describe a frame")
            seen, snapshot = snapshots.wait(seen, POLL_S)
