"""One program's whole loop over a clip: read, find and classify faces, draw, encode.

`python -m benchmarks.peers` runs this file with the Python of that program's environment, which lacks the packages of
Mien, so nothing of Mien is imported at the top:

    python -I benchmarks/peers/loop.py NAME CLIP FRAMES REPORT

Reading, drawing and encoding are the same for all; each program has the defaults of its own README otherwise.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FALLBACK_FPS = 25
JPEG_QUALITY = 80
COLOR_BGR = (255, 255, 0)

Found = list[tuple[int, int, int, int, str]]
"""Left, top, width, height in pixels, and label of each face."""
FindFaces = Callable[[Any, int, float], Found]
"""From the pixels of a frame, its index and its time in the clip in seconds."""


def mien() -> FindFaces:
    """Mien as it runs live with `--detector haar`: detects about twice a second of the clip and tracks in between."""
    sys.path.insert(0, str(ROOT))
    from mien.analysis.face_stream import FaceStream
    from mien.analysis.pipeline import Pipeline
    from mien.detectors import HaarDetector
    from mien.types import Frame
    from model import FacialExpressionModel

    stream = FaceStream(Pipeline(HaarDetector(), FacialExpressionModel()))

    def find(pixels_bgr: Any, index: int, time_s: float) -> Found:
        frame = Frame(pixels_bgr, index, captured_at=time_s, media_time_s=time_s)
        faces = (face for face in stream.analyze(frame, time_s).faces if not face.missed)
        return [(face.box.x, face.box.y, face.box.w, face.box.h, face.label) for face in faces]

    return find


def seed() -> FindFaces:
    """The seed loop with Mien's network."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.seed_loop import SeedLoop
    from mien.cnn.loader import load_network

    loop = SeedLoop(load_network(ROOT / "model.json", ROOT / "model_weights.h5"))
    return lambda pixels_bgr, _index, _time_s: loop.faces(pixels_bgr)


def fer() -> FindFaces:
    """Package fer with its defaults: Haar cascade, its quantized network."""
    from fer.fer import FER

    detector = FER()

    def find(pixels_bgr: Any, _index: int, _time_s: float) -> Found:
        faces = detector.detect_emotions(pixels_bgr)
        return [(*map(int, face["box"]), max(face["emotions"], key=face["emotions"].get)) for face in faces]

    return find


def deepface() -> FindFaces:
    """Package deepface with its defaults: Haar cascade, aligned by the eyes, its own network for emotions."""
    from deepface import DeepFace
    from deepface.modules.exceptions import FaceNotDetected

    def find(pixels_bgr: Any, _index: int, _time_s: float) -> Found:
        try:
            faces = DeepFace.analyze(pixels_bgr, actions=["emotion"], detector_backend="opencv", silent=True)
        except FaceNotDetected:
            return []
        return [(*(int(face["region"][side]) for side in "xywh"), face["dominant_emotion"]) for face in faces]

    return find


LOOPS: dict[str, Callable[[], FindFaces]] = {"mien": mien, "seed": seed, "fer": fer, "deepface": deepface}


def run(find_faces: FindFaces, clip: str, most_frames: int) -> dict[str, float | None]:
    """Run the loop over the first frames of a clip, as fast as it goes.

    Args:
        find_faces: Finds and classifies the faces of a frame.
        clip: A video file.
        most_frames: How many frames are read at most.

    Returns:
        `first_at`, the time in seconds since the epoch when the first frame with a face was encoded, None if there is
        none; `fps`, frames a second after that frame; and the numbers of `frames`, of frames `with_face` and of `faces`
        in all of them.
    """
    import cv2

    video = cv2.VideoCapture(clip)
    rate = video.get(cv2.CAP_PROP_FPS) or FALLBACK_FPS
    frames = with_face = total = 0
    first_at: float | None = None
    start_s, start_frames = time.perf_counter(), 0
    while frames < most_frames:
        ok, pixels_bgr = video.read()
        if not ok:
            break
        faces = find_faces(pixels_bgr, frames, frames / rate)
        picture = pixels_bgr.copy()  # whoever tracks may still need the frame without drawings
        for x, y, w, h, label in faces:
            cv2.rectangle(picture, (x, y), (x + w, y + h), COLOR_BGR, 2)
            cv2.putText(picture, label, (x, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.7, COLOR_BGR, 2)
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        frames += 1
        if faces and first_at is None:  # Mien confirms a face in its second frame: its network runs first then
            first_at = time.time()
            start_s, start_frames = time.perf_counter(), frames
        with_face += bool(faces)
        total += len(faces)
    spent_s = time.perf_counter() - start_s
    fps = (frames - start_frames) / spent_s
    return {"first_at": first_at, "fps": fps, "frames": frames, "with_face": with_face, "faces": total}


def peak_memory_mb() -> float | None:
    """The most resident memory of this process so far, in MiB; None on Windows."""
    status = Path("/proc/self/status")
    if status.is_file():  # not getrusage: it includes the process that started this one
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # bytes on macOS


def main(name: str, clip: str, frames: str, report: str) -> None:
    """Run one loop and write what it measured, as JSON."""
    measured = {**run(LOOPS[name](), clip, int(frames)), "memory_mb": peak_memory_mb()}
    Path(report).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
