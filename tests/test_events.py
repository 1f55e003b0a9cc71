"""GET /api/events: which events are sent, when, and when the stream ends."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from dataclasses import replace

import pytest

from mien.stream.latest import Latest
from mien.types import Snapshot
from tests.patience import PATIENCE_S, wait_for
from web.streams import HEARTBEAT, messages, seen_before

RETRY = b"retry: 1000\n\n"


class EventClient:
    """Reads /api/events over a real connection, one block of lines at a time."""

    def __init__(self, port: int, path: str = "/api/events", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()

    def block(self) -> dict[str, str]:
        """The fields of the next block; a comment has the empty name."""
        fields = {}
        while line := self.response.readline().decode().rstrip("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        return fields

    def event(self) -> tuple[str, dict]:
        """The id and state of the next event."""
        while "data" not in (block := self.block()):
            assert block, "the stream has ended"
        return block["id"], json.loads(block["data"])

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.fixture
def listen():
    clients = []

    def start(server, path: str = "/api/events", **headers: str) -> EventClient:
        clients.append(EventClient(server.port, path, **headers))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def compact(state: dict) -> str:
    return json.dumps(state, separators=(",", ":"))


def number(snapshot: Snapshot | None) -> str:
    """A state that identifies the picture."""
    return compact({"picture": snapshot.jpeg.decode() if snapshot else None})


def status_of_head(server) -> int:
    """200 while there is a free slot, else 503."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("HEAD", "/api/events")
    try:
        return connection.getresponse().status
    finally:
        connection.close()


# ---- the events


class Paced(Latest[Snapshot]):
    """A camera of 100 pictures a second, on a clock that jumps instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def wait(self, after: int, timeout_s: float):
        end_s = self.now_s + timeout_s
        while self.now_s < end_s and self.peek()[0] <= after:
            self.now_s += 0.01
            self.publish(Snapshot(b"%d" % round(100 * self.now_s)))
        return self.peek()


def test_at_most_thirty_a_second_and_always_the_newest() -> None:
    snapshots = Paced()
    snapshots.publish(Snapshot(b"0"))
    stream = messages(snapshots, number, heartbeat_s=1, now=lambda: snapshots.now_s)
    assert next(stream) == RETRY
    received = []
    while snapshots.now_s < 2:
        event = next(stream)
        received.append(json.loads(event.decode().split("data: ")[1])["picture"])
        assert received[-1] == snapshots.peek()[1].jpeg.decode()
    assert 45 <= len(received) <= 61
    assert len(set(received)) == len(received)


def test_each_snapshot_is_sent_once_with_its_number() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = messages(snapshots, number, run="r", heartbeat_s=0.01)
    assert next(stream) == RETRY
    assert next(stream) == b'id: r-0\ndata: {"picture":null}\n\n'
    for index in (1, 2):
        snapshots.publish(Snapshot(b"%d" % index))
        assert next(stream) == b'id: r-%d\ndata: {"picture":"%d"}\n\n' % (index, index)
    assert next(stream) == next(stream) == HEARTBEAT


def test_a_returning_reader_gets_no_event_twice() -> None:
    snapshots: Latest[Snapshot] = Latest()
    for jpeg in (b"1", b"2"):
        snapshots.publish(Snapshot(jpeg))
    knows_all = messages(snapshots, number, after=2, heartbeat_s=0.01)
    knows_one = messages(snapshots, number, after=1, heartbeat_s=0.01)
    assert [next(knows_all), next(knows_all)] == [RETRY, HEARTBEAT]
    assert [next(knows_one), next(knows_one)] == [RETRY, b'id: -2\ndata: {"picture":"2"}\n\n']
    snapshots.publish(Snapshot(b"3"))
    assert next(knows_all) == next(knows_one) == b'id: -3\ndata: {"picture":"3"}\n\n'


def test_a_state_change_without_a_picture_is_sent() -> None:
    snapshots: Latest[Snapshot] = Latest()
    snapshots.publish(Snapshot(b"last"))
    state = {"source": "file"}
    stream = messages(snapshots, lambda _: compact(state), heartbeat_s=0.01)
    assert next(stream) + next(stream) + next(stream) == RETRY + b'id: -1\ndata: {"source":"file"}\n\n' + HEARTBEAT
    state["source"] = "ended"
    assert next(stream) == b'id: -1\ndata: {"source":"ended"}\n\n'


class Asked(Latest[Snapshot]):
    """Records the arguments of each wait, and never waits."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[int] = []

    def wait(self, after: int, timeout_s: float):
        self.after.append(after)
        return super().wait(after, 0)


def test_a_new_picture_with_an_unchanged_state_is_skipped() -> None:
    snapshots = Asked()
    stream = messages(snapshots, lambda _: compact({"same": True}), now=itertools.count().__next__)
    assert [next(stream), next(stream)] == [RETRY, b'id: -0\ndata: {"same":true}\n\n']
    for _ in range(2):
        snapshots.publish(Snapshot(b"resting"))
        assert next(stream) == HEARTBEAT
    assert next(stream) == HEARTBEAT
    assert snapshots.after == [0, 1, 2]


