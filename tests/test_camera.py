"""VideoCamera: one source for all viewers, the newest frame, and every fault a source can have."""

import re
import threading
from dataclasses import replace

import numpy as np
import pytest

import camera as door
from camera import VideoCamera
from mien.detectors import choose_detector
from mien.errors import SettingsError, SourceEndedError, SourceError, SourceLoginError, SourceMissingError
from mien.images.codecs import decode_image
from mien.recording.video import Saving
from mien.settings import Settings
from mien.stream.config import CameraOptions, Services, Timeouts
from tests.camera_rig import DIED, FRAME
from tests.fakes import HANG, FakeFaceStream, FakeOpener, FakePipeline, FakeSource, network_camera, write_clip
from tests.patience import PATIENCE_S, wait_for
from tests.test_video import read_back

# --- live frames


def test_a_snapshot_holds_picture_frame_and_analysis_of_the_same_moment(rig):
    source = FakeSource([FRAME] * 200, stepped=True)
    it = rig(source)
    it.camera.start()
    for index in range(5):
        source.step()
        snapshot = it.snapshot(lambda found, index=index: found.frame and found.frame.index == index)
        assert abs(int(np.median(decode_image(snapshot.jpeg))) - index) <= 2
        assert (snapshot.analysis.width, snapshot.analysis.height) == FRAME
        assert snapshot.latency_ms == pytest.approx(100_000)  # according to the clocks
    assert it.until("live").name == "Webcam 0"
    assert it.camera.status().reason is None
    assert it.camera.status().retry_in_s is None


def test_reading_and_analyzing_have_separate_threads(rig):
    it = rig(FakeSource([FRAME]))
    it.camera.start()
    it.until_analyzed(1)
    assert it.sources[0].threads == {"capture"}
    assert it.pipeline.threads == {"inference"}


def test_the_newest_frame_wins_while_the_analysis_is_busy(rig):
    source = FakeSource([FRAME] * 50, stepped=True)
    it = rig(source)
    busy, go_on = threading.Event(), threading.Event()
    analyze = it.pipeline.analyze

    def slow(frame):
        if not it.pipeline.seen:
            busy.set()
            assert go_on.wait(PATIENCE_S)
        return analyze(frame)

    it.pipeline.analyze = slow
    it.camera.start()
    source.step()
    assert busy.wait(PATIENCE_S)
    for _ in range(49):
        source.step()
    wait_for(lambda: it.camera._switcher.frames.peek()[0] == 50)  # nothing delayed the source
    go_on.set()
    it.until_analyzed(2)
    assert it.pipeline.seen[0][2] == 0
    assert it.pipeline.seen[1][2] == 49
    assert len(it.pipeline.seen) == 2


def test_a_deferred_detection_does_not_delay_the_picture(rig):
    source = FakeSource([FRAME] * 2, stepped=True)
    it = rig(source)
    it.camera.start()
    wait_for(lambda: it.streams)
    detected = []
    it.streams[0].deferred = lambda: detected.append(it.camera.snapshots.peek()[1].frame.index)
    for count in (1, 2):
        source.step()
        wait_for(lambda count=count: len(detected) == count)
    assert detected == [0, 1], "the newest frame is shown first"


def test_twenty_viewers_share_one_device_and_one_analysis(rig):
    source = FakeSource([FRAME] * 300, stepped=True)
    it = rig(source)
    got = []
    viewers = [
        threading.Thread(target=lambda: got.append([it.camera.get_frame() for _ in range(3)])) for _ in range(20)
    ]
    for viewer in viewers:
        viewer.start()
    while any(viewer.is_alive() for viewer in viewers):
        source.step()
        for viewer in viewers:
            viewer.join(0.002)
    assert len(got) == 20
    assert it.opener.specs == ["0"]
    assert len(it.pipeline.seen) <= source.count
    assert all(len({len(jpeg) > 100 for jpeg in jpegs}) == 1 for jpegs in got)


def test_get_frame_starts_the_camera_and_returns_each_frame_once(rig, monkeypatch):
    monkeypatch.setattr(door, "REPEAT_AFTER_S", PATIENCE_S)
    source = FakeSource([FRAME] * 9, stepped=True)
    it = rig(source)
    levels = []
    for _ in range(4):
        source.step()
        levels.append(int(np.median(decode_image(it.camera.get_frame()))))
    assert levels == pytest.approx([0, 1, 2, 3], abs=2)
    assert it.camera.snapshots.peek()[0] == 4


def test_the_configured_size_and_rate_are_requested_from_the_source(rig):
    it = rig(FakeSource([FRAME]), size=(640, 360), fps=15, loop=False)
    it.camera.start()
    it.camera.start()
    (options,) = it.opener.options
    assert options.pop("wanted")()
    assert options == {"size": (640, 360), "fps": 15, "loop": False, "insecure": False}


def test_fps_counts_the_last_two_seconds(rig):
    source = FakeSource([FRAME] * 99, stepped=True)
    it = rig(source)
    it.camera.start()
    for count in range(1, 13):
        source.step()
        it.until_analyzed(count)
        it.clock.advance(0.25)
    assert it.camera.status().fps == pytest.approx(3.5)  # 7 of them are younger than 2 s
    it.clock.advance(1.0)
    assert it.camera.status().fps == pytest.approx(1.5)
    it.clock.advance(2.0)
    assert it.camera.status().fps == 0


