"""Switching sources and idling: what viewers see meanwhile, and when the device is open."""

import threading

import pytest

from mien.errors import SourceEndedError, SourceError, SourceMissingError
from tests.camera_rig import DIED, FRAME
from tests.fakes import HANG, FakeSource, write_clip
from tests.patience import PATIENCE_S, wait_for

BUSY = SourceError("webcam 1 is busy")


OTHER = (48, 16)
PACE = threading.Event()


class Flowing(FakeSource):
    """Returns frames of one size without end."""

    def __init__(self, size=FRAME, **names):
        super().__init__([], **names)
        self.size = size

    def read(self):
        PACE.wait(0.005)
        self.script = [self.size]
        return super().read()


def watched(it):
    """Start, and wait until a frame of the first source is shown."""
    it.camera.start()
    return it.snapshot(lambda found: found.frame)


# --- switching


def test_another_source_takes_over_as_another_stream(rig):
    first, second = Flowing(), Flowing(OTHER, name="clip.mp4", spec="clip.mp4")
    it = rig(first, second, spec="demo")
    watched(it)
    status = it.camera.switch("clip.mp4")
    assert (status.name, status.state, status.reason) == ("clip.mp4", "live", None)
    shown = it.snapshot(lambda found: found.frame.width == 48)
    assert shown.frame.stream == 2
    assert first.closed.wait(PATIENCE_S)
    assert not second.closed.is_set()
    assert it.opener.specs == ["demo", "clip.mp4"]
    assert len({stream for stream, _, _ in it.pipeline.seen}) == 2
    assert it.placeholders == []  # no viewer saw anything but pictures
    assert not it.camera.snapshots.closed


def test_the_old_source_is_released_after_the_new_one_is_open(rig):
    first, second = Flowing(), Flowing(OTHER)
    closed_before = []

    def opening(spec, **_):
        closed_before.append(first.closed.is_set())
        return first if spec == "demo" else second

    it = rig(first, second, spec="demo", open=opening)
    watched(it)
    it.camera.switch("clip.mp4")
    assert closed_before == [False, False]
    assert first.closed.wait(PATIENCE_S)


def test_a_source_that_cannot_be_opened_changes_nothing(rig):
    source = FakeSource([FRAME] * 9, stepped=True)
    it = rig(source, SourceMissingError("no such file"), spec="demo")
    it.camera.start()
    source.step()
    it.until_analyzed(1)
    with pytest.raises(SourceMissingError, match="no such file"):
        it.camera.switch("clip.mp4")
    source.step()
    assert it.snapshot(lambda found: found.frame.index == 1).frame.stream == 1
    assert it.camera.status().state == "live"
    assert not source.closed.is_set()
    assert it.placeholders == []


@pytest.mark.parametrize(("present", "asked"), [("0", "0"), ("0", "1"), ("0", "auto"), ("demo", "demo")])
def test_a_webcam_is_released_before_it_or_another_is_opened(rig, present, asked):
    first, second = Flowing(spec=present), Flowing(OTHER)
    closed_before = []

    def opening(spec, **_):
        closed_before.append(first.closed.is_set())
        return first if len(closed_before) == 1 else second

    it = rig(first, second, spec=present, open=opening)
    watched(it)
    it.camera.switch(asked)
    assert closed_before == [False, True]
    it.snapshot(lambda found: found.frame and found.frame.width == 48)


def test_a_webcam_released_in_vain_is_reopened(rig):
    first, again = (Flowing(spec="0", name="Webcam 0") for _ in range(2))
    it = rig(first, BUSY, again, spec="0")
    watched(it)
    with pytest.raises(SourceError, match="busy"):
        it.camera.switch("1")
    it.snapshot(lambda found: found.frame and found.frame.stream == 2)
    assert (it.camera.status().name, it.camera.status().state) == ("Webcam 0", "live")
    assert it.opener.specs == ["0", "1", "0"]


