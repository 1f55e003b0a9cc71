"""The texts of the pages: complete and alike in all languages, none of them left in templates and modules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mien.types import EXPRESSIONS
from tests.page import find, lists, says, shows, texts
from tests.patience import wait_for
from tests.web_fakes import FakeCamera
from web import create_app, languages
from web.languages import Language, merged, read_languages
from web.openapi import document
from web.programs import EXAMPLES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "static" / "texts"
CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
TRANSLATED = [code for code in CODES if code != "en"]
MODULES = sorted(path for path in (ROOT / "static").rglob("*.js"))
TEMPLATES = [
    ROOT / "templates" / f"{name}.html" for name in ("index", "sessions", "replay", "programs", "language", "word")
]

PLURALS = {"zero", "one", "two", "few", "many", "other"}
"""The plural forms of all languages: https://cldr.unicode.org/index/cldr-spec/plural-rules"""


def own_texts(code: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))


def leaves(group: dict[str, Any], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each text by its key: its plural forms, its paragraphs, or itself alone."""
    for key, value in group.items():
        if isinstance(value, list):
            yield f"{path}{key}", value
        elif isinstance(value, dict) and "other" in value:
            assert all(form in PLURALS or form.isdecimal() for form in value), f"{path}{key}"
            yield f"{path}{key}", list(value.values())
        elif isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", [value]


def placeholders(forms: list[str]) -> set[str]:
    """Those of any form: one for a single thing need not repeat the number."""
    return set(re.findall(r"{(\w+)}", " ".join(forms)))


ENGLISH = dict(leaves(own_texts("en")))

# ---- the files


def test_english_and_at_least_two_other_languages_are_there() -> None:
    assert {"en", "de", "fr"} <= set(CODES)


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_language_has_the_keys_and_placeholders_of_english(code: str) -> None:
    own = dict(leaves(own_texts(code)))
    assert own.keys() <= ENGLISH.keys(), "keys that English does not have"
    missing = ENGLISH.keys() - own.keys()  # appear in English: new texts need not wait for their translations
    assert len(missing) <= len(ENGLISH) / 20, f"too many texts without a translation: {sorted(missing)}"
    for key, forms in own.items():
        assert placeholders(forms) == placeholders(ENGLISH[key]), key
        assert all(form.strip() for form in forms), key


@pytest.mark.parametrize("code", CODES)
def test_texts_have_no_stray_braces_and_no_markup(code: str) -> None:
    for key, forms in leaves(own_texts(code)):
        for form in forms:
            assert not re.search(r"[{}<]", re.sub(r"{\w+}", "", form)), key


@pytest.mark.parametrize("code", CODES)
def test_the_name_of_a_button_contains_the_word_on_it(code: str) -> None:
    """So that speech input finds it: https://www.w3.org/TR/WCAG22/#label-in-name"""
    page = own_texts(code)["page"]
    for word, name in (("wordSave", "save"), ("wordSmallWindow", "smallWindow"), ("wordPrivacy", "privacy")):
        assert page[word].lower() in page[name].lower(), word


def test_no_line_begins_with_a_french_punctuation_mark() -> None:
    for key, forms in leaves(own_texts("fr")):
        assert not re.search(r" [:;?!»]|« ", " ".join(forms)), f"{key}: expected a no-break space"


@pytest.mark.parametrize("code", CODES)
def test_each_expression_has_another_name(code: str) -> None:
    names = own_texts(code)["expressions"]
    assert list(names) == [*EXPRESSIONS, "unsure"]
    assert len(set(names.values())) == len(names)


def test_every_text_is_used_and_every_text_used_is_defined() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    in_templates = {f"page.{key}" for key in re.findall(r'data-(?:text|title|name)="(\w+)"', templates)}
    in_templates |= {f"page.{key}{part}" for key in EXAMPLES for part in ("", "How")}
    in_templates |= set(re.findall(r"language\.texts\.([\w.]+\w)", templates)) - {"page"}
    assert {key for key in in_templates if key not in ENGLISH} <= {"expressions"}
    scripts = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    in_scripts = set(re.findall(r"TEXT\.page\.\w+", scripts))
    assert {key.removeprefix("TEXT.") for key in in_scripts} <= ENGLISH.keys()
    in_page = {key for key in ENGLISH if key.startswith("page.")}
    assert in_page <= in_templates | {key.removeprefix("TEXT.") for key in in_scripts}
    words = set(re.findall(r"\w+", scripts)) | {key.removeprefix("page.") for key in in_templates}
    assert [key for key in ENGLISH if not set(key.split(".")[-2:]) & words] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_uses_only_texts_that_are_defined(path: Path) -> None:
    functions = set(re.findall(r"(\w+)(?:,|:| =>)", (ROOT / "static" / "texts.js").read_text(encoding="utf-8")))
    known = {part for key in ENGLISH for part in key.split(".")} | functions
    for used in re.findall(r"(?:TEXT|WORDS)\.([\w.]+)", path.read_text(encoding="utf-8")):
        assert used.split(".")[0] in known, used


# ---- none left elsewhere


READ_ATTRIBUTES = {"title", "alt", "aria-label", "aria-description", "aria-valuetext"}


class VisibleTexts(HTMLParser):
    """Collects what a template displays by itself: texts outside code, and attributes that are read out or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "kbd", "script", "style")
        self.found += [value or "" for name, value in attrs if name in READ_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "kbd", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.found.append(data)


NAMES = {"Mien"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_texts_of_its_own(path: Path) -> None:
    parser = VisibleTexts()
    parser.feed(re.sub(r"{[{%#].*?[}%#]}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    words = {word for text in parser.found for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert words <= NAMES


LITERALS = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
NOT_DISPLAYED = re.compile(
    r"""(?x)
    .*(?:px|\d%|\$\{|=>|[.#\[\]<>=]).*  # fonts, colors, selectors, paths
    | use\ strict
    """,
    re.DOTALL,
)


DISPLAYED = re.compile(
    r"""(?:setText\([^,\n]*, |\bnote\(|textContent = |\.title = |"aria-label", |new Option\()"([A-Za-z]\w*)"""
)


def displayed_by(script: str) -> list[str]:
    """Literals of a module that look like texts: of several words, or passed to what displays them."""
    script = re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", "", script, flags=re.DOTALL)
    script = re.sub(r"(?:querySelector(?:All)?|closest|matches)\([^)]*\)", "", script)
    found = [re.sub(r"\$\{[^}]*\}", "", one or other) for one, other in LITERALS.findall(script)]
    several = [text for text in found if re.search(r"[A-Za-z]{2,},?\s+[a-z]{2,}", text)]
    return [text for text in several if not NOT_DISPLAYED.fullmatch(text)] + DISPLAYED.findall(script)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_has_no_texts_of_its_own(path: Path) -> None:
    assert displayed_by(path.read_text(encoding="utf-8")) == ALLOWED.get(path.name, [])


@pytest.mark.parametrize(
    "script",
    [
        'const text = "No face";',
        "const text = `Recorded ${rows} rows`;",
        'setText($("save"), "Save");',
        'note("Saved");',
        'button.textContent = "Save";',
        'button.setAttribute("aria-label", "Save");',
    ],
)
def test_a_text_in_a_module_is_found(script: str) -> None:
    assert displayed_by(script)


ALLOWED: dict[str, list[str]] = {"multipart.js": ["refused with status "]}
"""By module: texts that are not displayed."""

# ---- which language


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "expected"),
    [
        ("", None, None, "en"),
        ("", None, "*", "en"),
        ("", None, "de", "de"),
        ("", None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", None, "fr-CA, en;q=0.3", "fr"),
        ("", None, "en-GB,en;q=0.9,de;q=0.8", "en"),
        ("", None, "xx, fr;q=0.1", "fr"),
        ("", None, "xx", "en"),
        ("", None, "de;q=0", "en"),
        ("", None, "fr;q=0.2, de;q=0.7", "de"),
        ("", None, ";;q=a,,", "en"),
        ("", "fr", "de", "fr"),
        ("", "xx", "de", "de"),
        ("", "", "de", "de"),
        ("?lang=de", "fr", "en", "de"),
        ("?lang=../en", "fr", "en", "fr"),
        ("?lang=", None, "de", "de"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/sessions"])
def test_the_address_then_the_choice_then_the_browser_decide(path, query, cookie, accepted, expected) -> None:
    client = create_app(FakeCamera()).test_client()
    if cookie is not None:
        client.set_cookie(languages.COOKIE, cookie)
    page = client.get(path + query, headers={"Accept-Language": accepted} if accepted else {}).text
    assert f'<html lang="{expected}" data-texts="{expected}">' in page
    assert page.count("static/texts/") == 1, "only this language is loaded"
    assert re.search(rf'<option value="{expected}" lang="{expected}" selected>', page)


def test_the_interface_describes_the_parameter_of_each_page() -> None:
    app = create_app(FakeCamera())
    with app.app_context():
        paths = document(app)["paths"]
    for path in ("/", "/sessions", "/sessions/{session}", "/programs"):
        assert languages.PARAMETER in paths[path]["get"]["parameters"], path


def test_the_template_is_in_the_language_of_the_viewer() -> None:
    page = create_app(FakeCamera()).test_client().get("/?lang=de").text
    german = own_texts("de")
    for key in ("tooOld", "noScript", "detector"):
        assert german["page"][key] in page
    assert [german["expressions"][name] for name in EXPRESSIONS] == re.findall(r'<span class="name">(\S+)</span>', page)
    assert re.findall(r'data-expression="(\w+)"', page) == list(EXPRESSIONS), "the names of the interface"


# ---- what a language lacks


def test_a_language_without_some_texts_has_the_english_ones(tmp_path) -> None:
    english = {"name": "English", "a": "one", "b": {"c": "two", "d": "three"}, "n": {"one": "thing", "other": "things"}}
    (tmp_path / "en.json").write_text(json.dumps(english))
    (tmp_path / "xx.json").write_text(json.dumps({"name": "Xx", "b": {"d": "drei"}, "n": {"few": "f", "other": "o"}}))
    both = read_languages(tmp_path)
    assert list(both) == ["en", "xx"]
    assert both["en"].files == ("en",)
    assert both["xx"].files == ("en", "xx"), "the page loads both"
    expected = {"name": "Xx", "a": "one", "b": {"c": "two", "d": "drei"}, "n": {"few": "f", "other": "o"}}
    assert both["xx"].texts == merged(english, both["xx"].texts) == expected


# ---- in a browser


@pytest.fixture
def german(browser) -> Iterator[Any]:
    """The browser of somebody who prefers German."""
    agent = browser.execute_script("return navigator.userAgent")
    browser.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "de-DE,de"})
    yield browser
    browser.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "en-US"})
    browser.delete_all_cookies()


CHOOSE = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
NAMES_OF_BARS = "#faces .face:first-child .name"


def test_the_page_speaks_the_language_of_the_browser_until_another_is_chosen(german, serve, fake_camera) -> None:
    de, fr = own_texts("de"), own_texts("fr")
    fake_camera.play()
    server = serve(fake_camera)
    german.get(server.url)
    names = [de["expressions"][name] for name in EXPRESSIONS]
    lists(german, NAMES_OF_BARS, names)
    lists(german, "#legend .name", names)
    shows(german, "#faces-title", de["page"]["faces"])
    shows(german, "#status", de["states"]["live"])
    wait_for(lambda: de["expressions"]["happy"] in "".join(texts(german, "#session-rows .shares")))
    assert find(german, "html").get_attribute("lang") == "de"
    loaded = german.execute_script("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert {name.rpartition("/")[2] for name in loaded if "/texts/" in name} == {"de.json"}

    german.execute_script(CHOOSE, find(german, "#language"), "fr")
    lists(german, NAMES_OF_BARS, [fr["expressions"][name] for name in EXPRESSIONS])
    german.get(f"{server.url}/sessions")
    says(german, ".sessions-foot", fr["page"]["sessionsNotice"])
    assert find(german, "html").get_attribute("lang") == "fr"


def test_a_page_appears_although_the_browser_misnames_its_language(german, serve, fake_camera) -> None:
    agent = german.execute_script("return navigator.userAgent")
    posix = {"userAgent": agent, "acceptLanguage": "de-DE@posix"}  # as in older browsers where LANG is C
    german.execute_cdp_cmd("Network.setUserAgentOverride", posix)
    german.get(f"{serve(fake_camera).url}/sessions?lang=de")
    assert "de-DE@posix" in german.execute_script("return navigator.languages")
    says(german, ".sessions-foot", own_texts("de")["page"]["sessionsNotice"])


def test_a_single_one_has_the_form_for_that(browser, fake_camera, serve) -> None:
    server = serve(fake_camera)
    script = "const done = arguments[0]; import('/static/texts.js').then(({ TEXT }) => done([1, 2].map(TEXT.more)))"
    for code, forms in (("en", ["1 more face", "2 more faces"]), ("fr", ["1 autre visage", "2 autres visages"])):
        browser.get(f"{server.url}/programs?lang={code}")
        for found, form in zip(browser.execute_async_script(script), forms, strict=True):
            assert f" {form}," in found


def test_a_text_that_a_language_lacks_appears_in_english(german, serve, fake_camera, monkeypatch) -> None:
    known = read_languages(FOLDER)
    lacking = {"page": {"faces": "Gesichter"}, "viewers": {"other": "{n} schauen zu"}}
    german_one = Language("de", "Deutsch", merged(known["en"].texts, lacking), ("en", "de"))
    monkeypatch.setattr(languages, "read_languages", lambda folder: {"en": known["en"], "de": german_one})
    fake_camera.play()
    server = serve(fake_camera, answers={"/static/texts/de.json": lambda: lacking})
    german.get(server.url)
    shows(german, "#faces-title", "Gesichter")
    says(german, "#viewers", "1 schauen zu")
    shows(german, "#timeline-title", "Last 60 s Face 1")
