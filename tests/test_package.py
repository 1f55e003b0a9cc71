"""The installed package: the command `mien` and `import mien` from anywhere, with page, network and demo."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import cv2
import pytest

import mien
from mien.app import FOLDER
from mien.sources.demo import DemoSource
from mien.types import EXPRESSIONS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"

ANALYZE = """
import json, sys, mien
result = mien.analyze_image(sys.argv[1])
print(json.dumps([mien.__file__, str(mien.app.FOLDER), [face.label for face in result.faces]]))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def environment(folder: Path, what: list[str | Path]) -> Path:
    """A fresh environment that shares this one's packages and has the project installed; returns its scripts folder."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / SCRIPTS / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-build-isolation", "--no-deps", *what, cwd=folder)
    return folder / SCRIPTS


def test_wheel_contains_what_the_program_needs_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    needed = (
        "mien/py.typed",
        "mien/_app/main.py",
        "mien/_app/camera.py",
        "mien/_app/model.py",
        "mien/_app/model.json",
        "mien/_app/model_weights.h5",
        "mien/_app/model.tflite",
        "mien/_app/templates/index.html",
        "mien/_app/static/app.js",
        "mien/_app/web/app.py",
    )
    assert set(needed) <= set(names)
    assert "mien/sources/demo_faces.npz" in names
    assert {name.split("/")[0] for name in names} == {"mien", f"mien-{mien.__version__}.dist-info"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_wheel_depends_on_what_requirements_txt_names(wheel):
    metadata = zipfile.ZipFile(wheel).read(f"mien-{mien.__version__}.dist-info/METADATA").decode()
    wanted = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert len(wanted) == len([line for line in lines if line.strip() and not line.startswith("#")])
    assert "Provides-Extra: train" in metadata


@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_installed_package_has_its_command_and_reads_an_image_from_another_folder(how, wheel, tmp_path):
    (tmp_path / "model.py").write_text("raise RuntimeError('somebody else\\'s module')\n", encoding="utf-8")
    scripts = environment(tmp_path / "environment", [wheel] if how == "wheel" else ["--editable", ROOT])
    assert run(scripts / "mien", "--version", cwd=tmp_path).split() == ["mien", mien.__version__]
    cv2.imwrite(str(tmp_path / "face.png"), DemoSource(count=1, paced=False).read().pixels_bgr)
    found, folder, labels = json.loads(run(scripts / "python", "-c", ANALYZE, "face.png", cwd=tmp_path))
    assert Path(found).is_relative_to(tmp_path if how == "wheel" else ROOT)
    assert Path(folder).name == ("_app" if how == "wheel" else ROOT.name)
    assert len(labels) == 1
    assert set(labels) <= set(EXPRESSIONS)


def test_top_level_files_are_found_in_a_checkout():
    assert FOLDER == ROOT
