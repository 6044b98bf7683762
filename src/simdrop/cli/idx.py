"""Reads IDX, the file format MNIST is published in, gzipped or not.

A file is two zero bytes, a byte for the type, a byte for the number of axes, the length of each
axis as a big-endian uint32, then the numbers in C order, also big-endian (Y. LeCun, C. Cortes and
C. Burges, "The MNIST database", section "The IDX file format", http://yann.lecun.com/exdb/mnist).
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .reading import opened, read_array

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 32  # NumPy 1's limit; images have two to four


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read one IDX file.

    Whether it is gzipped is told by its first two bytes, not by its name. Of a file, or of gzip
    data, with more in it than its header says, one byte more is read.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    numpy.ndarray
        The numbers, in the shape and (native) type the header gives.

    Raises
    ------
    InputError
        If the file cannot be read, or its bytes are not exactly one IDX array.
    """
    path = Path(path)
    name = repr(str(path))
    with opened(path) as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
            raise InputError(
                f"{name} is not an IDX file: it starts with {start.hex(' ') or 'no bytes'}; "
                "wanted 00 00, a type (08 for unsigned bytes), the number of axes"
            )
        axes = start[3]
        if not 1 <= axes <= MAX_AXES:
            raise InputError(f"{name} has {axes} axes; wanted 1 to {MAX_AXES}")
        lengths = file.read(4 * axes)
        if len(lengths) < 4 * axes:
            raise InputError(
                f"{name} is truncated: it ends after {4 + len(lengths)} of its header's "
                f"{4 + 4 * axes} bytes"
            )
        # Python integers: the product of damaged lengths may be far beyond 64 bits.
        shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
        if math.prod(shape) == 0:
            raise InputError(f"{name} is empty: its shape is {shape}")
        dtype = np.dtype(DTYPES[start[2]])
        array = read_array(file, dtype, shape, name=name)
    return array.astype(dtype.newbyteorder("="), copy=False)
