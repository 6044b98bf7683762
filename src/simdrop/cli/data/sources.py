"""Where data come from: what `--data` names, found by its name and its first bytes, and read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn.inputs import Column, encoded
from ..errors import InputError
from ..files import unreadable
from . import arrays, columns, idx
from .arrays import ARRAYS


@dataclass(frozen=True)
class Found:
    """What a source holds, before it is checked: two or four of `ARRAYS`."""

    name: str
    arrays: dict[str, NDArray[Any]]
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] | None = None
    target: str | None = None


def find(
    path: Path | None,
    target: str | None = None,
    ignore: Sequence[str] = (),
    test: str | float | None = None,
) -> Found:
    """What `data.load` is given, read but not checked; InputError if that is not possible."""
    if path is not None and (columns.is_table(path) or target is not None):
        return _table(path, target, ignore, test)
    file = test if isinstance(test, str) else None
    for option, given in (("--target", target), ("--ignore", ",".join(ignore)), ("--test", file)):
        if given:
            raise InputError(
                f"{option} {given} without a table; wanted it with a CSV or Parquet file as --data"
            )
    return find_arrays(path)


def find_arrays(path: Path | None, labelled: bool = True) -> Found:
    """The same of all but tables; unless `labelled`, y may be missing."""
    if path is None:
        return _digits()
    try:
        is_folder = path.is_dir()
        folder = path if is_folder else path.parent
        in_numpy = is_folder or path.suffix == arrays.NPY
        files = arrays.in_folder(folder) if in_numpy else {}
        idx_set = None
        if not files:
            idx_set = idx.set_in_folder(path) if is_folder else idx.set_of_file(path)
    except OSError as error:
        raise unreadable(path, error) from error
    if files:
        found = arrays.read_npy(files, path, labelled)
        return Found(_title(folder.resolve().name), found)
    if idx_set:
        notes: tuple[str, ...] = ()
        if idx_set is idx.QMNIST:
            notes = (f"Labels: the first of QMNIST's {idx.QMNIST_COLUMNS} columns, the digit.",)
        name = path.resolve().name if is_folder else idx_set.name
        return Found(_title(name), idx_set.read(folder), notes)
    return Found(_title(_stem(path)), arrays.read_npz(path, labelled))


def _table(
    path: Path, target: str | None, ignore: Sequence[str], test: str | float | None
) -> Found:
    """A training set, and perhaps a test set, from tables with the same columns."""
    table = columns.read(path, lambda names: columns.chosen(names, target, ignore))
    y_train = table.pop(str(target))
    used = columns.columns_of(table)
    found = {"x_train": encoded(used, table), "y_train": y_train}
    if isinstance(test, str):
        try:
            table = columns.read(Path(test), lambda names: columns.known(names, used, target))
            if target not in table:
                raise ValueError(f"it lacks the column {target!r} of --target")
            found |= {"x_test": encoded(used, table), "y_test": table[str(target)]}
        except (ValueError, InputError) as error:
            raise InputError(f"--test {test!r}: {error}") from error
    several = [column for column in used if column.categories is not None]
    notes = tuple(
        f"Column {column.name!r}: one-hot, for {len(column.categories or ())} categories."
        for column in several[:5]
    )
    if len(several) > 5:
        notes += (f"{len(several) - 5} more columns are one-hot.",)
    return Found(_title(_stem(path)), found, notes, used, target)


def _digits() -> Found:
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels, a fixed random half for the test."""
    import sklearn.datasets

    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    pixels = pixels.astype(np.int64)  # whole numbers from 0 to 16, stored as float64
    found = (pixels[train], labels[train], pixels[test], labels[test])
    return Found("Handwritten digits", dict(zip(ARRAYS, found, strict=True)))


def _title(name: str) -> str:
    """What of a name can be drawn."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _stem(path: Path) -> str:
    """A file's name without what tells its format."""
    return Path(path.resolve().name.removesuffix(".gz")).stem
