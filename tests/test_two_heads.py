"""Two heads on one trunk: what they learn, what is exported, and what later commands read of both."""

import json
import shutil

import keras
import numpy as np
import pytest

from mien.cnn.loader import load_network
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.synthetic import write_folders
from tests.test_votes import voted
from tests.votes_table import agreed, votes_for_folders, write_votes
from training.__main__ import main
from training.data.dataset import load_dataset
from training.data.votes import with_votes
from training.evaluate.calibration import adjusted
from training.evaluate.report import Report
from training.export import export, read_heads, read_origin
from training.fit.fitting import build, prepare
from training.fit.two_heads import (
    MajorityAccuracy,
    TwoLosses,
    base_rates,
    folder_accuracy,
    folders_head,
    share_error,
    targets_of,
    two_headed,
)
from training.heads import Head, HeadFacts, head_of, predict_heads, read_other_head, write_other_head
from training.recipe import Recipe, RunError, recipe_from
from training.run_folder import read_history

SEEN = {"happiness": 8, "neutral": 2}
HAPPY, NEUTRAL, FEAR = (EXPRESSIONS.index(name) for name in ("happy", "neutral", "fear"))


def answers(people, folders):
    """(1, 2, 7): both heads give these labels a probability of 0.94."""
    return 0.01 + 0.93 * np.eye(7, dtype=np.float32)[[[people, folders]]]


def test_heads_learn_shares_label_and_the_clear_majority():
    split = voted(SEEN, {"contempt": 9}, {"happiness": 5, "neutral": 5}, labels=[FEAR, FEAR, FEAR])
    targets = targets_of(split)
    assert targets.shape == (3, 3, 7)
    assert targets[0, 0, [HAPPY, NEUTRAL]].tolist() == pytest.approx([0.8, 0.2])
    assert targets[:, 1].argmax(axis=1).tolist() == [FEAR] * 3
    assert targets[0, 2].tolist() == np.eye(7)[HAPPY].tolist()
    assert targets[1, 2].tolist() == pytest.approx([1 / 7] * 7), "contempt counts, and every prediction is wrong"
    assert targets[2, 2].tolist() == [0] * 7, "no majority, no count"


@pytest.mark.parametrize(
    ("people", "folders", "expected"),
    [
        (1.0, 0.0, -0.8 * np.log(0.94) - 0.2 * np.log(0.01)),
        (0.0, 1.0, -np.log(0.94)),
        (2.0, 0.5, 2 * (-0.8 * np.log(0.94) - 0.2 * np.log(0.01)) - 0.5 * np.log(0.94)),
    ],
)
def test_the_loss_is_the_weighted_sum_of_both(people, folders, expected):
    recipe = Recipe(votes="v.csv", people_weight=people, folder_weight=folders, label_smoothing=0)
    predicted = answers(HAPPY, FEAR) / 1.0
    predicted /= predicted.sum(axis=-1, keepdims=True)
    found = float(TwoLosses(recipe)(targets_of(voted(SEEN, labels=[FEAR])), predicted))
    scale = people + folders
    assert found == pytest.approx(expected, abs=1e-2 * scale)


def test_labels_are_smoothed_and_votes_are_not():
    targets, predicted = targets_of(voted({"happiness": 10}, labels=[HAPPY])), answers(HAPPY, HAPPY)
    losses = {
        (people, smoothing): float(
            TwoLosses(Recipe(votes="v", people_weight=people, folder_weight=1 - people, label_smoothing=smoothing))(
                targets, predicted
            )
        )
        for people in (0.0, 1.0)
        for smoothing in (0.0, 0.1)
    }
    assert losses[1.0, 0.1] == losses[1.0, 0.0]
    assert losses[0.0, 0.1] > losses[0.0, 0.0]


def test_the_accuracy_that_selects_is_the_one_of_the_published_protocol():
    split = voted(SEEN, SEEN, {"contempt": 9}, {"happiness": 5, "neutral": 5}, labels=[FEAR] * 4)
    predicted = np.concatenate([answers(label, FEAR) for label in (HAPPY, NEUTRAL, HAPPY, HAPPY)])
    metric = MajorityAccuracy()
    metric.update_state(targets_of(split), predicted)
    assert float(metric.result()) == pytest.approx(1 / 3)
    assert np.asarray(folder_accuracy(targets_of(split), predicted)).tolist() == [1, 1, 1, 1]
    expected = np.abs(targets_of(split)[:, 0] - predicted[:, 0]).mean(axis=1)
    np.testing.assert_allclose(np.asarray(share_error(targets_of(split), predicted)), expected, atol=1e-6)
    assert float(MajorityAccuracy().result()) == 0


