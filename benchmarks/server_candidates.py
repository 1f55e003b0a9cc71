"""The servers that benchmarks/servers.py compares, each behind one verb: serve(app, port) -> stop.

Run as a program with a name and a port this is the server's process: it serves until a line comes on standard input.
Only Cheroot belongs to the project; the others are imported by name when they are asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from flask import Flask

from mien.stream.latest import Latest
from mien.types import Snapshot, SourceStatus
from web import AppOptions, create_app

FPS = 30
JPEG_BYTES = 40_000
STAMP = b"<stamp>"
"""Comes before the time a picture was made, a little-endian double of seconds since the epoch."""

_STREAMS, _WORKERS = 64, 80


class _FakeCamera:
    """Publishes pictures of the right size that say when they were made."""

    def __init__(self, snapshots: Latest[Snapshot]) -> None:
        self.snapshots = snapshots
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        filling = os.urandom(JPEG_BYTES - len(STAMP) - 8)
        due = time.monotonic()
        while True:
            self.snapshots.publish(Snapshot(STAMP + struct.pack("<d", time.time()) + filling))
            due += 1 / FPS
            time.sleep(max(0.0, due - time.monotonic()))

    in_use = None
    saving = None

    def status(self) -> SourceStatus:
        """Return that of a live source."""
        return SourceStatus("benchmark", "live", fps=FPS)

    def keep_awake(self) -> None:
        """Do nothing: the camera is never released."""

    def switch(self, source: str) -> SourceStatus:
        """Keep the only source."""
        return self.status()

    def show_again(self) -> None:
        """Do nothing: the next picture comes soon enough."""


Stop = Callable[[], None]


def _serve_cheroot(app: Flask, port: int) -> Stop:
    """Serve as Mien does."""
    from web.server import Server

    server = Server(app, "127.0.0.1", port)
    server.start()
    return server.stop


def _serve_cheroot_plain(app: Flask, port: int) -> Stop:
    """Serve with the same library, its own settings and no more than enough threads."""
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", port), app, numthreads=_WORKERS)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    return server.stop


def _serve_waitress(app: Flask, port: int, **options: Any) -> Stop:
    """Serve with an asyncore loop that buffers for a pool of threads."""
    server = import_module("waitress.server").create_server(
        app, port=port, threads=_WORKERS, channel_timeout=5, **options
    )
    threading.Thread(target=server.run, daemon=True).start()

    def stop() -> None:
        server.close()
        server.task_dispatcher.shutdown(timeout=2)

    return stop


def _serve_waitress_tuned(app: Flask, port: int) -> Stop:
    """Serve so with the smallest sensible buffers."""
    return _serve_waitress(app, port, outbuf_high_watermark=2 * JPEG_BYTES, send_bytes=1)


def _serve_gevent(app: Flask, port: int) -> Stop:
    """Serve in one thread of greenlets; the camera's real threads wake them through an asynchronous watcher."""
    gevent = import_module("gevent")
    started = threading.Event()
    stopped = threading.Event()
    wish: list[Any] = []

    def run() -> None:
        server = import_module("gevent.pywsgi").WSGIServer(("127.0.0.1", port), app, log=None, spawn=200)
        server.start()
        wake = gevent.get_hub().loop.async_()
        wish.append(wake)
        started.set()
        gevent.get_hub().wait(wake)
        server.stop(timeout=1)
        stopped.set()

    threading.Thread(target=run, daemon=True).start()
    started.wait()

    def stop() -> None:
        wish[0].send()
        stopped.wait()

    return stop


class _GreenLatest(Latest[Snapshot]):
    """A condition would stop every greenlet, so they look for a new value every five milliseconds."""

    def wait(self, after: int, timeout_s: float) -> tuple[int, Snapshot | None]:
        """Wait as Latest.wait does."""
        sleep = import_module("gevent").sleep
        deadline = time.monotonic() + timeout_s
        while self.peek()[0] <= after and not self.closed and time.monotonic() < deadline:
            sleep(0.005)
        return self.peek()


def _serve_uvicorn(app: Flask, port: int) -> Stop:
    """Serve with asyncio, the app in threads behind a2wsgi."""
    uvicorn = import_module("uvicorn")
    asgi = import_module("a2wsgi").WSGIMiddleware(app, workers=_WORKERS, send_queue_size=1)
    config = uvicorn.Config(asgi, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return stop


def _serve_hypercorn(app: Flask, port: int) -> Stop:
    """Serve with asyncio and its own WSGI."""
    config = import_module("hypercorn.config").Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 1
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_WORKERS))
    ending = asyncio.Event()

    async def run() -> None:
        await import_module("hypercorn.asyncio").serve(app, config, shutdown_trigger=ending.wait)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()

    def stop() -> None:
        loop.call_soon_threadsafe(ending.set)
        thread.join()

    return stop


SERVERS: dict[str, tuple[Callable[[Flask, int], Stop], tuple[str, ...]]] = {
    "cheroot": (_serve_cheroot, ("cheroot",)),
    "cheroot, plain": (_serve_cheroot_plain, ("cheroot",)),
    "waitress": (_serve_waitress, ("waitress",)),
    "waitress, tuned": (_serve_waitress_tuned, ("waitress",)),
    "gevent": (_serve_gevent, ("gevent",)),
    "uvicorn": (_serve_uvicorn, ("uvicorn", "a2wsgi")),
    "hypercorn": (_serve_hypercorn, ("hypercorn",)),
}


def _run_server(name: str, port: int) -> None:
    """Serve until a line comes on standard input; then stop, say what it cost and exit."""
    snapshots: Latest[Snapshot] = _GreenLatest() if name == "gevent" else Latest()
    stop = SERVERS[name][0](create_app(_FakeCamera(snapshots), AppOptions(max_streams=_STREAMS)), port)
    began, cpu_began = time.monotonic(), time.process_time()
    sys.stdin.readline()
    cores = (time.process_time() - cpu_began) / (time.monotonic() - began)
    print(json.dumps({"cores": cores, "peak_mb": _peak_mb()}), flush=True)
    stop()


def _peak_mb() -> float:
    """Largest resident memory so far; Windows does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    _run_server(sys.argv[1], int(sys.argv[2]))