def test_the_stream_ends_with_the_camera_even_while_waiting() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = messages(snapshots, number, heartbeat_s=1000)
    assert [next(stream), next(stream)][0] == RETRY
    rest: list[list[bytes]] = []
    waiting = threading.Thread(target=lambda: rest.append(list(stream)))
    waiting.start()
    snapshots.close()
    waiting.join(PATIENCE_S)
    assert rest == [[]]


@pytest.mark.parametrize(
    ("event_id", "sequence"),
    [
        ("run-7", 7),
        ("run-9", 9),
        ("run-10", 0),  # not yet sent: invented, or of another run with the same name
        ("other-7", 0),
        ("run-", 0),
        ("run--7", 0),
        ("run-٧", 0),
        ("run-" + "9" * 5000, 0),
        ("7", 0),
        ("", 0),
    ],
)
def test_only_ids_of_this_run_are_accepted(event_id: str, sequence: int) -> None:
    assert seen_before(event_id, "run", newest=9) == sequence


# ---- over the wire


def test_an_event_is_the_state_of_its_picture(fake_camera, serve, listen) -> None:
    fake_camera.publish()
    server = serve(fake_camera)
    client = listen(server)
    assert client.response.headers["Content-Type"].startswith("text/event-stream")
    assert client.response.headers["Cache-Control"] == "no-store"
    with http_get(server, "/api/state") as answer:
        asked = json.load(answer)
    assert client.event()[1] == asked
    assert "watching" not in asked
    for index in (1, 2, 3):
        fake_camera.publish()
        assert client.event()[1]["frame"]["index"] == index


def http_get(server, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={"Connection": "close"})
    return connection.getresponse()


def test_a_reader_that_returns_with_its_last_id_gets_the_next(fake_camera, serve, listen) -> None:
    fake_camera.publish()
    server = serve(fake_camera)
    first = listen(server)
    last_id, _ = first.event()
    first.close()
    again = listen(server, **{"Last-Event-ID": last_id})
    assert again.block() == {"retry": "1000"}
    assert again.block() == {"": ""}  # a heartbeat, as there are no events
    fake_camera.publish()
    assert again.event()[1]["frame"]["index"] == 1
    assert listen(server, **{"Last-Event-ID": "gone-5"}).event()[1]["frame"]["index"] == 1


def test_events_report_whether_the_page_s_picture_stream_is_open(fake_camera, serve, listen, watch) -> None:
    fake_camera.publish()
    server = serve(fake_camera)
    client = listen(server, "/api/events?viewer=mine")
    assert client.event()[1]["watching"] is False
    watch(server, path="/video_feed?viewer=mine")
    state = client.event()[1]
    assert (state["watching"], state["viewers"]) == (True, 1)


def test_streams_over_the_limit_get_503_and_other_routes_still_respond(fake_camera, serve, listen, watch) -> None:
    fake_camera.publish()
    server = serve(fake_camera, max_streams=2)
    clients = [listen(server) for _ in range(2)]
    pictures = [watch(server) for _ in range(2)]  # the two kinds of streams have separate slots
    assert [client.response.status for client in [*clients, *pictures]] == [200] * 4
    refused = listen(server).response
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "2 streams" in json.load(refused)["error"]
    for path in ("/", "/healthz", "/api/state"):
        with http_get(server, path) as answer:
            assert answer.status == 200
    clients[0].close()
    wait_for(lambda: status_of_head(server) == 200)
    assert listen(server).response.status == 200


def test_a_reader_that_disconnects_is_noticed_without_new_events(fake_camera, serve, listen) -> None:
    fake_camera.publish()
    server = serve(fake_camera, max_streams=1)
    client = listen(server)
    client.event()
    assert status_of_head(server) == 503
    client.close()
    wait_for(lambda: status_of_head(server) == 200)


def test_there_is_a_worker_for_every_stream(fake_camera, serve, listen, watch) -> None:
    fake_camera.publish()
    server = serve(fake_camera, max_streams=20)
    streams = [open_one(server) for _ in range(20) for open_one in (listen, watch)]
    assert {stream.response.status for stream in streams} == {200}
    with http_get(server, "/api/state") as answer:
        assert json.load(answer)["viewers"] == 20


def test_a_camera_that_closes_ends_the_stream(fake_camera, serve, listen) -> None:
    fake_camera.publish()
    client = listen(serve(fake_camera))
    client.event()
    fake_camera.current = replace(fake_camera.current, state="ended")
    assert client.event()[1]["source"]["state"] == "ended"
    fake_camera.close()
    assert client.response.read().replace(HEARTBEAT, b"") == b""
