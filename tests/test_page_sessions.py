"""The page of the sessions in a real browser: list, names, deletion and downloads."""

from __future__ import annotations

import json

import pytest

from mien.recording.sessions import Sessions
from tests.page import appears, click, find, lists, see, shows, texts, vanishes
from tests.test_page_accessibility import axe, serious_faults  # noqa: F401 - a fixture
from tests.test_sessions import ID, line, two_people, write_session
from tests.web_fakes import free_port, resize

pytestmark = pytest.mark.browser

OTHER = "session-20231115-101500"
NAMES = ".recorded-name"


@pytest.fixture
def store(tmp_path) -> Sessions:
    write_session(tmp_path / "sessions", two_people())
    write_session(tmp_path / "sessions", [line(0, 86400.0, 4, "fear")], OTHER, single=True)
    store = Sessions(tmp_path / "sessions")
    store.edit(ID, [{"do": "rename", "name": "Pilot"}])
    return store


@pytest.fixture
def page(browser, fake_camera, serve, store):
    server = serve(fake_camera, port=free_port(), sessions=store)
    browser.get(f"{server.url}/sessions")
    see(lambda: len(texts(browser, NAMES)) == 2, "two sessions")
    return server


def test_a_session_is_named_and_deleted_after_one_question(browser, page, store) -> None:
    assert texts(browser, NAMES)[1] == "Pilot"
    see(lambda: "0:02 · 2 people" in texts(browser, ".recorded-facts")[1], "length and people")
    see(
        lambda: (
            texts(browser, ".recorded:nth-child(2) .shares li:not([hidden])")
            == ["happy 33\u202f%", "sad 33\u202f%", "unsure 33\u202f%"]
        ),
        "",
    )
    click(browser, ".recorded:first-child .recorded-rename")
    find(browser, ".recorded:first-child input").send_keys("<b>Ärger</b>\n")
    lists(browser, NAMES, ["<b>Ärger</b>", "Pilot"])
    assert store.get(OTHER).state.name == "<b>Ärger</b>"
    click(browser, ".recorded:first-child .recorded-rename")
    find(browser, ".recorded:first-child input").send_keys("\ue00c")  # Escape
    vanishes(browser, ".recorded:first-child form")
    click(browser, ".recorded:first-child .recorded-delete")
    click(browser, "#ask-no")
    vanishes(browser, "#ask")
    assert len(texts(browser, NAMES)) == 2
    for name in (["Pilot"], []):
        click(browser, ".recorded:first-child .recorded-delete")
        click(browser, "#ask-yes")
        lists(browser, NAMES, name)
    shows(browser, "#none span", "Nothing recorded yet. Press r on the live page.")
    assert not store.all()
    assert browser.get_log("browser") == []


def test_what_others_change_appears_and_links_lead_to_the_files(browser, page, store) -> None:
    store.edit(ID, [{"do": "rename", "name": "By others"}])
    see(lambda: texts(browser, NAMES)[1] == "By others", "the new name")
    where = ".recorded:nth-child(2) [data-file]"
    script = "return [...document.querySelectorAll(arguments[0])].map((a) => [a.dataset.file, a.href])"
    links = dict(browser.execute_script(script, where))
    assert links["open"] == f"{page.url}/sessions/{ID}"
    assert links["report"] == f"{page.url}/api/sessions/{ID}/report"
    fetched = browser.execute_async_script(
        "fetch(arguments[0]).then((a) => a.text()).then(arguments[1])", links["faces.json"]
    )
    assert json.loads(fetched)["session"]["name"] == "By others"


def test_a_lost_program_is_told_and_found_again(browser, page, store) -> None:
    browser.execute_script("window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError())")
    appears(browser, "#banner")
    browser.execute_script("window.fetch = window.kept")
    vanishes(browser, "#banner")
    assert len(texts(browser, NAMES)) == 2


def test_axe_finds_no_serious_violation_in_the_list(browser, page, axe) -> None:  # noqa: F811
    see(lambda: len(texts(browser, ".shares li")) >= 3, "the shares")
    click(browser, ".recorded:first-child .recorded-rename")
    assert serious_faults(browser, axe, [(375, "light"), (1280, "dark"), (3840, "light")]) == {}
    resize(browser, 1280, 800)
