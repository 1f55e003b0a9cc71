"""The view "Files": many images, videos and folders in a queue, and the table of their results."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.keys import Keys

from mien.images.codecs import encode_jpeg
from mien.images.privacy import Privacy
from mien.queue.service import FileQueue
from mien.settings import AnalysisSettings
from tests.clips import demo_pictures, write_video
from tests.jobs_fake import FakeJobs, face, result
from tests.page import asked, click, find, lists, press, says, see, shows, texts, vanishes
from tests.patience import wait_for
from tests.test_page_sources import analyze, jpeg
from tests.test_page_sources import drop as drop_images
from tests.web_fakes import free_port, resize

pytestmark = pytest.mark.browser

DROP = """
const files = new DataTransfer();
for (const [name, type, bytes] of arguments[0]) files.items.add(new File([new Uint8Array(bytes)], name, { type }));
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
"""
TYPES = {"jpg": "image/jpeg", "mp4": "video/mp4", "avi": "", "txt": "text/plain"}
NO_CONNECTION = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


def drop(browser, *names: str, size: int = 1000) -> None:
    browser.execute_script(DROP, [[name, TYPES[name.rpartition(".")[2]], size] for name in names])


def images(count: int) -> list[str]:
    return [f"image-{i}.jpg" for i in range(1, count + 1)]


def names(browser) -> list[str]:
    return texts(browser, "#queue-rows .job-name")


def states(browser) -> list[str]:
    return texts(browser, "#queue-rows .job-state")


def files_of_rows(browser) -> list[str]:
    return texts(browser, "#results-rows .file-name")


def labels(browser) -> list[str]:
    return texts(browser, "#results-rows .label")


def leave(browser) -> None:
    """Open an empty page, also if this one asks whether to."""
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**NO_CONNECTION, "offline": False})
    browser.execute_script("sessionStorage.clear(); location = 'about:blank'")
    with suppress(NoAlertPresentException):
        browser.switch_to.alert.accept()


@pytest.fixture
def jobs():
    jobs = FakeJobs()
    yield jobs
    jobs.open.set()
    jobs.end_events()


@pytest.fixture
def page(browser, fake_camera, serve, jobs):
    fake_camera.play()
    server = serve(fake_camera, port=free_port(), answers=jobs, analyze=analyze, privacy=Privacy())
    browser.get(server.url)
    wait_for(lambda: len(texts(browser, "#faces .face")) == 2)
    yield server
    jobs.open.set()
    leave(browser)


def test_images_a_video_and_a_text_file_give_a_queue_and_a_table(browser, page, jobs) -> None:
    drop(browser, *images(20), "film.mp4", "notes.txt")
    shows(browser, "#status", "FILES")
    wait_for(lambda: len(jobs.jobs) == 21)
    lists(browser, "#queue-rows .job-name", ["film.mp4", *images(20)])
    assert jobs.most_at_once <= 2
    assert texts(browser, "#files-notes span") == ["1 file left out, neither images nor videos: notes.txt."]
    jobs.finish("image-2.jpg", result(face("happy"), face("sad", 2, unsure=True)))
    jobs.finish("image-1.jpg", result())
    jobs.finish("image-10.jpg", "The JPEG image is broken.")
    seconds = {"happy": 6.0, "sad": 3.0, "unsure": 1.0}
    jobs.finish("film.mp4", result(face("happy", confidence=0.6, seconds=seconds), duration_s=12.4, frames=310))
    see(lambda: len(files_of_rows(browser)) == 5, "five rows")
    assert list(zip(files_of_rows(browser), labels(browser), strict=True)) == [
        ("film.mp4", "happy"),
        ("image-1.jpg", "no face"),
        ("image-2.jpg", "happy"),
        ("image-2.jpg", "sad?"),
        ("image-10.jpg", "failed"),
    ]
    assert texts(browser, "#results-rows .cell-confidence")[:1] == ["60\u202f% of the time"]
    assert texts(browser, "#results-rows .file-detail")[:1] == ["0:12"]
    link = find(browser, "#results-rows .cell-links a")
    assert link.get_attribute("href").endswith(f"/api/jobs/{jobs.named('film.mp4')['id']}/report.html")
    says(browser, "#files-summary", "4 of 21 files done")
    assert len(names(browser)) == 17


# ---- the queue


def test_a_job_shows_its_state_time_left_and_rate_in_words(browser, page, jobs) -> None:
    drop(browser, "film.mp4")
    lists(browser, "#queue-rows .job-state", ["waiting"])
    jobs.change("film.mp4", state="analyzing", progress=0.41, seconds_left=12.3, frames_per_second=233.1)
    lists(browser, "#queue-rows .job-state", ["analyzing 41\u202f% · 13 s left · 233 frames/s"])
    fill = "return document.querySelector('#queue-rows .fill').style.transform"
    assert browser.execute_script(fill) == "translateX(-59%)"


def test_one_file_is_paused_resumed_and_canceled(browser, page, jobs) -> None:
    drop(browser, "one.mp4", "two.mp4")
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    pause = find(browser, "#queue-rows .job-pause")
    assert pause.accessible_name == "Pause one.mp4"
    pause.click()
    lists(browser, "#queue-rows .job-state", ["paused", "waiting"])
    assert jobs.named("one.mp4")["state"] == "paused"
    assert pause.accessible_name == "Resume one.mp4"
    pause.click()
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    find(browser, "#queue-rows .job-cancel").click()
    lists(browser, "#queue-rows .job-name", ["two.mp4"])
    wait_for(lambda: jobs.deleted == ["one.mp4"])
    says(browser, "#files-summary", "0 of 1 file done")


def test_all_are_paused_resumed_and_canceled_and_results_stay(browser, page, jobs) -> None:
    drop(browser, *images(20))
    wait_for(lambda: len(jobs.jobs) == 20)
    jobs.finish("image-1.jpg", result(face("fear")))
    lists(browser, "#results-rows .label", ["fear"])
    shows(browser, "#queue-pause", "Pause all")
    click(browser, "#queue-pause")
    lists(browser, "#queue-rows .job-state", ["paused"] * 19)
    says(browser, "#files-summary", "1 of 20 files done, paused")
    shows(browser, "#queue-pause", "Resume all")
    click(browser, "#queue-pause")
    lists(browser, "#queue-rows .job-state", ["waiting"] * 19)
    click(browser, "#queue-cancel")
    lists(browser, "#queue-rows .job-name", [])
    wait_for(lambda: len(jobs.deleted) == 19)
    lists(browser, "#results-rows .label", ["fear"])


def test_while_all_are_paused_nothing_is_sent(browser, page, jobs) -> None:
    jobs.open.clear()
    drop(browser, *images(20))
    wait_for(lambda: jobs.sending == 2)
    click(browser, "#queue-pause")
    jobs.open.set()
    wait_for(lambda: [job["state"] for job in jobs.all()] == ["paused", "paused"])
    lists(browser, "#queue-rows .job-state", ["paused"] * 20)
    find(browser, "#queue-rows .job-pause").click()
    lists(browser, "#queue-rows .job-state", ["waiting", *["paused"] * 19])
    click(browser, "#queue-pause")
    click(browser, "#queue-pause")
    wait_for(lambda: [job["state"] for job in jobs.all()] == ["waiting"] * 20)


def test_a_file_that_is_being_sent_can_be_canceled(browser, page, jobs) -> None:
    jobs.open.clear()
    drop(browser, "one.mp4", "two.mp4", "three.mp4")
    wait_for(lambda: jobs.sending == 2)
    find(browser, "#queue-rows .job-cancel").click()
    lists(browser, "#queue-rows .job-name", ["three.mp4", "two.mp4"])
    jobs.open.set()
    wait_for(lambda: jobs.deleted == ["one.mp4"])
    wait_for(lambda: sorted(job["name"] for job in jobs.all()) == ["three.mp4", "two.mp4"])
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])


def test_refused_files_say_why_and_the_others_go_on(browser, page, jobs) -> None:
    reason = "Expected a file of at most 2000 bytes, found 3000."
    jobs.refusals = {"image-3.jpg": (413, reason)}
    drop(browser, *images(20))
    wait_for(lambda: len(jobs.jobs) == 19)
    lists(browser, "#results-rows .label", ["failed"])
    assert texts(browser, "#results-rows .file-detail") == [reason]
    jobs.refusals.clear()
    click(browser, "#results-rows .cell-links button")
    wait_for(lambda: len(jobs.jobs) == 20)
    lists(browser, "#results-rows .label", [])
    browser.get_log("browser")  # says 413


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"total_bytes": 2500}, "to be sent when there is room: others are analyzed first"),
        ({"jobs": 2}, "to be sent when results are removed: the program keeps no more"),
    ],
)
def test_files_beyond_a_limit_are_sent_when_there_is_room(browser, page, jobs, limits, words) -> None:
    jobs.limits = limits
    drop(browser, "a.mp4", "b.mp4", "c.mp4", size=1000)
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting", words])
    jobs.finish("a.mp4", result())
    if "jobs" in limits:
        lists(browser, "#queue-rows .job-state", ["waiting", words])
        click(browser, "#results-clear")
        browser.switch_to.alert.accept()
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    assert jobs.named("c.mp4")


# ---- sending


def test_a_large_file_is_sent_in_pieces_and_continues_after_a_lost_connection(browser, page, jobs) -> None:
    jobs.open.clear()
    drop(browser, "film.mp4", size=10_000_000)
    wait_for(lambda: jobs.sending == 1)
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", NO_CONNECTION)
    jobs.open.set()
    lists(browser, "#queue-rows .job-state", ["waiting for the connection"])
    says(browser, "#banner", "Sending continues by itself")
    assert jobs.named("film.mp4")["received"] < 10_000_000
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**NO_CONNECTION, "offline": False})
    wait_for(lambda: jobs.named("film.mp4")["state"] == "waiting")
    assert len(jobs.content[jobs.named("film.mp4")["id"]]) == 10_000_000
    lists(browser, "#queue-rows .job-state", ["waiting"])
    vanishes(browser, "#banner")
    browser.get_log("browser")  # the lost connection


def test_a_file_whose_answer_was_lost_is_not_queued_twice(browser, page, jobs) -> None:
    jobs.lost_answers = {"film.mp4", "named-by-an-event.mp4"}
    for name in ("film.mp4", "named-by-an-event.mp4"):
        drop(browser, name)
        wait_for(lambda name=name: jobs.named(name))
        see(lambda: set(states(browser)) == {"waiting"}, "it is known")
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    assert len(jobs.jobs) == 2
    browser.get_log("browser")  # says 502


def test_a_late_answer_does_not_hide_what_an_event_has_said_since(browser, page, jobs) -> None:
    jobs.late_answers = threading.Event()
    drop(browser, "first.mp4", "film.mp4")
    jobs.late_answers.set()
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    jobs.late_answers = threading.Event()
    drop(browser, "quick.mp4")
    wait_for(lambda: jobs.named("quick.mp4"))
    jobs.finish("quick.mp4", result())
    lists(browser, "#results-rows .file-name", ["quick.mp4"])
    jobs.late_answers.set()
    answered = "return performance.getEntriesByType('resource').filter((e) => e.name.includes('quick.mp4')).length"
    wait_for(lambda: browser.execute_script(answered) == 1)
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    lists(browser, "#results-rows .file-name", ["quick.mp4"])


def test_uploads_continue_in_another_view_and_closing_the_page_warns(browser, page, jobs) -> None:
    jobs.open.clear()
    drop(browser, *images(20))
    wait_for(lambda: jobs.sending == 2)
    click(browser, "#files-back")
    shows(browser, "#status", "LIVE")
    shows(browser, "#files-badge", "FILES 0 of 20")
    jobs.open.set()
    wait_for(lambda: len(jobs.jobs) == 20)
    jobs.finish("image-7.jpg", result())
    shows(browser, "#files-badge", "FILES 1 of 20")
    click(browser, "#files-badge")
    lists(browser, "#results-rows .file-name", ["image-7.jpg"])
    leaves = "return dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert browser.execute_script(leaves)
    jobs.open.clear()
    drop(browser, "film.mp4")
    wait_for(lambda: jobs.sending == 1)
    assert not browser.execute_script(leaves)


def test_after_a_reload_what_was_sent_is_there_and_the_rest_is_named(browser, page, jobs) -> None:
    drop(browser, "done.mp4")
    wait_for(lambda: len(jobs.jobs) == 1)
    jobs.finish("done.mp4", result(face("happy")))
    drop(browser, "waits.mp4")
    wait_for(lambda: len(jobs.jobs) == 2)
    jobs.open.clear()
    drop(browser, *images(5))
    wait_for(lambda: jobs.sending == 2)
    see(lambda: len(names(browser)) == 6, "the queue")
    reload(browser)
    shows(browser, "#status", "FILES")
    lists(browser, "#queue-rows .job-name", ["waits.mp4"])
    lists(browser, "#results-rows .file-name", ["done.mp4"])
    lost = "5 files had not been sent when the page was reloaded: image-1.jpg, image-2.jpg, image-3.jpg and 2 more."
    says(browser, "#files-notes", lost)


def test_a_large_file_that_was_being_sent_at_a_reload_continues_when_it_is_added_again(browser, page, jobs) -> None:
    drop(browser, "film.mp4", size=100_000)  # at once, so that there is a queue
    wait_for(lambda: len(jobs.jobs) == 1)
    jobs.open.clear()
    drop(browser, "long.mp4", size=10_000_000)
    wait_for(lambda: jobs.sending == 1)
    reload(browser)
    jobs.open.set()
    lists(browser, "#queue-rows .job-state", ["waiting", "not sent completely: add this file again to continue"])
    drop(browser, "long.mp4", size=10_000_000)
    wait_for(lambda: jobs.named("long.mp4")["state"] == "waiting")
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])
    assert len(jobs.jobs) == 2


def reload(browser) -> None:
    browser.execute_script("location.reload()")
    with suppress(NoAlertPresentException):
        browser.switch_to.alert.accept()
    wait_for(lambda: texts(browser, "#faces .face") or texts(browser, "#files-view"))


def test_files_that_a_restarted_program_has_lost_are_sent_again(browser, page, jobs) -> None:
    drop(browser, "done.mp4", "waits.mp4")
    wait_for(lambda: len(jobs.jobs) == 2)
    jobs.finish("done.mp4", result(face("happy"), duration_s=1.0))
    lists(browser, "#results-rows .cell-links a", ["Report"])
    jobs.forget_all()
    wait_for(lambda: [job["name"] for job in jobs.all()] == ["waits.mp4"])
    says(browser, "#files-notes", "no longer has the pictures, reports and tables")
    lists(browser, "#results-rows .file-name", ["done.mp4"])
    lists(browser, "#results-rows .cell-links a", [])


def test_after_a_restart_what_failed_is_not_sent_again_and_what_was_paused_stays_so(browser, page, jobs) -> None:
    drop(browser, "broken.mp4", "paused.mp4", "waits.mp4")
    wait_for(lambda: len(jobs.jobs) == 3)
    jobs.finish("broken.mp4", "It has no picture.")
    lists(browser, "#results-rows .label", ["failed"])
    jobs.change("paused.mp4", state="paused")
    lists(browser, "#queue-rows .job-state", ["paused", "waiting"])
    jobs.forget_all()
    wait_for(lambda: jobs.named("waits.mp4"))
    lists(browser, "#queue-rows .job-state", ["paused", "waiting"])
    lists(browser, "#results-rows .label", ["failed"])
    assert [job["name"] for job in jobs.all()] == ["waits.mp4"]
    find(browser, "#queue-rows .job-pause").click()
    wait_for(lambda: jobs.named("paused.mp4"))
    lists(browser, "#queue-rows .job-state", ["waiting", "waiting"])


# ---- what is taken


def test_a_few_images_are_shown_at_once_and_in_the_view_files_queued(browser, page, jobs) -> None:
    drop_images(browser, one_jpg=jpeg(300, 200), two_jpg=jpeg(200, 300))
    shows(browser, "#status", "IMAGE")
    assert not asked(browser, "/static/files/")
    drop(browser, "film.mp4")
    shows(browser, "#status", "FILES")
    drop(browser, "one.jpg")
    lists(browser, "#queue-rows .job-name", ["film.mp4", "one.jpg"])


def test_a_chosen_folder_is_read_with_those_below_it(browser, page, jobs, tmp_path) -> None:
    make_folder(tmp_path)
    find(browser, "#folder").send_keys(str(tmp_path / "may"))
    lists(browser, "#queue-rows .job-name", ["a.jpg may/", "c.jpg may/day-2/", "b.mp4 may/day-10/"])
    lists(browser, "#files-notes span", ["1 file left out, neither images nor videos: may/notes.txt."])
    wait_for(lambda: sorted(job["name"] for job in jobs.all())[0] == "may/a.jpg")


def test_a_dropped_folder_is_read_with_those_below_it(browser, page, jobs, tmp_path) -> None:
    make_folder(tmp_path)
    data = {"items": [], "files": [str(tmp_path / "may")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})
    lists(browser, "#queue-rows .job-name", ["a.jpg may/", "c.jpg may/day-2/", "b.mp4 may/day-10/"])
    lists(browser, "#files-notes span", ["1 file left out, neither images nor videos: may/notes.txt."])


def make_folder(parent: Path) -> None:
    for name in ("a.jpg", "day-2/c.jpg", "day-10/b.mp4", "notes.txt", ".hidden.jpg"):
        path = parent / "may" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


# ---- the table


@pytest.fixture
def results(browser, page, jobs):
    fill(browser, jobs)


def fill(browser, jobs: FakeJobs) -> None:
    """Analyze four files, which have five rows."""
    drop(browser, *images(3), "film.mp4")
    wait_for(lambda: len(jobs.jobs) == 4)
    jobs.finish("image-1.jpg", result(face("sad", confidence=0.7, quality=0.3), face("angry", 2, confidence=0.95)))
    jobs.finish("image-2.jpg", result())
    jobs.finish("image-3.jpg", result(face("happy", confidence=0.41, unsure=True)))
    jobs.finish("film.mp4", result(face("happy", confidence=0.8, seconds={"happy": 8.0, "sad": 2.0}), duration_s=10.0))
    lists(browser, "#results-rows .label", ["happy", "sad", "angry", "no face", "happy?"])


def test_the_table_is_sorted_by_its_columns(browser, results) -> None:
    heads = {name: find(browser, f"#results-columns .cell-{name}") for name in ("name", "confidence", "expression")}
    assert heads["name"].get_attribute("aria-sort") == "ascending"
    heads["confidence"].find_element("css selector", "button").click()
    lists(browser, "#results-rows .label", ["angry", "happy", "sad", "happy?", "no face"])
    assert heads["confidence"].get_attribute("aria-sort") == "descending"
    assert heads["name"].get_attribute("aria-sort") == "none"
    heads["confidence"].find_element("css selector", "button").click()
    lists(browser, "#results-rows .label", ["happy?", "sad", "happy", "angry", "no face"])
    heads["expression"].find_element("css selector", "button").click()
    lists(browser, "#results-rows .label", ["angry", "happy", "happy?", "sad", "no face"])
    heads["name"].find_element("css selector", "button").send_keys(Keys.ENTER)
    lists(browser, "#results-rows .file-name", ["film.mp4", "image-1.jpg", "image-1.jpg", "image-2.jpg", "image-3.jpg"])


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["happy"], ["happy"]),
        (["unsure"], ["happy?"]),
        (["none"], ["no face"]),
        (["happy", "unsure"], ["happy", "happy?"]),
        (["fear"], []),
        (["happy", "happy"], ["happy", "sad", "angry", "no face", "happy?"]),
    ],
)
def test_the_table_is_filtered(browser, results, chosen, expected) -> None:
    counts = texts(browser, "#results-filter .value")
    assert counts == ["1", "0", "0", "1", "0", "1", "0", "1", "1", "0"]
    for kind in chosen:
        click(browser, f"#results-filter [data-expression={kind}]")
    lists(browser, "#results-rows .label", expected)


def test_the_tables_of_all_are_downloaded_as_one(browser, results, tmp_path) -> None:
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    click(browser, "#results-csv")
    wait_for((tmp_path / "faces.csv").exists)
    assert sorted((tmp_path / "faces.csv").read_text().split()) == ["film.mp4", *images(3), "input"]


def test_in_privacy_mode_there_are_no_pictures(browser, results) -> None:
    pictures = "return document.querySelectorAll('#results-rows img').length"
    see(lambda: browser.execute_script(pictures) == 4, "pictures")
    press(browser, "b")
    see(lambda: browser.execute_script(pictures) == 0, "no pictures")
    press(browser, "b")
    click(browser, "#ask-yes")
    see(lambda: browser.execute_script(pictures) == 4, "pictures")


def test_all_results_are_removed(browser, results, jobs) -> None:
    click(browser, "#results-clear")
    browser.switch_to.alert.accept()
    wait_for(lambda: not jobs.jobs)
    vanishes(browser, "#results")
    vanishes(browser, "#results-csv")
    shows(browser, "#files-summary", "No files yet")


def test_the_queue_stays_when_results_are_removed(browser, results, jobs) -> None:
    drop(browser, "waits.mp4")
    lists(browser, "#queue-rows .job-state", ["waiting"])
    click(browser, "#results-clear")
    browser.switch_to.alert.accept()
    wait_for(lambda: [job["name"] for job in jobs.all()] == ["waits.mp4"])
    lists(browser, "#queue-rows .job-name", ["waits.mp4"])


def test_a_thousand_files_are_shown_in_pages(browser, page, jobs) -> None:
    jobs.outcome = lambda name: result(face("happy" if name.endswith("7.jpg") else "neutral"))
    drop(browser, *images(1000), size=10)
    see(lambda: "1000 of 1000 files done" in find(browser, "#files-summary").text, "all done")
    assert jobs.most_at_once <= 2
    assert len(files_of_rows(browser)) == 100
    assert find(browser, "#results-pages span").text == "1 to 100 of 1000"
    find(browser, "#results-pages button:last-child").click()
    assert files_of_rows(browser)[0] == "image-101.jpg"
    click(browser, "#results-filter [data-expression=happy]")
    assert find(browser, "#results-pages span").text == ""
    assert len(files_of_rows(browser)) == 100
    reload(browser)
    see(lambda: "1000 of 1000 files done" in find(browser, "#files-summary").text, "all there")


# ---- for everybody


def test_everything_in_the_view_files_can_be_reached_by_keyboard(browser, results) -> None:
    drop(browser, "one.mp4")
    lists(browser, "#queue-rows .job-name", ["one.mp4"])
    reached = set()
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        element = browser.switch_to.active_element
        reached |= {element.get_attribute("id"), element.get_attribute("class"), element.text}
    wanted = {"files-add", "files-folder", "files-back", "queue-pause", "queue-cancel", "results-csv", "results-clear"}
    wanted |= {"job-pause", "job-cancel", "Report", "Confidence", "unsure\n1"}
    assert wanted - reached == set()


@pytest.mark.parametrize("width", [320, 375, 900, 1280, 1920])
def test_the_view_files_fits_the_window(browser, results, width) -> None:
    drop(browser, "interviews-with-a-very-long-name-without-any-space-in-it-of-2026.mp4", "one.mp4")
    see(lambda: len(names(browser)) == 2, "the queue")
    resize(browser, width, 812)
    wait_for(lambda: browser.execute_script("return document.documentElement.scrollWidth") <= width)
    script = "const { right } = arguments[0].getBoundingClientRect(); return right"
    for selector in ("#results-clear", "#queue-cancel", ".job-cancel", "#files-back", "#results"):
        assert browser.execute_script(script, find(browser, selector)) <= width


def test_keys_of_actions_that_are_not_offered_do_nothing(browser, results) -> None:
    press(browser, "p")
    press(browser, "s")
    assert not find(browser, "#note").is_displayed()
    press(browser, "?")
    see(lambda: find(browser, "#help").is_displayed(), "help")
    find(browser, "#help-close").click()


# ---- with the program's own queue


def test_the_program_analyzes_what_is_dropped(browser, fake_camera, serve, tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    fake_camera.play()
    pictures = demo_pictures(40, people=2)
    write_video(tmp_path / "film.mp4", pictures)
    for name, picture in (("two.jpg", pictures[-1]), ("empty.jpg", 0 * pictures[0])):
        (tmp_path / name).write_bytes(encode_jpeg(picture))
    (tmp_path / "other.jpg").write_bytes(b"%PDF-1.4 " + 2000 * b"x")
    queue = FileQueue(AnalysisSettings)
    try:
        browser.get(serve(fake_camera, port=free_port(), jobs=queue).url)
        shows(browser, "#status", "LIVE")
        choose = "\n".join(str(path) for path in sorted(tmp_path.iterdir()))
        find(browser, "#files").send_keys(choose)
        done = "4 of 4 files done"
        wait_for(lambda: done in " ".join(texts(browser, "#files-summary")), done, patience_s=120)
        files = ["empty.jpg", "film.mp4", "film.mp4", "other.jpg", "two.jpg", "two.jpg"]
        lists(browser, "#results-rows .file-name", files)
        assert [labels(browser)[i] for i in (0, 3)] == ["no face", "failed"]
        says(browser, "#results-rows tr:nth-child(4) .file-detail", "found a PDF document")
        loaded = "return [...document.querySelectorAll('#results-rows img')].map((image) => image.naturalWidth > 0)"
        see(lambda: browser.execute_script(loaded) == [True] * 4, "four pictures")
        browser.get_log("browser")  # says 415
        browser.get(find(browser, "#results-rows a").get_attribute("href"))
        says(browser, "h1", "film.mp4")
        assert browser.get_log("browser") == []
    finally:
        queue.close()
