"""Images of `analyze`: annotated copies with --video, a report with --report, and --privacy in both."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import main
from mien.batch.images_report import MOST_ROWS, ImageCounts
from mien.images.codecs import encode_jpeg, encode_png
from mien.sources.demo import face_place
from tests.clips import demo_pictures, files_of
from tests.report_page import PAPERS, printed_pages, read
from tests.web_fakes import face_showing, resize

NAMES = ["a/face.jpg", "b/face.png", "b/Face.jpg", "b/face-2.jpg", "gray.png", "broken.jpg"]
HOSTILE = "<b>x{{ 7 * 6 }}.jpg"


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """Images in two folders whose names are the same, or differ in case alone."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("a", "b"):
        (folder / name).mkdir()
    for name, picture in zip(NAMES, demo_pictures(4), strict=False):
        (folder / name).write_bytes(encode_png(picture) if name.endswith("png") else encode_jpeg(picture))
    (folder / "gray.png").write_bytes(encode_png(np.full((101, 203, 3), 90, np.uint8)))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (folder / HOSTILE).write_bytes(encode_png(np.full((50, 50, 3), 90, np.uint8)))
    return folder


@pytest.fixture(scope="module")
def reported(media, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("results") / "out"
    assert main.main(["analyze", str(media), "--out", str(out), "--report", "--video"]) == 1
    return out / "images"


def test_each_readable_image_has_a_copy_of_its_size_under_a_name_of_its_own(media, reported):
    inputs = json.loads((reported / "mien.json").read_text(encoding="utf-8"))["inputs"]
    copies = {Path(each["name"]).relative_to(media).as_posix(): each.get("annotated") for each in inputs}
    assert copies.pop("broken.jpg") is None
    assert copies["a/face.jpg"] == "annotated/face.jpg"
    assert len({name.casefold() for name in copies.values()}) == len(copies) == 6
    assert {f"annotated/{path.name}" for path in (reported / "annotated").iterdir()} == set(copies.values())
    for name, copy in copies.items():
        original, drawn = cv2.imread(str(media / name)), cv2.imread(str(reported / copy))
        assert drawn.shape == original.shape
        assert np.abs(drawn.astype(int) - original).max() > 50, "something is drawn"
        assert np.median(np.abs(drawn.astype(int) - original)) < 4, "the rest is as it was"


def test_an_image_too_wide_for_a_jpeg_has_a_smaller_copy(tmp_path):
    (tmp_path / "wide.png").write_bytes(encode_png(np.full((80, 65_600, 3), 90, np.uint8)))
    out = tmp_path / "out"
    assert main.main(["analyze", str(tmp_path / "wide.png"), "--out", str(out), "--video"]) == 0
    assert cv2.imread(str(out / "images" / "annotated" / "wide.jpg")).shape[1] == 65_500


def test_the_report_counts_labels_unsure_faces_images_without_a_face_and_broken_ones(reported):
    page = read(reported / "report.html")
    facts = re.findall(r"([A-Z][a-z ]+)\s*(\d+)", page.text.partition("What was analyzed")[2].partition("Labels\n")[0])
    found = {name.strip(): int(count) for name, count in facts}
    assert found == {
        "Images": 6, "With a face": 4, "Without a face": 2, "Could not be read": 1, "Faces": 4,
        "Unsure labels": found["Unsure labels"],
    }  # fmt: skip
    assert len(page.all("img")) == 6
    assert all(each["src"].startswith("data:image/jpeg;base64,") for each in page.all("img"))
    assert "its header gives no size" in page.text
    assert HOSTILE in page.text
    assert page.all("b") == page.all("script") == []
    assert (reported / "report-shares.png").exists()


def test_with_privacy_neither_copies_nor_report_show_a_face(media, reported, tmp_path):
    out = tmp_path / "out"
    words = [
        "analyze",
        str(media / "a"),
        str(media / "gray.png"),
        "--out",
        str(out),
        "--report",
        "--video",
        "--privacy",
    ]
    assert main.main(words) == 0
    assert read(out / "images" / "report.html").all("img") == []
    x, y, side = (round(value) for value in face_place(0))
    face = slice(y, y + side), slice(x, x + side)

    def details(path: Path) -> np.ndarray:
        gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32)
        return (cv2.GaussianBlur(gray, (0, 0), 2) - cv2.GaussianBlur(gray, (0, 0), 6))[face].ravel()

    original = details(media / "a" / "face.jpg")
    for folder, most, least in ((out / "images", 0.3, -1), (reported, 1.2, 0.8)):
        likeness = np.dot(original, details(folder / "annotated" / "face.jpg")) / np.dot(original, original)
        assert least < likeness < most


def test_jobs_and_a_run_that_continues_give_the_same_files(tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    for number, picture in enumerate(demo_pictures(60)):
        (folder / f"{number:02d}.jpg").write_bytes(encode_jpeg(picture[100:380, 100:540]))
    found = []
    for jobs in ("1", "2"):
        words = [
            "analyze",
            str(folder),
            "--out",
            str(tmp_path / jobs),
            "--video",
            "--report",
            "--jobs",
            jobs,
            "--resume",
        ]
        assert main.main(words) == 0
        before = files_of(tmp_path / jobs)
        assert main.main(words) == 0
        assert files_of(tmp_path / jobs) == before
        found.append({name: data for name, data in before.items() if name.startswith("images/") and "json" not in name})
    assert found[0] == found[1]
    assert len([name for name in found[0] if "annotated" in name]) == 60


def test_the_first_rows_are_shown_and_all_are_counted():
    counts = ImageCounts()
    for label in ("happy", "sad"):
        face = face_showing(label).to_dict()
        counts.add([{"success": 1, "label": label, "unsure": face["unsure"]}] * MOST_ROWS, ["jpeg"] * 5)
    counts.add([{"success": 0, "reason": "no_face"}, {"success": 0, "reason": "the PNG image is broken"}])
    assert len(counts.first) == MOST_ROWS
    assert [thumbnail for _, thumbnail in counts.first] == ["jpeg"] * 5 + [None] * (MOST_ROWS - 5)
    assert counts.rows == 2 * MOST_ROWS + 2
    assert (counts.without["no_face"], counts.unreadable) == (1, 1)
    assert {each["expression"]: each["share"] for each in counts.shares if each["share"]} == {"happy": 0.5, "sad": 0.5}


@pytest.mark.browser
@pytest.mark.parametrize("paper", PAPERS)
def test_the_longest_report_of_images_prints_to_at_most_six_pages(browser, tmp_path, paper, reported):
    page = (reported / "report.html").read_text(encoding="utf-8")
    row = re.search(r"<tr><td><img.*?</tr>\n", page)
    assert row is not None
    many = tmp_path / "report.html"
    many.write_text(page.replace(row[0], row[0] * (MOST_ROWS - 6)), encoding="utf-8")
    resize(browser, 375, 812)
    browser.get(many.as_uri())
    assert browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    assert printed_pages(browser, paper) <= 6


def test_thumbnails_are_small_pictures(reported):
    for each in read(reported / "report.html").all("img"):
        data = base64.b64decode(each["src"].partition(",")[2])
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (112, 112, 3)
