import csv
import os
import sys

import cv2
import numpy as np
import pytest

from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import picture, write_csv
from training.__main__ import main
from training.data.files import DataError
from training.evaluate import predict as prediction
from training.evaluate.predict import predict_to_csv
from training.export import export
from training.fit.fitting import build
from training.inputs import report_skipped
from training.recipe import Recipe


def by_brightness(faces):
    """Confident of the expression in whose seventh of the image the brightest row is."""
    assert faces.dtype == np.uint8
    assert len(faces) <= prediction.BATCH
    rows = faces[:, :, faces.shape[2] // 2].astype(int).argmax(axis=1)
    probabilities = np.full((len(faces), 7), 0.05, np.float32)
    probabilities[np.arange(len(faces)), rows * 7 // faces.shape[1]] = 0.7
    return probabilities


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i, expression in enumerate(EXPRESSIONS):
        where = tmp_path / "faces" / ("deep/er" if i % 2 else ".")
        where.mkdir(parents=True, exist_ok=True)
        side_px = 48 + 50 * i
        cv2.imwrite(str(where / f"{expression}.png"), picture(expression, rng, side_px))
    color = np.repeat(picture("sad", rng)[:, :, None], 3, axis=2)
    cv2.imwrite(str(tmp_path / "faces" / "sad, in color.JPG"), color)
    return tmp_path / "faces"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names of any bytes")
def test_images_with_names_of_any_bytes_are_labeled(folder, tmp_path, capsys):
    latin, lines = os.fsdecode(b"caf\xe9.png"), "two\nlines.png"
    for name in (latin, lines):
        (folder / name).write_bytes((folder / "angry.png").read_bytes())
    (folder / os.fsdecode(b"broken\xe9.png")).write_bytes(b"no")
    outcome = predict_to_csv(by_brightness, folder, tmp_path / "out.csv", 48)
    assert {"caf\\udce9.png", lines} < {row["path"] for row in rows_of(tmp_path / "out.csv")}
    report_skipped(outcome.skipped)
    assert r"broken\xe9.png: not a readable image" in capsys.readouterr().out


def test_a_folder_of_any_images_is_labeled(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "BATCH", 3)
    (folder / "broken.png").write_bytes(b"no")
    (folder / "notes.txt").write_text("no image")
    outcome = predict_to_csv(by_brightness, folder, tmp_path / "new" / "out.csv", 48)
    assert outcome.labeled == 8
    assert outcome.skipped == ["broken.png: not a readable image", "notes.txt: its name is not that of an image"]
    rows = rows_of(tmp_path / "new" / "out.csv")
    assert list(rows[0]) == ["path", "label", "confidence", *EXPRESSIONS]
    assert {row["path"]: row["label"] for row in rows} == {
        "angry.png": "angry",
        "deep/er/disgust.png": "disgust",
        "fear.png": "fear",
        "deep/er/happy.png": "happy",
        "neutral.png": "neutral",
        "deep/er/sad.png": "sad",
        "sad, in color.JPG": "sad",
        "surprise.png": "surprise",
    }
    assert [row["path"] for row in rows] == sorted((row["path"] for row in rows), key=lambda path: path.split("/"))
    for row in rows:
        assert float(row["confidence"]) == float(row[row["label"]]) == pytest.approx(0.7)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.csv"], "no other file is left"


@pytest.mark.parametrize("labeled", [True, False])
def test_a_csv_with_or_without_labels(labeled, tmp_path):
    rng = np.random.default_rng(0)
    path = write_csv(tmp_path / "test.csv", [(name, picture(name, rng), "PrivateTest") for name in EXPRESSIONS])
    if not labeled:
        lines = [line.split(",")[1] for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines) + "\n1 2 3\n")
    outcome = predict_to_csv(by_brightness, path, tmp_path / "out.csv", 32)
    rows = rows_of(tmp_path / "out.csv")
    assert [(row["id"], row["label"]) for row in rows] == [(str(i + 1), name) for i, name in enumerate(EXPRESSIONS)]
    assert outcome.skipped == ([] if labeled else ["row 8: expected 2304 pixels, found 3"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "found nothing there"),
        (lambda path: path.mkdir(), "found none that can be read$"),
        (lambda path: path.write_text("pixels\n1 2\n"), "1 skipped, first row 1: expected 2304 pixels"),
        (lambda path: path.write_text("image,label\n"), "expected a column pixels; found image,label"),
        (lambda path: path.write_bytes(b"\x89PNG\x00\xff"), "with a column pixels; found a PNG picture"),
    ],
)
def test_invalid_input_is_reported_and_an_older_file_is_kept(make, message, tmp_path):
    make(tmp_path / "source")
    out = tmp_path / "out.csv"
    out.write_text("older")
    with pytest.raises(DataError, match=message):
        predict_to_csv(by_brightness, tmp_path / "source", out, 48)
    assert out.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "out.csv"}


def test_a_failure_halfway_keeps_the_older_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "BATCH", 3)
    out = tmp_path / "out.csv"
    out.write_text("older")
    calls = []

    def fails_later(faces):
        calls.append(len(faces))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return by_brightness(faces)

    with pytest.raises(KeyboardInterrupt):
        predict_to_csv(fails_later, folder, out, 48)
    assert out.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"faces", "out.csv"}


def test_an_unwritable_output_is_reported(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        predict_to_csv(by_brightness, folder, tmp_path / "file" / "out.csv", 48)


def test_the_command_labels_with_the_files_of_a_network(folder, tmp_path, capsys):
    network, _ = build(Recipe(network="shallow", side_px=32))
    model_file, weights_file = export(network, tmp_path / "network")
    (folder / "broken.png").write_bytes(b"no")
    out = tmp_path / "predictions.csv"
    words = ["--out", str(out), "--model", str(model_file), "--weights", str(weights_file)]
    assert main(["predict", str(folder), *words]) == 0
    printed = capsys.readouterr().out
    assert "skipped 1" in printed
    assert "broken.png" in printed
    assert "with 8 labels" in printed
    (row,) = [row for row in rows_of(out) if row["path"] == "angry.png"]
    image = cv2.imread(str(folder / "angry.png"), cv2.IMREAD_GRAYSCALE)
    expected = FacialExpressionModel(model_file, weights_file).predict(
        cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)[None]
    )[0]
    assert [float(row[name]) for name in EXPRESSIONS] == pytest.approx(expected.tolist(), abs=1e-4)
    assert main(["predict", str(tmp_path / "nowhere"), *words]) == 2
    assert "found nothing there" in capsys.readouterr().err