def test_a_frame_is_drawn_and_encoded_on_demand(rig):
    drawn = []

    def annotate(frame, analysis):
        drawn.append(frame.index)
        return np.full((24, 32, 3), 200, np.uint8)

    it = rig(FakeSource([FRAME, FRAME]), draw=annotate)
    it.camera.start()
    snapshot = it.snapshot(lambda found: found.frame and found.frame.index == 1)
    assert abs(int(np.median(decode_image(snapshot.plain_jpeg))) - 1) <= 2
    assert drawn == []
    assert abs(int(np.median(decode_image(snapshot.jpeg))) - 200) <= 2
    assert it.camera.get_frame() == snapshot.jpeg
    assert drawn == [1]


def test_the_prepared_frame_is_shown_and_recorded(rig):
    source = FakeSource([FRAME] * 9, stepped=True)
    recorded = []

    def prepare(frame, analysis):
        assert (analysis.width, analysis.height) == FRAME
        if frame.index == 1:
            raise ValueError("cannot pixelate")
        return replace(frame, pixels_bgr=np.full((24, 32, 3), 100 + frame.index, np.uint8))

    it = rig(source, prepare=prepare, record=lambda frame, analysis: recorded.append((frame, analysis)))
    it.camera.start()
    source.step()
    shown = it.snapshot(lambda found: found.frame)
    for jpeg in (shown.jpeg, shown.plain_jpeg):
        assert abs(int(np.median(decode_image(jpeg))) - 100) <= 2
    assert shown.frame.pixels_bgr[0, 0, 0] == 100  # nothing else of the frame is stored
    wait_for(lambda: recorded)
    source.step()
    it.until_reason("the analysis failed: ValueError: cannot pixelate")
    it.snapshot(lambda found: found.frame is None)
    source.step()
    it.until("live")
    assert it.snapshot(lambda found: found.frame and found.frame.index == 2)
    wait_for(lambda: len(recorded) == 2)
    assert [(frame.index, frame.pixels_bgr[0, 0, 0]) for frame, _ in recorded] == [(0, 100), (2, 102)]
    assert recorded[0][1] is shown.analysis


# --- faults


def test_a_failed_source_is_reopened_and_viewers_are_informed_meanwhile(rig):
    it = rig(FakeSource([FRAME, FRAME, DIED]), FakeSource([FRAME]))
    it.camera.start()
    status = it.until_reason("it died")
    assert (status.name, status.reason, status.retry_in_s) == ("Webcam 0", "it died", 0.5)
    it.snapshot(lambda found: found.frame is None and found.analysis is None)
    assert it.placeholders[0] == ["Waiting for Webcam 0", "it died", "next try in 1 s"]
    assert it.sources[0].closed.is_set()
    assert it.opener.specs == ["0"]  # not too early
    it.clock.advance(0.5)
    status = it.until("live")
    assert (status.name, status.reason) == ("Webcam 0", None)
    it.snapshot(lambda found: found.frame is not None)
    assert not it.sources[1].closed.is_set()


def test_the_placeholder_has_the_size_of_the_stream_and_is_sent_twice_a_second(rig):
    source = FakeSource([FRAME, DIED], stepped=True)
    it = rig(source, size=(1280, 720), backoff_s=(60, 60))
    it.camera.start()
    source.step()
    it.until_analyzed(1)
    source.step()
    picture = it.snapshot(lambda found: found.frame is None)
    assert decode_image(picture.jpeg).shape == (24, 32, 3)
    for count in range(2, 6):
        assert len(it.placeholders) == count - 1
        it.clock.advance(0.5)
        wait_for(lambda count=count: len(it.placeholders) == count)
    for lines, left in zip(it.placeholders, (60, 60, 59, 59, 58), strict=True):
        assert lines[2] in (f"next try in {left} s", f"next try in {left + 1} s")  # the clock may go on meanwhile
    assert it.camera.status().retry_in_s == pytest.approx(58)


def test_back_off_doubles_from_half_a_second_to_ten_and_restarts_after_a_frame(rig):
    it = rig(FakeSource([FRAME, DIED]), *[DIED] * 7, FakeSource([FRAME, DIED]), FakeSource([FRAME]))
    it.camera.start()
    waits = []
    for tries in range(1, 9):
        wait_for(lambda tries=tries: len(it.opener.specs) == tries and it.camera.status().retry_in_s)
        waits.append(it.camera.status().retry_in_s)
        it.clock.advance(waits[-1] - 0.01)
        assert len(it.opener.specs) == tries
        it.clock.advance(0.02)
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 10, 10, 10], abs=0.001)
    wait_for(lambda: len(it.opener.specs) == 9 and it.camera.status().retry_in_s)
    assert it.camera.status().retry_in_s == pytest.approx(0.5, abs=0.001)


def test_a_source_that_hangs_is_given_up_after_five_seconds(rig):
    it = rig(FakeSource([FRAME, HANG]), FakeSource([FRAME, FRAME, HANG]))
    hung = it.sources[0]
    it.camera.start()
    it.until_analyzed(1)
    assert hung.hanging.wait(PATIENCE_S)
    it.clock.advance(4.9)
    assert it.camera.status().state == "live"
    it.clock.advance(0.2)
    it.until_reason("Webcam 0 gave no picture for 5 s")
    assert not hung.closed.is_set()  # its thread is still inside read(): no other thread may close it
    it.clock.advance(0.5)
    it.until("live")
    wait_for(lambda: it.pipeline.seen[-1][2] == 1)
    analyzed = len(it.pipeline.seen)
    hung.release.set()
    assert hung.closed.wait(PATIENCE_S)
    assert it.camera.status().state == "live"
    assert len(it.pipeline.seen) == analyzed  # its late frame was ignored
    assert len(it.opener.specs) == 2


