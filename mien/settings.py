"""The settings of the program: options of the command line, then MIEN_* variables, then defaults.

Each is declared once, below. `python -m docs.options_table` writes the tables of docs/options.md from here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import mien
from mien import app
from mien.addresses import masked
from mien.options import (
    SWITCH,
    Kind,
    Parser,
    from_home,
    number,
    one_of,
    option,
    options_of,
    path,
    switch_or,
    text,
    whole_number,
)

_video = partial(option, group="Video source")
_faces = partial(option, group="Face detection")
_network = partial(option, group="Expression network")
_recording = partial(option, group="Recording and privacy")
_outputs = partial(option, group="Live outputs")
_server = partial(option, group="Web server and access")


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", text)
    if not match or not all(16 <= int(side) <= 7680 for side in match.groups()):
        raise ValueError
    return int(match[1]), int(match[2])


def _parse_labels(text: str) -> tuple[str, ...]:
    from mien.labels import OutputLabels  # imports NumPy, for which --help should not wait

    OutputLabels.of(text)  # raises ValueError
    return tuple(label.strip().lower() for label in text.split(","))


def _parse_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(","))
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name) for name in names):
        raise ValueError
    return names


def _parse_origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().lower().removesuffix("/") for origin in text.split(","))
    if not all(re.fullmatch(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?", origin) for origin in origins):
        raise ValueError
    return origins


def _parse_host(text: str) -> str:
    text = text.removeprefix("[").removesuffix("]") if ":" in text else text  # as in an address: [::1]
    if not text.encode("idna"):  # raises UnicodeError, a ValueError, for what no network could look up
        raise ValueError
    return text


def _parse_base_path(text: str) -> str:
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if not BASE_PATH.fullmatch(path):
        raise ValueError
    return path


def _parse_token(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._~-]{16,200}", text):
        raise ValueError
    return text


BASE_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
"""Paths that need no escaping anywhere."""

SIZE = Kind("WIDTHxHEIGHT in pixels, such as 1280x720", "WxH", _parse_size, show=lambda size: f"{size[0]}x{size[1]}")
LABELS = Kind(
    "expressions separated by commas, each once, and other names as contempt=neutral or contempt=none",
    "A,B,...",
    _parse_labels,
)
PIXELS = one_of("0..255", "0..1", "-1..1", "standardize")  # as mien.cnn.feeding.PIXELS, by a test
HOST = Kind("an address or host name of this computer", "ADDRESS", _parse_host)
NAMES = Kind("host names without port, separated by commas", "A,B,...", _parse_names)
ORIGINS = Kind("addresses such as https://class.example, separated by commas", "ORIGIN,...", _parse_origins)
FOLDER = path("DIR", "a folder")
LOCKED: Literal["locked"] = "locked"
"""Privacy mode that nobody can lift."""
OUTPUT = replace(text("URL", "the URL of an output, such as osc://127.0.0.1:9000"), secret=True)
DETECTOR = one_of("auto", "haar", "centerface", "yunet", "dlib", "mtcnn")  # as mien.detectors.DETECTORS, by a test


@dataclass(frozen=True)
class SourceSettings:
    """Where the frames of the live program come from."""

    source: str = _video(
        "auto",
        text("SOURCE", "auto, demo, a webcam index, a file or an address", from_home, shown=masked),
        "auto (the first webcam that delivers a picture, else the demo), demo, a webcam (0, 1, ... or a device), a "
        "video or image file, or the http(s):// or rtsp(s):// address of a network camera",
    )
    insecure: bool = _video(
        False, SWITCH, "accept https and rtsps certificates that cannot be verified, such as those of many cameras"
    )
    size: tuple[int, int] = _video(
        (1280, 720), SIZE, "picture size requested from a webcam; the log says what it delivers"
    )
    fps: int = _video(30, whole_number(1, 240), "frames per second requested from a webcam")
    loop: bool = _video(True, SWITCH, "repeat a video file; --no-loop plays it once and shows an image for one second")
    rest: bool = _video(True, SWITCH, "release the camera after ten seconds without viewers; --no-rest keeps it open")
    media: Path | None = _video(None, FOLDER, "folder of videos and images, except hidden ones, to select on the page")


@dataclass(frozen=True)
class AnalysisSettings:
    """How faces are detected and classified, in live streams and in files."""

    detector: str = _faces("auto", DETECTOR, "face detector; compared in docs/detectors.md")
    detector_model: Path | None = _faces(
        None, path(), "model file for --detector yunet; auto then uses it instead of centerface"
    )
    min_face: int | None = _faces(
        None,
        whole_number(16, 2000, "PX"),
        "smallest face to detect, in pixels of the frame; smaller faces take more time",
        shown_default="a share of the frame's longer side",
    )
    landmarks: bool = _faces(
        False,
        SWITCH,
        "always find landmarks, for head pose, eyes, mouth and blinks, also in recordings; without it, only while a "
        "viewer asks for them; needs requirements-landmarks.txt",
    )

    model: Path = _network(
        app.FOLDER / "model.json",
        path(),
        "the network: a whole one (.h5, .hdf5, .keras or a SavedModel folder of Keras 2), or its architecture as Keras "
        "JSON",
        shown_default="model.json",
    )
    weights: Path = _network(
        app.FOLDER / "model_weights.h5",
        path(),
        "weights of the network, as HDF5, beside an architecture",
        shown_default="model_weights.h5, or those of a whole network",
    )
    runtime: Literal["auto", "keras", "litert"] = _network(
        "auto",
        one_of("auto", "keras", "litert"),
        "what computes the network: auto is LiteRT where the network is compiled for it, else Keras",
    )
    labels: tuple[str, ...] | None = _network(
        None,
        LABELS,
        "names of the network's outputs, in their order; others than the seven as contempt=neutral or contempt=none",
        shown_default="as stored in model.json, else alphabetical",
    )
    pixels: Literal["0..255", "0..1", "-1..1", "standardize"] | None = _network(
        None,
        PIXELS,
        "range of pixels that the network was trained on; standardize: mean 0 and standard deviation 1 of each face",
        shown_default="as stored in model.json, else as the network's first layers tell, else 0..255",
    )
    input_scale: int | None = _network(
        None,
        one_of(1, 255),
        "divisor of the pixel values 0 to 255: 1 is --pixels 0..255, 255 is --pixels 0..1",
        shown_default="as --pixels",
    )
    unsure: float = _network(
        0.5, number(0, 1, "P"), "labels with a lower probability are marked as unsure (happy? 41 %); 0 marks none"
    )
    min_quality: float = _network(
        0.55,
        number(0, 1, "Q"),
        "labels of faces whose quality is lower (small, blurred, dark, ...) are marked as unsure; 0 marks none",
    )

    rare: float | None = _network(
        None,
        number(0, 1, "R"),
        "how often rare expressions such as fear are expected: 0 as often as people see them, 1 as often as the others",
        shown_default="as stored in model.json",
    )


@dataclass(frozen=True)
class Settings(AnalysisSettings, SourceSettings):  # the fields of the last base come first
    """How the live program runs; `read_settings` reads and checks it.

    Example:
        settings = read_settings(["--source", "demo"], os.environ)
        print(settings.source, settings.port)
    """

    cache: bool = _network(
        True, SWITCH, "compile other networks than the shipped one for LiteRT, into this user's cache folder"
    )

    save: Path | None = _recording(
        None,
        path("OUT.mp4"),
        "also save the annotated video (H.264); an existing file is kept, and OUT-2.mp4 (or -3, -4) written",
    )
    sessions: Path = _recording(Path("sessions"), FOLDER, "folder for the CSV recordings, created with the first one")
    record: bool = _recording(False, SWITCH, "record a CSV file from the first frame on")
    privacy: bool | Literal["locked"] = _recording(
        False,
        switch_or(LOCKED),
        "start with all faces pixelated; the page can show them, unless the value is locked",
    )

    out: tuple[str, ...] = _outputs(
        (),
        OUTPUT,
        "send what is found to another program, see docs/outputs.md; may be given several times, in MIEN_OUT separated "
        "by spaces; safer as MIEN_OUT if it contains a password, since other users may see command lines",
        shown_default="none",
        repeatable=True,
    )
    out_fps: float | None = _outputs(
        None,
        number(0.1, 1000, "FPS"),
        "most frames per second sent to each output",
        shown_default="every analyzed frame",
    )

    host: str = _server(
        "127.0.0.1", HOST, "address to listen on; any but 127.0.0.1 admits other computers, with a token"
    )
    port: int | None = _server(
        None, whole_number(1, 65535), "port to listen on", shown_default="5000, or the next free one"
    )
    token: str | None = _server(
        None,
        Kind("16 to 200 letters, digits or . _ ~ -", "TOKEN", _parse_token, secret=True),
        "secret required with every request; safer as MIEN_TOKEN, since other users may see command lines",
        shown_default="generated and printed if --host admits other computers, else none",
    )
    names: tuple[str, ...] = _server(
        (),
        NAMES,
        "additional accepted host names, such as camera.example",
        shown_default="localhost; if --host admits other computers, also this computer's name and addresses",
    )
    embed: tuple[str, ...] = _server(
        (),
        ORIGINS,
        "origins whose pages may show the bars of the faces, /?view=bars, in a frame",
        shown_default="none",
    )
    base_path: str = _server(
        "",
        Kind("a path such as /mien", "/PATH", _parse_base_path),
        "path below which a proxy passes requests on without removing it; one that removes it needs no option",
        shown_default="none",
    )


def names_of(settings: type) -> set[str]:
    """Names of the fields of a class of settings."""
    return {each.name for each in options_of(settings)}


def program(command: str = "") -> str:
    """The program as it was typed, for messages: "mien" or "python main.py", with a command."""
    name = "mien" if Path(sys.argv[0]).stem == "mien" else "python main.py"
    return f"{name} {command}".strip()


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read the settings from the words of the command line and the environment.

    --help and --version print and exit with status 0.

    Args:
        argv: The words of the command line, without the program's name.
        environ: The environment variables by name.

    Raises:
        SettingsError: One line with the option or variable, what was expected and what was found.
    """
    parser = Parser(
        prog=program(),
        usage="%(prog)s [options]",
        description="Recognize facial expressions in live video, and show them at http://localhost:5000.",
        epilog="Each option is also read from an environment variable: MIEN_PORT=5001 is --port 5001, MIEN_LOOP=0 is "
        "--no-loop. The command line has precedence. Ctrl-C stops the program. For files instead of live video, "
        "`%(prog)s analyze --help` describes another command.",
    )
    parser.add_argument(
        "--version", action="version", version=f"mien {mien.__version__}", help="print the version and exit"
    )
    parser.add_options(Settings)
    return Settings(**parser.read(argv, environ))
