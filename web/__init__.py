"""The web app: page, streams and HTTP API. Imports no cv2, keras or camera.

What is named here is loaded when it is first used: the program checks its port before it has loaded Flask.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web.app import create_app
    from web.ports import AppOptions

__all__ = ["AppOptions", "create_app"]

_MODULES = {"AppOptions": "web.ports", "create_app": "web.app"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
