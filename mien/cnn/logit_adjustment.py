"""How often rare expressions are expected: logit adjustment at run time, by the base rates stored in model.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.cnn.facts import stored_facts
from mien.errors import ModelError
from mien.types import EXPRESSIONS


class LogitAdjustment:
    """Divides probabilities by a power of the base rates of the training data, and renormalizes them.

    A network fitted on what people see knows that fear is rare, and hardly ever names it. With `rare` at 0 it expects
    each expression as often as in the training data, with 1 all equally often. The network's own weights hold the
    adjustment of a stored tau, so only the difference is applied. Menon et al., "Long-tail learning via logit
    adjustment" (2021). May be set by one thread while others use it.

        model.adjustment.rare = 1.0
        model.predict(faces)  # expects fear as often as happy

    Args:
        base_rates: Share of each of EXPRESSIONS in the training data, (7,), above 0.
        tau: The adjustment in the network's weights, 0..1; the initial value of `rare`.
        from_votes: Whether the network learned the shares of people's votes.
    """

    def __init__(self, base_rates: np.ndarray, tau: float, *, from_votes: bool = False) -> None:
        self._log_rates = np.log(np.asarray(base_rates, np.float64))
        self._from_votes = from_votes
        self.tau = tau
        self._set(tau)

    @property
    def rare(self) -> float:
        """How often rare expressions are expected, from 0 (as often as in the training data) to 1 (as all others)."""
        return self._now[0]

    @rare.setter
    def rare(self, rare: float) -> None:
        if not 0 <= rare <= 1:
            raise ValueError(f"rare: expected 0 to 1, found {rare}")
        self._set(float(rare))

    def _set(self, rare: float) -> None:
        # One object, so that a thread that computes meanwhile sees a value and its factors of the same moment.
        self._now = rare, np.exp((self.tau - rare) * self._log_rates), np.exp(rare * self._log_rates)

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Adjust probabilities.

        Args:
            probabilities: Softmax probabilities of the network, float32 (n, 7).

        Returns:
            float32 (n, 7); each row sums to 1.
        """
        rare, factors, _ = self._now
        if rare == self.tau:
            return probabilities
        return _normalized(probabilities * factors)

    def people_shares(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Undo the adjustment, which leaves the shares of people who would name each expression.

        Args:
            probabilities: Adjusted probabilities, float32 (n, 7), also smoothed over time.

        Returns:
            float32 (n, 7); each row sums to 1. None for a network that has not learned from votes.
        """
        return _normalized(probabilities * self._now[2]) if self._from_votes else None


def _normalized(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def read_adjustment(model_json_file: str | Path) -> LogitAdjustment | None:
    """Read the base rates, tau and head that `python -m training` stores in model.json.

    Args:
        model_json_file: The file.

    Returns:
        The adjustment; None where the file stores no base rates, as those of other programs.

    Raises:
        ModelError: The stored base rates or tau are out of range, or no numbers.
    """
    facts = stored_facts(model_json_file)
    if "shares" not in facts:
        return None
    try:
        rates = np.array([float(facts["shares"][expression]) for expression in EXPRESSIONS])
        tau = float(facts.get("tau", 0.0))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        expected = "expected shares of the seven expressions and tau"
        raise ModelError(f"{model_json_file}: {expected}, found {error}") from error
    if not (np.isfinite(rates).all() and rates.min() > 0 and 0 <= tau <= 1):
        raise ModelError(f"{model_json_file}: expected shares above 0 and tau from 0 to 1, found {rates} and {tau}")
    return LogitAdjustment(rates, tau, from_votes=facts.get("head") == "people")
