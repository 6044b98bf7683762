"""The options of the commands, the settings that they make, and the presets."""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import InputError

EPOCHS = {"digits": 40, "data": 20}
RATES = {"sgd": 0.05, "adam": 0.001}
SEEDS = {"digits": 5, "data": 1}
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


def source(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `data.load` that the options give."""
    names = ("scale", "task", "target", "ignore", "test")
    return {"path": options.data, **{name: getattr(options, name) for name in names}}


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


MOST_VALUES = 1000  # of a range


def several(one: Callable[[str], Any]) -> Callable[[str], tuple[float, ...]]:
    """A type of distinct numbers in ascending order, with commas between them: each a number that
    `one` parses, or a range START:STOP:STEP or START:STOP:xFACTOR with both ends."""

    def parse(text: str) -> tuple[float, ...]:
        values: set[float] = set()
        for part in text.split(","):
            values.update(spread_out(part, one) if ":" in part else [one(part)])
        return tuple(sorted(values))

    return parse


def spread_out(text: str, one: Callable[[str], Any]) -> list[float]:
    """The numbers of a range, rounded so that 0:0.3:0.1 holds 0.3."""
    match = re.fullmatch(r"([^:]+):([^:]+):(x?)([^:]+)", text)
    wanted = f"wanted a range such as 0:0.8:0.2 or 0.001:0.1:x10, got {text!r}"
    if match is None:
        raise argparse.ArgumentTypeError(wanted)
    first, last = one(match[1]), one(match[2])
    step = positive(match[4])
    if first > last or (match[3] and not (first > 0 and step > 1)):
        raise argparse.ArgumentTypeError(wanted)
    values: list[float] = []
    while len(values) <= MOST_VALUES:
        n = len(values)
        value = float(f"{first * step**n if match[3] else first + n * step:.12g}")
        if value > last * (1 + 1e-9):
            return values
        values.append(value)
    raise argparse.ArgumentTypeError(f"{text!r} is a range of more than {MOST_VALUES} numbers")


probabilities = several(probability)
rates = several(positive)


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


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def test_set(text: str) -> str | float:
    """A fraction of the examples, or a file."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            f"wanted a file, or a number above 0 and below 1, got {text!r}"
        )
    return value


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
handwritten digits (8 x 8 pixels), with five seeds, which takes half a minute.
"""
    parser.epilog = """\
examples:
  simdrop train
  simdrop train --hidden 1024,1024 --p 0.4 --seed 7 --out curves.pdf
  simdrop train --data folder-with-the-four-idx-files-of-MNIST/
  simdrop train --data mnist.npz --epochs 10
  simdrop train --data mnist.npz --preset mnist-maxnorm
  simdrop train --data wine.csv --target quality --seeds 5
  simdrop train --data mnist.npz --checkpoint run.npz --resume
  simdrop predict run.npz --data mnist.npz

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
    data.add_argument(
        "--seeds",
        metavar="N",
        type=whole(1),
        help="train with N seeds, from --seed on, and report means and standard deviations "
        f"(default: {SEEDS['digits']}, with --data {SEEDS['data']})",
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
        "start from scratch if it does not exist; more --epochs or --seeds than it was made with "
        "extend it",
    )
    _add_output(
        parser,
        picture=("the learning curves", "simdrop-train.png"),
        results=("file for the settings, errors, curves and seconds, as JSON", None),
    )


def add_predict_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop predict`, and what its help says before and after them."""
    parser.description = """\
Predict with a net that simdrop train has saved. Its size, scaling, columns and
classes are in the checkpoint; data that do not fit them are refused. Write a
table with a row for each example: the prediction, and for classes the
probability of each. If the data say what is right, print the error.
"""
    parser.epilog = """\
examples:
  simdrop train --data wine.csv --target quality --checkpoint wine.npz
  simdrop predict wine.npz --data new-wines.csv --out predictions.csv
  simdrop predict wine.npz --data new-wines.csv --mc 100

With --mc N, predictions are means of N passes with dropout, and the table also
says how much they differ: the standard deviation of numbers, and for classes
the entropy and the mutual information in nats.
exit codes: 0 done, 2 bad input, 130 interrupted.
"""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="what train --checkpoint has written"
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="data as for simdrop train, of which the test set is used, with or without what is "
        "right; or a .npy file (default: the test set of scikit-learn's digits)",
    )
    parser.add_argument(
        "--net",
        metavar="NAME",
        help='which net of the checkpoint: "with" or "without" dropout, and with several seeds '
        '"with-0" and so on (default: the first one with dropout, if there is one)',
    )
    parser.add_argument(
        "--mc", metavar="N", type=whole(1), help="passes with dropout for each example"
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole(0),
        default=0,
        help="seed of the dropout of --mc (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("simdrop-predict.csv"),
        help="file for the table, CSV (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop sweep`, and what its help says before and after them."""
    parser.description = """\
