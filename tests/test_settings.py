import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import mien
from docs import options_table
from mien.detectors import DETECTORS
from mien.errors import SettingsError
from mien.options import Parser, number, one_of, option, options_of, path, text, whole_number
from mien.settings import DETECTOR, Settings, read_settings


def test_defaults_serve_only_this_computer():
    settings = read_settings([], {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.source) == ("127.0.0.1", None, "auto"), "None: 5000 or the next free"


def test_command_line_overrides_environment_overrides_default():
    environ = {"MIEN_PORT": "6000", "MIEN_SOURCE": "demo", "MIEN_LOOP": "0", "MIEN_RECORD": "1", "HOME": "/x"}
    settings = read_settings(["--port", "7000", "--no-record"], environ)
    assert (settings.port, settings.source, settings.fps) == (7000, "demo", 30)
    assert (settings.loop, settings.record) == (False, False)


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("MIEN_MIN_FACE", "40", "min_face", 40),
        ("MIEN_SIZE", "640x480", "size", (640, 480)),
        ("MIEN_REST", "1", "rest", True),
        ("MIEN_PRIVACY", "1", "privacy", True),
        ("MIEN_PRIVACY", "locked", "privacy", "locked"),
        ("MIEN_REST", "0", "rest", False),
        ("MIEN_UNSURE", " 0.3 ", "unsure", 0.3),
    ],
)
def test_variables_are_read(variable, value, field, expected):
    assert getattr(read_settings([], {variable: value}), field) == expected


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--size", "640x480"], "size", (640, 480)),
        (["--no-loop"], "loop", False),
        (["--no-rest"], "rest", False),
        (["--no-rest", "--rest"], "rest", True),
        (["--media", "clips"], "media", Path("clips")),
        (
            ["--labels", "Angry, disgust,fear,happy,sad,surprise,neutral"],
            "labels",
            ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
        ),
        (["--input-scale", "255"], "input_scale", 255),
        (["--detector", "auto"], "detector", "auto"),
        (["--detector-model", "yunet.onnx"], "detector_model", Path("yunet.onnx")),
        (["--min-face", "40"], "min_face", 40),
        (["--save", "out.mp4"], "save", Path("out.mp4")),
        (["--sessions", "records"], "sessions", Path("records")),
        (["--record"], "record", True),
        (["--privacy"], "privacy", True),
        (["--privacy", "--record"], "privacy", True),
        (["--no-privacy"], "privacy", False),
        (["--privacy=locked"], "privacy", "locked"),
        (["--privacy=locked", "--no-privacy"], "privacy", False),
        (["--token", "sixteen-letters."], "token", "sixteen-letters."),
        (["--unsure", "0.35"], "unsure", 0.35),
        (["--unsure", "0"], "unsure", 0.0),
        (["--names", "Camera.local, mine.example"], "names", ("camera.local", "mine.example")),
        (["--embed", "https://Class.example/"], "embed", ("https://class.example",)),
        (
            ["--embed", "http://localhost:3000,https://a.example"],
            "embed",
            ("http://localhost:3000", "https://a.example"),
        ),
    ],
)
def test_options_are_parsed(words, field, value):
    assert getattr(read_settings(words, {}), field) == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "0"], "--port: expected a whole number 1 to 65535, found '0'"),
        (["--port", "http"], "found 'http'"),
        (["--port", "99999"], "found '99999'"),
        (["--size", "640"], "--size: expected WIDTHxHEIGHT"),
        (["--size", "0x99999"], "--size"),
        (["--fps", "-1"], "--fps"),
        (["--fps", "0"], "--fps"),
        (["--detector", "magic"], "--detector: expected auto, haar, centerface, yunet, dlib or mtcnn, found 'magic'"),
        (["--min-face", "0"], "--min-face: expected a whole number 16 to 2000, found '0'"),
        (["--min-face", "9999"], "--min-face"),
        (["--detector-model", " "], "--detector-model: expected a path, found ' '"),
        (["--labels", "a,b"], "--labels: expected expressions .*, found 'a,b'"),
        (["--labels", "happy,happiness,sad"], "--labels: expected expressions separated by commas, each once"),
        (["--labels", "happy,sad,contempt"], "--labels: expected .* contempt=neutral or contempt=none"),
        (["--labels", "happy,sad,contempt=dull"], "--labels: expected expressions"),
        (["--pixels", "-1..2"], r"--pixels: expected 0\.\.255, 0\.\.1, -1\.\.1 or standardize, found '-1\.\.2'"),
        (["--input-scale", "2"], "--input-scale: expected 1 or 255, found '2'"),
        (["--names", "camera.local:5000"], "--names: expected host names"),
        (["--names", "a,,b"], "--names: expected host names"),
        (["--embed", "class.example"], "--embed: expected addresses such as"),
        (["--embed", "https://a.example/page"], "--embed: expected addresses such as"),
        (["--embed", "*"], "--embed: expected addresses such as"),
        (["--embed", "https://a.example; script-src *"], "--embed: expected addresses such as"),
        (["--token", "short"], "--token: expected 16"),
        (["--unsure", "1.5"], "--unsure: expected a number 0 to 1, found '1.5'"),
        (["--unsure", "-0.1"], "--unsure: expected a number 0 to 1"),
        (["--unsure", "nan"], "--unsure: expected a number 0 to 1"),
        (["--unsure", "half"], "--unsure: expected a number 0 to 1"),
        (["--source", " "], "--source: expected auto, demo, a webcam index, a file or an address, found ' '"),
        (["--host", "x" * 64], "--host: expected an address or host name of this computer"),
        (["--privacy", "lock"], "--privacy: expected 0, 1 or locked, found 'lock'"),
    ],
)
def test_invalid_values_are_reported_with_option_expected_and_found(words, message):
    if words[1].startswith("-"):
        words = [f"{words[0]}={words[1]}"]
    with pytest.raises(SettingsError, match=message):
        read_settings(words, {})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MIEN_PROT": "1"}, "^MIEN_PROT: unknown variable; did you mean MIEN_PORT[?]$"),
        ({"MIEN_COLOR": "1"}, "^MIEN_COLOR: unknown variable; --help lists all$"),
        ({"MIEN_LOOP": "maybe"}, "^MIEN_LOOP: expected 0 or 1, found 'maybe'$"),
        ({"MIEN_PRIVACY": "2"}, "^MIEN_PRIVACY: expected 0, 1 or locked, found '2'$"),
        ({"MIEN_PORT": "x"}, "^MIEN_PORT: expected a whole number 1 to 65535, found 'x'$"),
        ({"MIEN_TOKEN": "short"}, "^MIEN_TOKEN: expected 16 to 200 letters, digits or . _ ~ -$"),
    ],
)
def test_invalid_variables_are_errors(environ, message):
    with pytest.raises(SettingsError, match=message):
        read_settings([], environ)


