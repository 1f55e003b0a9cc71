from dataclasses import fields
from pathlib import Path

import pytest

from mien.errors import SettingsError
from mien.settings import ENVIRONMENT_PREFIX, Settings, option_name, read_settings

ROOT = Path(__file__).parent.parent


def test_defaults_serve_this_computer_alone():
    settings = read_settings([], {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.source) == ("127.0.0.1", 5000, "auto")


def test_command_line_beats_environment_beats_default():
    environ = {"MIEN_PORT": "6000", "MIEN_SOURCE": "demo", "HOME": "/x"}
    settings = read_settings(["--port", "7000"], environ)
    assert (settings.port, settings.source, settings.fps) == (7000, "demo", 30)


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
        (["--token", "sixteen-letters."], "token", "sixteen-letters."),
        (["--unsure", "0.35"], "unsure", 0.35),
        (["--unsure", "0"], "unsure", 0.0),
        (["--names", "Camera.local, mine.example"], "names", ("camera.local", "mine.example")),
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
        (["--detector", "magic"], "--detector: expected haar or dlib or mtcnn or yunet or auto, found 'magic'"),
        (["--min-face", "0"], "--min-face: expected a whole number 16 to 2000, found '0'"),
        (["--min-face", "9999"], "--min-face"),
        (["--detector-model", " "], "--detector-model: expected some text"),
        (["--labels", "a,b"], "--labels: expected seven"),
        (["--labels", "a,a,b,c,d,e,f"], "--labels: expected seven"),
        (["--input-scale", "2"], "--input-scale: expected 1 or 255, found '2'"),
        (["--names", "camera.local:5000"], "--names: expected host names"),
        (["--names", "a,,b"], "--names: expected host names"),
        (["--token", "short"], "--token: expected 16"),
        (["--unsure", "1.5"], "--unsure: expected a number 0 to 1, found '1.5'"),
        (["--unsure", "-0.1"], "--unsure: expected a number 0 to 1"),
        (["--unsure", "nan"], "--unsure: expected a number 0 to 1"),
        (["--unsure", "half"], "--unsure: expected a number 0 to 1"),
        (["--source", " "], "--source: expected some text"),
    ],
)
def test_wrong_values_name_option_expectation_and_finding(words, message):
    if words[1].startswith("-"):
        words = [f"{words[0]}={words[1]}"]
    with pytest.raises(SettingsError, match=message):
        read_settings(words, {})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MIEN_PROT": "1"}, "unknown variable MIEN_PROT"),
        ({"MIEN_LOOP": "maybe"}, "^MIEN_LOOP: expected 0 or 1, found 'maybe'$"),
        ({"MIEN_PRIVACY": "2"}, "^MIEN_PRIVACY: expected 0 or 1"),
        ({"MIEN_PORT": "x"}, "^MIEN_PORT: --port: expected a whole number 1 to 65535, found 'x'$"),
    ],
)
def test_wrong_variables_are_errors(environ, message):
    with pytest.raises(SettingsError, match=message):
        read_settings([], environ)


def test_an_empty_variable_is_as_good_as_none():
    assert read_settings([], {"MIEN_SAVE": ""}).save is None


def test_every_setting_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [field.name for field in fields(Settings) if option_name(field.name) not in readme]
    assert not missing
    assert ENVIRONMENT_PREFIX in readme


def test_the_token_is_never_shown():
    assert "sixteen-letters." not in repr(read_settings(["--token", "sixteen-letters."], {}))
    with pytest.raises(SettingsError) as error:
        read_settings(["--token", "secret with spaces"], {})
    assert "secret" not in str(error.value)
