"""Live outputs without a network: addresses, messages, changes, and what happens to a slow or absent receiver."""

import json
import logging
import threading
from dataclasses import replace

import pytest

from mien.errors import NotTakenError, OutputError, SettingsError
from mien.outputs import runner as runner_module
from mien.outputs.addresses import endpoint, parse_address
from mien.outputs.changes import MessageStream
from mien.outputs.kinds import KINDS, Kind, create
from mien.outputs.messages import ChangeMessage, FrameMessage, SourceState
from mien.outputs.runner import MAX_CHANGES, RateLimit, Runner
from mien.outputs.service import Outputs
from mien.settings import Settings, read_settings
from mien.stream.latest import Latest
from mien.types import SourceStatus
from tests.fakes import FakeClock
from tests.outputs_fake import LIVE, FakeOutput, face_showing, frame_message, snapshot, unsure
from tests.patience import PATIENCE_S, wait_for
from web import AppOptions, create_app
from web.schemas import Face as FaceSchema

# ---- addresses


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("osc://127.0.0.1:9000", "osc://127.0.0.1:9000"),
        ("MQTT://anna:secret@broker:1883/home", "mqtt://***@broker:1883/home"),
        ("mqtt://anna@broker", "mqtt://***@broker"),
        ("mqtt://:secret@[::1]:1883/a/b", "mqtt://***@[::1]:1883/a/b"),
        ("mqtt://anna:sec/ret@broker/home", "mqtt://***@broker/home"),
        ("mqtt://anna:s@cret@broker/home", "mqtt://***@broker/home"),
        ("webhook:https://anna:secret@host/path?key=secret", "webhook:https://***@host/***?***"),
        ("webhook:https://host/services/secret", "webhook:https://host/***"),
        ("webhook:https://host", "webhook:https://host"),
        ("webhook:https:/host/secret", "webhook:***"),
        ("osc://host:9000?token=secret", "osc://host:9000?***"),
        ("osc://host:9000/token=secret", "osc://host:9000/token=***"),
        ("mqtt:/anna:secret@broker:1883/home", "mqtt:***@broker:1883/home"),
        ("mqtt:/anna:secret@broker:1883?a=secret", "mqtt:***@broker:1883"),
        ("mqtt:/anna:secret@a?b=1mqtt://anna:secret@c", "mqtt:***@a//***@c"),
        ("jsonl:logs/me@home.jsonl", "jsonl:me@home.jsonl"),
        ("jsonl:C:\\logs\\me@home.jsonl", "jsonl:me@home.jsonl"),
        ("jsonl:/home/anna/faces.jsonl", "jsonl:faces.jsonl"),
        (r"jsonl:C:\anna\faces.jsonl", "jsonl:faces.jsonl"),
        ("jsonl:-", "jsonl:-"),
        ("lsl:", "lsl:"),
        ("osc://host:9000/a\nb", r"osc://host:9000/a\nb"),
    ],
)
def test_names_of_outputs_have_no_passwords_and_no_folders(url, name):
    address = parse_address(url)
    assert address.name == name
    assert "secret" not in repr(address)


