"""Tiny networks, and the files that different versions of Keras write of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIZE_PX = 12


def register(patch: Any, build: Any) -> None:
    """Let recipes name a network "tiny" that this function builds; patch: a MonkeyPatch."""
    from training import networks, recipe

    patch.setitem(networks.NETWORKS, "tiny", build)
    patch.setattr(recipe, "NETWORKS", (*recipe.NETWORKS, "tiny"))


def faces(count: int = 3, size_px: int = SIZE_PX) -> np.ndarray:
    """Noise as gray faces: uint8 (count, size, size)."""
    return np.random.default_rng(7).integers(0, 256, (count, size_px, size_px)).astype(np.uint8)


def scatter_weights(network: Any) -> Any:
    """Give every weight, including moving statistics, a different value, so that a mix-up changes the output."""
    rng = np.random.default_rng(5)
    for weight in network.weights:
        low = 0.3 if "variance" in weight.name else -0.5
        weight.assign(rng.uniform(low, 0.6, weight.shape).astype(np.float32))
    return network


def sequential(keras: Any, activation: str | None = "softmax", outputs: int = 7, channels: int = 1) -> Any:
    """A network in the order of the six-layer one. keras: Keras 3 or tf_keras."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.InputLayer((SIZE_PX, SIZE_PX, channels)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.SpatialDropout2D(0.1),
            layers.Flatten(),
            layers.Dense(5),
            layers.LeakyReLU(0.2),
            layers.Dense(outputs, activation=activation),
        ]
    )
    return scatter_weights(network)


def residual(keras: Any) -> Any:
    """A functional network with parallel branches of equal shapes and a network inside, called twice."""
    layers = keras.layers
    inside = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()], name="inside")
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    left = layers.SeparableConv2D(4, 3, padding="same", name="z_left", depthwise_regularizer="l2")(x)
    right = layers.SeparableConv2D(4, 3, padding="same", name="a_right")(x)
    right = layers.DepthwiseConv2D(3, padding="same")(right)
    x = layers.Add()([left, inside(right), inside(x)])
    x = layers.AveragePooling2D(2)(layers.ReLU(6.0)(x))
    logits = layers.Conv2D(7, 3, padding="same")(x)
    outputs = layers.Activation("softmax")(layers.GlobalAveragePooling2D()(logits))
    return scatter_weights(keras.Model(image, outputs))


def write_json(network: Any, folder: Path) -> Path:
    """model.json of the network, in folder."""
    path = folder / "model.json"
    path.write_text(network.to_json(), encoding="utf-8")
    return path


def write_keras_3(network: Any, folder: Path) -> tuple[Path, Path]:
    """model.json and whole-model HDF5, as the training of this project exports them."""
    weights = folder / "model_weights.h5"
    network.save(weights, include_optimizer=False)
    return write_json(network, folder), weights


