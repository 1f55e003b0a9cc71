"""OSC: a real server of python-osc on the other end, which may be absent."""

import subprocess
import sys
import threading

import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import OSCUDPServer

from mien.errors import NotTakenError, SettingsError
from mien.outputs.changes import MessageStream
from mien.outputs.kinds import create
from mien.outputs.osc import MAX_BYTES, bundles, frame_groups
from mien.outputs.runner import Runner
from mien.types import Head
from tests.fakes import FakeClock
from tests.outputs_fake import LIVE, face_showing, frame_message, snapshot
from tests.patience import PATIENCE_S, wait_for
from tests.test_readme import block
from tests.web_fakes import free_port


class Receiver:
    """A server of python-osc that keeps what it receives, by address."""

    def __init__(self, port=0):
        self.received = {}
        self.sizes = []
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(lambda address, *values: self.received.setdefault(address, []).append(values))
        self.server = OSCUDPServer(("127.0.0.1", port), dispatcher)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def messages(*faces):
    stream = MessageStream(FakeClock())
    return stream.next(snapshot(3, *faces), LIVE) + stream.next(snapshot(4), LIVE)


def test_a_server_receives_each_value_of_a_face(receiver):
    output = create(f"osc://127.0.0.1:{receiver.port}")
    output.open()
    for message in messages(face_showing("happy", 9)):
        output.send(message)
    output.close()
    got = receiver.received
    wait_for(lambda: (4,) in got.get("/mien/frame", []))
    assert got["/mien/faces"] == [(1,), (0,)]
    assert got["/mien/source"] == [("Webcam 0", "live")] * 3
    assert got["/mien/face_appeared"] == [(1, 9, "happy")]
    assert got["/mien/face_left"] == [(1, 9, "happy")]
    assert got["/mien/face/1/present"] == [(1,), (0,)]
    assert got["/mien/face/1/id"] == [(9,)]
    assert got["/mien/face/1/label"] == [("happy",)]
    assert got["/mien/face/1/happy"] == [(pytest.approx(0.82),)]
    assert got["/mien/face/1/sad"] == [(pytest.approx(0.03),)]
    assert got["/mien/face/1/unsure"] == [(0,)]
    assert got["/mien/face/1/position"] == [pytest.approx((0.28125, 0.4375, 0.3125, 0.45833))]
    assert "/mien/face/1/head" not in got
    assert all(isinstance(value, float) for value in got["/mien/face/1/happy"][0])


def test_the_head_is_sent_where_there_are_landmarks(receiver):
    face = face_showing("sad", 2)
    object.__setattr__(face, "head", Head(10, -5, 3, 0.27, 0.25, 0.1))
    output = create(f"osc://127.0.0.1:{receiver.port}/stage/left/")
    output.open()
    for message in messages(face):
        output.send(message)
    output.close()
    wait_for(lambda: "/stage/left/face/1/mouth" in receiver.received)
    assert receiver.received["/stage/left/face/1/head"] == [(10, -5, 3)]
    assert receiver.received["/stage/left/face/1/eyes"] == [pytest.approx((0.27, 0.25))]


@pytest.mark.parametrize(("count", "expected"), [(0, 1), (1, 1), (2, 1), (12, 5)])
def test_a_frame_is_one_bundle_if_it_fits_into_a_packet(count, expected):
    *_, message = MessageStream().next(snapshot(1, *(face_showing("sad", 1 + number) for number in range(count))), LIVE)
    assert len(message.faces) == count
    sizes = [len(each) for each in bundles(list(frame_groups("/mien", message)))]
    assert len(sizes) == expected
    assert max(sizes) <= MAX_BYTES


def test_an_absent_receiver_is_waited_for_and_heard_at_once():
    port = free_port()
    runner = Runner(create(f"osc://127.0.0.1:{port}"))
    runner.start()
    index = 0

    def offer_until(condition):
        nonlocal index

        def offered():
            nonlocal index
            runner.offer(frame_message(index))
            index += 1
            return condition()

        wait_for(offered)

    offer_until(lambda: runner.status().error == f"nothing listens on port {port}")
    offer_until(lambda: runner.status().state == "waiting" and runner.status().dropped > 3)
    receiver = Receiver(port)
    try:
        offer_until(lambda: "/mien/frame" in receiver.received)
        offer_until(lambda: runner.status().state == "connected")
    finally:
        receiver.close()
        runner.request_stop()
        assert runner.join(PATIENCE_S)


def test_a_message_to_nobody_is_not_taken():
    output = create(f"osc://127.0.0.1:{free_port()}")
    output.open()
    with pytest.raises(NotTakenError, match="nothing listens on port"):
        for _ in range(100):
            output.send(frame_message(0))
    output.close()
    output.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("osc://127.0.0.1", "expected osc://HOST:PORT"),
        ("osc://127.0.0.1:9000/a b", "expected letters, digits"),
        ("osc://anna:secret@127.0.0.1:9000", "expected no user"),
        ("osc://127.0.0.1:9000?x=1", "expected nothing after the question mark"),
    ],
)
def test_other_urls_are_refused(url, message):
    with pytest.raises(SettingsError, match="--out") as caught:
        create(url)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_example_in_the_documentation_prints_labels():
    port = free_port()
    code = block("docs/outputs.md", "from pythonosc.dispatcher").replace("9000", str(port))
    peer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    runner = Runner(create(f"osc://127.0.0.1:{port}"))
    runner.start()
    stop = threading.Event()

    def play():
        stream = MessageStream()
        for index in range(1_000_000):
            for message in stream.next(snapshot(index, face_showing("surprise", 1)), LIVE):
                runner.offer(message)
            if stop.wait(0.05):
                return

    player = threading.Thread(target=play, daemon=True)
    player.start()
    try:
        assert peer.stdout.readline() == "/mien/face/1/label surprise\n"
    finally:
        stop.set()
        player.join()
        peer.kill()
        peer.communicate()
        runner.request_stop()
        assert runner.join(PATIENCE_S)
