"""Face detectors with a common method `detect`; `create_detector` makes one by name."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from mien.detectors.auto import AutoDetector
from mien.detectors.base import Detector, ScaledDetector
from mien.detectors.centerface import INSTALL, CenterFaceDetector, installed_file
from mien.detectors.dlib import DlibDetector
from mien.detectors.haar import HaarDetector
from mien.detectors.mtcnn import MtcnnDetector
from mien.detectors.yunet import YuNetDetector
from mien.errors import DetectorError
from mien.types import clip_box

__all__ = ["DETECTORS", "Detector", "HaarDetector", "choose_detector", "clip_box", "create_detector"]

DETECTORS = ("auto", "haar", "centerface", "yunet", "dlib", "mtcnn")
"""Names of the detectors on the command line; `auto` combines haar with the best of the others."""

log = logging.getLogger(__name__)


def create_detector(
    name: str = "auto", *, min_face_px: int | None = None, model_file: str | Path | None = None
) -> Detector:
    """Make a detector.

    Args:
        name: One of DETECTORS.
        min_face_px: Smallest face to find, in pixels of the original frame; by default a share of its longer side.
        model_file: The network of yunet, which `auto` prefers to centerface if it is given.

    Returns:
        For `auto` without any network's file, which is logged, haar alone.

    Raises:
        DetectorError: The name is unknown, or a package or file is missing or broken.
    """
    name, requested = choose_detector(name, model_file), name
    if name == "auto":
        return AutoDetector(HaarDetector(min_face_px=min_face_px), partial(_thorough, min_face_px, model_file))
    if name != requested:
        log.info("faces that are turned, dark or small are not found: %s adds a network that finds them", INSTALL)
    if name == "yunet":
        return YuNetDetector(model_file, min_face_px=min_face_px)
    if name == "centerface":
        return CenterFaceDetector(min_face_px=min_face_px)
    if name == "dlib":
        return DlibDetector(min_face_px=min_face_px)
    if name == "mtcnn":
        return MtcnnDetector(min_face_px=min_face_px)
    return HaarDetector(min_face_px=min_face_px)


def _thorough(min_face_px: int | None, model_file: str | Path | None) -> ScaledDetector:
    if model_file is None:
        return CenterFaceDetector(min_face_px=min_face_px)
    return YuNetDetector(model_file, min_face_px=min_face_px)


def choose_detector(name: str, model_file: str | Path | None = None) -> str:
    """Name of the detector that `create_detector` makes: `auto` without any network's file stands for haar.

    Args:
        name: One of DETECTORS.
        model_file: The network of yunet.

    Raises:
        DetectorError: The name is unknown, or the detector takes no model file.
    """
    if name not in DETECTORS:
        raise DetectorError(f"expected a detector named {' or '.join(DETECTORS)}; found {name!r}")
    if model_file is not None and name not in ("yunet", "auto"):
        raise DetectorError(f"--detector-model: expected --detector yunet or auto with it, found {name}")
    if name == "auto" and model_file is None and installed_file() is None:
        return "haar"
    return name
