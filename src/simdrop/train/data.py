"""A training and a test set: the checks they pass, the one rule of scaling, the validation set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MAX_LABEL = 2**31 - 1


@dataclass(frozen=True)
class Data:
    """A training and a test set.

    Attributes
    ----------
    name : str
        What a title calls it.
    x_train, x_test : numpy.ndarray
        float32, shape (examples, features), scaled by `pixel_scale`.
    y_train, y_test : numpy.ndarray
        int64, shape (examples,): 0 to `classes` - 1, in the order of the labels given.
    classes : int
        The number of different labels in the training set.
    """

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    classes: int


@dataclass(frozen=True)
class Rows:
    """The rows of a training set to train on, and those held out for validation, intp."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]


def pixel_scale(x_train: NDArray[Any]) -> float:
    """The number that every pixel, of the training and the test set, is divided by.

    This is the one rule of scaling: uint8 is divided by its range, 255; any other integers by the
    largest magnitude in the training set (16 for the digits), because an int64 array of pixels does
    not use int64's range; floats and booleans are taken as they are.

    Parameters
    ----------
    x_train : numpy.ndarray
        The training set as it was stored.

    Returns
    -------
    float
        Never zero.
    """
    if x_train.dtype == np.uint8:
        return 255.0
    if x_train.dtype.kind in "iu":
        # Python integers: abs(int64's minimum) is no int64.
        return float(max(int(x_train.max()), -int(x_train.min()))) or 1.0
    return 1.0


def checked(name: str, arrays: Mapping[str, NDArray[Any]], *, source: str) -> Data:
    """Check that four arrays make a training and a test set, and bring them to `Data`'s form.

    Parameters
    ----------
    name : str
        What a title will call the data.
    arrays : mapping of str to numpy.ndarray
        `x_train`, `y_train`, `x_test`, `y_test`. An example's pixels may have any shape; labels are
        one whole number from 0 for each example.
    source : str
        Where the arrays are from, for messages.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        Naming the source, the array, what it holds and what is wanted.
    """
    for x_name in ("x_train", "x_test"):
        _check_pixels(source, x_name, arrays[x_name])
    for part in ("train", "test"):
        _check_labels(source, f"y_{part}", arrays[f"y_{part}"], len(arrays[f"x_{part}"]))
    x_train, y_train, x_test, y_test = (arrays[array] for array in ARRAYS)
    if x_train.dtype != x_test.dtype:
        raise InputError(
            f"{source!r}: x_train holds {x_train.dtype} and x_test {x_test.dtype}; "
            "wanted the same type"
        )
    features = x_train[0].size
    if x_test[0].size != features:
        raise InputError(
            f"{source!r}: an example has {features} numbers in x_train and {x_test[0].size} in "
            "x_test; wanted the same number"
        )
    labels, y_train = np.unique(y_train.astype(np.int64), return_inverse=True)
    y_test = y_test.astype(np.int64)
    if len(labels) < 2:
        raise InputError(f"{source!r}: y_train holds one label, {labels[0]}; wanted two or more")
    unknown = np.setdiff1d(y_test, labels)
    if len(unknown):
        raise InputError(f"{source!r}: y_test holds label {unknown[0]}, which y_train does not")
    scale = pixel_scale(x_train)
    return Data(
        name,
        _as_features(source, "x_train", x_train, scale),
        y_train.reshape(-1),
        _as_features(source, "x_test", x_test, scale),
        np.searchsorted(labels, y_test),
        len(labels),
    )


def hold_out(data: Data, fraction: float, seed: int) -> Rows:
    """Draw the validation set from the training set.

    Parameters
    ----------
    data : Data
        The data.
    fraction : float
        The part of the training set to hold out, from 0 (nothing) to below 1.
    seed : int
        Decides which examples.

    Returns
    -------
    Rows

    Raises
    ------
    InputError
        If one of the two sets would be empty, though `fraction` is not 0.
    """
    count = len(data.y_train)
    held_out = round(fraction * count)
    if fraction and not 0 < held_out < count:
        raise InputError(
            f"--validation {fraction:g} of {count} training examples leaves {count - held_out} to "
            f"train on and {held_out} to validate on; wanted at least one for each"
        )
    order = np.random.default_rng([seed, 0]).permutation(count)
    return Rows(train=order[held_out:], validation=order[:held_out])


def _check_pixels(source: str, name: str, x: NDArray[Any]) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(f"{source!r}: {name} holds {x.dtype}; wanted integers or floats")
    if x.ndim < 2:
        raise InputError(
            f"{source!r}: {name} has shape {x.shape}; wanted (examples, features) or "
            "(examples, rows, columns)"
        )
    if x.size == 0:
        raise InputError(f"{source!r}: {name} is empty: its shape is {x.shape}")


def _check_labels(source: str, name: str, y: NDArray[Any], examples: int) -> None:
    if y.dtype.kind not in "iuf":
        raise InputError(f"{source!r}: {name} holds {y.dtype}; wanted whole numbers from 0")
    if y.ndim != 1:
        raise InputError(
            f"{source!r}: {name} has shape {y.shape}; wanted one label an example: ({examples},)"
        )
    if len(y) != examples:
        raise InputError(
            f"{source!r}: {name} has {len(y)} labels for the {examples} examples of "
            f"{name.replace('y', 'x')}; wanted one each"
        )
    with np.errstate(invalid="ignore"):  # the remainder of inf
        bad = y[~((y >= 0) & (y <= MAX_LABEL) & (np.mod(y, 1) == 0))]
    if len(bad):
        raise InputError(
            f"{source!r}: {name} holds the label {bad[0]}; wanted whole numbers from 0 to "
            f"{MAX_LABEL}"
        )


def _as_features(source: str, name: str, x: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """float32, one row an example, divided by `scale`."""
    with np.errstate(over="ignore"):  # a number beyond float32 becomes inf, and is reported
        features = x.reshape(len(x), -1).astype(np.float32)
    features /= np.float32(scale)
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        example, feature = bad[0]
        value = x.reshape(len(x), -1)[example, feature]
        raise InputError(
            f"{source!r}: {name} holds {value} in example {example}; wanted finite numbers that "
            "fit into float32"
        )
    return features
