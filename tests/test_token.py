"""A program open to the network: attempts to get in without the token."""

from __future__ import annotations

import hmac
import re
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from hashlib import sha256

import pytest
from werkzeug.exceptions import TooManyRequests

import main
import web.attempts
from mien.settings import Settings
from tests.fakes import FakePipeline
from tests.patience import PATIENCE_S, wait_for
from tests.web_fakes import free_port
from web import AppOptions, create_app, security
from web.attempts import Attempts

TOKEN = "correct-horse-battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def app(fake_camera):
    fake_camera.publish()
    return create_app(fake_camera, AppOptions(host="0.0.0.0", token=TOKEN, analyze=lambda _: 1 / 0))


@pytest.fixture
def client(app):
    return app.test_client()


def addresses(app) -> list[tuple[str, str]]:
    """Every method and address of the app, and some that do not exist."""
    found = [
        (method, rule.rule.replace("<path:filename>", "app.js"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods
    ]
    return [*found, ("GET", "/nothing"), ("GET", "/api/nothing"), ("POST", "/"), ("DELETE", "/api/state")]


def test_every_route_needs_the_token(app, client) -> None:
    tried = addresses(app)
    assert len(tried) > 15
    for method, path in tried:
        answer = client.open(path, method=method)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
        assert answer.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in answer.headers


def test_the_page_that_asks_for_the_token_contains_its_style(client) -> None:
    answer = client.get("/")
    style = re.search("<style>(.*)</style>", answer.text)[1]
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{allowed}';" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "/static/" not in answer.text  # which cannot be loaded without the token
    assert "<style" not in client.get("/nothing", headers=BEARER).text


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Bearer {TOKEN}\u00e9",
        "Bearer " + "x" * 10_000,
    ],
)
def test_a_wrong_header_is_refused(client, authorization: str) -> None:
    assert client.get("/api/state", headers={"Authorization": authorization}).status_code == 401


