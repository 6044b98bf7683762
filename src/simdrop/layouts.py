"""Arrays of types and layouts that the kernels do not take: checked, then masked as a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simdrop.mask import Mask

KERNEL_TYPES = (np.dtype(np.float32), np.dtype(np.float64))


def apply(mask: Mask, x: Any, out: np.ndarray | None) -> np.ndarray:
    """`Mask.apply` for any x and out."""
    x = np.asarray(x)
    check_dtype(x.dtype, mask.scaled)
    if x.shape != mask.shape:
        raise ValueError(f"the array has shape {x.shape}, but the mask has shape {mask.shape}")
    if out is not None:
        check_out(out, x)
    with np.errstate(all="ignore"):  # a float16 may overflow as quietly as a float32 in the kernels
        masked = masked_copy(mask, x)
    if out is None:
        if masked.flags.c_contiguous and x.flags.c_contiguous:
            return masked
        out = np.empty_like(x, dtype=masked.dtype, subok=False)  # in x's order, as ufuncs do
    np.copyto(out, masked)
    return out


def check_dtype(dtype: np.dtype, scale: bool) -> None:
    """Refuse what cannot be masked, and integers that would be scaled."""
    if dtype.kind in "biu" and scale:
        raise TypeError(
            f"{dtype.name} cannot be multiplied by 1 / (1 - p): pass scale=False to mask it, "
            "or convert it to floats"
        )
    if not (dtype.kind in "biu" or is_small_float(dtype) or dtype.char in "fdFD"):
        raise TypeError(
            f"arrays of {dtype} have no dropout: float16, bfloat16, float32, float64, complex64, "
            "complex128, and with scale=False bool and integers, have"
        )


def is_small_float(dtype: np.dtype) -> bool:
    """float16, or bfloat16 of ml_dtypes (which need not be installed)."""
    return dtype.char == "e" or dtype.name == "bfloat16"


def check_out(out: Any, x: np.ndarray) -> None:
    """Refuse an `out` that cannot hold the result, before anything is written."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if out.dtype.newbyteorder("=") != x.dtype.newbyteorder("="):
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


def masked_copy(mask: Mask, x: np.ndarray) -> np.ndarray:
    """The result as a new C-contiguous array of x's type in native byte order."""
    dtype = x.dtype.newbyteorder("=")
    if dtype.kind in "biu":
        return np.where(mask.keep(), x.astype(dtype), dtype.type(0))
    if dtype.kind == "c":
        y = np.empty(x.shape, dtype)
        y.real = masked_copy(mask, x.real)
        y.imag = masked_copy(mask, x.imag)
        return y
    if is_small_float(dtype):
        return masked_copy(mask, x.astype(np.float32)).astype(dtype)
    return mask.apply(np.require(x, dtype, ["C", "ALIGNED", "ENSUREARRAY"]))
