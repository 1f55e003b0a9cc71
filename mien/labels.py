"""What networks and data sets call the seven expressions, and which output of a network counts for which of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mien.types import EXPRESSIONS

ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "disgusting": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scare": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
    "suprise": "surprise",
    "suprised": "surprise",
}
"""Other names of the expressions, in lower case; the last two are frequent misspellings."""

NONE = "none"
"""`contempt=none`: an output that counts for no expression."""

_EXPECTED = f"labels: expected {', '.join(EXPRESSIONS)} in any order"
_OTHERS = f"others are name=expression or name={NONE}"


def expression_of(name: str) -> str | None:
    """The expression of a name in any case, such as "happy" for "Happiness"; None for another word."""
    word = name.strip().lower()
    word = ALIASES.get(word, word)
    return word if word in EXPRESSIONS else None


@dataclass(frozen=True, slots=True)
class OutputLabels:
    """What the outputs of a network mean.

    Attributes:
        expressions: Of each output, in its order; None where it counts for none.

    Raises:
        ValueError: Fewer than two expressions.

    Example:
        labels = OutputLabels.of(["sad", "happiness", "neutral", "contempt=neutral"])
        labels.apply(np.float32([[0.1, 0.2, 0.3, 0.4]]))  # neutral: 0.7
    """

    expressions: tuple[str | None, ...] = EXPRESSIONS

    def __post_init__(self) -> None:
        if len(set(self.expressions) - {None}) < 2:
            raise ValueError(f"{_EXPECTED}, found {self.expressions}")

    @classmethod
    def of(cls, labels: str | Iterable[str]) -> OutputLabels:
        """Read names of outputs.

        Args:
            labels: Expressions or other names of them, and name=expression or name=none; a string is split at commas.

        Raises:
            ValueError: What was expected and what was found.
        """
        names = [str(name).strip() for name in (labels.split(",") if isinstance(labels, str) else labels)]
        found = f"{_EXPECTED}, found {', '.join(names)[:200]!r}"
        plain = [expression_of(name) for name in names if "=" not in name]
        if None in plain or len(set(plain)) < len(plain):
            raise ValueError(f"{found}; each is named once, {_OTHERS}")
        expressions = [_mapped(name) if "=" in name else expression_of(name) for name in names]
        if len(set(expressions) - {None}) < 2:
            raise ValueError(found)
        return cls(tuple(expressions))

    @property
    def order(self) -> list[int]:
        """For each of EXPRESSIONS, the index of its first output; -1 where it has none."""
        return [self.expressions.index(name) if name in self.expressions else -1 for name in EXPRESSIONS]

    @property
    def is_permutation(self) -> bool:
        """Whether each of EXPRESSIONS has exactly one output, and no output is left over."""
        return sorted(self.order) == list(range(len(self.expressions)))

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Add up the outputs of each expression; the rest of those that count for none is divided in proportion.

        Args:
            outputs: Probabilities of the network, float32 (n, outputs).

        Returns:
            float32 (n, 7) in the order of EXPRESSIONS; each row sums to 1, 0 where the network has no such output.
        """
        if self.is_permutation:
            return outputs[:, self.order]
        sums = np.zeros((len(outputs), len(EXPRESSIONS)), np.float32)
        for output, expression in zip(outputs.T, self.expressions, strict=True):
            if expression is not None:
                sums[:, EXPRESSIONS.index(expression)] += output
        total = sums.sum(axis=1, keepdims=True)
        return np.where(total > 0, sums / np.maximum(total, np.finfo(np.float32).tiny), 1 / len(EXPRESSIONS))


def _mapped(name: str) -> str | None:
    """The expression of name=expression; ValueError for another word after the sign."""
    target = name.rpartition("=")[2].strip().lower()
    if target == NONE:
        return None
    if (expression := expression_of(target)) is None:
        raise ValueError(f"{_EXPECTED}, found {name[:80]!r}; {_OTHERS}")
    return expression
