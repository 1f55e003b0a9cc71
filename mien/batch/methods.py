"""The command `methods`: a paragraph for a paper about the results in a folder, with its references."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import app
from mien.analysis.smoothing import TIME_CONSTANT_S
from mien.batch.provenance import FILE, lacking
from mien.cnn.litert import source_digest
from mien.errors import SettingsError
from mien.json_text import read_json
from mien.names import printable
from mien.options import Parser
from mien.settings import program

REFERENCES = {
    "fer": "Goodfellow, I. J., et al. (2013). Challenges in representation learning: A report on three machine "
    "learning contests. ICONIP 2013.",
    "ferplus": "Barsoum, E., Zhang, C., Canton Ferrer, C., & Zhang, Z. (2016). Training deep networks for facial "
    "expression recognition with crowd-sourced label distribution. ICMI 2016.",
    "adjustment": "Menon, A. K., et al. (2021). Long-tail learning via logit adjustment. ICLR 2021.",
    "haar": "Viola, P., & Jones, M. (2001). Rapid object detection using a boosted cascade of simple features. "
    "CVPR 2001.",
    "centerface": "Xu, Y., Yan, W., Yang, G., Luo, J., Li, T., & He, J. (2020). CenterFace: Joint face detection and "
    "alignment using face as point. Scientific Programming, 2020, 7845384.",
    "yunet": "Wu, W., Peng, H., & Yu, S. (2023). YuNet: A tiny millisecond-level face detector. Machine "
    "Intelligence Research, 20, 656-665.",
    "dlib": "King, D. E. (2009). Dlib-ml: A machine learning toolkit. Journal of Machine Learning Research, 10, "
    "1755-1758.",
    "mtcnn": "Zhang, K., Zhang, Z., Li, Z., & Qiao, Y. (2016). Joint face detection and alignment using multitask "
    "cascaded convolutional networks. IEEE Signal Processing Letters, 23(10), 1499-1503.",
    "bootstrap": "Politis, D. N., & Romano, J. P. (1994). The stationary bootstrap. Journal of the American "
    "Statistical Association, 89(428), 1303-1313.",
    "blocks": 'Patton, A., Politis, D. N., & White, H. (2009). Correction to "Automatic block-length selection for '
    'the dependent bootstrap". Econometric Reviews, 28(4), 372-375.',
}
DETECTOR_NAMES = {
    "haar": "Haar cascades (Viola & Jones, 2001) followed by a small network that rejects other objects",
    "centerface": "CenterFace (Xu et al., 2020)",
    "yunet": "YuNet (Wu et al., 2023)",
    "dlib": "the HOG detector of dlib (King, 2009)",
    "mtcnn": "MTCNN (Zhang et al., 2016)",
}


def methods(argv: Sequence[str]) -> int:
    """Print the paragraph and the references.

    Args:
        argv: The words of the command line after `methods`: the folder of results.

    Returns:
        Exit status: 0.

    Raises:
        SettingsError: It is not a folder of results.
    """
    parser = Parser(
        prog=program("methods"),
        usage="%(prog)s FOLDER",
        description="Describe the results of analyze in a paragraph for a paper, with its references.",
    )
    parser.add_words("folder", "the folder that --out named")
    folders = parser.read(argv, {})["folder"]
    if len(folders) != 1:
        raise SettingsError(f"methods: expected the folder of results, found {' '.join(folders) or 'none'}")
    files = sorted(Path(folders[0]).rglob(FILE))
    if not files:
        raise SettingsError(f"methods: expected a folder with results of analyze, found no {FILE} in {folders[0]}")
    for line in describe_methods([_read(file) for file in files]).splitlines():
        print(printable(line))
    return 0


def describe_methods(results: Sequence[Mapping[str, Any]]) -> str:
    """The paragraph and the references.

    Args:
        results: The contents of `mien.json` files, all of the same settings and versions.

    Raises:
        SettingsError: They were made in different ways.
    """
    if len(_ways(results)) > 1:
        raise SettingsError("methods: expected results of the same version and settings, found several")
    first = results[0]
    sentences = [
        f"Facial expressions were analyzed with Mien {first['mien']}.",
        _amounts(results),
        _detection(first),
        *_classification(first),
    ]
    used = _detectors(first)
    if _is_shipped(first):
        used += ["fer", "ferplus"]
    if first["network"]["rare"] is not None:
        used.append("adjustment")
    timed = [each["input"] for each in results if "input" in each]
    if timed:
        sentences.append(_smoothing(live=any("recorded" in each for each in timed)))
        sentences.append(
            "Intervals of shares of time are 95 % intervals of the stationary bootstrap (Politis & Romano, 1994), "
            "whose mean block length follows from the autocorrelation of the labels (Patton, Politis, & White, 2009)."
        )
        used += ["bootstrap", "blocks"]
    sentences.append("Labels describe what a face shows as others would name it, not what the person feels.")
    paragraph = textwrap.fill(" ".join(filter(None, sentences)), 100)
    references = sorted(REFERENCES[key] for key in used if key in REFERENCES)
    return "\n".join([paragraph, "", "References", "", *references])


def same_way(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is known how results came about, and the same of all.

    Args:
        results: The contents of `mien.json` files.
    """
    return len(_ways(results)) == 1 and "network" in results[0]


