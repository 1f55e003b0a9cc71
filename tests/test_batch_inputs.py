"""What `analyze` finds: files, folders, patterns and lists."""

from __future__ import annotations

import codecs
import os
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.batch.inputs import (
    EMPTY,
    FOLDER_BYTES,
    LINK,
    NO_FILE,
    NO_MATCH,
    NOT_A_FILE,
    OTHER,
    RESULT,
    decode_list,
    find_inputs,
)
from mien.errors import SettingsError
from mien.images.codecs import encode_png
from tests.fakes import write_clip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with videos and images in several folders."""
    monkeypatch.chdir(tmp_path)
    write_clip(Path("b.avi"), [1])
    picture = encode_png(np.zeros((4, 4), np.uint8))
    for name in ("day/2/a.png", "day/1/a.png", "day/notes.txt", "day/.hidden.png", "day/.git/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(picture)
    for name in ("day/B.AVI", "day/1/b.avi", "a.avi"):
        Path(name).write_bytes(Path("b.avi").read_bytes())
    Path("empty").mkdir()
    return tmp_path


def names(*words: str, lines=(), leave_out=None) -> list[str]:
    return [each.name for each in find_inputs(words, lines, leave_out).found]


@pytest.mark.parametrize(
    ("words", "lines", "expected"),
    [
        (["b.avi", "a.avi"], [], ["b.avi", "a.avi"]),
        (["day"], [], ["day/1/a.png", "day/1/b.avi", "day/2/a.png", "day/B.AVI"]),
        (["day/"], [], ["day/1/a.png", "day/1/b.avi", "day/2/a.png", "day/B.AVI"]),
        (["*.avi"], [], ["a.avi", "b.avi"]),
        (["day/**/*.png"], [], ["day/1/a.png", "day/2/a.png"]),
        (["day/?"], [], ["day/1/a.png", "day/1/b.avi", "day/2/a.png"]),
        (["-"], ["a.avi\n", "\n", "day/2\r\n"], ["a.avi", "day/2/a.png"]),
        (["b.avi", "-"], ["a.avi"], ["b.avi", "a.avi"]),
        (["a.avi", "./a.avi", "*.avi", "day/../a.avi"], [], ["a.avi", "b.avi"]),
        (["day/notes.txt"], [], ["day/notes.txt"]),
    ],
)
def test_words_name_files_each_once(folder, words, lines, expected):
    found = find_inputs(words, lines)
    assert [each.name for each in found.found] == expected
    assert not found.missing


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("c.avi", NO_FILE),
        ("*.mkv", NO_MATCH),
        ("empty", EMPTY),
        ("day/3", NO_FILE),
        ("", NO_FILE),
        (300 * "a", NO_FILE),
    ],
)
def test_words_that_name_nothing_are_listed_with_the_reason(folder, word, reason):
    found = find_inputs([word, "a.avi"])
    assert found.missing == ((word, reason),)
    assert [each.name for each in found.found] == ["a.avi"]


def test_other_files_of_a_folder_are_named_as_skipped_and_hidden_ones_left_out(folder):
    assert find_inputs(["day"]).skipped == (("day/notes.txt", OTHER),)
    assert find_inputs(["day", "day/notes.txt"]).skipped == (), "named, it is an input that will fail"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("é.mp4\nb.mp4\n".encode(), "utf-8"),
        ("é.mp4\r\nb.mp4\r\n".encode(), "utf-8"),
        ("é.mp4\nb.mp4\n".encode("utf-8-sig"), "ascii"),
        ("é.mp4\r\nb.mp4\r\n".encode("utf-16"), "utf-8"),
        (codecs.BOM_UTF16_BE + "é.mp4\r\nb.mp4".encode("utf-16-be"), "utf-8"),
        ("é.mp4\nb.mp4\n".encode("cp1252"), "cp1252"),
    ],
    ids=["utf-8", "crlf", "byte order mark", "utf-16", "utf-16, big endian", "code page"],
)
def test_lists_of_all_systems_keep_their_first_line(data, encoding):
    assert [line for line in decode_list(data, encoding) if line] == ["é.mp4", "b.mp4"]


def test_invalid_bytes_in_a_list_stay_part_of_the_name():
    assert os.fsencode(decode_list(b"caf\xe9.mp4\n", "utf-8")[0]) == b"caf\xe9.mp4"


def test_a_name_that_no_file_can_have_matches_nothing(folder):
    (line,) = decode_list(codecs.BOM_UTF16_LE + "b/\ude62*.mp4".encode("utf-16-le", "surrogatepass"), "utf-8")
    found = find_inputs([line, "\ude62[x]", "a\0*"])
    assert not found.found
    assert [reason for _, reason in found.missing] == [NO_MATCH] * 3


@pytest.mark.parametrize("data", ["a.mp4\n".encode("utf-16-le"), b"a.mp4\0b.mp4\0", codecs.BOM_UTF16_LE + b"odd"])
def test_a_list_that_is_no_text_is_refused(data):
    with pytest.raises(SettingsError, match="-: expected a list of files, one per line"):
        decode_list(data, "utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files in folders")
def test_pipes_and_sockets_are_not_opened(folder):
    os.mkfifo("day/1/pipe.avi")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("day/socket")
        assert find_inputs(["day/1"]).skipped == (("day/1/pipe.avi", NOT_A_FILE),)
        found = find_inputs(["day/1/pipe.avi", "/dev/null", "day", "day/1/*.avi"])
    assert dict(found.missing) == {"day/1/pipe.avi": NOT_A_FILE, "/dev/null": NOT_A_FILE}
    assert ("day/socket", NOT_A_FILE) in found.skipped
    assert "day/1/pipe.avi" not in [each.name for each in found.found]


def test_the_folder_of_the_results_is_not_searched(folder):
    assert names("day", leave_out=Path("day/1")) == ["day/2/a.png", "day/B.AVI"]
    assert names("day/?", "day/1/a.png", leave_out=Path("day/1")) == ["day/2/a.png"]


@pytest.mark.parametrize(
    ("word", "skipped"),
    [
        ("day/1/a.png", (("day/1/a.png", RESULT),)),
        ("day/1/*.png", ()),
        ("day/1", ()),
        ("day", (("day/notes.txt", OTHER),)),
    ],
)
def test_a_file_of_the_results_that_is_named_is_listed_as_skipped(folder, word, skipped):
    assert find_inputs([word], leave_out=Path("day/1")).skipped == skipped


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_to_a_folder_is_listed_as_skipped_unless_it_is_named(folder):
    Path("day/2/link").symlink_to("..")
    Path("day/2/.hidden").symlink_to("..")
    found = find_inputs(["day/2"])
    assert ([each.name for each in found.found], found.skipped) == (["day/2/a.png"], (("day/2/link", LINK),))
    for words in (["day/2", "day/2/link"], ["day/2/link", "day/2"]):
        found = find_inputs(words)
        assert len(found.found) == 4
        assert "day/2/link" not in dict(found.skipped)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_listed_in_the_order_of_their_names(folder, monkeypatch):
    walk = os.walk

    def other_order(top, **options):
        for parent, folders, files in walk(top, **options):
            folders.sort(reverse=True)
            yield parent, folders, files

    monkeypatch.setattr(os, "walk", other_order)
    for name in ("day/1/link", "day/2/link"):
        Path(name).symlink_to("..")
    assert find_inputs(["day"]).skipped[:2] == (("day/1/link", LINK), ("day/2/link", LINK))


def test_a_folder_that_cannot_be_read_is_named(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if Path(path) == Path("day/2"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_inputs(["day"])
    assert found.missing == (("day/2", "this folder cannot be read: Permission denied"),)
    assert [each.name for each in found.found] == ["day/1/a.png", "day/1/b.avi", "day/B.AVI"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_to_itself_is_left_to_the_analysis(folder):
    Path("day/1/loop.avi").symlink_to("loop.avi")
    assert names("day/1") == ["day/1/a.png", "day/1/b.avi", "day/1/loop.avi"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
def test_a_name_of_any_bytes_becomes_text(folder):
    Path(os.fsdecode(b"caf\xe9.avi")).write_bytes(b"")
    (found,) = find_inputs(["c*.avi"]).found
    assert (found.name, found.folder) == ("caf\\udce9.avi", "caf")


def test_the_folder_of_a_long_path_has_a_name_that_can_be_stored(folder):
    parent = Path("day", *(3 * [40 * "é"]))
    parent.mkdir(parents=True)
    for name in ("c.avi", "d.avi"):
        (parent / name).write_bytes(b"")
    folders = [each.folder for each in find_inputs(["day"]).found if each.path.parent == parent]
    assert len(set(folders)) == 2
    assert all(len(each.encode()) <= FOLDER_BYTES + 2 for each in folders)


def test_each_video_has_a_folder_of_its_own_and_images_share_one(folder):
    for name in ("images.avi", "A.mkv", "day-1-b.avi"):
        Path(name).write_bytes(Path("b.avi").read_bytes())
    found = find_inputs(["a.avi", "A.mkv", "images.avi", "day-1-b.avi", "day", "b.avi"]).found
    folders = {each.name: each.folder for each in found}
    assert folders == {
        "a.avi": "a",
        "A.mkv": "A-2",
        "images.avi": "images-2",
        "day-1-b.avi": "day-1-b",
        "day/1/a.png": "images",
        "day/1/b.avi": "1-b",
        "day/2/a.png": "images",
        "day/B.AVI": "B",
        "b.avi": "b-2",
    }


def test_images_are_told_from_videos_by_their_content(folder):
    Path("photo.avi").write_bytes(Path("day/1/a.png").read_bytes())
    assert [each.is_image for each in find_inputs(["photo.avi", "a.avi"]).found] == [True, False]


@pytest.mark.parametrize(("name", "is_image"), [("a.JPG", True), ("a.mp4", False), ("a.gif", False), ("a", False)])
def test_a_file_of_no_known_format_is_what_its_name_says(folder, name, is_image):
    Path(name).write_bytes(b"")
    assert [each.is_image for each in find_inputs([name]).found] == [is_image]


@pytest.mark.parametrize(("pictures", "is_image"), [(1, True), (2, False)])
def test_an_animated_gif_is_a_video_and_a_still_one_an_image(folder, pictures, is_image):
    cv2.imwritemulti("a.gif", [np.full((8, 8, 3), 90 * number, np.uint8) for number in range(pictures)])
    assert [each.is_image for each in find_inputs(["a.gif"]).found] == [is_image]


def test_a_broken_gif_is_left_to_the_analysis(folder):
    Path("a.gif").write_bytes(b"GIF89a" + bytes(40))
    assert [each.is_image for each in find_inputs(["a.gif"]).found] == [True]
