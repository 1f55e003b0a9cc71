"""Whether a face that comes back could get its number again: `python -m benchmarks.identity --data data/fer2013`.

Compares appearance descriptors that need nothing but what Mien has: the expression network's features, the geometry of
the landmarks, and the colors below the face. A descriptor is the mean over a short track. Two tracks of one person
should be more similar than tracks of different people; the threshold is the one at which one in a hundred pairs of
different people matches by mistake. Training images of FER-2013 have no identities: different images count as different
people, and two tracks of degraded views of one image as one person, which is easier than a real return. The harder
cases are the same average person of the demo with another expression, and, beside the project, a clip of one woman and
a photo of five people.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien import app
from mien.cnn.litert import read_compiled
from mien.detectors import HaarDetector
from mien.errors import MienError
from mien.images.resize import crop_faces
from mien.landmarks.network import LandmarkNetwork, around, upright
from mien.landmarks.points import RIGID
from mien.landmarks.pose import mean_face, rotation
from mien.sources.demo_faces import DemoFaces
from mien.types import Box
from training.evaluate.frames import face_paths

MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
FALSE_MATCHES = 0.01
VIEWS = 5
"""Frames of a track whose descriptors are averaged."""

Track = Sequence[np.ndarray]
"""Pictures of one face, uint8 (side, side, 3), that show it as the network takes it."""


class Features:
    """Layers of the shipped network, named by their width."""

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        content, _ = read_compiled(app.FOLDER / "model.tflite")
        self._interpreter = Interpreter(model_content=content, num_threads=1, experimental_preserve_all_tensors=True)
        self._interpreter.allocate_tensors()
        shapes = {each["index"]: tuple(each["shape"]) for each in self._interpreter.get_tensor_details()}
        self._penultimate = max(index for index, shape in shapes.items() if len(shape) == 2 and shape[1] > 7)
        self._maps = max(index for index, shape in shapes.items() if len(shape) == 4 and shape[1] == 6)

    def __call__(self, face_bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The penultimate layer, and the means of the last feature maps."""
        side = face_bgr.shape[0]
        pixels = crop_faces(face_bgr, [Box(0, 0, side, side)], (48, 48))
        given = self._interpreter.get_input_details()[0]["index"]
        self._interpreter.set_tensor(given, pixels[..., np.newaxis].astype(np.float32))
        self._interpreter.invoke()
        penultimate = self._interpreter.get_tensor(self._penultimate)[0].copy()
        return penultimate, self._interpreter.get_tensor(self._maps)[0].mean(axis=(0, 1))


def geometry(network: LandmarkNetwork, face_bgr: np.ndarray) -> np.ndarray | None:
    """The rigid points in three dimensions, turned to the front: how they differ from the mean face, float64 (n,)."""
    side = face_bgr.shape[0]
    points, _ = network.mesh(face_bgr, around((0, 0, side, side), 1.25))
    points, presence = network.mesh(face_bgr, upright(points[:, :2], 1.5))
    if presence < 0.5:
        return None
    rigid = points[list(RIGID)] - points[list(RIGID)].mean(axis=0)
    rigid /= np.sqrt((rigid**2).sum(axis=1).mean())
    return np.asarray(rigid @ rotation(mean_face(), rigid) - mean_face()).ravel()


def describe(track: Track, features: Features, network: LandmarkNetwork) -> dict[str, np.ndarray | None]:
    """Descriptors of a track by name."""
    layers = [features(face) for face in track]
    shapes = [shape for face in track if (shape := geometry(network, face)) is not None]
    return {
        "penultimate": np.mean([one for one, _ in layers], axis=0),
        "feature maps": np.mean([other for _, other in layers], axis=0),
        "geometry": np.mean(shapes, axis=0) if shapes else None,
    }


