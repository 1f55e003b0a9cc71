"""What is fuzzed: a parser, the inputs it gets, and the errors with which it may refuse them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from mien.errors import MienError

Call = Callable[[bytes], object]

Prepare = Callable[[Path, ExitStack], tuple[SearchStrategy[bytes], Call]]
"""Makes the seeds and what takes one input, in an empty folder; what has to be closed is left to the stack."""


@dataclass(frozen=True)
class Target:
    """A parser to be fuzzed; every input is bytes, so that it can be stored and replayed.

        Target("labels", 2, prepare, clear=(ValueError,))

    Args:
        name: In the table and in the names of stored inputs.
        share: Of all inputs, relative to the shares of the others.
        prepare: Makes the inputs and what takes them.
        clear: The errors that say clearly what is wrong with an input; anything else that is raised counts as a crash.
        heavy: Whether it needs seconds or a gigabyte to start, so that the short form in the tests leaves it out, or
            tries the fewest inputs.
    """

    name: str
    share: int
    prepare: Prepare
    clear: tuple[type[BaseException], ...] = (MienError,)
    heavy: bool = False
