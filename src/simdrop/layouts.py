"""Arrays of any type and layout: what can be masked, and where the result may go."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

LARGEST = 16  # bytes of an element


def apart(x: np.ndarray, out: np.ndarray) -> bool:
    """Whether writing `out` leaves what is still to be read of x."""
    if not np.may_share_memory(x, out):
        return True
    same_place = x.__array_interface__["data"] == out.__array_interface__["data"]
    return same_place and x.strides == out.strides and x.dtype == out.dtype


def new_like(x: np.ndarray) -> np.ndarray:
    """An array for the result: native, and in x's order, as ufuncs do it."""
    if 0 in x.strides:  # an iterator leaves axes where they are that have no place in memory
        arrays: Any = (x, None)
        flags: Any = [["readonly"], ["writeonly", "allocate", "no_subtype"]]
        types = [x.dtype, native(x.dtype)]
        return np.nditer(arrays, ["zerosize_ok"], flags, types).operands[1]
    return np.empty_like(x, native(x.dtype), "K", False)


@lru_cache
def has_byte_order(dtype: np.dtype) -> bool:
    """Whether elements are numbers, so that a result is native; other types stay as they are."""
    return dtype.kind in "biufcmM" or is_small_float(dtype)


@lru_cache
def native(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("=") if has_byte_order(dtype) else dtype


@lru_cache
def check_dtype(dtype: np.dtype, scale: bool) -> None:
    """Refuse what cannot be masked, and what would be scaled and cannot be."""
    if not scale:
        if dtype.hasobject or not 0 < dtype.itemsize <= LARGEST:
            raise TypeError(
                f"elements of {dtype} cannot be masked: with scale=False they can be of any type "
                f"of fixed size up to {LARGEST} bytes"
            )
    elif dtype.kind in "biu":
        raise TypeError(
            f"{dtype.name} cannot be multiplied by 1 / (1 - p): pass scale=False to mask it, "
            "or convert it to floats"
        )
    elif not (is_small_float(dtype) or dtype.char in "fdFD"):
        raise TypeError(
            f"arrays of {dtype} cannot be scaled: float16, bfloat16, float32, float64, complex64 "
            "and complex128 can, and scale=False masks without scaling"
        )


def is_small_float(dtype: np.dtype) -> bool:
    """float16, or bfloat16 of ml_dtypes (which need not be installed)."""
    return dtype.char == "e" or dtype.name == "bfloat16"


def check_out(out: Any, x: np.ndarray) -> None:
    """Refuse an `out` that cannot hold the result, before anything is written."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if native(out.dtype) != native(x.dtype):
        raise TypeError(f"out is of {out.dtype}, but the result is of {x.dtype}")
    if out.shape != x.shape:
        raise ValueError(f"out has shape {out.shape}, but the result has shape {x.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if overlaps_itself(out):
        raise ValueError(
            f"out has several elements at one address: strides {out.strides} for shape {out.shape}"
        )


def overlaps_itself(array: np.ndarray) -> bool:
    """Whether two elements share a byte, as only broadcast and hand-made strides have it."""
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