def shallow(seed=0):
    return build(Recipe(network="shallow", side_px=32, seed=seed))[0]


def some_head(seed=0):
    rng = np.random.default_rng(seed)
    units = head_of(shallow()).kernel.shape[0]
    return Head(rng.normal(0, 1e-3, (units, 7)).astype(np.float32), rng.normal(0, 1, 7).astype(np.float32))


def test_both_heads_share_the_same_trunk():
    network, folders = shallow(), some_head()
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1)).astype(np.float32)
    both = np.asarray(two_headed(network, folders)(images))
    apart = predict_heads(network, {"people": head_of(network), "folders": folders}, images)
    np.testing.assert_allclose(both[:, 0], network(images), atol=1e-6)
    np.testing.assert_allclose(both[:, 0], apart["people"], atol=1e-5)
    np.testing.assert_allclose(both[:, 1], apart["folders"], atol=1e-5)


def test_a_new_network_with_votes_has_two_heads_with_equal_weights():
    network, trainer = build(Recipe(network="shallow", side_px=32, votes="v.csv"))
    assert trainer.output_shape == (None, 2, 7)
    assert np.array_equal(folders_head(trainer).kernel, head_of(network).kernel)


def test_the_other_head_survives_saving_and_loading(tmp_path):
    assert read_other_head(tmp_path) is None
    head = some_head()
    write_other_head(tmp_path, "folders", head)
    name, found = read_other_head(tmp_path)
    assert name == "folders"
    assert np.array_equal(found.kernel, head.kernel)
    assert np.array_equal(found.bias, head.bias)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("a head"),
        lambda path: np.savez(path, head="people"),
        lambda path: np.savez(path, head="nobody", kernel=np.zeros((3, 7)), bias=np.zeros(7)),
        lambda path: np.savez(path, head="people", kernel=np.zeros((3, 6)), bias=np.zeros(7)),
    ],
)
def test_an_invalid_file_of_the_other_head_is_refused(write, tmp_path):
    write(tmp_path / "other_head.npz")
    with pytest.raises(RunError, match="expected"):
        read_other_head(tmp_path)


@pytest.fixture
def start(tmp_path):
    return export(shallow(), tmp_path / "start")


def finetune(tmp_path, files, *more, votes=None):
    data = tmp_path / "data"
    if not data.exists():
        write_folders(data, train=6)
        votes_for_folders(tmp_path / "votes.csv")
    words = ["finetune", "--data", str(data), "--votes", str(votes or tmp_path / "votes.csv")]
    words += ["--model", str(files[0]), "--weights", str(files[1]), "--run", str(tmp_path / "run")]
    return main([*words, "--batch-size", "14", *more])


def recipe_from_file(run_folder):
    return recipe_from(json.loads((run_folder / "recipe.json").read_text()))


def files_in(folder):
    return folder / "model.json", folder / "model_weights.h5"


@pytest.mark.parametrize(
    "more", [[], ["--pool-first", "--precision", "mixed_bfloat16"], ["--ema", "0.5", "--mixup", "0.2", "--freeze"]]
)
def test_finetune_with_votes_exports_one_head_and_keeps_the_other(more, start, tmp_path, capsys):
    assert finetune(tmp_path, start, "--epochs", "1", *more) == 0
    assert finetune(tmp_path, start, "--epochs", "2", *more) == 0, "it resumes"
    printed = capsys.readouterr().out
    assert "Training: votes for 42 of 42 images, 0 of them ambiguous" in printed
    assert "with the head of people" in printed
    history = read_history(tmp_path / "run")
    assert [row["epoch"] for row in history] == [0, 1]
    assert {"val_accuracy", "val_folder_accuracy", "val_share_error"} <= set(history[0])
    files = files_in(tmp_path / "run")
    network = load_network(*files)
    about, heads = read_heads(network, files[0])
    assert about.head == "people"
    assert sum(about.base_rates) == pytest.approx(1)
    assert not np.array_equal(heads["people"].kernel, heads["folders"].kernel), "they learned different things"
    images = load_dataset(tmp_path / "data", side_px=32).validation.images
    predicted = FacialExpressionModel(*files, runtime="keras").predict(images)
    np.testing.assert_allclose(predicted, predict_heads(network, heads, images)["people"], atol=1e-3)
    assert read_origin(files[0])[0].votes == "votes.csv"


