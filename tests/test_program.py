"""The whole program as users run it: `python main.py` in a separate process, with the real model."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pandas as pd
import pytest

import main
from camera import VideoCamera
from mien.detectors import HaarDetector
from mien.errors import SourceError
from mien.queue.service import FileQueue
from mien.queue.session_exports import SessionExports
from mien.settings import Settings
from mien.sources import webcam
from mien.sources.catalog import SourceCatalog
from mien.types import EXPRESSIONS, Box
from tests.fakes import FakePipeline
from tests.media import GROUP_BOXES, ROOT, SHARED
from tests.page import click, find, lists, texts
from tests.patience import PATIENCE_S, scaled, wait_for
from tests.web_fakes import StreamClient, free_port
from web.server import Server

# Without the variable that importing Keras has set here: the program has to silence the logs itself. Nor that of tests.
NOT_PASSED_ON = {"TF_CPP_MIN_LOG_LEVEL", "MIEN_TEST_PATIENCE"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
ENVIRONMENT["MIEN_CACHE"] = "0"
START_WITHIN_S = 120
LOADING = "loading the network ..."
PROGRESS = (LOADING, "the network runs on ")


class Running:
    """The program with these options on a free port, run by `python`, its standard error kept or sent to `stderr`."""

    def __init__(self, *options, environ=None, python=sys.executable, stderr=subprocess.PIPE):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = [str(python), str(ROOT / "main.py"), "--port", str(self.port), *map(str, options)]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**ENVIRONMENT, **(environ or {})}
        )

    def get(self, path):
        """(status, body) of one request; (0, b"") while no server listens."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def post(self, path, body):
        """Post JSON and return the JSON answer."""
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, kind), timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def picture(self):
        """The newest picture, from /api/snapshot."""
        return cv2.imdecode(np.frombuffer(self.get("/api/snapshot.png")[1], np.uint8), cv2.IMREAD_COLOR)

    def state(self):
        status, body = self.get("/api/state")
        return json.loads(body) if status == 200 else None

    def wait_for(self, condition):
        """Wait for a state that meets the condition, and return it."""
        found = []

        def look():
            assert self.process.poll() is None, self.process.communicate()
            state = self.state()
            if state and condition(state):
                found.append(state)
            return bool(found)

        try:
            wait_for(look, "the state that was waited for", START_WITHIN_S)
        except AssertionError as error:
            state = self.state()
            self.process.kill()
            raise AssertionError(f"{error}; the state: {state}; printed: {self.process.communicate()}") from error
        return found[0]

    def stop(self, number=signal.SIGTERM):
        """(exit status, seconds, standard error) after the signal."""
        start_s = time.monotonic()
        self.process.send_signal(number)
        try:
            _, error = self.process.communicate(timeout=PATIENCE_S)
        finally:
            self.process.kill()
        return self.process.returncode, time.monotonic() - start_s, error


@pytest.fixture
def run():
    running = []

    def start(*options, **more):
        running.append(Running(*options, **more))
        return running[-1]

    yield start
    for program in running:
        program.process.kill()
        program.process.communicate()


def ends(*options, environ=None):
    """(status, standard error) of a program that should exit on its own."""
    words = [sys.executable, str(ROOT / "main.py"), *map(str, options)]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=scaled(START_WITHIN_S),
        env={**ENVIRONMENT, **(environ or {})},
        check=False,
    )
    return done.returncode, done.stderr


def write_clip(path):
    """A second and a half of gray that becomes brighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (320, 240))
    for i in range(30):
        writer.write(np.full((240, 320, 3), 8 * i, np.uint8))
    writer.release()
    return path


def frames_of(path):
    """Number of pictures in a video; 0 without one."""
    video, count = cv2.VideoCapture(str(path)), 0
    while video.read()[0]:
        count += 1
    video.release()
    return count


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One program showing the demo, shared by several tests; gray.avi can be chosen instead."""
    media = tmp_path_factory.mktemp("media")
    write_clip(media / "gray.avi")
    program = Running("--source", "demo", "--media", media)
    program.wait_for(lambda state: state["frame"])
    yield program
    program.process.kill()
    program.process.communicate()


