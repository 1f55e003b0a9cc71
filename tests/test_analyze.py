"""POST /api/analyze: every kind of answer, and attempts to break it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import threading
import zlib
from io import BytesIO

import numpy as np
import pytest

import web.server
from mien.images import codecs
from mien.images.codecs import decode_image, encode_jpeg, encode_png
from mien.types import EXPRESSIONS, Analysis, SourceStatus
from tests.patience import PATIENCE_S, wait_for
from tests.web_fakes import face_showing
from web import AppOptions, create_app
from web.analyze import MAX_BODY_BYTES
from web.security import is_foreign

IMAGE = encode_png(np.full((240, 320, 3), 90, np.uint8))
TEXT = b"this is no image at all, whatever it is called"


def analyze(data: bytes) -> Analysis:
    """Like the program's analysis, with one face in each image and a limit that keeps mutated images small."""
    height, width = decode_image(data, max_pixels=1_000_000).shape[:2]
    return Analysis(width, height, (face_showing("happy"),))


@pytest.fixture
def client(fake_camera):
    return create_app(fake_camera, AppOptions(analyze=analyze)).test_client()


def files(*images: bytes) -> dict:
    return {"image": [(BytesIO(image), f"{number}.png") for number, image in enumerate(images)]}


def form(image: bytes) -> bytes:
    """A multipart body written by hand, because Flask's test client writes large files to the disk."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return head + image + b"\r\n--b--\r\n"


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes whose header claims a picture of this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"IDAT" * 9


# ---- answers


def check_answer(answer: dict) -> None:
    assert (answer["width"], answer["height"]) == (320, 240)
    (face,) = answer["faces"]
    assert face["label"] == "happy"
    assert face["id"] is None
    assert list(face["probabilities"]) == list(EXPRESSIONS)
    assert face["box"] == {"x": 40, "y": 50, "w": 100, "h": 110}


@pytest.mark.parametrize("mimetype", ["image/png", "image/jpeg", "image/x-whatever"])
def test_a_raw_body_is_identified_by_content_not_by_its_declared_type(client, mimetype: str) -> None:
    answer = client.post("/api/analyze", data=IMAGE, content_type=mimetype)
    assert answer.status_code == 200
    check_answer(answer.json)


def test_a_multipart_field_gives_the_same_result(client) -> None:
    check_answer(client.post("/api/analyze", data=files(IMAGE)).json)


@pytest.mark.parametrize("count", [2, 16])
def test_several_images_are_answered_in_their_order(client, count: int) -> None:
    images = [encode_png(np.zeros((10 + number, 20, 3), np.uint8)) for number in range(count)]
    answer = client.post("/api/analyze", data=files(*images)).json
    assert [image["height"] for image in answer["images"]] == [10 + number for number in range(count)]


def test_a_broken_image_among_several_does_not_affect_the_others(client) -> None:
    images = (IMAGE, TEXT, IMAGE[:60], png_that_claims(9999, 9999), IMAGE)
    first, *broken, last = client.post("/api/analyze", data=files(*images)).json["images"]
    check_answer(first)
    check_answer(last)
    assert [image["status"] for image in broken] == [415, 422, 413]
    assert all(image["error"] for image in broken)


@pytest.mark.parametrize(
    ("data", "mimetype", "code", "words"),
    [
        (TEXT, "image/png", 415, "Expected a JPEG, PNG"),
        (b"", "image/png", 415, "nothing"),
        (IMAGE, "application/octet-stream", 415, "image/*"),
        (IMAGE, "text/plain", 415, "image/*"),
        (IMAGE, None, 415, "no type"),
        (IMAGE[:60], "image/png", 422, "broken"),
        (png_that_claims(0, 5), "image/png", 422, "no size"),
        (png_that_claims(10_000, 10_000), "image/png", 413, "megapixels"),
        (png_that_claims(2**31 - 1, 2**31 - 1), "image/png", 413, "megapixels"),
        (b"\x89PNG\r\n\x1a\n" + bytes(codecs.MAX_IMAGE_BYTES), "image/png", 413, "bytes"),
        (b"x", "multipart/form-data", 400, "found none"),
        (b"x", "multipart/form-data; boundary=b", 400, "found none"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n", "multipart/form-data; boundary=b", 400, ""),
    ],
)
def test_invalid_uploads_are_refused_with_json(client, data, mimetype, code: int, words: str) -> None:
    answer = client.post("/api/analyze", data=data, content_type=mimetype)
    assert answer.status_code == code
    assert answer.mimetype == "application/json"
    assert words in answer.json["error"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, 400),
        ({"image": "text in a field"}, 400),
        ({"picture": (BytesIO(IMAGE), "a.png")}, 400),
        (files(TEXT), 415),
        (files(b""), 415),
        (files(IMAGE[:60]), 422),
        (files(*[IMAGE] * 17), 413),
    ],
    ids=["nothing", "text", "another name", "not an image", "empty", "cut off", "too many"],
)
def test_invalid_forms_are_refused(client, data: dict, code: int) -> None:
    answer = client.post("/api/analyze", data=data, content_type="multipart/form-data")
    assert answer.status_code == code
    assert answer.json["error"]


def test_a_decompression_bomb_is_refused_before_decoding(client, monkeypatch) -> None:
    monkeypatch.setattr(codecs.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    answer = client.post("/api/analyze", data=png_that_claims(10_000, 10_000), content_type="image/png")
    assert answer.status_code == 413


def test_mutated_images_never_cause_an_internal_error(client) -> None:
    dice = random.Random(5)
    originals = [IMAGE, encode_jpeg(np.full((64, 64, 3), 90, np.uint8))]
    codes = set()
    for _ in range(200):
        data = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        del data[dice.choice([dice.randrange(8, len(data)), len(data)]) :]
        codes.add(client.post("/api/analyze", data=bytes(data), content_type="image/png").status_code)
    assert codes <= {200, 413, 415, 422}
    assert len(codes) >= 3


def test_without_an_analysis_the_route_answers_404(fake_camera) -> None:
    answer = create_app(fake_camera).test_client().post("/api/analyze", data=IMAGE, content_type="image/png")
    assert answer.status_code == 404


def test_large_files_are_not_written_to_the_disk(client, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda *_, **__: pytest.fail("a temporary file"))
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: pytest.fail("a temporary file"))
    noise = np.random.default_rng(1).integers(0, 256, (600, 600, 3), np.uint8)
    image = encode_png(noise)
    assert len(image) > 1_000_000
    answer = client.post("/api/analyze", data=form(image), content_type="multipart/form-data; boundary=b")
    assert answer.json["width"] == 600


def test_text_in_place_of_a_file_is_limited_in_size(client) -> None:
    text = form(b"x" * 600_000).replace(b'; filename="a"', b"")
    assert client.post("/api/analyze", data=text, content_type="multipart/form-data; boundary=b").status_code == 413


# ---- permitted origins


@pytest.mark.parametrize(
    ("origin", "fetch_site", "foreign"),
    [
        (None, None, False),  # a program
        ("http://localhost:5000", "same-origin", False),
        ("https://LOCALHOST:5000", None, False),
        (None, "none", False),
        ("http://localhost:5001", None, True),  # another program on this computer
        ("http://localhost", None, True),
        ("https://evil.example", None, True),
        ("https://camera.example", "same-origin", False),  # behind a proxy that names another host
        ("https://evil.example", "cross-site", True),
        ("http://localhost:5000", "same-site", True),
        (None, "cross-site", True),
        (None, "same-site", True),
        ("null", None, True),
        ("", None, True),
        ("http://localhost:5000.evil.example", None, True),
        ("http://localhost:5000@evil.example", None, True),
        ("http://[", None, True),
    ],
)
def test_requests_from_other_sites_are_refused(client, origin, fetch_site, foreign: bool) -> None:
    assert is_foreign(origin, fetch_site, "localhost:5000") == foreign
    headers = {"Host": "localhost:5000"}
    headers |= {} if origin is None else {"Origin": origin}
    headers |= {} if fetch_site is None else {"Sec-Fetch-Site": fetch_site}
    answer = client.post("/api/analyze", data=IMAGE, content_type="image/png", headers=headers)
    assert answer.status_code == (403 if foreign else 200)
    loads = fetch_site == "same-origin" or (
        fetch_site != "cross-site" and not is_foreign(origin, None, "localhost:5000")
    )
    assert client.get("/api/state", headers=headers).status_code == (200 if loads else 403)


@pytest.mark.parametrize(
    ("site", "mode", "code"),
    [
        ("cross-site", "no-cors", 403),  # <img src="http://localhost:5000/video_feed">
        ("cross-site", "cors", 403),
        ("cross-site", "websocket", 403),
        ("cross-site", None, 403),
        ("cross-site", "navigate", 200),  # a link
        ("same-site", "no-cors", 200),  # a page of another program on this computer
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
        (None, None, 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/video_feed", "/api/events", "/api/state", "/static/app.js"])
def test_pages_of_other_sites_cannot_load_anything(client, fake_camera, path, site, mode, code: int) -> None:
    fake_camera.publish()
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    with client.get(path, headers={name: value for name, value in headers.items() if value}) as answer:
        assert answer.status_code == code


WAYS_IN = [
    ("none", "navigate", "document", True),
    ("same-origin", "navigate", "iframe", True),
    ("same-origin", "cors", "empty", True),
    ("cross-site", "navigate", "document", True),
    ("cross-site", "navigate", "iframe", False),
    ("cross-site", "navigate", "frame", False),
    ("cross-site", "navigate", "object", False),
    ("cross-site", "navigate", "embed", False),
    ("cross-site", "navigate", "fencedframe", False),
    ("cross-site", "nested-navigate", None, False),  # a frame in Chrome 76 to 79
    ("cross-site", "no-cors", "document", False),
    ("cross-site", "navigate", "image", False),
    ("cross-site", "no-cors", "image", False),  # also what a foreign image or script redirects to
    ("cross-site", "no-cors", "video", False),
    ("cross-site", "no-cors", "empty", False),
    ("cross-site", "cors", "style", False),
    ("same-site", "navigate", "document", True),
    ("same-site", "navigate", "iframe", False),
    ("same-site", "navigate", "object", False),
    ("same-site", "no-cors", "image", False),
    ("same-site", "cors", "empty", False),
    ("none", "navigate", "iframe", False),
    (None, None, None, True),  # a program, or an old browser
]


@pytest.mark.parametrize(("site", "mode", "dest", "allowed"), WAYS_IN)
@pytest.mark.parametrize("path", ["/", "/video_feed", "/api/frames", "/api/snapshot.png", "/api/state"])
def test_only_a_person_or_our_own_page_opens_an_idle_camera(
    client, fake_camera, path: str, site, mode, dest, allowed: bool
) -> None:
    fake_camera.current = SourceStatus("Webcam 0", "resting")
    fake_camera.publish()
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    with client.get(path, headers={name: value for name, value in headers.items() if value}) as answer:
        assert (answer.status_code != 403) == allowed
    assert allowed or fake_camera.asked == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Site": "none"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
    ],
)
def test_a_prefetch_does_not_open_the_camera(client, fake_camera, headers: dict[str, str]) -> None:
    navigates = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers={**navigates, **headers}).status_code == 403
    assert fake_camera.asked == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_foreign_origin_opens_nothing_by_any_method(client, fake_camera, method: str) -> None:
    for origin in ("http://evil.example", "null", "http://localhost:8080"):
        headers = {"Host": "localhost:5000", "Origin": origin}
        assert client.open("/video_feed", method=method, headers=headers).status_code == 403
    assert fake_camera.asked == 0


# ---- over the wire


def post(server, body: bytes = IMAGE, **headers: str) -> tuple[int, dict[str, str], dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/api/analyze", body, {"Content-Type": "image/png", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), json.load(answer)
    finally:
        connection.close()


def test_requests_over_the_limit_get_429_with_retry_after(fake_camera, serve) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def slow(data: bytes) -> Analysis:
        entered.release()
        assert leave.wait(PATIENCE_S)
        return analyze(data)

    fake_camera.publish()
    server = serve(fake_camera, analyze=slow, max_analyses=2)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(post(server)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert [entered.acquire(timeout=PATIENCE_S) for _ in threads] == [True, True]
    status, headers, answer = post(server)
    assert status == 429
    assert int(headers["Retry-After"]) > 0
    assert "2 images" in answer["error"]
    leave.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert codes == [200, 200]
    assert post(server)[0] == 200


def test_a_failed_analysis_releases_its_slot(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=lambda _: 1 / 0, max_analyses=1)
    assert [post(server)[0] for _ in range(3)] == [500] * 3


def test_a_client_that_disconnects_halfway_releases_its_slot(fake_camera, serve) -> None:
    arrived = threading.Semaphore(0)
    server = serve(fake_camera, analyze=analyze, max_analyses=1, answers={"/api/analyze": arrived.release})
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(b"POST /api/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
        half.sendall(b"Content-Length: 1000\r\n\r\nhalf")
        assert arrived.acquire(timeout=PATIENCE_S)
        wait_for(lambda: post(server)[0] == 429)
    wait_for(lambda: post(server)[0] == 200)


def test_after_a_client_has_disconnected_its_further_images_are_not_analyzed(fake_camera, serve) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()
    count = 0

    def slow(data: bytes) -> Analysis:
        nonlocal count
        count += 1
        entered.release()
        assert leave.wait(PATIENCE_S)
        return analyze(data)

    server = serve(fake_camera, analyze=slow, max_analyses=1)
    body = b"".join(form(IMAGE).removesuffix(b"--b--\r\n") for _ in range(16)) + b"--b--\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /api/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body))
        client.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
        assert entered.acquire(timeout=PATIENCE_S)
    leave.set()
    wait_for(lambda: post(server)[0] == 200)
    assert count == 2  # the first of the sixteen, and the last request


@pytest.mark.parametrize("start", [b"", b"POST /api/analyze HTTP/1.1\r\nX-Slow: "])
def test_a_slow_request_is_ended_in_time(fake_camera, serve, monkeypatch, start: bytes) -> None:
    monkeypatch.setattr(web.server, "REQUEST_GRACE_S", 0.3)
    server = serve(fake_camera, analyze=analyze, max_analyses=1)
    whole = b"POST /api/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
    pause = threading.Event()
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(start or whole)
        sent = 0
        while sent < 500:  # 25 s
            try:
                slow.sendall(b"x")
            except OSError:
                break
            sent += 1
            pause.wait(0.05)
    assert sent < 500
    monkeypatch.setattr(web.server, "REQUEST_GRACE_S", PATIENCE_S)
    wait_for(lambda: post(server)[0] == 200)


def test_a_large_request_may_take_longer(fake_camera, serve, monkeypatch) -> None:
    monkeypatch.setattr(web.server, "REQUEST_GRACE_S", -0.5)  # as if the time had already passed
    monkeypatch.setattr(web.server, "MIN_BYTES_PER_S", 1)
    assert post(serve(fake_camera, analyze=analyze))[0] == 200


def test_a_body_over_the_limit_is_refused_with_the_reason(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=analyze)
    status, _, answer = post(server, bytes(MAX_BODY_BYTES + 1))
    assert status == 413
    assert answer["error"]


@pytest.mark.parametrize("path", ["/api/analyze", "/api/state", "/"])
def test_an_endless_body_is_not_read_to_the_end(fake_camera, serve, path: str) -> None:
    server = serve(fake_camera, analyze=analyze)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as endless:
        endless.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n".encode())
        endless.sendall(b"Content-Type: image/png\r\n\r\n")
        answer = endless.makefile("rb").read()  # read to the end: the connection is closed
    assert answer.split()[1] in (b"413", b"405")


def test_a_chunked_body_is_accepted_up_to_the_limit(fake_camera, serve) -> None:
    server = serve(fake_camera, analyze=analyze)

    def send(chunks: list[bytes]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/api/analyze", iter(chunks), {"Content-Type": "image/png"}, encode_chunked=True)
            return connection.getresponse().status
        except (ConnectionError, TimeoutError):
            return 0
        finally:
            connection.close()

    assert send([IMAGE[:50], IMAGE[50:]]) == 200
    assert send([bytes(2**20)] * (MAX_BODY_BYTES // 2**20 + 1)) in (413, 0)
