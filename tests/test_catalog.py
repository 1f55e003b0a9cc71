"""Sources that may be chosen over HTTP while the program runs, and attempts to choose others."""

import os
import sys

import pytest

from mien.errors import SettingsError, SourceError, SourceForbiddenError, SourceMissingError
from mien.sources import webcam
from mien.sources.catalog import MediaFolder, SourceCatalog
from mien.sources.webcam import Webcams
from tests.fakes import FakeCapture, FakeClock, write_clip


class Found(Webcams):
    """Webcams with fixed indices."""

    def __init__(self, *indices):
        super().__init__()
        self.indices = indices

    def find(self, in_use=None):
        return {index: f"Webcam {index}" for index in self.indices}


@pytest.fixture
def media(tmp_path):
    """A folder with permitted files, and others that must not be reachable in or through it."""
    folder = tmp_path / "media"
    for name in ("a.mp4", "B.JPG", "sub/c d.webm", "sub/é.png", ".hidden.mp4", ".git/d.mp4", "notes.txt", "list.m3u8"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GIF89a")
    (folder / "folder.mp4").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"GIF89a")
    (tmp_path / "media2").mkdir()
    (tmp_path / "media2" / "near.mp4").write_bytes(b"GIF89a")
    (folder / "inner.mp4").symlink_to(folder / "a.mp4")
    (folder / "outer.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "relative.mp4").symlink_to("../secret.mp4")
    (folder / "away").symlink_to(tmp_path)
    (folder / "shown.mp4").symlink_to(folder / ".hidden.mp4")
    (folder / "text.mp4").symlink_to(folder / "notes.txt")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    return folder


# --- the folder


def test_videos_and_images_are_listed_by_their_names_relative_to_the_folder(media):
    assert MediaFolder(media).names() == ["B.JPG", "a.mp4", "inner.mp4", "sub/c d.webm", "sub/é.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_cannot_be_displayed_are_not_listed(media):
    for name in (b"\xff.mp4", b"new\nline.mp4", b"\x1b[2J.mp4"):
        (media / os.fsdecode(name)).write_bytes(b"GIF89a")
    assert len(MediaFolder(media).names()) == 5


@pytest.mark.parametrize("name", ["a.mp4", "B.JPG", "sub/c d.webm", "./a.mp4", "sub//c d.webm", "inner.mp4"])
def test_listed_files_are_found(media, name):
    path = MediaFolder(media).find(name)
    assert path.is_file()
    assert path.is_relative_to(media)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.mp4",
        "../media2/near.mp4",
        "sub/../../secret.mp4",
        "sub/../a.mp4",
        "..",
        "",
        ".",
        "/",
        "/etc/passwd",
        "/etc/passwd.mp4",
        "//etc/passwd.mp4",
        "..\\secret.mp4",
        "C:\\secret.mp4",
        "outer.mp4",
        "relative.mp4",
        "away/secret.mp4",
        ".hidden.mp4",
        ".git/d.mp4",
        "shown.mp4",
        "text.mp4",
        "notes.txt",
        "list.m3u8",
        "a.mp4/../../secret.mp4",
        "~/secret.mp4/..",
        "file:a.mp4/..",
        "a.mp4\0.txt",
    ],
)
def test_paths_outside_the_folder_and_hidden_files_are_refused(media, name):
    with pytest.raises(SourceForbiddenError):
        MediaFolder(media).find(name)


def test_an_absolute_path_inside_the_folder_is_refused(media):
    with pytest.raises(SourceForbiddenError):
        MediaFolder(media).find(str(media / "a.mp4"))


@pytest.mark.parametrize(
    "name",
    ["b.mp4", "A.MP4/x.mp4", "folder.mp4", "gone.mp4", "loop.mp4", "x" * 300 + ".mp4", "x/" * 900 + "a.mp4", "\0.mp4"],
)
def test_a_name_without_a_file_is_reported_as_missing(media, name):
    with pytest.raises(SourceMissingError):
        MediaFolder(media).find(name)


