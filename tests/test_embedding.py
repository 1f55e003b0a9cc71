"""Which answers may be shown in a frame of another origin: the bars of the live page, for origins the user names."""

from __future__ import annotations

import pytest

from web import AppOptions, create_app, security

FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
TOKEN = "correct-horse-battery"
ORIGIN = "https://class.example"


@pytest.fixture
def client(fake_camera):
    fake_camera.publish()
    return create_app(fake_camera, AppOptions(embed=(ORIGIN,))).test_client()


def test_without_the_option_no_page_may_embed_anything(fake_camera) -> None:
    client = create_app(fake_camera).test_client()
    assert client.get("/?view=bars", headers=FRAME).status_code == 403
    answer = client.get("/?view=bars")
    assert answer.headers["Content-Security-Policy"] == security.HEADERS["Content-Security-Policy"]


def test_the_bars_name_the_origins_that_may_embed_them_and_open_no_camera(client, fake_camera) -> None:
    answer = client.get("/?view=bars", headers=FRAME)
    assert answer.status_code == 200
    assert f"frame-ancestors {ORIGIN}" in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert fake_camera.asked == 0, "a browser may refuse to show it"
    assert client.get("/?view=bars").status_code == 200
    assert fake_camera.asked == 1


@pytest.mark.parametrize(
    "path", ["/", "/?view=stage", "/?view=other", "/api", "/api/state?view=bars", "/video_feed?view=bars"]
)
def test_nothing_else_may_be_embedded(client, path) -> None:
    assert client.get(path, headers=FRAME).status_code == 403
    with client.get(path) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Dest": "object"}, {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}]
)
def test_the_bars_are_no_object_or_image_of_a_foreign_page(client, headers) -> None:
    assert client.get("/?view=bars", headers=FRAME | headers).status_code == 403


@pytest.mark.parametrize(
    ("scheme", "path", "expected"),
    [
        ("https", "/?view=bars", {"SameSite=None", "Partitioned", "Secure"}),
        ("http", "/?view=bars", {"SameSite=Strict"}),
        ("https", "/?view=stage", {"SameSite=Strict", "Secure"}),
    ],
)
def test_the_cookie_of_embedded_bars_belongs_to_the_embedding_site(fake_camera, scheme, path, expected) -> None:
    fake_camera.publish()
    client = create_app(fake_camera, AppOptions(host="0.0.0.0", token=TOKEN, embed=(ORIGIN,))).test_client()
    answer = client.get(f"{path}&token={TOKEN}", base_url=f"{scheme}://127.0.0.1")
    parts = set(answer.headers["Set-Cookie"].split("; "))
    assert expected <= parts
    assert "HttpOnly" in parts
    assert len(parts & {"SameSite=None", "SameSite=Strict"}) == 1


@pytest.mark.parametrize(
    ("path", "attributes"),
    [
        ("/", []),
        ("/?view=stage", ['data-only="stage"']),
        (
            "/?view=stage&background=transparent&picture=off",
            ['data-only="stage"', 'data-background="transparent"', 'data-picture="off"'],
        ),
        ("/?view=bars", ['data-only="bars"']),
        ("/?view=<script>", []),
    ],
)
def test_the_page_says_which_view_it_is(client, path, attributes) -> None:
    body = client.get(path).text.partition("<body ")[2].partition(">")[0]
    assert body == " ".join(['data-view="live"', *attributes])
