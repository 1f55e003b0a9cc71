"""What takes seconds to load is loaded in the background, and the camera says so meanwhile."""

import threading

import pytest

from mien.errors import ModelError, SourceEndedError, SourceError, SourceMissingError
from mien.loading import Loading
from tests.fakes import FakePipeline, FakeSource, without_threads
from tests.patience import PATIENCE_S, wait_for

FRAME = (8, 8)


class Gate:
    """Loads a value once `open` is set."""

    def __init__(self, value=None):
        self.value = FakePipeline() if value is None else value
        self.open = threading.Event()
        self.calls = 0

    def __call__(self):
        self.calls += 1
        assert self.open.wait(PATIENCE_S)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def gate():
    gates = []

    def make(value=None):
        gates.append(Gate(value))
        return gates[-1]

    yield make
    for each in gates:
        each.open.set()


# --- the value


def test_a_value_is_loaded_once_however_often_it_is_asked_for(gate):
    load = gate("value")
    loading = Loading(load)
    assert not loading.done
    loading.start()
    loading.start()
    assert not loading.wait(0)
    load.open.set()
    assert loading.wait(PATIENCE_S)
    assert [loading.result(), loading.result()] == ["value", "value"]
    assert loading.done
    assert load.calls == 1


def test_asking_for_a_value_starts_to_load_it():
    assert Loading(lambda: "value").result() == "value"


def test_everybody_who_asks_gets_the_error_with_the_place_where_it_arose_alone():
    def fail():
        raise ModelError("broken")

    loading = Loading(fail)
    lengths = []
    for _ in range(3):
        with pytest.raises(ModelError, match="broken") as caught:
            loading.result()
        lengths.append(len(caught.traceback))
    assert lengths[0] == lengths[1] == lengths[2], "frames would keep alive what they refer to"


def test_if_the_system_allows_no_more_threads_the_next_call_loads():
    loading = Loading(lambda: "value")
    with without_threads("loading"), pytest.raises(RuntimeError):
        loading.result()
    loading.start()
    assert loading.wait(PATIENCE_S)
    assert loading.result() == "value"


# --- the camera


def starting(it):
    """Start a camera in a thread; returns the thread and the list of what `start` raised."""
    failures = []

    def start():
        try:
            it.camera.start()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    return thread, failures


def test_a_webcam_opens_while_the_network_is_loaded(rig, gate):
    load = gate()
    it = rig(FakeSource([FRAME]), load=load)
    thread, failures = starting(it)
    wait_for(lambda: it.opener.specs)
    status = it.until("loading")
    assert (status.name, status.reason) == ("Webcam 0", "loading the network")
    load.open.set()
    thread.join(PATIENCE_S)
    wait_for(lambda: load.value.seen)
    assert failures == []
    assert it.until("live").reason is None


def test_a_placeholder_says_that_the_network_is_loaded(rig, gate):
    source = FakeSource([FRAME])
    it = rig(source, load=gate())
    starting(it)
    assert source.hanging.wait(PATIENCE_S)  # it is open: a clock that goes on would let opening it take too long
    wait_for(lambda: it.clock.advance(1) or it.placeholders)
    assert it.snapshot(lambda found: found.frame is None).analysis is None
    assert it.placeholders[0] == ["Waiting for Webcam 0", "loading the network"]


def test_of_a_file_that_is_played_once_no_frame_is_missed_while_the_network_is_loaded(rig, gate):
    load = gate()
    it = rig(FakeSource([FRAME, SourceEndedError("over")]), spec="clip.mp4", load=load, loop=False)
    starting(it)
    it.until("loading")
    assert it.opener.specs == []
    load.open.set()
    wait_for(lambda: load.value.seen)


def test_a_network_that_cannot_be_loaded_is_what_start_raises_and_the_device_is_closed(rig):
    def fail():
        raise ModelError("broken")

    source = FakeSource([FRAME])
    it = rig(source, load=fail)
    with pytest.raises(ModelError, match="broken"):
        it.camera.start()
    source.unblock()
    assert source.closed.wait(PATIENCE_S)
    assert it.camera.status().state == "ended"


def test_a_source_that_cannot_be_opened_is_reported_though_the_network_is_still_loaded(rig, gate):
    it = rig(SourceMissingError("no such webcam"), load=gate())
    with pytest.raises(SourceMissingError, match="no such webcam"):
        it.camera.start()


def test_a_camera_is_stopped_while_its_network_is_loaded(rig, gate):
    it = rig(FakeSource([FRAME]), load=gate())
    thread, failures = starting(it)
    wait_for(lambda: it.opener.specs)
    it.until("loading")
    it.camera.stop()
    thread.join(PATIENCE_S)
    assert [str(error) for error in failures] == ["the camera was stopped while it started"]


def test_a_start_that_is_canceled_while_the_network_is_loaded_returns(rig, gate):
    canceled = threading.Event()
    it = rig(FakeSource([FRAME]), load=gate(), cancelled=canceled.is_set)
    thread, failures = starting(it)
    it.until("loading")
    canceled.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert failures == []


def test_another_source_is_chosen_while_the_network_is_loaded(rig, gate):
    load = gate()
    it = rig(FakeSource([FRAME]), FakeSource([(64, 48)], name="Clip"), load=load)
    thread, _ = starting(it)
    it.until("loading")
    answers = []
    switching = threading.Thread(target=lambda: answers.append(it.camera.switch("clip.mp4")))
    switching.start()
    load.open.set()
    switching.join(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert [answer.name for answer in answers] == ["Clip"]
    assert it.opener.specs == ["0", "clip.mp4"]
    wait_for(lambda: any(size == (64, 48) for _, size, _ in load.value.seen))


def test_a_camera_that_was_stopped_does_not_switch(rig):
    it = rig(FakeSource([FRAME]))
    it.camera.stop()
    with pytest.raises(SourceError, match="stopped"):
        it.camera.switch("1")