def test_a_webcam_that_cannot_be_reopened_immediately_is_retried(rig):
    it = rig(Flowing(spec="0"), BUSY, DIED, Flowing(spec="0"), spec="0")
    watched(it)
    with pytest.raises(SourceError, match="busy"):
        it.camera.switch("1")
    it.until_reason("it died")
    it.clock.advance(0.5)
    it.until("live")
    assert it.opener.specs == ["0", "1", "0", "0"]


def test_an_unresponsive_url_is_refused_instead_of_retried_forever(rig):
    it = rig(Flowing(), DIED, spec="demo")
    watched(it)
    with pytest.raises(SourceError, match="it died"):
        it.camera.switch("rtsp://me:secret@camera/live")
    assert it.camera.status().name == "Webcam 0"


@pytest.mark.parametrize("spec", ["ftp://host/a", "http://", "://"])
def test_an_invalid_url_changes_nothing(rig, spec):
    it = rig(FakeSource([FRAME]), spec="0")
    watched(it)
    with pytest.raises(SourceMissingError):
        it.camera.switch(spec)
    assert it.opener.specs == ["0"]
    assert it.camera.status().state == "live"


def test_late_frames_of_a_source_that_hung_are_ignored(rig):
    first = FakeSource([FRAME, HANG], spec="demo")
    second = FakeSource([OTHER] * 9, spec="clip.mp4", stepped=True)
    it = rig(first, second, spec="demo")
    watched(it)
    assert first.hanging.wait(PATIENCE_S)
    it.camera.switch("clip.mp4")
    first.release.set()
    assert first.closed.wait(PATIENCE_S)
    for index in range(3):
        second.step()
        it.snapshot(lambda found, index=index: found.frame.index == index and found.frame.width == 48)
    assert [size for _, size, _ in it.pipeline.seen] == [FRAME] + [OTHER] * 3


def test_after_the_end_of_a_file_another_can_be_chosen(rig):
    it = rig(FakeSource([FRAME, SourceEndedError("over")]), FakeSource([OTHER]), spec="a.mp4")
    it.camera.start()
    it.until("ended")
    assert it.camera.switch("b.mp4").state == "live"
    it.snapshot(lambda found: found.frame.width == 48)


def test_concurrent_switches_happen_one_after_the_other(rig):
    sources = [Flowing() for _ in range(6)]
    it = rig(*sources, spec="demo")
    watched(it)
    threads = [threading.Thread(target=it.camera.switch, args=(f"{name}.mp4",)) for name in "abcde"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(it.opener.specs) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "demo", "e.mp4"]
    wait_for(lambda: [source.closed.is_set() for source in sources] == [True] * 5 + [False])
    assert it.until("live")


def test_the_file_being_written_cannot_be_played_but_the_previous_one_can(rig, tmp_path):
    (tmp_path / "out.mp4").touch()
    it = rig(FakeSource([FRAME]), Flowing(), save=tmp_path / "out.mp4", spec="demo")
    watched(it)
    wait_for(lambda: it.camera._writer.path)
    with pytest.raises(SourceError, match=r"out-2\.mp4 is being written"):
        it.camera.switch(str(tmp_path / "." / "out-2.mp4"))
    assert it.opener.specs == ["demo"]
    assert it.camera.switch(str(tmp_path / "out.mp4")).state == "live"


def test_stopping_during_a_switch_closes_both_sources(rig):
    first, second = Flowing(), Flowing()
    opening, go_on = threading.Event(), threading.Event()

    def open_slowly(spec, **_):
        if spec == "demo":
            return first
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return second

    it = rig(first, second, spec="demo", open=open_slowly)
    watched(it)
    errors = []

    def switch():
        try:
            it.camera.switch("clip.mp4")
        except SourceError as error:
            errors.append(str(error))

    thread = threading.Thread(target=switch)
    thread.start()
    assert opening.wait(PATIENCE_S)
    it.camera.stop()
    go_on.set()
    thread.join(PATIENCE_S)
    assert errors == ["the camera is stopped"]
    assert first.closed.wait(PATIENCE_S)
    assert second.closed.wait(PATIENCE_S)
    with pytest.raises(SourceError, match="stopped"):
        it.camera.switch("other.mp4")


