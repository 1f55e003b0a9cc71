"""FacialExpressionModel: seven probabilities in one order for any network, or a clear error."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_networks as tiny

from mien.cnn.frozen import freeze
from mien.cnn.layers import LocalBinaryPatterns, MeanImage, Standardize
from mien.cnn.loader import import_keras
from mien.errors import ModelError
from mien.types import EXPRESSIONS
from model import FacialExpressionModel
from tests.patience import PATIENCE_S, scaled

keras = import_keras()
ROOT = Path(__file__).parent.parent
SIZE = (tiny.SIZE_PX, tiny.SIZE_PX)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FacialExpressionModel:
    files = tiny.write_keras_3(tiny.sequential(keras), tmp_path_factory.mktemp("model"))
    return FacialExpressionModel(*files)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., FacialExpressionModel]:
    def load(network: Any, **options: Any) -> FacialExpressionModel:
        return FacialExpressionModel(*tiny.write_keras_3(network, tmp_path), **options)

    return load


def constant_network(*probabilities: float) -> Any:
    """A network with the same probabilities for every input."""
    dense = keras.layers.Dense(7, activation="softmax", kernel_initializer="zeros")
    network = keras.Sequential([keras.layers.InputLayer((4, 4, 1)), keras.layers.Flatten(), dense])
    dense.bias.assign(np.log(probabilities))
    return network


def test_emotions_list_has_the_names_of_expressions() -> None:
    assert FacialExpressionModel.EMOTIONS_LIST == ["Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
    assert [name.lower() for name in FacialExpressionModel.EMOTIONS_LIST] == list(EXPRESSIONS)


def test_the_input_size_is_that_of_the_network(model: FacialExpressionModel) -> None:
    assert model.input_size_px == SIZE


def test_predict_returns_the_probabilities_of_the_network(model: FacialExpressionModel) -> None:
    faces = tiny.faces(5)
    probabilities = model.predict(faces)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    expected = model.network(faces[..., np.newaxis].astype(np.float32), training=False)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert np.ptp(probabilities, axis=0).max() > 0.001, "the faces should not all look the same to the network"


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channel", [(), (1,)])
def test_types_and_shapes_of_faces(model: FacialExpressionModel, dtype: Any, channel: tuple[int, ...]) -> None:
    faces = tiny.faces(3)
    given = faces.astype(dtype).reshape(*faces.shape, *channel)
    np.testing.assert_array_equal(model.predict(given), model.predict(faces))


@pytest.mark.parametrize("none", [np.empty((0, *SIZE), np.uint8), np.empty((0, *SIZE, 1)), []])
def test_no_faces(model: FacialExpressionModel, none: Any) -> None:
    probabilities = model.predict(none)
    assert probabilities.shape == (0, 7)
    assert probabilities.dtype == np.float32


def test_many_faces_go_in_bounded_batches(model: FacialExpressionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, forward = [], model._forward
    monkeypatch.setattr(model, "_forward", lambda batch: lengths.append(len(batch)) or forward(batch))
    faces = tiny.faces(70)
    together = model.predict(faces)
    assert lengths == [32, 32, 6]
    alone = np.concatenate([model.predict(face[np.newaxis]) for face in faces])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow's call is compiled")
def test_one_compilation_serves_all_numbers_of_faces(
    load: Callable[..., FacialExpressionModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    traced, call = [], keras.Sequential.call
    monkeypatch.setattr(keras.Sequential, "call", lambda *args, **options: traced.append(1) or call(*args, **options))
    model = load(tiny.sequential(keras))
    traced.clear()
    model.warm_up()
    assert len(traced) <= 1
    for count in (1, 2, 5, 40):
        model.predict(tiny.faces(count))
    assert len(traced) <= 1


def own_layers(keras: Any) -> Any:
    """A network of this project's own layers."""
    layers = keras.layers
    image = layers.Input((SIZE[0], SIZE[1], 1))
    joined = [
        layers.Flatten()(Standardize()(image)),
        layers.Flatten()(MeanImage()(image)),
        LocalBinaryPatterns(3)(image),
    ]
    outputs = layers.Dense(7, activation="softmax")(layers.Concatenate()(joined))
    return tiny.scatter_weights(keras.Model(image, outputs))


