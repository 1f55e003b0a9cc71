"""WebSocket: real clients, in Python and in Chromium."""

import asyncio
import contextlib
import json
import logging
import socket
import struct
import threading
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mien.errors import SettingsError
from mien.outputs import websocket
from mien.outputs.kinds import create
from mien.outputs.runner import Runner
from mien.outputs.websocket import MAX_CLIENTS, MAX_CONNECTIONS
from tests.outputs_fake import frame_message, page_server, playing
from tests.patience import PATIENCE_S, scaled, wait_for
from tests.test_readme import block
from tests.web_fakes import free_port

TOKEN = "a-token-of-24-characters"


@pytest.fixture(autouse=True)
def patient_output(monkeypatch):
    monkeypatch.setattr(websocket, "OPEN_WITHIN_S", scaled(websocket.OPEN_WITHIN_S))
    monkeypatch.setattr(websocket, "PING_EVERY_S", scaled(websocket.PING_EVERY_S))


class Serving:
    """A running output on a free port."""

    def __init__(self, query=""):
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/"
        self.output = create(f"ws://127.0.0.1:{self.port}{query}")

    def __enter__(self):
        self.output.open()
        return self

    def __exit__(self, *_):
        self.output.close()


def refused(url, status, **options):
    with pytest.raises(InvalidStatus, match=str(status)), connect(url, **options):
        pass


def index_of(text):
    return json.loads(text)["frame"]["index"]


def test_a_client_gets_the_newest_frame_and_then_each_message():
    with Serving() as serving:
        serving.output.send(frame_message(1))
        with connect(serving.url) as client:
            assert index_of(client.recv(PATIENCE_S)) == 1
            client.send("what clients say is ignored")
            for index in (2, 3):
                serving.output.send(frame_message(index))
                assert index_of(client.recv(PATIENCE_S)) == index


def test_a_client_that_does_not_read_delays_nobody():
    with Serving() as serving, connect(serving.url, close_timeout=0.1), connect(serving.url) as reading:
        for index in range(3000):  # much more than the buffers hold
            serving.output.send(frame_message(index))
        newest = -1
        while newest != 2999:
            newest = index_of(reading.recv(PATIENCE_S))


def servers():
    return [each.name for each in threading.enumerate() if each.name == "output-ws-server"]


def test_after_a_restart_of_the_output_clients_can_connect_again():
    with Serving() as serving:
        for _ in range(3):
            with connect(serving.url):
                pass
            serving.output.close()
            wait_for(lambda: not servers())
            serving.output.open()
    wait_for(lambda: not servers())


def test_a_server_that_takes_long_to_end_takes_no_clients_from_the_next_one(monkeypatch):
    end, close, servers = threading.Event(), websocket._close, []

    async def close_late(server):
        await close(server)
        servers.append(server)
        if len(servers) == 1:
            await asyncio.to_thread(end.wait, PATIENCE_S)

    monkeypatch.setattr(websocket, "_close", close_late)
    with Serving() as serving:
        late = serving.output._thread
        serving.output.close()
        serving.output.open()
        with connect(serving.url) as client:
            wait_for(lambda: serving.output._clients)
            end.set()
            late.join(PATIENCE_S)
            serving.output.send(frame_message(1))
            assert index_of(client.recv(PATIENCE_S)) == 1


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (None, True),
        ("http://localhost:5000", True),
        ("http://127.0.0.1:5000", True),
        ("https://stage.example", True),
        ("https://stage.example.evil", False),
        ("http://localhost.evil", False),
        ("null", False),
    ],
)
def test_pages_of_other_sites_are_refused(origin, admitted):
    with Serving("?origin=https://stage.example") as serving:
        if admitted:
            with connect(serving.url, origin=origin):
                return
        refused(serving.url, 403, origin=origin)


def test_foreign_names_are_refused():
    with Serving() as serving, socket.create_connection(("127.0.0.1", serving.port)) as connection:
        refused(f"ws://evil.example:{serving.port}/", 403, sock=connection)


