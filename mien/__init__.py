"""Mien: real-time facial expression recognition.

    import mien

    result = mien.analyze_image("photo.jpg")
    print(result.faces[0].label, result.faces[0].confidence)
    table = mien.to_frame(mien.analyze_video("clip.mp4"))

What is named here is loaded when it is first used, so that `import mien` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.public import FacialExpressionModel, analyze_image, analyze_video, open_camera
    from mien.results import Result, to_frame

__version__ = "0.2.0.dev0"

__all__ = [
    "FacialExpressionModel",
    "Result",
    "__version__",
    "analyze_image",
    "analyze_video",
    "open_camera",
    "to_frame",
]

_MODULES = {
    "FacialExpressionModel": "mien.public",
    "Result": "mien.results",
    "analyze_image": "mien.public",
    "analyze_video": "mien.public",
    "open_camera": "mien.public",
    "to_frame": "mien.results",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
