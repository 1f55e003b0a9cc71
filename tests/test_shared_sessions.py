"""Several programs with the same folder of sessions: no edit of one is lost to another."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mien.recording import journal
from mien.recording.journal import read_journal
from tests.patience import PATIENCE_S

EDIT = """
import sys
from pathlib import Path
from mien.recording.edits import numbered
from mien.recording.journal import append_edits

for number in range(40):
    mark = {"do": "mark", "t": 1.0, "text": f"{sys.argv[2]} {number}"}
    append_edits(Path(sys.argv[1]), lambda state: [{"at": 1.0, **numbered(state, mark)}], create=True)
"""


@pytest.mark.skipif(journal.fcntl is None, reason="this system has no locks of files")
def test_edits_of_several_programs_are_all_kept_each_with_an_id_of_its_own(tmp_path):
    path = tmp_path / "edits.jsonl"
    programs = [subprocess.Popen([sys.executable, "-c", EDIT, str(path), name]) for name in "abc"]
    assert [each.wait(PATIENCE_S) for each in programs] == [0, 0, 0]
    markers = read_journal(path).markers
    assert len({each.id for each in markers}) == 120
    assert {each.text for each in markers} == {f"{name} {number}" for name in "abc" for number in range(40)}
