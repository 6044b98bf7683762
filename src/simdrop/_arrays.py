"""Arrays of any type and layout: what can be masked, where the result may go, p as an array."""

from __future__ import annotations

import operator
import sys
from functools import lru_cache
from math import prod
from typing import Any, NoReturn

import numpy as np

LARGEST = 16  # bytes of an element
NEAR = 1 << 15  # elements
RUN = 512  # elements of consecutive numbers that are worth a kernel's call
LINES = 64  # elements: some lines of memory, which are read whole


def base(x: Any) -> np.ndarray:
    """
    An array_like as a base ndarray, which has the shape that its memory has.

    A masked array is a TypeError: its mask would be lost.
    """
    if type(x) is np.ndarray:
        return x
    ma = sys.modules.get("numpy.ma")
    if ma is not None and isinstance(x, ma.MaskedArray):
        raise TypeError(
            "a masked array was given, whose mask would be lost: pass its .filled(value) or its "
            ".data instead"
        )
    return np.asarray(x)


def refuse_ufunc(transform: Any, ufunc: np.ufunc) -> NoReturn:
    """What ``x * mask`` comes to: with the bools of a mask, the result would not be scaled."""
    name = type(transform).__name__
    call = "apply(x)" if hasattr(transform, "apply") else "backward(dy)"
    raise TypeError(
        f"np.{ufunc.__name__} cannot use a {name}, which is not an array: call its {call} instead"
    )


def copy_to(x: np.ndarray, y: np.ndarray) -> None:
    """Write x to y as if x had been copied first; NumPy does so for some overlaps alone."""
    y[...] = x if apart(x, y) else x.copy()


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
    # NumPy imports what makes a name, which it cannot in a finalizer at the end of the interpreter.
    return dtype.char == "e" or (dtype.isbuiltin == 2 and dtype.name == "bfloat16")


def checked_out(given: Any, x: np.ndarray) -> np.ndarray:
    """What was given as `out`, as a base array that can hold a result like x, or an error."""
    if not isinstance(given, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(given).__name__}")
    out = base(given)
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
    return out