@pytest.mark.parametrize("freezes", [True, False])
@pytest.mark.parametrize("build", [tiny.sequential, tiny.residual, tiny.classic_network, own_layers])
def test_the_fast_call_matches_the_network(
    load: Callable[..., FacialExpressionModel], monkeypatch: pytest.MonkeyPatch, build: Any, freezes: bool
) -> None:
    """Also if the graph cannot be frozen; then the call is slower."""
    tried = []

    def perhaps(function: Any, shape: Any) -> Any:
        tried.append(function)
        if not freezes:
            raise ValueError("no constant can stand for this")
        return freeze(function, shape)

    monkeypatch.setattr("mien.cnn.frozen.freeze", perhaps)
    model = load(build(keras))
    assert len(tried) == (keras.backend.backend() == "tensorflow")
    for count in (1, 3):
        faces = tiny.faces(count, model.input_size_px[0])
        expected = model.network(faces[..., np.newaxis].astype(np.float32), training=False)
        np.testing.assert_allclose(model.predict(faces), expected, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow's call is frozen")
def test_a_frozen_call_reads_no_variables() -> None:
    network = tiny.sequential(keras)
    frozen = freeze(network, network.input_shape)
    assert not frozen.variables
    assert not [node for node in frozen.graph.as_graph_def().node if node.op == "ReadVariableOp"]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 48, 48), np.uint8),
        np.zeros((2, *SIZE, 3), np.uint8),
        np.zeros(SIZE, np.uint8),
        np.zeros((0, 48, 48), np.uint8),
        np.zeros((1, 1, *SIZE, 1), np.uint8),
        np.zeros((), np.uint8),
    ],
)
def test_wrong_shapes(model: FacialExpressionModel, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected gray faces of shape \(n, 12, 12\).*found \(") as caught:
        model.predict(wrong)
    assert str(wrong.shape) in str(caught.value)


@pytest.mark.parametrize("dtype", [bool, complex, object, "U1"])
def test_wrong_types(model: FacialExpressionModel, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"expected faces of uint8 or float 0\.\.255, found"):
        model.predict(np.zeros((1, *SIZE), dtype))


@pytest.mark.parametrize("shape", [SIZE, (*SIZE, 1), (1, *SIZE, 1), (1, *SIZE)])
def test_predict_emotion(load: Callable[..., FacialExpressionModel], model: Any, shape: tuple[int, ...]) -> None:
    face = tiny.faces(1).reshape(shape)
    expected = EXPRESSIONS[int(model.predict(tiny.faces(1)).argmax())]
    assert model.predict_emotion(face) == model.predict_emotion(face.astype(np.float32)) == expected.capitalize()


def test_predict_emotion_warns_of_pixels_divided_by_255(model: FacialExpressionModel) -> None:
    face = np.full(model.input_size_px, 200, np.float32)
    with pytest.warns(UserWarning, match="expected gray values 0..255, found none above 0.78"):
        model.predict_emotion(face / 255)
    model.predict_emotion(np.zeros_like(face))  # black is black on either scale


@pytest.mark.parametrize("shape", [(2, *SIZE), (*SIZE, 3), (48, 48), (0, *SIZE), (12,)])
def test_predict_emotion_of_wrong_shapes(model: FacialExpressionModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected one gray face of shape \(12, 12\).*found"):
        model.predict_emotion(np.zeros(shape, np.uint8))


KAGGLE = ("anger", "Disgust", " fear", "HAPPINESS", "sadness", "surprised", "neutrality")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, (0.31, 0.24, 0.17, 0.11, 0.08, 0.06, 0.03)),
        (EXPRESSIONS, (0.31, 0.24, 0.17, 0.11, 0.08, 0.06, 0.03)),
        (EXPRESSIONS[::-1], (0.03, 0.06, 0.08, 0.11, 0.17, 0.24, 0.31)),
        (KAGGLE, (0.31, 0.24, 0.17, 0.11, 0.03, 0.08, 0.06)),
    ],
)
def test_labels_put_outputs_in_order(load: Callable[..., FacialExpressionModel], labels: Any, expected: Any) -> None:
    model = load(constant_network(0.31, 0.24, 0.17, 0.11, 0.08, 0.06, 0.03), labels=labels)
    np.testing.assert_allclose(model.predict(tiny.faces(2, 4)), [expected] * 2, atol=1e-5)
    assert model.predict_emotion(tiny.faces(1, 4)) == EXPRESSIONS[int(np.argmax(expected))].capitalize()


