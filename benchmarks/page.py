"""How the page runs in a real Chromium: `python -m benchmarks.page`.

Prints, each beside its bar: animation frames a second with five faces at 30 frames a second while they are recorded, on
the page and while presenting, how many of them came in time, and what each costs the page's main thread, in processor
time, so that other programs on the computer do not count; what is loaded without the video; the time from opening the
page, with nothing of it in the browser's cache, to its first picture; and, with the real program analyzing what this
browser's camera sends (the demo's faces at 640x480), answers a second and how far what is drawn is behind the camera.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.program import Program
from mien.images.codecs import encode_jpeg
from mien.recording.csv_log import CsvRecorder
from mien.sources.demo import DemoSource
from mien.types import EXPRESSIONS, Box, Snapshot
from tests.chromium import start_chromium
from tests.patience import wait_for
from tests.web_fakes import FakeCamera, face_showing, resize
from web import AppOptions, create_app
from web.server import Server

_WATCH = """
window.drawn = [];
document.addEventListener("mien:frame", ({ detail }) => drawn.push([performance.now(), detail.state.latency_ms]));
"""
_COUNT = """
const [seconds, done] = arguments;
const before = drawn.length;
const times = [];
requestAnimationFrame(function count(now) {
  times.push(now);
  if (now - times[0] < 1000 * seconds) requestAnimationFrame(count);
  else done([times, drawn.length - before]);
});
"""
_IN_TIME_MS = 17.5
"""Between two frames of a screen with 60 a second, 16.7 ms, and what clocks are off."""
_OPENINGS = 11

_LOADED = """
return performance.getEntries().filter(({ name, entryType }) =>
  (entryType === "resource" || entryType === "navigation") && !name.includes("/api/frames"))
  .reduce((sum, { transferSize }) => sum + transferSize, 0);
"""


def _demo_jpegs(seconds: float) -> list[bytes]:
    """Return the demo's pictures with one face, 640x480, 30 for each second."""
    demo = DemoSource(count=1)
    try:
        return [encode_jpeg(demo.render(index / 30)[0]) for index in range(round(30 * seconds))]
    finally:
        demo.close()


def _openings_ms(browser: Any, url: str) -> list[float]:
    """Measure how long after each opening the first picture was drawn."""
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    found = []
    for _ in range(_OPENINGS):
        browser.get(url)
        wait_for(lambda: browser.execute_script("return drawn.length > 0"), "a picture that the page drew")
        found.append(browser.execute_script("return drawn[0][0]"))
    return found


def _row(what: str, value: str, bar: str) -> None:
    """Print one line of the table."""
    print(f"{what:<52} {value:>12}   {bar}", flush=True)


def _main_thread_s(browser: Any) -> float:
    """Read the processor time that the page's main thread has spent so far."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def _measure_frames(browser: Any, seconds: float, what: str) -> None:
    """Count animation frames, and the pictures drawn in them, and print what they cost."""
    before_s = _main_thread_s(browser)
    times_ms, pictures = browser.execute_async_script(_COUNT, seconds)
    spent_s = _main_thread_s(browser) - before_s
    frames, passed_s = len(times_ms) - 1, (times_ms[-1] - times_ms[0]) / 1000
    in_time = sum(second - first <= _IN_TIME_MS for first, second in itertools.pairwise(times_ms))
    _row(f"animation frames a second, {what}", f"{frames / passed_s:.1f}", "60")
    _row("  of them not later than 16.7 ms after the last", f"{100 * in_time / frames:.0f} %", "")
    _row("  main thread for each frame, ms", f"{1000 * spent_s / frames:.1f}", "<= 16.7")
    _row("  pictures drawn a second, of 30 sent", f"{pictures / passed_s:.1f}", "")


def _measure_page(jpegs: list[bytes], seconds: float) -> None:
    """Measure the page with five faces whose expressions change, 30 pictures a second."""
    camera: Any = FakeCamera()
    names = [EXPRESSIONS[i] for i in (3, 4, 5, 6, 0)]
    faces = [face_showing(name, i + 1) for i, name in enumerate(names)]
    camera.faces = tuple(replace(face, box=Box(10 + 125 * i, 180, 110, 110)) for i, face in enumerate(faces))
    publish = camera.publish
    turn = iter(range(10**9))
    folder = tempfile.TemporaryDirectory()
    recorder = CsvRecorder(folder.name)
    recorder.start()

    def publish_recorded() -> Snapshot:
        snapshot = publish(jpegs[next(turn) % len(jpegs)])
        recorder.record(snapshot.frame, snapshot.analysis)
        return snapshot

    camera.publish = publish_recorded
    server = Server(create_app(camera, AppOptions(recorder=recorder)), port=0)
    server.start()
    camera.play(fps=30)
    browser = start_chromium()
    try:
        resize(browser, 1280, 800)
        browser.set_script_timeout(seconds + 30)
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(server.url)
        wait_for(lambda: browser.execute_script("return drawn.length > 30"), "30 pictures that the page drew")
        loaded_kb = browser.execute_script(_LOADED) / 1000
        _measure_frames(browser, seconds, "five faces, recording")
        _row("  rows recorded", f"{recorder.status().rows}", "")
        browser.find_element("css selector", "#present").click()
        _measure_frames(browser, seconds, "presenting")
        _row("loaded without the video, kB", f"{loaded_kb:.0f}", "<= 180")
        first_ms = _openings_ms(browser, server.url)
        _row("from opening to the first picture, median ms", f"{statistics.median(first_ms):.0f}", "<= 1000")
        _row(f"  the slowest of {_OPENINGS}", f"{max(first_ms):.0f}", "")
    finally:
        browser.quit()
        camera.close()
        server.stop()
        recorder.stop()
        folder.cleanup()


def _measure_camera(jpegs: list[bytes], seconds: float) -> None:
    """Measure this browser's camera, analyzed by the real program."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "camera.mjpeg"
        file.write_bytes(b"".join(jpegs))
        program = Program("--source", "demo")
        browser = start_chromium(
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={file}",
        )
        try:
            program.wait_for_first_picture(limit_s=240)
            resize(browser, 1280, 800)
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
            browser.get(f"http://127.0.0.1:{program.port}")
            browser.find_element("css selector", "#source").click()
            browser.find_element("css selector", "#own-camera").click()
            time.sleep(13)  # after 10 s unwatched the program's own source is released
            browser.execute_script("drawn.length = 0")
            time.sleep(seconds)
            drawn = browser.execute_script("return drawn")
        finally:
            browser.quit()
            program.stop()
    if len(drawn) < 2:
        raise RuntimeError("the browser's camera got no answers")
    rate = (len(drawn) - 1) / (drawn[-1][0] - drawn[0][0]) * 1000
    _row("browser camera 640x480, answers a second", f"{rate:.1f}", ">= 10")
    _row("  what is drawn lies behind, median ms", f"{statistics.median(ms for _, ms in drawn):.0f}", "<= 150")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    options = parser.parse_args()
    jpegs = _demo_jpegs(4)
    _measure_page(jpegs, options.seconds)
    _measure_camera(jpegs, options.seconds)


if __name__ == "__main__":
    main()
