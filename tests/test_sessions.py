"""Recorded sessions: what they come to, what people add to them, and what a kill may cost."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mien.batch.events import SESSION_EVENT_COLUMNS
from mien.batch.recordings import read_results, read_times
from mien.batch.session_files import make_session_file
from mien.errors import LoadingError, SessionError, SessionMissingError, SessionRunningError
from mien.queue.session_exports import SessionExports
from mien.recording.csv_log import HEADER, CsvRecorder
from mien.recording.edits import SessionState, apply
from mien.recording.journal import append_edits, read_journal
from mien.recording.overview import SHOWN, read_overview
from mien.recording.overviews import stamp
from mien.recording.rows import COLUMNS, as_csv, row
from mien.recording.session_files import find_session
from mien.recording.sessions import Sessions
from mien.types import EXPRESSIONS, Analysis, Frame
from tests.fakes import FakeClock, without_threads
from tests.patience import PATIENCE_S, wait_for
from tests.test_csv_log import PIXELS, analysis, face, frame
from tests.web_fakes import face_showing

ID = "session-20231114-221500"
ROOT = Path(__file__).resolve().parents[1]
EPOCH_S = 1_700_000_000.0
REPEATED = ((0.0, "happy"), (0.5, "sad"))


def line(number: int, at_s: float, who: int, label: str = "happy", unsure: int = 0) -> bytes:
    shown = replace(face_showing(label, who), unsure=bool(unsure))
    return as_csv([row(number, Frame(PIXELS, number, EPOCH_S + at_s), shown, Analysis(640, 480, (shown,)))])


def write_session(root: Path, rows: list[bytes], session: str = ID, *, single: bool = False) -> Path:
    """A session with these rows that began at EPOCH_S, or a file of version 0.1; returns the CSV file."""
    if single:
        path = root / f"{session}.csv"
        root.mkdir(exist_ok=True)
    else:
        (root / session).mkdir(parents=True)
        path = root / session / "faces.csv"
        begin = {"at": EPOCH_S, "do": "begin", "source": "program"}
        path.with_name("edits.jsonl").write_text(json.dumps(begin) + "\n")
    path.write_bytes(HEADER + b"".join(rows))
    return path


def two_people() -> list[bytes]:
    """Ten frames a second: face 1 happy for a second, then unsure; face 2 sad in the second half."""
    rows = []
    for number in range(20):
        rows.append(line(number, number / 10, 1, unsure=int(number >= 10)))
        if number >= 10:
            rows.append(line(number, number / 10, 2, "sad"))
    return rows


def shown_for_long() -> list[bytes]:
    """Six frames, one a second, each recorded again after half a second: face 1 is happy, and in the repeats sad."""
    return [line(number, number + late_s, 1, label) for number in range(6) for late_s, label in REPEATED]


@pytest.fixture
def store(tmp_path) -> Sessions:
    write_session(tmp_path / "sessions", two_people())
    return Sessions(tmp_path / "sessions", clock=FakeClock())


# ---- edits


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([{"do": "rename", "name": " Pilot "}], {"name": "Pilot"}),
        ([{"do": "rename", "name": "Pilot"}, {"do": "rename", "name": ""}], {"name": ""}),
        ([{"do": "person", "face": 3, "name": "Anna"}], {"names": {3: "Anna"}}),
        ([{"do": "person", "face": 3, "name": "Anna"}, {"do": "person", "face": 3, "name": ""}], {"names": {}}),
        ([{"do": "merge", "faces": [3, 1]}], {"merged": {3: 1}}),
        ([{"do": "merge", "faces": [5, 3]}, {"do": "merge", "faces": [3, 1]}], {"merged": {3: 1, 5: 1}}),
        ([{"do": "merge", "faces": [1, 3, 5]}, {"do": "split", "faces": [1]}], {"merged": {5: 3}}),
        ([{"do": "merge", "faces": [1, 3, 5]}, {"do": "split", "faces": [3]}], {"merged": {5: 1}}),
        ([{"do": "merge", "faces": [1, 3]}, {"do": "split", "faces": [1, 3]}], {"merged": {}}),
    ],
)
def test_the_state_is_the_result_of_all_edits(edits, expected) -> None:
    state = SessionState()
    for edit in edits:
        state = apply(state, edit)
    assert {name: getattr(state, name) for name in expected} == expected
    assert state.count == len(edits)


def test_a_merged_person_has_one_name_and_a_split_gives_each_its_own_back() -> None:
    state = SessionState()
    for edit in (
        {"do": "person", "face": 1, "name": "Anna"},
        {"do": "person", "face": 3, "name": "Ben"},
        {"do": "merge", "faces": [1, 3]},
    ):
        state = apply(state, edit)
    assert [state.person(each) for each in (1, 2, 3)] == ["Anna", "Face 2", "Anna"]
    split = apply(state, {"do": "split", "faces": [3]})
    assert [split.person(each) for each in (1, 3)] == ["Anna", "Ben"]
    renamed = apply(apply(state, {"do": "person", "face": 3, "name": "Cleo"}), {"do": "split", "faces": [3]})
    assert [renamed.person(each) for each in (1, 3)] == ["Cleo", "Cleo"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({}, "as do, found None"),
        ({"do": ["mark"]}, "as do"),
        ({"do": "explode"}, "as do, found 'explode'"),
        ({"do": "rename", "name": 3}, "printable characters as name"),
        ({"do": "rename", "name": "x" * 121}, "at most 120"),
        ({"do": "rename", "name": "two\nlines"}, "printable"),
        ({"do": "mark", "id": "m1", "t": -1, "text": ""}, "seconds from 0"),
        ({"do": "mark", "id": "m1", "t": float("nan")}, "seconds from 0"),
        ({"do": "mark", "id": "m1", "t": True}, "seconds from 0"),
        ({"do": "mark", "id": "m1"}, "seconds from 0"),
        ({"do": "mark", "id": "x1", "t": 1}, "an id such as m1"),
        ({"do": "mark", "id": "m٣", "t": 1}, "an id such as m1"),
        ({"do": "unmark", "id": "m7"}, "the id of a marker"),
        ({"do": "person", "face": 0, "name": "Anna"}, "the number of a face"),
        ({"do": "person", "face": "1", "name": "Anna"}, "the number of a face"),
        ({"do": "merge", "faces": [1]}, "from 2 to 100"),
        ({"do": "merge", "faces": [1, 1]}, "from 2 to 100"),
        ({"do": "merge", "faces": "13"}, "from 2 to 100"),
        ({"do": "split", "faces": [1]}, "merged with another, found 1"),
        ({"do": "exclude", "id": "x1", "from": 2, "to": 2}, "ends after it begins"),
        ({"do": "include", "id": "x1"}, "the id of an excluded span"),
        ({"do": "begin", "at": 10**400}, "seconds from 0 to 1e"),
        ({"do": "begin", "at": float("inf")}, "seconds from 0 to 1e"),
    ],
)
def test_an_edit_that_is_not_valid_says_what_was_expected(edit, says) -> None:
    with pytest.raises(SessionError, match=says):
        apply(SessionState(), edit)


def test_markers_and_spans_get_ids_that_are_never_used_again(store) -> None:
    mark, exclude = {"do": "mark", "t": 2.0, "text": "b"}, {"do": "exclude", "from": 0.0, "to": 0.5}
    store.edit(ID, [mark, exclude])
    store.edit(ID, [{"do": "unmark", "id": "m1"}, {"do": "include", "id": "x1"}])
    state = store.edit(ID, [mark, {**mark, "t": 1.0}, exclude]).state
    assert [(each.id, each.t) for each in state.markers] == [("m3", 1.0), ("m2", 2.0)]
    assert [each.id for each in state.excluded] == ["x2"]
    state = store.edit(ID, [{"do": "mark", "id": "m3", "text": "changed"}]).state
    assert [(each.id, each.t, each.text) for each in state.markers] == [("m3", 1.0, "changed"), ("m2", 2.0, "b")]


@pytest.mark.parametrize("unknown", ["m1", "m2", "m99999999", "x1", "", 1])
def test_a_marker_with_an_unknown_id_is_refused_and_new_ones_go_on(store, unknown) -> None:
    store.edit(ID, [{"do": "mark", "t": 1.0}, {"do": "unmark", "id": "m1"}])
    before = store.files(ID).edits.read_bytes()
    with pytest.raises(SessionError, match="expected the id of a marker, found"):
        store.edit(ID, [{"do": "mark", "id": unknown, "t": 1.0}])
    assert store.files(ID).edits.read_bytes() == before
    assert store.edit(ID, [{"do": "mark", "t": 1.0}]).made == ["m2"]


def test_an_id_of_an_excluded_span_is_not_chosen_by_who_adds_it(store) -> None:
    exclude = {"do": "exclude", "from": 0.0, "to": 0.5}
    assert [each.id for each in store.edit(ID, [{**exclude, "id": "x99999999"}, exclude]).state.excluded] == [
        "x1",
        "x2",
    ]


def test_a_marker_in_the_journal_whose_id_was_chosen_is_still_read(store) -> None:
    with store.files(ID).edits.open("a") as file:
        file.write('{"at": 1.0, "do": "mark", "id": "m7", "t": 2.0, "text": "laughs"}\n')
    state = store.edit(ID, [{"do": "mark", "id": "m7", "text": "sings"}, {"do": "mark", "t": 3.0}]).state
    assert [(each.id, each.text) for each in state.markers] == [("m7", "sings"), ("m8", "")]


def test_edits_are_made_together_or_not_at_all(store) -> None:
    path = store.files(ID).edits
    before = path.read_bytes()
    with pytest.raises(SessionError, match="the id of a marker"):
        store.edit(ID, [{"do": "rename", "name": "New"}, {"do": "unmark", "id": "m1"}])
    assert path.read_bytes() == before
    assert store.get(ID).state.name == ""


def test_a_session_can_be_read_without_this_program(store) -> None:
    store.edit(ID, [{"do": "rename", "name": "Übung"}, {"do": "mark", "t": 1.5, "text": "laughs"}])
    _, *lines = map(json.loads, store.files(ID).edits.read_text().splitlines())
    assert [{**each, "at": None} for each in lines] == [
        {"at": None, "do": "rename", "name": "Übung"},
        {"at": None, "do": "mark", "t": 1.5, "text": "laughs", "id": "m1"},
    ]


# ---- their file


@pytest.mark.parametrize("torn", [b'{"at": 1, "do": "ren', b'{"at": 1, "do": "rename", "name": "Never"}', b"\xff\x00"])
def test_a_line_that_a_kill_has_cut_off_does_not_count_and_is_mended(store, torn) -> None:
    path = store.files(ID).edits
    store.edit(ID, [{"do": "rename", "name": "Kept"}])
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert store.get(ID).state.name == "Kept"
    store.edit(ID, [{"do": "mark", "t": 1, "text": ""}])
    assert path.read_bytes().startswith(whole)
    assert torn not in path.read_bytes()
    state = store.get(ID).state
    assert (state.name, len(state.markers)) == ("Kept", 1)


def test_lines_that_are_no_edits_do_not_count(tmp_path) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(b'5\n\n{"do": "later"}\n[' + b"[" * 100_000 + b'\nnot json\n{"do": "rename", "name": "Kept"}\n')
    assert read_journal(path) == SessionState(name="Kept", count=1)


def test_concurrent_edits_are_all_kept(store) -> None:
    def mark(who: int) -> None:
        for number in range(20):
            store.edit(ID, [{"do": "mark", "t": number, "text": f"{who}"}])

    threads = [threading.Thread(target=mark, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    markers = store.get(ID).state.markers
    assert len({each.id for each in markers}) == len(markers) == 80


def test_a_full_disk_leaves_no_half_of_an_edit(store, monkeypatch) -> None:
    path = store.files(ID).edits
    before = path.read_bytes()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mien.recording.journal.os.write", full)
    with pytest.raises(SessionError, match="No space left on device"):
        store.edit(ID, [{"do": "rename", "name": "New"}])
    assert path.read_bytes() == before


def test_a_deleted_session_is_not_created_again_by_its_end(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        append_edits(tmp_path / "edits.jsonl", lambda _: [{"at": 1.0, "do": "end", "length_s": 1.0}])
    assert not list(tmp_path.iterdir())


# ---- sums


def seconds(**shown: float) -> list[float]:
    return [pytest.approx(shown.get(name, 0.0), abs=1e-6) for name in SHOWN]


def test_each_face_counts_for_as_long_as_it_was_seen(store) -> None:
    session = store.get(ID, complete=True)
    assert [(each.face, each.seconds) for each in session.people] == [
        (1, seconds(happy=1.0, unsure=1.0)),
        (2, seconds(sad=1.0)),
    ]
    assert dict(zip(SHOWN, session.shares, strict=True)) == pytest.approx(
        dict.fromkeys(SHOWN, 0) | {"happy": 1 / 3, "sad": 1 / 3, "unsure": 1 / 3}
    )


def test_frames_count_by_time_and_gaps_do_not(tmp_path) -> None:
    times = [*(each / 10 for each in range(10)), *(5 + each / 100 for each in range(10))]
    rows = [line(number, at_s, 1, "happy" if at_s < 2 else "sad") for number, at_s in enumerate(times)]
    overview = read_overview(write_session(tmp_path, rows))
    happy, sad = (overview.seconds[1][EXPRESSIONS.index(each)] for each in ("happy", "sad"))
    assert happy == pytest.approx(0.9 + 0.3)  # of the gap, three usual intervals
    assert sad == pytest.approx(0.09 + 0.1)
    assert (overview.frames, overview.rows) == (20, 20)


def test_a_frame_that_is_shown_for_long_counts_once_on_the_page_and_in_the_report(tmp_path) -> None:
    path = write_session(tmp_path, shown_for_long())
    (person,) = Sessions(tmp_path).get(ID, complete=True).people
    assert person.seconds == seconds(happy=6.0)
    reported_s = dict.fromkeys(SHOWN, 0.0)
    for result, lasts_s in read_results(path, "session", read_times(path)):
        for each in result.faces:
            reported_s[each.label] += lasts_s
    assert person.seconds == seconds(**reported_s)


def test_stored_sums_in_which_repeated_frames_count_twice_are_computed_again(tmp_path) -> None:
    path = write_session(tmp_path, shown_for_long())
    overview = {"began_s": EPOCH_S, "end_s": EPOCH_S + 6, "frames": 6, "rows": 12, "seconds": {"1": [1.5] * len(SHOWN)}}
    path.with_name("overview.json").write_text(json.dumps({"of": stamp(path), "overview": overview}))
    (person,) = Sessions(tmp_path).get(ID, complete=True).people
    assert person.seconds == seconds(happy=6.0)


def test_excluded_spans_do_not_count_and_merged_faces_are_one_person(store) -> None:
    store.edit(ID, [{"do": "exclude", "from": 0.5, "to": 1.0}, {"do": "merge", "faces": [1, 2]}])
    store.edit(ID, [{"do": "person", "face": 2, "name": "Anna"}])
    (person,) = store.get(ID, complete=True).people
    assert (person.face, person.faces, person.name) == (1, [1, 2], "Anna")
    assert person.seconds == seconds(happy=0.5, unsure=1.0, sad=1.0)


@pytest.mark.parametrize(
    "tail",
    [
        b"21,1700000002.100,,1,0",
        line(20, 2.0, 1).replace(b"happy,0", b"bored,0"),
        b"\n",
        b"x,y\n",
        line(20, 2.0, 1)[:-1],
    ],
)
def test_lines_that_are_no_rows_do_not_count(tmp_path, tail) -> None:
    path = write_session(tmp_path, two_people())
    whole = read_overview(path)
    with path.open("ab") as file:
        file.write(tail)
    assert read_overview(path) == whole


def test_a_session_without_a_face_has_no_shares(tmp_path) -> None:
    write_session(tmp_path, [])
    session = Sessions(tmp_path).get(ID, complete=True)
    assert (session.people, session.shares, session.length_s, session.began_s) == ([], None, 0.0, EPOCH_S)


# ---- the list


def test_sums_are_computed_in_the_background_and_found_again(store, monkeypatch) -> None:
    version = store.version
    (session,) = store.all()
    assert session.people is None
    wait_for(lambda: store.version > version)
    (session,) = store.all()
    assert len(session.people) == 2
    monkeypatch.setattr("mien.recording.overviews.read_overview", None)  # as after a restart of the program
    (session,) = Sessions(store.root).all()
    assert len(session.people) == 2


def test_sums_are_computed_once_the_system_allows_threads_again(store, caplog) -> None:
    with without_threads("sessions"):
        assert [session.people for session in store.all()] == [None]
    assert f"{ID} is not summed up: can't start new thread" in caplog.text
    wait_for(lambda: store.all()[0].people is not None)


def test_sums_follow_a_file_that_has_changed(store) -> None:
    assert len(store.get(ID, complete=True).people) == 2
    with store.files(ID).faces.open("ab") as file:
        file.write(line(20, 2.0, 3))
    assert len(store.get(ID, complete=True).people) == 3


def test_sums_follow_an_edit_that_is_made_while_they_are_computed(store, monkeypatch) -> None:
    calls, gate = [], threading.Event()

    def read(*given):
        calls.append(given)
        gate.wait(PATIENCE_S)
        return read_overview(*given)

    monkeypatch.setattr("mien.recording.overviews.read_overview", read)
    store.all()
    wait_for(lambda: calls)
    store.edit(ID, [{"do": "exclude", "from": 0, "to": 1}])
    gate.set()
    wait_for(lambda: len(calls) == 2)


@pytest.mark.parametrize(("error", "kept"), [(errno.EIO, False), (errno.ENOSPC, False), (errno.EINVAL, True)])
def test_an_edit_that_does_not_reach_the_disk_is_refused(store, monkeypatch, error, kept) -> None:
    before = store.files(ID).edits.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fail)
    if kept:  # the file system knows no such call
        assert store.edit(ID, [{"do": "rename", "name": "Pilot"}]).state.name == "Pilot"
        return
    with pytest.raises(SessionError, match=f"cannot be written: {os.strerror(error)}"):
        store.edit(ID, [{"do": "rename", "name": "Pilot"}])
    assert store.files(ID).edits.read_bytes() == before


def test_a_session_is_deleted_even_if_its_sums_are_written_meanwhile(store, monkeypatch) -> None:
    remove, files = shutil.rmtree, store.files(ID)

    def interrupted(folder) -> None:
        monkeypatch.setattr("shutil.rmtree", remove)
        files.faces.unlink()
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr("shutil.rmtree", interrupted)
    store.delete(ID)
    assert not files.folder.exists()


def test_files_of_version_0_1_are_sessions_too(tmp_path) -> None:
    path = write_session(tmp_path, two_people(), single=True)
    path.with_suffix(".mien.json").write_text("{}")
    store = Sessions(tmp_path)
    session = store.get(ID, complete=True)
    assert (session.began_s, session.length_s, session.number_of_people) == (EPOCH_S, pytest.approx(2.0), 2)
    raw = path.read_bytes()
    assert store.edit(ID, [{"do": "rename", "name": "Old"}]).state.name == "Old"
    assert (tmp_path / f"{ID}.edits.jsonl").is_file()
    assert path.read_bytes() == raw
    assert [each.id for each in store.all()] == [ID]
    store.delete(ID)
    assert not list(tmp_path.iterdir())


def test_the_newest_session_comes_first(tmp_path) -> None:
    for second in (3, 1, 2):
        write_session(tmp_path, [line(0, second, 1)], f"session-20231114-22150{second}", single=True)
    assert [each.id[-1] for each in Sessions(tmp_path).all()] == ["3", "2", "1"]


def test_without_a_folder_there_are_no_sessions(tmp_path) -> None:
    assert Sessions(tmp_path / "none").all() == []


@pytest.mark.parametrize(
    "session",
    [
        *("", ".", "..", "../secret", f"{ID}/../{ID}", f"{ID}/", f"{ID}\n", f"{ID}.csv", "session-x", "/etc/passwd"),
        *(f"{ID}\0", ID.replace("2", "٢"), "linked", "session-20200101-000000", "session-20200101-000001"),
        *("session-20200101-000002", "session-20200101-000003"),
    ],
)
def test_only_what_lies_in_the_folder_is_a_session(store, tmp_path, session) -> None:
    root = store.root
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "faces.csv").write_bytes(HEADER)
    (root / "linked").symlink_to(tmp_path / "secret")
    (root / "session-20200101-000000").symlink_to(tmp_path / "secret")
    (root / "session-20200101-000001.csv").symlink_to(tmp_path / "secret" / "faces.csv")
    (root / "session-20200101-000002").mkdir()
    (root / "session-20200101-000002" / "faces.csv").symlink_to(tmp_path / "secret" / "faces.csv")
    (root / "session-20200101-000003").mkdir()
    assert find_session(root, session) is None
    assert [each.id for each in store.all()] == [ID]
    for act in (store.get, store.delete, lambda each: store.edit(each, [])):
        with pytest.raises(SessionMissingError):
            act(session)
    assert (tmp_path / "secret" / "faces.csv").exists()


# ---- while it is recorded


@pytest.fixture
def recorded(tmp_path):
    """A recorder and the store of its sessions, with a clock that tests set."""
    clock = FakeClock()
    recorder = CsvRecorder(tmp_path / "sessions", clock)

    def running() -> dict:
        status = recorder.status()
        return {status.session: status} if status.on else {}

    yield recorder, Sessions(tmp_path / "sessions", running, clock), clock
    recorder.stop()


def test_a_session_is_as_long_as_it_was_although_the_clock_is_set_back(recorded, monkeypatch) -> None:
    recorder, store, clock = recorded
    session = recorder.start().session
    for number in range(3):
        recorder.record(frame(number, 100 + 5.0 * number), analysis(face(1)))
    wait_for(lambda: recorder.status().rows == 3)
    clock.advance(12)
    before_s = clock.wall()
    monkeypatch.setattr(clock, "wall", lambda: before_s - 3600)
    assert store.get(session).length_s == 10  # as far as its rows say
    (marker,) = store.edit(session, [{"do": "mark"}]).state.markers
    assert marker.t == 10
    clock.advance(3)
    recorder.stop()
    wait_for(lambda: store.get(session).state.length_s is not None)
    assert store.get(session).state.length_s == 15
    assert store.get(session).length_s == 15


def test_a_session_whose_length_was_written_too_short_is_as_long_as_its_rows(store) -> None:
    edits = store.files(ID).edits
    append_edits(edits, lambda _: [{"at": EPOCH_S - 3590, "do": "end", "length_s": 0.0}])
    assert store.get(ID, complete=True).length_s == pytest.approx(1.9)  # when the last of them begins


def test_a_running_session_is_listed_can_be_edited_and_not_deleted(recorded) -> None:
    recorder, store, clock = recorded
    session = recorder.start().session
    recorder.record(frame(0), analysis(face(1), face(2)))
    wait_for(lambda: recorder.status().rows == 2)
    clock.advance(12.5)
    store.edit(session, [{"do": "mark", "text": "now"}])
    (listed,) = store.all()
    assert (listed.recording.on, listed.length_s, listed.number_of_people) == (True, 12.5, 2)
    assert [(each.t, each.text) for each in listed.state.markers] == [(12.5, "now")]
    with pytest.raises(SessionRunningError):
        store.delete(session)
    clock.advance(2.5)
    recorder.stop()
    ended = store.get(session, complete=True)
    assert (ended.recording, ended.length_s, ended.number_of_people) == (None, 15.0, 2)
    assert [each.text for each in ended.state.markers] == ["now"]
    store.delete(session)
    assert store.all() == []


def test_beginning_and_end_of_a_recording_change_the_version(recorded) -> None:
    recorder, store, _ = recorded
    recorder.changed = store.note_change
    version = store.version
    recorder.start()
    assert store.version > version
    version = store.version
    recorder.stop()
    assert store.version > version


def test_a_new_recording_never_gets_the_id_of_an_old_file(recorded) -> None:
    recorder, store, _ = recorded
    session = recorder.start().session
    recorder.stop()
    store.delete(session)
    (store.root / f"{session}.csv").write_bytes(HEADER)
    assert recorder.start().session == f"{session}-2"


# ---- the table


def table(store: Sessions) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(store.csv(ID)).decode())))


def test_the_table_has_what_people_added_and_the_rows_stay(store) -> None:
    raw = store.files(ID).faces.read_bytes()
    store.edit(
        ID,
        [
            {"do": "mark", "t": 1.04, "text": "laughs, then"},
            {"do": "mark", "t": 1.09},
            {"do": "mark", "t": 60, "text": "late"},
            {"do": "person", "face": 2, "name": "Anna"},
            {"do": "exclude", "from": 0.3, "to": 0.55},
        ],
    )
    rows = table(store)
    assert list(rows[0]) == [*COLUMNS, "marker", "person", "excluded"]
    assert [(row["frame"], row["face"], row["marker"]) for row in rows if row["marker"]] == [
        *(("10", face, "laughs, then; m2") for face in ("1", "2")),
        *(("19", face, "late") for face in ("1", "2")),
    ]
    assert {(row["face"], row["person"]) for row in rows} == {("1", "Face 1"), ("2", "Anna")}
    assert [row["frame"] for row in rows if row["excluded"] == "1"] == ["3", "4", "5"]
    assert store.files(ID).faces.read_bytes() == raw
    whole = json.loads(b"".join(store.json(ID, '{"id": 1}')))
    assert whole["session"] == {"id": 1}
    assert len(whole["rows"]) == len(rows) == 30
    assert whole["rows"][3] | {"time": 0} == whole["rows"][3] | {
        **{"frame": 3, "time": 0, "face": 1, "label": "happy", "unsure": False, "media_time_s": None},
        **{"marker": None, "person": "Face 1", "excluded": True},
    }


@pytest.mark.parametrize("typed", ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(A1); b"])
def test_no_spreadsheet_takes_a_name_or_marker_for_a_formula(store, typed) -> None:
    store.edit(ID, [{"do": "mark", "t": 1.04, "text": typed}, {"do": "person", "face": 2, "name": typed}])
    rows = table(store)
    assert {row["marker"] for row in rows} == {"", f"'{typed}"}
    assert {row["person"] for row in rows} == {"Face 1", f"'{typed}"}
    whole = json.loads(b"".join(store.json(ID, "{}")))["rows"]
    assert {row["person"] for row in whole} == {"Face 1", typed}, "JSON has texts as they are"


def test_the_table_and_the_replay_agree_though_the_clock_is_set_back(tmp_path) -> None:
    rows = [line(number, at_s, 1) for number, at_s in enumerate([0.0, 0.1, -5.0, -4.9])]
    write_session(tmp_path, rows)
    store = Sessions(tmp_path)
    frames, _ = store.frames(ID, 0.15, 0.25)
    assert [each["frame"] for each in frames] == [2]
    store.edit(ID, [{"do": "exclude", "from": 0.15, "to": 0.25}])
    table = pd.read_csv(io.BytesIO(b"".join(store.csv(ID))))
    assert table.excluded.tolist() == [0, 0, 1, 0]


def test_the_table_of_a_killed_session_ends_with_a_whole_row(store) -> None:
    with store.files(ID).faces.open("ab") as file:
        file.write(line(20, 2.0, 1)[:-5])
    assert len(table(store)) == 30


def test_a_table_without_rows_has_a_header(tmp_path) -> None:
    write_session(tmp_path, [])
    store = Sessions(tmp_path)
    store.edit(ID, [{"do": "mark", "t": 1, "text": "nobody there"}])
    assert table(store) == []
    assert json.loads(b"".join(store.json(ID, "{}"))) == {"session": {}, "rows": []}


# ---- what is made of it


@pytest.fixture
def edited(store) -> Sessions:
    store.edit(
        ID,
        [
            {"do": "rename", "name": "Pilot $1$"},
            {"do": "person", "face": 1, "name": "Anna <b>"},
            {"do": "mark", "t": 1.25, "text": "laughs"},
            {"do": "exclude", "from": 0.0, "to": 0.5},
        ],
    )
    return store


def test_the_report_has_names_markers_and_no_excluded_spans(edited, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    page = make_session_file(edited.root, ID, "report.html", tmp_path / "made").read_text()
    assert "Facial expressions in Pilot $1$" in page
    assert "Anna &lt;b&gt;" in page
    assert "Face 2" in page
    assert "Markers and excluded spans" in page
    assert "laughs" in page
    summary = pd.read_csv(tmp_path / "made" / "summary.csv").groupby("face")["face_seconds"].first()
    assert summary.to_dict() == {1: pytest.approx(1.5), 2: pytest.approx(1.0)}


def test_merged_faces_are_one_person_in_the_report_with_its_resting_face(edited, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    odds = dict.fromkeys(EXPRESSIONS, -1.25) | {"neutral": 1.25}
    rest = {"do": "baseline", "face": 2, "frames": 84, "log_odds": odds}
    edited.edit(ID, [{"do": "merge", "faces": [1, 2]}, rest])
    page = make_session_file(edited.root, ID, "report.html", tmp_path / "made").read_text()
    assert "Face 2" not in page
    assert "the mean of 84 frames, in log odds: angry −1.2, disgust −1.2, fear −1.2, happy −1.2, neutral +1.2" in page


def test_events_have_names_markers_and_excluded_spans(edited, tmp_path) -> None:
    edited.edit(ID, [{"do": "mark", "t": 0.1}, {"do": "person", "face": 2, "name": ""}])
    path = edited.files(ID).faces
    path.write_bytes(HEADER + b"".join(line(number, 0.2 + number / 10, 1) for number in range(20)) + line(19, 2.1, 2))
    events = pd.read_csv(make_session_file(edited.root, ID, "events.csv", tmp_path / "made"), keep_default_na=False)
    assert tuple(events.columns) == SESSION_EVENT_COLUMNS
    found = events[["onset", "duration", "trial_type", "face", "person", "text"]].astype(str).values.tolist()
    assert found == [  # from the first row on, which is 0.2 s after the session began
        ["-0.2", "0.5", "excluded", "", "", ""],
        ["-0.1", "0.0", "marker", "", "", ""],
        ["0.3", "1.7", "happy", "1", "Anna <b>", ""],
        ["1.05", "0.0", "marker", "", "", "laughs"],
        ["1.9", "0.1", "happy", "2", "Face 2", ""],
    ]
    assert set(events["input"]) == {"Pilot $1$"}


def test_no_spreadsheet_takes_what_was_typed_for_a_formula_in_events(edited, tmp_path) -> None:
    typed = "=1+1"
    named = [{"do": "rename", "name": typed}, {"do": "person", "face": 1, "name": typed}]
    edited.edit(ID, [*named, {"do": "mark", "t": 1.0, "text": typed}])
    events = pd.read_csv(make_session_file(edited.root, ID, "events.csv", tmp_path / "made"), keep_default_na=False)
    assert set(events["input"]) == {f"'{typed}"}
    assert set(events["person"]) == {"", "Face 2", f"'{typed}"}
    assert set(events["text"]) == {"", "laughs", f"'{typed}"}


def test_the_table_is_written_as_parquet(edited, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pd.read_parquet(make_session_file(edited.root, ID, "faces.parquet", tmp_path / "made"))
    assert list(table.columns) == [*COLUMNS, "marker", "person", "excluded"]
    assert (len(table), table["excluded"].sum(), set(table["person"])) == (30, 5, {"Anna <b>", "Face 2"})
    assert table["marker"].dropna().tolist() == ["laughs", "laughs"]
    assert table["frame"].dtype == "int64"


def test_files_are_made_in_another_process_once(edited, tmp_path, monkeypatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    exports = SessionExports(edited)
    try:
        path = exports.make(ID, "report.html")
        assert "Anna" in path.read_text()
        with monkeypatch.context() as patched:
            patched.setattr(SessionExports, "_run", None)
            assert exports.make(ID, "report.html") == path
        write_session(edited.root, [], "session-20200101-000000")
        with pytest.raises(SessionError, match="a recording with faces, found none"):
            exports.make("session-20200101-000000", "report.html")
        with pytest.raises(SessionMissingError):
            exports.make("session-20200101-000001", "report.html")
        edited.delete(ID)
        exports.forget_deleted()
        assert not path.parent.exists()
    finally:
        exports.close()
    assert not path.exists()


def test_a_request_that_waited_while_the_program_stopped_makes_no_file_and_no_folder(edited, monkeypatch) -> None:
    exports = SessionExports(edited)
    monkeypatch.setattr(SessionExports, "_run", lambda self, *_: pytest.fail("a file is made"))
    exports.close()
    with pytest.raises(LoadingError, match="one that is stopping"):
        exports.make(ID, "report.html")
    assert exports._storage._root is None


def test_a_process_that_has_ended_without_an_answer_is_said_to_have(edited) -> None:
    class Ended:
        """As a pipe of Windows whose other end is closed."""

        def poll(self, timeout_s):
            raise BrokenPipeError(109, "The pipe has been ended")

    exports = SessionExports(edited)
    assert exports._answer(Ended()) == "the process that makes it has ended, perhaps for lack of memory"
    exports.close()


INTERRUPTED = """
    import signal
    from pathlib import Path
    from types import SimpleNamespace
    from mien.batch import session_files
    from mien.queue.session_exports import _make
    session_files.make_session_file = lambda *_: signal.raise_signal(signal.SIGINT) or "made"
    _make(SimpleNamespace(send=print), Path(), "session", "report.html", Path())
"""


def test_the_process_that_makes_a_file_leaves_ctrl_c_to_the_program() -> None:
    words = [sys.executable, "-c", textwrap.dedent(INTERRUPTED)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "made\n", done.stderr


CHILD = """
    import itertools, sys
    from pathlib import Path
    from mien.recording.sessions import Sessions
    store = Sessions(Path(sys.argv[1]))
    for number in itertools.count():
        store.edit(sys.argv[2], [{"do": "mark", "t": number, "text": "x" * 400}, {"do": "rename", "name": f"{number}"}])
        print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_kill_loses_no_edit_that_was_confirmed(store) -> None:
    words = [sys.executable, "-c", textwrap.dedent(CHILD), str(store.root), ID]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        for line_ in child.stdout:
            if int(line_) == 100:
                child.kill()
                break
        last = max([100, *(int(each) for each in child.stdout if each.endswith("\n"))])
    state = store.edit(ID, [{"do": "mark", "t": 1e6, "text": "after"}]).state
    assert int(state.name) >= last
    times = [marker.t for marker in state.markers]
    assert times[: last + 1] == [float(number) for number in range(last + 1)]
    assert times[-1] == 1e6
