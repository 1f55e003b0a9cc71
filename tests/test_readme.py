"""README and docs are correct: examples run, and every command, option and link exists."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.batch.options import read_analyze_settings
from mien.images.codecs import decode_image, encode_jpeg
from mien.recording.csv_log import CsvRecorder
from mien.sources.demo import DemoSource
from mien.types import Analysis
from tests.patience import scaled
from tests.web_fakes import face_showing
from web import create_app
from web.openapi import openapi_path

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
DIRECT = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}


def found(pattern: str) -> list[str]:
    """All distinct matches of the first group in the pages; at least one."""
    matches = sorted({match[1] for text in PAGES.values() for match in re.finditer(pattern, text)})
    assert matches
    return matches


def block(page: str, beginning: str) -> str:
    """The page's indented block that begins with this text."""
    match = re.search(rf"(?m)^    {re.escape(beginning)}.*\n(?:    .*\n|\n(?=    ))*", PAGES[page])
    assert match, f"{page} has no block that begins with {beginning}"
    return textwrap.dedent(match[0])


def example(page: str, beginning: str, url: str) -> str:
    """The same block for a server at this address."""
    text = block(page, beginning)
    assert "http://localhost:5000" in text
    return text.replace("http://localhost:5000", url)


def analyze(data: bytes) -> Analysis:
    height, width = decode_image(data).shape[:2]
    return Analysis(width, height, (face_showing("happy"),))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode_jpeg(np.zeros((90, 120, 3), np.uint8)))
    return path


def run_curl(words: list[str], folder: Path) -> dict:
    if not shutil.which("curl"):
        pytest.skip("there is no curl on this computer")
    done = subprocess.run(words, cwd=folder, env=DIRECT, capture_output=True, timeout=scaled(60), check=True)
    return json.loads(done.stdout)


def test_four_lines_of_python_make_a_table_of_a_video(tmp_path) -> None:
    demo = DemoSource(count=1, paced=False)
    (tmp_path / "photo.jpg").write_bytes(encode_jpeg(demo.render(0.0)[0]))
    video = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, (640, 480))
    for i in range(5):
        video.write(demo.render(i / 5)[0])
    video.release()
    words = [sys.executable, "-c", block("README.md", "import mien\n")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, timeout=300, text=True, check=True)
    assert done.stdout == "['angry']\n"
    rows = (tmp_path / "clip.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("input,frame,time_s,success,face,")
    assert len(rows) == 6


def test_curl_gets_the_faces_of_a_photo(fake_camera, serve, photo) -> None:
    words = shlex.split(example("docs/api.md", "curl -F", serve(fake_camera, analyze=analyze).url))
    answer = run_curl(words, photo.parent)
    assert (answer["width"], answer["height"]) == (120, 90)
    assert [face["label"] for face in answer["faces"]] == ["happy"]


def test_python_gets_the_faces_of_a_photo(fake_camera, serve, photo) -> None:
    code = example("docs/api.md", "import json\n    from pathlib", serve(fake_camera, analyze=analyze).url)
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=photo.parent, env=DIRECT, capture_output=True, timeout=scaled(60), text=True, check=True
    )
    assert done.stdout == "['happy']\n"


def test_javascript_gets_the_faces_of_a_photo(fake_camera, serve, photo) -> None:
    if not shutil.which("node"):
        pytest.skip("there is no Node.js on this computer")
    code = example("docs/api.md", "import { readFile }", serve(fake_camera, analyze=analyze).url)
    words = ["node", "--input-type=module", "--eval", code]
    done = subprocess.run(
        words, cwd=photo.parent, env=DIRECT, capture_output=True, timeout=scaled(60), text=True, check=True
    )
    assert done.stdout == "[ 'happy' ]\n"


