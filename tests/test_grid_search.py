import json

import numpy as np
import pytest

from tests.synthetic import write_folders
from training.__main__ import main
from training.data.dataset import load_dataset
from training.data.splits import Split, folds
from training.fit.search import Result, as_table, parse_grid, plot
from training.recipe import RunError


def split_with_duplicates(rng):
    """Seven expressions with ten images each, two of which duplicate another."""
    images = rng.integers(0, 256, (70, 4, 4, 1)).astype(np.uint8)
    labels = np.arange(7).repeat(10)
    images[1::10], images[2::10] = images[0::10], images[0::10]
    return Split(images, labels, tuple(map(str, range(70))))


def test_each_image_validates_once_and_duplicates_stay_together():
    split = split_with_duplicates(np.random.default_rng(0))
    parts = list(folds(split, 4, seed=1))
    assert sorted(name for _, held in parts for name in held.names) == sorted(split.names)
    for train, held in parts:
        assert len(train) + len(held) == 70
        assert not set(train.hashes()) & set(held.hashes())
        assert all(1 <= n <= 5 for n in held.counts().values()), "every expression is in every fold"
    again = list(folds(split, 4, seed=1))
    assert [held.names for _, held in parts] == [held.names for _, held in again]
    assert parts[0][1].names != next(folds(split, 4, seed=2))[1].names


@pytest.mark.parametrize("count", [0, 1, 9])
def test_an_impossible_number_of_folds_is_refused(count):
    with pytest.raises(RunError, match=r"folds: expected 2 to 8"):
        next(folds(split_with_duplicates(np.random.default_rng(0)), count, seed=0))


def test_a_grid_is_every_combination():
    assert parse_grid(["learning_rate=1e-3,0.5", "flip=true,False", "network=elu"]) == [
        {"learning_rate": 0.001, "flip": True, "network": "elu"},
        {"learning_rate": 0.001, "flip": False, "network": "elu"},
        {"learning_rate": 0.5, "flip": True, "network": "elu"},
        {"learning_rate": 0.5, "flip": False, "network": "elu"},
    ]
    assert parse_grid(["batch-size=32"]) == [{"batch_size": 32}]


@pytest.mark.parametrize(
    "word", ["speed=1", "epochs", "epochs=", "epochs=ten", "flip=maybe", "side_px=32,48", "start=a", "freeze=true", ""]
)
def test_an_invalid_grid_is_reported(word):
    with pytest.raises(RunError, match="grid: expected"):
        parse_grid([word])


def test_a_grid_has_each_field_and_value_once():
    assert parse_grid(["l2=0.1,1e-1"]) == [{"l2": 0.1}]
    with pytest.raises(RunError, match="expected each field once, with all its values, found optimizer twice"):
        parse_grid(["optimizer=adam", "optimizer=sgd"])


def test_the_table_and_the_plot_show_every_fold():
    results = [Result({"l2": 0.1}, (0.5, 0.7)), Result({"l2": 0.0}, (0.4,))]
    rows = as_table(results).splitlines()
    assert rows[0] == "| l2 | mean accuracy | deviation | folds |"
    assert rows[2] == "| 0.1 | 60.00% | 14.14% | 50.0%, 70.0% |"
    assert rows[3] == "| 0.0 | 40.00% | 0.00% | 40.0% |"
    (axes,) = plot(results).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["l2=0.0", "l2=0.1"]
    assert [len(points.get_offsets()) for points in axes.collections] == [1, 1, 2, 1]


def test_the_command_compares_and_resumes(tmp_path, capsys):
    data = write_folders(tmp_path / "data", train=4)
    run = tmp_path / "search"
    words = ["search", "--data", str(data), "--run", str(run), "--folds", "2", "--network", "shallow", "--epochs", "1"]
    words += ["--side-px", "32", "--batch-size", "28", "--grid", "learning_rate=0.02,1e-9"]
    assert main(words) == 0
    assert "learning_rate=1e-09, fold 2 of 2" in capsys.readouterr().out
    found = json.loads((run / "search.json").read_text())
    assert [len(row["accuracies"]) for row in found] == [2, 2]
    assert found[0]["mean"] >= found[1]["mean"]
    assert (run / "search.png").stat().st_size > 1000
    assert len(load_dataset(data).train) == 28
    assert main(words) == 0
    assert capsys.readouterr().out.count("has finished its 1 epochs") == 4
    assert json.loads((run / "search.json").read_text()) == found
    words[words.index("--folds") + 1] = "3"
    assert main(words) == 2
    assert "fold0 holds a run with other images; choose another run folder" in capsys.readouterr().err


def test_an_invalid_recipe_is_reported_before_training_starts(tmp_path, capsys):
    data = write_folders(tmp_path / "data", train=2)
    words = ["search", "--data", str(data), "--run", str(tmp_path / "search"), "--grid", "network=shallow,magic"]
    assert main(words) == 2
    assert "found 'magic'" in capsys.readouterr().err
    assert not (tmp_path / "search").exists()
