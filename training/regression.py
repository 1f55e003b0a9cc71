"""Whether a network's figures have fallen behind those that are recorded."""

from __future__ import annotations

from collections.abc import Mapping

from training.evaluate.metrics import Scores

ACCURACY_MAY_FALL = 0.002
ECE_MAY_RISE = 0.005
"""Seven images of 3,589, and as much ECE: what other processors and backends round differently is far less."""


def compared(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> str:
    """One line: "PublicTest 67.29 % (recorded 67.29 %), ..." of the sets that both have."""
    pairs = [
        f"{name} {found[name].accuracy:.2%} (recorded {recorded[name].accuracy:.2%})" for name in _both(found, recorded)
    ]
    return ", ".join(pairs) or "no set in common"


def same_sets(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> bool:
    """Whether both were measured on as many images: figures of other images say nothing about these."""
    return {name: s.n for name, s in found.items()} == {name: s.n for name, s in recorded.items()}


def regressions(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> list[str]:
    """What is worse than recorded by more than noise, one line each; also sets of other images, and missing ones."""
    worse = [f"{name}: not measured" for name in recorded if name not in found]
    for name in _both(found, recorded):
        new, old = found[name], recorded[name]
        if new.n != old.n:
            worse.append(f"{name}: {new.n} images, recorded {old.n}")
        if new.accuracy < old.accuracy - ACCURACY_MAY_FALL:
            worse.append(f"{name}: accuracy {new.accuracy:.2%}, recorded {old.accuracy:.2%}")
        if new.ece > old.ece + ECE_MAY_RISE:
            worse.append(f"{name}: ECE {new.ece:.3f}, recorded {old.ece:.3f}")
    return worse


def _both(found: Mapping[str, Scores], recorded: Mapping[str, Scores]) -> list[str]:
    return [name for name in recorded if name in found]