def _ways(results: Sequence[Mapping[str, Any]]) -> set[str]:
    keys = ("mien", "network", "detector", "settings")
    return {json.dumps([each.get(key) for key in keys]) for each in results}


def start_of(result: Mapping[str, Any]) -> float:
    """Media time from which on a video was analyzed, in seconds; 0 for a recording.

    Args:
        result: The content of its `mien.json`.
    """
    return 0.0 if "recorded" in result["input"] else float(result["settings"]["start"])


def _read(file: Path) -> Any:
    try:
        described = read_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"methods: expected {file} as analyze wrote it, found {error}") from error
    if (key := lacking(described, of_result=True)) is not None:
        found = f"files {FILE} that lack something: {key!r}"
        raise SettingsError(f"methods: expected results of this version of analyze, found {found}")
    return described


def _amounts(results: Sequence[Mapping[str, Any]]) -> str:
    """How many videos, frames and images were analyzed."""
    videos = [each for each in results if "input" in each and "recorded" not in each["input"]]
    recordings = [each for each in results if "recorded" in each.get("input", {})]
    images = sum(each["frames"]["analyzed"] for each in results if "inputs" in each)
    sentences = []
    if videos:
        frames = sum(each["frames"]["analyzed"] for each in videos)
        seen = sum(each["frames"]["with_face"] for each in videos)
        gaps = sum(each["frames"]["unreadable_parts"] for each in videos)
        minutes = sum(each["input"]["decoded_s"] - start_of(each) for each in videos) / 60
        fps = results[0]["settings"]["fps"]
        which = "every frame" if fps is None else f"at most {fps:g} frames per second"
        decoded = f"{_count(gaps, 'part')} could not be decoded" if gaps else "all parts could be decoded"
        sentences.append(
            f"{_count(len(videos), 'video')} with a total duration of {minutes:.1f} minutes {_were(len(videos))} "
            f"analyzed, {which}, without dropping any: {_count(frames, 'frame')}, of which "
            f"{seen / max(1, frames):.1%} show a face; {decoded}."
        )
    if recordings:
        frames = sum(each["frames"]["analyzed"] for each in recordings)
        minutes = sum(each["input"]["decoded_s"] for each in recordings) / 60
        sentences.append(
            f"{_count(len(recordings), 'recording')} with a total duration of {minutes:.1f} minutes "
            f"{_were(len(recordings))} made in real time: {_count(frames, 'frame')} with a face."
        )
    if images:
        sentences.append(f"{_count(images, 'image')} {_were(images)} analyzed.")
    return " ".join(sentences)


def _detection(result: Mapping[str, Any]) -> str:
    names = [DETECTOR_NAMES.get(name, name) for name in _detectors(result)]
    return f"Faces were detected by {', and those that they missed by '.join(names)}."


def _detectors(result: Mapping[str, Any]) -> list[str]:
    """The names of the detectors; `auto` is two, of which the files of the second say which it is."""
    name, files = result["detector"]["name"], result["detector"]["sha256"]
    if name != "auto":
        return [name]
    return ["haar", "yunet" if any("yunet" in file for file in files) else "centerface"]


def _classification(result: Mapping[str, Any]) -> list[str]:
    network, settings = result["network"], result["settings"]
    identity = f"(SHA-256 {network['sha256'][:12]}...)"
    trained = ""
    if _is_shipped(result):
        trained = (
            ", trained on FER-2013 (Goodfellow et al., 2013) and on the votes of ten people for each of its images "
            "(Barsoum et al., 2016)"
        )
    sentences = [
        f"A convolutional network {identity}{trained} assigns to each face probabilities of seven expressions: angry, "
        f"disgust, fear, happy, neutral, sad and surprise."
    ]
    if network["rare"] is not None:
        sentences.append(
            f"Its outputs are adjusted for the base rates of the expressions (Menon et al., 2021; strength "
            f"{network['rare']:g})."
        )
    sentences.append(
        f"Labels with a probability below {settings['unsure']:g}, and those of faces whose estimated image quality is "
        f"below {settings['min_quality']:g}, are marked as unsure."
    )
    return sentences


def _smoothing(*, live: bool) -> str:
    where, clock = ("Over time", "") if live else ("In videos", " in the time of the video")
    return (
        f"{where}, faces are tracked by optical flow, and probabilities are smoothed by an exponential "
        f"low-pass filter with a time constant of {TIME_CONSTANT_S:g} s{clock}; the label changes "
        "when another expression is clearly more probable for some time."
    )


def _is_shipped(result: Mapping[str, Any]) -> bool:
    """Whether the network is the one that comes with Mien."""
    shipped = source_digest(app.FOLDER / "model.json", app.FOLDER / "model_weights.h5")
    return bool(result["network"]["sha256"] == shipped)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
