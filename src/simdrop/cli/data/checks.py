"""Checks of the arrays of data; each raises InputError, naming what is wrong."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...nn import inputs
from ..errors import InputError


def check_inputs(name: str, x: NDArray[Any]) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {x.dtype}; wanted integers or floats")
    if x.ndim < 2:
        raise InputError(
            f"{name} has shape {x.shape}; wanted (examples, features) or (examples, rows, columns)"
        )
    if x.size == 0:
        raise InputError(f"{name} is empty: its shape is {x.shape}")


def check_alike(x_train: NDArray[Any], x_test: NDArray[Any]) -> None:
    if x_train.dtype.newbyteorder("=") != x_test.dtype.newbyteorder("="):
        raise InputError(
            f"x_train holds {x_train.dtype} and x_test {x_test.dtype}; wanted the same type"
        )
    features = x_train[0].size
    if x_test[0].size != features:
        raise InputError(
            f"an example has {features} numbers in x_train and {x_test[0].size} in "
            "x_test; wanted the same number"
        )


def check_count(name: str, y: NDArray[Any], examples: int) -> None:
    if y.ndim and len(y) != examples:
        raise InputError(
            f"{name} has {len(y)} labels for the {examples} examples of "
            f"{name.replace('y', 'x')}; wanted one each"
        )


def check_finite(name: str, x: NDArray[Any]) -> None:
    """Refuse infinities and NaN."""
    if x.dtype.kind != "f":
        return
    for number, part in enumerate(inputs.in_rows(x)):
        bad = np.argwhere(~np.isfinite(part))
        if len(bad):
            row, column = bad[0]
            refuse_number(name, part[row, column], number * inputs.ROWS + int(row))


def refuse_number(name: str, value: Any, example: int) -> NoReturn:
    raise InputError(
        f"{name} holds {value} in example {example}; wanted finite numbers that fit into float32"
    )