Compare settings by k-fold cross-validation on the training set: for each
combination of --p, --p-input, --lr and --hidden, train k nets, each on all
examples but one k-th, and measure its error on those. The test set is not
used. Print a table of the mean errors and their standard deviations, and draw
a heat map.
"""
    parser.epilog = """\
examples:
  simdrop sweep --hidden 100 --epochs 20
  simdrop sweep --data mnist.npz --p 0.3,0.5 --folds 3 --results mnist.jsonl
  simdrop sweep --p 0:0.8:0.2 --lr 0.01:1:x10 --hidden 100 800,800

The same command continues an interrupted sweep, which may then be extended by
other values of these options.
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
    net = _add_net(parser, several=True)
    defaults = {"p": (0.0, 0.25, 0.5, 0.75), "p_input": (0.0, 0.1, 0.2)}
    for name, what in DROPPING.items():
        net.add_argument(
            option(name),
            dest=f"{name}s",
            metavar="P,P,...",
            type=probabilities,
            default=defaults[name],
            help=f"probabilities of {what}, or ranges START:STOP:STEP (default: "
            f"{spelled(defaults[name])})",
        )
    _add_training(parser, several=True)
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
        help="an .npz file or a folder of .npy files with x_train, y_train, x_test and y_test, or "
        "with x and y; a folder with the four IDX files of MNIST, EMNIST or QMNIST; or a table, "
        "CSV or Parquet, with --target (default: scikit-learn's digits)",
    )
    data.add_argument(
        "--target", metavar="COLUMN", help="the column of a table that is to be learned"
    )
    data.add_argument(
        "--ignore",
        metavar="COLUMN,...",
        type=names,
        default=(),
        help="columns of a table that are not used",
    )
    data.add_argument(
        "--test",
        metavar="FILE",
        type=test_set,
        help="of data without a test set: a table that is one, or the fraction of the examples "
        "that becomes one (default: 0.2)",
    )
    data.add_argument(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="predict classes or numbers; auto decides by the numbers to be learned, and says so "
        "(default: auto)",
    )
    data.add_argument(
        "--scale",
        choices=("auto", "none", "standard", "unit"),
        default="auto",
        help="scale inputs: each column to mean 0 and deviation 1 (standard), all by one number "
        "(unit) or not at all; auto looks at the training set, and says what it did (default: "
        "auto). Numbers to be learned are scaled unless this is none",
    )
    return data


def _add_net(parser: argparse.ArgumentParser, several: bool = False) -> argparse._ArgumentGroup:
    """The options of a net; of `several`, each with its hidden layers."""
    net = parser.add_argument_group("net")
    if several:
        net.add_argument(
            "--hidden",
            dest="hiddens",
            metavar="N,N,...",
            nargs="+",
            type=sizes,
            help=f"units of each hidden layer, of one net or more (default: "
            f"{spelled(Settings.hidden)})",
        )
    else:
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


def _add_training(parser: argparse.ArgumentParser, several: bool = False) -> None:
    training = parser.add_argument_group("training")

    def add(name: str, what: str, **keywords: Any) -> None:
        _add_setting(training, name, what, **keywords)

    epochs = f"{EPOCHS['digits']}, with --data {EPOCHS['data']}"
    usual = f"{RATES['sgd']}, with Adam {RATES['adam']}"
    add("epochs", "passes over the training set", default=epochs, metavar="N", type=whole(1))
    add("batch_size", "examples per step, at most", metavar="N", type=whole(1))
    add("optimizer", "SGD with momentum, or Adam", choices=tuple(RATES))
    what = "learning rate in the first epoch"
    if several:
        training.add_argument(
            "--lr",
            dest="lrs",
            metavar="RATE,...",
            type=rates,
            help=f"{what}, or ranges START:STOP:STEP or START:STOP:xFACTOR (default: {usual})",
        )
    else:
        add("lr", what, default=usual, metavar="RATE", type=positive)
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
