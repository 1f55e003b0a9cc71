"""Generated requests, valid and invalid according to the OpenAPI description, and images broken in every way.

`make test` tries some; `make fuzz` tries 2,000 of each and prints the results.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from benchmarks.fuzz.targets.media import resized
from benchmarks.fuzz.trial import resident_mb
from mien.analysis.baseline import Baselines
from mien.analysis.face_stream import FaceStream
from mien.analysis.pipeline import Pipeline
from mien.analysis.uploads import UploadSessions, analyze_image
from mien.cnn.logit_adjustment import LogitAdjustment
from mien.detectors import HaarDetector
from mien.images.privacy import Privacy
from mien.recording.csv_log import CsvRecorder
from mien.sources.base import quiet_opencv
from mien.sources.catalog import SourceCatalog
from mien.types import Snapshot, SourceStatus
from tests.media import composite_frame
from tests.test_openapi import PATHS, NoWebcams, build
from tests.test_privacy import Even
from tests.web_fakes import FakeCamera, FakeDetectors
from web import AppOptions, create_app

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(params=[True, False], ids=["pictures flow", "no picture"])
def app(request, tmp_path) -> Iterator:
    """The whole app; its streams end at once because the camera is closed."""
    camera = FakeCamera()
    if request.param:
        camera.publish()
    else:
        camera.current = SourceStatus("Webcam 0", "reconnecting", "unplugged", 1.0)
        camera.snapshots.publish(Snapshot(b"placeholder"))
    camera.close()
    recorder = CsvRecorder(tmp_path / "sessions")
    yield build(
        camera,
        recorder=recorder,
        privacy=Privacy(),
        adjustment=LogitAdjustment(np.full(7, 1 / 7), tau=0.5),
        detectors=FakeDetectors(),
        baselines=lambda key: Baselines(),
        follow=UploadSessions(lambda: FaceStream(Pipeline(HaarDetector(), Even()))).analyze,
        catalog=SourceCatalog(webcams=NoWebcams(), media=_media(tmp_path)),
        max_streams=10**6,  # the in-process client never closes a stream
    )
    recorder.stop()


def _media(folder: Path) -> Path:
    (folder / "media").mkdir()
    (folder / "media" / "a.mp4").write_bytes(b"")
    return folder / "media"


CHOOSY = ("/api/analyze", "/api/baseline", "/api/detector", "/api/sessions/{session}", "/api/source")


def check(case, answer, counts: Counter) -> None:
    """Check an answer against the description with all of schemathesis' checks, except for documented 503s."""
    counts[f"{case.operation.label} {answer.status_code}"] += 1
    documented = PATHS[case.operation.path][case.method.lower()]["responses"]
    assert answer.status_code < 500 or (answer.status_code == 503 and "503" in documented)
    excluded = [not_a_server_error]
    if case.operation.path.startswith(CHOOSY):
        excluded.append(positive_data_acceptance)  # not every string is an image, nor every span of time a short one
    if case.operation.path == "/api/analyze":
        excluded.append(negative_data_rejection)  # a form may contain an image beside an invalid part
    if answer.status_code == 413:  # oversized requests are refused, too, although schemathesis does not expect it
        excluded.append(negative_data_rejection)
    case.validate_response(answer, excluded_checks=excluded)


def can_be_invalid(operation) -> bool:
    """Whether there are invalid requests: not if all it takes is any text in its path, which takes long to find out."""
    other = [*operation.query, *operation.headers, *operation.cookies, *operation.body]
    return bool(other) or any(each.definition["schema"] != {"type": "string"} for each in operation.path_parameters)


def ask(operation, mode: GenerationMode, most: int, dice: int, counts: Counter) -> int:
    """Send up to this number of different requests to an operation; returns how many there were."""
    asked = 0

    @seed(dice)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case) -> None:
        nonlocal asked
        asked += 1
        check(case, case.call(), counts)

    try:
        run()
    except Unsatisfiable:  # there are no invalid requests: it has no parameters
        return 0
    return asked


