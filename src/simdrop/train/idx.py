"""Reads IDX, the file format MNIST is published in, gzipped or not.

A file is two zero bytes, a byte for the type, a byte for the number of axes, the length of each
axis as a big-endian uint32, then the numbers in C order, also big-endian (Y. LeCun, C. Cortes and
C. Burges, "The MNIST database", section "The IDX file format", http://yann.lecun.com/exdb/mnist).
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from .errors import InputError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
MAX_AXES = 32  # NumPy 1's limit; images have two to four


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file.

    Whether it is gzipped is told by its first two bytes, not by its name.

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
    content = _read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        found = content[:4].hex(" ") or "no bytes"
        raise InputError(
            f"{str(path)!r} is not an IDX file: it starts with {found}; "
            "wanted 00 00, a type (08 for unsigned bytes), the number of axes"
        )
    axes = content[3]
    if not 1 <= axes <= MAX_AXES:
        raise InputError(f"{str(path)!r} has {axes} axes; wanted 1 to {MAX_AXES}")
    header = 4 + 4 * axes
    if len(content) < header:
        raise InputError(
            f"{str(path)!r} is truncated: it ends after {len(content)} of its header's "
            f"{header} bytes"
        )
    # Python integers: the product of damaged lengths may be far beyond 64 bits.
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, offset=4))
    dtype = np.dtype(DTYPES[content[2]])
    size = math.prod(shape)
    wanted = header + size * dtype.itemsize
    if len(content) != wanted:
        problem = "is truncated" if len(content) < wanted else "has bytes after its end"
        raise InputError(
            f"{str(path)!r} {problem}: its header (shape {shape}, {dtype.itemsize} bytes a number) "
            f"asks for {wanted} bytes, and it holds {len(content)}"
        )
    if size == 0:
        raise InputError(f"{str(path)!r} is empty: its shape is {shape}")
    return (
        np.frombuffer(content, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))
    )


def _read_bytes(path: Path) -> bytes:
    """The whole file, decompressed if it is gzipped."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if content[:2] != GZIP_MAGIC:
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} is damaged gzip data: {error}") from error
