import numpy as np
import pytest

from mien.expressions import EXPRESSIONS
from tests.synthetic import picture, write_csv, write_folders
from training.dataset import (
    CSV_CODES,
    DataError,
    Dataset,
    Split,
    duplicates,
    hold_out,
    load_dataset,
    not_in,
    parse_pixels,
)


def rows_of(count, usage, rng):
    return [(name, picture(name, rng), usage) for name in EXPRESSIONS for _ in range(count)]


def test_folders_split_by_fer2013s_own_names(tmp_path):
    dataset = load_dataset(write_folders(tmp_path, train=3, public=2, private=1))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [21, 14, 7]
    assert dataset.train.counts() == dict.fromkeys(EXPRESSIONS, 3)
    assert dataset.train.images.shape == (21, 48, 48, 1)
    assert dataset.train.images.dtype == np.uint8
    for image, label in zip(dataset.train.images, dataset.train.labels, strict=True):
        brightest = image[:, 24, 0].astype(int).argmax() / 48 * 7
        assert int(brightest) == label, "the label follows the folder"


def test_csv_codes_are_translated_to_the_one_order(tmp_path):
    rng = np.random.default_rng(0)
    rows = [row for usage in ("Training", "PublicTest", "PrivateTest") for row in rows_of(2, usage, rng)]
    dataset = load_dataset(write_csv(tmp_path / "fer2013.csv", rows))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [14, 14, 14]
    assert sorted(CSV_CODES) == sorted(EXPRESSIONS)
    for image, label in zip(dataset.test.images, dataset.test.labels, strict=True):
        assert int(image[:, 24, 0].astype(int).argmax() / 48 * 7) == label


def test_kaggles_other_header_with_spaces_is_read(tmp_path):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "a.csv", rows_of(2, "Training", rng) + rows_of(1, "PublicTest", rng))
    path.write_text(path.read_text().replace("emotion,pixels,Usage", "emotion, pixels, Usage", 1))
    assert len(load_dataset(path).validation) == 7


def test_without_usage_a_tenth_validates_and_duplicates_stay_together(tmp_path):
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


def test_duplicates_between_splits_are_counted():
    def split(values, labels):
        images = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
        return Split(images, np.array(labels), tuple(map(str, range(len(values)))))

    data = Dataset(split([1, 1, 2, 3], [0, 0, 1, 2]), split([4, 5], [0, 1]), split([1, 2, 9], [0, 5, 1]))
    assert duplicates(data) == {
        "distinct images in Training": 3,
        "PublicTest images also in Training": 0,
        "PublicTest images also in Training, with another label": 0,
        "PrivateTest images also in Training": 2,
        "PrivateTest images also in Training, with another label": 1,
    }


def test_what_can_not_be_read_is_named_and_skipped(tmp_path):
    root = write_folders(tmp_path)
    (root / "train" / "sad" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    (root / "train" / "sad" / "empty.png").write_bytes(b"")
    (root / "train" / "sad" / "notes.txt").write_text("not counted")
    dataset = load_dataset(root)
    assert len(dataset.train) == 42
    assert sorted(line.split("/")[-1] for line in dataset.skipped) == [
        "broken.jpg: not a readable image",
        "empty.png: not a readable image",
    ]


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
        (lambda path: path.mkdir(), "expected the folders train/ and test/, found no folder"),
        (lambda path: (path / "train" / "joy").mkdir(parents=True), "found joy"),
        (lambda path: (path / "train" / "happy").mkdir(parents=True), "found none that can be read"),
        (lambda path: path.write_text(""), "found an empty file"),
        (lambda path: path.write_text("label,image\n"), "found label,image"),
        (lambda path: path.write_bytes(b"\x00\xff" * 100), "expected the columns emotion,pixels"),
        (lambda path: path.write_text("emotion,pixels\n"), "found none that can be read"),
    ],
)
def test_a_wrong_layout_is_told(tmp_path, make, message):
    path = tmp_path / "data"
    make(path)
    with pytest.raises(DataError, match=message):
        load_dataset(path)


def test_an_empty_class_is_told(tmp_path):
    root = write_folders(tmp_path)
    for path in (root / "train" / "disgust").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="found none of disgust"):
        load_dataset(root)


def test_other_sizes_and_colours_are_scaled_to_gray(tmp_path):
    import cv2

    root = write_folders(tmp_path)
    cv2.imwrite(str(root / "train" / "happy" / "colour.jpg"), np.full((200, 150, 3), 99, np.uint8))
    images = load_dataset(root, side_px=64).train.images
    assert images.shape == (43, 64, 64, 1)


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
