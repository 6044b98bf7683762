"""Loads what `--data` names, checks and scales it, and splits off examples for testing and
validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn import inputs
from ...nn.checkpoint import fingerprint
from ...nn.inputs import Scaling, Summary, encoded, listed
from ...nn.signature import Label, Signature
from ..errors import InputError
from ..options import spelled
from ..tasks import CLASSIFICATION, REGRESSION, Task
from . import arrays, columns, scale, targets
from .arrays import ARRAYS
from .checks import check_alike, check_finite, check_inputs, refuse_number
from .sources import Found, find, find_arrays

TESTED = 0.2  # of data without a test set, the fraction that becomes one


class Mapped:
    """Rows of an array that stays in its file, converted when they are taken."""

    def __init__(
        self, array: NDArray[Any], scaling: Scaling, rows: NDArray[np.intp] | None = None
    ) -> None:
        self.array, self.scaling, self.rows = array, scaling, rows
        self.shape = len(array) if rows is None else len(rows), array[:1].size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> NDArray[np.float32]:
        return self.scaling(self.array[which if self.rows is None else self.rows[which]])

    def fingerprint(self) -> str:
        """Of what is in the file, and of which rows are taken."""
        rows = "" if self.rows is None else fingerprint(self.rows)
        return fingerprint(self.array) + rows


Inputs = NDArray[np.float32] | Mapped


@dataclass(frozen=True)
class Data:
    """A training and a test set.

    Attributes
    ----------
    name : str
        What titles call it.
    x_train, x_test : numpy.ndarray or Mapped
        float32, shape (examples, features), scaled.
    y_train, y_test : numpy.ndarray
        Of classes int64, shape (examples,): positions in `labels`. In
        regression float32, shape (examples, outputs), scaled.
    signature : Signature
        How they were encoded and scaled, and the classes: the distinct labels of the training set.
    notes : tuple of str
        Sentences for the user: how the data were converted.
    """

    name: str
    x_train: Inputs
    y_train: NDArray[Any]
    x_test: Inputs
    y_test: NDArray[Any]
    signature: Signature
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes as they were given; in regression none."""
        return self.signature.classes

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.labels)

    @property
    def task(self) -> Task:
        """What is learned."""
        return CLASSIFICATION if self.labels else REGRESSION

    @property
    def outputs(self) -> int:
        """The number of classes, or of numbers to be predicted."""
        return len(self.labels) or int(self.y_train.shape[1])

    def fingerprints(self) -> dict[str, str]:
        """Of each array, in hexadecimal digits."""
        found = {name: getattr(self, name) for name in ARRAYS}
        return {
            name: x.fingerprint() if isinstance(x, Mapped) else fingerprint(x)
            for name, x in found.items()
        }


