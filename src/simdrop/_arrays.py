"""Arrays of any type and layout: what they are, where they overlap, and how they are multiplied."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

NEAR = 1 << 15  # elements


def __getattr__(name: str) -> Any:
    """Names that are in _args now."""
    from simdrop import _args

    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(_args, name)


def copy_to(x: np.ndarray, y: np.ndarray) -> None:
    """Write x to y as if x had been copied first; NumPy does so only for some overlaps."""
    y[...] = x if apart(x, y) else x.copy()


def apart(x: np.ndarray, out: np.ndarray) -> bool:
    """Whether `out` can be written without clobbering unread elements of x."""
    if not np.may_share_memory(x, out):
        return True
    same_place = x.__array_interface__["data"] == out.__array_interface__["data"]
    return same_place and x.strides == out.strides and x.dtype == out.dtype


def new_like(x: np.ndarray) -> np.ndarray:
    """A new array for a result: native, and in x's memory order, as from a ufunc."""
    if 0 in x.strides:  # np.empty_like would move axes that have no place in memory
        arrays: Any = (x, None)
        flags: Any = [["readonly"], ["writeonly", "allocate", "no_subtype"]]
        types = [x.dtype, native(x.dtype)]
        return np.nditer(arrays, ["zerosize_ok"], flags, types).operands[1]
    return np.empty_like(x, native(x.dtype), "K", False)


@lru_cache
def has_byte_order(dtype: np.dtype) -> bool:
    """Whether elements are numbers, whose results are native; other types stay as they are."""
    return dtype.kind in "biufcmM" or is_small_float(dtype)


@lru_cache
def native(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("=") if has_byte_order(dtype) else dtype


def is_small_float(dtype: np.dtype) -> bool:
    """float16, or bfloat16 of ml_dtypes (which need not be installed)."""
    # NumPy imports what makes a name, which it cannot in a finalizer at the end of the interpreter.
    return dtype.char == "e" or (dtype.isbuiltin == 2 and dtype.name == "bfloat16")


def overlaps_itself(array: np.ndarray) -> bool:
    """Whether two elements share a byte, as only with broadcast or hand-made strides."""
    if array.size < 2:
        return False
    lengths = zip(array.strides, array.shape, strict=True)
    axes = sorted((abs(stride), n) for stride, n in lengths if n > 1)
    reach = array.itemsize  # bytes that the axes so far span
    apart = True  # each axis steps over all that those before it span
    for stride, n in axes:
        apart = apart and stride >= reach
        reach += (n - 1) * stride
    if apart or reach < array.nbytes:
        return not apart
    offsets = np.zeros(1, np.intp)
    for stride, n in axes:
        offsets = np.add.outer(offsets, np.arange(n) * stride).ravel()
    return bool((np.diff(np.sort(offsets)) < array.itemsize).any())


def factors(p: np.ndarray, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """The factors of kept elements, 1 / (1 - p), or 0 at p = 1, rounded to a type."""
    result = np.empty(p.shape, dtype)
    flat, values = result.reshape(-1), p.reshape(-1)
    with np.errstate(divide="ignore"):
        for i in range(0, p.size, NEAR):  # the float64 in between stay in the caches
            part = np.subtract(1.0, values[i : i + NEAR])
            np.divide(1.0, part, out=part)
            if np.isinf(part.max()):
                part[np.isinf(part)] = 0
            flat[i : i + NEAR] = part
    return result


def real_type(dtype: np.dtype) -> np.dtype:
    """The type that numbers are multiplied in: that of complex parts, float32 for 16 bits."""
    if is_small_float(dtype):
        return np.dtype(np.float32)
    return native(np.empty(0, dtype).real.dtype)


def multiply(x: np.ndarray, factors: Any, y: np.ndarray) -> None:
    """Write x * factors to y, rounded as the kernels round."""
    parts = [(x.real, y.real), (x.imag, y.imag)] if x.dtype.kind == "c" else [(x, y)]
    real = real_type(x.dtype)
    factors = np.asarray(factors).astype(real, copy=False)
    with np.errstate(all="ignore"):
        for part, to in parts:
            np.multiply(part, factors, out=to, dtype=real, casting="unsafe")