def degraded(face_bgr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another view: moved, turned, scaled, in other light and less sharp."""
    side = face_bgr.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-8, 8), rng.uniform(0.9, 1.12))
    turn[:, 2] += rng.uniform(-0.05, 0.05, 2) * side
    view = cv2.warpAffine(face_bgr, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    lit = 255 * (view / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.85, 1.1) + rng.normal(0, 4, view.shape)
    return cv2.GaussianBlur(np.clip(lit, 0, 255).astype(np.uint8), (0, 0), rng.uniform(0.3, 1.0))


def similarity(one: np.ndarray, other: np.ndarray, middle: np.ndarray) -> float:
    """Cosine of two descriptors after the mean of all is subtracted."""
    a, b = one - middle, other - middle
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


def tracks_of(face_bgr: np.ndarray, rng: np.random.Generator) -> tuple[Track, Track]:
    """Two tracks of degraded views."""
    first, second = ([degraded(face_bgr, rng) for _ in range(VIEWS)] for _ in range(2))
    return first, second


def training_faces(data: Path, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Different Training images, uint8 (48, 48, 3). Raises DataError for none."""
    paths = face_paths(data, "train/*/*")
    chosen = rng.permutation(len(paths))[:count]
    images: list[Any] = [cv2.imread(str(paths[i])) for i in chosen]
    return images


def of_the_clip(path: Path) -> list[Track]:
    """Tracks of the woman in the clip, a second each."""
    capture, detector, faces = cv2.VideoCapture(str(path)), HaarDetector(), []
    index = 0
    while (read := capture.read())[0]:
        if index % 5 == 0 and (boxes := detector.detect(read[1])):
            box = max(boxes, key=lambda each: each.area)
            faces.append(read[1][max(0, box.y) : box.y + box.h, max(0, box.x) : box.x + box.w])
        index += 1
    capture.release()
    square = [cv2.resize(face, (160, 160)) for face in faces]
    return [square[i : i + VIEWS] for i in range(0, len(square) - VIEWS + 1, VIEWS)]


def clothing(pixels_bgr: np.ndarray, box: Box) -> np.ndarray:
    """Histogram of the colors below a face, square roots of shares: its cosine is the Bhattacharyya coefficient."""
    top, left = box.y + round(1.35 * box.h), box.x - round(0.25 * box.w)
    part = pixels_bgr[top : top + box.h, max(0, left) : left + round(1.5 * box.w)]
    lab = cv2.cvtColor(part, cv2.COLOR_BGR2LAB)
    histogram = cv2.calcHist([lab], [0, 1, 2], None, [6, 24, 24], [0, 256] * 3).ravel()
    return np.asarray(np.sqrt(histogram / max(histogram.sum(), 1)))


def main() -> None:
    """Print for each descriptor how many returns it recognizes.

    Raises:
        SystemExit: The images or the networks of landmarks are missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fer2013"))
    parser.add_argument("--faces", type=int, default=300, help="Training images (%(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    try:
        faces, network = training_faces(options.data, options.faces, rng), LandmarkNetwork()
    except MienError as error:
        raise SystemExit(str(error)) from None
    features = Features()

    def described(track: Track) -> dict[str, np.ndarray | None]:
        return describe(track, features, network)

    pairs = [tuple(map(described, tracks_of(face, rng))) for face in faces]
    demo = DemoFaces.load().textures
    people = [[described([cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)]) for face in person] for person in demo]
    clip = [described(track) for track in of_the_clip(MEDIA / "expressions.mp4")] if MEDIA.is_dir() else []
    print(f"{len(faces)} Training images, tracks of {VIEWS} views; false matches {FALSE_MATCHES:.0%}", flush=True)
    join([each for pair in pairs for each in pair], [*(each for one in people for each in one), *clip])
    for name in ("penultimate", "feature maps", "geometry", "feature maps and geometry"):
        print_row(name, [(a[name], b[name]) for a, b in pairs], [[each[name] for each in one] for one in people], clip)
    if MEDIA.is_dir():
        print_clothing(rng)


def join(common: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> None:
    """Add the two best descriptors as one, in which both count alike.

    Args:
        common: Descriptors whose mean is subtracted, changed in place.
        others: Further descriptors, changed in place.
    """
    names = ("feature maps", "geometry")
    middles = {name: np.mean([each[name] for each in common if each[name] is not None], axis=0) for name in names}
    for each in (*common, *others):
        parts = [each[name] - middles[name] for name in names if each[name] is not None]
        whole = np.concatenate([part / np.linalg.norm(part) for part in parts])
        each["feature maps and geometry"] = whole if len(parts) == len(names) else None


def print_row(name: str, pairs: Sequence[Any], people: Sequence[Sequence[Any]], clip: Sequence[Any]) -> None:
    """Print shares of returns that a descriptor recognizes, at the threshold that different Training images give."""
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    middle = np.mean([a for a, _ in known], axis=0)

    def like(one: np.ndarray, other: np.ndarray) -> float:
        return similarity(one, other, middle)

    strangers = [like(a, b) for i, (a, _) in enumerate(known) for j, (_, b) in enumerate(known) if i != j]
    threshold = float(np.quantile(strangers, 1 - FALSE_MATCHES))
    views = [like(a, b) for a, b in known]
    others = [like(a, b) for person in people for i, a in enumerate(person) for b in person[i + 1 :]]
    woman = [each[name] for each in clip]
    half = len(woman) // 2
    returns = [like(a, b) for a in woman[:half] for b in woman[half:] if a is not None and b is not None]
    shares = [_share(each, threshold) for each in (views, others, returns)]
    print(
        f"{name}: degraded views {shares[0]}, another expression {shares[1]}, the woman of the clip later {shares[2]}"
    )


def print_clothing(rng: np.random.Generator) -> None:
    """Print how often the colors below the five people of the photo tell them apart."""
    photo: Any = cv2.imread(str(MEDIA / "group.jpg"))
    boxes = HaarDetector().detect(photo)
    views = [[clothing(_lit(photo, rng), _moved(box, rng)) for _ in range(20)] for box in boxes]
    same = [float(a @ b) for one in views for i, a in enumerate(one) for b in one[i + 1 :]]
    strangers = [float(a @ b) for i, one in enumerate(views) for other in views[i + 1 :] for a in one for b in other]
    threshold = float(np.quantile(strangers, 1 - FALSE_MATCHES))
    print(f"clothing of {len(boxes)} people in one photo, in other light: {_share(same, threshold)}")


def _lit(pixels_bgr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(255 * (pixels_bgr / 255.0) ** rng.uniform(0.7, 1.4), 0, 255).astype(np.uint8)


def _moved(box: Box, rng: np.random.Generator) -> Box:
    dx, dy, scale = rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.9, 1.1)
    return Box(round(box.x + dx * box.w), round(box.y + dy * box.h), round(scale * box.w), round(scale * box.h))


def _share(similarities: Sequence[float], threshold: float) -> str:
    return f"{np.mean(np.array(similarities) > threshold):.0%}" if similarities else "not measured"


if __name__ == "__main__":
    main()
