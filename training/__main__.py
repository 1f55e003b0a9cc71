"""`python -m training`: train, evaluate and export from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mien.expressions import MienError
from mien.keras_files import import_keras

if TYPE_CHECKING:
    from training.dataset import Dataset
    from training.recipe import Recipe

RECIPE_HELP = {
    "network": "six_layer, elu, shallow or hybrid_lbp",
    "side_px": "side of the square input in pixels, 32 to 350",
    "optimizer": "adamw, adam, sgd (with Nesterov momentum) or rmsprop",
    "schedule": "of the learning rate: cosine, plateau or constant",
    "early_stop": "end after so many epochs without a better validation accuracy, 0 for never",
    "weight_decay": "of adamw and sgd",
    "l2": "weight of the squared weights in the loss",
    "pixels": "what the network does to pixels first: scale, mean_image (subtract it) or standardize (each image)",
    "balance": "help for rare expressions: none, weights (in the loss) or sampling (draw all as often)",
    "rotation_deg": "largest rotation in degrees",
    "shift": "largest shift as a share of the side",
    "scale": "largest zoom in or out as a share",
    "shear": "largest slide of top against bottom as a share of the height",
    "contrast": "largest change of contrast as a share",
    "erase": "share of images that lose a rectangle",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 with one line of explanation for a user's mistake."""
    import_keras()  # first, so that its backend starts without notes
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help")):
        words.insert(0, "train")
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure Mien's networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (add_options, _) in COMMANDS.items():
        add_options(commands.add_parser(name, help=COMMANDS[name][1].__doc__))
    options = parser.parse_args(words)
    try:
        COMMANDS[options.command][1](options)
    except MienError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    return 0


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/, or a Kaggle CSV")
    parser.add_argument("--run", type=Path, default=Path("runs/default"), help="checkpoints; the same folder resumes")
    parser.add_argument(
        "--export", type=Path, help="where model.json and model_weights.h5 go (default: the run's folder)"
    )
    _recipe_options(parser)


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    from training.recipe import Recipe

    for setting in dataclasses.fields(Recipe):
        option = "--" + setting.name.replace("_", "-")
        if setting.type == "bool":
            text = f"{setting.name.replace('_', ' ')} (%(default)s)"
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=setting.default, help=text)
        else:
            kind = {"int": int, "float": float, "str": str}[str(setting.type)]
            text = RECIPE_HELP.get(setting.name, setting.name.replace("_", " "))
            parser.add_argument(option, type=kind, default=setting.default, help=f"{text} (%(default)s)")


def _train(options: argparse.Namespace) -> None:
    """fit a network, keep the best on the validation images, export it"""
    from training.dataset import load_dataset
    from training.export import export
    from training.recipe import fit

    recipe = _recipe_of(options)
    dataset = load_dataset(options.data, side_px=recipe.side_px, seed=recipe.seed)
    _report_data(dataset)
    network = fit(recipe, dataset, options.run)
    model_file, weights_file = export(network, options.export or options.run)
    print(f"wrote {model_file} and {weights_file}")


def _recipe_of(options: argparse.Namespace) -> Recipe:
    from training.recipe import Recipe

    return Recipe(**{setting.name: getattr(options, setting.name) for setting in dataclasses.fields(Recipe)})


def _search_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with train/, or a Kaggle CSV")
    parser.add_argument("--run", type=Path, default=Path("runs/search"), help="results; the same folder resumes")
    parser.add_argument("--folds", type=int, default=3, help="parts of the training images (%(default)s)")
    parser.add_argument(
        "--grid", nargs="+", required=True, metavar="NAME=VALUE,...", help="fields of the recipe with their values"
    )
    _recipe_options(parser)


def _search(options: argparse.Namespace) -> None:
    """compare recipes by cross-validation over the training images; prints a table, saves it and a plot"""
    from training.dataset import load_dataset
    from training.search import as_table, parse_grid, search

    base, grid = _recipe_of(options), parse_grid(options.grid)
    dataset = load_dataset(options.data, side_px=base.side_px, seed=base.seed)
    _report_data(dataset)
    results = search(base, grid, dataset.train, options.run, count=options.folds)
    print(as_table(results))
    print(f"wrote search.json, search.md and search.png in {options.run}")


