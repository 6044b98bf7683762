"""IDX, the file format of MNIST: reads its files, and knows what published data sets call theirs.

A file is two zero bytes, a byte for the type, a byte for the number of axes, the length of each
axis as a big-endian uint32, then the numbers in C order, also big-endian (Y. LeCun, C. Cortes and
C. Burges, "The MNIST database", section "The IDX file format", http://yann.lecun.com/exdb/mnist).
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._npz import read_numbers
from ..errors import InputError
from ..files import reading

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 32  # NumPy 1's limit; images have two to four


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an IDX file, gzipped or not, as an array of native byte order.

    At most one byte more is read than the header promises. Raises InputError if the file cannot be
    read, or its bytes are not exactly one IDX array.
    """
    with reading(Path(path)) as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
            raise ValueError(
                f"it is not an IDX file: it starts with {start.hex(' ') or 'no bytes'}; "
                "wanted 00 00, a type (08 for unsigned bytes), the number of axes"
            )
        axes = start[3]
        if not 1 <= axes <= MAX_AXES:
            raise ValueError(f"it has {axes} axes; wanted 1 to {MAX_AXES}")
        lengths = file.read(4 * axes)
        if len(lengths) < 4 * axes:
            raise ValueError(
                f"it is truncated: it ends after {4 + len(lengths)} of its header's "
                f"{4 + 4 * axes} bytes"
            )
        # Python integers: the product of damaged lengths may be far beyond 64 bits.
        shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
        if math.prod(shape) == 0:
            raise ValueError(f"it is empty: its shape is {shape}")
        dtype = np.dtype(DTYPES[start[2]])
        return read_numbers(file, dtype, shape).astype(dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True)
class IdxSet:
    """A data set of four IDX files, and how their names are made.

    Attributes
    ----------
    name : str
        What the data set is called.
    prefix : str
        The start of all four file names.
    test : str
        What the test set is called in them.
    labels : str
        The suffix of the files of labels.
    """

    name: str
    prefix: str = ""
    test: str = "test"
    labels: str = "idx1-ubyte"

    @property
    def files(self) -> dict[str, str]:
        """The published name of the file of each array, without .gz."""
        return {
            f"{array}_{part}": f"{self.prefix}{said}-{content}-{kind}"
            for part, said in (("train", "train"), ("test", self.test))
            for array, content, kind in (
                ("x", "images", "idx3-ubyte"),
                ("y", "labels", self.labels),
            )
        }

    def found(self, folder: Path) -> dict[str, Path]:
        """Those of the four files that are in a folder."""
        return {
            array: path
            for array, file in self.files.items()
            if (path := next(filter(Path.is_file, _variants(folder, file)), None))
        }

    def read(self, folder: Path) -> dict[str, NDArray[Any]]:
        """The four arrays, by name; InputError if a file is missing or damaged."""
        found = self.found(folder)
        for array, file in self.files.items():
            if array not in found:
                raise InputError(
                    f"{str(folder)!r} has no file {file} (or .gz); wanted the four of "
                    f"{self.name}: {', '.join(self.files.values())}"
                )
        arrays = {array: read_idx(path) for array, path in found.items()}
        if self is QMNIST:
            for array in ("y_train", "y_test"):
                if arrays[array].shape[1:] != (QMNIST_COLUMNS,):
                    raise InputError(
                        f"{str(folder)!r}: {array} has shape {arrays[array].shape}; wanted "
                        f"QMNIST's {QMNIST_COLUMNS} columns, the first of which is the digit"
                    )
                arrays[array] = arrays[array][:, 0]
        return arrays


# Fashion-MNIST and KMNIST use MNIST's names. Cohen et al. 2017, "EMNIST: extending MNIST to
# handwritten letters"; Yadav and Bottou 2019, "Cold case: the lost MNIST digits".
MNIST = IdxSet("MNIST", test="t10k")
SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
QMNIST = IdxSet("QMNIST", "qmnist-", labels="idx2-int")
QMNIST_COLUMNS = 8
IDX_SETS = (MNIST, *(IdxSet(f"EMNIST {split}", f"emnist-{split}-") for split in SPLITS), QMNIST)


def set_of_file(path: Path) -> IdxSet | None:
    """The data set that names one of its files like this; None if there is none."""
    for idx_set in IDX_SETS:
        if any(path in _variants(path.parent, file) for file in idx_set.files.values()):
            return idx_set
    return None


def set_in_folder(folder: Path) -> IdxSet:
    """The only complete data set of a folder, else the most complete one; else InputError."""
    found = {idx_set: idx_set.found(folder) for idx_set in IDX_SETS}
    complete = [idx_set for idx_set, files in found.items() if len(files) == len(idx_set.files)]
    if len(complete) > 1:
        example = found[complete[0]]["x_train"]
        raise InputError(
            f"{str(folder)!r} holds several data sets: "
            f"{', '.join(idx_set.name for idx_set in complete)}; wanted one, or the path of one "
            f"of its files, such as {str(example)!r}"
        )
    most = max(IDX_SETS, key=lambda idx_set: len(found[idx_set]))
    if not found[most]:
        mnist, qmnist = (", ".join(idx_set.files.values()) for idx_set in (MNIST, QMNIST))
        raise InputError(
            f"{str(folder)!r} has none of the IDX files looked for, gzipped (.gz) or not: those of "
            f"MNIST, Fashion-MNIST or KMNIST ({mnist}), EMNIST (emnist-SPLIT-train-images-"
            f"idx3-ubyte and so on; SPLIT: {', '.join(SPLITS)}) or QMNIST ({qmnist})"
        )
    return most


def _variants(folder: Path, file: str) -> list[Path]:
    """The spellings of a file's name: some copies have a dot before "idx", or are gzipped."""
    spelled = (file, ".idx".join(file.rsplit("-idx", 1)))
    return [folder / (name + gz) for name, gz in itertools.product(spelled, ("", ".gz"))]
