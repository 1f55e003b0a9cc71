"""train.ipynb runs from top to bottom on a small data set, and is committed without what it shows."""

import ast
import re
from pathlib import Path

import pytest

from tests.patience import scaled
from tests.synthetic import write_folders

nbformat = pytest.importorskip("nbformat", reason="runs the notebook; in requirements-notebook.txt")
nbclient = pytest.importorskip("nbclient", reason="runs the notebook; in requirements-notebook.txt")

ROOT = Path(__file__).parent.parent


@pytest.fixture
def notebook():
    return nbformat.read(ROOT / "train.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_committed_without_outputs(notebook):
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_parameters_come_first_and_cells_are_short_and_define_nothing(notebook):
    first = notebook.cells[0]
    assert first.metadata["tags"] == ["parameters"]
    for cell in code_cells(notebook):
        source = re.sub(r"(?m)^( *)%.*", r"\1pass", cell.source)
        assert len(source.splitlines()) <= 20
        defined = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        assert not defined


def test_its_parts_stand_in_their_order(notebook):
    titles = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    parts = [title.split(". ")[1] for title in titles if title.startswith("## ")]
    assert parts == [
        "Explore",
        "Batches",
        "The network",
        "Sanity checks",
        "Train",
        "Evaluate",
        "What the network sees",
        "Export",
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's client, about itself
def test_it_runs_headless_and_exports_what_the_program_loads(notebook, tmp_path):
    run, data = tmp_path / "run", write_folders(tmp_path / "data", train=8)
    for image in data.glob("test/*/*"):
        image.rename(image.with_name(f"my_{image.name}"))  # the harder case: nothing is named as FER-2013 names it
    parameters = {
        "DATA": str(data),
        "NETWORK": "shallow",
        "EPOCHS": 2,
        "BATCH_SIZE": 28,
        "SIDE_PX": 32,
        "RUN": str(run),
        "COMPARE": [str(run)],
        "INSTALL": False,
    }
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    notebook.cells.insert(1, nbformat.v4.new_code_cell(source))
    nbclient.NotebookClient(notebook, timeout=round(scaled(300)), resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    printed = "".join(output.get("text", "") for output in outputs)
    assert len(pictures) >= 10
    assert "loss before training" in printed
    assert "largest difference between the outputs" in printed
    assert (run / "model_weights.h5").is_file()
    assert len((run / "history.csv").read_text().splitlines()) == 3
