import dataclasses
import io
import os
import sys
import tarfile
import zipfile
import zlib

import cv2
import numpy as np
import pytest

from mien.types import EXPRESSIONS
from tests.synthetic import picture, write_csv, write_folders
from training.__main__ import main
from training.data.dataset import CSV_CODES, duplicates, load_dataset
from training.data.files import DataError, files_under, parse_pixels, read_image
from training.data.splits import HELD_OUT, OFFICIAL, Dataset, Split, hold_out, not_in


def rows_of(count, usage, rng):
    return [(name, picture(name, rng), usage) for name in EXPRESSIONS for _ in range(count)]


def test_folders_named_as_in_fer2013_are_its_splits(tmp_path):
    dataset = load_dataset(write_folders(tmp_path, train=3, public=2, private=1))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [21, 14, 7]
    assert dataset.train.counts() == dict.fromkeys(EXPRESSIONS, 3)
    assert dataset.train.images.shape == (21, 48, 48, 1)
    assert dataset.train.images.dtype == np.uint8
    for image, label in zip(dataset.train.images, dataset.train.labels, strict=True):
        brightest = image[:, 24, 0].astype(int).argmax() / 48 * 7
        assert int(brightest) == label, "the label follows the folder"


def test_csv_codes_are_translated_to_the_common_order(tmp_path):
    rng = np.random.default_rng(0)
    rows = [row for usage in ("Training", "PublicTest", "PrivateTest") for row in rows_of(2, usage, rng)]
    dataset = load_dataset(write_csv(tmp_path / "fer2013.csv", rows))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [14, 14, 14]
    assert sorted(CSV_CODES) == sorted(EXPRESSIONS)
    for image, label in zip(dataset.test.images, dataset.test.labels, strict=True):
        assert int(image[:, 24, 0].astype(int).argmax() / 48 * 7) == label


def test_kaggles_header_with_spaces_is_read(tmp_path):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "a.csv", rows_of(2, "Training", rng) + rows_of(1, "PublicTest", rng))
    path.write_text(path.read_text().replace("emotion,pixels,Usage", "emotion, pixels, Usage", 1))
    assert len(load_dataset(path).validation) == 7


def test_without_usage_a_tenth_is_held_out_and_duplicates_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    rows = rows_of(20, None, rng)
    rows += rows[:40]  # exact duplicates
    path = write_csv(tmp_path / "train.csv", rows)
    first, again = load_dataset(path, seed=3), load_dataset(path, seed=3)
    assert len(first.test) == 0
    assert first.validation.counts().keys() == set(EXPRESSIONS)
    assert all(2 <= n <= 4 for n in first.validation.counts().values())
    assert not set(first.train.hashes()) & set(first.validation.hashes())
    assert first.validation.names == again.validation.names
    assert first.validation.names != load_dataset(path, seed=4).validation.names


def test_sets_are_named_by_their_origin(tmp_path):
    rng = np.random.default_rng(0)
    own = write_folders(tmp_path / "own")
    for i, path in enumerate(sorted((own / "test").glob("*/*.png"))):
        path.rename(path.with_name(f"photo_{i}.png"))
    with_validation = write_folders(tmp_path / "three")
    (with_validation / "test").rename(with_validation / "val")
    private = write_folders(tmp_path / "private", public=0)
    trains = write_csv(tmp_path / "train.csv", rows_of(4, None, rng))
    official = write_csv(tmp_path / "all.csv", rows_of(2, "Training", rng) + rows_of(2, "PublicTest", rng))
    sources = (write_folders(tmp_path / "fer"), official, private, own, with_validation, trains)
    assert [load_dataset(source).named for source in sources] == [
        OFFICIAL,
        OFFICIAL,
        (HELD_OUT, "PrivateTest"),
        (HELD_OUT, "test"),
        ("validation", "test"),
        (HELD_OUT, "test"),
    ]


def test_duplicates_between_splits_are_counted():
    def split(values, labels):
        images = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
        return Split(images, np.array(labels), tuple(map(str, range(len(values)))))

    train = split([1, 1, 2, 3, 3], [0, 0, 1, 2, 6])
    data = Dataset(train, split([4, 5, 3], [0, 1, 2]), split([1, 2, 9, 5, 5, 3], [0, 5, 1, 1, 0, 2]))
    assert duplicates(data) == {
        "distinct images in Training": 3,
        "PublicTest images also in Training": 1,
        "PublicTest images also in Training, with other labels only": 0,
        "PrivateTest images also in Training": 3,
        "PrivateTest images also in Training, with other labels only": 1,
        "PrivateTest images also in PublicTest, but not in Training": 2,
    }