def test_every_answer_matches_its_description(app, fuzz: int) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    kinds = [
        (each, mode) for each in operations for mode in MODES if mode is GenerationMode.POSITIVE or can_be_invalid(each)
    ]
    assert {operation.path for operation, _ in kinds} == set(PATHS) - {"/api/openapi.json"}
    counts: Counter = Counter()
    asked = 0
    for dice in range(100):
        kinds_left = []
        for operation, mode in kinds:
            most = max(3, (fuzz // 2 - asked) // len(kinds))
            count = ask(operation, mode, most, dice, counts)
            asked += count
            if count > 1:
                kinds_left.append((operation, mode))
        kinds = kinds_left
        if asked >= fuzz // 2:
            break
    print(f"\n{asked} cases")
    for label, count in sorted(counts.items()):
        print(f"  {count:5} {label}")
    assert asked >= fuzz // 2


# ---- images


def originals() -> list[bytes]:
    """A small face in every format."""
    pixels = cv2.resize(composite_frame("happy")[0], (160, 120), interpolation=cv2.INTER_AREA)
    files = [cv2.imencode(extension, pixels)[1].tobytes() for extension in (".png", ".jpg", ".gif", ".bmp", ".webp")]
    lossless = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    progressive = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    return [*files, lossless, progressive]


SIZES = (0, 1, 2, 119, 161, 255, 4096, 7000, 16383, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(dice: random.Random, files: list[bytes]) -> bytes:
    """A file broken in one of many ways."""
    data = bytearray(dice.choice(files))
    match dice.randrange(8):
        case 0:
            for _ in range(dice.choice((1, 3, 10, 100))):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        case 1:  # in the header, which has sizes and types
            for _ in range(dice.randint(1, 4)):
                data[dice.randrange(min(64, len(data)))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        case 2:
            del data[dice.randrange(len(data)) :]
        case 3:
            return resized(bytes(data), dice.choice(SIZES), dice.choice(SIZES))
        case 4:
            return bytes(data[: dice.randint(0, 40)]) + dice.randbytes(dice.randint(0, 5000))
        case 5:
            return dice.randbytes(dice.randint(0, 2000))
        case 6:  # two files in one
            other = dice.choice(files)
            return bytes(data[: dice.randrange(len(data))]) + other[dice.randrange(len(other)) :]
        case 7:
            at = dice.randrange(len(data))
            data[at:at] = data[dice.randrange(len(data)) :][: dice.randint(1, 3000)] * dice.randint(1, 3)
    return bytes(data)


def analyze_broken(count: int) -> tuple[Counter, list[int]]:
    """Analyze this number of broken images.

    Returns:
        The statuses, and the memory in MB before and after each fifth. What the allocator keeps for later does not
        count: it differs by 50 MB from one image to the next.
    """
    quiet_opencv()
    camera = FakeCamera()
    camera.publish()
    pipeline = Pipeline(HaarDetector(), Even())
    app = create_app(
        camera,
        AppOptions(
            analyze=lambda data: analyze_image(data, pipeline.analyze),
            follow=UploadSessions(lambda: FaceStream(pipeline)).analyze,
        ),
    )
    client, dice, files = app.test_client(), random.Random(5), originals()
    counts: Counter = Counter()
    used_mb = []
    for number in range(count + 50):
        if number >= 50 and (number - 50) % (count // 5) == 0:  # after 50, libraries and caches are loaded
            used_mb.append(round(resident_mb()))
        data = mutated(dice, files) if number >= 5 else files[number]
        query = "?track=fuzz-fuzz" if number >= 5 and number % 3 == 0 else ""
        answer = client.post(f"/api/analyze{query}", data=data, content_type="image/png")
        assert answer.status_code in (200, 413, 415, 422), (answer.status_code, data[:64])
        assert number >= 5 or (answer.status_code, len(answer.json["faces"])) == (200, 1), number
        counts[answer.status_code] += 1
    used_mb.append(round(resident_mb()))
    camera.close()
    return counts, used_mb


def test_no_image_breaks_the_analysis(fuzz: int) -> None:
    assert len({data[:2] for data in originals()}) == 5
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # a process without the memory of earlier tests
        counts, used_mb = alone.submit(analyze_broken, fuzz).result()
    print(f"\n{fuzz} images: {dict(counts)}; MB before, and after each fifth: {used_mb}")
    assert set(counts) == {200, 413, 415, 422}
    assert used_mb[-1] - used_mb[0] < 30
    assert used_mb[-1] - used_mb[len(used_mb) // 2] < 20, "memory keeps growing"
