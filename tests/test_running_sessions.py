"""The sums of a session while it is recorded: those of its rows so far, and at its end those of all."""

from __future__ import annotations

import pytest

from mien.recording.csv_log import Recording
from mien.recording.edits import Excluded
from mien.recording.overview import SHOWN, RowSums, read_overview
from mien.recording.running import EVERY_S, MAX_SHARE, RunningOverviews
from mien.recording.session_files import SessionFiles
from mien.recording.sessions import Sessions
from tests.fakes import FakeClock
from tests.test_sessions import EPOCH_S, ID, shown_for_long, two_people, write_session


@pytest.fixture
def growing(tmp_path):
    """A session without rows, a function that appends to its file, the sums, and their clock."""
    path = write_session(tmp_path, [])
    clock = FakeClock()
    running = RunningOverviews(clock)

    def append(data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)
        clock.advance(EVERY_S)

    return SessionFiles(tmp_path, ID), append, running, clock


@pytest.mark.parametrize("excluded", [(), (Excluded("x1", 0.5, 1.25),)])
def test_at_any_time_the_sums_are_those_of_the_rows_so_far(growing, excluded) -> None:
    files, append, running, _ = growing
    assert running.known(files, EPOCH_S, excluded).rows == 0
    for number, line in enumerate(two_people(), start=1):
        append(line)
        known = running.known(files, EPOCH_S, excluded)
        assert (known.rows, known) == (number, read_overview(files.faces, EPOCH_S, excluded))


def test_a_frame_that_is_recorded_again_counts_once_while_it_is_recorded(growing) -> None:
    files, append, running, _ = growing
    for number, line in enumerate(shown_for_long()):
        append(line)
        known = running.known(files, EPOCH_S, ())
        assert (known.rows, known.frames) == (number // 2 + 1, number // 2 + 1)
    assert sum(known.seconds[1]) == known.seconds[1][SHOWN.index("happy")] == pytest.approx(6)


def test_an_excluded_span_counts_at_once_and_rows_are_read_twice_a_second(growing) -> None:
    files, append, running, clock = growing
    rows = two_people()
    append(b"".join(rows[:10]))
    happy = SHOWN.index("happy")
    assert running.known(files, EPOCH_S, ()).seconds[1][happy] == pytest.approx(1)
    with files.faces.open("ab") as file:
        file.write(b"".join(rows[10:]))
    clock.advance(0.9 * EVERY_S)
    known = running.known(files, EPOCH_S, (Excluded("x1", 0.0, 0.5),))
    assert (known.rows, known.seconds[1][happy]) == (10, pytest.approx(0.5))
    clock.advance(0.1 * EVERY_S)
    assert running.known(files, EPOCH_S, ()).rows == 30


def test_where_summing_up_takes_long_it_is_done_less_often(growing, monkeypatch) -> None:
    files, append, running, clock = growing
    rows, overview = two_people(), RowSums.overview

    def slowly(*values):
        clock.advance(0.2)
        return overview(*values)

    monkeypatch.setattr(RowSums, "overview", slowly)
    append(b"".join(rows[:10]))
    assert running.known(files, EPOCH_S, ()).rows == 10
    append(b"".join(rows[10:]))
    clock.advance(0.2 / MAX_SHARE - 0.2 - EVERY_S - 0.1)
    assert running.known(files, EPOCH_S, ()).rows == 10
    clock.advance(0.2)
    assert running.known(files, EPOCH_S, ()).rows == 30


def test_half_a_row_is_read_when_it_is_complete_and_what_is_no_row_is_left_out(growing) -> None:
    files, append, running, _ = growing
    first, second, third = two_people()[:3]
    append(first + b"no,row\n" + second[:20])
    assert running.known(files, EPOCH_S, ()).rows == 1
    append(second[20:] + third)
    assert running.known(files, EPOCH_S, ()).rows == 3


def test_of_a_long_recording_the_sums_are_known_when_all_older_rows_were_read(growing, monkeypatch) -> None:
    files, append, running, clock = growing
    monkeypatch.setattr("mien.recording.running.MAX_ROWS", 12)
    append(b"".join(two_people()))
    found = []
    for _ in range(3):
        found.append(running.known(files, EPOCH_S, ()))
        clock.advance(EVERY_S)
    assert found[:2] == [None, None]
    assert found[2] == read_overview(files.faces, EPOCH_S)


def test_a_file_that_is_gone_or_no_recording_has_no_sums(growing) -> None:
    files, append, running, clock = growing
    files.faces.write_bytes(b"something,else\n")
    assert running.known(files, EPOCH_S, ()) is None
    files.faces.unlink()
    clock.advance(EVERY_S)
    assert running.known(files, EPOCH_S, ()) is None
    running.forget_others([])
    write_session(files.root.parent / "other", [])
    files.faces.write_bytes((files.root.parent / "other" / ID / "faces.csv").read_bytes())
    append(two_people()[0])
    assert running.known(files, EPOCH_S, ()).rows == 1


def test_names_and_merged_faces_of_a_running_session_count_at_once(tmp_path) -> None:
    write_session(tmp_path, two_people())
    status = Recording(on=True, since=EPOCH_S, session=ID, people=2)
    store = Sessions(tmp_path, lambda: {ID: status}, FakeClock())
    assert [(each.name, list(each.faces)) for each in store.get(ID).people] == [("", [1]), ("", [2])]
    edits = [{"do": "merge", "faces": [1, 2]}, {"do": "person", "face": 2, "name": "Anna"}]
    (person,) = store.edit(ID, edits).people
    assert (person.name, list(person.faces), sum(person.seconds)) == ("Anna", [1, 2], pytest.approx(3))
    (listed,) = store.all()
    assert (listed.number_of_people, sum(listed.shares)) == (1, pytest.approx(1))
