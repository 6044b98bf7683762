"""The options of `simdrop train`: their names, ranges, defaults and help."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

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
  simdrop train --data folder-with-the-four-idx-files-of-MNIST/

The same seed gives the same numbers on every run, apart from the seconds.
exit codes: 0 done, 1 the training diverged, 2 bad input, 130 interrupted.
"""

MOST_UNITS = 10**6  # whatever is beyond is a slip of the keyboard
EPOCHS = {"digits": 60, "data": 20}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of `simdrop train` to its parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="an .npz file with x_train, y_train, x_test and y_test, or a folder with MNIST's four "
        "IDX files, gzipped or not (default: scikit-learn's digits)",
    )
    data.add_argument(
        "--validation",
        metavar="FRACTION",
        type=number("between 0 and 1", lambda f: 0 < f < 1),
        default=0.2,
        help="part of the training set held out for the validation curve (default: %(default)s); "
        "the test set is used once, at the end",
    )

    probability = number("from 0 to 1", lambda p: 0 <= p <= 1)
    net = parser.add_argument_group("net")
    net.add_argument(
        "--hidden",
        metavar="N,N,...",
        type=sizes,
        default=(800, 800),
        help="units of each hidden layer (default: 800,800)",
    )
    net.add_argument(
        "--activation",
        choices=("relu", "tanh", "sigmoid"),
        default="relu",
        help="of the hidden units (default: %(default)s)",
    )
    net.add_argument(
        "--p",
        metavar="P",
        type=probability,
        default=0.5,
        help="probability of dropping a hidden unit (default: %(default)s)",
    )
    net.add_argument(
        "--p-input",
        metavar="P",
        type=probability,
        default=0.1,
        help="probability of dropping an input (default: %(default)s)",
    )

    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs",
        metavar="N",
        type=whole(1),
        help="passes over the training set "
        f"(default: {EPOCHS['digits']}, with --data {EPOCHS['data']})",
    )
    training.add_argument(
        "--batch-size",
        metavar="N",
        type=whole(1),
        default=64,
        help="examples a step, at most (default: %(default)s)",
    )
    training.add_argument(
        "--lr",
        metavar="RATE",
        type=number("above 0", lambda v: 0 < v < math.inf),
        default=0.05,
        help="learning rate of the first epoch, from which it falls linearly towards 0 "
        "(default: %(default)s)",
    )
    training.add_argument(
        "--momentum",
        metavar="M",
        type=number("from 0 to below 1", lambda m: 0 <= m < 1),
        default=0.9,
        help="(default: %(default)s)",
    )
    training.add_argument(
        "--nesterov", action="store_true", help="use Nesterov's form of the momentum"
    )
    training.add_argument(
        "--l2",
        metavar="L",
        type=number("from 0", lambda v: 0 <= v < math.inf),
        default=0.0,
        help="L times the weights is added to their gradient (default: %(default)s)",
    )
    training.add_argument(
        "--max-norm",
        metavar="C",
        type=number("above 0", lambda v: 0 < v < math.inf),
        help="limit on the norm of each unit's incoming weights (default: none)",
    )
    training.add_argument(
        "--seed",
        metavar="N",
        type=whole(0),
        default=0,
        help="decides the weights, the batches, the validation set and the dropout "
        "(default: %(default)s)",
    )

    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("simdrop-train.png"),
        help="the picture; its suffix gives the format (default: %(default)s)",
    )
    output.add_argument(
        "--quiet", action="store_true", help="show no progress, only the table at the end"
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
