import math
from dataclasses import replace

import numpy as np
import pytest

from mien.cnn.loader import import_keras
from tests.synthetic import write_folders
from training.data.dataset import load_dataset
from training.evaluate import plots
from training.fit.inspect_network import block_outputs, diagram, draw, first_filters, initial_loss, overfit
from training.networks import NETWORKS
from training.recipe import Recipe

keras = import_keras()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_folders(tmp_path_factory.mktemp("data"), train=4), side_px=32)


@pytest.fixture(scope="module")
def network():
    return NETWORKS["shallow"](32)


def pictures(drawing):
    return [axes for axes in drawing.axes if axes.images]


def test_class_counts_show_every_split(dataset):
    (axes,) = plots.class_counts(dataset).axes
    assert len(axes.patches) == 21
    assert axes.get_legend().get_texts()[0].get_text() == "Training: 28 images"
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(3), "shares of three splits"


def test_samples_are_limited_to_the_available_images(dataset):
    assert len(pictures(plots.samples(dataset.train, each=6))) == 28


def test_rows_may_differ_in_length():
    images = np.zeros((3, 8, 8, 1))
    assert len(pictures(plots.before_after(images, images[:2]))) == 5


def test_curves_of_runs_of_any_length_share_one_plot():
    row = {"loss": 1.5, "accuracy": 0.4, "val_loss": 1.7, "val_accuracy": 0.3}
    histories = {f"{n} epochs": [{**row, "epoch": epoch} for epoch in range(n)] for n in (2, 5)}
    loss, accuracy = plots.curves(histories).axes
    assert [len(line.get_xdata()) for line in loss.lines] == [2, 2, 5, 5]
    assert accuracy.lines[1].get_ydata()[0] == 0.3
    assert loss.lines[3].get_xdata()[-1] == 5


def test_the_most_confident_mistakes_come_first(dataset):
    probabilities = np.full((3, 7), 0.1)
    labels = np.array([1, 0, 0])
    probabilities[0, 0], probabilities[1, 0], probabilities[2, 4] = 0.5, 0.9, 0.8
    assert plots.surest(labels, probabilities, right=False).tolist() == [2, 0]
    assert plots.surest(labels, probabilities, right=True).tolist() == [1]
    images = dataset.train.take(np.arange(3))
    drawing = plots.mistakes(replace(images, labels=labels), probabilities, 7)
    assert [axes.get_title() for axes in pictures(drawing)] == [
        "angry, predicted\nneutral 80%",
        "disgust, predicted\nangry 50%",
    ]


def test_each_image_has_a_caption_and_there_may_be_none():
    drawing = plots.captioned(np.zeros((3, 8, 8, 1), np.uint8), ["one", "two", "three"], columns=2)
    assert len(drawing.axes) == 4
    assert [axes.get_title() for axes in pictures(drawing)] == ["one", "two", "three"]
    assert not pictures(plots.captioned(np.zeros((0, 8, 8, 1), np.uint8), []))


def test_a_confusion_matrix_labels_its_rows_and_columns():
    axes = plots.confusion(np.eye(7, dtype=int), rows="folder's label", columns="what most people see").axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("folder's label", "what most people see")


def test_feature_maps_and_filters_can_be_drawn(dataset, network):
    face = dataset.train.images[:1]
    blocks = block_outputs(network, face)
    assert {name: maps.shape for name, maps in blocks.items()} == {"block 1": (1, 16, 16, 32)}
    assert len(pictures(plots.feature_maps(face[0], blocks, count=4))) == 5
    kernels = first_filters(network)
    assert kernels.shape == (3, 3, 32)
    assert len(pictures(plots.filters(kernels))) == 32


def test_every_block_has_feature_maps():
    found = block_outputs(NETWORKS["elu"](32), np.zeros((2, 32, 32, 1)))
    assert [maps.shape for maps in found.values()] == [(2, s, s, c) for s, c in ((16, 32), (8, 64), (4, 128), (2, 256))]


@pytest.mark.parametrize("name", ["shallow", "hybrid_lbp"])
def test_the_diagram_names_layers_and_shapes(name):
    text = diagram(NETWORKS[name](32))
    assert "32x32x1" in text.splitlines()[0]
    assert text.splitlines()[-1].split()[:2] == ["expressions", "7"]


def test_with_graphviz_the_diagram_is_a_picture(network, tmp_path, monkeypatch):
    pytest.importorskip("pydot", reason="writes what Graphviz draws; in requirements-notebook.txt")
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "any.png").write_bytes(b"a picture")
    dot = programs / "dot"
    dot.write_text(f"#!/bin/sh\nfor last; do :; done\ncat $last > {tmp_path}/seen.dot\ncat {tmp_path}/any.png\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    path = draw(network, tmp_path / "pictures" / "network.png")
    assert path.read_bytes() == b"a picture"
    assert "Conv2D" in (tmp_path / "seen.dot").read_text()


def test_without_graphviz_there_is_no_picture_and_no_error(network, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw(network, tmp_path / "network.png") is None


def test_the_initial_loss_is_that_of_guessing(dataset, network):
    network.layers[-1].set_weights([np.zeros_like(w) for w in network.layers[-1].get_weights()])
    assert initial_loss(network, dataset.train) == pytest.approx(math.log(7))


def test_a_few_images_can_be_memorized(dataset):
    accuracies = overfit(Recipe(network="shallow", side_px=32), dataset.train, images=14, epochs=12)
    assert len(accuracies) == 12
    assert accuracies[-1] > 0.9
