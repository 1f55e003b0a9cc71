import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tiny_networks

from mien.cnn import gradcam
from mien.cnn.gradcam import Explainer, GradCam, heat_png, overlay, turned
from mien.cnn.loader import import_keras
from mien.detectors import HaarDetector
from mien.errors import LoadingError, ModelError
from mien.images.resize import crop_faces
from mien.sources.demo import CYCLE_S, DemoSource
from mien.types import EXPRESSIONS, Box, Face
from model import FacialExpressionModel
from tests.patience import PATIENCE_S
from tests.web_fakes import face_showing
from training.evaluate.gradcam_deletion import highest
from training.export import export
from training.networks import NETWORKS

ROOT = Path(__file__).parent.parent

keras = import_keras()


def bright_spot(at, side_px=12):
    image = np.zeros((side_px, side_px, 1), np.float32)
    image[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = 255
    return image


@pytest.fixture(scope="module")
def network():
    """Bright pixels are evidence for output 3 and against output 4; nothing else matters."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(1, 1, kernel_initializer="ones"),
            layers.Activation("relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    kernel = np.zeros((36, 7), np.float32)
    kernel[:, 3], kernel[:, 4] = 0.01, -0.01
    network.layers[-1].set_weights([kernel, np.zeros(7, np.float32)])
    return network


def test_heat_is_where_the_evidence_is(network):
    faces = np.stack([bright_spot((3, 3)), bright_spot((8, 6)), bright_spot((3, 3))])
    heat = GradCam(network)(faces, np.array([3, 3, 4]))
    assert heat.shape == (3, 12, 12)
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat[:2], faces[:2, :, :, 0] / 255, atol=1e-6)
    assert not heat[2].any(), "brightness is evidence against this one"


def test_without_faces_there_are_no_maps(network):
    assert GradCam(network)(np.zeros((0, 12, 12, 1)), np.zeros(0, int)).shape == (0, 12, 12)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_explained_also_when_loaded_from_its_files(name, tmp_path):
    network = NETWORKS[name](32)
    loaded = FacialExpressionModel(*export(network, tmp_path)).network
    faces = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1))
    cam = GradCam(network)
    heat = cam(faces, np.array([0, 6]))
    assert np.isfinite(heat).all()
    assert heat.min() >= 0
    assert heat.max() <= 1
    np.testing.assert_allclose(GradCam(loaded)(faces, np.array([0, 6])), heat, atol=1e-3)
    assert cam.layer_name.startswith("batch_normalization" if name in ("elu", "hybrid_lbp") else "activation")


def nested(layers):
    inside = keras.Sequential([layers.Conv2D(3, 3, padding="same"), layers.ReLU(name="deep_maps")])
    body = keras.Sequential([inside, layers.GlobalAveragePooling2D(), layers.Dense(7)])
    return keras.Sequential([layers.Input((12, 12, 1)), layers.Rescaling(1 / 255), body, layers.Softmax()])


def strided(layers):
    pooled = [layers.Conv2D(7, 6, strides=6, name="few_places"), layers.GlobalAveragePooling2D()]
    return keras.Sequential([layers.Input((12, 12, 1)), *pooled, layers.Activation("softmax")])


@pytest.mark.parametrize(
    ("build", "layer_name"),
    [
        (nested, "deep_maps"),
        (strided, "few_places"),
        (lambda _: tiny_networks.residual(keras), "conv2d"),
        (lambda _: tiny_networks.sequential(keras, activation=None), "activation"),
        (lambda _: tiny_networks.sequential(keras, activation="softmax", channels=3), "activation"),
    ],
)
def test_networks_of_any_structure_can_be_explained_and_stay_unchanged(build, layer_name):
    network = tiny_networks.scatter_weights(build(keras.layers))
    faces = tiny_networks.faces()[..., np.newaxis].repeat(network.input_shape[3], -1).astype(np.float32)
    described, expected = network.to_json(), np.asarray(network(faces, training=False))
    cam = GradCam(network)
    heat = cam(faces, np.array([0, 3, 6]))
    assert cam.layer_name.startswith(layer_name)
    assert heat.shape == (3, 12, 12)
    assert heat.max() > 0
    assert network.to_json() == described
    np.testing.assert_array_equal(np.asarray(network(faces, training=False)), expected)


def test_the_gradient_is_that_of_the_score(network):
    """Compared with finite differences: the map of a linear network is weight times activation."""
    faces = tiny_networks.faces(2)[..., np.newaxis].astype(np.float32)
    kernel = np.zeros((36, 7), np.float32)
    kernel[:, 5] = np.linspace(-1, 1, 36)
    other = keras.models.clone_model(network)
    other.set_weights([*network.get_weights()[:-2], kernel, np.zeros(7, np.float32)])
    expected = faces[..., 0] * np.maximum(kernel[:, 5], 0).reshape(6, 6).repeat(2, 0).repeat(2, 1)
    expected /= expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(GradCam(other)(faces, np.array([5, 5])), expected, atol=1e-5)


def test_a_network_that_cannot_be_explained_is_reported(network, monkeypatch):
    layers = keras.layers
    with pytest.raises(ModelError, match="expected a network with a convolution"):
        GradCam(keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(7)]))
    monkeypatch.setattr(gradcam.import_keras().backend, "backend", lambda: "openvino")
    with pytest.raises(ModelError, match="expected Keras on tensorflow, jax or torch, found it on openvino"):
        GradCam(network)


# ---- for a live picture


def decode(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_heat_map_is_a_translucent_picture():
    heat = np.zeros((12, 12), np.float32)
    heat[:6] = 1
    pixels = decode(heat_png(heat))
    assert pixels.shape == (48, 48, 4)
    assert (pixels[-8:, :, 3] == 0).all(), "cold pixels are transparent"
    assert (pixels[:8, :, 3] > 150).all()
    assert (pixels[:, :, 3] < 255).all(), "the face stays visible"
    assert (pixels[0, 0, :3] != pixels[-1, 0, :3]).any()


class Classifier:
    """An explainer whose outputs are in another order and whose input is scaled to 0 to 1."""

    def __init__(self, network, order=tuple(range(7))):
        self.classifier = self  # it also stands in for the pipeline
        self.network = network
        self.input_size_px = (12, 12)
        self.adjustment = None
        self.output_order = order

    def as_input(self, faces):
        return faces[..., np.newaxis] / np.float32(255)


def test_the_label_shown_is_explained_in_the_crop_the_network_saw(network):
    pixels = np.zeros((240, 400, 3), np.uint8)
    pixels[60:80, 60:80] = 255
    faces = (face_showing("happy"), face_showing("neutral"), face_showing("happy", x=250))
    hot, cold, dark = (decode(png)[..., 3] for png in Explainer(Classifier(network))(pixels, faces))
    row, column = np.unravel_index(hot.argmax(), hot.shape)
    assert (4 <= row < 14, 9 <= column < 20) == (True, True), "where the bright square is in the box"
    assert not cold.any()
    assert not dark.any()
    swapped = Explainer(Classifier(network, (0, 1, 2, 4, 3, 5, 6)))
    assert [bool(decode(png)[..., 3].any()) for png in swapped(pixels, faces)] == [False, True, False]


def test_grad_cam_is_prepared_once_on_first_use_for_all_threads(network, monkeypatch):
    made = []
    monkeypatch.setattr(gradcam, "GradCam", lambda network: made.append(1) or GradCam(network))
    explainer = Explainer(Classifier(network))
    assert not made
    pixels = np.random.default_rng(2).integers(0, 256, (240, 400, 3)).astype(np.uint8)
    faces = (face_showing("happy"), face_showing("happy", x=200))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(explainer(pixels, faces))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(made) == 1
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)


def test_where_keras_is_not_loaded_yet_it_is_prepared_in_the_background(network, monkeypatch):
    loaded = threading.Event()
    monkeypatch.setattr(gradcam, "GradCam", lambda network: loaded.wait(PATIENCE_S) and GradCam(network))
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "keras")
        explainer = Explainer(Classifier(network))
    given = np.zeros((240, 320, 3), np.uint8), (face_showing("sad"),)
    for _ in range(2):
        with pytest.raises(LoadingError, match="is being loaded"):
            explainer(*given)
    loaded.set()
    assert explainer._cam.wait(PATIENCE_S)
    assert len(explainer(*given)) == 1


def test_a_network_that_cannot_be_explained_is_tried_once(monkeypatch):
    layers = keras.layers
    made = []
    monkeypatch.setattr(gradcam, "GradCam", lambda network: made.append(1) or GradCam(network))
    plain = keras.Sequential([layers.Input((12, 12, 1)), layers.Flatten(), layers.Dense(7)])
    explainer = Explainer(Classifier(plain))
    for _ in range(2):
        with pytest.raises(ModelError, match="found none"):
            explainer(np.zeros((240, 320, 3), np.uint8), (face_showing("sad"),))
    assert len(made) == 1


def test_labels_scale_and_color_of_a_file_are_taken_into_account(tmp_path):
    written = tiny_networks.write_keras_3(tiny_networks.sequential(keras, channels=3), tmp_path)
    labels = ("happy", "sad", "angry", "fear", "surprise", "neutral", "disgust")
    model = FacialExpressionModel(*written, labels=labels, input_scale=255)
    face = tiny_networks.faces(1)
    seen = model.as_input(face)
    assert seen.shape == (1, 12, 12, 3)
    expected = np.asarray(model.network(seen, training=False))[:, model.output_order]
    np.testing.assert_allclose(model.predict(face), expected, atol=1e-6)
    png = Explainer(SimpleNamespace(classifier=model))(
        np.repeat(face[0][..., np.newaxis], 3, -1), [_face_of("sad", Box(0, 0, 12, 12))]
    )[0]
    assert png == heat_png(GradCam(model.network)(seen, np.array([1]))[0])


def _face_of(label, box):
    probabilities = np.eye(7, dtype=np.float32)[EXPRESSIONS.index(label)]
    return Face(box, probabilities, probabilities)


def test_hiding_what_the_shipped_network_looks_at_costs_most():
    """In the demo's faces, hiding the highest-rated pixels costs more than hiding the same shape elsewhere.

    Randomly scattered pixels are no baseline here: these faces are smooth, and specks anywhere cost more than the
    pixels they hide. On photos `python -m training masking` measures both.
    """
    model = FacialExpressionModel(ROOT / "model.json", ROOT / "model_weights.h5")
    demo = DemoSource(count=1)
    pixels = [demo.render(0.6 + CYCLE_S / 7 * i)[0] for i in range(7)]
    detector = HaarDetector()
    boxes = [max(detector.detect(frame), key=lambda box: box.area) for frame in pixels]
    faces = np.concatenate([crop_faces(frame, [box], (48, 48)) for frame, box in zip(pixels, boxes, strict=True)])
    before = model.predict(faces)
    labels = before.argmax(axis=1)
    cam = GradCam(model.network)
    heat = cam(model.as_input(faces), labels)

    def drop(masks):
        hidden = np.where(masks, faces.mean(axis=(1, 2), keepdims=True), faces).astype(np.uint8)
        return (before - model.predict(hidden))[np.arange(7), labels].mean()

    masks = [highest(one) for one in heat]
    elsewhere = [drop([np.roll(one, shift_px, axis=(0, 1)) for one in masks]) for shift_px in (12, 24, 36)]
    assert drop(masks) > max(elsewhere) + 0.1
    assert heat[3, 24:].sum() > heat[3, :24].sum(), "a smile is in the lower half"


def test_overlay_leaves_cold_pixels_unchanged():
    face = np.full((4, 4), 90, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    shown = overlay(face, heat)
    assert shown.shape == (4, 4, 3)
    assert (shown[heat == 0] == 90).all()
    assert (shown[1, 2] != 90).any()


def test_a_heat_map_is_turned_with_its_face():
    heat = np.zeros((48, 48), np.float32)
    heat[22:26, 40:44] = 1  # to the right of the center
    assert turned(heat, 0) is heat
    rows, columns = (turned(heat, 30) > 0.5).nonzero()
    assert rows.mean() == pytest.approx(23.5 + 18 * np.sin(np.pi / 6), abs=1), "clockwise: further down"
    assert columns.mean() == pytest.approx(23.5 + 18 * np.cos(np.pi / 6), abs=1)
