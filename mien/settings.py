"""One frozen Settings: command line, then MIEN_* variables, then defaults, all validated here and nowhere else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mien.detectors import DETECTORS
from mien.errors import SettingsError

ENVIRONMENT_PREFIX = "MIEN_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the program runs; each field is an option of the command line and a MIEN_* variable."""

    source: str = "auto"
    host: str = "127.0.0.1"
    port: int = 5000
    detector: str = "haar"
    detector_model: Path | None = None
    min_face: int | None = None
    model: Path = Path(__file__).parent.parent / "model.json"
    weights: Path = Path(__file__).parent.parent / "model_weights.h5"
    labels: tuple[str, ...] | None = None
    input_scale: int = 1
    size: tuple[int, int] = (1280, 720)
    fps: int = 30
    loop: bool = True
    rest: bool = True
    media: Path | None = None
    save: Path | None = None
    sessions: Path = Path("sessions")
    record: bool = False
    privacy: bool = False
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    unsure: float = 0.5


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings these words and variables ask for.

    Raises SettingsError for a value that can not be used or an unknown MIEN_* variable; an unknown
    option, or --help, ends the program as argparse does.
    """
    parser = _parser()
    typed = vars(parser.parse_args(argv))
    values = {**_from_environment(environ), **typed}
    return Settings(**{name: _checked(name, value, typed=name in typed) for name, value in values.items()})


def _checked(name: str, value: Any, *, typed: bool) -> Any:
    """The value as the program takes it. What is wrong with one nobody typed is said of its variable too."""
    try:
        return _CHECKS[name](value, name)
    except SettingsError as error:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if typed or variable in str(error):
            raise
        raise SettingsError(f"{variable}: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python main.py",
        description="Live facial expression recognition in the browser.",
        epilog="Every option is also read from a variable: --source from MIEN_SOURCE, --no-loop from MIEN_LOOP=0.",
        argument_default=argparse.SUPPRESS,
    )
    option = parser.add_argument
    option("--source", metavar="S", help="auto (a webcam, else the demo), demo, 0, 1, ... (webcam), a file, or a URL")
    option("--host", help="address to listen on (127.0.0.1: this computer alone)")
    option("--port", help="port to listen on (5000)")
    option("--detector", help=f"what finds faces: {', '.join(DETECTORS)} (haar)")
    option("--detector-model", metavar="FILE", help="the network of --detector yunet; auto takes it too")
    option("--min-face", metavar="PX", help="smallest face to look for, in pixels of the picture (a share of its size)")
    option("--model", metavar="FILE", help="the network (model.json)")
    option("--weights", metavar="FILE", help="its weights (model_weights.h5)")
    option("--labels", metavar="A,B,...", help="order of the network's seven outputs, where it is not Mien's")
    option("--input-scale", metavar="1|255", help="255 for a network trained on pixels 0..1 (1: on 0..255)")
    option("--size", metavar="WxH", help="picture size asked of a webcam (1280x720)")
    option("--fps", help="pictures a second asked of a webcam (30)")
    option("--no-loop", dest="loop", action="store_const", const=False, help="play a video file once")
    option("--rest", dest="rest", action="store_const", const=True, help="let go of the camera while nobody watches")
    option("--no-rest", dest="rest", action="store_const", const=False, help="keep the camera open, watched or not")
    option("--media", metavar="DIR", help="folder whose videos and images may be chosen on the page")
    option("--save", metavar="OUT.mp4", help="also write the annotated video to a file")
    option("--sessions", metavar="DIR", help="folder for the CSV files of recorded sessions (sessions)")
    option("--record", dest="record", action="store_const", const=True, help="record a session from the first frame on")
    option(
        "--privacy", dest="privacy", action="store_const", const=True, help="start with every face covered, see README"
    )
    option("--token", help="what every request must bring along (made and shown where --host is open to the network)")
    option("--unsure", metavar="P", help="a label less probable than this counts as unsure (0.5; 0: none does)")
    option("--names", metavar="A,B,...", help="further names this computer is reached by, e.g. camera.local")
    return parser


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    known = {ENVIRONMENT_PREFIX + field.name.upper(): field.name for field in fields(Settings)}
    given = {name: value for name, value in environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingsError(f"unknown variable {', '.join(unknown)}; known are {', '.join(known)}")
    return {known[name]: value for name, value in given.items() if value}


def option_name(field: str) -> str:
    """How a setting is called on the command line."""
    return "--no-loop" if field == "loop" else "--" + field.replace("_", "-")


def _wrong(field: str, expected: str, found: Any) -> SettingsError:
    return SettingsError(f"{option_name(field)}: expected {expected}, found {str(found)!r}")


def _text(value: str, field: str) -> str:
    if not value.strip():
        raise _wrong(field, "some text", value)
    return value.strip()


def _integer(low: int, high: int) -> Any:
    def check(value: str, field: str) -> int:
        if not re.fullmatch(r"\d{1,6}", value.strip()) or not low <= int(value) <= high:
            raise _wrong(field, f"a whole number {low} to {high}", value)
        return int(value)

    return check


def _share(value: str, field: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise _wrong(field, "a number 0 to 1", value)
    return share


def _detector(value: str, field: str) -> str:
    if value not in DETECTORS:
        raise _wrong(field, " or ".join(DETECTORS), value)
    return value


def _input_scale(value: str, field: str) -> int:
    if value not in ("1", "255"):
        raise _wrong(field, "1 or 255", value)
    return int(value)


def _labels(value: str, field: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in value.split(","))
    if len(names) != 7 or len(set(names)) != 7 or not all(names):
        raise _wrong(field, "seven different names with commas between them", value)
    return names


def _token(value: str, field: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,200}", value):
        raise SettingsError("--token: expected 16 to 200 letters, digits or . _ ~ -")  # not said aloud what was found
    return value


def _names(value: str, field: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in value.split(","))
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name) for name in names):
        raise _wrong(field, "host names with commas between them, without port", value)
    return names


def _size(value: str, field: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", value.strip())
    if not match or not all(16 <= int(side) <= 7680 for side in match.groups()):
        raise _wrong(field, "WIDTHxHEIGHT in pixels such as 1280x720", value)
    return int(match[1]), int(match[2])


def _switch(value: str | bool, field: str) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("0", "1"):
        raise SettingsError(f"{ENVIRONMENT_PREFIX}{field.upper()}: expected 0 or 1, found {value!r}")
    return value == "1"


def _path(value: str, field: str) -> Path:
    return Path(_text(value, field)).expanduser()


_CHECKS: dict[str, Any] = {
    "source": _text,
    "host": _text,
    "port": _integer(1, 65535),
    "detector": _detector,
    "detector_model": _path,
    "min_face": _integer(16, 2000),
    "model": _path,
    "weights": _path,
    "labels": _labels,
    "input_scale": _input_scale,
    "size": _size,
    "fps": _integer(1, 240),
    "loop": _switch,
    "rest": _switch,
    "media": _path,
    "save": _path,
    "sessions": _path,
    "record": _switch,
    "privacy": _switch,
    "token": _token,
    "names": _names,
    "unsure": _share,
}
