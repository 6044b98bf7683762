"""The options of `simdrop train` and `simdrop sweep`: their names, ranges, defaults and help."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import InputError
from .presets import PRESETS
from .settings import Settings

DESCRIPTION = """\
Train the same net twice, from the same initial weights and on the same batches: without
dropout and with it. Ends with a table of both nets' errors and a picture of their curves.

Without --data it learns scikit-learn's 1797 handwritten digits (8 x 8 pixels), in seconds.
"""

EPILOG = """\
examples:
  simdrop train
  simdrop train --hidden 1024,1024 --p 0.4 --seed 7 --out curves.pdf
  simdrop train --data mnist.npz --epochs 10
  simdrop train --data mnist.npz --preset mnist-maxnorm --checkpoint run.npz --resume
  simdrop train --data folder-with-the-four-idx-files-of-MNIST/

The same seed gives the same numbers on every run, apart from the seconds.
exit codes: 0 done, 1 the training diverged or the last checkpoint could not be written,
2 bad input, 130 interrupted (with a checkpoint, SIGTERM gives 143).
"""

MOST_UNITS = 10**6  # whatever is beyond is a slip of the keyboard
EPOCHS = {"digits": 60, "data": 20}
SCHEDULES = ("linear", "constant")
RATES = {"sgd": 0.05, "adam": 0.001}

# Of `Settings`, where neither an option nor a preset gives a value; epochs and lr: see above.
DEFAULTS: dict[str, Any] = {
    "hidden": (800, 800),
    "activation": "relu",
    "dropout": "elementwise",
    "p": 0.5,
    "p_input": 0.1,
    "activity_l1": 0.0,
    "only": "both",
    "batch_size": 64,
    "optimizer": "sgd",
    "lr_schedule": "linear",
    "momentum": 0.9,
    "nesterov": False,
    "l2": 0.0,
    "l1": 0.0,
    "max_norm": None,
    "validation": 0.2,
    "seed": 0,
}


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is written: by the clock, or by the number of batches."""

    seconds: float = math.inf
    steps: float = math.inf


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop train` to its parser.

    Those of `Settings` are in the result only if they are given.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    probability = number("from 0 to 1", lambda p: 0 <= p <= 1)
    data = add_data(parser)
    setting(
        data,
        "validation",
        "part of the training set held out for the validation curve, 0 for nothing; the test set "
        "is used once, at the end",
        metavar="FRACTION",
        type=number("from 0 to below 1", lambda f: 0 <= f < 1),
    )
    net = add_net(parser)
    setting(net, "p", "probability of dropping a hidden unit", metavar="P", type=probability)
    setting(net, "p_input", "probability of dropping an input", metavar="P", type=probability)
    setting(
        net,
        "only",
        "train the net with dropout alone, or the one without",
        choices=("both", "with", "without"),
    )
    add_training(parser)

    checkpoint = parser.add_argument_group("checkpoints")
    checkpoint.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=Path,
        help="write all that the training needs to go on to this file, again and again, at the end "
        "and when interrupted",
    )
    checkpoint.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=every,
        help="seconds (90 or 90s), or batches (500steps) (default: 60s)",
    )
    checkpoint.add_argument(
        "--resume",
        action="store_true",
        help="go on from the file of --checkpoint, bit for bit as if never interrupted; from the "
        "start if there is none",
    )

    output = add_output(parser, "the picture", "simdrop-train.png")
    output.add_argument(
        "--results",
        metavar="FILE",
        type=Path,
        help="write settings, errors, curves and seconds to this file, as JSON",
    )


SWEEP_DESCRIPTION = """\
Compare probabilities of dropping by k-fold cross-validation on the training set: each pair of
--p and --p-input trains k nets, each without one k-th of the examples, on which its error is
measured. The test set is not used. Ends with a table of the mean errors and a heat map.
"""

SWEEP_EPILOG = """\
examples:
  simdrop sweep --hidden 100 --epochs 20
  simdrop sweep --data mnist.npz --p 0.3,0.5 --p-input 0,0.2 --folds 3 --results mnist.jsonl

The same line goes on where an interrupted sweep stopped, and --p and --p-input may then be others.
exit codes: 0 done, 1 the results could not be written, 2 bad input, 130 interrupted.
"""


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop sweep` to its parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    data = add_data(parser)
    data.add_argument(
        "--folds",
        metavar="K",
        type=whole(2),
        default=5,
        help="parts of the training set, each held out once (default: %(default)s)",
    )
    net = add_net(parser)
    for flag, dest, default, what in (
        ("--p", "ps", (0.0, 0.25, 0.5, 0.75), "dropping a hidden unit"),
        ("--p-input", "p_inputs", (0.0, 0.1, 0.2), "dropping an input"),
    ):
        net.add_argument(
            flag,
            dest=dest,
            metavar="P,P,...",
            type=probabilities,
            default=default,
            help=f"probabilities of {what} (default: {','.join(f'{p:g}' for p in default)})",
        )
    add_training(parser)
    output = add_output(parser, "the heat map", "simdrop-sweep.png")
    output.add_argument(
        "--results",
        metavar="FILE",
        type=Path,
        default=Path("simdrop-sweep.jsonl"),
        help="a line of JSON for each net trained, from which a sweep goes on "
        "(default: %(default)s)",
    )


