"""The routes of sessions: what they answer, refuse and change."""

from __future__ import annotations

import json

import pytest

from mien.images.privacy import Privacy
from mien.recording.csv_log import Recording
from mien.recording.sessions import Sessions
from mien.types import EXPRESSIONS
from tests.test_openapi import check
from tests.test_sessions import EPOCH_S, ID, two_people, write_session
from tests.web_fakes import FakeCamera
from web import AppOptions, create_app

ONE = "/api/sessions/{session}"


@pytest.fixture
def running() -> dict[str, Recording]:
    return {}


@pytest.fixture
def store(tmp_path, running) -> Sessions:
    write_session(tmp_path, two_people())
    return Sessions(tmp_path, lambda: running)


@pytest.fixture
def client(fake_camera: FakeCamera, store):
    return create_app(fake_camera, AppOptions(sessions=store)).test_client()


def patch(client, body, session: str = ID):
    return client.patch(f"/api/sessions/{session}", json=body)


def test_sessions_are_listed_with_what_they_come_to(client, store) -> None:
    store.get(ID, complete=True)
    answer = client.get("/api/sessions")
    check(answer, "/api/sessions")
    (session,) = answer.json["sessions"]
    shares = session.pop("shares")
    assert session.pop("bytes") > 0
    assert session == {
        "id": ID,
        "name": None,
        "began": EPOCH_S,
        "length_s": 2.0,
        "recording": False,
        "source": "program",
        "people": 2,
        "has_video": False,
    }
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert shares["unsure"] == pytest.approx(1 / 3, abs=1e-4)


def test_a_session_is_renamed_and_edited_in_one_request(client) -> None:
    edits = [
        {"do": "mark", "t": 1.5, "text": "laughs"},
        {"do": "person", "face": 1, "name": "Anna"},
        {"do": "merge", "faces": [1, 2]},
        {"do": "exclude", "from": 0, "to": 0.5},
    ]
    answer = patch(client, {"name": "Pilot", "edits": edits})
    check(answer, ONE, "patch")
    answer = client.get(f"/api/sessions/{ID}")
    check(answer, ONE)
    session = answer.json
    assert (session["name"], session["people"]) == ("Pilot", 1)
    assert session["markers"] == [{"id": "m1", "t": 1.5, "text": "laughs"}]
    assert session["excluded"] == [{"id": "x1", "from": 0.0, "to": 0.5}]
    assert (session["names"], session["merged"]) == ({"1": "Anna"}, {"2": 1})
    (person,) = session["persons"]
    assert (person["name"], person["faces"]) == ("Anna", [1, 2])
    assert person["seconds"]["happy"] == pytest.approx(0.5)
    answer = patch(client, {"edits": [{"do": "split", "faces": [2]}, {"do": "include", "id": "x1"}]})
    assert (answer.json["merged"], answer.json["excluded"]) == ({}, [])
    answer = patch(client, {"edits": [{"do": "mark", "id": "m1", "text": ""}, {"do": "unmark", "id": "m1"}]})
    assert answer.json["markers"] == []


def test_fifty_markers_with_the_longest_words_are_one_request(client) -> None:
    longest = "\N{GRINNING FACE}" * 120  # twelve bytes each where they are escaped
    body = json.dumps({"name": longest, "edits": [{"do": "mark", "t": 1234.567, "text": longest}] * 50})
    answer = client.patch(f"/api/sessions/{ID}", data=body, content_type="application/json")
    assert answer.status_code == 200, answer.json
    assert (len(answer.json["markers"]), answer.json["markers"][49]["text"]) == (50, longest)
    refused = client.patch(f"/api/sessions/{ID}", data=body + " " * 30_000, content_type="application/json")
    assert refused.status_code == 413


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "expected a name or edits"),
        ({"edits": []}, 400, "expected a name or edits"),
        ({"name": 5}, 400, "name"),
        ({"edits": [{"do": "begin", "at": 0}]}, 400, "begin"),
        ({"edits": [{"do": "exclude", "from": "0", "to": 1}]}, 400, "from"),
        ({"edits": [{"do": "mark", "t": -1}]}, 400, "greater than or equal to 0"),
        ({"edits": [{"do": "person", "face": True, "name": ""}]}, 400, "face"),
        ({"edits": [{"do": "mark", "t": 1, "more": 1}]}, 400, "more"),
        ({"edits": [{"do": "mark", "t": 1}] * 51}, 400, "at most 50"),
        ({"edits": [{"do": "mark", "t": 1, "text": "x" * 121}]}, 400, "at most 120"),
        ({"edits": [{"do": "mark"}]}, 422, "seconds from 0"),
        ({"edits": [{"do": "mark", "id": "m99999999", "t": 1}]}, 422, "the id of a marker, found 'm99999999'"),
        ({"edits": [{"do": "unmark", "id": "m1"}]}, 422, "the id of a marker, found 'm1'"),
        ({"edits": [{"do": "exclude", "from": 2, "to": 1}]}, 422, "ends after it begins"),
        ({"name": "two\nlines"}, 422, "printable"),
    ],
)
def test_what_is_not_valid_is_refused_and_changes_nothing(client, store, body, status, says) -> None:
    before = store.files(ID).edits.read_bytes()
    answer = patch(client, body)
    assert (answer.status_code, says in answer.json["error"]) == (status, True), answer.json
    check(answer, ONE, "patch")
    assert store.files(ID).edits.read_bytes() == before