def test_a_tilde_is_the_home_folder_in_variables_and_after_an_equals_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = read_settings(["--sessions=~/s"], {"MIEN_SOURCE": "~/clip.mp4", "MIEN_MEDIA": "~"})
    assert Path(settings.source) == tmp_path / "clip.mp4"
    assert (settings.media, settings.sessions) == (tmp_path, tmp_path / "s")
    assert read_settings([], {"MIEN_MEDIA": "~nobody-of-this-name/x"}).media == Path("~nobody-of-this-name/x")


def test_an_empty_variable_counts_as_unset():
    assert read_settings([], {"MIEN_SAVE": ""}).save is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prot", "1"], "^--prot: unknown option; did you mean --port[?]$"),
        (["--no-lop"], "^--no-lop: unknown option; did you mean --no-loop[?]$"),
        (["--min_face=40"], "^--min_face: unknown option; did you mean --min-face[?]$"),
        (["--zzz"], "^--zzz: unknown option; --help lists all$"),
        (["-x"], "^-x: unknown option; --help lists all$"),
        (["--loop", "clip.mp4"], "^expected an option, such as --source clip.mp4, found 'clip.mp4'$"),
        (["--port"], "^--port: expected a whole number 1 to 65535, found nothing$"),
        (["--port=--"], "^--port: expected a whole number 1 to 65535, found '--'$"),
        (["--port", "--record"], "^--port: expected a whole number 1 to 65535, found nothing$"),
        (["--record=yes"], "^--record/--no-record: expected no value, found 'yes'$"),
        (["--no-re"], "^ambiguous option: --no-re could match --no-rest, --no-record$"),
    ],
)
def test_unknown_and_incomplete_options_are_reported_with_a_remedy(words, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(words, {})


def test_options_can_be_abbreviated():
    assert read_settings(["--sour", "demo"], {}).source == "demo"


def test_the_documentation_has_the_tables_of_the_settings_and_of_the_recipe():
    for file, written in options_table.written_tables().items():
        page = file.read_text(encoding="utf-8")
        assert options_table.updated(page, written) == page, "python -m docs.options_table rewrites them"


def test_every_setting_is_documented():
    options = options_of(Settings)
    assert [each.name for each in options] == [field.name for field in fields(Settings)]
    for each in options:
        assert each.help.strip(), each.name
        assert not each.help.endswith("."), each.name
        assert f"\n| `{each.flag}`" in options_table.tables(options)


def test_the_detectors_are_those_that_exist():
    assert [DETECTOR.read(name, "--detector") for name in DETECTORS] == list(DETECTORS)
    assert DETECTOR.expected == one_of(*DETECTORS).expected


@pytest.mark.parametrize(("words", "start"), [(["--help"], "usage: python main.py"), (["--version"], "mien ")])
def test_help_and_version_print_and_end_with_status_0(words, start, capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings(words, {})
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert shown.startswith(start)
    assert "%%" not in shown
    if words == ["--version"]:
        assert shown == f"mien {mien.__version__}\n"


def test_help_lists_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit):
        read_settings(["--help"], {})
    shown = " ".join(capsys.readouterr().out.split())
    for each in options_of(Settings):
        assert each.flag in shown
        assert f"(default: {each.shown_default})" in shown


@dataclass(frozen=True)
class Sample:
    folder: Path = option(Path("runs"), path("DIR", "a folder"), "folder of runs", group="One")  # noqa: RUF009
    word: str = option("a", text("WORD"), "a word", group="One")
    share: float = option(0.25, number(0, 0.5), "a share", group="Two")
    count: int = option(3, whole_number(1, 9), "how many", group="Two")
    level: int = option(1, one_of(1, 255), "a level", group="Two")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], {}),
        (["--folder", "~"], {"folder": Path.home()}),
        (["--share", "0.5", "--level=255"], {"share": 0.5, "level": 255}),
        (["--count", "9", "--word", " b c "], {"count": 9, "word": "b c"}),
    ],
)
def test_any_dataclass_can_declare_options(words, values):
    parser = Parser(prog="sample")
    parser.add_options(Sample)
    assert parser.read(words, {}) == values


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks the system for this folder")
@pytest.mark.parametrize("given", ["~", "~/sessions"])
def test_a_path_from_home_is_refused_where_there_is_no_home(monkeypatch, given):
    import pwd

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    parser = Parser(prog="sample")
    parser.add_options(Sample)
    with pytest.raises(SettingsError, match=f"--folder: expected a folder, found '{given}'"):
        parser.read([f"--folder={given}"], {})


def test_declared_defaults_are_shown_as_typed():
    shown = [each.shown_default for each in options_of(Sample)]
    assert shown == ["runs", "a", "0.25", "3", "1"]
    assert [each.shown_default for each in options_of(Settings) if each.name in ("size", "loop")] == ["1280x720", "on"]


def test_the_token_is_never_shown():
    assert "sixteen-letters." not in repr(read_settings(["--token", "sixteen-letters."], {}))
    with pytest.raises(SettingsError) as error:
        read_settings(["--token", "secret with spaces"], {})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("command", "name"), [("main.py", "python main.py"), ("/opt/bin/mien", "mien"), ("C:/Scripts/mien.exe", "mien")]
)
def test_help_names_the_command_as_typed(monkeypatch, capsys, command, name):
    monkeypatch.setattr("sys.argv", [command])
    with pytest.raises(SystemExit):
        read_settings(["--help"], {})
    assert capsys.readouterr().out.startswith(f"usage: {name} [options]")
