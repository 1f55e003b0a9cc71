"""Lab Streaming Layer: a real inlet, as LabRecorder has."""

import math
import re
import time
from dataclasses import replace

import pylsl
import pytest

from mien.errors import SettingsError
from mien.outputs.changes import MessageStream
from mien.outputs.kinds import create
from mien.outputs.lsl import CHANNELS
from tests.outputs_fake import LIVE, face_showing, playing, printing, snapshot
from tests.patience import PATIENCE_S, scaled
from tests.test_readme import block


def inlet(name):
    found = pylsl.resolve_byprop("name", name, timeout=PATIENCE_S)
    assert found, f"the stream {name} is not found"
    made = pylsl.StreamInlet(found[0])
    made.open_stream(timeout=PATIENCE_S)
    return made


def test_an_inlet_gets_faces_and_changes_with_their_times():
    unique = f"Mien-{time.monotonic_ns()}"
    output = create(f"lsl:{unique}?slots=2")
    output.open()
    messages = MessageStream()
    try:
        faces, changes = inlet(f"{unique} face 1"), inlet(f"{unique} changes")
        for outlet in (output._faces[0], output._changes):  # which may know of its inlet later than the inlet itself
            assert outlet.wait_for_consumers(PATIENCE_S)
        channel = faces.info(PATIENCE_S).desc().child("channels").child("channel")
        assert (channel.child_value("label"), channel.child_value("unit")) == ("angry", "probability")
        assert faces.info().nominal_srate() == pylsl.IRREGULAR_RATE
        assert faces.info().channel_count() == len(CHANNELS)
        sent_s = pylsl.local_clock()
        for message in messages.next(snapshot(1, replace(face_showing("happy"), id=7)), LIVE):
            output.send(message)
        values, at = faces.pull_sample(timeout=PATIENCE_S)
        assert max(range(7), key=values.__getitem__) == [label for label, _ in CHANNELS].index("happy")
        assert abs(at - sent_s) < scaled(5)
        for message in messages.next(snapshot(2), LIVE):
            output.send(message)
        values, _ = faces.pull_sample(timeout=PATIENCE_S)
        assert all(math.isnan(value) for value in values)
        texts = [changes.pull_sample(timeout=PATIENCE_S)[0][0] for _ in range(3)]
        assert texts == ["source_changed state=live", "face_appeared slot=1", "face_left slot=1"]
        for each in (faces, changes):
            each.close_stream()
    finally:
        output.close()


def test_the_example_in_the_documentation_prints_values():
    unique = f"Mien-{time.monotonic_ns()}"
    code = block("docs/outputs.md", "import pylsl").replace("Mien face 1", f"{unique} face 1")
    with playing(f"lsl:{unique}", "happy"), printing(code) as peer:
        assert re.fullmatch(r"\d+\.\d{3} happy 0\.82\n", peer.stdout.readline())


@pytest.mark.parametrize(
    "url", ["lsl:?slots=0", "lsl:?slots=99", "lsl:?slots=" + 5000 * "1", "lsl:?color=red", "lsl://host"]
)
def test_a_bad_address_is_refused(url):
    with pytest.raises(SettingsError, match=r"^--out"):
        create(url)
