"""Webhooks: a real server that answers well, badly, slowly or not at all."""

import base64
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mien.errors import NotTakenError, OutputError, SettingsError
from mien.outputs import webhook
from mien.outputs.kinds import create
from mien.outputs.messages import ChangeMessage, SourceState
from mien.outputs.runner import Runner
from tests.outputs_fake import frame_message, playing, printing
from tests.patience import PATIENCE_S, scaled, wait_for
from tests.test_readme import block
from tests.web_fakes import free_port

CHANGE = ChangeMessage(1_700_000_000.0, SourceState("Webcam 0", "live"), "source_changed")


@pytest.fixture(autouse=True)
def patient_output(monkeypatch):
    monkeypatch.setattr(webhook, "CONNECT_WITHIN_S", scaled(webhook.CONNECT_WITHIN_S))
    monkeypatch.setattr(webhook, "ANSWER_WITHIN_S", scaled(webhook.ANSWER_WITHIN_S))


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted. `status` is its answer; `gate` holds it."""

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.received = []
        self.connections = set()
        self.status = 204
        self.gate = threading.Event()
        self.gate.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, json.loads(body)))
        self.server.connections.add(self.client_address)
        self.server.gate.wait(PATIENCE_S)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def receiving(port=0):
    with Receiver(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()


@contextmanager
def opened(server, path="/hook?key=1", user=""):
    output = create(f"webhook:http://{user}127.0.0.1:{server.server_port}{path}")
    output.open()
    try:
        yield output
    finally:
        output.close()


def test_changes_are_posted_as_json_on_one_connection():
    with receiving() as server, opened(server, user="anna:sec%2Fr€t@") as output:
        for _ in range(3):
            output.send(CHANGE)
        path, headers, message = server.received[0]
        assert path == "/hook?key=1"
        assert headers["content-type"] == "application/json"
        assert headers["authorization"] == "Basic " + base64.b64encode("anna:sec/r€t".encode()).decode()
        assert message["type"] == "source_changed"
        assert len(server.received) == 3
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, NotTakenError, "found 404"),
        (302, NotTakenError, "a redirect, which is not followed"),
        (500, OutputError, "found 500"),
        (503, OutputError, "found 503"),
    ],
)
def test_an_answer_that_is_no_success_is_reported(status, error, message):
    with receiving() as server, opened(server) as output:
        server.status = status
        with pytest.raises(OutputError, match=message) as caught:
            output.send(CHANGE)
        assert type(caught.value) is error
        assert len(server.received) == 1
        server.status = 200
        output.send(CHANGE)


def test_a_receiver_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(webhook, "ANSWER_WITHIN_S", 0.1)
    with receiving() as server, opened(server) as output:
        server.gate.clear()
        with pytest.raises(OutputError, match=r"no answer within 0\.1 s"):
            output.send(CHANGE)


def test_a_receiver_that_was_absent_gets_what_changes_later():
    port = free_port()
    runner = Runner(create(f"webhook:http://127.0.0.1:{port}/secret/path"))
    runner.start()
    runner.offer(CHANGE)
    assert "refused" in wait_for(lambda: runner.status().error)
    assert runner.status().dropped == 1
    assert "secret" not in str(runner.status())
    with receiving(port) as server:
        wait_for(lambda: server.received or runner.offer(CHANGE))
        wait_for(lambda: runner.status().state == "connected")
    runner.request_stop()
    assert runner.join(PATIENCE_S)


def test_frames_are_posted_only_if_the_address_asks_for_them():
    with receiving() as server:
        url = f"webhook:http://127.0.0.1:{server.server_port}/hook"
        for address, expected in ((url, ["source_changed"]), (f"{url}#frames", ["frame", "source_changed"])):
            runner = Runner(create(address))
            runner.offer(frame_message(1))
            runner.offer(CHANGE)
            runner.start()
            count = len(expected)
            wait_for(lambda: len(server.received) == count)  # noqa: B023  within this round
            runner.request_stop()
            assert runner.join(PATIENCE_S)
            assert sorted(message["type"] for _, _, message in server.received) == expected
            server.received.clear()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except OSError:
        return False
    return True


def test_the_example_in_the_documentation_prints_changes():
    port = free_port()
    code = block("docs/outputs.md", "from http.server").replace("8000", str(port))
    with printing(code) as peer:
        wait_for(lambda: listens(port), "the example's server")  # what changes before is lost
        with playing(f"webhook:http://127.0.0.1:{port}/", "sad"):
            while (line := peer.stdout.readline()) != "label_settled sad\n":
                assert line


@pytest.mark.parametrize("url", ["webhook:", "webhook:ftp://host/a", "webhook:https://", "webhook:https://host/a#all"])
def test_a_bad_address_is_refused(url):
    with pytest.raises(SettingsError, match=r"^--out"):
        create(url)
