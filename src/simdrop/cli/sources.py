"""Where `--data` comes from: scikit-learn's digits, an `.npz` file, or a folder of IDX files."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import ARRAYS, Data, checked
from .errors import InputError
from .idx import read_idx
from .npz import opened_npz
from .reading import unreadable

# In .npz files, whatever their case: Keras, scikit-learn's tutorials, MedMNIST and others.
SPELLINGS = {
    "x_train": ("x_train", "train_x", "train_images", "training_images"),
    "y_train": ("y_train", "train_y", "train_labels", "training_labels"),
    "x_test": ("x_test", "test_x", "test_images"),
    "y_test": ("y_test", "test_y", "test_labels"),
}


@dataclass(frozen=True)
class IdxSet:
    """How the four IDX files of a data set are named.

    Attributes
    ----------
    name : str
        The data set's.
    prefix, test : str
        What all four names start with, and what the test set is called in them.
    labels : str
        The kind of the files of labels.
    """

    name: str
    prefix: str = ""
    test: str = "test"
    labels: str = "idx1-ubyte"

    @property
    def files(self) -> dict[str, str]:
        """The four names as they are published, but for .gz."""
        return {
            f"{array}_{part}": f"{self.prefix}{said}-{content}-{kind}"
            for part, said in (("train", "train"), ("test", self.test))
            for array, content, kind in (
                ("x", "images", "idx3-ubyte"),
                ("y", "labels", self.labels),
            )
        }

    def found(self, folder: Path) -> dict[str, Path]:
        """Those of the four files that a folder has."""
        return {
            array: path
            for array, file in self.files.items()
            if (path := next(filter(Path.is_file, _variants(folder, file)), None))
        }


# Fashion-MNIST and KMNIST have MNIST's names. Cohen et al. 2017, "EMNIST: extending MNIST to
# handwritten letters"; Yadav and Bottou 2019, "Cold case: the lost MNIST digits".
MNIST = IdxSet("MNIST", test="t10k")
SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
QMNIST = IdxSet("QMNIST", "qmnist-", labels="idx2-int")
QMNIST_COLUMNS = 8
IDX_SETS = (MNIST, *(IdxSet(f"EMNIST {split}", f"emnist-{split}-") for split in SPLITS), QMNIST)


def load(path: str | Path | None = None) -> Data:
    """Load what `--data` names, or the bundled digits.

    Parameters
    ----------
    path : str or Path, optional
        An `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test` (or other
        `SPELLINGS`), a folder with the four IDX files of one of `IDX_SETS`, or one of these files;
        all gzipped or not. Without it, scikit-learn's handwritten digits.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        If the files cannot be read or the arrays do not make a training and a test set.
    """
    if path is None:
        return load_digits()
    path = Path(path)
    try:
        is_folder = path.is_dir()
        idx_set = _only_set(path) if is_folder else _set_named(path)
    except OSError as error:
        raise unreadable(path, error) from error
    if idx_set is None:
        arrays = _load_npz(path)
        name = Path(path.resolve().name.removesuffix(".gz")).stem
        return checked(_drawable(name), arrays, source=str(path))
    arrays, notes = _load_set(path if is_folder else path.parent, idx_set)
    name = path.resolve().name if is_folder else idx_set.name
    return checked(_drawable(name), arrays, source=str(path), notes=notes)


def load_digits() -> Data:
    """scikit-learn's 1797 handwritten digits of 8 x 8 pixels, a random half of them for the test.

    The halves are always the same ones, whatever the seed of the training.

    Returns
    -------
    Data
    """
    import sklearn.datasets

    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    pixels = pixels.astype(np.int64)  # whole numbers from 0 to 16, stored as float64
    arrays = dict(
        zip(ARRAYS, (pixels[train], labels[train], pixels[test], labels[test]), strict=True)
    )
    return checked("Handwritten digits", arrays, source="digits")


def _load_npz(path: Path) -> dict[str, NDArray[Any]]:
    with opened_npz(path) as npz:
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


def _variants(folder: Path, file: str) -> list[Path]:
    """The spellings of a file's name: some copies have a dot before "idx", or are gzipped."""
    spelled = (file, ".idx".join(file.rsplit("-idx", 1)))
    return [folder / (name + gz) for name, gz in itertools.product(spelled, ("", ".gz"))]


def _set_named(path: Path) -> IdxSet | None:
    """The data set of which a file has one of the names."""
    for idx_set in IDX_SETS:
        if any(path in _variants(path.parent, file) for file in idx_set.files.values()):
            return idx_set
    return None


def _only_set(folder: Path) -> IdxSet:
    """The data set that a folder has."""
    found = {idx_set: idx_set.found(folder) for idx_set in IDX_SETS}
    whole = [idx_set for idx_set, files in found.items() if len(files) == len(ARRAYS)]
    if len(whole) > 1:
        example = found[whole[0]]["x_train"]
        raise InputError(
            f"{str(folder)!r} holds several data sets: "
            f"{', '.join(idx_set.name for idx_set in whole)}; wanted one, or the path of one of "
            f"its files, such as {str(example)!r}"
        )
    if whole:
        return whole[0]
    most = max(IDX_SETS, key=lambda idx_set: len(found[idx_set]))
    if not found[most]:
        mnist, qmnist = (", ".join(idx_set.files.values()) for idx_set in (MNIST, QMNIST))
        raise InputError(
            f"{str(folder)!r} has none of the IDX files looked for, gzipped (.gz) or not: those of "
            f"MNIST, Fashion-MNIST or KMNIST ({mnist}), EMNIST (emnist-SPLIT-train-images-"
            f"idx3-ubyte and so on; SPLIT: {', '.join(SPLITS)}) or QMNIST ({qmnist})"
        )
    return most


def _load_set(folder: Path, idx_set: IdxSet) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Its four arrays, and notes for `checked`."""
    found = idx_set.found(folder)
    for array, file in idx_set.files.items():
        if array not in found:
            raise InputError(
                f"{str(folder)!r} has no file {file} (or .gz); wanted the four of {idx_set.name}: "
                f"{', '.join(idx_set.files.values())}"
            )
    arrays = {array: read_idx(path) for array, path in found.items()}
    if idx_set is not QMNIST:
        return arrays, ()
    for array in ("y_train", "y_test"):
        if arrays[array].shape[1:] != (QMNIST_COLUMNS,):
            raise InputError(
                f"{str(folder)!r}: {array} has shape {arrays[array].shape}; wanted QMNIST's "
                f"{QMNIST_COLUMNS} columns, the first of which is the digit"
            )
        arrays[array] = arrays[array][:, 0]
    return arrays, (f"Labels: the first of QMNIST's {QMNIST_COLUMNS} columns, the digit.",)


def _drawable(name: str) -> str:
    """A title: not all that a file system takes for a name can be drawn."""
    return "".join(c if c.isprintable() else "?" for c in name)
