"""`python -m training evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.detectors import DETECTORS, create_detector
from mien.errors import ModelError
from model import FacialExpressionModel
from training.data.dataset import Split, load_dataset
from training.evaluate.costs import measure
from training.evaluate.frames import FACES, EndToEnd, end_to_end
from training.evaluate.metrics import compared, evaluate, regressions, same_sets
from training.evaluate.report import Report, around, write_into_card
from training.export import read_origin
from training.options import add_data, add_network, report_data, square_model, warn_of_known_images


def add_options(parser: argparse.ArgumentParser) -> None:
    """Data, network, and where the figures go."""
    add_data(parser)
    add_network(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/evaluation"), help="folder for JSON, Markdown and plots (%(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, help="also write the figures here, such as docs/figures/NAME.json, and NAME.png beside it"
    )
    parser.add_argument("--check", action="store_true", help="fail where the figures are worse than the recorded ones")
    recorded = "figures to compare with (%(default)s); the shipped network always is"
    parser.add_argument("--recorded", type=Path, default=Path("docs/figures/six_layer.json"), help=recorded)
    parser.add_argument("--end-to-end", action="store_true", help="also show faces in frames and find them, slower")
    parser.add_argument("--faces", type=int, help=f"for it, of each size, at most ({FACES})")
    parser.add_argument("--detector", nargs="+", choices=DETECTORS, help="for it (haar)")
    parser.add_argument("--detector-model", type=Path, help="the file of yunet")
    parser.add_argument("--card", type=Path, help="put the figures into this model card, between its markers")


def run(options: argparse.Namespace) -> None:
    """print and save accuracy, macro-F1, calibration, confusion and costs of an exported network"""
    if not options.end_to_end and (options.faces or options.detector or options.detector_model):
        raise ModelError("--faces, --detector and --detector-model: expected --end-to-end with them, found none")
    if options.faces is not None and options.faces < 1:
        raise ModelError(f"--faces: expected 1 or more, found {options.faces}")
    model, side_px = square_model(options)
    shipped = (options.model, options.weights) == (Path("model.json"), Path("model_weights.h5"))
    recorded = Report.read_json(options.recorded) if options.check or (shipped and options.recorded.is_file()) else None
    if options.card:
        around(options.card)  # complains before anything is measured
    dataset = load_dataset(options.data, side_px=side_px)
    report_data(dataset)
    warn_of_known_images(dataset)
    recipe, epochs = read_origin(options.model)
    frames = in_frames(options, model, dataset.test) if options.end_to_end else ()
    report = Report(evaluate(model.predict, dataset, flip=True), measure(model), epochs, recipe, frames)
    print(report.as_markdown())
    if recorded and (options.check or same_sets(report.sets, recorded.sets)):
        print(f"beside {options.recorded}: {compared(report.sets, recorded.sets)}")
    print("wrote " + ", ".join(str(path) for path in report.write(options.out)))
    if options.json:
        report.write_json(options.json)
        report.write_reliability(options.json.with_suffix(".png"))
    if options.card:
        write_into_card(options.card, report.as_markdown())
    if options.check and recorded and (worse := regressions(report.sets, recorded.sets)):
        raise ModelError(f"worse than {options.recorded}: " + "; ".join(worse))


def in_frames(options: argparse.Namespace, model: FacialExpressionModel, faces: Split) -> tuple[EndToEnd, ...]:
    """The end-to-end figures of each detector asked for. Raises ModelError where there are no faces to show."""
    if not len(faces):
        raise ModelError("--end-to-end: expected test images, found none")
    results = []
    for name in options.detector or ["haar"]:
        file = options.detector_model if name in ("yunet", "auto") else None
        results += end_to_end(create_detector(name, model_file=file), model, faces, faces=options.faces or FACES)
    return tuple(results)
