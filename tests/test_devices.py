import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.patience import scaled
from tests.synthetic import write_folders
from training.__main__ import main
from training.data.batches import Batches
from training.data.dataset import load_dataset

ROOT = Path(__file__).parent.parent

SCRIPT = """
import sys
from training.__main__ import main

data, runs = sys.argv[1:]
AUGMENTED = "--shear 0.1 --erase 0.2 --coarse 0.2 --gamma 0.2 --vertical-flip --mixup 0.2 --ema 0.5".split()
words = ["--data", data, "--network", "shallow", "--side-px", "32", "--batch-size", "16", "--epochs", "2"]
for devices in ("1", "4"):
    assert main([*words, "--devices", devices, "--run", f"{runs}/{devices}"]) == 0
files = ["--model", f"{runs}/4/model.json", "--weights", f"{runs}/4/model_weights.h5"]
words_on = ["--data", data, *files, "--batch-size", "16", "--epochs", "1", "--run", f"{runs}/tuned"]
assert main(["finetune", *words_on, "--self-distil", "0.5", "--pool-first", *AUGMENTED]) == 0
for devices in ("5", "3"):
    assert main([*words, "--devices", devices, "--run", f"{runs}/none"]) == 2
"""


def rows_of(path):
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax; in requirements-dev.txt")
def test_four_simulated_devices_train_as_one(tmp_path):
    data = write_folders(tmp_path / "data", train=8, public=3)
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0",  # compiles faster
    }
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(data), str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=scaled(300), check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "devices: expected 1 to 4 (cpu:0, cpu:1, cpu:2, cpu:3), found 5" in found.stderr
    assert "expected a multiple of the 3 devices, found 16" in found.stderr
    assert "accuracy on the validation images: " in found.stdout
    one, four = (rows_of(tmp_path / name / "history.csv") for name in ("1", "4"))
    assert len(one) == 2
    for row, other in zip(one, four, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("4", "expected 1, as Keras splits batches only on its jax backend, found 4 on"),
        ("all", "set KERAS_BACKEND=jax"),
        ("0", "expected all or a number from 1, found '0'"),
        ("many", "expected all or a number from 1, found 'many'"),
    ],
)
def test_invalid_devices_are_reported_in_one_line(devices, message, tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--devices", devices]) == 2
    assert message in capsys.readouterr().err


def test_batches_fill_every_device(tmp_path):
    split = load_dataset(write_folders(tmp_path, train=5)).train  # 35 images
    batches = Batches(split, 16, seed=0, multiple=4)
    assert [len(batches[i][0]) for i in range(len(batches))] == [16, 16]
    left_out = set(range(35)) - set(batches.order.tolist())
    batches.start_epoch(1)
    assert left_out != set(range(35)) - set(batches.order.tolist()), "others are left out in the next epoch"
    assert np.unique(batches.order).size == 32
