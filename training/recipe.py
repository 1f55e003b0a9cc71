"""The recipe of a run: all choices that decide its result, stored with it.

Each is declared once, below; command line, checks, summary and the tables of docs/training.md come from there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mien.errors import MienError
from mien.options import SWITCH, Kind, Option, one_of, whole_number

NETWORKS = ("six_layer", "elu", "shallow", "hybrid_lbp")
TEACHERS = ("resnet18", "vgg10")
"""The functions of `training.networks` that build networks for the program, and larger ones that only teach."""

PIXELS = ("scale", "mean_image", "standardize")
"""The first layer: scale all pixels alike, subtract the mean training image, or standardize each image by itself."""

HEADS = ("people", "folders")
"""The last layers of a network that is trained with votes, see `training.heads`."""

PRECISIONS = ("float32", "mixed_bfloat16")
SIDES_PX = (32, 350)
ARCHITECTURE, START, DISTILLATION, VOTES = "Network", "Fine-tuning", "Distillation", "Votes"
"""Groups of fields that some commands do not have."""


class RunError(MienError):
    """A training run cannot start or resume as requested."""


def _setting(default: Any, kind: Kind, help: str, *, group: str, words: str = "", off: Any = None) -> Any:
    """Declare a field of the recipe: its default, the accepted values, its meaning in one phrase, and its group.

    words: its part of `Recipe.in_words`, formatted with all fields; off: the value that is not mentioned there, by
    default 0, False and "".
    """
    metadata = {"option": (kind, help, group), "words": words, "off": off}
    return dataclasses.field(default=default, metadata=metadata)


def _identity(words: str) -> Any:
    """Declare a field that the command line does not set: what a run was trained from, "" for nothing."""
    return dataclasses.field(default="", metadata={"words": words, "off": None})


def _real(expected: str, accepts: Callable[[float], bool]) -> Kind:
    def parse(text: str) -> float:
        if not accepts(value := float(text)):
            raise ValueError
        return value

    return Kind(expected, "X", parse, show="{:g}".format)


def _at_least(low: int) -> Kind:
    return dataclasses.replace(whole_number(low, 10**9), expected=f"a whole number, {low} or more")


def _parse_network(text: str) -> str:
    if text not in (*NETWORKS, *TEACHERS):
        raise ValueError
    return text


_NETWORK = Kind("one of " + ", ".join((*NETWORKS, *TEACHERS)), "NAME", _parse_network)
_NOT_NEGATIVE = _real("0 or more", lambda value: 0 <= value < math.inf)
_POSITIVE = _real("a number above 0", lambda value: 0 < value < math.inf)
_BELOW_1 = _real("from 0 to below 1", lambda value: 0 <= value < 1)
_SHARE = _real("from 0 to 1", lambda value: 0 <= value <= 1)

_network = partial(_setting, group=ARCHITECTURE)
_training = partial(_setting, group="Training")
_augment = partial(_setting, group="Augmentation")
_start = partial(_setting, group=START)
_distil = partial(_setting, group=DISTILLATION)
_votes = partial(_setting, group=VOTES)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All choices that decide the result of a run; stored as recipe.json beside its checkpoints.

    Optimizers: AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), Adam (Kingma and Ba,
    2015), SGD with Nesterov momentum 0.9 (Sutskever et al., 2013), RMSprop (Tieleman and Hinton, 2012). Label smoothing
    after Szegedy et al., "Rethinking the inception architecture" (2016); mixed precision after Micikevicius et al.,
    "Mixed precision training" (2018). A network that starts from trained weights keeps their layers, whatever the group
    "Network" says.

    Raises:
        RunError: A value is not accepted, or two do not fit together.

    Example:
        recipe = Recipe(network="elu", epochs=15, conv_dropout=0.1)
        network = fit(recipe, load_dataset("data/fer2013"), Path("runs/elu"))
        print(recipe.in_words())
    """

    optimizer: str = _training(
        "adamw",
        one_of("adamw", "adam", "sgd", "rmsprop"),
        "optimizer; sgd with Nesterov momentum",
        words="{optimizer} {learning_rate:g} {schedule}",
    )
    epochs: int = _training(40, _at_least(1), "passes over the training images")
    batch_size: int = _training(64, _at_least(2), "images per step", words="batch {batch_size}")
    learning_rate: float = _training(1e-3, _POSITIVE, "highest learning rate")
    schedule: str = _training(
        "cosine",
        one_of("cosine", "plateau", "constant"),
        "learning rate: cosine falls to 0; plateau halves it after four epochs without a lower validation loss",
    )
    warmup_epochs: float = _training(1.0, _NOT_NEGATIVE, "epochs of the cosine schedule in which the rate rises from 0")
    weight_decay: float = _training(1e-3, _NOT_NEGATIVE, "weight decay of adamw and sgd")
    seed: int = _training(0, _at_least(0), "seed of weights, order and augmentation")

    start: str = _identity("from trained weights")
    freeze: bool = _start(False, SWITCH, "keep the convolutions, train the dense layers", words="convolutions frozen")

    network: str = _network("six_layer", _NETWORK, "network, or a teacher: " + ", ".join(TEACHERS))
    conv_dropout: float = _network(
        0.2,
        _BELOW_1,
        "dropout after each convolution block",
        words="dropout {conv_dropout:g}/{dense_dropout:g}",
        off=-1,
    )
    dense_dropout: float = _network(0.3, _BELOW_1, "dropout after each dense block")
    batch_norm: bool = _network(True, SWITCH, "batch normalization in each block", words="no batch norm", off=True)
    side_px: int = _network(48, whole_number(*SIDES_PX), "side of the input in pixels", words="{side_px} px", off=48)
    pixels: str = _network(
        "scale",
        one_of(*PIXELS),
        "first layer: scale pixels, subtract the mean image, or standardize each image",
        words="pixels {pixels}",
        off="scale",
    )
    l2: float = _network(0.0, _NOT_NEGATIVE, "weight of the squared weights in the loss", words="L2 {l2:g}")

    early_stop: int = _training(
        0,
        _at_least(0),
        "end after this many epochs without a better validation accuracy; 0 for never",
        words="ends after {early_stop} without a better epoch",
    )
    label_smoothing: float = _training(0.05, _BELOW_1, "label smoothing", words="smoothing {label_smoothing:g}")

    flip: bool = _augment(True, SWITCH, "mirror half of the images", words="flip")
    vertical_flip: bool = _augment(False, SWITCH, "turn half of the images upside down", words="vertical flip")
    rotation_deg: float = _augment(10.0, _NOT_NEGATIVE, "largest rotation, degrees", words="rotation {rotation_deg:g}°")
    shift: float = _augment(0.06, _SHARE, "largest shift as a share of the side", words="shift {shift:.0%}")
    scale: float = _augment(0.1, _BELOW_1, "largest zoom in or out as a share", words="scale {scale:.0%}")
    shear: float = _augment(
        0.0, _SHARE, "largest shift of top against bottom as a share of the height", words="shear {shear:.0%}"
    )
    contrast: float = _augment(
        0.2,
        _BELOW_1,
        "largest change of contrast as a share; of brightness 64 times as many levels",
        words="contrast {contrast:.0%}",
    )
    erase: float = _augment(0.0, _SHARE, "share of images that lose a rectangle", words="erase {erase:.0%}")
    coarse: float = _augment(
        0.0, _SHARE, "share of images that lose detail, as small or blurred faces have", words="coarse {coarse:.0%}"
    )
    gamma: float = _augment(0.0, _NOT_NEGATIVE, "largest change of the logarithm of gamma", words="gamma {gamma:.0%}")

    balance: str = _training(
        "none",
        one_of("none", "weights", "sampling"),
        "help for rare expressions: weights in the loss, or sampling all equally often",
        words="balance by {balance}",
        off="none",
    )
    mixup: float = _training(0.0, _NOT_NEGATIVE, "alpha of mixup; 0 for none", words="mixup {mixup:g}")
    ema: float = _training(
        0.0, _BELOW_1, "share of the averaged weights that an epoch keeps; 0 for no average", words="ema {ema:g}"
    )
    precision: str = _training(
        "float32",
        one_of(*PRECISIONS),
        "precision of the arithmetic; the exported network has float32",
        words="bfloat16",
        off="float32",
    )
    pool_first: bool = _training(
        False, SWITCH, "pool before normalizing, which is quicker; exported in the usual order", words="pooled first"
    )

    votes: str = _identity("votes {people_weight:g}, folders {folder_weight:g}")
    people_weight: float = _votes(1.0, _NOT_NEGATIVE, "weight of the loss of the head that learns votes")
    folder_weight: float = _votes(1.0, _NOT_NEGATIVE, "weight of the loss of the head that learns the folders' labels")
    drop_ambiguous: bool = _votes(
        False,
        SWITCH,
        "leave out images with fewer than three votes for the seven, instead of using their label",
        words="without ambiguous images",
    )

    self_distil: float = _start(
        0.0,
        _SHARE,
        "share of each label that the starting network's own prediction replaces",
        words="self-distilled {self_distil:g}",
    )
    teachers: str = _identity("distilled {distil_weight:g} at {distil_temperature:g}")
    distil_weight: float = _distil(0.9, _SHARE, "weight of the teachers' predictions; the labels have the rest")
    distil_temperature: float = _distil(4.0, _POSITIVE, "temperature that softens the predictions of both")

    def __post_init__(self) -> None:
        for each in recipe_options():
            value = getattr(self, each.name)
            if not _accepts(each.kind, value) and not (each.name == "network" and self.start):
                raise RunError(f"{each.name}: expected {each.kind.expected}, found {value!r}")
        if self.self_distil and not self.start:
            raise RunError("self_distil: expected a trained network to start from, found none")
        if self.votes and self.people_weight == self.folder_weight == 0:
            raise RunError("people_weight, folder_weight: expected one above 0, found 0 for both")
        if self.schedule == "cosine" and self.warmup_epochs > self.epochs:
            raise RunError(f"warmup_epochs: expected at most {self.epochs}, the epochs; found {self.warmup_epochs:g}")

    def in_words(self) -> str:
        """Return a summary for a line of a table: "adamw 0.001 cosine, batch 64, smoothing 0.05, flip, shift 6 %"."""
        values = dataclasses.asdict(self)
        words = []
        for field in dataclasses.fields(self):
            off, value = field.metadata["off"], values[field.name]
            inherited = self.start and field.name == "conv_dropout"
            if field.metadata["words"] and not inherited and (value != off if off is not None else value):
                words.append(field.metadata["words"].format(**values).replace("%", " %"))
        return ", ".join(words)


def _accepts(kind: Kind, value: Any) -> bool:
    if kind is SWITCH:
        return isinstance(value, bool)
    try:
        return bool(kind.parse(str(value)) == value)
    except ValueError:
        return False


def recipe_options() -> list[Option]:
    """Return the fields of the recipe that the command line can set, in their order."""
    declared = [(field, field.metadata["option"]) for field in dataclasses.fields(Recipe) if "option" in field.metadata]
    return [
        Option(field.name, field.default, kind, text, group, kind.show(field.default))
        for field, (kind, text, group) in declared
    ]


def recipe_from(fields: Any) -> Recipe:
    """Build the recipe of a JSON object.

    Raises:
        ValueError: It is not an object, or has unknown fields.
        RunError: A value is wrong.
    """
    known = {field.name for field in dataclasses.fields(Recipe)}
    if not isinstance(fields, dict) or not set(fields) <= known:
        raise ValueError(f"expected fields of a recipe, found {str(fields)[:100]}")
    return Recipe(**fields)
