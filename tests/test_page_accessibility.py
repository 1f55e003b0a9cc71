"""Accessibility of the page in both themes and at any size, its layout, and its download size."""

from __future__ import annotations

import re

import numpy as np
import pytest

import main
from mien.cnn.logit_adjustment import LogitAdjustment
from tests.axe import RUN_AXE, MissingError, axe_source, serious_faults
from tests.browser_camera import Program, choose_camera, demo_pictures, film, set_permission
from tests.clips import demo_pictures as pictures
from tests.clips import write_video
from tests.jobs_fake import FakeJobs
from tests.page import appears, click, find, lists, press, says, see, shows, texts, vanishes
from tests.patience import wait_for
from tests.test_page_files import drop as drop_files
from tests.test_page_files import fill
from tests.test_page_sources import SOURCES, analyze, drop, jpeg
from tests.web_fakes import FakeDetectors, free_port, resize
from web.pages import ROOT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, fetched once; skips the test without axe-core and npm."""
    try:
        return axe_source()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def page(browser, fake_camera, serve):
    fake_camera.play()
    answers = {"/api/sources": lambda: {"sources": SOURCES, "files": ["a.mp4"], "current": "0"}}
    server = serve(fake_camera, port=free_port(), answers=answers, analyze=analyze)
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    return server


def as_it_opens(browser) -> None:
    wait_for(lambda: len(texts(browser, ".session-row")) == 2)


def with_menu(browser) -> None:
    click(browser, "#source")
    wait_for(lambda: texts(browser, "#source-list button") != [])


def with_help(browser) -> None:
    press(browser, "?")
    appears(browser, "#help")


def with_images(browser) -> None:
    assert drop(browser, one_jpg=jpeg(300, 400), two_jpg=jpeg(400, 300))
    lists(browser, "#faces .label", ["fear"])


def with_a_broken_image(browser) -> None:
    assert drop(browser, broken_jpg=b"no image")
    shows(browser, "#status", "IMAGE")


def presenting(browser) -> None:
    press(browser, "f")
    lists(browser, ".big-strip .label", ["happy", "sad"])


def as_a_stage(browser) -> None:
    browser.get(f"{browser.current_url}?view=stage")
    appears(browser, "#picture")


def as_bars(browser) -> None:
    browser.get(f"{browser.current_url}?view=bars")
    lists(browser, "#faces .label", ["happy", "sad"])


def without_a_camera(browser) -> None:
    choose_camera(browser)
    wait_for(lambda: find(browser, "#status").text in {"NO CAMERA", "CAMERA REFUSED"})


def at_the_end(browser) -> None:
    state = "import('/static/steps.js').then(({ showSteps }) => showSteps(['again', 'sources']))"
    browser.execute_script(f"setInterval(() => {state}, 10)")
    appears(browser, "#steps button")


STATES = [
    at_the_end,
    as_it_opens,
    with_menu,
    with_help,
    with_images,
    with_a_broken_image,
    without_a_camera,
    presenting,
    as_a_stage,
    as_bars,
]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_no_serious_violation(browser, page, axe, state) -> None:
    state(browser)
    assert serious_faults(browser, axe) == {}
    browser.get_log("browser")  # for broken images


def test_axe_finds_no_serious_violation_in_the_view_files(browser, fake_camera, serve, axe) -> None:
    jobs = FakeJobs()
    browser.get(serve(fake_camera, port=free_port(), answers=jobs).url)
    fill(browser, jobs)
    drop_files(browser, "one.mp4", "two.mp4", "broken.jpg", "notes.txt")
    wait_for(lambda: len(jobs.jobs) == 7)
    jobs.finish("broken.jpg", "The JPEG image is broken.")
    jobs.change("one.mp4", state="analyzing", progress=0.41, seconds_left=12.3, frames_per_second=233.1)
    lists(browser, "#results-rows .label", ["failed", "happy", "sad", "angry", "no face", "happy?"])
    click(browser, "#results-filter [data-expression=happy]")
    click(browser, "#results-filter [data-expression=failed]")
    try:
        assert serious_faults(browser, axe) == {}
    finally:
        jobs.end_events()
        browser.execute_script("sessionStorage.clear()")


def test_axe_finds_no_serious_violation_with_the_browser_camera(
    with_camera, camera_file, fake_camera, serve, axe
) -> None:
    film(camera_file, demo_pictures(0.3))
    fake_camera.play()
    server = serve(fake_camera, **Program().parts)
    set_permission(with_camera, server)
    with_camera.get(server.url)
    choose_camera(with_camera)
    lists(with_camera, "#faces .label", ["happy"])
    try:
        assert serious_faults(with_camera, axe) == {}
    finally:
        with_camera.get("about:blank")


def test_axe_detects_a_violation(browser, page, axe) -> None:
    browser.execute_script("document.getElementById('pause').removeAttribute('aria-label')")
    browser.execute_script("document.getElementById('pause').removeAttribute('title')")
    browser.execute_script(axe)
    assert [name for name, _ in browser.execute_async_script(RUN_AXE)] == ["button-name"]


def test_model_card_and_api_page_are_accessible(browser, page, axe) -> None:
    for path in ("/model-card", "/api"):
        browser.get(page.url + path)
        assert serious_faults(browser, axe, [(1280, "light"), (375, "dark")]) == {}


def test_reports_of_analyze_are_accessible(browser, axe, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    clips = [write_video(tmp_path / name, pictures(20, people=2)) for name in ("one.mp4", "two.mp4")]
    assert main.main(["analyze", *map(str, clips), "--out", str(tmp_path / "out"), "--report"]) == 0
    for path in ("report.html", "one/report.html"):
        browser.get((tmp_path / "out" / path).as_uri())
        assert serious_faults(browser, axe) == {}


def test_everything_can_be_reached_by_keyboard(browser, page) -> None:
    reached = []
    for _ in range(40):
        press_tab = "\ue004"
        browser.switch_to.active_element.send_keys(press_tab)
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.get_attribute("class") or element.tag_name)
    for name in ("source", "pause", "save", "record", "privacy", "mirror", "heat", "keys", "threshold", "who", "lines"):
        assert name in reached
    assert browser.execute_script("return document.querySelectorAll('[tabindex]:not([tabindex=\"0\"])').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_visible_on_pressed_buttons(browser, page, scheme) -> None:
    resize(browser, 1280, 800, scheme)
    browser.switch_to.active_element.send_keys("\ue004")  # Tab: the focus ring is for keyboard users
    for name in ("pause", "record"):
        is_ringed, ring, ground = browser.execute_script(FOCUSED, find(browser, f"#{name}"))
        assert is_ringed
        assert contrast(ring, ground) >= 3


FOCUSED = """
const [button] = arguments;
button.setAttribute("aria-pressed", "true");
button.focus();
const { outlineColor, backgroundColor } = getComputedStyle(button);
return [button.matches(":focus-visible"), outlineColor, backgroundColor];
"""


def contrast(one: str, other: str) -> float:
    """Contrast as defined by WCAG 2.2, of two colors such as rgb(1, 2, 3)."""

    def luminance(color: str) -> float:
        red, green, blue = (int(channel) / 255 for channel in re.findall(r"\d+", color))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("newest_feature", ["AbortSignal.any", "HTMLElement.prototype.popover"])
def test_an_outdated_browser_is_told_the_minimum_version(browser, page, newest_feature) -> None:
    versions = "Chrome or Edge 116, Firefox 125, Safari 17.4"
    assert versions in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    vanishes(browser, "#too-old")
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": f"delete {newest_feature}"})
    try:
        browser.refresh()
        says(browser, "#too-old", versions)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    browser.get("about:blank")
    browser.get_log("browser")  # the missing feature


def test_the_page_is_small(browser, page) -> None:
    script = """
    return performance.getEntries().filter(({ name, entryType }) =>
      (entryType === "resource" || entryType === "navigation") && !name.includes("/api/frames"))
      .map(({ name, transferSize, encodedBodySize }) => [name, Math.max(transferSize, encodedBodySize + 300)]);
    """
    loaded = dict(browser.execute_script(script))
    assert any(name.endswith("/static/app.js") for name in loaded)
    assert any(name.endswith("/static/style.css") for name in loaded)
    assert sum(loaded.values()) <= 180_000


def test_on_a_phone_panels_are_stacked_with_the_actions_at_the_bottom(browser, page) -> None:
    for width in (375, 320):
        resize(browser, width, 812)
        tops = [find(browser, selector).rect["y"] for selector in (".stage", ".faces-panel", ".timeline", ".session")]
        assert tops == sorted(tops)
        assert len(set(tops)) == 4

        def at_the_bottom(width: int = width) -> bool:
            bar, right = browser.execute_script(ACTIONS_END)
            return bar == pytest.approx(812, abs=1) and right <= width

        wait_for(at_the_bottom)


ACTIONS_END = """
const edges = [...document.querySelectorAll(".actions, .actions *")].map((each) => each.getBoundingClientRect());
return [edges[0].bottom, Math.max(...edges.map(({ right }) => right))];
"""
"""The bottom of the action bar, and the right edge of its contents."""


def test_on_a_desktop_everything_fits_the_window(browser, page) -> None:
    for size in ((1280, 800), (1920, 1080), (3840, 2160)):
        resize(browser, *size)

        def everything_is_visible(size: tuple[int, int] = size) -> bool:
            height = browser.execute_script("return document.documentElement.scrollHeight")
            return height <= size[1] and find(browser, ".stage").rect["width"] >= 0.6 * size[0]

        wait_for(everything_is_visible)
        assert find(browser, "#faces .label").value_of_css_property("font-size") == "16px"


def test_the_weight_of_rare_expressions_is_set_for_all_viewers(browser, fake_camera, serve) -> None:
    from selenium.webdriver.support.select import Select

    adjustment = LogitAdjustment(np.array([0.09, 0.02, 0.04, 0.26, 0.32, 0.15, 0.12]), tau=0.35)
    fake_camera.play()
    browser.get(serve(fake_camera, adjustment=adjustment).url)
    steps = (
        "as often as people see them",
        "as calibrated",
        "more often",
        "as often as others",
    )
    see(lambda: tuple(texts(browser, "#rare option")) == steps, "the steps")
    select = Select(find(browser, "#rare"))
    assert select.first_selected_option.text == "as calibrated"
    select.select_by_visible_text("as often as others")
    wait_for(lambda: adjustment.rare == 1)
    adjustment.rare = 0.2  # another viewer or program
    see(lambda: Select(find(browser, "#rare")).first_selected_option.text == "0.2", "the value of another")


def test_the_detector_is_chosen_for_all_viewers_from_those_installed(browser, fake_camera, serve) -> None:
    from selenium.webdriver.support.select import Select

    detectors = FakeDetectors("auto", "haar", "broken")
    fake_camera.play()
    browser.get(serve(fake_camera, detectors=detectors).url)
    see(lambda: [each.split(" ")[0] for each in texts(browser, "#detector option")] == list(detectors.available), "all")
    select = Select(find(browser, "#detector"))
    select.select_by_value("haar")
    wait_for(lambda: detectors.current == "haar")
    see(lambda: find(browser, "#detector").is_enabled(), "the choice is in force")
    select.select_by_value("broken")
    says(browser, "#note", "found 'broken'")
    see(lambda: find(browser, "#detector").get_property("value") == "haar", "the one in use")
    detectors.current = "auto"  # another viewer or program
    see(lambda: find(browser, "#detector").get_property("value") == "auto", "the choice of another")


def test_a_network_without_base_rates_offers_no_such_choice(browser, page) -> None:
    shows(browser, "#status", "LIVE")
    assert not find(browser, "#rare-control").is_displayed()


def test_the_notice_says_where_pictures_are_processed_and_links_the_card(browser, page) -> None:
    notice = find(browser, ".foot").text
    assert "analyzed on the computer that runs Mien" in notice
    assert "not what a person feels" in notice
    click(browser, ".foot a")
    says(browser, "body", "Model card")
