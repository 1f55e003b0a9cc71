"""What goes on at the same time during a round: each function goes on until the round ends."""

from __future__ import annotations

import itertools
import json
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av

from benchmarks.soak.clients import Client
from mien.images.codecs import encode_jpeg, encode_png
from mien.sources.demo import DemoSource

VIDEO, IMAGE = "clip.mp4", "faces.jpg"
"""The files of `--media`."""
FRAMES, FPS = 50, 25
BOUNDARY = "soak"
BROWSER_IMAGES = 20
LIMIT_S = 600.0
PAGES = ("/", "/healthz", "/api/controls", "/api/sources", "/api/openapi.json", "/api", "/static/app.js")


@dataclass(frozen=True)
class Media:
    """Encoded pictures of the demo."""

    jpegs: list[bytes]
    png: bytes
    video: bytes


def write_media(folder: Path) -> Media:
    """Write a video and an image, as `--media` offers them.

    Args:
        folder: Exists.
    """
    demo = DemoSource(paced=False)
    pictures = [frame.pixels_bgr for frame in islice(iter(demo.read, None), FRAMES)]
    with av.open(str(folder / VIDEO), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    jpegs = [encode_jpeg(picture) for picture in pictures]
    (folder / IMAGE).write_bytes(jpegs[0])
    return Media(jpegs, encode_png(pictures[0]), (folder / VIDEO).read_bytes())


class Activities:
    """All that goes on beside the streams.

    Args:
        client: Sends the requests.
        media: What it sends.
        order: Of what is done.
        over: Set at the end of a round.
        pause_s: How long what was switched stays so, in seconds.
    """

    def __init__(
        self, client: Client, media: Media, order: random.Random, over: threading.Event, pause_s: float = 1.0
    ) -> None:
        self._client = client
        self._media = media
        self._order = order
        self._over = over
        self._pause_s = pause_s

    def switch_everything(self, *, explain: bool) -> None:
        """Each thing that a page can switch, once, in random order; it ends the round and leaves all as it was.

        Args:
            explain: Whether heat maps are asked for too, which loads TensorFlow.
        """
        actions: list[Callable[[], None]] = [
            self._switch_sources,
            self._switch_privacy,
            self._switch_detectors,
            self._expect_rare,
            self._record,
            self._look,
        ]
        if explain:
            actions.append(self._explain)
        self._order.shuffle(actions)
        try:
            for action in actions:
                action()
        finally:
            self._over.set()

    def upload_images(self) -> None:
        """Images of all kinds for /api/analyze, some of them none."""
        media = self._media
        several = b"".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{i}.jpg"\r\n\r\n'.encode()
            + jpeg
            + b"\r\n"
            for i, jpeg in enumerate(media.jpegs[:3])
        )
        uploads = [
            (media.jpegs[0], "image/jpeg", 200),
            (media.png, "image/png", 200),
            (several + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}", 200),
            (media.jpegs[0][:-2000], "image/jpeg", 422),
            (b"text", "image/jpeg", 415),
            (b"text", "text/plain", 415),
        ]
        for body, kind, status in itertools.cycle(uploads):
            if self._over.wait(0.3):
                return
            landmarks = "?landmarks=1" if status == 200 and self._order.random() < 0.3 else ""
            self._client("POST", f"/api/analyze{landmarks}", body, kind, (status,))

    def be_browser_cameras(self) -> None:
        """Sessions of images, as a page with this browser's camera sends them."""
        while not self._over.is_set():
            key = secrets.token_hex(8)
            for jpeg in self._media.jpegs[:BROWSER_IMAGES]:
                # 429: eight keys at once
                self._client("POST", f"/api/analyze?track={key}", jpeg, "image/jpeg", (200, 429))
                if self._over.wait(0.1):
                    return

    def queue_files(self) -> None:
        """Videos and images for /api/jobs: paused, resumed, canceled, and all that is found asked for."""
        client, media = self._client, self._media
        while not self._over.is_set():
            group = f"?group={secrets.token_hex(16)}"
            video = self._queue(f"{group}&name=video.mp4", media.video)
            self._queue(f"{group}&name=image.jpg", media.jpegs[0])
            canceled = self._queue(f"{group}&name=canceled.mp4", media.video)
            client.json("POST", f"/api/jobs/{video}/pause", expected=(200, 409))  # 409: it is done already
            client.json("DELETE", f"/api/jobs/{canceled}", expected=(204,))
            client.json("POST", f"/api/jobs/{video}/resume", expected=(200, 409))
            if self._wait_for_jobs(group):
                for name in ("faces.csv", "events.csv"):
                    client("GET", f"/api/jobs/{video}/{name}")
                client("GET", f"/api/jobs/{video}/report.html", expected=(200, 503))  # 503: privacy mode was switched
                client("GET", f"/api/jobs/{video}/thumbnails/1", expected=(200, 404))  # 404: in privacy mode
                client("GET", f"/api/jobs/faces.csv{group}")
            client.json("DELETE", f"/api/jobs{group}", expected=(204,))
            self._over.wait(1.0)

    # --- what can be switched

    def _switch_sources(self) -> None:
        for source in (VIDEO, IMAGE, "demo"):
            self._client.json("POST", "/api/source", {"source": source})
            time.sleep(self._pause_s)
        self._client.json("POST", "/api/source", {"source": "missing.mp4"}, expected=(403, 422))

    def _switch_privacy(self) -> None:
        for on in (True, False):
            self._client.json("POST", "/api/privacy", {"on": on})
            time.sleep(self._pause_s)

    def _switch_detectors(self) -> None:
        state = self._client.json("GET", "/api/state")
        for name in ("haar", "centerface", "auto"):  # mtcnn takes most of a core
            if name in state["detectors"]:
                self._client.json("POST", "/api/detector", {"detector": name})
                time.sleep(self._pause_s)
        self._client.json("POST", "/api/detector", {"detector": "none"}, expected=(422,))
        self._client.json("POST", "/api/detector", {"detector": state["detector"]})

    def _expect_rare(self) -> None:
        rare = self._client.json("GET", "/api/controls")["rare"]
        for value in (0.0, rare):
            self._client.json("POST", "/api/rare", {"rare": value})

    def _record(self) -> None:
        self._client.json("POST", "/api/record", {"on": True})
        time.sleep(self._pause_s)
        self._client.json("POST", "/api/record", {"on": False})
        self._client("GET", "/api/session.csv")
        for session in self._client.json("GET", "/api/sessions")["sessions"]:
            path = f"/api/sessions/{session['id']}"
            self._client.json("PATCH", path, {"name": "Soak"})
            self._client.json("GET", path)
            self._client.json("DELETE", path, expected=(204,))

    def _look(self) -> None:
        for page in PAGES:
            self._client("GET", page)
        self._client.json("GET", "/api/state?landmarks=1")
        self._client("GET", "/api/snapshot.png")
        self._client("GET", f"/api/sources/thumbnail?file={VIDEO}")
        self._client("GET", "/nowhere", expected=(404,))

    def _explain(self) -> None:
        limit_s = time.monotonic() + LIMIT_S
        # 503: TensorFlow is being loaded, or the source has just been switched
        while self._client("GET", "/api/explain", expected=(200, 503))[0] != 200 and time.monotonic() < limit_s:
            time.sleep(0.5)
        for _ in range(3):
            self._client("GET", "/api/explain")

    # --- jobs

    def _queue(self, query: str, content: bytes) -> str:
        job = json.loads(self._client("POST", f"/api/jobs{query}", content, expected=(201,))[1])
        return str(job["id"])

    def _wait_for_jobs(self, group: str) -> bool:
        """Wait until all are done, or the round has ended; whether they are."""
        limit_s = time.monotonic() + LIMIT_S
        while time.monotonic() < limit_s:
            jobs = self._client.json("GET", f"/api/jobs{group}")["jobs"]
            if all(job["state"] == "done" for job in jobs):
                return True
            if failed := [job for job in jobs if job["state"] == "failed"]:
                self._client.wrong.append(f"a job failed: {failed[0]['reason']}")
                return False
            time.sleep(0.5)
        self._client.wrong.append(f"jobs were not done within {LIMIT_S:g} s")
        return False
