import dataclasses

import keras
import numpy as np
import pytest

from tests.synthetic import write_folders
from tests.test_training import SMALL, KillAt, Killed, tiny_network
from tests.tiny_networks import register
from training.__main__ import main
from training.data.batches import Batches
from training.data.dataset import load_dataset
from training.fit.distillation import Distill, Teachers
from training.fit.fitting import fit, prepare
from training.fit.teach import read_teachers, teach
from training.networks import TEACHERS
from training.recipe import Recipe, RunError
from training.run_folder import read_history

TAUGHT = {"distil_temperature": 2.0, "mixup": 0.3, "ema": 0.5}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    register(monkeypatch, tiny_network)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folders(tmp_path_factory.mktemp("data"), train=8)


@pytest.fixture(scope="module")
def dataset(data):
    return load_dataset(data)


@pytest.fixture(scope="module")
def teacher_folder(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    with pytest.MonkeyPatch.context() as patch:
        register(patch, tiny_network)
        share = teach(Recipe(**SMALL, epochs=8), dataset, folder, 2, report=str)
    assert share > 0.4, "chance is 0.14"
    return folder


@pytest.mark.parametrize(("name", "convolutions", "parameters"), [("resnet18", 20, 11.17e6), ("vgg10", 8, 7.05e6)])
def test_teachers_have_the_layers_and_parameters_of_their_papers(name, convolutions, parameters):
    network = TEACHERS[name]()
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(found) == convolutions
    assert network.count_params() == pytest.approx(parameters, rel=0.01)
    assert TEACHERS[name].__doc__.count("20"), "its docstring cites a source"
    outputs = keras.ops.convert_to_numpy(network(np.zeros((2, 48, 48, 1), np.uint8), training=False))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_every_batch_comes_from_one_fold_and_folds_alternate(dataset):
    folds = np.arange(len(dataset.train)) % 3  # 19, 19 and 18 images
    batches = Batches(dataset.train, 9, seed=1, folds=folds)
    found = [batches[i][0]["fold"] for i in range(len(batches))]
    assert sorted(map(tuple, found)) == [(fold,) * 9 for fold in (0, 0, 1, 1, 2, 2)]
    assert all((folds[batches.order.reshape(-1, 9)] == np.array(found)).ravel())
    seen = set(batches.order)
    assert len(seen) == 54, "no duplicates"
    for epoch in range(1, 20):
        batches.start_epoch(epoch)
        seen |= set(batches.order)
    assert len(seen) == 56


def always(*logits):
    """A network with the same output for every image."""
    layers = keras.layers
    network = keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")])
    network.layers[-1].set_weights([np.zeros((16, 7)), np.array(logits)])
    return network


def test_the_loss_is_the_divergence_from_the_teachers_of_the_fold():
    one, other = (1.0, 0, 0, 0, 0, 0, 0), (0.0, 2, 0, 0, 0, 0, 0)
    ensembles = (always(*one), always(*one)), (always(*one), always(*other))
    layer = Distill(Teachers(ensembles, np.zeros(1), ""), 0.9, 2.0)
    student = np.full((3, 7), 1 / 7, np.float32)
    view = np.zeros((3, 4, 4, 1), np.float32)

    def softmax(logits):
        return np.exp(logits) / np.exp(logits).sum()

    for fold, taught in ((0, softmax(np.array(one))), (1, (softmax(np.array(one)) + softmax(np.array(other))) / 2)):
        for answers in (student, np.stack([student, 7 - student], axis=1)):
            answer = layer((answers, view, np.full(3, fold, np.int32)), training=True)
            np.testing.assert_array_equal(np.asarray(answer), answers)
            soft = softmax(np.log(taught) / 2)
            assert float(layer.losses[0]) == pytest.approx(0.9 * 4 * (soft * np.log(soft * 7)).sum(), rel=1e-4)
    layer((student, view, np.zeros(3, np.int32)), training=False)
    assert not layer.losses


def test_teachers_label_only_images_they_were_not_trained_on_and_stay_frozen(dataset, teacher_folder, tmp_path):
    teachers = read_teachers([teacher_folder, teacher_folder], dataset.train)
    assert [len(judges) for judges in teachers.networks] == [2, 2]
    digests = np.array(dataset.train.hashes())
    assert not set(digests[teachers.fold == 0]) & set(digests[teachers.fold == 1])
    plan = Recipe(**SMALL, **TAUGHT, epochs=1, teachers=teachers.digest)
    run = prepare(plan, dataset, tmp_path, teachers=teachers)
    (layer,) = [layer for layer in run.trainer.layers if isinstance(layer, Distill)]
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in layer.weights]
    assert len(before) >= 2 * len(run.network.weights)
    assert {weight.shape[0] for weight in before} == {2}, "of both folds"
    run.trainer.fit(**run.arguments, verbose=0)
    for one, other in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))
    alone = prepare(Recipe(**SMALL, **TAUGHT, epochs=1), dataset, tmp_path / "alone")
    alone.trainer.save_weights(alone.best_file)
    assert run.best_file.stat().st_size < 1.1 * alone.best_file.stat().st_size, (
        "checkpoints do not contain the teachers"
    )


