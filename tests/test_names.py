"""Names of any characters and bytes, as they may be shown."""

import pytest

from mien.names import is_printable, printable
from mien.sources import source_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("Café (2) 猫.mp4", "Café (2) 猫.mp4"),
        ("", ""),
        ("a\\b", "a\\b"),
        ("two\nlines.mp4", r"two\nlines.mp4"),
        ("\x1b[2J.mp4", r"\x1b[2J.mp4"),
        ("caf\udce9.mp4", r"caf\xe9.mp4"),
        ("\ud800", r"\ud800"),
        ("right\u202eto left", r"right\u202eto left"),
        ("\u2028\x9b\x00\x7f", r"\u2028\x9b\x00\x7f"),
    ],
)
def test_a_name_is_shown_without_control_characters(name, shown):
    assert printable(name) == shown
    printable(name).encode("utf-8")
    assert source_name(f"folder/{name or 'a.mp4'}") == (shown or "a.mp4")


@pytest.mark.parametrize("name", ["Aufnahme 9.41\u202fAM.mov", "a\u00a0b", "\u3000", "\U0001f468\u200d\U0001f469"])
def test_spaces_and_joiners_of_all_scripts_are_shown(name) -> None:
    assert is_printable(name)
    assert printable(name) == name


@pytest.mark.parametrize("name", ["\u2028", "\u2029", "\u202e", "\u2066", "\x7f", "\x85", "\udce9", "\ufeff"])
def test_what_ends_a_line_or_turns_its_order_is_escaped(name) -> None:
    assert not is_printable(name)
    assert printable(name) != name