def test_a_digest_distinguishes_other_images_and_other_labels():
    split = Split(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.array([0, 1, 2, 3]), ("a", "b", "c", "d"))
    assert len(split.digest()) == 12
    assert split.digest() == dataclasses.replace(split, names=("e", "f", "g", "h")).digest()
    assert split.digest() != dataclasses.replace(split, labels=np.array([0, 1, 2, 4])).digest()
    assert split.digest() != split.take(np.array([1, 0, 2, 3])).digest()


def test_a_folder_that_cannot_be_read_is_reported(tmp_path):
    with pytest.raises(DataError, match="gone: cannot be read: No such file"):
        files_under(tmp_path / "gone")


def test_unreadable_files_are_named_and_skipped(tmp_path):
    root = write_folders(tmp_path)
    (root / "train" / "sad" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (root / "train" / "sad" / "empty.png").write_bytes(b"")
    (root / "train" / "sad" / "notes.txt").write_text("counted")
    (root / "train" / "sad" / "gone.png").symlink_to("nowhere")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)
    for name in ("phone.heic", "phone.jpg"):
        (root / "train" / "sad" / name).write_bytes(heic)
    (root / "train" / "sad" / ".DS_Store").write_text("not counted")
    (root / "train" / "sad" / "Thumbs.db").write_text("not counted")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    dataset = load_dataset(root)
    assert len(dataset.train) == 42
    assert sorted(line.split("/")[-1] for line in dataset.skipped) == [
        "broken.jpg: not a readable image",
        "empty.png: not a readable image",
        "gone.png: No such file or directory",
        "notes.txt: its name is not that of an image",
        "phone.heic: a HEIC image: convert it to JPEG or PNG",
        "phone.jpg: a HEIC image: convert it to JPEG or PNG",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(ValueError, match="it is no regular file"):
        read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("9," + "1 " * 2304 + ",Training", "expected an emotion code 0..6, found '9'"),
        ("," + "1 " * 2304 + ",Training", "emotion code"),
        ("1,1 2 3,Training", "expected 2304 pixels, found 3"),
        ("1," + "x " * 2304 + ",Training", "whole numbers"),
        ("1," + "300 " * 2304 + ",Training", "expected pixels 0..255, found 300..300"),
        ("1," + "1 " * 2304 + ",Holiday", "expected Usage"),
        ("1", "expected 2304 pixels, found 0"),
    ],
)
def test_a_broken_row_is_named_and_skipped(tmp_path, line, reason):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "a.csv", rows_of(2, "Training", rng) + rows_of(1, "PublicTest", rng))
    with path.open("a") as file:
        file.write(line + "\n")
    dataset = load_dataset(path)
    assert len(dataset.train) == 14
    (skipped,) = dataset.skipped
    assert skipped.startswith("a.csv row 22: ")
    assert reason in skipped


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "found nothing there"),
        (lambda path: path.mkdir(), "expected the folders train/ and test/, or .*; found no folder"),
        (lambda path: (path / "images" / "bliss").mkdir(parents=True), "found images"),
        (lambda path: (path / "test" / "happy").mkdir(parents=True), "found test"),
        (lambda path: [(path / name).mkdir(parents=True) for name in ("train", "happy")], "found happy, train"),
        (lambda path: [(path / name).mkdir(parents=True) for name in ("happy", "bliss")], "found bliss"),
        (lambda path: (path / "train" / "bliss").mkdir(parents=True), "found bliss"),
        (lambda path: (path / "train" / "happy").mkdir(parents=True), "found none that can be read"),
        (lambda path: path.write_text(""), "found an empty file"),
        (lambda path: path.write_text("label,image\n"), "found label,image"),
        (lambda path: path.write_bytes(b"\x00\xff" * 100), "expected the columns emotion,pixels"),
        (lambda path: path.write_text("emotion,pixels\n"), "found none that can be read"),
        (lambda path: path.write_text("emotion,pixels\n1,1\n"), "1 skipped, first data row 1: expected 2304 pixels"),
        (lambda path: path.write_text("emotion,pixels\n1," + "1 " * 600_000), "broken row after line 1: field larger"),
    ],
)
def test_an_unknown_layout_is_reported(tmp_path, make, message):
    path = tmp_path / "data"
    make(path)
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def test_an_empty_class_is_reported(tmp_path):
    root = write_folders(tmp_path)
    for path in (root / "train" / "disgust").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="found none of disgust"):
        load_dataset(root)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("color.jpg", np.full((200, 150, 3), 99, np.uint8)),
        ("transparent.png", np.full((9, 9, 4), 99, np.uint8)),
        ("deep.png", np.full((300, 300), 99 * 257, np.uint16)),
        ("thin.webp", np.full((1, 400, 3), 99, np.uint8)),
        ("wide.tiff", np.full((20, 400), 99, np.uint8)),
        ("UPPER.BMP", np.full((48, 48), 99, np.uint8)),
    ],
)
@pytest.mark.parametrize("side_px", [32, 64])
def test_other_sizes_and_colors_are_scaled_to_gray(name, pixels, side_px, tmp_path):
    root = write_folders(tmp_path, train=2, private=0)
    where = root / "train" / "happy" / name
    cv2.imwrite(str(where), pixels)
    train = load_dataset(root, side_px=side_px).train
    assert train.images.shape == (15, side_px, side_px, 1)
    (image,) = [train.images[i] for i, path in enumerate(train.names) if path == str(where)]
    assert np.abs(image.astype(int) - 99).max() <= 2


