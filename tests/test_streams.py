"""The picture stream: its format, its viewers, and the server below, over real connections."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

import web.free_port
import web.server
from mien.errors import ServerError
from mien.stream.latest import Latest
from mien.stream.publisher import Lazy
from mien.types import Snapshot
from tests.patience import PATIENCE_S, scaled, wait_for
from tests.web_fakes import free_port
from web import create_app
from web.free_port import AIRPLAY, DEFAULT_PORT, PORTS_TRIED, choose_port
from web.limits import Slots, pause_s
from web.schemas import Saving
from web.server import Server
from web.streams import BOUNDARY, parts, plain

LARGE = 150_000  # bytes; a few of these fill the buffers between server and viewer


def get(server: Server, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def viewers(server: Server) -> int:
    return json.loads(get(server, "/api/state")[2])["viewers"]


def large(number: int) -> bytes:
    return number.to_bytes(4, "big") * (LARGE // 4)


# ---- the parts of a stream


def test_a_part_has_a_jpeg_its_length_and_immediately_the_next_boundary() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots)
    snapshots.publish(Snapshot(b"picture"))
    assert next(stream) == b"--frame\r\n"
    assert next(stream) == b"Content-Type: image/jpeg\r\nContent-Length: 7\r\n\r\npicture\r\n--frame\r\n"


def test_a_late_reader_gets_the_newest_picture() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots)
    snapshots.publish(Snapshot(b"one"))
    assert b"one" in next(stream) + next(stream)
    for jpeg in (b"two", b"three", b"four"):
        snapshots.publish(Snapshot(jpeg))
    assert b"four" in next(stream)
    snapshots.publish(Snapshot(b"five"))
    assert b"five" in next(stream)


def test_the_last_picture_is_resent_while_there_is_no_new_one() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots, resend_s=0.01)
    snapshots.publish(Snapshot(b"still"))
    assert next(stream) == BOUNDARY
    assert next(stream) == next(stream)


def test_before_the_first_picture_empty_lines_keep_the_connection_alive() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots, resend_s=0.01)
    assert [next(stream) for _ in range(3)] == [b"\r\n"] * 3
    snapshots.publish(Snapshot(b"first"))
    assert next(stream) == BOUNDARY
    assert b"first" in next(stream)


def test_the_stream_ends_when_the_camera_closes() -> None:
    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots)
    snapshots.publish(Snapshot(b"last"))
    assert len([next(stream), next(stream)]) == 2
    snapshots.close()
    assert list(stream) == []
    assert list(parts(snapshots)) == []


def test_a_picture_is_encoded_once_and_only_if_somebody_watches() -> None:
    encoded = []
    snapshots: Latest[Snapshot] = Latest()

    def publish(number: int) -> None:
        pictures = (Lazy(lambda kind=kind: encoded.append((kind, number)) or b"jpeg") for kind in ("boxes", "plain"))
        boxes, bare = pictures
        snapshots.publish(Snapshot(boxes, plain=bare))

    publish(1)
    readers = [parts(snapshots), parts(snapshots), parts(snapshots, plain(lambda _: "{}"))]
    for reader in readers:
        assert next(reader) == BOUNDARY
    publish(2)
    assert encoded == []
    for reader in readers[:2]:
        next(reader)
    assert encoded == [("boxes", 1)]
    next(readers[2])
    assert encoded == [("boxes", 1), ("plain", 1)]
    publish(3)
    for reader in readers:
        next(reader)
    assert encoded == [("boxes", 1), ("plain", 1), ("boxes", 3), ("plain", 3)]  # no viewer saw 2


def test_a_plain_part_has_picture_and_state_of_one_snapshot() -> None:
    def state_json(snapshot: Snapshot) -> str:
        return Saving(name="Kamera \u00e9\r\n", error=None, dropped=int(snapshot.encoding_ms)).to_json()

    snapshots: Latest[Snapshot] = Latest()
    stream = parts(snapshots, plain(state_json))
    ticks = iter((1.0, 1.25))
    snapshots.publish(Snapshot(b"boxes", plain=Lazy(lambda: b"bare", lambda: next(ticks))))
    assert next(stream) == BOUNDARY
    headers, _, body = next(stream).partition(b"\r\n\r\n")
    assert body == b"bare\r\n--frame\r\n"
    assert headers.split(b"\r\n") == [
        b"Content-Type: image/jpeg",
        b"Content-Length: 4",
        rb'X-Mien-State: {"name":"Kamera \u00e9\r\n","error":null,"dropped":250}',  # escaped: ASCII and one line
    ]


def test_a_placeholder_is_its_own_plain_picture() -> None:
    assert Snapshot(b"waiting").plain_jpeg == b"waiting"


# ---- slots


def test_slots_are_limited_and_reusable() -> None:
    slots = Slots(2)
    assert slots.acquire("a")
    assert slots.acquire("a")
    assert not slots.acquire("b")
    assert slots.count == 2
    slots.release("a")
    assert "a" in slots  # the other one of that name
    assert slots.acquire("b")
    slots.release("a")
    assert "a" not in slots


def test_threads_never_acquire_more_slots_than_exist() -> None:
    slots = Slots(10)
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(lambda _: slots.acquire(), range(200)))
    assert sum(taken) == slots.count == 10


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, found 0"):
        Slots(0)


# ---- over the wire


def test_the_response_declares_a_multipart_stream_that_is_not_cached(fake_camera, serve, watch) -> None:
    snapshot = fake_camera.publish()
    client = watch(serve(fake_camera))
    assert client.response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    assert client.response.headers["Cache-Control"] == "no-store"
    assert client.part() == snapshot.jpeg


@pytest.mark.parametrize("path", ["/video_feed", "/api/frames", "/api/events"])
def test_a_proxy_is_asked_not_to_buffer(fake_camera, path: str) -> None:
    fake_camera.publish()
    with create_app(fake_camera).test_client().get(path) as answer:
        assert answer.headers["X-Accel-Buffering"] == "no"


def test_plain_pictures_carry_their_state_and_share_the_slots(fake_camera, serve, watch) -> None:
    server = serve(fake_camera, max_streams=2)
    fake_camera.publish()
    annotated = watch(server)
    client = watch(server, path="/api/frames?viewer=me")
    assert client.response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    for _ in range(3):
        client.fresh_part()
        state = json.loads(client.headers["X-Mien-State"])
        asked = json.loads(get(server, "/api/state?viewer=me")[2])
        assert state == asked
        assert state["viewers"] == 2
        assert state["watching"]
        fake_camera.publish()
    status, headers, body = get(server, "/api/frames")
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "streams is reached" in json.loads(body)["error"]
    assert get(server, "/api/frames", method="HEAD")[0] == 503
    annotated.close()
    wait_for(lambda: get(server, "/api/frames", method="HEAD")[0] == 200)


def test_twenty_viewers_each_see_every_picture_when_they_keep_up(fake_camera, serve, watch) -> None:
    server = serve(fake_camera)
    clients = [watch(server) for _ in range(20)]
    for _ in range(10):
        jpeg = fake_camera.publish().jpeg
        assert [client.fresh_part() == jpeg for client in clients] == [True] * 20
    assert viewers(server) == 20


def test_a_viewer_that_stops_reading_delays_nobody(fake_camera, serve, watch) -> None:
    server = serve(fake_camera)
    watch(server, receive_bytes=4096)  # never reads
    readers = [watch(server) for _ in range(3)]
    for number in range(60):  # far more than the buffers of the stalled one hold
        fake_camera.publish(large(number))
        assert [reader.fresh_part()[:4] for reader in readers] == [large(number)[:4]] * 3


def test_a_slow_viewer_skips_to_the_newest_picture(fake_camera, serve, watch, monkeypatch) -> None:
    monkeypatch.setattr(web.server, "SOCKET_TIMEOUT_S", PATIENCE_S)
    server = serve(fake_camera)
    slow, fast = watch(server, receive_bytes=4096), watch(server)
    last = 80
    for number in range(last + 1):
        fake_camera.publish(large(number))
        fast.fresh_part()  # so that the server has time to send each
    seen = []
    while last not in seen:
        seen.append(int.from_bytes(slow.fresh_part()[:4], "big"))
    assert seen == sorted(set(seen))
    assert len(seen) <= 5  # as many as fit into the buffers; with the kernel's default sizes it was 15


def test_a_viewer_that_disconnects_releases_its_slot(fake_camera, serve, watch) -> None:
    server = serve(fake_camera)
    fake_camera.publish()
    client = watch(server)
    client.part()
    assert viewers(server) == 1
    client.close()
    wait_for(lambda: viewers(server) == 0)  # no new picture is published: only resending can detect it


def test_a_viewer_that_stalls_loses_its_slot(fake_camera, serve, watch, monkeypatch) -> None:
    monkeypatch.setattr(web.server, "SOCKET_TIMEOUT_S", scaled(1))  # of the requests below, too
    server = serve(fake_camera)
    watch(server, receive_bytes=4096)
    wait_for(lambda: viewers(server) == 1)

    def lost_while_pictures_come() -> bool:
        fake_camera.publish(large(1))
        return viewers(server) == 0

    wait_for(lost_while_pictures_come)


def test_streams_over_the_limit_get_503_and_other_routes_still_respond(fake_camera, serve, watch) -> None:
    fake_camera.publish()
    server = serve(fake_camera, max_streams=3)
    clients = [watch(server) for _ in range(3)]
    status, headers, text = get(server, "/video_feed")
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert b"3 streams is reached" in text
    for path in ("/healthz", "/", "/api/state", "/static/app.js"):
        assert get(server, path)[0] == 200
    clients[0].close()
    wait_for(lambda: viewers(server) == 2)
    assert watch(server).response.status == 200


def test_a_head_request_takes_no_slot(fake_camera, serve, watch) -> None:
    server = serve(fake_camera, max_streams=1)
    assert [get(server, "/video_feed", method="HEAD")[0] for _ in range(3)] == [200] * 3
    assert viewers(server) == 0
    watch(server)
    assert get(server, "/video_feed", method="HEAD")[0] == 503


def test_the_state_reports_whether_a_page_s_own_stream_is_open(fake_camera, serve, watch) -> None:
    server = serve(fake_camera)
    watch(server, path="/video_feed?viewer=mine")

    def watching(name: str) -> bool:
        return json.loads(get(server, f"/api/state?viewer={name}")[2])["watching"]

    assert watching("mine")
    assert not watching("other")


# ---- the server


def test_silent_connections_occupy_no_worker(fake_camera, serve) -> None:
    fake_camera.publish()
    server = serve(fake_camera, max_streams=1)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5 * web.server.SPARE_WORKERS)]
    assert get(server, "/healthz")[0] == 200
    for connection in silent:
        connection.close()


LIMIT = web.server.MAX_HEADER_BYTES


@pytest.mark.parametrize(
    ("sent", "status"),
    [  # nothing beyond the bytes received until then, or the refusal could be lost
        (b"GET /?".ljust(LIMIT + 256, b"x"), b"HTTP/1.1 414 "),
        (b"GET / HTTP/1.1\r\n" + b"X-Long: 123456\r\n" * (LIMIT // 16), b"HTTP/1.1 413 "),
    ],
    ids=["line", "headers"],
)
def test_endless_headers_are_refused(fake_camera, serve, sent: bytes, status: bytes) -> None:
    server = serve(fake_camera)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as endless:
        endless.sendall(sent)
        assert endless.recv(len(status)) == status
    assert get(server, "/")[0] == 200


def test_the_server_stops_with_streams_open_and_one_stalled(fake_camera, serve, watch, monkeypatch, caplog) -> None:
    monkeypatch.setattr(web.server, "STOP_S", PATIENCE_S)
    server = serve(fake_camera, port=free_port())
    clients = [watch(server) for _ in range(5)]
    watch(server, receive_bytes=4096)
    for number in range(30):
        fake_camera.publish(large(number))
        for client in clients:
            client.fresh_part()
    server.stop()
    assert "a request did not end" not in caplog.text
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("CP Server")])
    assert get(serve(fake_camera, port=server.port), "/")[0] == 200  # the port is free again at once


def test_a_late_end_is_reported_only_while_a_request_is_open(fake_camera, monkeypatch, caplog) -> None:
    monkeypatch.setattr(web.server, "STOP_S", 0.01)
    server, over = Server(create_app(fake_camera), port=0), threading.Event()
    monkeypatch.setattr(server._cheroot, "stop", lambda: over.wait(PATIENCE_S))
    server.stop()
    assert not caplog.text
    server._cheroot.open_connections.add(Mock())
    server.stop()
    assert "a request did not end" in caplog.text
    over.set()


def test_a_connection_that_is_free_again_just_when_the_server_stops_is_closed(fake_camera, serve, monkeypatch) -> None:
    cheroot = serve(fake_camera)._cheroot

    def refuse(connection: Mock) -> None:
        cheroot.ready = connection is watched
        raise ValueError("I/O operation on closed epoll object")

    watched, late = Mock(), Mock()
    with monkeypatch.context() as patched:
        patched.setattr(cheroot._connections, "put", refuse)
        with pytest.raises(ValueError, match="closed epoll"):
            cheroot.put_conn(watched)
        cheroot.put_conn(late)
    cheroot.ready = True
    assert late.close.called
    assert not watched.close.called


def test_stopping_twice_or_before_the_start_is_harmless(fake_camera) -> None:
    server = Server(create_app(fake_camera), port=0)
    server.stop()
    with server:
        assert get(server, "/")[0] == 200
    server.stop()


def test_a_port_used_by_another_server_is_reported_with_a_remedy(fake_camera, serve) -> None:
    port = serve(fake_camera).port
    with pytest.raises(ServerError, match=rf"port {port} is already in use.*--port"):
        Server(create_app(fake_camera), port=port).start()


def test_a_port_that_is_bound_but_silent_counts_as_taken(fake_camera) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(ServerError, match=r"already in use.*--port"):
            Server(create_app(fake_camera), port=other.getsockname()[1]).start()


def test_a_taken_port_5000_names_the_usual_cause(fake_camera, monkeypatch) -> None:
    monkeypatch.setattr(web.free_port, "_answers", lambda host, port: True)
    with pytest.raises(ServerError, match="AirPlay"):
        Server(create_app(fake_camera), port=5000).start()


def test_without_a_port_the_next_free_one_is_used_and_reported(monkeypatch, caplog) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        monkeypatch.setattr(web.free_port, "DEFAULT_PORT", taken)
        with caplog.at_level("INFO"):
            port = choose_port("127.0.0.1", None)
    assert taken < port < taken + PORTS_TRIED
    assert caplog.messages == [f"port {taken} is in use by another program{AIRPLAY}: using {port}"]


def test_without_a_port_5000_is_used_if_it_is_free(monkeypatch, caplog) -> None:
    monkeypatch.setattr(web.free_port, "_is_free", lambda host, port: True)
    assert choose_port("127.0.0.1", None) == DEFAULT_PORT
    assert not caplog.messages


def test_if_every_port_tried_is_taken_the_user_is_asked_for_one(monkeypatch) -> None:
    monkeypatch.setattr(web.free_port, "_answers", lambda host, port: True)
    with pytest.raises(ServerError, match="ports 5000 to 5019 are in use by other programs: choose one with --port"):
        choose_port("127.0.0.1", None)


def test_an_explicit_port_is_used_or_refused() -> None:
    free = free_port()
    assert choose_port("127.0.0.1", free) == free
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServerError, match=r"already in use.*--port"):
            choose_port("127.0.0.1", other.getsockname()[1])


def test_a_foreign_host_is_no_reason_to_try_another_port() -> None:
    assert choose_port("192.0.2.1", None) == DEFAULT_PORT, "the server then reports the error"


def test_a_foreign_host_is_named_in_the_error(fake_camera) -> None:
    with pytest.raises(ServerError, match=r"192\.0\.2\.1"):
        Server(create_app(fake_camera), host="192.0.2.1", port=0).start()


def test_a_caller_s_error_is_raised_by_start(fake_camera) -> None:
    with pytest.raises(UnicodeError):  # no host name may have such a long label
        Server(create_app(fake_camera), host=f"{'x' * 64}.example", port=0).start()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:81"),
        ("0.0.0.0", "http://localhost:81"),
        ("::1", "http://localhost:81"),
        ("192.0.2.7", "http://192.0.2.7:81"),
        ("fd00::7", "http://[fd00::7]:81"),
    ],
)
def test_the_url_can_be_typed_into_a_browser(fake_camera, host: str, url: str) -> None:
    assert Server(create_app(fake_camera), host=host, port=81).url == url


def test_many_viewers_share_a_bounded_number_of_pictures() -> None:
    pauses = [pause_s(viewers) for viewers in range(1, 301)]
    assert pauses[:100] == [0.0] * 100, "up to 100 viewers get every frame"
    assert pauses[101:] == sorted(pauses[101:])
    assert all(count / pause <= 3000 + 1e-6 for count, pause in enumerate(pauses[100:], 101))
    assert pauses[199] <= 1 / 10, "200 viewers get at least 10 frames a second"


def test_a_picture_stays_for_the_pause_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots: Latest[Snapshot] = Latest()
    slept: list[float] = []
    monkeypatch.setattr(
        "web.streams.time.sleep", lambda seconds: slept.append(seconds) or snapshots.publish(Snapshot(b"next"))
    )
    snapshots.publish(Snapshot(b"first"))
    stream = parts(snapshots, pause_s=lambda: 1000.0)
    for _ in range(4):  # the first boundary, then three parts with a pause between each two
        next(stream)
    assert [round(seconds) for seconds in slept] == [1000, 1000]