@pytest.mark.parametrize("present", ["demo", "1"])
def test_a_webcam_that_opens_too_late_is_closed_and_the_current_source_continues(rig, present):
    first, again, late = Flowing(spec=present), Flowing(spec=present), FakeSource([OTHER])
    release, wanted = threading.Event(), []

    def opening(spec, **options):
        if spec == "0":
            wanted.append(options["wanted"])
            it.clock.advance(16)
            assert release.wait(PATIENCE_S)
            return late
        return again if first.count else first

    it = rig(first, again, late, spec=present, open=opening, open_within_s=15, hang_after_s=1e9)
    watched(it)
    with pytest.raises(SourceError, match="did not open"):
        it.camera.switch("0")
    assert not wanted[0]()
    shown = it.camera.snapshots.peek()[0]
    release.set()
    assert late.closed.wait(PATIENCE_S)
    assert late.count == 0
    wait_for(lambda: it.camera.snapshots.peek()[0] > shown + 2)
    assert it.camera.in_use == present
    assert it.until("live")


def test_real_files_are_switched(tmp_path):
    from camera import VideoCamera
    from tests.fakes import FakePipeline

    one, two = (write_clip(tmp_path / f"{name}.avi", [level] * 10) for name, level in (("one", 40), ("two", 200)))
    with VideoCamera(str(one), FakePipeline()) as camera:
        camera.get_frame()
        assert camera.switch(str(two)).name == "two.avi"
        wait_for(lambda: (frame := camera.snapshots.peek()[1].frame) and frame.pixels_bgr.mean() > 150)
        with pytest.raises(SourceMissingError):
            camera.switch(str(tmp_path / "three.avi"))
        assert camera.status().name == "two.avi"


# --- idling


def resting(rig, *sources, **options):
    it = rig(*sources, **({"idle_after_s": 10, "hang_after_s": 1e9} | options))
    watched(it)
    return it


def test_without_viewers_the_source_goes_idle_and_resumes_for_the_next_viewer(rig):
    first, second = (Flowing(spec="2", name="Webcam 2") for _ in range(2))
    it = resting(rig, first, second, spec="auto")
    it.clock.advance(9.9)
    it.camera._switcher.watch()
    assert it.camera.status().state == "live"
    it.clock.advance(0.2)
    status = it.until("resting")
    assert (status.name, status.reason, status.retry_in_s) == ("Webcam 2", "no viewers", None)
    assert first.closed.wait(PATIENCE_S)
    assert it.camera.in_use is None
    it.snapshot(lambda found: found.frame is None)
    assert it.placeholders == [["Webcam 2 is idle", "it starts when somebody watches"]]
    it.clock.advance(3600)
    it.camera._switcher.watch()
    assert it.opener.specs == ["auto"]
    it.camera.keep_awake()
    it.until("live")
    it.snapshot(lambda found: found.frame and found.frame.stream == 2)
    assert it.opener.specs == ["auto", "2"]  # the source that was found, not another
    assert len(it.placeholders) == 1
    assert len({stream for stream, _, _ in it.pipeline.seen}) == 2


def test_the_source_found_by_auto_keeps_its_name_when_it_resumes(rig):
    found, again = (Flowing(spec="demo", name=name) for name in ("Demo (no webcam found)", "Demo"))
    it = resting(rig, found, again, spec="auto")
    it.clock.advance(10.1)
    assert it.until("resting").name == "Demo (no webcam found)"
    it.camera.keep_awake()
    it.snapshot(lambda shown: shown.frame and shown.frame.stream == 2)
    assert it.until("live").name == "Demo (no webcam found)"  # with another name the page would assume another source
    assert it.opener.specs == ["auto", "demo"]