def test_upper_case_folders_within_folders_and_two_spellings_are_read(tmp_path):
    write_folders(tmp_path, train=2)
    (tmp_path / "train").rename(tmp_path / "Train")
    (tmp_path / "Train" / "happy").rename(tmp_path / "Train" / "Happy")
    other = tmp_path / "Train" / "HAPPY" / "more" / "yet more"
    other.mkdir(parents=True)
    cv2.imwrite(str(other / "a.png"), picture("happy", np.random.default_rng(1)))
    counts = load_dataset(tmp_path).train.counts()
    assert counts == {**dict.fromkeys(EXPRESSIONS, 2), "happy": 3}


def unsplit(root, count=40):
    rng = np.random.default_rng(0)
    for expression in EXPRESSIONS:
        (root / expression).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(root / expression / f"{i}.png"), picture(expression, rng))
    return root


def test_a_tree_without_splits_is_split_by_the_pixels(tmp_path):
    root = unsplit(tmp_path / "data")
    first = load_dataset(root)
    sizes = [len(split) for split in (first.train, first.validation, first.test)]
    assert sum(sizes) == 280
    assert sizes[0] > 200
    assert 14 <= sizes[1] <= 42
    assert 14 <= sizes[2] <= 42
    (root / "sad" / "copy.png").write_bytes((root / "sad" / "7.png").read_bytes())
    cv2.imwrite(str(root / "sad" / "new.png"), picture("sad", np.random.default_rng(9)))
    then = load_dataset(root, side_px=32, seed=5)
    for before, after in ((first.train, then.train), (first.validation, then.validation), (first.test, then.test)):
        assert set(before.names) <= set(after.names), "size, seed and additional images change no split"
        here = {name.rsplit("/", 1)[1] for name in after.names if "/sad/" in name}
        assert ("7.png" in here) == ("copy.png" in here), "copies stay together"


def test_a_tree_too_small_to_hold_any_image_out_is_reported(tmp_path):
    with pytest.raises(DataError, match="expected two images of an expression or more"):
        load_dataset(write_folders(tmp_path, train=1, public=0, private=0))


def test_of_two_images_of_an_expression_one_is_held_out(tmp_path):
    dataset = load_dataset(write_folders(tmp_path, train=2, public=0, private=0))
    assert dataset.train.counts() == dataset.validation.counts() == dict.fromkeys(EXPRESSIONS, 1)


def test_an_empty_class_with_broken_images_is_reported_as_such(tmp_path):
    root = write_folders(tmp_path, train=2)
    for path in (root / "train" / "fear").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"found none of fear \(2 skipped, first .*Training_0.png: not a readable"):
        load_dataset(root)


def test_an_image_beyond_the_decoders_limit_is_skipped(tmp_path):
    path = tmp_path / "huge.png"
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2  # width and height in IHDR
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not a readable image"):
        read_image(path)


def test_a_csv_with_a_byte_order_mark_is_read(tmp_path):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "a.csv", rows_of(2, "Training", rng))
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert len(load_dataset(path).train) == 7


def test_not_in_drops_exact_duplicates():
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    split = Split(images, np.zeros(4, int), ("a", "b", "c", "d"))
    assert not_in(split, split.take(np.array([1, 3]))).names == ("a", "c")


def test_hold_out_of_a_tiny_split_keeps_training_images():
    split = Split(np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1), np.arange(7), tuple("abcdefg"))
    rest, held = hold_out(split, 0.1, 0)
    assert (len(rest), len(held)) == (7, 0)


def test_parse_pixels():
    text = " ".join(str(i % 256) for i in range(48 * 48))
    image = parse_pixels(text)
    assert image.shape == (48, 48)
    assert image[0, 5] == 5


NAMES = ("Anger", "disgusted", "2_scared", "3 - Happiness", "neutral", "SADNESS", "surprised")