def test_opening_that_hangs_is_given_up(rig):
    release = threading.Event()
    opener = FakeOpener(FakeSource([FRAME, DIED]))
    second, third = FakeSource([FRAME]), FakeSource([FRAME])

    def opening(spec, **options):
        if not opener.specs:
            return opener(spec)
        opener.specs.append(spec)
        if len(opener.specs) == 2:
            assert release.wait(PATIENCE_S)
            return second
        return third

    it = rig(second, third, open=opening, open_within_s=15)
    it.camera.start()
    it.until_analyzed(1)
    it.until_reason("it died")
    it.clock.advance(0.6)
    wait_for(lambda: len(opener.specs) == 2)
    assert it.camera.status().retry_in_s == 0
    it.clock.advance(15)
    it.until_reason("Webcam 0 did not open for 15 s")
    it.clock.advance(1.1)
    it.until("live")
    release.set()
    assert second.closed.wait(PATIENCE_S)  # opened too late: closed by the thread that opened it
    assert second.count == 0
    assert not third.closed.is_set()


def test_a_driver_that_always_hangs_does_not_fill_the_computer_with_threads(rig, caplog):
    it = rig(*[FakeSource([FRAME, HANG]) for _ in range(12)])
    it.camera.start()
    before = threading.active_count()
    for number, source in enumerate(it.sources[:4], 1):
        assert source.hanging.wait(PATIENCE_S)
        it.until_analyzed(number)
        it.clock.advance(5)
        it.until_reason("gave no picture" if number < 4 else "hangs in 4 threads")
        it.clock.advance(11)
    for _ in range(20):
        it.clock.advance(11)
        it.camera._switcher.watch()
    assert len(it.opener.specs) == 4
    assert threading.active_count() <= before + 4
    status = it.camera.status()
    assert (status.retry_in_s, status.failing) == (None, "source")
    assert status.reason == "Webcam 0 hangs in 4 threads; choose another source, or start Mien again"
    wait_for(lambda: it.placeholders[-1] == ["Waiting for Webcam 0", status.reason])
    assert "Webcam 0 gave no picture for 5 s, in 4 threads by now; no further try" in caplog.text
    assert it.camera.failed is None, "so that the program does not end: another source can be chosen"
    it.sources[0].release.set()  # one returns: then there is a new attempt
    wait_for(lambda: len(it.opener.specs) == 5)
    it.until("live")


def test_another_source_can_be_chosen_while_a_driver_hangs_in_all_its_threads(rig):
    it = rig(*[FakeSource([FRAME, HANG]) for _ in range(4)], FakeSource([FRAME], name="Demo", spec="demo"))
    it.camera.start()
    for number, source in enumerate(it.sources[:4], 1):
        assert source.hanging.wait(PATIENCE_S)
        it.until_analyzed(number)
        it.clock.advance(5)
        it.until_reason("gave no picture" if number < 4 else "hangs in 4 threads")
        it.clock.advance(11)
    status = it.camera.switch("demo")
    assert (status.name, status.reason, status.retry_in_s) == ("Demo", None, None)


def test_a_change_of_size_does_not_interrupt_the_stream(rig):
    source = FakeSource([FRAME, FRAME, (48, 16), (48, 16), FRAME], stepped=True)
    it = rig(source)
    it.camera.start()
    for count in range(1, 6):
        source.step()
        it.until_analyzed(count)
    assert len({stream for stream, _, _ in it.pipeline.seen}) == 1
    assert it.placeholders == []
    assert it.opener.specs == ["0"]
    assert decode_image(it.snapshot(lambda found: found.frame.index == 4).jpeg).shape == (24, 32, 3)


def test_a_reopened_source_is_another_stream_for_the_same_analysis(rig):
    it = rig(FakeSource([FRAME, DIED]), FakeSource([FRAME]))
    it.camera.start()
    it.until_analyzed(1)
    it.until_reason("it died")
    it.clock.advance(0.5)
    it.until_analyzed(2)
    assert len({stream for stream, _, _ in it.pipeline.seen}) == 2
    assert len(it.streams) == 1, "so that no two faces of a run share a number"


@pytest.mark.parametrize(
    ("spec", "is_image", "kind"),
    [
        ("0", False, "webcam"),
        ("demo", False, "demo"),
        ("rtsp://camera/stream", False, "url"),
        ("clip.mp4", False, "video"),
        ("photo.jpg", True, "image"),
    ],
)
def test_the_status_says_what_the_source_is_and_which_stream_it_gives(rig, spec, is_image, kind):
    source = FakeSource([FRAME], spec=spec)
    source.is_image = is_image
    it = rig(source, spec=spec)
    assert it.camera.status().kind == (None if spec.endswith(("mp4", "jpg")) else kind)
    it.camera.start()
    status = it.until("live")
    assert (status.kind, status.failing) == (kind, None)
    assert status.stream == it.snapshot(lambda found: found.frame).frame.stream > 0