def test_whether_a_path_outside_exists_is_not_revealed(media):
    answers = set()
    for name in ("away/secret.mp4", "away/nothing.mp4"):
        with pytest.raises(SourceForbiddenError) as error:
            MediaFolder(media).find(name)
        answers.add(str(error.value).replace(name, "NAME"))
    assert len(answers) == 1


def test_the_folder_itself_may_be_a_symbolic_link(media, tmp_path):
    (tmp_path / "link").symlink_to(media)
    folder = MediaFolder(tmp_path / "link")
    assert folder.find("a.mp4") == (media / "a.mp4").resolve()
    assert "a.mp4" in folder.names()


def test_the_list_of_files_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.sources.catalog.MAX_FILES", 3)
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(b"GIF89a")
    assert MediaFolder(tmp_path).names() == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("name", ["nowhere", "a.mp4"])
def test_a_path_that_is_not_a_folder_is_refused_at_startup(media, name):
    with pytest.raises(SettingsError, match="--media: expected a folder"):
        SourceCatalog(media / name)


# --- catalog


@pytest.mark.parametrize(
    ("source", "spec"),
    [
        ("demo", "demo"),
        ("0", "0"),
        ("002", "2"),
        ("http://camera/stream", "http://camera/stream"),
        ("RTSP://me:secret@camera/live", "RTSP://me:secret@camera/live"),
        ("rtsps://camera:322/live", "rtsps://camera:322/live"),
    ],
)
def test_allowed_sources_are_accepted(source, spec):
    assert SourceCatalog(webcams=Found(0, 2)).spec_of(source) == spec


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file:/etc/passwd",
        "ftp://host/a.mp4",
        "gopher://host/_GET",
        "data://text/plain,x",
        "concat:/etc/passwd|/etc/hosts",
        "pipe://0",
        "tcp://127.0.0.1:22",
        "udp://@239.0.0.1:1234",
        "subfile,,start,0,end,9,,:/etc/passwd",
        " http://host/a",
        "://",
        "/dev/video0",
        "/etc/passwd",
        "clip.mp4",
        "auto",
        "",
        "-1",
        "1e1",
        "²",
        "٣",
        "1234",
    ],
)
def test_other_sources_are_refused(media, source):
    with pytest.raises(SourceForbiddenError):
        SourceCatalog(webcams=Found(0)).spec_of(source)
    with pytest.raises((SourceForbiddenError, SourceMissingError)):
        SourceCatalog(media, Found(0)).spec_of(source)


@pytest.mark.parametrize("source", ["http://", "rtsp:///path", "http://[::1", "http://me:s3cret@host:port/"])
def test_an_invalid_url_is_missing_and_not_quoted(source):
    with pytest.raises(SourceMissingError) as error:
        SourceCatalog().spec_of(source)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(("there", "text"), [((), "available: none"), ((0, 2), "available: 0, 2")])
def test_a_missing_webcam_is_refused_before_the_open_one_is_released(there, text):
    with pytest.raises(SourceMissingError, match=text):
        SourceCatalog(webcams=Found(*there)).spec_of("5")


def test_without_webcams_the_demo_is_listed():
    assert SourceCatalog(webcams=Found()).cameras("demo") == {"demo": "Demo"}


def test_the_webcam_in_use_is_listed_without_being_searched():
    catalog = SourceCatalog(webcams=Webcams(platform="none", open_capture=lambda *_: FakeCapture([], opened=False)))
    assert catalog.cameras("1") == {"demo": "Demo", "1": "Webcam 1"}
    assert catalog.spec_of("1", "/dev/video1") == "1"


