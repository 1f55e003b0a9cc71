import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from mien.cnn.layers import MeanImage
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_csv, write_folders
from tests.tiny_networks import register
from training.__main__ import main
from training.data.augment import Augment
from training.data.batches import Batches, class_weights
from training.data.dataset import load_dataset
from training.data.splits import Split
from training.export import export
from training.fit.callbacks import TimeLeft, count_plateaus
from training.fit.fitting import build, fit, prepare
from training.fit.optimization import make_optimizer
from training.recipe import Recipe, RunError
from training.run_folder import read_history


def tiny_network(side_px=48, *, conv_dropout=0.2, **style):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((side_px, side_px, 1)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dropout(conv_dropout),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(7, activation="softmax"),
        ]
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register(monkeypatch, tiny_network)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_folders(tmp_path_factory.mktemp("data"), train=8))


SMALL = {"network": "tiny", "batch_size": 16, "learning_rate": 0.01, "rotation_deg": 2.0, "shift": 0.01}


class Killed(Exception):
    """Stands for a power failure."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Killed


@pytest.mark.parametrize("more", [{}, {"mixup": 0.4, "ema": 0.6, "erase": 0.5, "optimizer": "sgd"}])
def test_a_resumed_run_equals_an_uninterrupted_one(more, dataset, tmp_path):
    plan = Recipe(**SMALL, **more, epochs=3)
    unbroken = fit(plan, dataset, tmp_path / "unbroken")
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path / "broken", callbacks=(KillAt(1, 2),))
    assert len(read_history(tmp_path / "broken")) == 1
    printed = []
    resumed = fit(plan, dataset, tmp_path / "broken", report=printed.append)
    assert "after 1 epochs" in printed[0]
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    histories = [read_history(tmp_path / name) for name in ("unbroken", "broken")]
    assert [row["val_loss"] for row in histories[0]] == pytest.approx(
        [row["val_loss"] for row in histories[1]], rel=1e-3
    )


def test_training_learns_keeps_the_best_and_exports_a_loadable_network(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=12)
    network = fit(plan, dataset, tmp_path / "run")
    history = read_history(tmp_path / "run")
    assert len(history) == 12
    best = max(row["val_accuracy"] for row in history)
    faces, labels = dataset.validation.images, dataset.validation.labels
    outputs = keras.ops.convert_to_numpy(network(faces))
    assert (outputs.argmax(axis=1) == labels).mean() == pytest.approx(best)
    assert best > 0.5, "chance is 0.14"
    model_file, weights_file = export(network, tmp_path / "out")
    assert json.loads(model_file.read_text())["expressions"] == list(EXPRESSIONS)
    loaded = FacialExpressionModel(model_file, weights_file)
    np.testing.assert_allclose(loaded.predict(faces), outputs, atol=1e-5)
    text = model_file.read_text()
    model_file.write_text(json.dumps({**json.loads(text), "expressions": list(reversed(EXPRESSIONS))}))
    reordered = FacialExpressionModel(model_file, weights_file)
    np.testing.assert_allclose(reordered.predict(faces), outputs[:, ::-1], atol=1e-5, err_msg="the file's order counts")


def test_a_finished_run_is_not_run_again(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=1)
    first = fit(plan, dataset, tmp_path)
    printed = []
    again = fit(plan, dataset, tmp_path, report=printed.append)
    assert "has finished" in printed[0]
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])


def test_a_finished_run_resumes_with_more_epochs(dataset, tmp_path):
    plan = Recipe(**SMALL, schedule="constant", warmup_epochs=0.0, epochs=3)
    whole = fit(plan, dataset, tmp_path / "whole")
    short = dataclasses.replace(plan, epochs=2)
    fit(short, dataset, tmp_path / "longer")
    assert not list((tmp_path / "longer" / "backup").glob("*.bkp"))
    longer = fit(plan, dataset, tmp_path / "longer")
    assert [row["epoch"] for row in read_history(tmp_path / "longer")] == [0, 1, 2]
    for one, other in zip(whole.get_weights(), longer.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("note", ['{"epoch": 1', '{"epoch": 1, "batch": 0}'])
def test_a_kill_while_the_checkpoint_is_written_trains_no_epoch_twice(note, dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=4)
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path, callbacks=(KillAt(2, 1),))
    path = tmp_path / "backup" / "training_metadata.json"
    assert json.loads(path.read_text())["epoch"] == 2
    path.write_text(note)
    epochs = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    fit(plan, dataset, tmp_path, callbacks=(watch,))
    assert epochs == [2, 3]


def test_a_truncated_checkpoint_is_skipped_for_the_previous_one(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=4)
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path, callbacks=(KillAt(2, 1),))
    path = tmp_path / "backup" / "latest.weights.h5"
    path.write_bytes(path.read_bytes()[:5000])
    epochs = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    fit(plan, dataset, tmp_path, callbacks=(watch,))
    assert epochs == [1, 2, 3]


def test_a_run_without_its_checkpoint_is_reported_and_left_unchanged(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=2)
    fit(plan, dataset, tmp_path)
    shutil.rmtree(tmp_path / "backup")
    history = (tmp_path / "history.csv").read_text()
    with pytest.raises(RunError, match="expected a checkpoint to resume from, found none"):
        fit(dataclasses.replace(plan, epochs=3), dataset, tmp_path)
    assert (tmp_path / "history.csv").read_text() == history


def test_a_folder_with_other_images_is_refused(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=1)
    fit(plan, dataset, tmp_path)
    half = dataset.validation.take(np.arange(7))
    for other in (dataclasses.replace(dataset, train=half), dataclasses.replace(dataset, validation=half)):
        with pytest.raises(RunError, match="holds a run with other images; choose another run folder"):
            fit(dataclasses.replace(plan, batch_size=16), other, tmp_path)
    (tmp_path / "data.json").unlink()
    fit(plan, dataset, tmp_path)
    assert (tmp_path / "data.json").is_file(), "an older folder is accepted"


def test_a_refused_or_unfinished_first_epoch_leaves_the_recipe_open(dataset, tmp_path):
    with pytest.raises(Killed):
        fit(Recipe(**SMALL, epochs=1), dataset, tmp_path, callbacks=(KillAt(0, 0),))
    fit(Recipe(**{**SMALL, "batch_size": 8}, epochs=1), dataset, tmp_path)


def test_a_folder_with_another_recipe_is_refused_and_left_unchanged(dataset, tmp_path):
    fit(Recipe(**SMALL, epochs=1), dataset, tmp_path)
    before = (tmp_path / "recipe.json").read_text()
    with pytest.raises(RunError, match=r"seed 0 there, 5 asked"):
        fit(Recipe(**SMALL, epochs=1, seed=5), dataset, tmp_path)
    assert (tmp_path / "recipe.json").read_text() == before


@pytest.mark.parametrize("text", ["", "[]", '{"speed": 1}', '{"network": "magic"}'])
def test_a_folder_with_a_broken_recipe_is_reported(text, dataset, tmp_path):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(RunError, match="expected"):
        prepare(Recipe(**SMALL, epochs=1), dataset, tmp_path)


def test_fields_missing_in_an_older_recipe_have_their_defaults(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=1)
    fit(plan, dataset, tmp_path)
    path = tmp_path / "recipe.json"
    old = json.loads(path.read_text())
    for name in ("optimizer", "schedule", "l2", "pixels", "balance"):
        del old[name]
    path.write_text(json.dumps(old))
    with pytest.raises(RunError, match="optimizer adamw there, sgd asked"):
        fit(dataclasses.replace(plan, optimizer="sgd"), dataset, tmp_path)
    printed = []
    fit(plan, dataset, tmp_path, report=printed.append)
    assert "has finished" in printed[0]
    assert json.loads(path.read_text())["optimizer"] == "adamw"


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD"), ("rmsprop", "RMSprop")]
)
def test_optimizers_by_name(name, kind):
    optimizer = make_optimizer(Recipe(optimizer=name, schedule="constant", learning_rate=0.25), 10)
    assert type(optimizer).__name__ == kind
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.get_config().get("nesterov", True), "momentum is Nesterov's"


def test_the_cosine_rises_and_falls():
    rate = make_optimizer(Recipe(epochs=5, warmup_epochs=1, learning_rate=0.5), 10)._learning_rate
    assert [float(rate(step)) for step in (0, 10, 50)] == pytest.approx([0, 0.5, 0], abs=1e-6)
    assert float(rate(30)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("losses", "plateaus"),
    [([], 0), ([3, 2, 1], 0), ([1, 2, 2, 2], 0), ([1, 2, 2, 2, 2], 1), ([1] * 9, 2), ([5, 5, 5, 5, 4, 4, 4, 4], 0)],
)
def test_plateaus_are_counted(losses, plateaus):
    assert count_plateaus(losses) == plateaus


def test_the_time_left_is_estimated_from_the_epochs_done_in_this_run():
    printed, times = [], iter([100.0, 160.0, 280.0])
    left = TimeLeft(65, printed.append, lambda: next(times))
    left.on_train_begin()
    for epoch in (3, 4, 5):
        left.on_epoch_begin(epoch)
    assert printed == [
        "4 of 65 epochs done, about 1:01:00 left",
        "5 of 65 epochs done, about 1:30:00 left",
    ]


def test_plateau_and_early_end_follow_the_history_across_a_resume(dataset, tmp_path):
    plan = Recipe(**{**SMALL, "learning_rate": 1e-7}, epochs=30, schedule="plateau", early_stop=6)
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path, callbacks=(KillAt(2, 0),))
    rates = {}
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: rates.update({epoch: float(run.trainer.optimizer.learning_rate)})
    )
    rows = read_history(tmp_path)
    with (tmp_path / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**rows[0], "epoch": epoch, "val_loss": 0.01, "val_accuracy": 0.99} for epoch in range(2))
    run = prepare(plan, dataset, tmp_path, callbacks=[watch])
    assert not run.finished
    run.trainer.fit(**run.arguments)
    assert list(rates) == [2, 3, 4, 5, 6], "six epochs behind the best, the first of them before the kill"
    assert [rates[epoch] for epoch in (2, 4, 5, 6)] == pytest.approx([1e-7, 1e-7, 5e-8, 5e-8])
    assert prepare(plan, dataset, tmp_path).finished


@pytest.mark.parametrize(
    "wrong",
    [
        {"network": "magic"},
        {"epochs": 0},
        {"batch_size": 1},
        {"optimizer": "adagrad"},
        {"schedule": "stairs"},
        {"pixels": "raw"},
        {"balance": "luck"},
        {"precision": "float8"},
        {"mixup": -0.1},
        {"ema": 1.0},
        {"distil_weight": 1.1},
        {"distil_temperature": 0.0},
        {"seed": -1},
        {"conv_dropout": 1.5},
        {"dense_dropout": 1.0},
        {"scale": 1.0},
        {"contrast": -0.1},
        {"erase": 1.1},
        {"label_smoothing": 2.0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"l2": -1.0},
        {"weight_decay": float("inf")},
        {"early_stop": -1},
        {"epochs": 5, "warmup_epochs": 6.0},
        {"side_px": 31},
        {"side_px": 351},
        {"self_distil": 0.5},
        {"self_distil": 1.5, "start": "abc"},
    ],
)
def test_an_invalid_recipe_is_reported(wrong):
    with pytest.raises(RunError, match="expected"):
        Recipe(**wrong)


def test_an_error_in_a_recipe_is_one_clear_line():
    with pytest.raises(RunError, match=r"^conv_dropout: expected from 0 to below 1, found 1\.5$"):
        Recipe(conv_dropout=1.5)
    with pytest.raises(RunError, match=r"^learning_rate: expected a number above 0, found -1\.0$"):
        Recipe(learning_rate=-1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_norm": False},
        {"side_px": 96},
        {"early_stop": 5},
        {"balance": "weights"},
        {"l2": 0.1},
        {"pool_first": True},
        {"self_distil": 0.5},
        {"precision": "mixed_bfloat16"},
    ],
)
def test_different_recipes_have_different_descriptions(change):
    plain = Recipe(start="abc")
    assert dataclasses.replace(plain, **change).in_words() != plain.in_words()


def test_batches_hold_every_image_once_in_an_order_of_seed_and_epoch(dataset):
    batches = Batches(dataset.train, 10, seed=1)

    def labels(epoch):
        batches.start_epoch(epoch)
        return np.concatenate([batches[i][1].argmax(axis=1) for i in range(len(batches))])

    first = labels(0)
    assert sorted(first) == sorted(dataset.train.labels)
    assert (first != labels(1)).any()
    assert (first == labels(0)).all()


def uneven(dataset):
    """12 images: angry nine, disgust one, fear two."""
    labels = np.array([0] * 9 + [1] + [2] * 2)
    return Split(dataset.train.images[:12], labels, dataset.train.names[:12])


def test_balanced_sampling_draws_every_expression_equally_often(dataset):
    batches = Batches(uneven(dataset), 5, seed=1, balance="sampling")
    drawn = np.concatenate([batches[i][1].argmax(axis=1) for i in range(len(batches))])
    assert np.bincount(drawn).tolist() == [4, 4, 4]
    first = batches.order.copy()
    assert len(set(first[drawn == 0])) == 4, "no image twice before all have been drawn"
    batches.start_epoch(1)
    assert (batches.order != first).any()
    batches.start_epoch(0)
    assert (batches.order == first).all()


def test_class_weights_make_every_expression_weigh_the_same(dataset):
    split = uneven(dataset)
    batches = Batches(split, 5, seed=1, balance="weights")
    weights = np.concatenate([batches[i][2] for i in range(len(batches))])
    labels = split.labels[batches.order]
    assert [weights[labels == label].sum() for label in range(3)] == pytest.approx([4, 4, 4])
    assert class_weights(labels)[3:].tolist() == [0, 0, 0, 0]
    assert len(Batches(split, 5, seed=1)[0]) == 2, "no weights by default"


def test_mean_image_is_that_of_the_training_images(dataset, tmp_path):
    run = prepare(Recipe(network="shallow", pixels="mean_image"), dataset, tmp_path)
    (layer,) = [layer for layer in run.network.layers if isinstance(layer, MeanImage)]
    np.testing.assert_allclose(np.asarray(layer.mean), dataset.train.images.mean(axis=0), rtol=1e-5)


def test_options_train_together(dataset, tmp_path):
    plan = Recipe(**SMALL, epochs=1, balance="weights", optimizer="sgd", vertical_flip=True, shear=0.1, erase=0.5)
    fit(plan, dataset, tmp_path)
    assert np.isfinite(read_history(tmp_path)[0]["loss"])


def test_augmentation_changes_images_only_in_training():
    layer = Augment(erase=1.0, seed=3)
    images = np.tile(np.linspace(0, 255, 48, dtype=np.float32)[None, None, :, None], (16, 48, 1, 1))
    calm = np.asarray(layer(images, training=False))
    np.testing.assert_array_equal(calm, images)
    changed = np.asarray(layer(images, training=True))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert len({image.tobytes() for image in changed}) == 16, "each image differently"
    rising = (changed[:, 24, 40, 0] > changed[:, 24, 8, 0]).sum()
    assert 1 <= rising <= 15, "some are mirrored, some are not"


def test_augmentation_of_strength_zero_changes_nothing():
    layer = Augment(flip=False, rotation_deg=0, shift=0, scale=0, contrast=0, erase=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(images, training=True)), images, atol=1e-2)


def ramp():
    """Brightness rises from top to bottom."""
    return np.tile(np.linspace(0, 255, 48, dtype=np.float32)[None, :, None, None], (16, 1, 48, 1))


STILL = {"flip": False, "rotation_deg": 0, "shift": 0, "scale": 0, "contrast": 0}


def test_vertical_flip_turns_some_images_upside_down():
    changed = np.asarray(Augment(**STILL, vertical_flip=True)(ramp(), training=True))
    upside_down = [image[0, 0, 0] > image[-1, 0, 0] for image in changed]
    assert 1 <= sum(upside_down) <= 15
    np.testing.assert_allclose(changed[upside_down.index(True)], ramp()[0, ::-1], atol=1e-2)


def test_shear_slides_rows_and_moves_no_pixel_up_or_down():
    np.testing.assert_allclose(np.asarray(Augment(**STILL, shear=0.3)(ramp(), training=True)), ramp(), atol=1e-2)
    sideways = ramp().transpose(0, 2, 1, 3)
    changed = np.asarray(Augment(**STILL, shear=0.3)(sideways, training=True))
    slides = changed[:, 4, 24, 0] - changed[:, 44, 24, 0]
    assert slides.min() < -5, "some in one direction"
    assert slides.max() > 5, "some in the other"
    np.testing.assert_allclose((changed[:, 4, 24, 0] + changed[:, 43, 24, 0]) / 2, sideways[0, 0, 24, 0], atol=0.1)


def test_build_puts_the_augmentation_outside_the_network():
    network, trainer = build(Recipe(**SMALL))
    assert not any(isinstance(layer, Augment) for layer in network.layers)
    assert any(isinstance(layer, Augment) for layer in trainer.layers)


def test_command_line_trains_and_evaluates(tmp_path, capsys):
    data = write_folders(tmp_path / "data")
    (data / "train" / "sad" / "broken.jpg").write_bytes(b"no")
    run = tmp_path / "run"
    words = ["--data", str(data), "--epochs", "2", "--run", str(run), "--network", "tiny", "--batch-size", "16"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "42 images to train, 14 to validate, 14 to test" in out
    assert "skipped 1" in out
    assert "broken.jpg" in out
    figures = tmp_path / "figures.json"
    files = ["--model", str(run / "model.json"), "--weights", str(run / "model_weights.h5")]
    card = tmp_path / "CARD.md"
    markers = "<!-- figures: begin -->\n<!-- figures: end -->\n<!-- networks: begin -->\n<!-- networks: end -->\n"
    card.write_text(markers)
    results = ["--out", str(tmp_path / "results"), "--json", str(figures), "--card", str(card), "--in-place"]
    assert main(["evaluate", "--data", str(data), *files, "--end-to-end", "--faces", "0"]) == 2
    assert "--faces: expected 1 or more, found 0" in capsys.readouterr().err
    assert main(["evaluate", "--data", str(data), *files, "--faces", "9"]) == 2
    assert "expected --end-to-end with them" in capsys.readouterr().err
    assert main(["evaluate", "--data", str(data), *files, *results, "--end-to-end", "--faces", "9"]) == 0
    printed = capsys.readouterr().out
    assert "| PrivateTest clean |" in printed
    assert "| PrivateTest, flip averaged |" in printed
    document = json.loads(figures.read_text())
    assert document["sets"]["PrivateTest"]["n"] == 14
    assert document["network"]["epochs"] == 2
    by_haar = [(row["face_px"], row["faces"]) for row in document["end_to_end"] if row["detector"] == "haar"]
    assert by_haar == [(80, 9), (160, 9), (240, 9)]
    written = {path.name: path.stat().st_size for path in (tmp_path / "results").iterdir()}
    assert set(written) == {"evaluation.json", "evaluation.md", "confusion.png", "reliability.png"}
    assert min(written.values()) > 500
    assert figures.with_suffix(".png").stat().st_size > 500
    filled = card.read_text()
    assert "| PublicTest | 14 |" in filled
    assert "| haar | 160 px |" in filled
    document["sets"]["PrivateTest"]["confusion"] = (2 * np.eye(7, dtype=int)).tolist()  # all 14 right
    better = tmp_path / "better.json"
    better.write_text(json.dumps(document))
    check = ["--check", "--recorded", str(better), "--out", str(tmp_path / "results")]
    assert main(["evaluate", "--data", str(data), *files, *check]) == 2
    printed = capsys.readouterr()
    assert f"compared with {better}: PublicTest " in printed.out
    assert "worse than" in printed.err
    assert "; " not in printed.err, "the other sets are unchanged"
    assert main(["card", str(figures), "--details", "--card", str(card), "--in-place"]) == 0
    assert card.read_text() == filled, "the same figures from JSON"
    assert main(["card", str(figures), str(figures), "--card", str(card), "--in-place"]) == 0
    assert card.read_text().count("dropout 0.2/0.3, smoothing 0.05") == 2, "the recipe of both"
    assert card.read_text().count("| 2 | 2,503 |") == 2, "epochs and parameters of both"
    assert main(["card", str(figures), str(figures), "--details"]) == 2
    assert "expected the figures of one network, found 2 files" in capsys.readouterr().err


def test_training_from_a_csv_works(tmp_path):
    from tests.synthetic import picture

    rng = np.random.default_rng(0)
    rows = [
        (name, picture(name, rng), usage)
        for name in EXPRESSIONS
        for usage in ("Training", "PublicTest")
        for _ in (1, 2)
    ]
    data = load_dataset(write_csv(tmp_path / "fer.csv", rows))
    fit(Recipe(**SMALL, epochs=1), data, tmp_path / "run")
    assert (tmp_path / "run" / "best.weights.h5").is_file()


def test_recipe_fields_are_options_of_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all("--" + name.replace("_", "-") in text for name in ("epochs", "label_smoothing", "rotation_deg", "seed"))
    assert "--start" not in text, "only finetune has this option"