def test_a_student_learns_and_resumes_as_if_never_interrupted(dataset, teacher_folder, tmp_path):
    teachers = read_teachers([teacher_folder], dataset.train)
    plan = Recipe(**SMALL, **TAUGHT, epochs=4, distil_weight=1.0, teachers=teachers.digest)
    unbroken = fit(plan, dataset, tmp_path / "unbroken", teachers=teachers)
    with pytest.raises(Killed):
        fit(plan, dataset, tmp_path / "broken", teachers=teachers, callbacks=(KillAt(1, 1),))
    resumed = fit(plan, dataset, tmp_path / "broken", teachers=teachers, report=str)
    for one, other in zip(unbroken.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    history = read_history(tmp_path / "unbroken")
    assert max(row["val_accuracy"] for row in history) > 0.25, "from the teachers' predictions only; chance is 0.14"
    with pytest.raises(RunError, match="teachers"):
        fit(dataclasses.replace(plan, teachers="others"), dataset, tmp_path / "broken", teachers=teachers)
    with pytest.raises(RunError, match="batch_size: expected at most 28 images in the smallest fold"):
        prepare(dataclasses.replace(plan, batch_size=29), dataset, tmp_path / "new", teachers=teachers)


def test_teachers_compute_in_bfloat16_where_the_student_does(dataset, teacher_folder):
    plain, quick = (read_teachers([teacher_folder], dataset.train, p) for p in ("float32", "mixed_bfloat16"))
    assert plain.digest == quick.digest
    (one,), (other,) = plain.networks[1], quick.networks[1]
    assert "bfloat16" in {layer.compute_dtype for layer in other.layers}
    assert other.layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in other.weights} == {"float32"}
    answers = [keras.ops.convert_to_numpy(network(dataset.validation.images)) for network in (one, other)]
    np.testing.assert_allclose(*answers, atol=0.05)
    assert (answers[0] != answers[1]).any()


def test_unsuitable_teachers_are_refused(dataset, teacher_folder, tmp_path):
    with pytest.raises(RunError, match="expected a teacher trained by teach"):
        read_teachers([tmp_path], dataset.train)
    with pytest.raises(RunError, match="expected a teacher of these images"):
        read_teachers([teacher_folder], dataset.train.take(np.arange(40)))
    with pytest.raises(RunError, match=r"'folds': 2.*'folds': 3"):
        teach(Recipe(**SMALL, epochs=1), dataset, teacher_folder, 3)
    (tmp_path / "teacher.json").write_bytes((teacher_folder / "teacher.json").read_bytes())
    with pytest.raises(RunError, match="expected 2 finished folds, found fold 1 missing"):
        read_teachers([tmp_path], dataset.train)


def test_the_commands(data, teacher_folder, tmp_path, capsys):
    words = ["--data", str(data), *(["--network", "tiny", "--batch-size", "16", "--learning-rate", "0.01"])]
    words += ["--rotation-deg", "2", "--shift", "0.01"]
    assert main(["teach", *words, "--epochs", "8", "--folds", "2", "--run", str(teacher_folder)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("has finished its 8 epochs") == 2
    assert "labeled correctly by the network that has not seen them" in printed
    taught = ["--teachers", str(teacher_folder), "--run", str(tmp_path / "student"), "--distil-weight", "0.5"]
    assert main(["train", *words, *taught, "--epochs", "1"]) == 0
    assert '"distil_weight": 0.5' in (tmp_path / "student" / "recipe.json").read_text()
    assert (tmp_path / "student" / "model_weights.h5").is_file()
    assert main(["train", *words, "--teachers", str(tmp_path), "--run", str(tmp_path / "other")]) == 2
    assert "expected a teacher" in capsys.readouterr().err