@pytest.mark.parametrize(
    ("in_use", "choice"),
    [
        (None, None),
        ("demo", "demo"),
        ("auto", None),
        ("2", "2"),
        ("/dev/video02", "2"),
        ("rtsp://me:secret@camera/live", None),
        ("media/sub/c d.webm", "sub/c d.webm"),
        ("media/sub/../a.mp4", "a.mp4"),
        ("media/inner.mp4", "a.mp4"),
        ("link/a.mp4", "a.mp4"),
        ("media/.hidden.mp4", None),
        ("media/outer.mp4", None),
        ("media/gone.mp4", None),
        ("media", None),
        ("secret.mp4", None),
        ("media2/near.mp4", None),
        ("a\0.mp4", None),
    ],
)
def test_the_open_source_has_the_name_it_is_chosen_by(media, monkeypatch, in_use, choice):
    (media.parent / "link").symlink_to(media)
    monkeypatch.chdir(media.parent)
    assert SourceCatalog(media, Found(0, 2)).current(in_use) == choice


def test_without_a_folder_no_file_is_named(media):
    assert SourceCatalog(webcams=Found()).current(str(media / "a.mp4")) is None


def test_no_message_reveals_the_path_of_the_folder(media):
    catalog = SourceCatalog(media)
    spec = catalog.spec_of("a.mp4")
    assert spec == str(media / "a.mp4")
    with pytest.raises(SourceMissingError) as error:
        catalog.open(spec)  # it holds no video
    assert "a.mp4" in str(error.value)
    assert str(media.parent) not in str(error.value)
    for name in ("b.mp4", "../x.mp4", "notes.txt", "outer.mp4"):
        with pytest.raises(SourceError) as error:
            catalog.spec_of(name)
        assert str(media.parent) not in str(error.value)


def test_a_chosen_file_is_opened(media):
    write_clip(media / "real.avi", [1, 2])
    catalog = SourceCatalog(media)
    with catalog.open(catalog.spec_of("real.avi"), loop=False) as source:
        assert source.name == "real.avi"
        assert source.read().pixels_bgr.shape == (48, 64, 3)


# --- webcams


def captures(*working):
    """Stands in for cv2.VideoCapture; records which were opened and released."""
    opened = {}

    def open_capture(index, backend):
        opened[index] = FakeCapture([], opened=index in working)
        return opened[index]

    return opened, open_capture


def test_on_other_systems_webcams_are_opened_and_released_except_the_one_in_use(monkeypatch):
    monkeypatch.setattr("mien.sources.webcam.sys.platform", "darwin")
    opened, open_capture = captures(0, 1, 3)
    found = Webcams(platform="darwin", open_capture=open_capture).find(in_use=1)
    assert found == {0: "Webcam 0", 1: "Webcam 1", 3: "Webcam 3"}
    assert sorted(opened) == [0, 2, 3]
    assert all(capture.released for capture in opened.values())


def test_the_webcams_found_are_cached_for_ten_seconds(monkeypatch):
    monkeypatch.setattr("mien.sources.webcam.sys.platform", "darwin")
    clock = FakeClock()
    opened, open_capture = captures(0)
    found = Webcams(clock, platform="darwin", open_capture=open_capture)
    assert found.find() == {0: "Webcam 0"}
    opened.clear()
    clock.advance(9.9)
    assert found.find(2) == {0: "Webcam 0", 2: "Webcam 2"}
    assert opened == {}
    clock.advance(0.2)
    found.find()
    assert sorted(opened) == [0, 1, 2, 3]


def test_on_linux_webcams_are_named_without_opening_them(monkeypatch, tmp_path):
    monkeypatch.setattr(webcam, "webcam_indices", lambda: [0, 1, 2, 10])
    for index, name, number in ((0, "HD Webcam\n", "0"), (1, "HD Webcam", "1"), (10, "", "0\n")):
        device = tmp_path / f"video{index}"
        device.mkdir()
        (device / "name").write_text(name)
        (device / "index").write_text(number)
    opened, open_capture = captures(0, 1, 2)
    found = Webcams(platform="linux", sysfs=tmp_path, open_capture=open_capture).find()
    assert found == {0: "Webcam 0 (HD Webcam)", 2: "Webcam 2", 10: "Webcam 10"}
    assert opened == {}
