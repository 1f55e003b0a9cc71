"""The commands of `python -m training`, by name: modules with `add_options(parser)` and `run(options)`.

What `run` has as docstring stands in the help. They import Keras, so import them when its backend has started.
"""

from training.commands import calibrate, card, composites, masking, predict, search, teach
from training.evaluate import evaluate
from training.fit import finetune, train

COMMANDS = {
    "train": train,
    "teach": teach,
    "finetune": finetune,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "predict": predict,
    "card": card,
    "search": search,
    "masking": masking,
    "composites": composites,
}