def test_an_endpoint_has_the_parts_of_its_address():
    found = endpoint(parse_address("mqtt://a%40b:p%2Fw@[::1]:18/home/mien/?slots=2"), 1883, options=("slots",))
    assert (found.host, found.port, found.path, found.options) == ("::1", 18, "home/mien", {"slots": "2"})
    assert (found.user, found.password) == ("a@b", "p/w")
    assert "p/w" not in repr(found)
    assert endpoint(parse_address("mqtt://broker"), 1883).port == 1883


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nothing", "found no kind before a colon"),
        ("foo:bar", "found an unknown kind, 'foo'"),
        ("jsonls:a", "did you mean jsonl?"),
        ("jsonl:", "found no name of a file"),
        ("jsonl:/no/such/folder/x", "a folder that does not exist"),
    ],
)
def test_a_bad_url_is_refused_in_one_line(url, message):
    with pytest.raises(SettingsError, match="--out") as caught:
        create(url)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("osc://u:secret@:9000", "expected osc://HOST:PORT, found osc://***@:9000"),
        ("osc://u:secret@host", "expected osc://HOST:PORT, found osc://***@host"),
        ("osc://u:secret@host:x", "found a host or port that cannot be read"),
        ("osc://host:1?secret=1", "expected only fast after the question mark, found 'secret'"),
    ],
)
def test_an_endpoint_with_a_missing_part_is_refused_without_its_password(url, message):
    with pytest.raises(SettingsError) as caught:
        endpoint(parse_address(url), None, options=("fast",))
    assert message in str(caught.value)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(KINDS, "odd", Kind("nowhere:Odd", "odd:", "no_such_module", "odd-package"))
    with pytest.raises(SettingsError, match="expected the package odd-package, found none; `pip install odd-package`"):
        create("odd:")


def test_a_package_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setitem(KINDS, "odd", Kind("json.no_such_part:Odd", "odd:", "json", "odd-package"))
    with pytest.raises(SettingsError, match=r"expected a package odd-package as in .*: No module named 'json\.no_such"):
        create("odd:")


def test_outputs_are_read_from_command_line_and_environment():
    assert read_settings(["--out", "a:1", "--out=b:2"], {"MIEN_OUT": "c:3"}).out == ("a:1", "b:2")
    assert read_settings([], {"MIEN_OUT": "c:3  d:4\n", "MIEN_OUT_FPS": "2.5"}).out == ("c:3", "d:4")
    assert "secret" not in repr(Settings(out=("mqtt://u:secret@host",)))
    with pytest.raises(SettingsError, match=r"--out-fps: expected a number 0\.1 to 1000, found '0'"):
        read_settings(["--out-fps", "0"], {})


# ---- messages and changes


def kinds(messages):
    return [each.type if isinstance(each, ChangeMessage) else "frame" for each in messages]


@pytest.fixture
def stream():
    stream = MessageStream(FakeClock())
    stream.next(snapshot(0), LIVE)
    return stream


def test_a_message_has_the_names_and_values_of_the_http_interface():
    shot = snapshot(7, face_showing("happy", 12))
    *_, message = MessageStream(FakeClock()).next(shot, LIVE)
    plain = json.loads(message.json)
    assert list(plain) == ["type", "at", "source", "fps", "latency_ms", "frame", "faces"]
    assert plain["frame"] == {"index": 7, "captured_at": 1700000000.2333, "media_time_s": None} | {
        "width": 320,
        "height": 240,
    }
    [face] = plain["faces"]
    assert face.pop("position") == {"x": 0.28125, "y": 0.4375, "w": 0.3125, "h": 0.45833}
    assert (face.pop("slot"), face.pop("settled_label")) == (1, None)
    assert FaceSchema.model_validate(face).id == 12
    assert face == {key: value for key, value in shot.analysis.faces[0].to_dict().items() if key != "landmarks"}
    assert message.json is message.json, "made once for all outputs"


def test_slots_are_small_numbers_that_are_used_again(stream):
    def slots(index, *numbers):
        *_, message = stream.next(snapshot(index, *(face_showing("sad", each) for each in numbers)), LIVE)
        return {each.face.id: each.slot for each in message.faces}

    assert slots(1, 5, 8) == {5: 1, 8: 2}
    assert slots(2, 8, 9) == {8: 2, 9: 1}
    assert slots(3, 8, 9, 10) == {9: 1, 8: 2, 10: 3}
    assert slots(4) == {}
    assert slots(5, 11) == {11: 1}