def test_the_head_of_the_folders_can_be_exported_instead(start, tmp_path):
    assert finetune(tmp_path, start, "--epochs", "1") == 0
    assert finetune(tmp_path, start, "--epochs", "1", "--head", "folders", "--export", str(tmp_path / "out")) == 0
    people, folders = (
        read_heads(load_network(*files_in(tmp_path / name)), tmp_path / name / "model.json") for name in ("run", "out")
    )
    assert (people[0].head, folders[0].head) == ("people", "folders")
    for name in ("people", "folders"):
        np.testing.assert_allclose(people[1][name].kernel, folders[1][name].kernel, atol=1e-6)


def test_a_later_run_resumes_with_both_heads(start, tmp_path):
    assert finetune(tmp_path, start, "--epochs", "1") == 0
    files = files_in(tmp_path / "run")
    _, before = read_heads(load_network(*files), files[0])
    frozen = ["--learning-rate", "1e-12", "--warmup-epochs", "0", "--weight-decay", "0", "--epochs", "1"]
    assert finetune(tmp_path, files, *frozen, "--run", str(tmp_path / "next")) == 0
    _, after = read_heads(load_network(*files_in(tmp_path / "next")), tmp_path / "next" / "model.json")
    for name in ("people", "folders"):
        np.testing.assert_allclose(after[name].kernel, before[name].kernel, atol=1e-6)


def test_each_head_is_distilled_from_its_own_predictions(start, tmp_path):
    data, votes = write_folders(tmp_path / "data"), votes_for_folders(tmp_path / "votes.csv")
    dataset, _ = with_votes(load_dataset(data, side_px=32), votes)
    network, folders = load_network(*start), some_head()
    recipe = Recipe(network="shallow", side_px=32, votes="votes.csv", start="x", self_distil=1.0, epochs=1)
    run = prepare(recipe, dataset, tmp_path / "run", start=network, folders=folders)
    predicted = predict_heads(network, {"people": head_of(network), "folders": folders}, dataset.train.images)
    mirrored = predict_heads(
        network,
        {"people": head_of(network), "folders": folders},
        np.ascontiguousarray(dataset.train.images[:, :, ::-1]),
    )
    targets = run.arguments["x"].targets
    for row, name in enumerate(("people", "folders")):
        np.testing.assert_allclose(targets[:, row], (predicted[name] + mirrored[name]) / 2, atol=1e-5)
    assert np.array_equal(targets[:, 2], targets_of(dataset.train)[:, 2]), "validation keeps the votes"


def test_teachers_that_learned_votes_teach_the_head_of_people(start, tmp_path, capsys):
    data, votes = write_folders(tmp_path / "data", train=6), votes_for_folders(tmp_path / "votes.csv")
    shared = ["--data", str(data), "--votes", str(votes), "--batch-size", "14", "--epochs", "2"]
    kind = ["--network", "shallow", "--side-px", "32", "--conv-dropout", "0"]
    assert main(["teach", *shared, *kind, "--folds", "2", "--run", str(tmp_path / "teacher")]) == 0
    assert "of the training images with a clear majority labeled correctly" in capsys.readouterr().out
    assert recipe_from_file(tmp_path / "teacher" / "fold0").votes == "votes.csv"
    taught = ["--teachers", str(tmp_path / "teacher"), "--distil-weight", "0.75", "--epochs", "2"]
    assert finetune(tmp_path, start, *taught) == 0
    recipe = recipe_from_file(tmp_path / "run")
    assert (recipe.votes, recipe.distil_weight, bool(recipe.teachers)) == ("votes.csv", 0.75, True)
    assert finetune(tmp_path, start, "--epochs", "2", "--run", str(tmp_path / "alone")) == 0
    with_teachers, alone = (
        read_heads(load_network(*files_in(tmp_path / name)), tmp_path / name / "model.json")[1]
        for name in ("run", "alone")
    )
    assert not np.allclose(with_teachers["people"].kernel, alone["people"].kernel, atol=1e-4)


