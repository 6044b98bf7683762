"""Where `--data` comes from: scikit-learn's digits, an `.npz` file, or a folder of IDX files."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import ARRAYS, Data, checked
from .errors import InputError
from .idx import read_idx

ZIP_MAGIC = b"PK"

# MNIST's own file names; some copies have a dot before "idx", or are gzipped.
IDX_STEMS = {
    "x_train": ("train-images", "idx3-ubyte"),
    "y_train": ("train-labels", "idx1-ubyte"),
    "x_test": ("t10k-images", "idx3-ubyte"),
    "y_test": ("t10k-labels", "idx1-ubyte"),
}


def load(path: str | Path | None = None) -> Data:
    """Load what `--data` names, or the bundled digits.

    Parameters
    ----------
    path : str or Path, optional
        An `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`, or a folder with
        MNIST's four IDX files, gzipped or not. Without it, scikit-learn's handwritten digits.

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
        if path.is_dir():
            arrays = _load_folder(path)
        elif path.is_file() or not path.exists():
            arrays = _load_npz(path)
        else:  # a pipe, which might never answer
            raise InputError(f"{str(path)!r} is neither a file nor a folder; wanted one of them")
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)!r} cannot be read: {reason}") from error
    # Not all that a file system takes for a name can be drawn as a title.
    name = "".join(c if c.isprintable() else "?" for c in path.resolve().stem)
    return checked(name, arrays, source=str(path))


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
    with path.open("rb") as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise InputError(
                f"{str(path)!r} is not an .npz file; "
                "wanted one, or a folder with the IDX files of MNIST"
            )
        file.seek(0)
        # Damaged bytes make zipfile, zlib and NumPy's header parser raise a dozen kinds of error,
        # and the parser warn; whichever it is, the file is what the user has to look at.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                npz = np.load(file, allow_pickle=False)
                names = npz.files
            except Exception as error:
                raise InputError(f"{str(path)!r} is a damaged .npz file: {error}") from error
            missing = [name for name in ARRAYS if name not in names]
            if missing:
                raise InputError(
                    f"{str(path)!r} has no array {' or '.join(missing)}; "
                    f"wanted {', '.join(ARRAYS)}, found {', '.join(names) or 'none'}"
                )
            arrays = {}
            for name in ARRAYS:
                try:
                    arrays[name] = npz[name]
                except Exception as error:
                    raise InputError(
                        f"{str(path)!r}: array {name} cannot be read: {error}"
                    ) from error
                if not isinstance(arrays[name], np.ndarray):  # NumPy hands over the bytes
                    raise InputError(f"{str(path)!r}: {name} is in the archive, but is no array")
    return arrays


def _load_folder(path: Path) -> dict[str, NDArray[Any]]:
    files = {}
    for name, (stem, kind) in IDX_STEMS.items():
        variants = [
            path / f"{stem}{dot}{kind}{suffix}"
            for dot, suffix in itertools.product("-.", ("", ".gz"))
        ]
        found = [variant for variant in variants if variant.is_file()]
        if not found:
            raise InputError(
                f"{str(path)!r} has no file {variants[0].name}; wanted the four IDX files of "
                "MNIST, gzipped (.gz) or not"
            )
        files[name] = found[0]
    return {name: read_idx(file) for name, file in files.items()}