def test_a_token_is_needed_where_one_is_set():
    with Serving(f"?token={TOKEN}") as serving:
        assert TOKEN not in serving.output.address.name
        for url in (serving.url, f"{serving.url}?token=wrong"):
            refused(url, 401)
        with connect(f"{serving.url}?token={TOKEN}"):
            pass
        with connect(serving.url, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
            pass
        with (
            socket.create_connection(("127.0.0.1", serving.port)) as connection,
            connect(f"ws://stage.local:{serving.port}?token={TOKEN}", sock=connection),
        ):
            pass


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", ["Host: 127.0.0.1", "Origin: http://localhost", "Origin: https://evil.example"], 403),
        ("/", ["Host: 127.0.0.1", "Host: localhost"], 403),
        ("/", [], 403),
        ("//[", ["Host: 127.0.0.1", "Authorization: a", "Authorization: b"], 401),
    ],
)
def test_odd_requests_are_refused_without_a_traceback(path, headers, status, caplog):
    upgrade = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {22 * 'A'}==",
    ]
    with (
        caplog.at_level(logging.DEBUG),
        Serving(f"?token={TOKEN}") as serving,
        socket.create_connection(("127.0.0.1", serving.port), PATIENCE_S) as connection,
    ):
        connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", *headers, *upgrade, "", ""]).encode())
        assert connection.recv(1000).startswith(f"HTTP/1.1 {status} ".encode())
    assert not [record for record in caplog.records if record.exc_info]


def test_a_client_that_vanishes_is_not_logged(caplog):
    with caplog.at_level(logging.INFO), Serving() as serving:
        client = connect(serving.url)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # as if it was killed
        client.socket.close()
        wait_for(lambda: not serving.output._clients)
    assert not [record for record in caplog.records if record.name.startswith(("websockets", "mien"))]


def test_the_number_of_clients_is_limited():
    with Serving() as serving, ExitStack() as clients:
        for _ in range(MAX_CLIENTS):
            clients.enter_context(connect(serving.url))
        refused(serving.url, 503)


def test_connections_that_say_nothing_are_limited(monkeypatch):
    monkeypatch.setattr(websocket, "OPEN_WITHIN_S", 1000)
    with Serving() as serving, ExitStack() as silent:
        connections = [
            silent.enter_context(socket.create_connection(("127.0.0.1", serving.port), PATIENCE_S))
            for _ in range(MAX_CONNECTIONS + 1)
        ]
        with contextlib.suppress(ConnectionResetError):
            assert connections[-1].recv(1) == b"", "the last one is ended"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ws://0.0.0.0:8765", "expected ?token=TOKEN after an address that other computers can reach"),
        ("ws://0.0.0.0:8765?token=short", "at least 16 characters, found 5"),
        ("ws://127.0.0.1:8765?color=red", "found 'color'"),
        ("ws://127.0.0.1:8765/path", "expected ws://HOST:PORT"),
        ("ws://127.0.0.1:no", "cannot be read"),
    ],
)
def test_a_bad_address_is_refused(url, message):
    with pytest.raises(SettingsError) as caught:
        create(url)
    assert message in str(caught.value)


def test_an_occupied_port_is_tried_again():
    with Serving() as serving:
        second = Runner(create(f"ws://127.0.0.1:{serving.port}"))
        second.start()
        wait_for(lambda: second.status().error is not None)
        assert "in use" in second.status().error
        serving.output.close()
        wait_for(lambda: second.status().state == "connected")
        second.request_stop()
        assert second.join(PATIENCE_S)


def test_the_page_in_the_documentation_shows_labels_in_chromium(browser):
    page = block("docs/outputs.md", "<script>")
    port = free_port()
    with page_server(page.replace("8765", str(port))) as url, playing(f"ws://127.0.0.1:{port}", "surprise") as output:
        wait_for(lambda: output.status().state == "connected", "an output that listens")
        browser.get(url)
        wait_for(lambda: browser.title == "surprise")
