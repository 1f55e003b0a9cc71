"""The environment of requirements-lite.txt, installed from the package index: small, without TensorFlow, and enough."""

import json
import re
import subprocess

import pytest

from benchmarks.lite import InstallError, install, size_mb
from mien.types import EXPRESSIONS
from tests.media import ROOT
from tests.patience import scaled
from tests.test_program import START_WITHIN_S, Running

pytestmark = pytest.mark.index

UNREACHABLE = "(?i)connection|resolution|timed out|network|proxy|from versions: none"
MISSING = ("av", "h5py", "keras", "tensorflow")


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    """The environment's interpreter."""
    try:
        return install(tmp_path_factory.mktemp("lite") / "environment")
    except InstallError as error:
        if re.search(UNREACHABLE, str(error)):
            pytest.skip("the package index cannot be reached")
        raise


@pytest.fixture(scope="module")
def program(lite, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    running = Running("--source", "demo", python=lite, environ={"MIEN_CACHE": "1", "XDG_CACHE_HOME": str(cache)})
    yield running
    running.process.kill()
    running.process.communicate()


def test_the_environment_takes_400_mb_at_most_and_has_no_tensorflow(lite):
    assert size_mb(lite.parent.parent) <= 400
    code = f"import importlib.util as u; print([name for name in {MISSING} if u.find_spec(name)])"
    assert subprocess.run([lite, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_program_labels_the_faces_of_the_demo(program):
    faces = program.wait_for(lambda state: len(state["faces"]) == 3)["faces"]
    assert {face["label"] for face in faces} <= set(EXPRESSIONS)
    assert b"<title>" in program.get("/")[1]


def test_grad_cam_says_what_to_install(program):
    program.wait_for(lambda state: state["faces"])

    def answer():
        status, body = program.get("/api/explain")
        return (status, json.loads(body)["error"])

    status, error = answer()
    while "being loaded" in error:
        status, error = answer()
    assert status == 503
    assert "requirements.txt" in error
    assert len(error.splitlines()) == 1


def test_saving_a_video_says_what_to_install(lite, tmp_path):
    words = [lite, ROOT / "main.py", "--source", "demo", "--save", tmp_path / "out.mp4"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=scaled(START_WITHIN_S), check=False)
    assert done.returncode == 2
    assert done.stderr == "mien: expected the package av to save a video, found none; pip install av installs it\n"


def test_an_image_is_analyzed_from_python(lite):
    code = (
        "import mien; from mien.sources.demo import DemoSource; "
        "print(len(mien.analyze_image(DemoSource().read().pixels_bgr).faces))"
    )
    done = subprocess.run([lite, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
