"""Loads what `--data` names, checks and scales it, and splits off examples for validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._npz import Npz
from . import idx
from .errors import InputError
from .files import reading, unreadable

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# In .npz files, in upper or lower case: Keras, scikit-learn's tutorials, MedMNIST and others.
SPELLINGS = {
    "x_train": ("x_train", "train_x", "train_images", "training_images"),
    "y_train": ("y_train", "train_y", "train_labels", "training_labels"),
    "x_test": ("x_test", "test_x", "test_images"),
    "y_test": ("y_test", "test_y", "test_labels"),
}
ZIP_MAGIC = b"PK"
WHOLE = 2**53  # above this, not every whole number is a float64
LABEL_KINDS = {"b": "booleans", "i": "whole numbers", "U": "strings"}
LISTED = 20  # labels that a message lists, at most

Label = bool | int | str


@dataclass(frozen=True)
class Data:
    """A training and a test set.

    Attributes
    ----------
    name : str
        What titles call it.
    x_train, x_test : numpy.ndarray
        float32, shape (examples, features), divided by `pixel_scale`.
    y_train, y_test : numpy.ndarray
        int64, shape (examples,): 0 to `classes` - 1, positions in `labels`.
    labels : tuple of int, of bool or of str
        The classes as they were given: the distinct labels of the training set, sorted.
    notes : tuple of str
        Sentences for the user: how the labels were converted.
    """

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.labels)


@dataclass(frozen=True)
class Rows:
    """The rows of a training set to train on, and those held out for validation, intp."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]


def load(path: str | Path | None = None) -> Data:
    """Load what `--data` names.

    Parameters
    ----------
    path : str or Path, optional
        An `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test` (or other
        `SPELLINGS`), a folder with the four IDX files of one of `idx.IDX_SETS`, or one of these
        files; all gzipped or not. By default, scikit-learn's handwritten digits.

    Raises
    ------
    InputError
        If the files cannot be read or the arrays do not make a training and a test set.
    """
    if path is None:
        return _load_digits()
    path = Path(path)
    try:
        is_folder = path.is_dir()
        idx_set = idx.set_in_folder(path) if is_folder else idx.set_of_file(path)
    except OSError as error:
        raise unreadable(path, error) from error
    notes: tuple[str, ...] = ()
    if idx_set is None:
        arrays = _load_npz(path)
        name = Path(path.resolve().name.removesuffix(".gz")).stem
    else:
        arrays = idx_set.read(path if is_folder else path.parent)
        name = path.resolve().name if is_folder else idx_set.name
        if idx_set is idx.QMNIST:
            notes = (f"Labels: the first of QMNIST's {idx.QMNIST_COLUMNS} columns, the digit.",)
    title = "".join(c if c.isprintable() else "?" for c in name)  # what can be drawn
    try:
        return checked(title, arrays, notes)
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from error


def _load_digits() -> Data:
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels, a fixed random half for the test."""
    import sklearn.datasets

    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    pixels = pixels.astype(np.int64)  # whole numbers from 0 to 16, stored as float64
    arrays = dict(
        zip(ARRAYS, (pixels[train], labels[train], pixels[test], labels[test]), strict=True)
    )
    return checked("Handwritten digits", arrays)


def _load_npz(path: Path) -> dict[str, NDArray[Any]]:
    with reading(path) as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise InputError(
                f"{str(path)!r} is not an .npz file; wanted one, or a folder with the IDX files of "
                "MNIST, EMNIST or QMNIST"
            )
        file.seek(0)
        try:
            npz = Npz(file)
        except ValueError as error:
            raise InputError(f"{str(path)!r} is a damaged .npz file: {error}") from error
        found = {
            array: [i for i, name in enumerate(npz.names) if name.lower() in SPELLINGS[array]]
            for array in ARRAYS
        }
        missing = [array for array, numbers in found.items() if not numbers]
        if missing:
            raise InputError(
                f"{str(path)!r} has no array {' or '.join(missing)}; wanted {', '.join(ARRAYS)}, "
                "also spelled train_x, train_y, ... or train_images, train_labels, ..., found "
                f"{', '.join(npz.names) or 'none'}"
            )
        for array, numbers in found.items():
            if len(numbers) > 1:
                both = " and ".join(npz.names[number] for number in numbers)
                raise InputError(
                    f"{str(path)!r} holds both {both}, which may each be {array}; wanted one of "
                    "them"
                )
        return {array: npz.read(number) for array, (number,) in found.items()}


def pixel_scale(x_train: NDArray[Any]) -> float:
    """The number, never zero, that all pixels of the training and the test set are divided by.

    It is 255, the range, for uint8; the largest magnitude in the training set for other integers
    (16 for the digits), because an int64 array of pixels does not use int64's range; and 1 for
    floats and booleans.
    """
    if x_train.dtype == np.uint8:
        return 255.0
    if x_train.dtype.kind in "iu":
        # Python integers: abs(int64's minimum) is no int64.
        return float(max(int(x_train.max()), -int(x_train.min()))) or 1.0
    return 1.0


def checked(name: str, arrays: Mapping[str, NDArray[Any]], notes: tuple[str, ...] = ()) -> Data:
    """Check that four arrays make a training and a test set, and convert them to `Data`.

    Parameters
    ----------
    name : str
        What titles call the data.
    arrays : mapping of str to numpy.ndarray
        `x_train`, `y_train`, `x_test`, `y_test`. An example's pixels may have any shape; labels are
        one whole number, string or boolean for each example, with any number of trailing axes of
        length 1, or one-hot rows.
    notes : tuple of str
        Sentences for the user: how the labels were converted before.

    Raises
    ------
    InputError
        Naming the array, what it holds and what is wanted.
    """
    for x_name in ("x_train", "x_test"):
        _check_pixels(x_name, arrays[x_name])
    x_train, x_test = arrays["x_train"], arrays["x_test"]
    train, train_width = _labels("y_train", arrays["y_train"], len(x_train))
    test, test_width = _labels("y_test", arrays["y_test"], len(x_test))
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
    if train_width and test_width and train_width != test_width:
        raise InputError(
            f"one-hot rows of {train_width} numbers in y_train and of {test_width} in "
            "y_test; wanted the same number"
        )
    if train.dtype.kind != test.dtype.kind:
        raise InputError(
            f"y_train holds {LABEL_KINDS[train.dtype.kind]} and y_test "
            f"{LABEL_KINDS[test.dtype.kind]}; wanted the same kind of labels"
        )
    labels, y_train = np.unique(train, return_inverse=True)
    if len(labels) < 2:
        raise InputError(f"y_train holds one label, {listed(labels.tolist())}; wanted two or more")
    unknown = np.setdiff1d(test, labels).tolist()
    if unknown:
        raise InputError(
            f"y_test holds {'label' if len(unknown) == 1 else 'labels'} "
            f"{listed(unknown)}, which y_train does not"
        )
    one_hot = [y for y, width in (("y_train", train_width), ("y_test", test_width)) if width]
    if one_hot:
        notes += (
            f"Labels: the positions of the 1s in {' and '.join(one_hot)}, one-hot rows of "
            f"{train_width or test_width} numbers.",
        )
    scale = pixel_scale(x_train)
    return Data(
        name,
        _as_features("x_train", x_train, scale),
        y_train.reshape(-1),
        _as_features("x_test", x_test, scale),
        np.searchsorted(labels, test),
        tuple(labels.tolist()),
        notes,
    )


def listed(labels: Sequence[Label]) -> str:
    """Labels as a sentence lists them: the first `LISTED`, and how many more there are."""
    shown = ", ".join(map(repr, labels[:LISTED]))
    return shown if len(labels) <= LISTED else f"{shown} and {len(labels) - LISTED} more"


def hold_out(data: Data, fraction: float, seed: int) -> Rows:
    """Hold out a random fraction of the training set for validation, from 0 to below 1.

    Raises InputError if one of the two sets would be empty, though the fraction is not 0.
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