@pytest.mark.parametrize(
    "labels", [(), EXPRESSIONS[:1], (*EXPRESSIONS, "contempt"), (*EXPRESSIONS, "fear"), ("happy",) * 7, "happy"]
)
def test_labels_that_do_not_name_each_once(labels: Any) -> None:
    with pytest.raises(ModelError, match=r"labels: expected angry, disgust, .* in any order, found"):
        FacialExpressionModel(ROOT / "model.json", labels=labels)


def test_input_scale(load: Callable[..., FacialExpressionModel]) -> None:
    body = [keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")]
    network = tiny.scatter_weights(keras.Sequential([keras.layers.InputLayer((4, 4, 1)), *body]))
    faces = tiny.faces(4, 4)
    scaled = network(faces[..., np.newaxis] / np.float32(255))
    np.testing.assert_allclose(load(network, input_scale=255).predict(faces), scaled, atol=1e-6)
    raw = network(faces[..., np.newaxis].astype(np.float32))
    for scale in (None, 1):
        np.testing.assert_allclose(load(network, input_scale=scale).predict(faces), raw, atol=1e-6)
    with pytest.raises(ModelError, match="input scale: expected 1 or 255, found 0"):
        load(network, input_scale=0)


def ends(*last: Any) -> Any:
    """A network that ends in the given layers, and its logits, from which its predictions should follow."""
    image = keras.layers.Input((4, 4, 1))
    logits = keras.layers.Dense(7)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)))
    outputs = logits
    for layer in last:
        outputs = layer(outputs)
    return tiny.scatter_weights(keras.Model(image, outputs)), keras.Model(image, logits)


@pytest.mark.parametrize(
    "last",
    [
        lambda layers: [],
        lambda layers: [layers.Activation("softmax")],
        lambda layers: [layers.Softmax()],
        lambda layers: [layers.Softmax(), layers.Dropout(0.1), layers.Reshape((7,))],
        lambda layers: [layers.Activation("linear"), layers.Dropout(0.1)],
        lambda layers: [layers.Activation("log_softmax")],
        lambda layers: [keras.Sequential([layers.InputLayer((7,)), layers.Activation("softmax")])],
        lambda layers: [layers.Reshape((1, 1, 7)), layers.Softmax(), layers.GlobalAveragePooling2D()],
    ],
)
def test_logits_and_probabilities(load: Callable[..., FacialExpressionModel], last: Any) -> None:
    network, logits = ends(*last(keras.layers))
    faces = tiny.faces(3, 4)
    expected = keras.ops.softmax(logits(faces[..., np.newaxis].astype(np.float32)))
    np.testing.assert_allclose(load(network).predict(faces), expected, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_other_last_activations(load: Callable[..., FacialExpressionModel], activation: str) -> None:
    with pytest.raises(ModelError, match=f"model.json: expected softmax.*found '{activation}'"):
        load(tiny.sequential(keras, activation=activation))


def test_gray_is_repeated_for_color_networks(load: Callable[..., FacialExpressionModel]) -> None:
    network = tiny.sequential(keras, channels=3)
    faces = tiny.faces()
    color = np.repeat(faces[..., np.newaxis].astype(np.float32), 3, axis=-1)
    np.testing.assert_allclose(load(network).predict(faces), network(color, training=False), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "outputs", "cause"),
    [
        ((4, 4, 1), 6, r"expected an output of \(None, 7\), .*surprise, found \(None, 6\)"),
        ((4, 4, 1), 8, r"found \(None, 8\)"),
        ((4, 4, 2), 7, r"expected an input of \(None, height, width, 1 or 3\), found \(None, 4, 4, 2\)"),
        ((1, 4, 4), 7, r"expected an input .*found \(None, 1, 4, 4\)"),
        ((16,), 7, r"expected an input .*found \(None, 16\)"),
    ],
)
def test_networks_for_something_else(
    load: Callable[..., FacialExpressionModel], shape: tuple[int, ...], outputs: int, cause: str
) -> None:
    layers = keras.layers
    body = [layers.Flatten(), layers.Dense(outputs, activation="softmax")]
    with pytest.raises(ModelError, match=f"model.json: .*{cause}"):
        load(keras.Sequential([layers.InputLayer(shape), *body]))