def test_the_demo_is_classified_correctly_while_each_expression_is_fully_shown(demo):
    seen = {expression: [] for expression in EXPRESSIONS}
    last = -1

    def seen_enough():
        nonlocal last
        state = demo.state()
        if state["frame"] and state["frame"]["index"] != last:
            last = state["frame"]["index"]
            faces = sorted(state["faces"], key=lambda face: face["box"]["x"])
            for place, truth in enumerate(state["source"]["truths"]):
                if truth:
                    seen[truth].append(len(faces) == 3 and faces[place]["label"] == truth)
        return min(map(len, seen.values())) >= 36

    wait_for(seen_enough, "36 faces of each expression", patience_s=60)
    shares = {expression: float(np.mean(hits)) for expression, hits in seen.items()}
    assert sum(share >= 0.7 for share in shares.values()) >= 6, shares


def test_the_stream_has_different_pictures_and_twenty_viewers_share_them(demo):
    clients = [StreamClient(demo.port) for _ in range(20)]
    try:
        with ThreadPoolExecutor(20) as pool:  # all at once: the program drops viewers that do not read for 5 s
            shown = list(pool.map(lambda client: {client.fresh_part() for _ in range(5)}, clients))
        assert [len(each) for each in shown] == [5] * 20
        picture = cv2.imdecode(np.frombuffer(clients[0].part(), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (480, 640, 3)
        wait_for(lambda: demo.state()["viewers"] == 20)
    finally:
        for client in clients:
            client.close()


def test_page_health_and_state_answer(demo):
    assert demo.get("/healthz")[0] == 200
    assert b"<title>" in demo.get("/")[1]
    state = demo.wait_for(lambda state: set(state["timing_ms"]) >= {"detect", "track", "classify"})
    assert state["source"]["state"] == "demo"


@pytest.mark.browser
def test_the_real_page_shows_moving_video_and_three_faces(demo, browser):
    browser.get(demo.url)
    picture = browser.find_element("id", "picture")
    wait_for(lambda: picture.get_property("width") == 640)
    wait_for(lambda: browser.execute_script("return document.querySelectorAll('#faces .face').length") == 3, 20)
    shots = []
    wait_for(lambda: shots.append(picture.screenshot_as_png) or len(set(shots)) >= 3)


@pytest.mark.browser
def test_on_the_real_page_a_file_and_then_the_demo_can_be_chosen(demo, browser):
    browser.get(demo.url)
    wait_for(lambda: texts(browser, "#faces .who") != [])
    wait_for(lambda: len(texts(browser, "#faces .who")) == 3)
    before = texts(browser, "#faces .who")
    choose(browser, "gray.avi")
    wait_for(lambda: shown(browser) == ["FILE", "gray.avi"])
    wait_for(lambda: find(browser, "#picture").get_property("width") == 320)
    lists(browser, "#faces .who", [])
    choose(browser, "Demo")
    wait_for(lambda: shown(browser) == ["DEMO", "Demo"])
    wait_for(lambda: find(browser, "#picture").get_property("width") == 640)
    wait_for(lambda: texts(browser, "#faces .who") != [])
    assert not set(texts(browser, "#faces .who")) & set(before), "no two faces of a run share a number"


CLICK = """
const buttons = [...document.querySelectorAll("#source-menu li button")];
const found = buttons.find((each) => each.innerText.trim() === arguments[0]);
found?.click();
return Boolean(found);
"""


def choose(browser, name):
    """Choose an entry in the menu of sources, which is filled after the program has answered."""
    click(browser, "#source")
    wait_for(lambda: browser.execute_script(CLICK, name))


def shown(browser):
    """Badge and name of the source."""
    return [*texts(browser, "#status"), *texts(browser, "#source-name")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_ends_with_status_0_within_3_s_while_someone_watches(run, number):
    taken_s = []
    while not taken_s or (taken_s[-1] > scaled(3) and len(taken_s) < 3):  # the computer may be busy for a moment
        program = run("--source", "demo")
        program.wait_for(lambda state: state["frame"])
        viewer = StreamClient(program.port)
        assert viewer.part()
        status, seconds, error = program.stop(number)
        viewer.close()
        assert status == 0
        assert "Traceback" not in error
        assert "WARNING" not in error
        taken_s.append(seconds)
    assert taken_s[-1] <= scaled(3), taken_s


def test_it_ends_immediately_while_the_source_is_still_opening(monkeypatch):
    stop, never = threading.Event(), threading.Event()

    def hang(*_, **__):
        stop.set()
        never.wait(PATIENCE_S)
        raise SourceError("it was not open within ten seconds")

    monkeypatch.setattr(main, "build_pipeline", lambda *_: FakePipeline())
    monkeypatch.setattr(SourceCatalog, "open", hang)
    main.run(Settings(source="0", port=free_port()), stop)
    never.set()


def test_what_requests_wait_for_ends_before_the_server_stops(monkeypatch):
    ended = []

    def noting(name, real):
        return lambda *given: (ended.append(name), real(*given))[1]

    for name, owner in (("exports", SessionExports), ("jobs", FileQueue), ("camera", VideoCamera), ("server", Server)):
        method = "stop" if hasattr(owner, "stop") else "close"
        monkeypatch.setattr(owner, method, noting(name, getattr(owner, method)))
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(main, "build_pipeline", lambda *_: FakePipeline())
    main.run(Settings(source="demo", port=free_port()), stop)
    assert set(ended[: ended.index("server")]) == {"camera", "jobs", "exports"}


@pytest.mark.parametrize("ends", ["camera", "server"])
def test_a_program_that_cannot_go_on_ends_with_status_1_and_one_line(monkeypatch, capsys, ends):
    monkeypatch.setattr(main, "build_pipeline", lambda *_: FakePipeline())
    real = Server.start

    def start(server):
        real(server)
        if ends == "server":
            server.failed = "the web server ended unexpectedly"

    monkeypatch.setattr(Server, "start", start)
    if ends == "camera":
        monkeypatch.setattr(VideoCamera, "failed", property(lambda camera: "the analysis hangs, in 4 threads"))
    assert main.main(["--source", "demo", "--port", str(free_port())]) == 1
    assert re.search(
        r"^mien: the (analysis hangs, in 4 threads|web server ended unexpectedly); the program ends, so that it can be "
        r"started again$",
        capsys.readouterr().err,
        re.MULTILINE,
    )


def test_a_recording_starts_with_the_first_frame(run, tmp_path):
    program = run("--source", write_clip(tmp_path / "clip.avi"), "--sessions", tmp_path / "sessions", "--record")
    program.wait_for(lambda state: state["frame"] and state["recording"]["on"])  # viewers see the frame first
    wait_for(lambda: any(path.stat().st_size for path in (tmp_path / "sessions").glob("*/mien.json")))
    assert program.stop()[0] == 0
    assert len(list((tmp_path / "sessions").glob("*/faces.csv"))) == 1
    (described,) = (tmp_path / "sessions").glob("*/mien.json")
    assert json.loads(described.read_text())["detector"]["name"]


@pytest.mark.parametrize(("source", "asked"), [("auto", 1), ("0", 1), ("demo", 0)])
def test_permission_for_a_webcam_is_requested_in_the_main_thread(monkeypatch, source, asked):
    def fail(*_, **__):
        raise SourceError("enough")

    threads = []
    monkeypatch.setattr(webcam, "request_camera_access", lambda: threads.append(threading.current_thread()))
    monkeypatch.setattr(main, "build_pipeline", lambda *_: FakePipeline())
    monkeypatch.setattr(SourceCatalog, "open", fail)
    with pytest.raises(SourceError, match="enough"):
        main.run(Settings(source=source, port=free_port()), threading.Event())
    assert threads == [threading.current_thread()] * asked


def test_a_video_file_is_played_saved_and_ends(run, tmp_path):
    clip = write_clip(tmp_path / "clip.avi")
    program = run("--source", clip, "--no-loop", "--save", tmp_path / "out.mp4")
    state = program.wait_for(lambda state: state["source"]["state"] == "ended")
    assert state["source"]["name"] == "clip.avi"
    assert program.get("/healthz")[0] == 503
    wait_for(lambda: frames_of(tmp_path / "out.mp4"), "frames in the file")  # PyAV may take long to load
    assert program.stop()[0] == 0
    assert 1 <= frames_of(tmp_path / "out.mp4") <= 30, "a slow computer leaves out frames"


def test_a_camera_that_cannot_be_reached_is_tried_again(run):
    program = run("--source", f"http://127.0.0.1:{free_port()}/stream.mjpg")
    state = program.wait_for(lambda state: state["source"]["state"] == "reconnecting")
    assert state["source"]["reason"]
    assert program.get("/healthz")[0] == 503
    viewer = StreamClient(program.port)
    assert cv2.imdecode(np.frombuffer(viewer.part(), np.uint8), cv2.IMREAD_COLOR) is not None, "a placeholder"
    viewer.close()
    assert program.stop()[0] == 0


@pytest.mark.parametrize(
    ("options", "environ", "message"),
    [
        (["--source", "missing.mp4"], {}, "missing.mp4"),
        (["--source", ROOT], {}, "expected"),
        (["--source", ROOT / "README.md"], {}, "README.md"),
        (["--source", "ftp://example.org/a"], {}, "ftp"),
        (["--source", "77"], {}, "77"),
        (["--detector", "yunet"], {}, "--detector-model"),
        (["--detector", "auto", "--detector-model", ROOT / "README.md"], {}, "SHA-256"),
        (["--model", "missing.json"], {}, "missing.json"),
        (["--weights", ROOT / "README.md"], {}, "README.md"),
        (["--labels", "a,b,c,d,e,f,g"], {}, "labels"),
        (["--port", "http"], {}, "--port: expected a whole number 1 to 65535, found 'http'"),
        (["--prot", "5001"], {}, "--prot: unknown option; did you mean --port?"),
        (["demo"], {}, "found 'demo'; did you mean --source demo?"),
        (
            ["srve"],
            {},
            "expected an option or a command (serve, analyze, methods, report), found 'srve'; did you mean serve?",
        ),
        (["serve", "--sources", "demo"], {}, "--sources: unknown option; did you mean --source?"),
        (["--save", "no/such/folder/out.mp4"], {}, "out.mp4"),
        (["--record", "--sessions", ROOT / "README.md"], {}, "README.md, which is a file"),
        ([], {"MIEN_COLOR": "1"}, "MIEN_COLOR"),
    ],
)
def test_invalid_options_are_reported_in_one_line_with_status_2(options, environ, message):
    status, error = ends(*options, environ={"MIEN_PORT": str(free_port()), **environ})
    assert status == 2
    assert message in error
    assert "Traceback" not in error
    assert len([line for line in error.splitlines() if not line.startswith(PROGRESS)]) == 1, error


@pytest.mark.parametrize(
    ("option", "beginning"), [("--version", "mien "), ("--help", "usage: python main.py [options]")]
)
def test_help_and_version_need_no_package_and_no_time(option, beginning):
    words = [sys.executable, "-S", str(ROOT / "main.py"), option]  # -S: Python without installed packages
    done = subprocess.run(words, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(beginning)


def test_loading_the_network_is_reported_immediately(run):
    program = run("--source", "demo")
    assert program.process.stderr.readline() == f"{LOADING}\n"


def test_the_page_is_served_while_the_network_is_loaded(monkeypatch):
    loading, stop = threading.Event(), threading.Event()
    settings = Settings(source="demo", port=free_port())

    def load(*_):
        assert loading.wait(PATIENCE_S)
        return FakePipeline()

    def get(path):
        return urllib.request.urlopen(f"http://127.0.0.1:{settings.port}{path}", timeout=PATIENCE_S)

    def is_served():
        try:
            return b"<title>" in get("/").read()
        except OSError:
            return False

    def state():
        return json.load(get("/api/state"))

    monkeypatch.setattr(main, "build_pipeline", load)
    program = threading.Thread(target=main.run, args=(settings, stop))
    program.start()
    try:
        wait_for(is_served)
        wait_for(lambda: state()["source"]["state"] == "loading")
        before = state()
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            get("/healthz")
        health = json.load(refused.value)
        loading.set()
        wait_for(lambda: state()["frame"])
    finally:
        loading.set()
        stop.set()
        program.join(PATIENCE_S)
    assert (before["frame"], before["source"]["reason"]) == (None, "loading the network")
    assert health == {"ok": False, "state": "loading", "reason": "loading the network", "not_written": []}
    assert not program.is_alive()


def test_serve_is_the_command_that_runs_without_one():
    assert main.choose_command([]) == (main.serve, [])
    assert main.choose_command(["--source", "demo"]) == (main.serve, ["--source", "demo"])
    assert main.choose_command(["serve", "--source", "demo"]) == (main.serve, ["--source", "demo"])


def test_a_command_gets_its_own_words_and_decides_the_status(monkeypatch):
    given = []
    monkeypatch.setitem(main.COMMANDS, "analyze", lambda words: given.extend(words) or 1)
    assert main.main(["analyze", "clip.mp4", "--out", "results"]) == 1
    assert given == ["clip.mp4", "--out", "results"]


def test_missing_packages_are_reported_in_one_line_with_status_2():
    words = [sys.executable, "-S", str(ROOT / "main.py"), "--source", "demo"]  # -S: Python without installed packages
    done = subprocess.run(words, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 2
    assert re.match("mien: expected the packages of requirements.txt, found no (cv2|numpy); make run, or", done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_reported_in_one_line_with_status_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, error = ends("--source", "demo", "--port", port)
    assert status == 2
    assert f"port {port}" in error
    assert "Traceback" not in error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_faces_are_pixelated_and_a_recording_survives_a_kill(run, tmp_path):
    folder = tmp_path / "sessions"
    program = run("--source", "demo", "--privacy", "--sessions", folder)
    assert program.wait_for(lambda state: state["faces"])["privacy"]
    assert program.post("/api/record", {"on": True})["recording"]["on"]
    recorded = program.wait_for(lambda state: state["recording"]["rows"] >= 20)
    pixelated = program.picture()
    assert program.post("/api/privacy", {"on": False})["privacy"] is False
    clear = program.picture()
    detector = HaarDetector()
    assert len(detector.detect(clear)) == 3
    assert not detector.detect(pixelated)
    last = program.wait_for(lambda state: state["recording"]["rows"] >= recorded["recording"]["rows"] + 60)
    os.kill(program.process.pid, signal.SIGKILL)
    program.process.wait()
    table = pd.read_csv(folder / recorded["recording"]["session"] / "faces.csv")
    assert len(table) >= last["recording"]["rows"], "each row is written as soon as it is counted"
    assert table["label"].isin(EXPRESSIONS).all()


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "media").is_dir(), reason="../shared/media is missing")
def test_a_real_clip_shows_one_labeled_face_and_a_group_photo_four_of_five(run):
    program = run("--source", SHARED / "media" / "expressions.mp4", "--media", SHARED / "media")
    state = program.wait_for(lambda state: state["faces"])
    assert state["source"]["state"] == "file"
    assert len(state["faces"]) == 1
    assert sum(state["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)

    program.post("/api/source", {"source": "group.jpg"})
    state = program.wait_for(lambda state: len(state["faces"]) >= 4)
    boxes = [Box(**face["box"]) for face in state["faces"]]
    found = sum(any(box.iou(truth) >= 0.4 for box in boxes) for truth in GROUP_BOXES)
    extra = sum(all(box.iou(truth) < 0.4 for truth in GROUP_BOXES) for box in boxes)
    assert found >= 4
    assert extra <= 1
    assert [face["label"] for face in state["faces"]].count("happy") >= 3, "five people smile"