def test_faces_appear_settle_and_leave():
    clock = FakeClock()
    stream = MessageStream(clock)
    steps = [
        (0.0, [face_showing("happy", 1)], ["source_changed", "face_appeared", "frame"]),
        (0.4, [face_showing("happy", 1)], ["frame"]),
        (0.2, [face_showing("happy", 1)], ["label_settled", "frame"]),
        (0.6, [face_showing("happy", 1)], ["frame"]),
        (0.1, [face_showing("sad", 1)], ["frame"]),
        (0.4, [face_showing("happy", 1)], ["frame"]),
        (0.6, [unsure(face_showing("sad", 1))], ["frame"]),
        (0.6, [unsure(face_showing("sad", 1))], ["frame"]),
        (0.1, [face_showing("sad", 1)], ["frame"]),
        (0.6, [face_showing("sad", 1)], ["label_settled", "frame"]),
        (0.1, [], ["face_left", "frame"]),
    ]
    settled = []
    for index, (seconds, faces, expected) in enumerate(steps):
        clock.advance(seconds)
        messages = stream.next(snapshot(index, *faces), LIVE)
        assert kinds(messages) == expected, index
        settled += [face.settled_label for face in messages[-1].faces]
    assert settled == [None, None, *7 * ["happy"], "sad"]
    assert messages[0].face.label == "sad", "as it was last seen"


def test_the_same_frame_again_gives_no_message(stream):
    assert kinds(stream.next(snapshot(1), LIVE)) == ["frame"]
    assert stream.next(snapshot(1), LIVE) == [], "as after privacy mode was switched"


@pytest.mark.parametrize("state", ["reconnecting", "resting", "ended", "loading"])
def test_when_frames_cease_the_faces_leave(stream, state):
    stream.next(snapshot(1, face_showing("happy", 3)), LIVE)
    gone = SourceStatus("Webcam 0", state, "unplugged", retry_in_s=3)
    messages = stream.next(snapshot(1, face_showing("happy", 3)), gone)
    assert kinds(messages) == ["source_changed", "face_left", "frame"]
    assert json.loads(messages[-1].json)["frame"] is None
    assert messages[-1].faces == ()
    later = SourceStatus("Webcam 0", state, "unplugged", retry_in_s=2)
    assert stream.next(snapshot(1, face_showing("happy", 3)), later) == []


def test_faces_of_another_source_are_others_even_with_the_same_number(stream):
    stream.next(snapshot(1, face_showing("happy", 1)), LIVE)
    messages = stream.next(snapshot(2, face_showing("happy", 1), stream=2), LIVE)
    assert kinds(messages) == ["face_left", "face_appeared", "frame"]


# ---- one output and its thread


