"""train.ipynb runs from top to bottom on a small data set, and is committed without outputs."""

import ast
import re
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from mien.types import EXPRESSIONS
from tests.patience import PATIENCE_S, scaled
from tests.synthetic import write_folders
from tests.votes_table import agreed, write_votes

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


def test_parameters_come_first_and_cells_are_short_and_only_the_web_app_defines_functions(notebook):
    first = notebook.cells[0]
    assert first.metadata["tags"] == ["parameters"]
    defined = []
    for cell in code_cells(notebook):
        source = re.sub(r"(?m)^( *)%.*", r"\1pass", cell.source)
        assert len([line for line in source.splitlines() if line]) <= 20
        nodes = ast.walk(ast.parse(source))
        defined += [node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert defined == ["page", "video", "parts"]


def test_the_web_app_has_fifteen_lines(notebook):
    (app,) = (cell.source for cell in code_cells(notebook) if "@app.get" in cell.source)
    assert len([line for line in app.splitlines() if line]) == 15


def test_its_sections_are_in_order(notebook):
    titles = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    parts = [title.removeprefix("## ") for title in titles if title.startswith("## ")]
    assert parts == [
        "1. Explore",
        "2. Batches",
        "3. The network",
        "4. Sanity checks",
        "5. Train",
        "6. Evaluate",
        "7. Who is right?",
        "8. What the network sees",
        "9. Export",
        "10. Predict on a webcam or a clip",
        "11. Serve it with Flask in fifteen lines",
    ]


def test_every_picture_is_introduced_by_text(notebook):
    explained = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            explained = True
        elif re.search(r"\bplots\.(?!surest)|\bImage\(", cell.source):
            assert explained, cell.id
            explained = False


@pytest.fixture
def small(tmp_path):
    """Data, votes that disagree with the folder for every second image, and parameters for a short run."""
    data = write_folders(tmp_path / "data", train=8)
    for image in data.glob("test/*/*"):
        image.rename(image.with_name(f"my_{image.name}"))  # the harder case: no file is named as in FER-2013
    rows = []
    for i, image in enumerate(sorted(data.glob("*/*/*"))):
        split, folder = "Training" if image.parts[-3] == "train" else "PrivateTest", image.parent.name
        seen = EXPRESSIONS[(EXPRESSIONS.index(folder) + i % 2) % len(EXPRESSIONS)]
        rows.append((split, folder, image.name, agreed(seen)))
    return {
        "DATA": str(data),
        "VOTES": str(write_votes(tmp_path / "votes.csv", rows)),
        "NETWORK": "shallow",
        "EPOCHS": 2,
        "BATCH_SIZE": 28,
        "SIDE_PX": 32,
        "RUN": str(tmp_path / "run"),
        "COMPARE": [str(tmp_path / "run" / "history.csv"), str(tmp_path / "none.csv")],
        "SOURCE": "demo",
        "INSTALL": False,
    }


class Kernel:
    """Runs a notebook's cells and keeps their outputs."""

    def __init__(self, notebook):
        self.notebook = notebook
        patience = {"timeout": round(scaled(300)), "startup_timeout": round(scaled(60))}
        patience["iopub_timeout"] = round(PATIENCE_S)  # for what a cell has shown until it ended
        self.client = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(ROOT)}}, **patience)

    def run(self, cells, **parameters):
        """What the cells print and how many pictures they show, after setting the parameters."""
        setting = nbformat.v4.new_code_cell("\n".join(f"{name} = {value!r}" for name, value in parameters.items()))
        self.notebook.cells.append(setting)
        defaults = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        cells = [*defaults, setting, *(cell for cell in cells if cell not in defaults)]
        for cell in cells:
            if cell.cell_type == "code":
                self.client.execute_cell(cell, self.notebook.cells.index(cell))
        outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
        pictures = [output for output in outputs if {"image/png", "image/jpeg"} & set(output.get("data", {}))]
        return "".join(output.get("text", "") for output in outputs), len(pictures)

    def between(self, first, last):
        """The cells from the chapter `first` up to, but without, the chapter `last`."""
        starts = {
            int(found[1]): i
            for i, cell in enumerate(self.notebook.cells)
            if cell.cell_type == "markdown" and (found := re.match(r"## (\d+)\.", cell.source))
        }
        return self.notebook.cells[starts[first] : starts[last]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from Jupyter's client, about itself
def test_the_notebook_runs_headless_exports_a_loadable_network_and_serves_it(notebook, small):
    run = Path(small["RUN"])
    kernel = Kernel(notebook)
    with kernel.client.setup_kernel():
        printed, pictures = kernel.run(list(notebook.cells), **small)
        assert pictures >= 15
        for expected in (
            "the same 31 layers",
            "loss before training",
            "none.csv is missing",
            "largest difference between the outputs",
            "PrivateTest: votes for 28 of 28 images",
            "50.0% of the folders' labels are what most people see",
            "right by people",
            "Demo",
        ):
            assert expected in printed, printed
        assert re.search(r"faces in \d+x\d+ pixels: [1-9]", printed), printed
        assert (run / "model_weights.h5").is_file()
        assert len((run / "history.csv").read_text().splitlines()) == 3
        check_that_it_serves(re.search(r"http://127\.0\.0\.1:\d+", printed)[0])
        printed, pictures = kernel.run(kernel.between(6, 9), VOTES=str(run / "none.csv"), USE_SHIPPED=False)
        assert f"no votes at {run / 'none.csv'}" in printed
        assert "head: the only one" in printed
        assert pictures >= 7


def check_that_it_serves(address):
    """Check that the page contains the stream, and the stream two JPEGs, each followed by its boundary."""
    with urlopen(address, timeout=PATIENCE_S) as page:
        assert b'<img src="/video"' in page.read()
    with urlopen(f"{address}/video", timeout=PATIENCE_S) as stream:
        assert stream.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        received = b""
        while received.count(b"\r\n--frame\r\n") < 2:
            received += stream.read1(1 << 16)
    for part in received.split(b"--frame\r\n")[1:3]:
        headers, _, jpeg = part.partition(b"\r\n\r\n")
        assert headers == b"Content-Type: image/jpeg"
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) is not None
