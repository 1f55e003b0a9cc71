"""Addresses: what a user types is read as it was meant, and no password is ever shown."""

from __future__ import annotations

import random

import pytest

from main import main
from mien.addresses import AddressError, is_address, looks_like_address, masked, parse_address
from mien.batch.provenance import shown_settings
from mien.errors import MienError, SettingsError, SourceMissingError
from mien.settings import read_settings
from mien.sources import open_source, source_kind, source_name
from mien.sources.catalog import SourceCatalog
from web.own_stream import is_own_address

PASSWORDS = (
    "s3cret",
    "p@ss",
    "p#ss",
    "p?ss",
    "p/ss",
    "@#?/",
    "1/2",
    "12#3",
    "12?3",
    "p@s.s/w",
    "p:w@d",
    "ü€",
    "a b",
    "",
)

AMBIGUOUS = [
    "rtsp://admin:12/s3cret@host/live",
    "http://cam.example:80/s3cret@main",
    "http://john.doe:12/s3cret@10.0.0.5/",
    "http://user:s3cret@host/path@x",
    "http://user:s3@cret@cam.example/a@b.example",
    "http://camera:8080/video?mail=s3cret@example.com",
    "rtsp://admin:s3@cr/s3cret#x@x:y/live",
    "rtsp://admin:12/s3cret@x:y/live",
    "rtsp://admin:s3cret@camera/v?mail=me@example.com",
    "rtsp://john.doe:/s3cret?@x:y/live",
]
BROKEN = [
    "http://",
    "http:///x",
    "rtsp://@host/",
    "http://me:s3cret@",
    "http://me:s3cret@host:port/",
    "http://me:s3cret@host:0/",
    "http://me:s3cret@host:65536/",
    "http://[::1",
    "http://me:s3cret@[::x]/",
    "://me:s3cret@host/",
    "s3cret@x://host/",
    "ftp://me:s3cret@host/",
    f"http://{'a' * 64}.example/",
]


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtsps"])
@pytest.mark.parametrize("host", ["192.168.1.5", "[::1]", "cam.example", "localhost"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_any_password_is_read_as_it_is_typed_and_never_shown(scheme, host, password):
    for port, path in (("", ""), (":8554", "/live/1?x=1"), ("", "?x=1")):
        text = f"{scheme.upper()}://admin:{password}@{host}{port}{path}"
        address = parse_address(text)
        assert (address.scheme, address.user, address.password) == (scheme, "admin", password)
        assert (address.host, address.port) == (host.strip("[]"), int(port[1:]) if port else None)
        assert address.target == (path if path.startswith("/") else f"/{path}")
        shown = f"{scheme}://***@{host}{port}/{path.lstrip('/').replace('x=1', '***')}"
        assert str(address) == masked(text) == source_name(text) == shown
        assert repr(address) == f"<Address {shown}>"
        assert parse_address(address.full) == address


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        ("http://me:p%40%23%3F%2F@host/", "me", "p@#?/"),
        ("http://me%40example.com:s3cret@host/", "me@example.com", "s3cret"),
        ("http://me@example.com:s3cret@192.168.1.5/", "me@example.com", "s3cret"),
        ("http://me@host/", "me", None),
        ("http://me:@host/", "me", ""),
        ("http://:s3cret@host/", "", "s3cret"),
        ("http://me:100%@host/", "me", "100%"),
        ("http://me:p%ff@host/", "me", "p\udcff"),
        ("http://host/", None, None),
        ("http://192.168.1.5:80/@main", None, None),
        ("http://192.168.1.5:80/v?mail=me@example.com", None, None),
        ("http://camera/@main", None, None),
    ],
)
def test_user_and_password_may_be_escaped_or_missing(text, user, password):
    address = parse_address(text)
    assert (address.user, address.password) == (user, password)
    assert parse_address(address.full) == address


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://host/a b/é?q=ü#part", "/a%20b/%C3%A9?q=%C3%BC"),
        ("http://host/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("http://host/%41%0a", "/%41%0a"),
        ("http://host", "/"),
    ],
)
def test_what_is_sent_contains_no_space_or_control_character(text, target):
    assert parse_address(text).target == target


def test_hosts_in_other_scripts_are_sent_as_networks_name_them():
    assert parse_address("http://käse.example/").host == "xn--kse-qla.example"
    assert parse_address("rtsp://[fe80::1%25eth0]/").host == "fe80::1%eth0"


@pytest.mark.parametrize("text", [*AMBIGUOUS, *BROKEN])
def test_an_address_that_cannot_surely_be_read_is_refused_without_being_quoted(text):
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert "s3cret" not in str(caught.value) + masked(text)
    if text in AMBIGUOUS:
        assert "write @ as %40" in str(caught.value)
    for spec in (text, text.partition("://")[2] if text in AMBIGUOUS else text):
        for refuse in (source_name, open_source, SourceCatalog().spec_of):
            with pytest.raises(MienError) as refused:
                refuse(spec)
            assert "s3cret" not in str(refused.value) + masked(spec)