def test_a_source_that_has_failed_keeps_the_number_of_its_stream_until_it_is_opened_again(rig):
    it = rig(FakeSource([FRAME, DIED]), FakeSource([FRAME]))
    it.camera.start()
    status = it.until("reconnecting")
    assert (status.failing, status.stream) == ("source", 1)
    it.clock.advance(1)
    status = it.until("live")
    assert (status.failing, status.stream) == (None, 2)


def test_the_source_found_by_auto_is_reopened(rig):
    it = rig(FakeSource([FRAME, DIED], name="Webcam 2", spec="2"), DIED, FakeSource([FRAME]), spec="auto")
    it.camera.start()
    for _ in range(2):
        it.until_reason("it died")
        it.clock.advance(wait_for(lambda: it.camera.status().retry_in_s))
    it.until("live")
    assert it.opener.specs == ["auto", "2", "2"]


@pytest.mark.parametrize("error", [ValueError("a bug"), MemoryError(), OSError(5, "driver")])
def test_an_unexpected_error_of_a_source_is_handled_like_any_other(rig, caplog, error):
    it = rig(FakeSource([FRAME, error]), FakeSource([FRAME]))
    it.camera.start()
    it.until_reason(type(error).__name__)
    assert it.sources[0].closed.wait(PATIENCE_S)
    it.clock.advance(0.5)
    it.until("live")
    assert "failed unexpectedly" in caplog.text


def test_an_error_on_closing_a_source_is_handled_like_any_other(rig, caplog):
    it = rig(FakeSource([FRAME, DIED]), FakeSource([FRAME]))

    def close():
        raise OSError("no way")

    it.sources[0].close = close
    it.camera.start()
    it.until_reason("it died")
    it.clock.advance(0.5)
    it.until("live")
    assert "could not be closed" in caplog.text


def test_a_file_that_ends_keeps_its_last_picture(rig):
    it = rig(FakeSource([FRAME, FRAME, SourceEndedError("clip.mp4 was played to its end")]))
    it.camera.start()
    status = it.until("ended")
    assert (status.reason, status.retry_in_s) == ("clip.mp4 was played to its end", None)
    snapshot = it.snapshot(lambda found: found.frame.index == 1)
    it.clock.advance(60)
    wait_for(lambda: it.camera.status().fps == 0)
    assert it.camera.snapshots.peek()[1] is snapshot
    assert it.camera.status().state == "ended"
    assert it.sources[0].closed.wait(PATIENCE_S)
    assert it.opener.specs == ["0"]
    assert it.camera.get_frame() == snapshot.jpeg
    assert it.camera.get_frame() == snapshot.jpeg  # waits a second, then returns it again


def test_an_error_in_the_pipeline_is_reported_logged_once_and_survived(rig, caplog):
    source = FakeSource([FRAME] * 99, stepped=True)
    it = rig(source)
    it.camera.start()
    source.step()
    it.until_analyzed(1)
    it.pipeline.error = ValueError("no such layer")
    for _ in range(3):
        source.step()
    status = it.until_reason("the analysis failed: ValueError: no such layer")
    assert status.fps == 0
    it.snapshot(lambda found: found.frame is None)
    assert it.placeholders[-1][1] == status.reason
    wait_for(lambda: it.camera._switcher.frames.peek()[0] == 4)
    it.pipeline.error = None
    source.step()
    it.until_analyzed(2)
    assert it.until("live").reason is None
    assert caplog.text.count("a frame could not be analyzed") == 1
    assert it.streams[0].resets > 0, "earlier faces are forgotten"


def test_an_analysis_that_hangs_is_reported(rig):
    it = rig(FakeSource([FRAME]))
    go_on = threading.Event()
    it.pipeline.analyze = lambda frame: go_on.wait(PATIENCE_S)
    it.camera.start()
    wait_for(lambda: it.camera._health.busy_since_s is not None)
    it.clock.advance(5)
    status = it.camera.status()
    assert (status.reason, status.failing) == ("the analysis of one frame takes longer than 5 s", "analysis")
    go_on.set()


def test_an_analysis_that_hangs_is_abandoned_and_another_thread_takes_over(rig, caplog):
    renewed = []
    it = rig(FakeSource([FRAME, FRAME, FRAME], stepped=True), renew=lambda: renewed.append(True), hang_after_s=1e9)
    hanging, go_on, analyze = threading.Event(), threading.Event(), it.pipeline.analyze

    def hang(frame):
        hanging.set()
        assert go_on.wait(PATIENCE_S)
        return analyze(frame)

    it.pipeline.analyze = hang
    it.camera.start()
    it.sources[0].step()
    assert hanging.wait(PATIENCE_S)
    it.pipeline.analyze = analyze
    abandoned = it.camera._inference._thread
    wait_for(lambda: it.clock.advance(5) or it.camera._inference._thread is not abandoned)
    assert (len(renewed), it.camera.failed) == (1, None)
    assert "its thread is abandoned, 1 of at most 4" in caplog.text
    it.sources[0].step()
    it.snapshot(lambda newest: newest.frame is not None and newest.frame.index == 1)
    go_on.set()
    abandoned.join(PATIENCE_S)
    assert not abandoned.is_alive()
    assert it.camera.snapshots.peek()[1].frame.index == 1, "what an abandoned thread finds is not shown"
    assert len(it.streams) == 2, "the new thread begins without the faces of the old one"
    assert it.numbers[0] is it.numbers[1], "no number of theirs is used again: a recording would mix up people"


