"""The README's examples do what they say, word for word but for the address."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mien.expressions import Analysis
from mien.imaging import decode_image, encode_jpeg
from mien.session import SessionRecorder
from tests.web_fakes import face_showing

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
DIRECT = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}


def example(beginning: str, url: str) -> str:
    """The indented block of the README that begins so, for a server at this address."""
    block = re.search(rf"(?m)^    {re.escape(beginning)}.*\n(?:    .*\n|\n(?=    ))*", README)
    assert block, f"the README has no block that begins with {beginning}"
    assert "http://localhost:5000" in block[0]
    return textwrap.dedent(block[0]).replace("http://localhost:5000", url)


def analyze(data: bytes) -> Analysis:
    height, width = decode_image(data).shape[:2]
    return Analysis(width, height, (face_showing("happy"),))


def test_curl_gets_the_faces_of_a_photo(fake_camera, serve, tmp_path) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl on this computer")
    (tmp_path / "photo.jpg").write_bytes(encode_jpeg(np.zeros((90, 120, 3), np.uint8)))
    words = shlex.split(example("curl ", serve(fake_camera, analyze=analyze).url))
    done = subprocess.run(words, cwd=tmp_path, env=DIRECT, capture_output=True, timeout=20, check=True)
    answer = json.loads(done.stdout)
    assert (answer["width"], answer["height"]) == (120, 90)
    assert [face["label"] for face in answer["faces"]] == ["happy"]


def test_a_session_is_recorded_by_curl_and_read_by_pandas(fake_camera, serve, tmp_path) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl on this computer")
    session = SessionRecorder(tmp_path / "sessions")
    url = serve(fake_camera, session=session).url
    words = shlex.split(example("curl -H", url))
    done = subprocess.run(words, env=DIRECT, capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout)["recording"]["on"]
    for _ in range(4):
        snapshot = fake_camera.publish()
        session.record(snapshot.frame, snapshot.analysis)
    session.stop()
    code = example("import pandas", url)
    done = subprocess.run(
        [sys.executable, "-c", code], env=DIRECT, capture_output=True, timeout=60, text=True, check=True
    )
    assert re.search(r"1 +happy +1\.0\n2 +sad +1\.0\n", done.stdout)


def test_python_follows_what_is_seen(fake_camera, serve) -> None:
    fake_camera.publish()
    code = example("import json", serve(fake_camera).url)
    with subprocess.Popen([sys.executable, "-u", "-c", code], env=DIRECT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert [program.stdout.readline() for _ in range(2)] == ["1 happy 0.82\n", "2 sad 0.82\n"]
            fake_camera.faces = (face_showing("fear", 7),)
            fake_camera.publish()
            assert program.stdout.readline() == "7 fear 0.82\n"
        finally:
            program.kill()
