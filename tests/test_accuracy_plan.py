"""The commands of docs/accuracy.md are valid as written."""

import re
import shlex
from pathlib import Path

import pytest

from training.__main__ import parse
from training.options import recipe_of

TEXT = (Path(__file__).parent.parent / "docs" / "accuracy.md").read_text(encoding="utf-8").replace("\\\n", " ")
for name in ("COMMON", "SHORT"):
    TEXT = TEXT.replace(f"${name}", re.search(rf'{name}="([^"]*)"', TEXT)[1])
COMMANDS = re.findall(r"python -m training (.*)", TEXT.replace("$seed", "1"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_plan_parses(command):
    options = parse(shlex.split(command))
    if options.command in ("train", "teach"):
        recipe = recipe_of(options)
        assert recipe.network in ("six_layer", "resnet18", "vgg10")
        assert recipe.mixup > 0
        assert recipe.ema > 0


def test_the_plan_compares_students_with_a_control_of_the_same_length():
    plan = [parse(shlex.split(command)) for command in COMMANDS]
    trained = [options for options in plan if options.command == "train" and options.seed == 1]
    student, control = (next(o for o in trained if bool(o.teacher_folders) == taught) for taught in (True, False))
    assert len(student.teacher_folders) == 5
    differing = {name for name, value in vars(student).items() if value != getattr(control, name)}
    assert differing == {"run", "teacher_folders"}
    assert {options.network for options in plan if options.command == "teach"} == {"resnet18", "vgg10"}
