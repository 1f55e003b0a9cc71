"""Choosing another detector while the program runs."""

import importlib.metadata
import importlib.util
import sys
import threading
from types import SimpleNamespace

import pytest

from mien.analysis.detector_switch import DetectorSwitch, available_detectors
from mien.batch import provenance
from mien.detectors import DETECTORS
from mien.detectors.centerface import installed_file
from mien.errors import DetectorError
from mien.settings import AnalysisSettings
from tests.patience import PATIENCE_S


class Made:
    """Makes detectors that only have a name, and lists which it made; "broken" cannot be made."""

    def __init__(self):
        self.names = []

    def __call__(self, name):
        if name == "broken":
            raise DetectorError("expected a whole file, found half of one")
        self.names.append(name)
        return SimpleNamespace(name=name)


@pytest.fixture
def pipeline():
    return SimpleNamespace(detector=SimpleNamespace(name="auto"))


def switch_of(pipeline, make):
    return DetectorSwitch("auto", ("auto", "haar", "dlib", "broken"), lambda: pipeline, make)


def test_each_detector_is_made_when_it_is_first_chosen_and_kept(pipeline):
    make, first = Made(), pipeline.detector
    switch = switch_of(pipeline, make)
    assert make.names == []
    for name in ("haar", "auto", "haar", "dlib", "auto"):
        switch.switch(name)
        assert pipeline.detector.name == switch.current == name
    assert make.names == ["haar", "dlib"]
    assert pipeline.detector is first


@pytest.mark.parametrize(("name", "message"), [("broken", "half of one"), ("magic", "auto or haar or dlib or broken")])
def test_a_detector_that_cannot_be_had_leaves_the_previous_one(pipeline, name, message):
    switch = switch_of(pipeline, Made())
    with pytest.raises(DetectorError, match=message) as error:
        switch.switch(name)
    assert "\n" not in str(error.value)
    assert pipeline.detector.name == switch.current == "auto"


def test_while_a_detector_is_made_the_previous_one_goes_on(pipeline):
    making, go_on = threading.Event(), threading.Event()

    def make(name):
        making.set()
        assert go_on.wait(PATIENCE_S)
        return SimpleNamespace(name=name)

    switch = switch_of(pipeline, make)
    thread = threading.Thread(target=switch.switch, args=("haar",))
    thread.start()
    assert making.wait(PATIENCE_S)
    assert pipeline.detector.name == switch.current == "auto"
    go_on.set()
    thread.join(PATIENCE_S)
    assert pipeline.detector.name == "haar"


def test_only_what_is_installed_is_available(monkeypatch):
    assert [name for name in DETECTORS if name in available_detectors("yunet.onnx")] == available_detectors(
        "yunet.onnx"
    )
    assert "yunet" not in available_detectors()
    assert ("centerface" in available_detectors()) == (installed_file() is not None)

    def nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", nothing)
    for package in ("dlib", "mtcnn"):
        monkeypatch.setitem(sys.modules, package, None)
    assert available_detectors() == ["haar"]
    assert available_detectors("yunet.onnx") == ["auto", "haar", "yunet"]


@pytest.mark.parametrize("tensorflow", [True, False])
def test_mtcnn_is_available_where_tensorflow_is_installed_too(monkeypatch, tensorflow):
    installed = {"mtcnn": True, "tensorflow": tensorflow or None}
    monkeypatch.setattr(importlib.util, "find_spec", installed.get)
    assert ("mtcnn" in available_detectors()) == tensorflow


@pytest.mark.parametrize(
    ("name", "network"),
    [("haar", None), ("centerface", "centerface.onnx"), ("auto", "yunet.onnx"), ("yunet", "yunet.onnx")],
)
def test_a_recording_names_the_network_of_the_detector_in_use(monkeypatch, tmp_path, name, network):
    for file in ("centerface.onnx", "yunet.onnx"):
        (tmp_path / file).write_bytes(file.encode())
    monkeypatch.setattr(provenance.centerface, "installed_file", lambda: tmp_path / "centerface.onnx")
    pipeline = SimpleNamespace(
        detector=SimpleNamespace(name=name), classifier=SimpleNamespace(adjustment=None), rare=None
    )
    described = provenance.describe(AnalysisSettings(detector_model=tmp_path / "yunet.onnx"), pipeline)
    assert [file for file in described["detector"]["sha256"] if file.endswith(".onnx")] == [network] * bool(network)


def test_a_detector_that_hangs_is_replaced_by_a_new_one_of_its_kind(pipeline):
    make, hung = Made(), pipeline.detector
    switch = switch_of(pipeline, make)
    switch.renew()
    assert make.names == ["auto"]
    assert pipeline.detector is not hung
    renewed = pipeline.detector
    switch.switch("haar")
    switch.switch("auto")
    assert pipeline.detector is renewed