def fold(data: Data, seed: int, folds: int, number: int) -> Rows:
    """Hold out one fold of the training set for validation.

    The seed alone decides which example is in which of the folds, numbered from 0.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(data.y_train))
    parts = np.array_split(order, folds)
    rest = [part for i, part in enumerate(parts) if i != number]
    return Rows(train=np.concatenate(rest), validation=parts[number])


def _check_pixels(name: str, x: NDArray[Any]) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {x.dtype}; wanted integers or floats")
    if x.ndim < 2:
        raise InputError(
            f"{name} has shape {x.shape}; wanted (examples, features) or (examples, rows, columns)"
        )
    if x.size == 0:
        raise InputError(f"{name} is empty: its shape is {x.shape}")


def _labels(name: str, y: NDArray[Any], examples: int) -> tuple[NDArray[Any], int]:
    """One label for each example, bool, int64 or str; and the length of one-hot rows, else 0."""
    if y.dtype.kind not in "biufSU":
        raise InputError(f"{name} holds {y.dtype}; wanted whole numbers, strings or booleans")
    if y.ndim and len(y) != examples:
        raise InputError(
            f"{name} has {len(y)} labels for the {examples} examples of "
            f"{name.replace('y', 'x')}; wanted one each"
        )
    given = y.shape
    y = y.squeeze(axis=tuple(axis for axis in range(1, y.ndim) if y.shape[axis] == 1))
    wrong = f"{name} has shape {given}; wanted one label an example: ({examples},)"
    if y.ndim == 2 and y.dtype.kind in "biuf":
        ones = y == 1
        bad = np.flatnonzero((ones.sum(axis=1) != 1) | ((y != 0) & ~ones).any(axis=1))
        if len(bad):
            raise InputError(f"{wrong}, or one-hot rows (row {bad[0]} is not a single 1 among 0s)")
        return ones.argmax(axis=1), y.shape[1]
    if y.ndim != 1:
        raise InputError(wrong)
    if y.dtype.kind == "S":
        # Distinct bytes give distinct strings, even if they are not UTF-8.
        return np.char.decode(y, "utf-8", "surrogateescape"), 0
    if y.dtype.kind in "bU":
        return y, 0
    if y.dtype.kind == "f":
        exact = y.astype(np.longdouble)  # float16 has no number as large as WHOLE
        with np.errstate(invalid="ignore"):  # the remainder of inf
            bad = y[~((np.abs(exact) <= WHOLE) & (np.mod(exact, 1) == 0))]
    else:
        bad = y[y > np.iinfo(np.int64).max]
    if len(bad):
        raise InputError(
            f"{name} holds the label {bad[0]}; wanted whole numbers that fit into 64 bits"
        )
    return y.astype(np.int64), 0


def _as_features(name: str, x: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """Convert examples to rows of float32, divided by `scale`."""
    with np.errstate(over="ignore"):  # a number beyond float32 becomes inf, which is reported below
        features = x.reshape(len(x), -1).astype(np.float32)
    features /= np.float32(scale)
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        example, feature = bad[0]
        value = x.reshape(len(x), -1)[example, feature]
        raise InputError(
            f"{name} holds {value} in example {example}; wanted finite numbers that "
            "fit into float32"
        )
    return features