def test_teachers_take_the_place_of_a_share_of_the_votes():
    recipe = Recipe(votes="v.csv", people_weight=2, folder_weight=0, distil_weight=0.75)
    target = np.eye(7, dtype=np.float32)[[[HAPPY, HAPPY, HAPPY]]]
    alone, distilled = (float(TwoLosses(recipe, distilled=each)(target, answers(FEAR, FEAR))) for each in (False, True))
    assert alone == pytest.approx(-2 * np.log(0.01), rel=1e-3)
    assert distilled == pytest.approx(alone / 4, rel=1e-3)


def test_ambiguous_images_can_be_excluded(start, tmp_path, capsys):
    assert finetune(tmp_path, start, "--epochs", "1") == 0
    capsys.readouterr()
    rows = [("Training", name, f"Training_{i}.png", agreed(name)) for name in EXPRESSIONS for i in range(5)]
    rows += [("PublicTest", name, f"PublicTest_{i}.png", agreed(name)) for name in EXPRESSIONS for i in range(2)]
    few = write_votes(tmp_path / "few.csv", rows)
    run = ["--run", str(tmp_path / "without"), "--epochs", "1", "--drop-ambiguous"]
    assert finetune(tmp_path, start, *run, votes=few) == 0
    assert "left out 7 ambiguous images of 42 to train" in capsys.readouterr().out