@pytest.fixture
def run(monkeypatch):
    """Start an output: run(output, fps=...). Retries are fast, no time passes, and all threads end with the test."""
    monkeypatch.setattr(runner_module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(runner_module, "LAST_RETRY_S", 0.02)
    monkeypatch.setattr(runner_module, "CHECK_S", 0.05)
    runners = []

    def start(output, **options):
        runners.append(Runner(output, **{"clock": FakeClock(), **options}))
        runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        runner.output.gate.set()
        runner.request_stop()
        assert runner.join(PATIENCE_S)
        assert runner.output.closed


def source_change(number):
    return ChangeMessage(float(number), SourceState(f"source {number}", "live"), "source_changed")


def test_a_slow_receiver_gets_the_newest_frame_and_the_others_count_as_dropped(run):
    output = FakeOutput()
    output.gate.clear()
    runner = run(output)
    runner.offer(frame_message(0))
    assert output.sending.wait(PATIENCE_S)
    for index in range(1, 100):
        runner.offer(frame_message(index))
    output.gate.set()
    wait_for(lambda: output.frames == [0, 99])
    wait_for(lambda: runner.status().sent == 2)
    assert (runner.status().state, runner.status().dropped) == ("connected", 98)


def test_changes_wait_in_a_bounded_queue_and_the_oldest_is_dropped(run):
    output = FakeOutput()
    output.gate.clear()
    runner = run(output)
    runner.offer(source_change(0))
    assert output.sending.wait(PATIENCE_S)
    for number in range(1, MAX_CHANGES + 11):
        runner.offer(source_change(number))
    runner.offer(frame_message(5))
    output.gate.set()
    wait_for(lambda: output.frames == [5])
    changes = [int(each.at) for each in output.received if isinstance(each, ChangeMessage)]
    assert changes == [0, *range(11, MAX_CHANGES + 11)]
    assert runner.status().dropped == 10


def test_an_absent_receiver_is_tried_again_and_learns_the_newest_frame(run, caplog):
    output = FakeOutput([OutputError("no route"), ConnectionRefusedError(111, "Connection refused")] * 3)
    runner = run(output)
    runner.offer(frame_message(3))
    wait_for(lambda: output.frames == [3])
    assert output.opened == 7
    assert runner.status().state == "connected"
    assert "output fake://***@host: no route" in caplog.text


def test_a_lost_connection_is_opened_again(run):
    output = FakeOutput()
    runner = run(output)
    runner.offer(frame_message(0))
    wait_for(lambda: output.frames == [0])
    output.fault = ConnectionResetError(104, "Connection reset by peer")
    runner.offer(frame_message(1))
    wait_for(lambda: runner.status().dropped)  # perhaps more than once, as it is tried again until the fault is gone
    output.fault = None
    wait_for(lambda: output.opened > 1)
    runner.offer(frame_message(2))
    wait_for(lambda: output.frames[-1] == 2)
    wait_for(lambda: (runner.status().state, runner.status().error) == ("connected", None))


def test_a_message_that_is_not_taken_is_dropped_without_connecting_again(run):
    output = FakeOutput()
    output.fault = NotTakenError("nobody listens")
    runner = run(output)
    runner.offer(frame_message(0))
    wait_for(lambda: runner.status().error == "nobody listens")
    assert (runner.status().state, runner.status().dropped) == ("waiting", 1)
    output.fault = None
    runner.offer(frame_message(1))
    wait_for(lambda: runner.status().state == "connected")
    assert output.opened == 1


def test_an_output_that_cannot_tell_whether_there_is_a_receiver_is_not_connected_before_something_is_sent(run, caplog):
    output = FakeOutput()
    output.connects = False
    output.fault = OutputError("no device")
    with caplog.at_level(logging.INFO):
        runner = run(output)
        runner.offer(frame_message(0))
        wait_for(lambda: output.opened > 3)
        assert (runner.status().state, runner.status().error) == ("waiting", "no device")
        output.fault = None
        wait_for(lambda: runner.status().state == "connected")
    assert [record.message.partition(": ")[2] for record in caplog.records] == ["no device", "connected again"]


def test_a_permanent_error_ends_the_output(run):
    output = FakeOutput([OutputError("wrong password", permanent=True)])
    runner = run(output)
    wait_for(lambda: runner.status().state == "failed")
    assert runner.join(PATIENCE_S)
    assert (output.opened, runner.status().error) == (1, "wrong password")


def test_an_error_of_any_kind_is_reported_without_the_password(run, caplog):
    output = FakeOutput([RuntimeError("cannot log in with secret")])
    runner = run(output)
    wait_for(lambda: output.opened == 2)
    wait_for(lambda: runner.status().state == "connected")
    assert "cannot log in with ***" in [record.message.partition(": ")[2] for record in caplog.records]


@pytest.mark.parametrize("error", [SystemExit("no device"), KeyboardInterrupt("no device")])
@pytest.mark.parametrize("where", ["open", "send"])
def test_no_exception_of_a_library_ends_an_output(run, error, where):
    output = FakeOutput([error] if where == "open" else [])
    output.fault = error if where == "send" else None
    runner = run(output)
    runner.offer(frame_message(0))
    if where == "send":
        wait_for(lambda: runner.status().error == "no device")
        output.fault = None
    wait_for(lambda: output.opened > 1)
    wait_for(lambda: (runner.status().state, runner.status().error) == ("connected", None))
    wait_for(lambda: output.frames[-1:] == [0])


def test_no_exception_of_a_library_that_disconnects_ends_an_output(run, monkeypatch):
    output = FakeOutput()

    def close():
        output.closed += 1
        raise SystemExit("no device")

    monkeypatch.setattr(output, "close", close)
    output.fault = OutputError("no route")
    runner = run(output)
    runner.offer(frame_message(0))
    wait_for(lambda: output.opened > 2)
    output.fault = None
    wait_for(lambda: runner.status().state == "connected")


def test_an_output_whose_thread_has_ended_has_failed(monkeypatch):
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    output = FakeOutput([OutputError("no route")])

    def end(_timeout_s=None):
        raise SystemExit

    output.stopping.wait = end
    runner = Runner(output)
    assert runner.status().state == "connecting"
    runner.start()
    runner._thread.join(PATIENCE_S)
    assert (runner.status().state, runner.status().error) == ("failed", "its thread has ended")
    runner.request_stop()
    assert runner.join(PATIENCE_S)
    assert runner.status().state != "failed", "it was asked to end"


def test_a_receiver_that_takes_nothing_is_reported_as_waiting(run):
    output, clock = FakeOutput(), FakeClock()
    output.gate.clear()
    runner = run(output, clock=clock)
    runner.offer(frame_message(0))
    assert output.sending.wait(PATIENCE_S)
    wait_for(lambda: runner.status().state == "connected")
    clock.advance(3)
    assert (runner.status().state, runner.status().error) == ("waiting", "the receiver takes no messages")
    output.gate.set()
    wait_for(lambda: runner.status().state == "connected")


def test_a_connection_is_checked_while_nothing_is_sent(run):
    output = FakeOutput()
    run(output)
    wait_for(lambda: output.checks >= 2)


@pytest.mark.parametrize(("fps", "admitted"), [(None, 90), (1000, 90), (30, 90), (20, 60), (5, 15), (0.5, 2)])
def test_a_rate_limit_admits_so_many_frames_of_three_seconds_at_30_fps(fps, admitted):
    limit = RateLimit(fps)
    count = sum(limit.admits(100 + index / 30) for index in range(90))
    assert admitted - 1 <= count <= admitted + 1


def test_frames_above_the_limit_are_left_out_and_not_counted_but_the_last_word_is_sent(run):
    output, clock = FakeOutput(fps=2), FakeClock()
    runner = run(output, clock=clock)
    for index in range(30):
        runner.offer(frame_message(index))
        wait_for(lambda: output.frames)
        clock.advance(0.01)
    runner.offer(FrameMessage(0.0, SourceState("Webcam 0", "ended")))
    wait_for(lambda: len(output.received) == 2)
    assert output.received[-1].frame is None
    assert runner.status().dropped == 0


def test_faces_that_are_covered_are_shown_so_at_once(run):
    output, clock = FakeOutput(fps=2), FakeClock()
    output.shows_pictures = True
    runner = run(output, clock=clock)
    for index, covered, last in [(0, False, 0), (1, False, 0), (2, True, 2), (3, True, 2)]:
        message = frame_message(index)
        runner.offer(replace(message, frame=replace(message.frame, covered=covered)))
        wait_for(lambda last=last: output.frames[-1:] == [last])
    clock.advance(1)
    runner.offer(frame_message(4))
    wait_for(lambda: output.frames == [0, 2, 4])


class CountedWaits(threading.Event):
    """Keeps how long was to be waited, and does not wait; set after so many times."""

    def __init__(self, most):
        super().__init__()
        self.most, self.waited_s = most, []

    def wait(self, timeout=None):
        self.waited_s.append(timeout)
        if len(self.waited_s) == self.most:
            self.set()
        return self.is_set()


def test_pauses_between_attempts_grow_to_half_a_minute(monkeypatch):
    monkeypatch.setattr("mien.outputs.runner.random.uniform", lambda least, most: most)
    output = FakeOutput([OutputError("no route")] * 9)
    output.stopping = CountedWaits(8)
    runner = Runner(output)
    runner.start()
    assert runner.join(PATIENCE_S)
    assert output.stopping.waited_s == pytest.approx([0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 30, 30])


# ---- all outputs


def test_a_stalled_output_delays_no_other_and_not_the_publisher():
    stalled, fine = FakeOutput(), FakeOutput()
    stalled.gate.clear()
    outputs, snapshots = Outputs([stalled, fine], clock=FakeClock()), Latest()
    outputs.start(snapshots, lambda: LIVE)
    try:
        for index in range(50):
            snapshots.publish(snapshot(index))
            wait_for(lambda index=index: index in fine.frames)
        wait_for(lambda: outputs.status()[0].dropped > 0)
        assert stalled.frames == []
        assert outputs.status()[1].state == "connected"
    finally:
        stalled.gate.set()
        outputs.stop()
    wait_for(lambda: not [each.name for each in threading.enumerate() if each.name == "outputs"])
    wait_for(lambda: stalled.closed and fine.closed)


def test_no_exception_ends_what_makes_the_messages(caplog):
    output, snapshots, faults = FakeOutput(), Latest(), [SystemExit("odd")]

    def status():
        if faults:
            raise faults.pop()
        return LIVE

    outputs = Outputs([output])
    outputs.start(snapshots, status)
    try:
        wait_for(lambda: not faults)
        snapshots.publish(snapshot(3))
        wait_for(lambda: output.frames == [3])
    finally:
        outputs.stop()
    assert "the outputs cannot describe a frame" in caplog.text


def test_a_picture_that_is_published_again_replaces_the_one_that_is_shown():
    showing, other = FakeOutput(), FakeOutput()
    showing.shows_pictures = True
    outputs, snapshots = Outputs([showing, other], fps=0.1), Latest()
    snapshots.publish(snapshot(7))
    outputs.start(snapshots, lambda: LIVE)
    try:
        wait_for(lambda: showing.frames == [7] and other.frames == [7])
        covered = snapshot(7)  # as after privacy mode was switched
        snapshots.publish(covered)
        wait_for(lambda: showing.frames == [7, 7])
        assert showing.received[-1].frame is showing.received[-1].snapshot.frame is covered.frame
        assert other.frames == [7]
    finally:
        outputs.stop()


def test_outputs_stop_even_if_one_hangs(caplog, monkeypatch):
    monkeypatch.setattr("mien.outputs.service.STOP_WITHIN_S", 0.2)
    hanging = FakeOutput()
    hanging.gate.clear()
    outputs, snapshots = Outputs([hanging]), Latest()
    outputs.start(snapshots, lambda: LIVE)
    snapshots.publish(snapshot(0))
    assert hanging.sending.wait(PATIENCE_S)
    with caplog.at_level(logging.WARNING):
        outputs.stop()
    assert "output fake://***@host does not end" in caplog.text
    hanging.gate.set()
    wait_for(lambda: hanging.closed)


def test_the_state_lists_the_outputs_at_its_end(fake_camera):
    outputs = Outputs([FakeOutput(), FakeOutput(url="jsonl:/home/anna/x.jsonl")])
    state = create_app(fake_camera, AppOptions(outputs=outputs)).test_client().get("/api/state").json
    assert list(state)[-1] == "outputs"
    listed = {"state": "connecting", "error": None, "sent": 0, "dropped": 0}
    assert state["outputs"] == [{"name": "fake://***@host"} | listed, {"name": "jsonl:x.jsonl"} | listed]
    assert create_app(fake_camera).test_client().get("/api/state").json["outputs"] == []