def test_a_recording_is_started_with_curl_and_read_with_pandas(fake_camera, serve, tmp_path) -> None:
    recorder = CsvRecorder(tmp_path / "sessions")
    url = serve(fake_camera, recorder=recorder).url
    assert run_curl(shlex.split(example("docs/api.md", "curl -H", url)), tmp_path)["recording"]["on"]
    for _ in range(4):
        snapshot = fake_camera.publish()
        recorder.record(snapshot.frame, snapshot.analysis)
    recorder.stop()
    code = example("docs/recording.md", "import pandas", url)
    done = subprocess.run(
        [sys.executable, "-c", code], env=DIRECT, capture_output=True, timeout=scaled(60), text=True, check=True
    )
    assert re.search(r"1 +happy +1\.0\n2 +sad +1\.0\n", done.stdout)


def test_python_follows_the_events(fake_camera, serve) -> None:
    fake_camera.publish()
    code = example("docs/api.md", "import json\n    import urllib", serve(fake_camera).url)
    with subprocess.Popen([sys.executable, "-u", "-c", code], env=DIRECT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert [program.stdout.readline() for _ in range(2)] == ["1 happy 0.82\n", "2 sad 0.82\n"]
            fake_camera.faces = (face_showing("fear", 7),)
            fake_camera.publish()
            assert program.stdout.readline() == "7 fear 0.82\n"
        finally:
            program.kill()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_of_the_repository_resolves(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", PAGES[page])
    missing = [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing


def test_every_link_to_a_section_resolves() -> None:
    pages = PAGES | {"MODEL_CARD.md": (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")}
    link = re.compile(r"\]\(([^()\s#:]*)#([^)\s]+)\)")
    links = [(page, *target) for page, text in pages.items() for target in link.findall(text)]
    assert links
    for page, file, section in links:
        target = (ROOT / page).parent / file if file else ROOT / page
        headings = re.findall(r"(?m)^#+ (.+)$", target.read_text(encoding="utf-8"))
        names = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert section in names, f"{page} links to {file}#{section}"


def test_every_page_of_docs_is_linked_from_the_readme_or_another_page() -> None:
    linked = {Path(link).name for text in PAGES.values() for link in re.findall(r"\]\(([^)#\s]+)", text)}
    assert not [page for page in PAGES if page.startswith("docs/") and Path(page).name not in linked]


def test_every_make_target_mentioned_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert not set(found(r"(?:`|^    |\n    )make ([a-z-]+)")) - targets


def test_every_module_run_in_the_documents_exists() -> None:
    outside = {"pytest", "venv", "pip"}
    named = {name.rstrip(".") for name in found(r"python3? -m ([a-z_.]+)")} - outside
    missing = []
    for name in named - {"benchmarks"}:
        spec = importlib.util.find_spec(name)
        if spec is None or (spec.submodule_search_locations and not importlib.util.find_spec(f"{name}.__main__")):
            missing.append(name)
    assert not missing


@pytest.mark.parametrize("name", re.findall(r"(?m)^\| `([a-z_]+)` \|", PAGES["docs/benchmarks.md"]))
def test_every_benchmark_mentioned_exists(name: str) -> None:
    assert importlib.util.find_spec(f"benchmarks.{name}")


def test_every_training_command_mentioned_exists() -> None:
    from training.__main__ import COMMANDS

    assert not set(found(r"python -m training ([a-z][a-z-]*)")) - set(COMMANDS)


def test_every_option_mentioned_exists(capsys) -> None:
    dask_scheduler = pytest.importorskip("distributed.cli.dask_scheduler", reason="distributed is not installed")
    from distributed.cli import dask_worker

    from training.__main__ import COMMANDS, parse

    words = [sys.executable, "main.py", "--help"]
    declared = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=scaled(60), text=True, check=True).stdout
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            parse([command, "--help"])
    with pytest.raises(SystemExit):
        read_analyze_settings(["--help"], {})
    declared += capsys.readouterr().out
    files = [*(ROOT / "benchmarks").rglob("*.py"), ROOT / "tests" / "conftest.py"]
    declared += "".join(path.read_text(encoding="utf-8") for path in files)
    declared += " --no-deps --repo --create-namespace --generate-name --version --rm --image "  # of pip, helm, kubectl
    declared += " ".join(
        name
        for main in (dask_scheduler.main, dask_worker.main)
        for each in main.params
        for name in (*each.opts, *each.secondary_opts)
    )
    option = r"(?<![\w-])(--[a-z][a-z0-9-]*)"
    assert not set(found(option)) - set(re.findall(option, declared))


def test_every_function_of_the_architecture_page_is_in_the_module_it_names() -> None:
    named = re.findall(r"((?:`[\w.]+`(?:, | and )?)+)\s*\(?`([\w/]+\.py)`", PAGES["docs/architecture.md"])
    assert len(named) > 20
    missing = []
    for names, file in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        defined |= {
            f"{node.name}.{inner.name}"
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            for inner in node.body
            if isinstance(inner, ast.FunctionDef)
        }
        missing += [f"{name} in {file}" for name in re.findall(r"`([\w.]+)`", names) if name not in defined]
    assert not missing


def test_the_tree_of_the_architecture_page_has_every_module() -> None:
    tree = re.search(r"(?m)^    main\.py[\s\S]*?^$", PAGES["docs/architecture.md"])[0]
    missing = []
    for top in ("mien", "training", "web"):
        block = re.search(rf"(?m)^    {top}/[^\n]*\n(?:      [^\n]*\n)*", tree)[0]
        for path in sorted((ROOT / top).rglob("*.py")):
            folder = path.parent.name
            line = (
                re.search(rf"(?m)^ +{folder}/.*$", block) if folder != "mien" else re.search(r"(?m)^ +\*.py.*$", block)
            )
            if path.stem not in ("__init__", "__main__") and (
                line is None or path.stem not in re.findall(r"\w+", line[0])
            ):
                missing.append(str(path.relative_to(ROOT)))
    assert not missing
    listed = {name for line in tree.splitlines() for name in re.findall(r"^ +(\w+)/", line)}
    assert not [name for name in listed if not any(ROOT.glob(name)) and not any(ROOT.glob(f"*/{name}"))]


def test_the_page_of_the_interface_has_every_route(fake_camera) -> None:
    rules = create_app(fake_camera).url_map.iter_rules()
    pages = {
        "/",
        "/api",
        "/api/openapi.json",
        "/model-card",
        "/programs",
        "/sessions",
        "/sessions/<session>",
        "/static/<path:filename>",
    }
    routes = {
        f"{method} {openapi_path(rule.rule)}"
        for rule in rules
        if rule.rule not in pages
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert set(re.findall(r"(?m)^\| `((?:GET|POST|PUT|PATCH|DELETE) [^`?]+)", PAGES["docs/api.md"])) == routes


def test_the_readme_quotes_the_recorded_accuracy_of_the_shipped_network() -> None:
    figures = json.loads((ROOT / "docs" / "figures" / "six_layer.json").read_text(encoding="utf-8"))
    (shipped,) = (head for head in figures["heads"] if head["head"] == "as shipped")
    accuracy = shipped["votes"]["PrivateTest"]["accuracy"]
    expected = f"PrivateTest shows, the network says the same for {accuracy:.0%};".replace("%", " %")
    assert expected in " ".join(PAGES["README.md"].split())


def test_the_readme_fits_a_few_screens() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 130


def test_the_hooks_before_a_commit_are_the_checks_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"(?m)^check:.*\n((?:\t.*\n)+)", makefile)[1]
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    hooks = re.findall(r"(?m)^ +entry: (.*)$", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert hooks == checks


def test_the_citation_names_the_last_version_of_the_changelog() -> None:
    released = re.findall(r"(?m)^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"(?m)^version: (.*)$", citation)[1] == released[0]