def _report_data(dataset: Dataset) -> None:
    print(f"{len(dataset.train)} images to train, {len(dataset.validation)} to validate, {len(dataset.test)} to test")
    if dataset.skipped:
        print(f"skipped {len(dataset.skipped)} that can not be read:")
        for line in dataset.skipped[:20]:
            print(f"  {line}")
        if len(dataset.skipped) > 20:
            print(f"  and {len(dataset.skipped) - 20} more")


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/, or a Kaggle CSV")
    parser.add_argument("--model", type=Path, default=Path("model.json"))
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/evaluation"), help="folder for JSON, Markdown and plots (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--card", type=Path, help="put the figures into this model card, between its markers")


def _evaluate(options: argparse.Namespace) -> None:
    """print and save accuracy, macro-F1, calibration, confusion and costs of an exported network"""
    from model import FacialExpressionModel
    from training.costs import measure
    from training.dataset import load_dataset
    from training.evaluation import evaluate
    from training.report import Report, trained_epochs, write_into_card

    model = FacialExpressionModel(options.model, options.weights)
    dataset = load_dataset(options.data, side_px=model.input_size_px[0])
    _report_data(dataset)
    report = Report(
        evaluate(model.predict, dataset, flip=True), costs=measure(model), epochs=trained_epochs(options.model)
    )
    print(report.as_markdown())
    print("wrote " + ", ".join(str(path) for path in report.write(options.out)))
    if options.json:
        report.write_json(options.json)
    if options.card:
        write_into_card(options.card, report.as_markdown())


def _card_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("figures", type=Path, nargs="+", help="evaluation.json of one network, or of several")
    parser.add_argument("--card", type=Path, help="put the text into this model card, between its markers")


def _card(options: argparse.Namespace) -> None:
    """print the figures of one evaluation.json, or several networks in one table, for the model card"""
    from training.report import CARD_BEGIN, CARD_END, TABLE_BEGIN, TABLE_END, Report, comparison, write_into_card

    reports = [Report.read_json(path) for path in options.figures]
    alone = len(reports) == 1
    text = reports[0].as_markdown() if alone else comparison(reports)
    print(text)
    if options.card:
        write_into_card(options.card, text, *((CARD_BEGIN, CARD_END) if alone else (TABLE_BEGIN, TABLE_END)))


def _masking_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/, or a Kaggle CSV")
    parser.add_argument("--model", type=Path, default=Path("model.json"))
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"))
    parser.add_argument("--images", type=int, default=1500, help="how many validation images (%(default)s)")


def _masking(options: argparse.Namespace) -> None:
    """test Grad-CAM: hide the pixels it rates highest, or others, and print what the label loses"""
    import numpy as np

    from mien.explain import GradCam
    from model import FacialExpressionModel
    from training.dataset import load_dataset
    from training.masking import as_text, masking_drops

    model = FacialExpressionModel(options.model, options.weights)
    validation = load_dataset(options.data, side_px=model.input_size_px[0]).validation
    chosen = np.random.default_rng(0).permutation(len(validation))[: options.images]

    def explain(cam: GradCam, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return cam(model.as_input(images[..., 0]), np.take(model.output_order, labels))

    cam, plain = (partial(explain, GradCam(model.network, plain=plain)) for plain in (False, True))
    print(as_text(masking_drops(model.predict, cam, validation.images[chosen], plain=plain)))


def _composites_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and test/, or a Kaggle CSV")
    parser.add_argument("--model", type=Path, default=Path("model.json"))
    parser.add_argument("--weights", type=Path, default=Path("model_weights.h5"))
    parser.add_argument("--out", type=Path, default=Path("mien/demo_faces.png"))


def _composites(options: argparse.Namespace) -> None:
    """compute the seven average faces of the built-in demo from the training images"""
    from model import FacialExpressionModel
    from training.composites import composite_sheet, write_sheet
    from training.dataset import load_dataset

    network = FacialExpressionModel(options.model, options.weights)
    dataset = load_dataset(options.data, side_px=network.input_size_px[0])
    write_sheet(composite_sheet(dataset.train, network.predict), options.out)
    print(f"wrote {options.out}")


COMMANDS = {
    "train": (_train_options, _train),
    "evaluate": (_evaluate_options, _evaluate),
    "card": (_card_options, _card),
    "search": (_search_options, _search),
    "masking": (_masking_options, _masking),
    "composites": (_composites_options, _composites),
}

if __name__ == "__main__":
    sys.exit(main())
