"""Arrays of NumPy: `.npz` files, and folders of `.npy` files, which may be larger than memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._npz import Npz, map_npy
from ..errors import InputError
from ..files import reading, unreadable

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# In upper or lower case: Keras, scikit-learn's tutorials, MedMNIST and others.
SPELLINGS = {
    "x_train": ("x_train", "train_x", "train_images", "training_images"),
    "y_train": ("y_train", "train_y", "train_labels", "training_labels"),
    "x_test": ("x_test", "test_x", "test_images"),
    "y_test": ("y_test", "test_y", "test_labels"),
}
# Of data without a test set.
WHOLE = {"x_train": ("x", "data", "images"), "y_train": ("y", "target", "labels")}
ZIP_MAGIC = b"PK"
NPY = ".npy"


def read_npz(path: Path, labelled: bool = True) -> dict[str, NDArray[Any]]:
    """The two or four arrays of an `.npz` file; unless `labelled`, y may be missing."""
    with reading(path) as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise InputError(
                f"{str(path)!r} is not an .npz file; wanted one, a folder with .npy files or with "
                "the IDX files of MNIST, EMNIST or QMNIST, or a table (.csv, .tsv, .parquet)"
            )
        file.seek(0)
        try:
            npz = Npz(file)
        except ValueError as error:
            raise InputError(f"{str(path)!r} is a damaged .npz file: {error}") from error
        found = assigned(npz.names, repr(str(path)), labelled=labelled)
        return {array: npz.read(npz.names.index(name)) for array, name in found.items()}


def in_folder(folder: Path) -> dict[str, Path]:
    """The `.npy` files of a folder by their names, if one of these is an array's."""
    known = {name for names in (*SPELLINGS.values(), *WHOLE.values()) for name in names}
    files = {path.stem: path for path in folder.glob(f"*{NPY}")}
    named = {name: path for name, path in sorted(files.items()) if name.lower() in known}
    return named


def read_npy(files: dict[str, Path], given: Path, labelled: bool = True) -> dict[str, NDArray[Any]]:
    """The same of `.npy` files; inputs stay in their files."""
    if given.suffix == NPY and given.stem not in files:
        raise InputError(
            f"{str(given)!r} is not named as an array of {', '.join(ARRAYS)}; "
            f"wanted one of {', '.join(files)}"
        )
    found = assigned(list(files), repr(str(given)), NPY, labelled)
    opened = {array: mapped(files[name]) for array, name in found.items()}
    return {array: x if array.startswith("x") else np.array(x) for array, x in opened.items()}


def mapped(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file, which stays there."""
    try:
        return map_npy(path)
    except ValueError as error:
        raise InputError(f"{str(path)!r}: {error}") from error
    except OSError as error:
        raise unreadable(path, error) from error


def assigned(
    names: Sequence[str], where: str, suffix: str = "", labelled: bool = True
) -> dict[str, str]:
    """Which of the names is which of the two or four arrays; InputError if that is not clear."""
    found = {
        array: [name for name in names if name.lower() in SPELLINGS[array]] for array in ARRAYS
    }
    if not any(found.values()):
        found = {array: [name for name in names if name.lower() in WHOLE[array]] for array in WHOLE}
    elif not found["x_test"] and not found["y_test"]:
        del found["x_test"], found["y_test"]
    if not labelled:
        found = {array: several for array, several in found.items() if array[0] == "x" or several}
        if found.get("x_test"):  # what predictions are wanted for
            found.pop("x_train", None)
    missing = [array for array, several in found.items() if not several]
    if missing:
        raise InputError(
            f"{where} has no array {' or '.join(missing)}; wanted {', '.join(ARRAYS)}, "
            "also spelled train_x, train_y, ... or train_images, train_labels, ..., or x and y "
            f"alone; found {', '.join(name + suffix for name in names) or 'none'}"
        )
    for array, several in found.items():
        if len(several) > 1:
            raise InputError(
                f"{where} holds both {' and '.join(several)}, which may each be {array}; wanted "
                "one of them"
            )
    return {array: name for array, (name,) in found.items()}
