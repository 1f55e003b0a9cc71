"""How a result came about: program, input, network, detector, settings and packages, as `mien.json` beside it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2

import mien
from mien.analysis.pipeline import Pipeline
from mien.cnn.litert import source_digest
from mien.cnn.whole import weights_of
from mien.detectors import centerface, face_filter, haar
from mien.json_text import is_number
from mien.options import options_of
from mien.settings import AnalysisSettings

FILE = "mien.json"

PACKAGES = ("numpy", "opencv-python-headless", "av", "ai-edge-litert", "keras", "tensorflow-cpu", "tensorflow")
DETECTOR_PACKAGES = {"dlib": "dlib-bin", "mtcnn": "mtcnn"}


def describe(settings: AnalysisSettings, pipeline: Pipeline, leave_out: Iterable[str] = ()) -> dict[str, Any]:
    """What determines results: nothing of it changes from run to run.

    Args:
        settings: The settings; those that say where results go should be left out.
        pipeline: Detector and network in use.
        leave_out: Names of settings.

    Returns:
        Plain types, ready for JSON.
    """
    adjustment = pipeline.classifier.adjustment
    weights = weights_of(settings.model, settings.weights)
    name = pipeline.detector.name
    packages = [*PACKAGES, *([DETECTOR_PACKAGES[name]] if name in DETECTOR_PACKAGES else [])]
    return {
        "mien": mien.__version__,
        "network": {
            "model": settings.model.name,
            "weights": weights.name,
            "sha256": source_digest(settings.model, weights),
            "runtime": getattr(pipeline.classifier, "runtime", None),
            "tau": getattr(adjustment, "tau", None),
            "rare": pipeline.rare,
            "pixels": getattr(pipeline.classifier, "pixels", None),
        },
        "detector": {"name": name, "sha256": {file.name: digest(file) for file in _files(name, settings)}},
        "settings": shown_settings(settings, leave_out),
        "packages": {"python": platform.python_version(), **_versions(packages)},
        "machine": platform.machine(),
    }


def shown_settings(settings: Any, leave_out: Iterable[str] = ()) -> dict[str, Any]:
    """The settings by name as plain types; a default path as its name, because it depends on the computer.

    Args:
        settings: A dataclass declared with `mien.options.option`.
        leave_out: Names of settings; secret ones are always left out.
    """
    shown: dict[str, Any] = {}
    for each in options_of(type(settings)):
        value = getattr(settings, each.name)
        if each.name in leave_out or each.kind.secret:
            continue
        if isinstance(value, Path):
            value = value.name if value == each.default else value.as_posix()
        elif each.kind.shown is not None:
            value = each.kind.shown(value)
        shown[each.name] = list(value) if isinstance(value, tuple) else value
    return shown


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_json(described: Mapping[str, Any]) -> str:
    """The text of `mien.json`; bytes of names that are no UTF-8 are escaped as JSON does."""
    text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def lacking(described: Any, *, of_result: bool) -> str | None:
    """What is missing in the content of a `mien.json`, or is of another type, as after somebody has edited it.

    Args:
        described: The parsed content.
        of_result: Whether it is of a result; else it is of a recording, and says nothing of files and frames.

    Returns:
        The first such key, as "network.sha256"; None if nothing is missing.
    """
    kinds, inside = dict(_WAY), described if isinstance(described, dict) else {}
    if of_result:
        kinds["frames.analyzed"] = is_number
        if "inputs" in inside:
            kinds["inputs"] = _is_list
        if "input" in inside or "inputs" not in inside:
            kinds |= _OF_INPUT
            kinds |= {} if _value(inside, "input.recorded") is not ... else _OF_VIDEO
    return next((key for key, is_right in kinds.items() if not is_right(_value(described, key))), None)


def _value(described: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(described, dict) or name not in described:
            return ...
        described = described[name]
    return described


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _may_be_number(value: Any) -> bool:
    return value is None or is_number(value)


_WAY: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("mien", "network.model", "network.weights", "network.sha256", "detector.name", "machine"), _is_text
    ),
    **dict.fromkeys(("network.tau", "network.rare"), _may_be_number),
    **dict.fromkeys(("settings.unsure", "settings.min_quality"), is_number),
    **dict.fromkeys(("detector.sha256", "packages"), _is_texts),
}
"""What `describe` writes and others read again, and what each value has to be."""

_OF_INPUT: dict[str, Callable[[Any], bool]] = {
    **{"input.name": _is_text, "input.decoded_s": is_number, "frames.with_face": is_number},
}
_OF_VIDEO: dict[str, Callable[[Any], bool]] = {
    **{"settings.fps": _may_be_number, "settings.start": is_number, "frames.unreadable_parts": is_number},
}


def _files(detector: str, settings: AnalysisSettings) -> list[Path]:
    """The files of a detector, where they are not part of a package that is listed by its version."""
    cascades = [Path(cv2.__file__).parent / "data" / name for name in haar.CASCADES]
    network = settings.detector_model if detector in ("auto", "yunet") else None  # the live program switches detectors
    if network is None and detector in ("auto", "centerface"):
        network = centerface.installed_file()
    return [
        *(cascades if detector in ("auto", "haar") else []),
        *([face_filter.FILE] if detector in ("auto", "haar", "centerface") else []),
        *([] if network is None else [network]),
    ]


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _versions(packages: Iterable[str]) -> dict[str, str]:
    return {name: found for name in packages if (found := _version(name)) is not None}