def test_networks_without_one_fixed_input_and_output(load: Callable[..., FacialExpressionModel]) -> None:
    layers = keras.layers
    image, other = layers.Input((None, None, 1)), layers.Input((3,))
    outputs = layers.Dense(7)(layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ModelError, match=r"expected an input .*found \(None, None, None, 1\)"):
        load(keras.Model(image, outputs))
    with pytest.raises(ModelError, match=r"expected an input .*found \[\(None, None, None, 1\), \(None, 3\)\]"):
        load(keras.Model([image, other], layers.Concatenate()([outputs, other])))
    fixed = layers.Input((4, 4, 1))
    outputs = layers.Dense(7)(layers.Flatten()(fixed))
    with pytest.raises(ModelError, match=r"expected an output .*found \[\(None, 7\), \(None, 7\)\]"):
        load(keras.Model(fixed, [outputs, layers.ReLU()(outputs)]))


def test_four_threads_get_their_own_answers(model: FacialExpressionModel) -> None:
    batches = [tiny.faces(12)[start : start + count] for start, count in itertools.product((0, 3, 7), (1, 2, 5))]
    expected = [model.predict(batch) for batch in batches]

    def work(shift: int) -> list[tuple[int, np.ndarray]]:
        order = [(index + shift) % len(batches) for index in range(5 * len(batches))]
        return [(index, model.predict(batches[index])) for index in order]

    with ThreadPoolExecutor(4) as threads:
        results = [result for results in threads.map(work, range(4)) for result in results]
    assert len(results) == 4 * 5 * len(batches)
    for index, probabilities in results:
        np.testing.assert_allclose(probabilities, expected[index], atol=1e-6)


def test_one_call_at_a_time(model: FacialExpressionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Event()
    monkeypatch.setattr(model, "_forward", lambda batch: entered.set() or np.ones((len(batch), 7)))
    with ThreadPoolExecutor(1) as threads:
        with model._lock:
            other = threads.submit(model.predict, tiny.faces())
            assert not entered.wait(0.2)
        assert other.result(timeout=PATIENCE_S).shape == (3, 7)
    assert entered.is_set()


@pytest.mark.parametrize("dialect", ["2.2.4-tf", "2.1.6"])
def test_the_classic_files(dialect: str, tmp_path: Path) -> None:
    network = tiny.classic_network(keras)
    files = tiny.write_classic(network, tiny.classic_document(dialect), tmp_path)
    faces = tiny.faces(4, 48)
    expected = network(faces[..., np.newaxis].astype(np.float32), training=False)
    np.testing.assert_allclose(FacialExpressionModel(*files).predict(faces), expected, atol=1e-5)


def test_importing_the_module_is_fast() -> None:
    """`--help` and wrong options should not wait for Keras, whose import takes seconds."""
    program = "import model, sys; sys.exit(bool({'keras', 'tensorflow', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=scaled(60)).returncode == 0


def test_the_committed_files() -> None:
    json_file, weights_file = ROOT / "model.json", ROOT / "model_weights.h5"
    if not (json_file.exists() and weights_file.exists()):
        pytest.skip("model.json and model_weights.h5 are not trained yet")
    model = FacialExpressionModel(json_file, weights_file, runtime="keras")
    assert model.input_size_px == (48, 48)
    faces = tiny.faces(2, 48)
    probabilities = model.predict(faces)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    expected = model.network(faces[..., np.newaxis].astype(np.float32), training=False)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