def checked_pair(
    out: Any, likes: dict[str, np.ndarray], read: dict[str, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """
    Two arrays for two gradients: those of a pair `out` as base arrays, new ones where it has None.

    Refuses a pair that cannot hold them, before anything is written.

    `likes` are what the gradients are of and look like; `read` is what must not share memory with
    them, because it is read after they are written.
    """
    first, second = likes
    if not isinstance(out, (tuple, list)):
        raise TypeError(f"out must be a pair of arrays or None, not {type(out).__name__}")
    if len(out) != 2:
        raise ValueError(
            f"out must be a pair, for the gradients of {first} and of {second}, not of {len(out)}"
        )
    elsewhere = dict(read or {})
    arrays = []
    for (name, like), given in zip(likes.items(), out, strict=True):
        if given is None:
            arrays.append(new_like(like))
            continue
        array = checked_out(given, like)
        for other, memory in elsewhere.items():
            if np.may_share_memory(array, memory):
                raise ValueError(f"out for the gradient of {name} shares memory with {other}")
        elsewhere[f"the one for that of {name}"] = array
        arrays.append(array)
    return arrays[0], arrays[1]


def delivered_pair(arrays: tuple[np.ndarray, np.ndarray], out: Any) -> tuple[Any, Any]:
    """What a function of two results returns: the arrays of `out` themselves where it has some."""
    first, second = (a if b is None else b for a, b in zip(arrays, out, strict=True))
    return first, second


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


def block_lengths(x: np.ndarray) -> tuple[int, ...]:
    """
    The shape of blocks that a buffer in the caches holds, for work on x in order of its numbers.

    They are long along the last axes, whose elements have consecutive numbers, and along the axis
    whose elements are neighbours in memory.
    """
    lengths = [1] * x.ndim
    strides = [abs(s) if n > 1 else 2**62 for s, n in zip(x.strides, x.shape, strict=True)]
    wanted = [(x.ndim - 1, RUN), (strides.index(min(strides)), LINES)] if x.ndim else []
    wanted += [(axis, x.shape[axis]) for axis in reversed(range(x.ndim))]
    for axis, n in wanted:
        room = NEAR * lengths[axis] // prod(lengths)
        lengths[axis] = max(lengths[axis], min(x.shape[axis], n, room))
    return tuple(lengths)


def number_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How far the numbers of neighbours are apart along each axis, in C order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def runs(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, np.ndarray]:
    """How long the runs of consecutive numbers in a block are, and where they start."""
    run, axis = 1, len(shape)
    while axis > 0 and (shape[axis - 1] == 1 or strides[axis - 1] == run):
        axis -= 1
        run *= shape[axis]
    starts = np.zeros((), np.uint64)
    for n, stride in zip(shape[:axis], strides[:axis], strict=True):
        starts = np.add.outer(starts, np.arange(n, dtype=np.uint64) * np.uint64(stride))
    return run, np.ravel(starts)


def probabilities(p: np.ndarray) -> np.ndarray:
    """An array p as read-only float64, or an error that names what is wrong in it."""
    p = base(p)
    if p.dtype.kind not in "fiub" and not is_small_float(p.dtype):
        raise TypeError(
            f"p, the probabilities of dropping, must be an array of real numbers, not {p.dtype}"
        )
    values = p.astype(np.float64, order="C", subok=False)
    if not (values.min(initial=0.0) >= 0 and values.max(initial=0.0) <= 1):  # NaN is neither
        index = tuple(int(i) for i in np.argwhere(~((values >= 0) & (values <= 1)))[0])
        raise ValueError(
            f"p = {values[index]} at index {index}, but probabilities of dropping must be in [0, 1]"
        )
    values += 0.0  # -0 is 0, so that equal arrays have equal bytes
    values.flags.writeable = False
    return values


def broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether NumPy's rules make `target` of `shape`."""
    if len(shape) > len(target):
        return False
    last = target[len(target) - len(shape) :]
    return all(n in (1, m) for n, m in zip(shape, last, strict=True))


def factors(p: np.ndarray, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """What kept elements are multiplied by: 1 / (1 - p), 0 at p = 1, rounded to a type."""
    result = np.empty(p.shape, dtype)
    flat, values = result.reshape(-1), p.reshape(-1)
    with np.errstate(divide="ignore"):
        for i in range(0, p.size, NEAR):  # the float64 between stay in the caches
            part = np.subtract(1.0, values[i : i + NEAR])
            np.divide(1.0, part, out=part)
            if np.isinf(part.max()):
                part[np.isinf(part)] = 0
            flat[i : i + NEAR] = part
    return result


def real_type(dtype: np.dtype) -> np.dtype:
    """In which numbers of a type are multiplied: complex ones by parts, 16 bits in float32."""
    if is_small_float(dtype):
        return np.dtype(np.float32)
    return native(np.empty(0, dtype).real.dtype)


def multiply(x: np.ndarray, factors: Any, y: np.ndarray) -> None:
    """Write x * factors to y, as the kernels do it."""
    parts = [(x.real, y.real), (x.imag, y.imag)] if x.dtype.kind == "c" else [(x, y)]
    real = real_type(x.dtype)
    factors = np.asarray(factors).astype(real, copy=False)
    with np.errstate(all="ignore"):
        for part, to in parts:
            np.multiply(part, factors, out=to, dtype=real, casting="unsafe")


def block_of(p: np.ndarray, start: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The part of an array p that a block of the mask has; an axis of 1 is for all of it."""
    last = zip(start[len(start) - p.ndim :], shape[len(shape) - p.ndim :], strict=True)
    parts = zip(p.shape, last, strict=True)
    return p[tuple(slice(None) if n == 1 else slice(i, i + k) for n, (i, k) in parts)]


def checked_block(
    start: Any, shape: Any, whole: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Start and shape of a block inside a shape, or an error that says where it is not."""
    corner, lengths = ints(start, "start"), ints(shape, "shape")
    if len(corner) != len(whole) or len(lengths) != len(whole):
        raise ValueError(
            f"start = {start} and shape = {shape} must have an int for each of the {len(whole)} "
            f"axes of the mask, whose shape is {whole}"
        )
    if any(n < 0 for n in lengths):
        raise ValueError(f"shape = {shape}, but lengths must not be negative")
    if any(i < 0 or i + n > m for i, n, m in zip(corner, lengths, whole, strict=True)):
        raise IndexError(
            f"a window of shape {lengths} at {corner} is not inside the mask's shape {whole}"
        )
    return corner, lengths


def ints(value: Any, name: str) -> tuple[int, ...]:
    """An int, or a sequence of them, as a tuple."""
    try:
        return (int(operator.index(value)),)
    except TypeError:
        pass
    try:
        return tuple(int(operator.index(n)) for n in value)
    except TypeError:
        raise TypeError(f"{name} must be an int or a tuple of ints, not {value!r}") from None


def shown(p: np.ndarray) -> str:
    """An array p as Python; one that would fill pages by its shape alone."""
    if p.size == 0:
        return f"np.zeros({p.shape})"
    return f"np.array({p.tolist()})" if p.size <= 1000 else f"<array of shape {p.shape}>"