def test_resting_faces_that_were_measured_are_listed(client, store) -> None:
    odds = {name: place - 3.5 for place, name in enumerate(EXPRESSIONS)}
    store.edit(ID, [{"do": "baseline", "face": 2, "frames": 84, "rare": 0.5, "log_odds": odds}])
    answer = client.get(f"/api/sessions/{ID}")
    check(answer, ONE)
    assert answer.json["baselines"] == [{"face": 2, "frames": 84, "rare": 0.5, "log_odds": odds}]


def test_an_answer_names_the_markers_and_spans_that_were_made(client) -> None:
    edits = [
        {"do": "mark", "t": 1.5},
        {"do": "exclude", "from": 0, "to": 1},
        {"do": "person", "face": 1, "name": "Anna"},
    ]
    assert patch(client, {"edits": edits}).json["made"] == ["m1", "x1"]
    assert patch(client, {"edits": [{"do": "mark", "id": "m1", "text": "laughs"}, {"do": "mark", "t": 2}]}).json[
        "made"
    ] == ["m2"]
    assert client.get(f"/api/sessions/{ID}").json["made"] == []


@pytest.mark.parametrize(("given", "faces"), [("1", [1]), ("0", []), ("7", [1, 2])])
def test_only_those_seen_longest_are_listed_if_so_many_are_wanted(client, given, faces) -> None:
    session = client.get(f"/api/sessions/{ID}?persons={given}").json
    assert ([each["face"] for each in session["persons"]], session["people"]) == (faces, 2)


@pytest.mark.parametrize("given", ["", "-1", "x", "1.5"])
def test_another_number_of_people_is_refused(client, given) -> None:
    answer = client.get(f"/api/sessions/{ID}?persons={given}")
    check(answer, ONE)
    assert answer.status_code == 400


