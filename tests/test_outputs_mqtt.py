"""MQTT: a real broker, Debian's mosquitto, that restarts, refuses, hangs or encrypts."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from mien.errors import NotTakenError, SettingsError
from mien.outputs import mqtt as mqtt_module
from mien.outputs import runner as runner_module
from mien.outputs.changes import MessageStream
from mien.outputs.home_assistant import discovery
from mien.outputs.kinds import create
from mien.outputs.messages import ChangeMessage, FrameMessage, SourceState
from mien.outputs.runner import Runner
from mien.types import EXPRESSIONS, SourceStatus
from tests.fakes import FakeClock
from tests.outputs_fake import LIVE, face_showing, snapshot
from tests.patience import PATIENCE_S, scaled, wait_for
from tests.test_readme import block
from tests.web_fakes import free_port

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")

with_broker = pytest.mark.skipif(MOSQUITTO is None, reason="the broker mosquitto is not installed")


class Broker:
    """A mosquitto that keeps nothing when it ends."""

    def __init__(self, folder, *lines):
        self.port = free_port()
        self._config = folder / f"{self.port}.conf"
        settings = [f"listener {self.port} 127.0.0.1", "user root", "persistence false", *lines]
        if not any(line.startswith("allow_anonymous") for line in lines):
            settings.append("allow_anonymous true")
        self._config.write_text("\n".join(settings) + "\n")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._answers, "the broker")

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_broker(tmp_path):
    brokers = []

    def start(*lines):
        brokers.append(Broker(tmp_path, *lines))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture
def broker(start_broker):
    return start_broker()


class Received(dict):
    """The last text of each topic; `history` has all of them, also those that were replaced at once."""

    def __init__(self):
        super().__init__()
        self.history = {}

    def add(self, topic, text):
        self.history.setdefault(topic, []).append(text)
        self[topic] = text


@pytest.fixture
def retained():
    """What a program that subscribes now receives: retained(broker) is a dictionary that fills itself."""
    clients = []

    def subscribe(broker, topics="#", stored_only=False):
        received = Received()

        def note(_client, _data, message):
            if message.retain or not stored_only:
                received.add(message.topic, message.payload.decode())

        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = note
        client.on_connect = lambda client, *_: client.subscribe(topics, 1)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        clients.append(client)
        return received

    yield subscribe
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def run(monkeypatch):
    """Start an output of this URL: run(url); retries are fast, threads end with the test."""
    monkeypatch.setattr(runner_module, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(runner_module, "LAST_RETRY_S", 0.1)
    monkeypatch.setattr(mqtt_module, "CONNECT_WITHIN_S", scaled(5))
    monkeypatch.setattr(mqtt_module, "SAY_GOODBYE_WITHIN_S", scaled(0.5))
    runners = []

    def start(url, fps=None):
        runners.append(Runner(create(url), fps=fps))
        runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        runner.request_stop()
        assert runner.join(PATIENCE_S)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("paho-mqtt-client-mien-")]


class Scene:
    """Gives a runner the messages of frames with these faces, over half a second, so that their labels settle."""

    def __init__(self, runner):
        self.runner = runner
        self.clock = FakeClock()
        self.stream = MessageStream(self.clock)
        self.index = 0

    def show(self, *faces, status=LIVE):
        for _ in range(2):
            for message in self.stream.next(snapshot(self.index, *faces), status):
                self.runner.offer(message)
            self.index += 1
            self.clock.advance(0.6)


@with_broker
def test_the_state_stays_right_if_the_clock_is_set_back(broker, run, retained, monkeypatch):
    scene, seen = Scene(run(f"mqtt://127.0.0.1:{broker.port}")), retained(broker, "mien/face/1/label")
    scene.show(face_showing("happy", 7))
    wait_for(lambda: seen.get("mien/face/1/label") == "happy")
    monkeypatch.setattr(scene.clock, "wall", lambda: 1_600_000_000.0)
    scene.show(face_showing("sad", 7))
    wait_for(lambda: seen["mien/face/1/label"] == "sad")


@with_broker
def test_the_state_is_retained_for_later_subscribers(broker, run, retained):
    scene = Scene(run(f"mqtt://127.0.0.1:{broker.port}/home/mien?slots=2"))
    seen = retained(broker, "home/mien/#")

    def settled():
        scene.show(face_showing("happy", 7), face_showing("sad", 8))  # again: a change may overtake the first frame
        return seen.get("home/mien/faces") == "2" and seen.get("home/mien/face/2/label") == "sad"

    wait_for(settled)
    wait_for(lambda: seen.get("home/mien/smile") == "ON")  # the last one of a message
    got = retained(broker, stored_only=True)
    wait_for(lambda: len(got) >= 12, "all retained topics")
    assert got["home/mien/status"] == "online"
    assert json.loads(got["home/mien/source"]) == {"name": "Webcam 0", "state": "live", "reason": None}
    assert (got["home/mien/faces"], got["home/mien/smile"]) == ("2", "ON")
    assert [got[f"home/mien/face/{slot}/label"] for slot in (1, 2)] == ["happy", "sad"]
    assert json.loads(got["home/mien/face/1"])["id"] == 7
    assert {topic for topic in got if topic.startswith("homeassistant/")} == {
        f"homeassistant/{each}/config"
        for each in (
            "sensor/home_mien/face_1",
            "sensor/home_mien/face_2",
            "sensor/home_mien/faces",
            "binary_sensor/home_mien/smile",
        )
    }
    assert "home/mien/frame" not in got
    assert "home/mien/event" not in got


@with_broker
def test_frames_and_changes_are_published_as_json(broker, run, retained):
    got = retained(broker)
    runner = run(f"mqtt://127.0.0.1:{broker.port}", fps=1000)
    scene = Scene(runner)

    def seen():
        scene.show(face_showing("fear", 3))
        return got.get("mien/frame") and json.loads(got["mien/frame"])["faces"]

    [face] = wait_for(seen)
    assert (face["label"], face["slot"]) == ("fear", 1)
    scene.show()
    wait_for(lambda: json.loads(got.get("mien/event", "{}")).get("type") == "face_left")
    wait_for(lambda: got.get("mien/face/1/label") == "none")
    assert got["mien/face/1"] == "{}", "published before the label"
    wait_for(lambda: scene.show() or got.get("mien/faces") == "0")
    assert got["mien/smile"] == "OFF"


@with_broker
def test_it_is_offline_after_its_end_and_after_a_broken_connection(broker, run, retained):
    got = retained(broker)
    runner = run(f"mqtt://127.0.0.1:{broker.port}")
    wait_for(lambda: got.get("mien/status") == "online")
    states = got.history["mien/status"]
    runner.output._client.socket().shutdown(socket.SHUT_RDWR)
    wait_for(lambda: states[1:2] == ["offline"], "the last will")
    runner.offer(FrameMessage(0.0, SourceState("Webcam 0", "live")))
    wait_for(lambda: states[2:] == ["online"], "a new connection")
    runner.request_stop()
    assert runner.join(PATIENCE_S)
    wait_for(lambda: set(states[3:]) == {"offline"}, "the goodbye, and the last will if the broker sends it too")


@with_broker
def test_after_each_restart_of_the_broker_the_retained_state_is_right(broker, run, retained):
    runner = run(f"mqtt://127.0.0.1:{broker.port}?slots=1")
    scene = Scene(runner)
    for number, label in enumerate(("happy", "sad", "angry")):
        wait_for(lambda: runner.status().state == "connected")
        broker.stop()
        scene.show(face_showing(label, number))  # while nobody listens
        wait_for(lambda: runner.status().state != "connected")
        broker.start()
        got = retained(broker)
        wait_for(lambda got=got, label=label: got.get("mien/face/1/label") == label)
        wait_for(lambda got=got: got.get("mien/status") == "online")
        wait_for(lambda got=got: len([topic for topic in list(got) if topic.startswith("homeassistant/")]) == 3)
    scene.show(status=SourceStatus("Webcam 0", "ended"))
    wait_for(lambda: got["mien/face/1/label"] == "none")


@with_broker
def test_a_broker_that_hangs_costs_no_memory_and_no_time(broker, run, monkeypatch):
    monkeypatch.setattr(runner_module, "STALLED_S", 0.2)
    runner = run(f"mqtt://127.0.0.1:{broker.port}", fps=1000)
    wait_for(lambda: runner.status().state == "connected")
    broker.process.send_signal(signal.SIGSTOP)
    large = SourceState("x" * 200_000, "live")
    number = iter(range(1_000_000))

    def stalled():
        runner.offer(FrameMessage(float(next(number)), large))
        return runner.status().dropped > 20 and runner.status().state == "waiting"

    wait_for(stalled)
    assert len(runner.output._client._out_packet) < 20
    broker.process.send_signal(signal.SIGCONT)
    runner.offer(FrameMessage(float(next(number)), SourceState("Webcam 0", "live")))
    wait_for(lambda: runner.status().state == "connected")


@with_broker
def test_a_wrong_password_is_reported_and_never_shown(start_broker, run, tmp_path, caplog):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "anna", "right-one"], check=True, capture_output=True)
    broker = start_broker("allow_anonymous false", f"password_file {passwords}")
    runner = run(f"mqtt://anna:wrong-one@127.0.0.1:{broker.port}")
    wait_for(lambda: runner.status().state == "waiting")
    assert runner.status().error == "the broker refuses: not authorized"
    assert "wrong-one" not in caplog.text + repr(runner.status())
    other = run(f"mqtt://anna:right-one@127.0.0.1:{broker.port}")
    wait_for(lambda: other.status().state == "connected")


@with_broker
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed, which makes the certificate")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket to the
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # garbage collector
def test_mqtts_verifies_the_certificate(start_broker, run, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=elsewhere"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(words, check=True, capture_output=True)
    broker = start_broker(f"certfile {certificate}", f"keyfile {key}")
    stranger = run(f"mqtts://127.0.0.1:{broker.port}")
    wait_for(lambda: "certificate verify failed" in (stranger.status().error or "").lower())
    known = run(f"mqtts://127.0.0.1:{broker.port}?ca={certificate}")
    wait_for(lambda: known.status().state == "connected")
    other_host = run(f"mqtts://localhost:{broker.port}?ca={certificate}")
    wait_for(lambda: "certificate verify failed" in (other_host.status().error or "").lower())


def test_the_end_of_a_connection_leaves_the_thread_of_the_library_its_encryption(monkeypatch):
    monkeypatch.setattr(ssl.SSLSocket, "shutdown", lambda *_: pytest.fail("what that thread encrypts with is gone"))
    ours, theirs = socket.socketpair()
    context = ssl.create_default_context()
    encrypted = context.wrap_socket(ours, server_hostname="broker", do_handshake_on_connect=False)
    output = create("mqtts://broker")
    output._client = SimpleNamespace(socket=lambda: encrypted, loop_stop=lambda: None)
    with encrypted, theirs:
        theirs.settimeout(PATIENCE_S)
        output.close()
        assert theirs.recv(1) == b""


class FullClient:
    """Takes messages for a broker, except the next one of the topic `refused`."""

    def __init__(self, refused):
        self.refused, self.retained = refused, {}

    def want_write(self):
        return False

    def publish(self, topic, text, _quality, *, retain):
        if topic == self.refused:
            self.refused = None
            return SimpleNamespace(rc=MQTTErrorCode.MQTT_ERR_QUEUE_SIZE)
        if retain:
            self.retained[topic] = text
        return SimpleNamespace(rc=MQTTErrorCode.MQTT_ERR_SUCCESS)


@pytest.mark.parametrize("refused", [f"mien/{each}" for each in ("face/1", "face/1/label", "face/2", "face/2/label")])
def test_the_state_gets_right_after_a_message_that_the_broker_did_not_take(refused):
    messages = []
    Scene(SimpleNamespace(offer=messages.append)).show(face_showing("happy", 7), face_showing("sad", 8))
    frame = [each for each in messages if isinstance(each, FrameMessage)][-1]
    settled = [each for each in messages if isinstance(each, ChangeMessage) and each.face and each.face.slot == 1][-1]
    output = create("mqtt://broker?slots=2")
    output._client = client = FullClient(refused)
    with pytest.raises(NotTakenError):
        output.send(frame)
    output.send(replace(settled, made_s=frame.made_s + 1))  # is about the other face only
    assert [client.retained[f"mien/face/{slot}/label"] for slot in (1, 2)] == ["happy", "sad"]
    assert [json.loads(client.retained[f"mien/face/{slot}"])["id"] for slot in (1, 2)] == [7, 8]


def test_an_absent_broker_is_waited_for(run):
    runner = run(f"mqtt://127.0.0.1:{free_port()}")
    wait_for(lambda: runner.status().state == "waiting")
    assert runner.status().error == "Connection refused"


def test_home_assistant_is_told_of_each_slot_and_of_smiles():
    configs = discovery("homeassistant", "mien", 3)
    assert len(configs) == 5
    assert len({config["unique_id"] for config in configs.values()}) == 5
    face = configs["homeassistant/sensor/mien/face_2/config"]
    assert (face["state_topic"], face["availability_topic"]) == ("mien/face/2/label", "mien/status")
    assert face["options"] == [*EXPRESSIONS, "none", "unknown"]
    smile = configs["homeassistant/binary_sensor/mien/smile/config"]
    assert (smile["name"], smile["state_topic"], smile["payload_on"]) == ("Somebody smiles", "mien/smile", "ON")
    assert len({json.dumps(config["device"]) for config in configs.values()}) == 1


def test_discovery_can_be_switched_off():
    assert create("mqtt://broker?discovery=")._discovery == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mqtt://", "expected mqtt://HOST"),
        ("mqtt://broker/a+b", "expected a topic without + and #"),
        ("mqtt://broker?slots=0", "slots: expected 1 to 16, found '0'"),
        ("mqtt://broker?slots=many", "slots: expected 1 to 16"),
        ("mqtt://broker?ca=x", "expected only slots, discovery after the question mark, found 'ca'"),
        ("mqtts://broker?ca=/no/such/file", "ca: expected the file of a certificate"),
        ("mqtt://anna:secret@broker:x", "found a host or port that cannot be read"),
    ],
)
def test_other_urls_are_refused(url, message):
    with pytest.raises(SettingsError, match="--out") as caught:
        create(url)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@with_broker
def test_the_example_in_the_documentation_prints_smiles(broker, run):
    code = block("docs/outputs.md", "from paho.mqtt.client").replace("1883", str(broker.port))
    scene = Scene(run(f"mqtt://127.0.0.1:{broker.port}"))
    scene.show(face_showing("happy", 1))
    peer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert peer.stdout.readline() in ("mien/smile ON\n", "mien/smile OFF\n")
        scene.show(face_showing("happy", 1))
        scene.show()
        assert "mien/smile OFF\n" in iter(peer.stdout.readline, "")
    finally:
        peer.kill()
        peer.communicate()