def test_an_analysis_that_hangs_is_replaced_with_the_old_detector_if_no_new_one_can_be_made(rig, caplog):
    def renew():
        raise SystemExit(1)

    it = rig(FakeSource([FRAME] * 3, stepped=True), renew=renew)
    go_on, hung, analyze = threading.Event(), threading.Event(), it.pipeline.analyze
    it.pipeline.analyze = lambda frame: hung.set() or go_on.wait(PATIENCE_S)
    it.camera.start()
    it.sources[0].step()
    assert hung.wait(PATIENCE_S)
    it.pipeline.analyze = analyze
    abandoned = it.camera._inference._thread
    wait_for(lambda: it.clock.advance(5) or it.camera._inference._thread is not abandoned)
    go_on.set()
    wait_for(it.camera._inference._thread.is_alive)
    assert "what hangs cannot be replaced" in caplog.text


def test_no_exception_ends_the_supervision_of_the_analysis(rig, monkeypatch, caplog):
    it = rig(FakeSource([FRAME]))
    checked, faults = threading.Event(), [SystemExit(1)]

    def check():
        if faults:
            raise faults.pop()
        checked.set()

    it.camera.start()
    monkeypatch.setattr(it.camera._inference, "_check", check)
    assert checked.wait(PATIENCE_S)
    assert "the analysis cannot be started again" in caplog.text


def test_an_analysis_that_always_hangs_is_a_failure_and_does_not_fill_the_computer_with_threads(rig):
    it = rig(FakeSource([FRAME] * 20))
    go_on, hung = threading.Event(), []
    it.pipeline.analyze = lambda frame: hung.append(threading.current_thread()) or go_on.wait(PATIENCE_S)
    it.camera.start()
    assert wait_for(lambda: it.clock.advance(5) or it.camera.failed) == "the analysis hangs, in 4 threads"
    wait_for(lambda: len(hung) == 4)  # the last one may have been given up before it got that far
    assert len(set(hung)) == 4
    go_on.set()
    wait_for(lambda: it.camera.failed is None)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_no_exception_ends_the_analysis(rig, error, caplog):
    it = rig(FakeSource([FRAME, FRAME], stepped=True))
    it.pipeline.error = error
    it.camera.start()
    it.sources[0].step()
    assert type(error).__name__ in it.until_reason("the analysis failed").reason
    it.pipeline.error = None
    it.sources[0].step()
    it.until("live")
    assert it.camera._inference._restarts == 0


def test_no_exception_of_a_driver_ends_the_capture(rig, caplog):
    it = rig(FakeSource([FRAME, SystemExit(1)]), FakeSource([FRAME, FRAME]))
    it.camera.start()
    it.until_reason("failed: SystemExit")
    it.clock.advance(0.5)
    it.until("live")


def test_a_camera_that_refuses_the_password_is_tried_again_after_a_minute(rig, caplog):
    it = rig(SourceLoginError("the password is wrong"), FakeSource([FRAME, FRAME]), spec="rtsp://me:s3cret@camera/")
    it.camera.start()
    it.until_reason("the password is wrong")
    assert it.camera.status().retry_in_s == 60
    it.clock.advance(60)
    it.until("live")


def test_a_placeholder_that_cannot_be_drawn_does_not_end_the_analysis(rig, caplog):
    broken = threading.Event()

    def draw(width, height, lines):
        broken.set()
        raise SystemExit(1)

    it = rig(FakeSource([FRAME, DIED]), FakeSource([FRAME, FRAME]), placeholder=draw)
    it.camera.start()
    it.until_reason("it died")
    it.until_analyzed(1)
    assert broken.wait(PATIENCE_S)
    it.clock.advance(0.5)
    it.until_analyzed(2)
    it.until("live")


def test_an_analysis_that_ends_is_started_again_a_few_times(rig, caplog):
    def broken(pipeline, numbers):
        raise SystemExit(1)

    it = rig(FakeSource([FRAME] * 3), make_stream=broken)
    it.camera.start()
    assert wait_for(lambda: it.camera.failed) == "the analysis ended unexpectedly, 6 times"
    assert it.camera._inference._restarts == 5


# --- starting


@pytest.mark.parametrize("spec", ["0", "demo", "clip.mp4"])
@pytest.mark.parametrize("error", [SourceMissingError("no such file"), SourceError("webcam 0 is busy")])
def test_an_error_opening_the_first_source_is_raised(rig, spec, error, caplog):
    it = rig(error, spec=spec)
    before = threading.active_count()
    with pytest.raises(type(error), match=str(error)):
        it.camera.start()
    wait_for(lambda: threading.active_count() <= before)
    assert it.camera.status().reason == "stopped"
    assert str(error) not in caplog.text  # the caller that catches it reports it, once


def test_a_network_camera_may_be_unavailable_at_first(rig):
    it = rig(DIED, FakeSource([FRAME], name="rtsp://***@camera/live"), spec="rtsp://me:s3cret@camera/live")
    it.camera.start()
    assert it.camera.status().state == "reconnecting"
    assert it.until_reason("it died").name == "rtsp://***@camera/live"
    it.clock.advance(0.5)
    it.until("live")


@pytest.mark.parametrize("spec", ["ftp://host/clip", "http://"])
def test_an_invalid_url_is_refused_immediately(spec):
    with pytest.raises(SourceMissingError):
        VideoCamera(spec, FakePipeline())


