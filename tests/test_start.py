"""What the program imports until it shows faces, and what it loads later."""

import json
import re
import subprocess
import sys

import pytest

from tests.media import ROOT
from tests.patience import scaled, wait_for
from tests.test_program import Running

LARGE = {"av", "h5py", "jax", "keras", "matplotlib", "ml_dtypes", "pandas", "PIL", "scipy", "tensorflow", "torch"}
"""Packages that take long to import, none of which the program needs to show faces."""

ANALYZE = """
import json, sys, mien
from mien.sources.demo import DemoSource
result = mien.analyze_image(DemoSource(count=1).read().pixels_bgr)
print(json.dumps([[face.label for face in result.faces], sorted(sys.modules)]))
"""


@pytest.fixture
def run(tmp_path):
    """Start the program, its standard error written to `log`: run(*options, environ=...)."""
    running = []
    log = tmp_path / "log"

    def start(*options, **more):
        with log.open("w", encoding="utf-8") as file:
            running.append(Running(*options, stderr=file, **more))
        running[-1].log = log
        return running[-1]

    yield start
    for program in running:
        program.process.kill()
        program.process.communicate()


def test_the_program_shows_faces_without_importing_any_large_package(run):
    program = run("--source", "demo", environ={"PYTHONPROFILEIMPORTTIME": "1"})
    assert program.wait_for(lambda state: state["faces"])["faces"][0]["label"]
    program.stop()
    lines = re.findall(r"(?m)^import time:.*\| +(\S+)$", program.log.read_text(encoding="utf-8"))
    imported = {line.partition(".")[0] for line in lines}
    assert {"cv2", "flask", "ai_edge_litert", "mien", "web"} <= imported
    assert not imported & LARGE


def test_an_image_is_analyzed_without_importing_any_large_package():
    done = subprocess.run([sys.executable, "-c", ANALYZE], cwd=ROOT, capture_output=True, text=True, check=True)
    labels, modules = json.loads(done.stdout)
    assert len(labels) == 1
    imported = {module.partition(".")[0] for module in modules}
    assert "cv2" in imported
    assert not imported & (LARGE | {"flask"})


def test_the_first_request_for_grad_cam_loads_keras_in_the_background(run):
    program = run("--source", "demo")
    program.wait_for(lambda state: state["faces"])
    status, body = program.get("/api/explain")
    assert status == 503
    assert "the network that explains is being loaded" in json.loads(body)["error"]
    assert program.state()["faces"], "the live picture continues"
    wait_for(lambda: program.get("/api/explain")[0] == 200, "a heat map", patience_s=scaled(60))
    faces = json.loads(program.get("/api/explain")[1])["faces"]
    assert all(face["heat"] for face in faces)