def test_no_mixture_of_characters_shows_a_password():
    chosen = random.Random(1)
    pieces = ["@", "#", "?", "/", ":", ".", "=", "&", "%", "1", "a", "com", "s3cret"]
    hosts = ["192.168.1.5", "[::1]:80", "cam.example", "cam.example:8080", "camera", "x:y", "camera:99999"]
    for _ in range(3000):
        login = f"{chosen.choice(['admin', 'john.doe', 'me@example.com'])}:{''.join(chosen.choices(pieces, k=4))}"
        path = chosen.choice(["", "/live", "?x=1", "/a?b=c", "/x@y", "/v?mail=a@b.example"])
        text = f"rtsp://{login}@{chosen.choice(hosts)}{path}"
        try:
            shown = str(parse_address(text))
        except AddressError as error:
            shown = str(error)
        for each in (shown, masked(text), masked(text.removeprefix("rtsp://"))):
            assert "s3cret" not in each, text


MEANT = [
    ("192.168.1.5:8080/video", "http://192.168.1.5:8080/video"),
    ("192.168.1.5", "http://192.168.1.5/"),
    ("[::1]:8080/x", "http://[::1]:8080/x"),
    ("192.168.1.5:554/live", "rtsp://192.168.1.5:554/live"),
    ("camera:8554/live", "rtsp://camera:8554/live"),
    ("camera.local/stream", "http://camera.local/stream"),
    ("localhost:8080", "http://localhost:8080/"),
    ("//192.168.1.5/x", "http://192.168.1.5/x"),
    ("rtsp:/192.168.1.5/x", "rtsp://192.168.1.5/x"),
    ("HTTP//cam.example/x", "http://cam.example/x"),
    ("rtsp:cam.example", "rtsp://cam.example/"),
    ("admin:s3cret@192.168.1.5/x", "http://***@192.168.1.5/x"),
    ("admin:s3/c@ret#@192.168.1.5:554/x", "rtsp://***@192.168.1.5:554/x"),
    ("admin:s3cret@camera/x", "http://***@camera/x"),
]


@pytest.mark.parametrize(("text", "meant"), MEANT)
def test_a_missing_scheme_is_said_with_the_address_that_was_meant(text, meant):
    assert looks_like_address(text)
    assert source_kind(text) == "url"
    for refuse in (source_name, open_source, SourceCatalog().spec_of):
        with pytest.raises(SourceMissingError) as caught:
            refuse(text)
        assert str(caught.value).endswith(f"did you mean {meant}?")
        assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "clip.avi",
        "videos/clip.mp4",
        "/videos.old/clip.mp4",
        "../x.y/z",
        "./a:1",
        "C:\\clips\\a.mp4",
        "12:30.mp4",
        "me@home/clip.mp4",
        "C:\\clips\\a@b.mp4",
        "rtspclip.avi",
        "file:/etc/passwd",
        "concat:/etc/passwd",
        "/dev/v4l/by-id/usb-a:b@c-index0",
        "my clip.mp4",
        "",
        "x" * 5000,
        "a\0b",
    ],
)
def test_names_of_files_are_no_addresses(text):
    assert not looks_like_address(text)
    assert not is_address(text)
    assert masked(text) == text


def test_a_file_that_is_there_is_a_file_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("192.168.1.5", "camera.local"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.mp4").touch()
        assert source_kind(f"{name}/clip.mp4") == "file"


def test_the_program_s_own_pictures_are_recognized_in_any_spelling():
    for password in PASSWORDS:
        assert is_own_address(f"HTTP://me:{password}@127.0.0.1:5000/video_feed", "127.0.0.1", 5000)


SECRET_URL = "rtsp://admin:s3@cr/et#x@192.168.1.5/live?key=s3"


@pytest.mark.parametrize(
    "words",
    [
        [SECRET_URL],
        [SECRET_URL.removeprefix("rtsp://")],
        ["--loop", SECRET_URL],
        [f"--loop={SECRET_URL}"],
        ["--source", SECRET_URL, SECRET_URL],
        ["--port", SECRET_URL],
        [f"--soruce={SECRET_URL}"],
        ["--source", SECRET_URL.replace("192.168.1.5", "x:y")],
    ],
)
def test_mistakes_on_the_command_line_do_not_repeat_a_password(words, capfd, caplog):
    assert main(words) == 2
    captured = capfd.readouterr()
    assert not [each for each in ("s3", "cr/et") if each in captured.err + captured.out + caplog.text]
    assert len(captured.err.splitlines()) == 1


def test_the_facts_beside_a_recording_name_the_camera_without_its_password():
    settings = read_settings(["--source", SECRET_URL, "--insecure"], {})
    assert settings.source == SECRET_URL
    shown = shown_settings(settings)
    assert shown["source"] == "rtsp://***@192.168.1.5/live?***"
    assert shown["insecure"] is True
    with pytest.raises(SettingsError):
        read_settings([], {"MIEN_INSECURE": "yes"})
    assert read_settings([], {"MIEN_SOURCE": "demo"}).insecure is False