def classic_document(dialect: str) -> dict[str, Any]:
    """The model.json of a narrower six-layer network as in the well-known course, as its Keras wrote it.

    dialect: "2.2.4-tf" (tf.keras) or "2.1.6" (keras alone, where the config of a Sequential is a list).
    """
    is_tf = dialect.endswith("-tf")
    typed = {"dtype": "float32"} if is_tf else {}
    zeros, ones = {"class_name": "Zeros", "config": typed}, {"class_name": "Ones", "config": typed}
    glorot = {"class_name": "GlorotUniform", "config": {"seed": None, **typed}}
    if not is_tf:
        scaling = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}
        glorot = {"class_name": "VarianceScaling", "config": scaling}
    counts: dict[str, int] = {}

    def layer(kind: str, stem: str, **config: Any) -> dict[str, Any]:
        number = counts[stem] = counts.get(stem, -1) + 1
        name = f"{stem}_{number}" if number else stem
        return {"class_name": kind, "config": {"name": name, "trainable": True, **typed, **config}}

    def trained(**config: Any) -> dict[str, Any]:
        nothing = dict.fromkeys(("kernel_regularizer", "bias_regularizer", "activity_regularizer"))
        nothing |= dict.fromkeys(("kernel_constraint", "bias_constraint"))
        return {"use_bias": True, "kernel_initializer": glorot, "bias_initializer": zeros, **nothing, **config}

    def norm(axis: int) -> dict[str, Any]:
        begin = {"beta_initializer": zeros, "gamma_initializer": ones}
        begin |= {"moving_mean_initializer": zeros, "moving_variance_initializer": ones}
        nothing = dict.fromkeys(("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"))
        chosen: dict[str, Any] = {"axis": [axis] if is_tf else -1, "momentum": 0.99, "epsilon": 0.001}
        return layer("BatchNormalization", "batch_normalization", **chosen, center=True, scale=True, **begin, **nothing)

    def relu_and(*last: dict[str, Any]) -> list[dict[str, Any]]:
        dropout = layer("Dropout", "dropout", rate=0.25, noise_shape=None, seed=None)
        return [layer("Activation", "activation", activation="relu"), *last, dropout]

    layers: list[dict[str, Any]] = []
    for filters, size in ((4, 3), (5, 5), (6, 3), (6, 3)):
        common = {"padding": "same", "data_format": "channels_last"}
        shape = {"kernel_size": [size, size], "strides": [1, 1], "dilation_rate": [1, 1], **common}
        layers.append(layer("Conv2D", "conv2d", filters=filters, **shape, activation="linear", **trained()))
        pool = layer("MaxPooling2D", "max_pooling2d", pool_size=[2, 2], strides=[2, 2], **common)
        layers += [norm(3), *relu_and(pool)]
    first = {"batch_input_shape": [None, 48, 48, 1], "dtype": "float32"}
    layers[0]["config"] = {**layers[0]["config"], **first}
    layers.append(layer("Flatten", "flatten", data_format="channels_last"))
    for units in (8, 9):
        layers += [layer("Dense", "dense", units=units, activation="linear", **trained()), norm(1), *relu_and()]
    layers.append(layer("Dense", "dense", units=7, activation="softmax", **trained()))
    config = {"name": "sequential", "layers": layers} if is_tf else layers
    return {"class_name": "Sequential", "config": config, "keras_version": dialect, "backend": "tensorflow"}


def classic_network(keras: Any) -> Any:
    """The network of `classic_document`, built by Keras 3."""
    layers = keras.layers
    network = keras.Sequential([layers.InputLayer((48, 48, 1))])
    for filters, size in ((4, 3), (5, 5), (6, 3), (6, 3)):
        network.add(layers.Conv2D(filters, size, padding="same"))
        for following in (layers.BatchNormalization(), layers.Activation("relu"), layers.MaxPooling2D()):
            network.add(following)
    network.add(layers.Flatten())
    for units in (8, 9):
        for following in (layers.Dense(units), layers.BatchNormalization(), layers.Activation("relu")):
            network.add(following)
    network.add(layers.Dense(7, activation="softmax"))
    return scatter_weights(network)


def write_classic(network: Any, document: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """The document and the weights of the network as `save_weights("model_weights.h5")` of that Keras wrote them."""
    described = document["config"] if isinstance(document["config"], list) else document["config"]["layers"]
    arrays = iter([layer.get_weights() for layer in network.layers if layer.weights])
    json_path, weights_path = folder / "model.json", folder / "model_weights.h5"
    json_path.write_text(json.dumps(document), encoding="utf-8")
    names = {"Conv2D": ["kernel", "bias"], "Dense": ["kernel", "bias"]}
    names["BatchNormalization"] = ["gamma", "beta", "moving_mean", "moving_variance"]
    with h5py.File(weights_path, "w") as file:
        file.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in described]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", document["keras_version"].encode()
        for layer in described:
            name = layer["config"]["name"]
            group = file.create_group(name)
            weight_names = [f"{name}/{weight}:0" for weight in names.get(layer["class_name"], [])]
            group.attrs["weight_names"] = [weight_name.encode() for weight_name in weight_names]
            values = next(arrays) if weight_names else []
            for weight_name, value in zip(weight_names, values, strict=True):
                group[weight_name] = value
    return json_path, weights_path
