"""Who may import whom (doors -> parts -> vocabulary), kept by reading the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOORS = {"main", "camera", "model"}
FORBIDDEN = {
    "mien": DOORS | {"web", "training", "benchmarks", "flask"},
    "web": {"cv2", "keras", "tensorflow", "training", "camera", "model", "main", "benchmarks"},
    "training": {"tensorflow", "torch", "jax", "flask", "camera", "main", "web", "benchmarks"},
    "model.py": {"flask", "camera", "main", "web", "training", "benchmarks"},
    "camera.py": {"flask", "main", "web", "training", "benchmarks"},
    "main.py": {"training", "benchmarks"},
}


def imports_of(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def files_of(room):
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room):
    files = files_of(room)
    assert files
    broken = {str(path.relative_to(ROOT)): found for path in files if (found := imports_of(path) & FORBIDDEN[room])}
    assert not broken


def test_the_vocabulary_imports_numpy_alone():
    outside = imports_of(ROOT / "mien" / "types.py") - {"__future__", "collections", "dataclasses", "typing"}
    assert outside == {"numpy"}
    assert imports_of(ROOT / "mien" / "errors.py") == {"__future__"}


def test_nothing_imports_main():
    rooms = ("mien", "web", "training", "benchmarks", "camera.py", "model.py")
    assert not [path for room in rooms for path in files_of(room) if "main" in imports_of(path)]


def test_requirements_are_pinned_and_say_why():
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r")):
                assert "==" in line.split("#")[0], line
                assert line.partition("  #")[2].strip(), f"{line}: says not why"


def test_the_running_program_needs_no_notebook_or_test_tool():
    running = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    assert not [word for word in ("jupyter", "livelossplot", "matplotlib", "pytest", "selenium") if word in running]