def test_a_deleted_session_is_gone(client, store) -> None:
    answer = client.delete(f"/api/sessions/{ID}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get("/api/sessions").json == {"sessions": []}
    for missing in (
        client.get(f"/api/sessions/{ID}"),
        patch(client, {"name": "x"}),
        client.delete(f"/api/sessions/{ID}"),
    ):
        assert missing.status_code == 404
    assert not list(store.root.iterdir())


def test_a_running_session_is_not_deleted(client, running) -> None:
    running[ID] = Recording(on=True, since=EPOCH_S, session=ID, people=3)
    answer = client.delete(f"/api/sessions/{ID}")
    check(answer, ONE, "delete")
    assert (answer.status_code, "is being recorded" in answer.json["error"]) == (409, True)
    session = client.get(f"/api/sessions/{ID}").json
    check(client.get(f"/api/sessions/{ID}"), ONE)
    assert (session["recording"], session["people"]) == (True, 2)
    assert [each["face"] for each in session["persons"]] == [1, 2]


def test_the_state_tells_that_a_session_has_changed(client) -> None:
    before = client.get("/api/controls").json["sessions_version"]
    patch(client, {"name": "New"})
    assert client.get("/api/controls").json["sessions_version"] > before
    assert client.get("/api/state").json["sessions_version"] > before


@pytest.mark.parametrize("session", ["..%2fsecret", "%2e%2e", "session-20231114-221500%00", "session-1"])
def test_other_names_find_nothing(client, session) -> None:
    for method in ("get", "delete", "patch"):
        answer = getattr(client, method)(
            f"/api/sessions/{session}", **({"json": {"name": "x"}} if method == "patch" else {})
        )
        assert answer.status_code == 404


def test_without_sessions_the_routes_say_so(fake_camera) -> None:
    client = create_app(fake_camera).test_client()
    assert "keeps no sessions" in client.get("/api/sessions").json["error"]
    assert client.get("/api/controls").json["sessions_version"] == 0


def test_sessions_are_read_with_the_token_only(fake_camera, store) -> None:
    token = "correct-horse-battery"
    client = create_app(fake_camera, AppOptions(sessions=store, token=token)).test_client()
    assert client.get("/api/sessions").status_code == 401
    assert client.get("/api/sessions", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_another_site_changes_nothing(client) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    assert client.delete(f"/api/sessions/{ID}", headers=foreign).status_code == 403
    assert client.patch(f"/api/sessions/{ID}", data=json.dumps({"name": "x"}), headers=foreign).status_code == 403


# ---- files


@pytest.mark.parametrize(("name", "kind"), [("faces.csv", "text/csv"), ("faces.json", "application/json")])
def test_the_table_is_downloaded_under_the_name_of_the_session(client, name, kind) -> None:
    patch(client, {"name": "Pilot 1/2"})
    answer = client.get(f"/api/sessions/{ID}/{name}")
    assert (answer.status_code, answer.mimetype) == (200, kind)
    assert f"Pilot_1_2{name[5:]}" in answer.headers["Content-Disposition"]
    assert "Face 1" in answer.text
    assert client.get(f"/api/sessions/session-20200101-000000/{name}").status_code == 404


def test_a_video_is_sent_in_parts(client, store) -> None:
    path = f"/api/sessions/{ID}/video.mp4"
    assert client.get(path).status_code == 404
    store.files(ID).video.write_bytes(bytes(range(200)))
    with client.get(path, headers={"Range": "bytes=100-109"}) as part:
        assert (part.status_code, part.data) == (206, bytes(range(100, 110)))
    with client.get(path) as whole, client.get(path, headers={"Range": "bytes=900-"}) as none:
        assert (whole.headers["Accept-Ranges"], none.status_code) == ("bytes", 416)
    assert client.get("/api/sessions").json["sessions"][0]["has_video"]


@pytest.mark.parametrize(("covered", "status"), [(None, 404), (False, 404), (True, 200)])
def test_privacy_mode_shows_only_videos_in_which_it_was_on(fake_camera, store, covered, status) -> None:
    files = store.files(ID)
    files.video.write_bytes(b"video")
    files.edits.write_text(json.dumps({"at": 1.0, "do": "end", "length_s": 1.0, "covered": covered}) + "\n")
    privacy = Privacy(True)
    client = create_app(fake_camera, AppOptions(sessions=store, privacy=privacy)).test_client()
    with client.get(f"/api/sessions/{ID}/video.mp4") as answer:
        assert answer.status_code == status
    listed = [client.get("/api/sessions").json["sessions"][0], client.get(f"/api/sessions/{ID}").json]
    assert [each["has_video"] for each in listed] == [status == 200] * 2
    privacy.switch(False)
    assert client.get("/api/sessions").json["sessions"][0]["has_video"]
    with client.get(f"/api/sessions/{ID}/video.mp4") as answer:
        assert answer.status_code == 200


class Exports:
    """Fake of what makes files of sessions."""

    parquet = True

    def __init__(self, folder=None) -> None:
        self.folder = folder

    def make(self, session: str, name: str):
        path = self.folder / name
        path.write_text(f"{name} of {session}")
        return path


@pytest.mark.parametrize(
    ("name", "kind", "download"),
    [
        ("events.csv", "text/csv", "Pilot_events.csv"),
        ("faces.parquet", "application/vnd.apache.parquet", "Pilot.parquet"),
    ],
)
def test_what_is_made_of_a_session_is_downloaded(fake_camera, store, tmp_path, name, kind, download) -> None:
    store.edit(ID, [{"do": "rename", "name": "Pilot"}])
    (tmp_path / "made").mkdir()
    client = create_app(fake_camera, AppOptions(sessions=store, exports=Exports(tmp_path / "made"))).test_client()
    with client.get(f"/api/sessions/{ID}/{name}") as answer:
        assert (answer.status_code, answer.mimetype, answer.text) == (200, kind, f"{name} of {ID}")
        assert f'"{download}"' in answer.headers["Content-Disposition"]
    assert client.get(f"/api/sessions/session-20200101-000000/{name}").status_code == 404


def test_the_page_offers_parquet_and_events_only_where_they_can_be_made(fake_camera, store) -> None:
    assert (
        "faces.parquet" not in create_app(fake_camera, AppOptions(sessions=store)).test_client().get("/sessions").text
    )
    client = create_app(fake_camera, AppOptions(sessions=store, exports=Exports())).test_client()
    assert all(name in client.get("/sessions").text for name in ("faces.parquet", "events.csv"))