def test_a_frame_from_before_idling_is_not_shown_while_idle(rig):
    it = rig(Flowing(), idle_after_s=10, hang_after_s=1e9)
    entered, go_on = threading.Semaphore(0), threading.Semaphore(0)
    analyze = it.pipeline.analyze

    def slow(frame):
        entered.release()
        assert go_on.acquire(timeout=PATIENCE_S)
        return analyze(frame)

    it.pipeline.analyze = slow
    it.camera.start()
    assert entered.acquire(timeout=PATIENCE_S)
    seen = it.sources[0].count
    wait_for(lambda: it.sources[0].count > seen + 3)  # there is a newer frame when this one is done
    it.clock.advance(11)
    go_on.release()
    it.until("resting")
    it.snapshot(lambda found: found.frame is None)
    assert not entered.acquire(timeout=0.1)
    go_on.release(9)
    assert len(it.pipeline.seen) == 1


def test_the_source_can_go_idle_repeatedly(rig):
    sources = [Flowing() for _ in range(4)]
    it = resting(rig, *sources)
    for source in sources[:3]:
        it.clock.advance(11)
        it.until("resting")
        assert source.closed.wait(PATIENCE_S)
        it.camera.get_frame()
        it.until("live")
    assert len(it.opener.specs) == 4


@pytest.mark.parametrize("keep", ["get_frame", "keep_awake"])
def test_requests_in_time_keep_the_source_awake(rig, keep):
    it = resting(rig, Flowing())
    for _ in range(5):
        getattr(it.camera, keep)()
        it.clock.advance(4)
        getattr(it.camera, keep)()
        it.clock.advance(4)
        it.camera._switcher.watch()
        assert it.camera.status().state == "live"
    assert it.opener.specs == ["0"]


def test_a_recording_keeps_the_source_awake_and_resumes_it(rig):
    needed = [True]
    it = resting(rig, Flowing(), Flowing(), needed=lambda: needed[0])
    it.clock.advance(60)
    it.camera._switcher.watch()
    assert it.camera.status().state == "live"
    needed[0] = False
    it.until("resting")
    needed[0] = True
    it.until("live")


@pytest.mark.parametrize("options", [{"idle_after_s": None}, {"loop": False}, {"save": "out.mp4"}])
def test_some_sources_never_go_idle(rig, tmp_path, options):
    if "save" in options:
        options = {"save": tmp_path / options["save"]}
    it = resting(rig, Flowing(), **options)
    it.clock.advance(3600)
    it.camera._switcher.watch()
    assert it.camera.status().state == "live"
    assert not it.sources[0].closed.is_set()


def test_an_ended_source_does_not_go_idle(rig):
    it = resting(rig, FakeSource([FRAME, SourceEndedError("over")]))
    it.until("ended")
    it.clock.advance(60)
    it.camera._switcher.watch()
    assert it.camera.status().state == "ended"


def test_a_failed_source_is_not_retried_without_viewers(rig):
    it = rig(FakeSource([FRAME, DIED]), DIED, idle_after_s=10, backoff_s=(3600, 3600))
    it.camera.start()
    it.until_reason("it died")
    it.clock.advance(11)
    it.until("resting")
    wait_for(lambda: "Webcam 0 is idle" in it.placeholders[-1], "the end of the tries, which comes after the state")
    it.clock.advance(3600)
    it.camera._switcher.watch()
    assert it.opener.specs == ["0"]
    it.camera.keep_awake()
    it.until_reason("it died")
    assert it.opener.specs == ["0", "0"]


def test_another_source_can_be_chosen_while_idle(rig):
    it = resting(rig, Flowing(), BUSY, Flowing(OTHER, name="Clip"))
    it.clock.advance(11)
    it.until("resting")
    with pytest.raises(SourceError, match="busy"):
        it.camera.switch("clip.mp4")
    assert it.camera.status().state == "resting"
    assert it.camera.switch("clip.mp4").name == "Clip"
    it.snapshot(lambda found: found.frame and found.frame.width == 48)
    assert it.opener.specs == ["0", "clip.mp4", "clip.mp4"]


def test_the_camera_can_be_stopped_while_idle(rig):
    it = resting(rig, Flowing())
    it.clock.advance(11)
    it.until("resting")
    it.camera.stop()
    it.camera.keep_awake()
    assert (it.camera.status().state, it.camera.status().reason) == ("ended", "stopped")