@pytest.mark.parametrize("deeper", ["", "archive", "images/images/images"])
@pytest.mark.parametrize(
    "splits",
    [
        ("train", "validation", "test"),
        ("Training", "val", "testing"),
        ("TRAIN", "Valid", "Test"),
        ("train", "dev", "test"),
    ],
)
def test_other_names_of_folders_and_folders_around_them(tmp_path, deeper, splits):
    plain = write_folders(tmp_path / "plain", train=3, public=2, private=1)
    (plain / "validation").mkdir()
    for label, other in zip(EXPRESSIONS, NAMES, strict=True):
        (plain / "validation" / label).mkdir()
        for path in (plain / "test" / label).glob("PublicTest*"):
            path.rename(plain / "validation" / label / f"{path.stem}.png")
        for split in ("train", "validation", "test"):
            (plain / split / label).rename(plain / split / other)
    for name, other in zip(("train", "validation", "test"), splits, strict=True):
        (plain / name).rename(plain / other)
    root = tmp_path / "root" / deeper
    root.parent.mkdir(parents=True, exist_ok=True)
    plain.rename(root)
    dataset = load_dataset(tmp_path / "root" if deeper else root)
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [21, 14, 7]
    assert dataset.train.counts() == dict.fromkeys(EXPRESSIONS, 3)
    assert not dataset.skipped


def test_the_usages_of_fer2013_as_folders(tmp_path):
    root = write_folders(tmp_path)
    (root / "train").rename(root / "Training")
    (root / "test").rename(root / "PrivateTest")
    for path in list((root / "PrivateTest").glob("*/Public*")):
        to = root / "PublicTest" / path.parent.name
        to.mkdir(parents=True, exist_ok=True)
        path.rename(to / path.name)
    assert load_dataset(root).named == OFFICIAL


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".jpeg"])
def test_other_suffixes_of_jpeg(tmp_path, suffix):
    picture_ = np.full((48, 48), 90, np.uint8)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(cv2.imencode(".jpg", picture_)[1].tobytes())
    assert read_image(path).shape == (48, 48)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("code", ["{}", "{}.0", " {} ", "name"])
def test_dialects_of_csv(tmp_path, encoding, delimiter, code):
    rng = np.random.default_rng(0)
    plain = write_csv(tmp_path / "plain.csv", rows_of(2, "Training", rng) + rows_of(1, "PublicTest", rng))
    expected = load_dataset(plain)
    header, *rows = plain.read_text().splitlines()
    lines = [delimiter.join(f'"{name}"' for name in header.split(","))]
    for row in rows:
        number, pixels, usage = row.split(",")
        written = CSV_CODES[int(number)].upper() if code == "name" else code.format(number)
        lines.append(delimiter.join((written, pixels, usage)))
    path = tmp_path / "other.csv"
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    found = load_dataset(path)
    assert not found.skipped
    assert found.train.digest() == expected.train.digest()
    assert found.validation.digest() == expected.validation.digest()


@pytest.mark.parametrize("code", ["6.5", "7.0", "-1", "1e0", "٣", "6.0.0", "", "nan"])
def test_codes_that_are_none(tmp_path, code):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "a.csv", rows_of(2, "Training", rng))
    pixels = " ".join(["1"] * 2304)
    path.write_text(path.read_text() + f"{code},{pixels},Training\n", encoding="utf-8")
    (line,) = load_dataset(path).skipped
    assert f"expected an emotion code 0..6, found {code!r}" in line


def packed(kind):
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("train/happy/1.png", b"")
    else:
        with tarfile.open(fileobj=data, mode=kind) as archive:
            archive.addfile(tarfile.TarInfo("train/happy/1.png"))
    return data.getvalue()


@pytest.mark.parametrize(("kind", "name"), [("zip", "a ZIP"), ("w:", "a tar"), ("w:gz", "a gzip"), ("w:xz", "an xz")])
def test_an_archive_is_named_and_to_be_unpacked(tmp_path, kind, name):
    path = tmp_path / "data.csv"
    path.write_bytes(packed(kind))
    with pytest.raises(DataError, match=f"expected a folder, or a CSV file .*; found {name} archive; unpack it"):
        load_dataset(path)
    (tmp_path / "data.csv").rename(tmp_path / "fer2013.tar.gz")
    with pytest.raises(DataError, match=r"found no folder, but fer2013\.tar\.gz, an archive; unpack it"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"<!doctype html><title>\x1b[2J", b"version https://git-lfs.github.com/spec/v1\n"])
def test_downloads_of_something_else_are_named(tmp_path, content):
    (tmp_path / "fer.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"found (a web page|a Git LFS pointer)"):
        load_dataset(tmp_path / "fer.csv")


def test_the_content_of_a_file_reaches_the_terminal_escaped(tmp_path, capsys):
    path = tmp_path / "fer.csv"
    path.write_bytes(b"\x1b[2Jred,\x07bell\n1,2\n")
    (tmp_path / "data" / "\x1b[31mhappy").mkdir(parents=True)
    for data in (path, tmp_path / "data", tmp_path / "\x1b[2J"):
        assert main(["--data", str(data), "--run", str(tmp_path / "run")]) == 2
        printed = capsys.readouterr()
        assert printed.err.removesuffix("\n").isprintable()
        assert printed.out.isprintable()
