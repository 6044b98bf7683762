"""The options of `simdrop train` and `simdrop sweep`, the settings they make, and the presets."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import InputError

EPOCHS = {"digits": 60, "data": 20}
RATES = {"sgd": 0.05, "adam": 0.001}
MOST_UNITS = 10**6  # more is a typing error


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides what a training computes, apart from the data; named as its options are."""

    hidden: tuple[int, ...] = (800, 800)
    activation: str = "relu"
    dropout: str = "elementwise"
    p: float = 0.5
    p_input: float = 0.1
    activity_l1: float = 0.0
    only: str = "both"
    epochs: int  # by default one of EPOCHS
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float  # by default one of RATES
    lr_schedule: str = "linear"
    momentum: float = 0.9
    nesterov: bool = False
    l2: float = 0.0
    l1: float = 0.0
    max_norm: float | None = None
    validation: float = 0.2
    seed: int = 0


# What papers on dropout compare on MNIST. The probabilities are those of Srivastava et al. 2014,
# "Dropout", appendix A.4, and so is max-norm: their limit of 2 on weights that are halved at
# inference is 1 on the weights of inverted dropout. The rest was chosen on a validation set, never
# on the test set. More epochs of mnist-maxnorm lower the validation error (1.33 % after 40, 1.23 %
# after 110, 1.21 % after 240); 360 take an hour and a half of one core, and the paper's million
# updates are twelve times as many.
MNIST: dict[str, Any] = {
    "hidden": (1024, 1024, 1024),
    "activation": "relu",
    "batch_size": 256,
    "optimizer": "adam",
    "lr": 0.001,
    "validation": 0.0,
}
PLAIN = MNIST | {"only": "without", "epochs": 12}
DROPPED = MNIST | {"only": "with", "p": 0.5, "p_input": 0.2, "epochs": 60}

PRESETS: dict[str, dict[str, Any]] = {
    "mnist-none": PLAIN | {"hidden": (1024, 1024)},
    "mnist-l2": PLAIN | {"l2": 1e-4},
    "mnist-l1": PLAIN | {"l1": 1e-6},
    "mnist-sparse": PLAIN | {"activity_l1": 1e-4},
    "mnist-maxnorm-only": PLAIN | {"max_norm": 1.0},
    "mnist-dropout": DROPPED,
    "mnist-maxnorm": DROPPED | {"max_norm": 1.0, "epochs": 360},
    "mnist-batchwise": DROPPED | {"dropout": "batchwise", "max_norm": 1.0, "batch_size": 128},
    "mnist-iterations": MNIST
    | {"hidden": (1024, 1024), "p": 0.5, "p_input": 0.2, "only": "both", "epochs": 30}
    | {"lr_schedule": "constant", "validation": 1 / 6},
}


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is written: after so many seconds, or after so many batches."""

    seconds: float = math.inf
    steps: float = math.inf


def settings_from(options: argparse.Namespace, **fixed: Any) -> Settings:
    """The settings: those fixed by the caller, else given, else of the preset, else the defaults.

    Raises InputError if two options contradict each other.
    """
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(options).items() if name in names} | fixed
    base: dict[str, Any] = {
        "epochs": EPOCHS["digits" if options.data is None else "data"],
        "optimizer": Settings.optimizer,
        "lr": RATES[Settings.optimizer],
    }
    if options.preset:
        base |= PRESETS[options.preset]
    if given.get("optimizer", base["optimizer"]) != base["optimizer"]:
        base["lr"] = RATES[given["optimizer"]]
    chosen = base | given
    if chosen["optimizer"] == "adam":
        for name in ("momentum", "nesterov"):
            if given.get(name):
                raise InputError(f"{option(name)} with --optimizer adam; wanted it with sgd")
        chosen |= {"momentum": 0.0, "nesterov": False}
    if chosen.get("nesterov") and chosen.get("momentum") == 0:
        raise InputError("--nesterov with --momentum 0; wanted a momentum above 0")
    return Settings(**chosen)


def option(name: str) -> str:
    """How a field of `Settings` is spelled on the command line."""
    return "--" + name.replace("_", "-")


def spelled(value: object) -> str:
    """A setting as one types it; a float with the fewest digits that are this number alone."""
    if isinstance(value, tuple | list):
        return ",".join(map(spelled, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return "none" if value is None else str(value)


# The values of options: each function is an argparse `type`, from the option's text to its value.


def number(
    wanted: str, inside: Callable[[float], bool], kind: Callable[[str], float] = float
) -> Callable[[str], Any]:
    """A type of numbers in a range; `inside`, written with `<`, excludes NaN."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not inside(value):
            raise argparse.ArgumentTypeError(f"wanted {wanted}, got {text!r}")
        return value

    return parse