@dataclass(frozen=True)
class Rows:
    """The rows of a training set to train on, and those held out for validation, intp."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]


def load(
    path: str | Path | None = None,
    *,
    scale: str = "auto",
    task: str = "auto",
    target: str | None = None,
    ignore: Sequence[str] = (),
    test: str | float | None = None,
) -> Data:
    """Load what `--data` names.

    Parameters
    ----------
    path : str or Path, optional
        An `.npz` file with the arrays `x_train`, `y_train` and perhaps `x_test`, `y_test` (or other
        `arrays.SPELLINGS`), a folder with `.npy` files of these names, or one of them; a folder
        with the four IDX files of one of `idx.IDX_SETS`, or one of them; a table of text or in
        Parquet's format. All but `.npy` and Parquet gzipped or not. By default, scikit-learn's
        handwritten digits.
    scale : "auto", "none", "unit" or "standard"
        How inputs, and numbers to be learned, are scaled.
    task : "auto", "classification" or "regression"
        What y is.
    target, ignore
        Of a table, the column to be learned and those to leave out.
    test : str or float, optional
        Of data without a test set, the file that holds it (of a table), or the fraction of the
        examples that becomes one, at random.

    Raises
    ------
    InputError
        If the files cannot be read or the arrays do not make a training and a test set.
    """
    try:
        found = find(None if path is None else Path(path), target, ignore, test)
        try:
            return checked(found, scaled=scale, task=task, test=test)
        except InputError as error:
            raise InputError(f"{str(path)!r}: {error}" if path else str(error)) from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: {error}") from error


def checked(
    found: Found, *, scaled: str = "auto", task: str = "auto", test: str | float | None = None
) -> Data:
    """Check that the arrays make a training and a test set, and convert them to `Data`.

    An example's numbers may have any shape. Labels are one whole number, string or boolean for each
    example, with any number of trailing axes of length 1, or one-hot rows; targets of regression
    are one number or a row of them. Raises InputError naming the array, what it holds and what is
    wanted.
    """
    given, notes = found.arrays, found.notes
    parts = [part for part in ("train", "test") if f"x_{part}" in given]
    for part in parts:
        check_inputs(f"x_{part}", given[f"x_{part}"])
    x = given["x_train"]
    kind, why = targets.task_of(given["y_train"], len(x), task)
    if why:
        notes += (why,)
    if "test" in parts:
        check_alike(x, given["x_test"])
        if isinstance(test, float):
            raise InputError(f"--test {spelled(test)} of data that have a test set; wanted none")
    read = targets.classes if kind is CLASSIFICATION else targets.numbers
    labels, ys, how = read({f"y_{part}": given[f"y_{part}"] for part in parts}, given)
    notes += how
    rows: list[NDArray[np.intp] | None] = [None, None]
    if len(parts) == 1:
        fraction = TESTED if test is None else float(test)
        order = np.random.default_rng(0).permutation(len(x))
        tested = round(fraction * len(x))
        if not 0 < tested < len(x):
            raise InputError(
                f"--test {spelled(fraction)} of {len(x)} examples leaves {len(x) - tested} to "
                f"train on and {tested} to test on; wanted at least one for each"
            )
        rows = [order[tested:], order[:tested]]
        ys = [ys[0][order[tested:]], ys[0][order[:tested]]]
        notes += (f"Test set: {tested} of {len(x)} examples, chosen at random (--test).",)
        if kind is CLASSIFICATION:
            labels, ys = targets.known(labels, ys)

    check_finite("x_train", x)
    scaling, span, how_scaled = scale.choose(x, rows[0], scaled, found.columns)
    notes += (how_scaled,)
    sources = [x, given.get("x_test", x)]
    xs = [
        _as_inputs(f"x_{part}", source, scaling, which)
        for part, source, which in zip(("train", "test"), sources, rows, strict=True)
    ]
    target_scaling = Scaling("none")
    if kind is REGRESSION:
        if scaled != "none":
            target_scaling = Scaling.standard(Summary.of(ys[0]))
        ys = [target_scaling(y) for y in ys]
    signature = Signature(labels, scaling, target_scaling, found.columns, found.target, span)
    return Data(found.name, xs[0], ys[0], xs[1], ys[1], signature, notes)


def _as_inputs(
    name: str, x: NDArray[Any], scaling: Scaling, rows: NDArray[np.intp] | None
) -> Inputs:
    """Examples, or those rows of them, scaled; those in a file when they are taken."""
    if isinstance(x, np.memmap):
        if name == "x_test":
            check_finite(name, x)
        return Mapped(x, scaling, rows)
    y = scaling(x if rows is None else x[rows])
    for start in range(0, len(y), inputs.ROWS):
        bad = np.argwhere(~np.isfinite(y[start : start + inputs.ROWS]))
        if len(bad):
            example, feature = int(bad[0][0]) + start, bad[0][1]
            row = example if rows is None else int(rows[example])
            refuse_number(name, x.reshape(len(x), -1)[row, feature], row)
    return y


def to_predict(
    path: str | Path | None, signature: Signature
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The examples that `--data` names for a trained net, and what is right, if that is there.

    Of data with a training and a test set, the test set; a `.npy` file is the examples themselves.
    Raises InputError if the files cannot be read or do not have the columns of the signature.
    """
    try:
        if path is not None and columns.is_table(Path(path)):
            if signature.columns is None:
                raise InputError("it is a table, but the net was trained on arrays; wanted arrays")
            known, target = signature.columns, signature.target
            table = columns.read(Path(path), lambda names: columns.known(names, known, target))
            return encoded(known, table), table.get(target or "")
        if signature.columns is not None:
            raise InputError(
                "it is no table; wanted a CSV or Parquet file with the columns "
                f"{listed([column.name for column in signature.columns])}"
            )
        if path is not None and Path(path).suffix == arrays.NPY:
            return arrays.mapped(Path(path)), None
        found = find_arrays(None if path is None else Path(path), labelled=False).arrays
    except (ValueError, InputError) as error:
        where = f"--data {str(path)!r}"
        if str(path) in str(error).partition(":")[0]:
            raise InputError(str(error)) from error
        raise InputError(f"{where}: {error}") from error
    part = "test" if "x_test" in found else "train"
    x, y = found[f"x_{part}"], found.get(f"y_{part}")
    check_inputs(f"x_{part}", x)
    if y is None or not signature.classes:
        return x, y
    labels, _ = targets.labels_of(f"y_{part}", y, len(x))
    return x, labels


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