class HangingOpener:
    """Stands in for `open_source` with a hanging driver: advances the rig's clock, then blocks until `release` is set.

    sources: the sources it finally returns, or immediately for other specs.
    """

    def __init__(self, after_s=0.0, **sources):
        self.sources = sources
        self.after_s = after_s
        self.release = threading.Event()
        self.wanted = {}
        self.clock = None

    def __call__(self, spec, wanted, **_):
        self.wanted[spec] = wanted
        if spec in ("auto", "0"):
            self.clock.advance(self.after_s)
            assert self.release.wait(PATIENCE_S)
        return self.sources.get(spec)


@pytest.fixture
def hanging(rig):
    """(rig, opener) of a camera whose webcam takes longer to open than the timeout."""

    def make(spec, **sources):
        opener = HangingOpener(16, **sources)
        it = rig(*sources.values(), open=opener, spec=spec, open_within_s=15)
        opener.clock = it.clock
        return it, opener

    return make


def test_opening_that_never_returns_is_an_error_at_the_start(hanging):
    it, opener = hanging("0")
    with pytest.raises(SourceError, match="did not open within 15 s"):
        it.camera.start()
    assert not opener.wanted["0"]()
    opener.release.set()


def test_a_later_start_raises_the_same_error_without_a_second_attempt(rig):
    it = rig(DIED, FakeSource([FRAME]), backoff_s=(0, 0))
    capture = it.camera._switcher._capture

    def woken_late(timeout=None):
        capture._change.release()
        wait_for(lambda: not capture._thread.is_alive() or len(it.opener.specs) == 2)
        capture._change.acquire()

    capture._change.wait = woken_late
    with pytest.raises(SourceError, match="it died"):
        it.camera.start()
    assert it.opener.specs == ["0"]


def test_canceling_does_not_wait_until_the_source_is_open(rig):
    never, cancelled = threading.Event(), threading.Event()

    def opening(spec, **_):
        cancelled.set()
        assert never.wait(PATIENCE_S)
        return source

    source = FakeSource([FRAME])
    it = rig(source, open=opening, cancelled=cancelled.is_set)
    it.camera.start()
    assert it.camera.status().reason == "opening"
    source.unblock()
    never.set()
    it.camera.stop()
    assert source.closed.wait(PATIENCE_S)


def test_for_auto_the_demo_replaces_webcams_that_hang(hanging):
    late, shown = FakeSource([FRAME], spec="2"), FakeSource([FRAME], name="Demo", spec="demo")
    it, opener = hanging("auto", auto=late, demo=shown)
    it.camera.start()
    assert not opener.wanted["auto"](), "no other webcam is tried"
    assert opener.wanted["demo"]()
    opener.release.set()
    assert late.closed.wait(PATIENCE_S)
    assert late.count == 0
    assert it.until("live").name == "Demo"
    assert it.camera.in_use == "demo"
    it.until_analyzed(1)


def test_a_webcam_that_opens_after_the_camera_was_stopped_is_closed(hanging):
    late = FakeSource([FRAME])
    it, opener = hanging("0", **{"0": late})
    opener.after_s = 0
    failures = []

    def start():
        try:
            it.camera.start()
        except SourceError as error:
            failures.append(str(error))

    starting = threading.Thread(target=start)
    starting.start()
    wait_for(lambda: opener.wanted)
    it.camera.stop()
    starting.join(PATIENCE_S)
    assert failures == ["the camera was stopped while it started"]
    assert not opener.wanted["0"]()
    opener.release.set()
    assert late.closed.wait(PATIENCE_S)
    assert late.count == 0


def test_a_missing_file_is_refused_by_the_real_source(tmp_path):
    with pytest.raises(SourceMissingError, match="found no file"):
        VideoCamera(str(tmp_path / "nowhere.mp4"), FakePipeline()).start()


def test_without_a_pipeline_the_default_one_is_built_when_it_starts(rig, monkeypatch):
    built = []
    monkeypatch.setattr(door, "default_pipeline", lambda: built.append(FakePipeline()) or built[0])
    services = Services(open=FakeOpener(FakeSource([FRAME])), make_stream=lambda pipeline, _: FakeFaceStream(pipeline))
    camera = VideoCamera("0", services=services)
    assert not built
    with camera:
        wait_for(lambda: built[0].seen)


def test_the_default_pipeline_has_the_default_detector():
    assert door.default_pipeline().detector.name == choose_detector(Settings().detector)


# --- stopping


def test_stop_ends_the_threads_and_closes_the_device(rig):
    before = threading.active_count()
    source = FakeSource([FRAME] * 9, stepped=True)
    it = rig(source)
    with it.camera as camera:
        source.step()
        it.until_analyzed(1)
        threading.Thread(target=lambda: camera._stopping.wait(PATIENCE_S) and source.unblock()).start()
    assert source.closed.wait(PATIENCE_S)
    wait_for(lambda: threading.active_count() <= before)
    assert camera.snapshots.closed
    assert (camera.status().state, camera.status().reason) == ("ended", "stopped")
    camera.stop()
    with pytest.raises(SourceError, match="stopped"):
        camera.get_frame()


def test_stop_is_quick_even_when_the_source_hangs(rig, monkeypatch, caplog):
    it = rig(FakeSource([FRAME, HANG]))
    it.camera.start()
    it.until_analyzed(1)
    longest_s, join = [], threading.Thread.join

    def note(thread, timeout=None):
        longest_s.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", note)
    it.camera.stop()
    assert sum(longest_s) <= 3
    assert "did not close within" in caplog.text
    it.sources[0].release.set()
    assert it.sources[0].closed.wait(PATIENCE_S)  # and when it returns, it releases the device