def probabilities(text: str) -> tuple[float, ...]:
    """A type for argparse: different numbers from 0 to 1, with commas between, in order."""
    parse = number("from 0 to 1", lambda p: 0 <= p <= 1)
    return tuple(sorted({parse(part) for part in text.split(",")}))


def add_data(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add `--preset` and `--data`."""
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="NAME",
        help="settings that papers compare, which other options override: " + ", ".join(PRESETS),
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="an .npz file with x_train, y_train, x_test and y_test, or a folder with the four IDX "
        "files of MNIST, EMNIST or QMNIST, gzipped or not (default: scikit-learn's digits)",
    )
    return data


def add_net(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of the net, but those of p."""
    net = parser.add_argument_group("net")
    setting(net, "hidden", "units of each hidden layer", metavar="N,N,...", type=sizes)
    setting(net, "activation", "of the hidden units", choices=("relu", "tanh", "sigmoid"))
    setting(
        net,
        "dropout",
        "a decision for each element, or one for a unit in the whole batch, which is faster",
        choices=("elementwise", "batchwise"),
    )
    return net


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    positive = number("above 0", lambda v: 0 < v < math.inf)
    penalty = number("from 0", lambda v: 0 <= v < math.inf)
    training = parser.add_argument_group("training")
    setting(
        training,
        "epochs",
        "passes over the training set",
        default=f"{EPOCHS['digits']}, with --data {EPOCHS['data']}",
        metavar="N",
        type=whole(1),
    )
    setting(training, "batch_size", "examples a step, at most", metavar="N", type=whole(1))
    setting(training, "optimizer", "SGD with momentum, or Adam (without it)", choices=tuple(RATES))
    setting(
        training,
        "lr",
        "learning rate of the first epoch",
        default=f"{RATES['sgd']}, of Adam {RATES['adam']}",
        metavar="RATE",
        type=positive,
    )
    setting(
        training,
        "lr_schedule",
        "whether the rate falls linearly towards 0 after the last epoch, or stays as it is",
        choices=SCHEDULES,
    )
    setting(
        training,
        "momentum",
        "of SGD",
        metavar="M",
        type=number("from 0 to below 1", lambda m: 0 <= m < 1),
    )
    setting(
        training,
        "nesterov",
        "use Nesterov's form of the momentum",
        default="no",
        action=argparse.BooleanOptionalAction,
    )
    setting(training, "l2", "L times w is added to a weight's gradient", metavar="L", type=penalty)
    setting(training, "l1", "L times the sign of w is added to it", metavar="L", type=penalty)
    setting(
        training,
        "activity_l1",
        "penalty on the magnitudes of the hidden units' outputs, for sparse ones",
        metavar="L",
        type=penalty,
    )
    setting(
        training,
        "max_norm",
        "limit on the norm of each unit's incoming weights, or none",
        default="none",
        metavar="C",
        type=lambda text: None if text == "none" else positive(text),
    )
    setting(
        training,
        "seed",
        "decides the weights, the batches, the validation set and the dropout",
        metavar="N",
        type=whole(0),
    )


def add_output(
    parser: argparse.ArgumentParser, picture: str, default: str
) -> argparse._ArgumentGroup:
    """Add `--out` and `--quiet`."""
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path(default),
        help=f"{picture}; its suffix gives the format (default: %(default)s)",
    )
    output.add_argument(
        "--quiet", action="store_true", help="show no progress, only the table at the end"
    )
    return output


