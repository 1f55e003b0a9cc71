"""Thumbnails of files that may be chosen as the source: what they show, their limits, and their route."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from mien.errors import SourceMissingError
from mien.images.codecs import decode_image, encode_jpeg
from mien.images.privacy import Privacy
from mien.sources import thumbnails
from mien.sources.catalog import SourceCatalog
from mien.sources.thumbnails import Thumbnails
from mien.sources.webcam import Webcams
from tests.clips import demo_pictures, write_video
from tests.patience import wait_for
from web import AppOptions, create_app

GRAY = np.full((480, 640, 3), 16, np.uint8)


@pytest.fixture
def opened(monkeypatch) -> list:
    """The files that were opened."""
    paths: list = []
    real = thumbnails.open_file
    monkeypatch.setattr(thumbnails, "open_file", lambda path, **options: paths.append(path) or real(path, **options))
    return paths


def photo(path, width: int = 1600, height: int = 900, shade: int = 128):
    path.write_bytes(encode_jpeg(np.full((height, width, 3), shade, np.uint8)))
    return path


@pytest.mark.parametrize(
    ("size", "expected"), [((1600, 900), (160, 90)), ((300, 1200), (40, 160)), ((64, 48), (64, 48))]
)
def test_a_photo_is_reduced_to_160_pixels_but_not_enlarged(tmp_path, size, expected) -> None:
    height, width = decode_image(Thumbnails()(photo(tmp_path / "a.jpg", *size))).shape[:2]
    assert (width, height) == expected


def test_of_a_video_that_begins_with_black_a_later_picture_is_shown(tmp_path) -> None:
    scene = demo_pictures(1)[0]
    shown = decode_image(Thumbnails()(write_video(tmp_path / "a.mp4", [GRAY] * 5 + [scene] * 5)))
    reduced = cv2.resize(scene, (160, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - reduced).mean() < 6


@pytest.mark.parametrize("count", [1, 40, 120])
def test_of_a_video_that_is_black_for_longer_a_black_picture_is_shown(tmp_path, count: int) -> None:
    assert decode_image(Thumbnails()(write_video(tmp_path / "a.mp4", [GRAY] * count))).max() < 40


def test_a_file_is_read_once_until_it_changes(tmp_path, opened) -> None:
    make = Thumbnails()
    path = photo(tmp_path / "a.jpg", shade=60)
    first = make(path)
    assert make(path) == first
    assert len(opened) == 1
    assert make(photo(path, 800, 600, shade=200)) != first
    assert len(opened) == 2


def test_a_broken_file_is_read_once_too(tmp_path, opened) -> None:
    make = Thumbnails()
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0mp42isom")
    for _ in range(2):
        with pytest.raises(SourceMissingError, match="video"):
            make(tmp_path / "a.mp4")
    assert len(opened) == 1


def test_those_not_asked_for_longest_are_dropped_first(tmp_path, opened) -> None:
    make = Thumbnails(max_kept=2)
    a, b, c = (photo(tmp_path / f"{name}.jpg") for name in "abc")
    for path in (a, b, a, c, a, b):
        make(path)
    assert opened == [a, b, c, b]


def test_a_missing_file_is_reported(tmp_path) -> None:
    with pytest.raises(SourceMissingError, match="cannot be read"):
        Thumbnails()(tmp_path / "a.jpg")


# ---- over HTTP


class NoWebcams(Webcams):
    def find(self, in_use: int | None = None) -> dict[int, str]:
        return {}


@pytest.fixture
def media(tmp_path):
    folder = tmp_path / "media"
    (folder / "sub").mkdir(parents=True)
    photo(folder / "sub" / "b c.jpg")
    photo(tmp_path / "secret.jpg")
    (folder / "cut.jpg").write_bytes(encode_jpeg(np.zeros((480, 640, 3), np.uint8))[:300])
    return folder


def client_for(camera, media, **options):
    return create_app(camera, AppOptions(catalog=SourceCatalog(media, NoWebcams()), **options)).test_client()


def ask(client, name: str):
    return client.get("/api/sources/thumbnail", query_string={"file": name})


def test_a_thumbnail_is_sent_and_not_stored_by_the_browser(fake_camera, media) -> None:
    answer = ask(client_for(fake_camera, media), "sub/b c.jpg")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert answer.headers["Cache-Control"] == "no-store"
    assert decode_image(answer.data).shape == (90, 160, 3)
    assert fake_camera.asked == 0


@pytest.mark.parametrize(
    ("name", "status"), [("../secret.jpg", 403), ("", 403), ("none.jpg", 404), ("cut.jpg", 404), ("sub", 403)]
)
def test_what_has_no_thumbnail_is_refused_without_the_path_of_the_folder(fake_camera, media, name, status) -> None:
    answer = ask(client_for(fake_camera, media), name)
    assert answer.status_code == status
    assert str(media) not in answer.text


def test_in_privacy_mode_and_without_a_folder_there_are_none(fake_camera, media) -> None:
    privacy = Privacy()
    client = client_for(fake_camera, media, privacy=privacy)
    assert ask(client, "sub/b c.jpg").status_code == 200
    privacy.switch(True)
    assert ask(client, "sub/b c.jpg").status_code == 404
    assert ask(client_for(fake_camera, None), "sub/b c.jpg").status_code == 403
    assert create_app(fake_camera).test_client().get("/api/sources/thumbnail?file=a").status_code == 404


def test_one_is_made_at_a_time_and_of_many_requests_most_are_refused(fake_camera, media, monkeypatch) -> None:
    begun, go_on, working = threading.Event(), threading.Event(), []
    real = thumbnails.open_file

    def slow(path, **options):
        working.append(path)
        begun.set()
        assert go_on.wait()
        return real(path, **options)

    monkeypatch.setattr(thumbnails, "open_file", slow)
    app = client_for(fake_camera, media).application
    answers: list[int] = []

    def request() -> None:
        answers.append(ask(app.test_client(), "sub/b c.jpg").status_code)

    threads = [threading.Thread(target=request) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert begun.wait()
    wait_for(lambda: len(answers) == 6, "the refusals")
    assert answers == [429] * 6
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 4 + [429] * 6
    assert len(working) == 1