def test_stop_is_quick_while_it_waits_to_try_again(rig):
    it = rig(FakeSource([FRAME, DIED]), backoff_s=(3600, 3600))
    it.camera.start()
    it.until_reason("it died")
    capture = it.camera._switcher._capture._thread
    it.camera.stop()
    capture.join(PATIENCE_S)
    assert not capture.is_alive(), "it did not wait for the next try"


def test_stop_wakes_callers_that_wait_for_a_frame(rig):
    it = rig(FakeSource([HANG]))
    it.camera.start()
    failures = []

    def wait():
        try:
            while True:  # a last placeholder, which reports the stop, may come first
                it.camera.get_frame()
        except SourceError as error:
            failures.append(str(error))

    viewer = threading.Thread(target=wait)
    viewer.start()
    wait_for(lambda: it.camera._started)
    it.camera.stop()
    viewer.join(PATIENCE_S)
    assert failures == ["the camera is stopped"]


def test_a_camera_stopped_before_its_start_cannot_be_started(rig):
    it = rig(FakeSource([FRAME]))
    assert it.camera.status().reason == "not started yet"
    it.camera.stop()
    it.camera.stop()
    with pytest.raises(SourceError, match="stopped"):
        it.camera.start()
    assert it.opener.specs == []


# --- saving


def test_the_annotated_video_is_saved_and_finished_when_the_source_ends(rig, tmp_path):
    source = FakeSource([FRAME, FRAME, FRAME, SourceEndedError("over")], stepped=True)
    it = rig(
        source,
        save=tmp_path / "out.mp4",
        draw=lambda frame, analysis: np.full((24, 32, 3), 50 * (frame.index + 1), np.uint8),
    )
    it.camera.start()
    for count in range(1, 4):
        source.step()
        wait_for(lambda count=count: it.camera._writer.written == count)
    source.step()
    it.until("ended")
    wait_for(lambda: it.camera._writer.path is None)
    assert read_back(tmp_path / "out.mp4")[0] == pytest.approx([50, 100, 150], abs=4)


def test_the_last_frame_is_saved_to_the_same_file_even_if_it_comes_just_before_the_end(rig, tmp_path):
    source = FakeSource([FRAME, FRAME, SourceEndedError("over")], stepped=True)
    it = rig(source, save=tmp_path / "out.mp4")
    status = it.camera.status

    def status_after_the_end():
        if threading.current_thread().name == "inference" and len(it.pipeline.seen) == 1:
            source.step()
            source.step()
            wait_for(lambda: it.camera._switcher.status().state == "ended")
        return status()

    it.camera.status = status_after_the_end
    it.camera.start()
    source.step()
    wait_for(lambda: it.camera._writer.written == 2 and it.camera._writer.path is None)
    assert len(read_back(tmp_path / "out.mp4")[0]) == 2


def test_after_the_end_another_source_is_saved_to_its_own_file(rig, tmp_path):
    over = SourceEndedError("over")
    sources = FakeSource([FRAME, over]), FakeSource([(64, 48), over])
    it = rig(*sources, spec="a.mp4", save=tmp_path / "out.mp4", loop=False)
    it.camera.start()
    it.until("ended")
    wait_for(lambda: it.camera._writer.written == 1 and it.camera._writer.path is None)
    it.camera.switch("b.mp4")
    wait_for(lambda: it.camera._writer.written == 2)
    it.camera.stop()
    assert [read_back(tmp_path / name)[2] for name in ("out.mp4", "out-2.mp4")] == [(32, 24), (64, 48)]


def test_without_save_nothing_is_saved(rig):
    it = rig(FakeSource([FRAME]))
    it.camera.start()
    assert it.camera.saving is None


def test_placeholders_are_not_saved_and_stop_finishes_the_file(rig, tmp_path):
    it = rig(FakeSource([FRAME, DIED]), save=tmp_path / "out.mp4")
    it.camera.start()
    wait_for(lambda: it.camera.saving == Saving("out.mp4"))
    it.snapshot(lambda found: found.frame is None)
    it.camera.stop()
    assert it.camera.saving == Saving()
    assert len(read_back(tmp_path / "out.mp4")[0]) == 1


@pytest.mark.parametrize("name", ["out.avi", "none/out.mp4"])
def test_a_video_that_cannot_be_saved_is_an_error_before_the_device_is_opened(rig, tmp_path, name):
    it = rig(FakeSource([FRAME]), save=tmp_path / name)
    with pytest.raises(SettingsError, match=r"expected an \.mp4 file"):
        it.camera.start()
    assert it.opener.specs == []


def test_the_source_is_never_overwritten_by_its_own_recording(rig, tmp_path):
    clip = write_clip(tmp_path / "clip.avi", [1, 2]).rename(tmp_path / "clip.mp4")
    before = clip.read_bytes()
    it = rig(FakeSource([FRAME]), spec=str(clip), save=clip)
    it.camera.start()
    it.until_analyzed(1)
    it.camera.stop()
    assert clip.read_bytes() == before
    assert len(read_back(tmp_path / "clip-2.mp4")[0]) == 1


# --- with real sources, real drawing and the real clock


