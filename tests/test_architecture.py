"""Which package may import which (entry points, then web and the topics of mien, then the shared types)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENTRY_POINTS = {"main", "camera", "model"}
FORBIDDEN = {
    "mien": ENTRY_POINTS | {"web", "training", "benchmarks", "flask"},
    "web": {"cv2", "keras", "tensorflow", "training", "camera", "model", "main", "benchmarks"},
    "training": {"tensorflow", "torch", "jax", "flask", "camera", "main", "web", "benchmarks"},
    "model.py": {"flask", "camera", "main", "web", "training", "benchmarks"},
    "camera.py": {"flask", "main", "web", "training", "benchmarks"},
    "main.py": {"training", "benchmarks"},
}
TOPICS = (
    ("__main__", "public"),
    ("queue",),
    ("outputs", "batch"),
    ("settings", "results"),
    ("stream", "reading_check"),
    ("recording", "sources", "analysis"),
    ("detectors", "landmarks"),
    ("cnn",),
    ("images",),
    ("options",),
    ("labels", "addresses"),
    ("types", "errors", "clock", "loading", "process", "app", "filetypes", "names", "json_text", "masking"),
)
"""The topics of mien/, from the top down: each imports only those below it."""
FOR_WEB = {"mien.types", "mien.errors", "mien.names", "mien.addresses", "mien.stream.latest"}
"""All that web/ imports from mien/, except for annotations."""


def imports_of(path, annotations=True):
    """Full names of all imported modules except relative ones; without annotations: not those for type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = [
        inner
        for node in ast.walk(tree)
        if not annotations and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    ]
    names = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def top(names):
    return {name.split(".")[0] for name in names}


def topic_of(path):
    return path.relative_to(ROOT / "mien").parts[0].removesuffix(".py")


def files_of(part):
    path = ROOT / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_module_imports_only_what_it_may(part):
    files = files_of(part)
    assert files
    broken = {
        str(path.relative_to(ROOT)): found
        for path in files
        # The Python API returns a VideoCamera, which it loads from its file: only the name is imported.
        if (found := top(imports_of(path, annotations=path.name != "public.py")) & FORBIDDEN[part])
    }
    assert not broken


def test_topics_import_only_those_below_them():
    level = {topic: number for number, topics in enumerate(TOPICS) for topic in topics}
    broken = []
    for path in files_of("mien"):
        here = topic_of(path)
        if here == "__init__":
            continue
        for name in imports_of(path):
            package, _, rest = name.partition(".")
            there = rest.split(".")[0]
            if package == "mien" and there not in ("", here) and level[there] <= level[here]:
                broken.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not broken


def test_the_web_package_imports_only_the_shared_types():
    broken = {
        str(path.relative_to(ROOT)): found
        for path in files_of("web")
        if (found := {name for name in imports_of(path, annotations=False) if name.split(".")[0] == "mien"} - FOR_WEB)
    }
    assert not broken


def test_the_shared_types_import_only_numpy():
    outside = imports_of(ROOT / "mien" / "types.py") - {"__future__", "collections.abc", "dataclasses", "typing"}
    assert outside == {"numpy"}
    assert imports_of(ROOT / "mien" / "errors.py") == {"__future__"}


def test_nothing_imports_main():
    parts = ("mien", "web", "training", "benchmarks", "camera.py", "model.py")
    assert not [path for part in parts for path in files_of(part) if "main" in top(imports_of(path))]


def test_requirements_are_pinned_with_a_reason():
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r")):
                assert "==" in line.split("#")[0], line
                assert line.partition("  #")[2].strip(), f"{line}: no reason"


def test_no_package_is_pinned_to_two_versions():
    pins = {}
    for path in sorted(ROOT.glob("requirements*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, version = re.split("[;#]", line)[0].partition("==")
            if version:
                pins.setdefault(name.strip(), set()).add(version.strip())
    assert len(pins) > 20
    assert not {name: found for name, found in pins.items() if len(found) > 1}


def test_lite_needs_no_more_than_the_whole_and_none_of_the_large_packages():
    def names(file):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        return {line.partition("==")[0] for line in lines if line and not line.startswith("#")}

    lite, whole = names("requirements-lite.txt"), names("requirements.txt")
    assert lite < whole
    assert whole - lite == {"tensorflow-cpu", "tensorflow", "keras", "h5py", "av"}


def test_the_running_program_needs_no_notebook_or_test_tool():
    running = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    assert not [word for word in ("jupyter", "livelossplot", "matplotlib", "pytest", "selenium") if word in running]