def setting(
    group: argparse._ArgumentGroup, name: str, what: str, default: str = "", **keywords: Any
) -> None:
    """Add the option of a field of `Settings`, which is in the result only if it is given."""
    if not default:
        value = DEFAULTS[name]
        default = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    group.add_argument(
        option(name), default=argparse.SUPPRESS, help=f"{what} (default: {default})", **keywords
    )


def option(name: str) -> str:
    """How a field of `Settings` is spelled on the command line."""
    return "--" + name.replace("_", "-")


def settings_from(options: argparse.Namespace, **fixed: Any) -> Settings:
    """The settings: what was given, else of the preset, else the defaults.

    Parameters
    ----------
    options : argparse.Namespace
    **fixed
        Settings for which there is no option.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        If two options contradict each other.
    """
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(options).items() if name in names} | fixed
    base = dict(DEFAULTS, epochs=EPOCHS["digits" if options.data is None else "data"])
    base |= {"lr": RATES["sgd"]} | (PRESETS[options.preset] if options.preset else {})
    if given.get("optimizer", base["optimizer"]) != base["optimizer"]:
        base["lr"] = RATES[given["optimizer"]]
    chosen = base | given
    if chosen["optimizer"] == "adam":
        for name in ("momentum", "nesterov"):
            if given.get(name):
                raise InputError(f"{option(name)} with --optimizer adam; wanted it with sgd")
        chosen |= {"momentum": 0.0, "nesterov": False}
    if chosen["nesterov"] and chosen["momentum"] == 0:
        raise InputError("--nesterov with --momentum 0; wanted a momentum above 0")
    return Settings(**chosen)


def every(text: str) -> Every:
    """A type for argparse: seconds, as in 90 or 90s, or batches, as in 500steps."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s?|(\d+)steps?", text)
    if match and match[1] and float(match[1]) > 0:
        return Every(seconds=float(match[1]))
    if match and match[2] and int(match[2]) > 0:
        return Every(steps=int(match[2]))
    raise argparse.ArgumentTypeError(
        f"wanted seconds, such as 90 or 90s, or batches, such as 500steps, got {text!r}"
    )


def number(wanted: str, inside: Callable[[float], bool]) -> Callable[[str], float]:
    """A type for argparse: a number of a range.

    Parameters
    ----------
    wanted : str
        The range in words, for the message.
    inside : callable
        Whether a number is in the range; written with `<`, it excludes NaN.

    Returns
    -------
    callable
        From the option's text to the number, or `argparse.ArgumentTypeError`.
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not inside(value):
            raise argparse.ArgumentTypeError(f"wanted a number {wanted}, got {text!r}")
        return value

    return parse


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: a whole number from `least`.

    Parameters
    ----------
    least : int
        The smallest number allowed.
    most : int, optional
        The largest number allowed.

    Returns
    -------
    callable
        From the option's text to the number, or `argparse.ArgumentTypeError`.
    """

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            upper = "" if most is None else f" to {most}"
            raise argparse.ArgumentTypeError(
                f"wanted a whole number from {least}{upper}, got {text!r}"
            )
        return value

    return parse


def sizes(text: str) -> tuple[int, ...]:
    """A type for argparse: one or more whole numbers from 1 to a million, with commas between.

    Parameters
    ----------
    text : str
        Such as "1024,1024".

    Returns
    -------
    tuple of int
    """
    try:
        return tuple(whole(1, MOST_UNITS)(part) for part in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            "wanted the units of each hidden layer, such as 1024,1024, each from 1 to "
            f"{MOST_UNITS}, got {text!r}"
        ) from None