def test_a_real_clip_is_drawn_and_published(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", [200] * 10, size=(320, 240))
    with VideoCamera(str(clip), FakePipeline()) as camera:
        pictures = [decode_image(camera.get_frame()) for _ in range(3)]
        assert camera.status().state == "file"
    assert all(picture.shape == (240, 320, 3) for picture in pictures)
    assert pictures[0].min() < 100  # something is drawn on the flat gray


def test_a_real_network_camera_that_closes_is_reopened():
    with network_camera() as url:
        camera = VideoCamera(f"{url}/video", FakePipeline(), timeouts=Timeouts(backoff_s=(0.01, 0.02), tick_s=0.01))
        with camera:
            first = wait_for(lambda: (found := camera.snapshots.peek()[1]) and found.frame and found)
            wait_for(lambda: camera._switcher._capture._opened >= 3)
            wait_for(lambda: camera.snapshots.peek()[1] is not first)
        assert camera.status().state == "ended"


def test_the_drawn_placeholder_can_be_published(rig):
    from mien.images.draw import placeholder

    it = rig(FakeSource([(640, 360), DIED]), placeholder=placeholder)
    it.camera.start()
    picture = decode_image(it.snapshot(lambda found: found.frame is None).jpeg)
    assert picture.std() > 0


# --- privacy mode and the recording


class FakePrivacy:
    """Stands in for privacy mode: pixelated frames are white."""

    def __init__(self):
        self.on = False
        self.error = None

    def prepare(self, frame, analysis):
        if self.error is not None:
            raise self.error
        return replace(frame, pixels_bgr=np.full_like(frame.pixels_bgr, 255)) if self.on else frame


def brightness(jpeg):
    return decode_image(jpeg).mean()


def test_showing_again_replaces_a_picture_that_may_no_longer_be_seen(rig):
    privacy, recorded = FakePrivacy(), []
    it = rig(FakeSource([FRAME]), prepare=privacy.prepare, record=lambda frame, _: recorded.append(frame.index))
    it.camera.start()
    it.until_analyzed(1)
    clear = it.snapshot(lambda found: found.frame is not None)
    assert max(brightness(clear.jpeg), brightness(clear.plain_jpeg)) < 10
    privacy.on = True
    it.camera.show_again()
    _, pixelated = it.camera.snapshots.peek()
    assert pixelated is not clear
    assert min(brightness(pixelated.jpeg), brightness(pixelated.plain_jpeg), pixelated.frame.pixels_bgr.mean()) > 250
    privacy.on = False
    it.camera.show_again()
    assert brightness(it.camera.snapshots.peek()[1].jpeg) < 10
    assert recorded == [0], "the frame is recorded once, however often it is shown"


def test_a_picture_that_cannot_be_pixelated_is_removed(rig):
    privacy = FakePrivacy()
    it = rig(FakeSource([FRAME]), prepare=privacy.prepare)
    it.camera.start()
    it.until_analyzed(1)
    it.snapshot(lambda found: found.frame is not None)
    privacy.error = RuntimeError("boom")
    with pytest.raises(RuntimeError):
        it.camera.show_again()
    left = it.camera.snapshots.peek()[1]
    assert left.frame is None
    assert brightness(left.jpeg) > 250, "the placeholder"


def test_showing_again_before_the_first_picture_does_nothing(rig):
    it = rig(FakeSource([]))
    it.camera.show_again()
    assert it.camera.snapshots.peek() == (0, None)


# --- options


def test_options_can_be_given_by_name_or_as_one_object():
    one = VideoCamera("demo", FakePipeline(), loop=False, jpeg_quality=90)
    other = VideoCamera("demo", FakePipeline(), options=CameraOptions(loop=False, fps=15), jpeg_quality=90)
    assert one._options == CameraOptions(loop=False, jpeg_quality=90)
    assert other._options == CameraOptions(loop=False, fps=15, jpeg_quality=90)
    with pytest.raises(TypeError, match="jpeg_qualty"):
        VideoCamera("demo", FakePipeline(), jpeg_qualty=90)


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        (CameraOptions, "size", (0, 480), "(width, height) in pixels"),
        (CameraOptions, "size", (640,), "(width, height) in pixels"),
        (CameraOptions, "fps", 0, "a number above 0"),
        (CameraOptions, "fps", float("nan"), "a number above 0"),
        (CameraOptions, "jpeg_quality", 0, "1 to 100"),
        (CameraOptions, "jpeg_quality", 101, "1 to 100"),
        (CameraOptions, "idle_after_s", -1, "seconds or None"),
        (Timeouts, "hang_after_s", 0, "seconds above 0"),
        (Timeouts, "open_within_s", -1, "seconds above 0"),
        (Timeouts, "tick_s", 0, "seconds above 0"),
        (Timeouts, "backoff_s", (2, 1), "(first, longest) in seconds"),
        (Timeouts, "backoff_s", (-1, 1), "(first, longest) in seconds"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_was_expected(kind, field, value, expected):
    with pytest.raises(ValueError, match=re.escape(f"{field}: expected {expected}, found {value!r}")):
        kind(**{field: value})


@pytest.mark.parametrize(
    ("options", "released"),
    [
        ({"idle_after_s": 10}, True),
        ({}, False),
        ({"idle_after_s": 10, "loop": False}, False),
        ({"idle_after_s": 10, "save": "out.mp4"}, False),
    ],
)
def test_a_video_that_is_saved_or_played_once_continues_without_viewers(options, released):
    assert CameraOptions(**options).releases_when_idle == released


def test_cameras_do_not_share_a_clock():
    assert Services().clock is not Services().clock
