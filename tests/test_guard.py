"""No request ends the web server, whatever it raises."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

import pytest
from flask import Response

from tests.patience import wait_for
from tests.web_fakes import FakeCamera
from web.guard import guarded


def status_of(server, path: str) -> int:
    """The status of an answer; 0 where there is none."""
    try:
        with urllib.request.urlopen(server.url + path) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException):  # the connection was closed
        return 0


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["app", "parts"])
def test_a_request_that_raises_an_exit_costs_only_its_own_answer(serve, error, where) -> None:
    camera = FakeCamera()
    camera.publish()

    def fail():
        raise error

    def parts():
        fail()
        yield b""

    server = serve(camera, answers={"/api/state": fail if where == "app" else lambda: Response(parts())})
    for _ in range(3):
        assert status_of(server, "/api/state") in (0, 500)
    assert status_of(server, "/healthz") == 200
    assert server.failed is None


def test_the_parts_of_an_answer_are_closed() -> None:
    class Parts:
        closed = False

        def __iter__(self):
            return iter([b"one", b"two"])

        def close(self):
            self.closed = True

    parts = Parts()
    answer = guarded(lambda environ, start_response: parts)({}, None)
    assert next(iter(answer)) == b"one"
    answer.close()
    assert parts.closed


def test_a_server_that_ends_unexpectedly_says_so(serve, caplog) -> None:
    server = serve(FakeCamera())
    server._cheroot.interrupt = SystemExit(3)
    assert wait_for(lambda: server.failed) == "the web server ended unexpectedly: SystemExit: 3"
