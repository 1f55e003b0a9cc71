"""The recipe of a run: every choice that decides how it goes, written down with it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from mien.errors import MienError
from training.networks import NETWORKS, PIXELS, TEACHERS

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
SCHEDULES = ("cosine", "plateau", "constant")
BALANCES = ("none", "weights", "sampling")
"""How rare expressions are helped: not at all, by the weight of their images, or by how often they are drawn."""

PRECISIONS = ("float32", "mixed_bfloat16")
SIDES_PX = (32, 350)
BELOW_ONE = ("conv_dropout", "dense_dropout", "label_smoothing", "scale", "contrast", "ema")
UP_TO_ONE = ("erase", "coarse", "distil_weight", "self_distil", "shift", "shear")
ABOVE_ZERO = ("learning_rate", "distil_temperature")
"""Numbers of the recipe with a range of their own; all others start at 0."""

OF_A_START = ("start", "freeze", "self_distil")
"""Fields of the recipe that only a run from trained weights has."""

OF_TEACHERS = ("teachers", "distil_weight", "distil_temperature")
"""Fields of the recipe that only a run with teachers has."""

OF_VOTES = ("votes", "people_weight", "folder_weight", "drop_ambiguous")
"""Fields of the recipe that only a run with votes has."""

SPECIAL = (*OF_A_START, *OF_TEACHERS, *OF_VOTES)


class RunError(MienError):
    """A training run can not start or go on as asked."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a run goes; stored as recipe.json beside its checkpoints.

    optimizer: adamw (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019), adam (Kingma and Ba,
    2015), sgd with Nesterov momentum 0.9 (Sutskever et al., 2013) or rmsprop (Tieleman and Hinton, 2012);
    weight_decay belongs to adamw and sgd, l2 to the loss of any.
    schedule: cosine (the learning rate rises for `warmup_epochs` and then falls along a cosine to zero at `epochs`),
    plateau (halved when the validation loss has not fallen for four epochs) or constant.
    early_stop: end after so many epochs without a better validation accuracy; 0 for never.
    label_smoothing after Szegedy et al., "Rethinking the inception architecture" (2016).
    conv_dropout, dense_dropout, l2, batch_norm, pixels: as in `training.networks.Style`. flip to erase: as in
    `training.data.augment.Augment`. balance: as in BALANCES. side_px: of the input, 32 to 350.
    start: "" from random weights, else the digest of the trained network it starts from (`training.fit.warm_start`),
    whose layers count then, not the fields of Style. freeze: its convolutions stay as they are.
    mixup: alpha of `training.data.batches`, 0 for none. ema: share of the averaged weights that an epoch leaves
    (`training.fit.callbacks`), 0 for no average. precision: of the arithmetic while fitting, one of PRECISIONS
    (Micikevicius et al., "Mixed precision training", 2018); what is exported is float32.
    teachers: "" for none, else the digest of those whose answers count `distil_weight`, and the labels the rest, at
    `distil_temperature` (`training.fit.distillation`). self_distil: share of each label that is what the trained
    network it starts from says of the image (`training.fit.warm_start.own_answers`).
    pool_first: fit with pooling before normalisation (`training.fit.graph_edits`); what is exported has the usual
    order.
    votes: "" for none, else the name of the table of votes that a second head learns from (`training.fit.two_heads`),
    with the weights of both losses; drop_ambiguous: without the images of `training.data.votes.ambiguous`.
    """

    network: str = "six_layer"
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.05
    conv_dropout: float = 0.2
    dense_dropout: float = 0.3
    rotation_deg: float = 10.0
    shift: float = 0.06
    scale: float = 0.1
    contrast: float = 0.2
    erase: float = 0.0
    flip: bool = True
    side_px: int = 48
    seed: int = 0
    optimizer: str = "adamw"
    schedule: str = "cosine"
    early_stop: int = 0
    l2: float = 0.0
    batch_norm: bool = True
    vertical_flip: bool = False
    shear: float = 0.0
    pixels: str = "scale"
    balance: str = "none"
    start: str = ""
    freeze: bool = False
    mixup: float = 0.0
    ema: float = 0.0
    precision: str = "float32"
    teachers: str = ""
    distil_weight: float = 0.9
    distil_temperature: float = 4.0
    self_distil: float = 0.0
    pool_first: bool = False
    coarse: float = 0.0
    gamma: float = 0.0
    votes: str = ""
    people_weight: float = 1.0
    folder_weight: float = 1.0
    drop_ambiguous: bool = False

    def __post_init__(self) -> None:
        choices = {
            "network": (self.network,) if self.start else (*NETWORKS, *TEACHERS),
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "pixels": PIXELS,
            "balance": BALANCES,
            "precision": PRECISIONS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise RunError(f"{name}: expected one of {', '.join(known)}; found {getattr(self, name)!r}")
        if self.self_distil and not self.start:
            raise RunError("self_distil: expected a trained network to start from, found none")
        if self.votes and self.teachers:
            raise RunError("votes: expected a recipe without teachers, found both")
        if self.votes and self.people_weight == self.folder_weight == 0:
            raise RunError("people_weight, folder_weight: expected one above 0, found 0 for both")
        if self.epochs < 1 or self.batch_size < 2:
            raise RunError(
                f"expected at least 1 epoch and batches of 2 images, found {self.epochs} and {self.batch_size}"
            )
        if not SIDES_PX[0] <= self.side_px <= SIDES_PX[1]:
            raise RunError(f"side_px: expected {SIDES_PX[0]} to {SIDES_PX[1]} pixels, found {self.side_px}")
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if setting.type in ("int", "float") and (wanted := _wanted_instead(setting.name, value)):
                raise RunError(f"{setting.name}: expected {wanted}, found {value}")
        if self.schedule == "cosine" and self.warmup_epochs > self.epochs:
            raise RunError(f"warmup_epochs: expected at most {self.epochs}, the epochs; found {self.warmup_epochs:g}")

    def in_words(self) -> str:
        """What matters most, for a line of a table: "adamw 0.001 cosine, batch 64, smoothing 0.05, flip, shift 6 %"."""
        words = [f"{self.optimizer} {self.learning_rate:g} {self.schedule}", f"batch {self.batch_size}"]
        words += ["from trained weights"] if self.start else []
        words += ["convolutions frozen"] if self.freeze else []
        dropouts = f"dropout {self.conv_dropout:g}/{self.dense_dropout:g}"
        words += [] if self.start else [dropouts]
        words += [] if self.batch_norm else ["no batch norm"]
        words += [f"{self.side_px} px"] if self.side_px != 48 else []
        words += [f"ends after {self.early_stop} without a better epoch"] if self.early_stop else []
        words += [f"L2 {self.l2:g}"] if self.l2 else []
        words += [f"smoothing {self.label_smoothing:g}"] if self.label_smoothing else []
        words += [name.replace("_", " ") for name in ("flip", "vertical_flip") if getattr(self, name)]
        words += [f"rotation {self.rotation_deg:g}°"] if self.rotation_deg else []
        shares = ("shift", "scale", "shear", "contrast", "erase", "coarse", "gamma")
        words += [f"{name} {getattr(self, name):.0%}".replace("%", " %") for name in shares if getattr(self, name)]
        words += [f"pixels {self.pixels}"] if self.pixels != "scale" else []
        words += [f"balance by {self.balance}"] if self.balance != "none" else []
        words += [f"{name} {getattr(self, name):g}" for name in ("mixup", "ema") if getattr(self, name)]
        words += [self.precision.replace("mixed_", "")] if self.precision != "float32" else []
        words += ["pooled first"] if self.pool_first else []
        words += [f"votes {self.people_weight:g}, folders {self.folder_weight:g}"] if self.votes else []
        words += ["without ambiguous images"] if self.drop_ambiguous else []
        words += [f"self-distilled {self.self_distil:g}"] if self.self_distil else []
        words += [f"distilled {self.distil_weight:g} at {self.distil_temperature:g}"] if self.teachers else []
        return ", ".join(words)


def _wanted_instead(name: str, value: float) -> str:
    """What was expected of a number of a recipe, "" where it is so; NaN and infinity never are."""
    if name in BELOW_ONE:
        return "" if 0 <= value < 1 else "from 0 to below 1"
    if name in UP_TO_ONE:
        return "" if 0 <= value <= 1 else "from 0 to 1"
    if name in ABOVE_ZERO:
        return "" if 0 < value < math.inf else "a number above 0"
    return "" if 0 <= value < math.inf else "0 or more"


def recipe_from(fields: Any) -> Recipe:
    """The recipe of a JSON object. Raises ValueError for unknown fields or no object; RunError for wrong values."""
    known = {setting.name for setting in dataclasses.fields(Recipe)}
    if not isinstance(fields, dict) or not set(fields) <= known:
        raise ValueError(f"expected fields of a recipe, found {str(fields)[:100]}")
    return Recipe(**fields)