def test_other_votes_are_other_data(start, tmp_path, capsys):
    assert finetune(tmp_path, start, "--epochs", "1") == 0
    (tmp_path / "more").mkdir()
    other = votes_for_folders(tmp_path / "more" / "votes.csv", train=5)
    assert finetune(tmp_path, start, "--epochs", "2", votes=other) == 2
    assert "holds a run with other images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--people-weight", "0", "--folder-weight", "0"], "people_weight, folder_weight: expected one above 0"),
        (["--people-weight", "-1"], "--people-weight: expected 0 or more"),
        (["--votes", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_mistakes_are_reported_in_one_line(more, message, start, tmp_path, capsys):
    assert finetune(tmp_path, start, "--epochs", "1", *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def once_fitted(tmp_path_factory):
    """A folder with data, votes and a run whose heads have learned something."""
    folder = tmp_path_factory.mktemp("fitted")
    start = export(shallow(), folder / "start")
    assert finetune(folder, start, "--epochs", "2", "--learning-rate", "0.01", "--warmup-epochs", "0") == 0
    return folder


@pytest.fixture
def fitted(once_fitted, tmp_path):
    """The files of that network, in a folder in which they may be overwritten, beside its data and votes."""
    for name in ("data", "votes.csv", "start"):
        (tmp_path / name).symlink_to(once_fitted / name)
    (tmp_path / "run").mkdir()
    for name in ("model.json", "model_weights.h5", "other_head.npz"):
        shutil.copy(once_fitted / "run" / name, tmp_path / "run" / name)
    return files_in(tmp_path / "run")


def words(tmp_path, command, files, *more):
    data = ["--data", str(tmp_path / "data"), "--votes", str(tmp_path / "votes.csv")]
    return [command, *data, "--model", str(files[0]), "--weights", str(files[1]), *more]


def test_calibrate_folds_temperature_and_tau_and_can_be_repeated(fitted, tmp_path, capsys):
    out = tmp_path / "calibrated"
    assert main(words(tmp_path, "calibrate", fitted, "--export", str(out), "--tau", "0.5")) == 0
    printed = capsys.readouterr().out
    assert "head of people:" in printed
    assert "head of folders:" in printed
    assert "tau 0.5: " in printed
    stored = json.loads((out / "model.json").read_text())
    assert stored["tau"] == 0.5
    assert set(stored["shares"]) == set(EXPRESSIONS)
    about, heads = read_heads(load_network(*files_in(out)), out / "model.json")
    images = load_dataset(tmp_path / "data", side_px=32).validation.images
    people = predict_heads(load_network(*files_in(out)), heads, images)["people"]
    expected = adjusted(people, np.array(about.base_rates), 0.5)
    np.testing.assert_allclose(
        FacialExpressionModel(*files_in(out), runtime="keras").predict(images), expected, atol=1e-4
    )
    again = tmp_path / "again"
    assert main(words(tmp_path, "calibrate", files_in(out), "--export", str(again), "--tau", "0.5")) == 0
    twice = read_heads(load_network(*files_in(again)), again / "model.json")[1]["people"]
    further = json.loads((again / "model.json").read_text())["temperature"] / stored["temperature"]
    np.testing.assert_allclose(twice.kernel * further, heads["people"].kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(twice.bias * further, heads["people"].bias, rtol=1e-3, atol=1e-4)


def test_calibrate_overwrites_only_in_place(fitted, tmp_path, capsys):
    assert main(words(tmp_path, "calibrate", fitted)) == 2
    assert "--export" in capsys.readouterr().err
    assert "tau" in json.loads(fitted[0].read_text())
    before = fitted[1].read_bytes()
    assert main(words(tmp_path, "calibrate", fitted, "--in-place", "--tau", "1")) == 0
    assert json.loads(fitted[0].read_text())["tau"] == 1
    assert fitted[1].read_bytes() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words: [*words, "--tau", "2"], "--tau: expected 0 to 1, found 2"),
        (
            lambda words: [word for word in words if "votes" not in word],
            "expected --votes, as its last layer is the head of people",
        ),
    ],
)
def test_missing_requirements_of_calibrate_are_named(change, message, fitted, tmp_path, capsys):
    assert main(change(words(tmp_path, "calibrate", fitted, "--export", str(tmp_path / "out")))) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--tau", "0.5"], []])
def test_calibrate_of_a_network_with_one_head_takes_no_votes(more, fitted, tmp_path, capsys):
    start = files_in(tmp_path / "start")
    assert main(words(tmp_path, "calibrate", start, "--export", str(tmp_path / "out"), *more)) == 2
    assert f"found {start[0]}" in capsys.readouterr().err


def test_evaluate_compares_the_network_and_both_heads_with_the_votes(fitted, tmp_path, capsys):
    assert main(words(tmp_path, "calibrate", fitted, "--in-place")) == 0
    capsys.readouterr()
    assert main(words(tmp_path, "evaluate", fitted, "--out", str(tmp_path / "figures"))) == 0
    printed = capsys.readouterr().out
    for head in ("as shipped", "people's head, tau 0", "folder head"):
        assert f"| {head} | PrivateTest | 14 |" in printed
        assert f"Folder labels, {head}:" in printed
    report = Report.read_json(tmp_path / "figures" / "evaluation.json")
    assert report.as_markdown() in printed
    assert "Of the 14 images of PrivateTest about which most people agree, the network as shipped names" in printed
    assert "Unsure faces, PublicTest." in printed
    assert "What the page says of a face, PrivateTest," in printed
    assert [head.name for head in report.heads] == ["as shipped", "people's head, tau 0", "folder head"]
    assert not report.heads[0].labels
    assert set(report.heads[2].labels) >= {"PublicTest", "PrivateTest"}


def test_evaluate_with_votes_has_one_row_per_set_for_a_network_with_one_head(fitted, tmp_path, capsys):
    start = files_in(tmp_path / "start")
    assert main(words(tmp_path, "evaluate", start, "--out", str(tmp_path / "figures"))) == 0
    printed = capsys.readouterr().out
    assert "| as shipped | PublicTest | 14 |" in printed
    assert "folder head" not in printed
    assert "Unsure faces" not in printed, "it says nothing about people"


def test_base_rates_are_the_mean_shares_and_never_zero():
    split = voted(SEEN, {"happiness": 10}, labels=[FEAR, FEAR])
    rates = base_rates(split, "people")
    assert rates[HAPPY] == pytest.approx(0.9)
    assert base_rates(split, "folders")[FEAR] == 1
    assert min(rates) == pytest.approx(1e-6)


@pytest.mark.parametrize("fields", [("nobody", (1 / 7,) * 7), ("people", (0.5, 0.5)), ("people", (0.0, *(1 / 6,) * 6))])
def test_invalid_facts_are_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        HeadFacts(*fields)


def test_a_trunk_without_a_softmax_at_its_end_is_refused():
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(7)])
    with pytest.raises(RunError, match="expected a dense layer with softmax"):
        two_headed(network, Head(np.zeros((4, 7)), np.zeros(7)))