def whole(least: int) -> Callable[[str], Any]:
    """A type of whole numbers."""
    return number(f"a whole number from {least}", lambda n: n >= least, int)


probability = number("a number from 0 to 1", lambda p: 0 <= p <= 1)
fraction = number("a number from 0 to below 1", lambda f: 0 <= f < 1)
positive = number("a number above 0", lambda v: 0 < v < math.inf)
penalty = number("a number from 0", lambda v: 0 <= v < math.inf)


def limit(text: str) -> float | None:
    """A positive number, or "none"."""
    return None if text == "none" else positive(text)


def probabilities(text: str) -> tuple[float, ...]:
    """Distinct probabilities in ascending order, given with commas between them."""
    return tuple(sorted({probability(part) for part in text.split(",")}))


def sizes(text: str) -> tuple[int, ...]:
    """The numbers of units of hidden layers, such as "1024,1024"."""
    try:
        units = tuple(map(int, text.split(",")))
    except ValueError:
        units = (0,)
    if not all(1 <= n <= MOST_UNITS for n in units):
        raise argparse.ArgumentTypeError(
            "wanted the units of each hidden layer, such as 1024,1024, each from 1 to "
            f"{MOST_UNITS}, got {text!r}"
        )
    return units


def every(text: str) -> Every:
    """Seconds, as in 90 or 90s, or batches, as in 500steps."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s?|(\d+)steps?", text)
    if match and match[1] and float(match[1]) > 0:
        return Every(seconds=float(match[1]))
    if match and match[2] and int(match[2]) > 0:
        return Every(steps=int(match[2]))
    raise argparse.ArgumentTypeError(
        f"wanted seconds, such as 90 or 90s, or batches, such as 500steps, got {text!r}"
    )


# The options. Those of `Settings` are in the parsed result only if they are given.


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop train`, and what its help says before and after them."""
    parser.description = """\
Train the same net twice, from the same initial weights and on the same
batches: without dropout and with it. Print a table of both nets' errors and
draw their learning curves. Without --data, train on scikit-learn's 1797
handwritten digits (8 x 8 pixels), which takes seconds.
"""
    parser.epilog = """\
examples:
  simdrop train
  simdrop train --hidden 1024,1024 --p 0.4 --seed 7 --out curves.pdf
  simdrop train --data folder-with-the-four-idx-files-of-MNIST/
  simdrop train --data mnist.npz --epochs 10
  simdrop train --data mnist.npz --preset mnist-maxnorm
  simdrop train --data mnist.npz --checkpoint run.npz --resume

The same seed gives the same numbers on every run, apart from the seconds.
exit codes: 0 done, 1 the training diverged or the last checkpoint could not
be written, 2 bad input, 130 interrupted (143 by SIGTERM, 138 by SIGUSR1, with a
checkpoint).
"""
    data = _add_data(parser)
    _add_setting(
        data,
        "validation",
        "fraction of the training set held out for the validation curve, 0 for none; the test set "
        "is used only once, at the end",
        metavar="FRACTION",
        type=fraction,
    )
    net = _add_net(parser)
    for name, what in DROPPING.items():
        _add_setting(net, name, f"probability of {what}", metavar="P", type=probability)
    _add_setting(
        net,
        "only",
        "train only the net with dropout, or only the one without",
        choices=("both", "with", "without"),
    )
    _add_training(parser)
    parser.add_argument(
        "--distributed",
        choices=("mpi",),
        help="train in the processes that mpiexec starts, which share each batch and draw the same "
        "masks as one: mpiexec -n 4 simdrop train --distributed mpi",
    )

    checkpoint = parser.add_argument_group("checkpoints")
    checkpoint.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=Path,
        help="save the state of the training to this file: regularly, at the end and when "
        "interrupted",
    )
    checkpoint.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=every,
        help="how often to save it: seconds (90 or 90s) or batches (500steps) (default: 60s)",
    )
    checkpoint.add_argument(
        "--resume",
        action="store_true",
        help="continue from the file of --checkpoint, bit for bit as if never interrupted, or "
        "start from scratch if it does not exist",
    )
    _add_output(
        parser,
        picture=("the learning curves", "simdrop-train.png"),
        results=("file for the settings, errors, curves and seconds, as JSON", None),
    )


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop sweep`, and what its help says before and after them."""
    parser.description = """\
Compare dropout probabilities by k-fold cross-validation on the training set:
for each pair of --p and --p-input, train k nets, each on all examples but one
k-th, and measure its error on those. The test set is not used. Print a table
of the mean errors and draw a heat map.
"""
    parser.epilog = """\
examples:
  simdrop sweep --hidden 100 --epochs 20
  simdrop sweep --data mnist.npz --p 0.3,0.5 --folds 3 --results mnist.jsonl

The same command continues an interrupted sweep, which may then be extended by
other values of --p and --p-input.
exit codes: 0 done, 1 the results could not be written, 2 bad input,
130 interrupted.
"""
    data = _add_data(parser)
    data.add_argument(
        "--folds",
        metavar="K",
        type=whole(2),
        default=5,
        help="parts of the training set, each held out once (default: %(default)s)",
    )
    net = _add_net(parser)
    defaults = {"p": (0.0, 0.25, 0.5, 0.75), "p_input": (0.0, 0.1, 0.2)}
    for name, what in DROPPING.items():
        net.add_argument(
            option(name),
            dest=f"{name}s",
            metavar="P,P,...",
            type=probabilities,
            default=defaults[name],
            help=f"probabilities of {what} (default: {spelled(defaults[name])})",
        )
    _add_training(parser)
    _add_output(
        parser,
        picture=("the heat map", "simdrop-sweep.png"),
        results=(
            "file for a line of JSON per trained net, from which a sweep continues",
            Path("simdrop-sweep.jsonl"),
        ),
    )


DROPPING = {"p": "dropping a hidden unit", "p_input": "dropping an input"}


def _add_data(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="NAME",
        help="settings that papers compare; other options override them: " + ", ".join(PRESETS),
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


def _add_net(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    net = parser.add_argument_group("net")
    _add_setting(net, "hidden", "units of each hidden layer", metavar="N,N,...", type=sizes)
    _add_setting(
        net,
        "activation",
        "activation of the hidden units",
        choices=("relu", "tanh", "sigmoid", "gelu", "silu"),
    )
    _add_setting(
        net,
        "dropout",
        "drop each element by itself, or a unit in the whole batch, which is faster",
        choices=("elementwise", "batchwise"),
    )
    return net


def _add_training(parser: argparse.ArgumentParser) -> None:
    training = parser.add_argument_group("training")

    def add(name: str, what: str, **keywords: Any) -> None:
        _add_setting(training, name, what, **keywords)

    epochs = f"{EPOCHS['digits']}, with --data {EPOCHS['data']}"
    rates = f"{RATES['sgd']}, with Adam {RATES['adam']}"
    add("epochs", "passes over the training set", default=epochs, metavar="N", type=whole(1))
    add("batch_size", "examples per step, at most", metavar="N", type=whole(1))
    add("optimizer", "SGD with momentum, or Adam", choices=tuple(RATES))
    add("lr", "learning rate in the first epoch", default=rates, metavar="RATE", type=positive)
    add(
        "lr_schedule",
        "let the learning rate fall linearly to 0 after the last epoch, or keep it constant",
        choices=("linear", "constant"),
    )
    add("momentum", "momentum of SGD", metavar="M", type=fraction)
    add("nesterov", "Nesterov momentum", action=argparse.BooleanOptionalAction)
    add("l2", "L2 penalty: adds L w to the gradient of a weight w", metavar="L", type=penalty)
    add("l1", "L1 penalty: adds L sign(w) to it", metavar="L", type=penalty)
    add(
        "activity_l1",
        "L1 penalty on the outputs of the hidden units, which makes them sparse",
        metavar="L",
        type=penalty,
    )
    add(
        "max_norm",
        "upper limit on the norm of each unit's incoming weights, or none",
        metavar="C",
        type=limit,
    )
    add(
        "seed",
        "seed of the initial weights, the batches, the validation set and the dropout",
        metavar="N",
        type=whole(0),
    )


def _add_output(
    parser: argparse.ArgumentParser, picture: tuple[str, str], results: tuple[str, Path | None]
) -> None:
    """Add `--out`, `--results` and `--quiet`, with what the two files hold and their defaults."""
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path(picture[1]),
        help=f"file for {picture[0]}; its suffix gives the format (default: %(default)s)",
    )
    output.add_argument(
        "--results",
        metavar="FILE",
        type=Path,
        default=results[1],
        help=results[0] + (" (default: %(default)s)" if results[1] else ""),
    )
    output.add_argument(
        "--quiet", action="store_true", help="show no progress, only the results at the end"
    )


def _add_setting(
    group: argparse._ArgumentGroup, name: str, what: str, default: str = "", **keywords: Any
) -> None:
    """Add the option of a field of `Settings`; `default` is how its help spells the default."""
    default = default or spelled(getattr(Settings, name))
    group.add_argument(
        option(name), default=argparse.SUPPRESS, help=f"{what} (default: {default})", **keywords
    )
