"""Where the program's top-level files are (main.py, camera.py, model.py, page, network), and the command `mien`.

In a checkout they are beside this package; an installed package has them in mien/_app.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
import threading
from pathlib import Path
from types import ModuleType

_PACKAGED = Path(__file__).resolve().parent / "_app"
FOLDER = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).resolve().parent.parent
"""The folder that holds main.py, camera.py, model.py, model.json, model_weights.h5, templates/ and static/."""

_lock = threading.RLock()


def load(name: str) -> ModuleType:
    """Import `camera` or `model` from FOLDER under a name of Mien's own.

    A notebook may have a `model` or `camera` module beside it, so these names must not be looked up on `sys.path`.

    Args:
        name: The file's name without `.py`.

    Returns:
        The module, the same one each time.
    """
    full_name = f"mien._app.{name}"
    with _lock:
        if full_name not in sys.modules:
            spec = importlib.util.spec_from_file_location(full_name, FOLDER / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[full_name]
                raise
        return sys.modules[full_name]


def main() -> None:
    """The command `mien`: the same as `python main.py`."""
    sys.path.insert(0, str(FOLDER))  # as Python itself does for `python main.py`
    runpy.run_path(str(FOLDER / "main.py"), run_name="__main__")