@pytest.mark.parametrize("query", ["token=", "token=x", f"token={TOKEN}x", f"Token={TOKEN}", f"token=&token={TOKEN}"])
def test_a_wrong_query_is_refused_and_sets_no_cookie(client, query: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert client.get("/").status_code == 401


def test_the_header_opens_every_route(client) -> None:
    for path in ("/", "/api/state", "/healthz", "/static/app.js"):
        with client.get(path, headers=BEARER) as answer:
            assert answer.status_code == 200
            assert "Set-Cookie" not in answer.headers


def test_the_query_is_needed_only_once(client) -> None:
    answer = client.get(f"/?token={TOKEN}")
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # this request came without HTTPS
    assert TOKEN not in cookie
    assert client.get("/api/state").status_code == 200
    assert "Secure" in client.get(f"/?token={TOKEN}", base_url="https://localhost").headers["Set-Cookie"]


def test_a_forged_cookie_is_refused(app, client) -> None:
    name, _, value = client.get(f"/?token={TOKEN}").headers["Set-Cookie"].partition(";")[0].partition("=")
    for forged in ("", TOKEN, value[:-1], value.upper() + "0", hmac.digest(b"", b"cookie", "sha256").hex()):
        stranger = app.test_client()
        stranger.set_cookie(name, forged)
        assert stranger.get("/").status_code == 401, forged


def test_the_cookie_of_another_token_is_refused(fake_camera, client) -> None:
    client.get(f"/?token={TOKEN}")
    changed = create_app(fake_camera, AppOptions(host="0.0.0.0", token=TOKEN + "2")).test_client()
    cookie = client.get(f"/?token={TOKEN}").headers["Set-Cookie"].partition(";")[0]
    assert changed.get("/", headers={"Cookie": cookie}).status_code == 401


def test_the_token_does_not_allow_a_foreign_host_or_origin(client) -> None:
    assert client.get("/", headers={**BEARER, "Host": "evil.example"}).status_code == 403
    assert client.post("/api/analyze", headers={**BEARER, "Origin": "http://evil.example"}).status_code == 403
    rebound = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/analyze", headers={**BEARER, **rebound}).status_code == 403


def test_browsers_get_a_form_for_the_token_and_programs_json(client) -> None:
    page = client.get("/")
    assert 'name="token"' in page.text
    assert "Bearer" in client.get("/api/state").json["error"]


def test_every_comparison_takes_constant_time(client, monkeypatch) -> None:
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(security.hmac, "compare_digest", lambda a, b: compared.append(a) or compare(a, b))
    client.get("/?token=one", headers={"Authorization": "Bearer two"})
    assert {b"one", b"two"} <= set(compared)


@pytest.mark.parametrize(
    ("host", "given", "asks"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("127.0.0.1", TOKEN, True),
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("192.168.1.4", None, True),
        ("camera.example", None, True),
    ],
)
def test_a_token_is_generated_if_the_network_can_connect(host: str, given: str | None, asks: bool) -> None:
    made = security.token_for(host, given)
    assert (made is not None) == asks
    if given:
        assert made == given
    elif made:
        assert len(made) >= 24
        assert made != security.token_for(host, None)


@pytest.mark.parametrize(
    ("host", "token"), [("0.0.0.0", None), ("192.168.1.4", None), ("0.0.0.0", ""), ("::1", "short")]
)
def test_an_app_open_to_the_network_needs_a_token(fake_camera, host: str, token: str | None) -> None:
    with pytest.raises(ValueError, match="token"):
        create_app(fake_camera, AppOptions(host=host, token=token))


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class Waits:
    """A clock, and a sleep that notes how long it was asked for."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.waited: list[float] = []

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture
def waits(monkeypatch) -> Waits:
    monkeypatch.setattr(web.attempts, "DELAY_S", 1.0)
    return Waits()


def test_a_wrong_token_is_delayed_and_a_right_one_is_not(waits) -> None:
    attempts = Attempts(waits.now, waits.sleep)
    assert attempts.check("192.0.2.7", lambda: True)
    assert waits.waited == []
    assert not attempts.check("192.0.2.7", lambda: False)
    assert not attempts.check("192.0.2.8", lambda: False)
    assert waits.waited == [1.0, 1.0]
    assert attempts.check("192.0.2.7", lambda: True)
    assert len(waits.waited) == attempts.count == 2


def test_many_at_once_from_one_address_are_refused_without_comparing(waits) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def sleep(_: float) -> None:
        entered.release()
        assert leave.wait(PATIENCE_S)

    attempts = Attempts(waits.now, sleep)
    threads = [threading.Thread(target=attempts.check, args=("192.0.2.7", lambda: False)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(entered.acquire(timeout=PATIENCE_S) for _ in threads)
    with pytest.raises(TooManyRequests):
        attempts.check("192.0.2.7", lambda: pytest.fail("a fifth token was compared"))
    assert attempts.check("192.0.2.8", lambda: True)  # others are not locked out
    assert not attempts.check("192.0.2.9", lambda: False)  # at once: no thread waits for more than four
    leave.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert attempts.check("192.0.2.7", lambda: True)


def test_each_address_is_logged_once_and_not_without_end(waits, caplog) -> None:
    attempts = Attempts(waits.now, waits.sleep)
    for number in range(3000):
        for _ in range(3):
            attempts.check(f"192.{number >> 16}.{number >> 8 & 255}.{number & 255}", lambda: False)
    assert 20 <= len(caplog.records) <= 22
    assert attempts.count == 9000
    assert len(attempts._wrong_at_s) <= 1000
    waits.time_s += 601
    attempts.check("192.0.0.0", lambda: False)
    assert "9001 so far" in caplog.records[-1].getMessage()


def test_one_ipv6_network_counts_as_one_address(waits, caplog) -> None:
    attempts = Attempts(waits.now, waits.sleep)
    for address in ("2001:db8::1", "2001:db8::ffff:1", "::ffff:192.0.2.7", "192.0.2.7", "nonsense\x1b[2J"):
        attempts.check(address, lambda: False)
    assert [record.args[0] for record in caplog.records] == ["2001:db8::/64", "192.0.2.7", "an unknown address"]


def test_requests_without_a_token_are_not_counted(client, caplog) -> None:
    for path in ("/", "/api/state", "/?token="):
        assert client.get(path).status_code == 401
    assert caplog.records == []
    client.get("/?token=wrong-wrong-wrong")
    assert "a wrong token from 127.0.0.1" in caplog.text
    assert "wrong-wrong" not in caplog.text


@pytest.mark.parametrize(("token", "printed"), [(None, True), (TOKEN, False)])
def test_a_token_the_user_has_set_is_not_printed(fake_camera, serve, caplog, token, printed: bool) -> None:
    caplog.set_level("INFO", "mien")
    main.announce(
        Settings(host="0.0.0.0", token=token), fake_camera, serve(fake_camera), token or "generated-token-123"
    )
    assert ("?token=generated-token-123" in caplog.text) == printed
    assert TOKEN not in caplog.text
    assert ("the token you have set" in caplog.text) != printed


def test_the_program_prints_the_address_with_the_generated_token(monkeypatch, caplog) -> None:
    monkeypatch.setattr(main, "build_pipeline", lambda _: FakePipeline())
    stop, port = threading.Event(), free_port()
    caplog.set_level("INFO", "mien")
    running = threading.Thread(target=main.run, args=(Settings(source="demo", host="0.0.0.0", port=port), stop))
    running.start()
    try:
        wait_for(lambda: "/?token=" in caplog.text)
        url = next(word for word in caplog.text.split() if "/?token=" in word)
        assert url.startswith(f"http://localhost:{port}/?token=")
        assert status(url) == 200
        assert status(url[:-1]) == status(url.partition("?")[0]) == 401
    finally:
        stop.set()
        running.join(PATIENCE_S)
