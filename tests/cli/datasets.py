"""A small data set for tests, in memory and as the bytes of IDX files, and files that expand."""

import gzip
import tracemalloc
from contextlib import contextmanager

import numpy as np

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@contextmanager
def edited(path):
    """The arrays of an .npz file, written back at the end of the block."""
    with np.load(path) as saved:
        arrays = dict(saved)
    yield arrays
    np.savez(path, **arrays)


def idx_bytes(array):
    """An array as the bytes of an IDX file."""
    code = IDX_CODES[array.dtype.str[1:]]
    shape = np.array(array.shape, ">u4").tobytes()
    return (
        bytes([0, 0, code, array.ndim]) + shape + array.astype(array.dtype.newbyteorder()).tobytes()
        if array.dtype.itemsize > 1
        else bytes([0, 0, code, array.ndim]) + shape + array.tobytes()
    )


def small_set(train=6, test=4):
    """Four arrays as MNIST has them, with 2 x 3 pixels and 3 labels."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (train, 2, 3), np.uint8),
        "y_train": np.arange(train, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (test, 2, 3), np.uint8),
        "y_test": np.arange(test, dtype=np.uint8) % 3,
    }


def assert_small_set(loaded):
    wanted = small_set()
    assert loaded.classes == 3
    for part in ("train", "test"):
        x, y = getattr(loaded, f"x_{part}"), getattr(loaded, f"y_{part}")
        assert x.dtype == np.float32 and y.dtype == np.int64
        pixels = wanted[f"x_{part}"].reshape(-1, 6).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(x, pixels)
        np.testing.assert_array_equal(y, wanted[f"y_{part}"])


MUCH = 2**26  # bytes of which nothing should be kept

LITTLE = 2**22


@contextmanager
def little_memory():
    """The block never has more than `LITTLE` bytes, NumPy's arrays included."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


def gzip_bomb(start, members):
    """Gzip data of a few KB: `start`, then MUCH zeros, in one member or in many."""
    if members == 1:
        return gzip.compress(start + bytes(MUCH), 1)
    return gzip.compress(start) + gzip.compress(bytes(MUCH // members)) * members
