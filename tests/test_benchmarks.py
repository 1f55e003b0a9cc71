"""What the benchmarks count, on inputs whose figures are known."""

import pytest

from benchmarks.steadiness import changes, delays

FPS = 20


@pytest.mark.parametrize(("labels", "expected"), [("", 0), ("a", 0), ("aaaa", 0), ("aabba", 2), ("abab", 3)])
def test_changes_are_counted(labels, expected):
    assert changes(labels) == expected


@pytest.mark.parametrize(
    ("raw", "shown", "expected"),
    [
        ("a" * 40, "a" * 40, []),
        ("a" * 20 + "b" * 20, "a" * 20 + "b" * 20, []),
        ("a" * 20 + "b" * 20, "a" * 26 + "b" * 14, [0.3]),
        ("a" * 20 + "b" * 20, "a" * 40, [float("inf")]),
        ("a" * 20 + "b" * 4 + "a" * 16, "a" * 40, []),
        ("a" * 20 + "bbbbbabbbb" + "b" * 10, "a" * 22 + "b" * 18, [0.1]),
        ("a" * 20 + "b" * 20 + "c" * 20, "a" * 24 + "b" * 21 + "c" * 15, [0.2, 0.25]),
        ("a" * 36 + "b" * 4, "a" * 40, []),
    ],
)
def test_delays_of_lasting_changes(raw, shown, expected):
    assert delays(raw, shown, [i / FPS for i in range(len(raw))]) == pytest.approx(expected)
