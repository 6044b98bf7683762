"""Checks of arguments, each in one place; those on the way of every call are in _core/args.pxd."""

from __future__ import annotations

import operator
import sys
from functools import lru_cache
from math import prod
from typing import Any, NoReturn, SupportsIndex

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from simdrop import _arrays

LARGEST = 16  # bytes of an element
HOSTS = (1, 3, 13)  # DLPack's types of devices whose memory a CPU reads: CPU, pinned, managed


# --- Arrays ---


def base(x: Any) -> np.ndarray:
    """
    An array_like as a base ndarray, which has the shape that its memory has.

    Arrays of other libraries share their memory, by DLPack where they have no `__array__`. A masked
    array is a TypeError: its mask would be lost.
    """
    if type(x) is np.ndarray:
        return x
    ma = sys.modules.get("numpy.ma")
    if ma is not None and isinstance(x, ma.MaskedArray):
        raise TypeError(
            "a masked array was given, whose mask would be lost: pass its .filled(value) or its "
            ".data instead"
        )
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return from_dlpack("the array", x)
    return np.asarray(x)


def from_dlpack(name: str, x: Any) -> np.ndarray:
    """An array of another library as one of NumPy's in the same memory, or an error."""
    kind = int(x.__dlpack_device__()[0])
    if kind not in HOSTS:
        raise ValueError(
            f"{name} is on a device of DLPack's type {kind}, but simdrop computes on the CPU: copy "
            "it there"
        )
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError) as error:  # a type that NumPy does not have, for instance
        raise TypeError(f"{name}, {type(x).__name__}, cannot be used by NumPy: {error}") from None


def delivered(given: Any, x: np.ndarray, y: np.ndarray, out: Any) -> Any:
    """
    What a function returns that was given an array, x as a base array, for its result y.

    That is `out`, else y, as an array of the same library as what was given, if that follows the
    array API standard; and what was given itself if y is x.
    """
    if out is not None:
        return out
    is_numpy = isinstance(given, (np.ndarray, np.generic))
    if is_numpy or not hasattr(given, "__array_namespace__"):
        return y
    return given if y is x else given.__array_namespace__().asarray(y)


def refuse_ufunc(transform: Any, ufunc: np.ufunc) -> NoReturn:
    """What ``x * mask`` comes to: with the bools of a mask, the result would not be scaled."""
    name = type(transform).__name__
    call = "apply(x)" if hasattr(transform, "apply") else "backward(dy)"
    raise TypeError(
        f"np.{ufunc.__name__} cannot use a {name}, which is not an array: call its {call} instead"
    )


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
    elif not (_arrays.is_small_float(dtype) or dtype.char in "fdFD"):
        raise TypeError(
            f"arrays of {dtype} cannot be scaled: float16, bfloat16, float32, float64, complex64 "
            "and complex128 can, and scale=False masks without scaling"
        )


@lru_cache
def check_floats(dtype: np.dtype, small: bool) -> None:
    """Refuse other dtypes than float32, float64 and, with `small`, float16 and bfloat16."""
    if dtype.char not in "fd" and not (small and _arrays.is_small_float(dtype)):
        wanted = "float16, bfloat16, float32 or float64" if small else "float32 or float64"
        raise TypeError(f"x is of {dtype}, but must be of {wanted}")


def check_like(name: str, x: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse a base array of another dtype, whatever its byte order, or shape."""
    if _arrays.native(x.dtype) != _arrays.native(dtype):
        raise TypeError(f"{name} is of {x.dtype}, but must be of {dtype}")
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, but must have shape {shape}")


def check_maskable(x: np.ndarray, shape: tuple[int, ...], scale: bool) -> None:
    """Refuse a base array that a mask of a shape cannot be applied to."""
    check_dtype(x.dtype, scale)
    if x.shape != shape:
        raise ValueError(f"the array has shape {x.shape}, but the mask has shape {shape}")


def checked_out(given: Any, x: np.ndarray) -> np.ndarray:
    """What was given as `out`, as a base array that can hold a result like x, or an error."""
    if isinstance(given, np.ndarray):
        out = base(given)
    elif hasattr(given, "__dlpack__"):
        out = from_dlpack("out", given)
    else:
        raise TypeError(
            f"out must be an array of NumPy, or of a library that has DLPack, not "
            f"{type(given).__name__}"
        )
    if _arrays.native(out.dtype) != _arrays.native(x.dtype):
        raise TypeError(f"out is of {out.dtype}, but the result is of {x.dtype}")
    if out.shape != x.shape:
        raise ValueError(f"out has shape {out.shape}, but the result has shape {x.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if _arrays.overlaps_itself(out):
        raise ValueError(
            f"out has several elements at one address: strides {out.strides} for shape {out.shape}"
        )
    return out


def result(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What was given as `out`, as a base array of a shape and dtype, or a new array in C order."""
    if out is None:
        return np.empty(shape, _arrays.native(dtype))
    return checked_out(out, np.broadcast_to(dtype.type(0), shape))


def check_pair(
    out: Any, likes: dict[str, np.ndarray], read: dict[str, np.ndarray] | None = None
) -> list[np.ndarray | None]:
    """
    The arrays of a pair `out` for two gradients as base arrays; None where it has None.

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
    arrays: list[np.ndarray | None] = []
    for (name, like), given in zip(likes.items(), out, strict=True):
        if given is None:
            arrays.append(None)
            continue
        array = checked_out(given, like)
        for other, memory in elsewhere.items():
            if np.may_share_memory(array, memory):
                raise ValueError(f"out for the gradient of {name} shares memory with {other}")
        elsewhere[f"the one for that of {name}"] = array
        arrays.append(array)
    return arrays


def checked_pair(
    out: Any, likes: dict[str, np.ndarray], read: dict[str, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The same, with new arrays where the pair has None."""
    pairs = zip(check_pair(out, likes, read), likes.values(), strict=True)
    first, second = (_arrays.new_like(like) if a is None else a for a, like in pairs)
    return first, second


def delivered_pair(
    given: Any, x: np.ndarray, arrays: tuple[np.ndarray, np.ndarray], out: Any
) -> tuple[Any, Any]:
    """The same of a function with two results, whose `out` is a pair."""
    first, second = (delivered(given, x, a, b) for a, b in zip(arrays, out, strict=True))
    return first, second


def checked_bits(bits: Any, size: int, shape: tuple[int, ...]) -> np.ndarray:
    """The bits of a stored mask as a contiguous base array of uint8."""
    if not isinstance(bits, np.ndarray) or bits.dtype != np.uint8:
        given = f"an array of {bits.dtype}" if isinstance(bits, np.ndarray) else type(bits).__name__
        raise TypeError(f"bits must be an array of uint8, as packbits gives it, not {given}")
    packed, wanted = base(bits), (-(-size // 8),)
    if packed.shape != wanted:
        raise ValueError(
            f"bits have shape {packed.shape}, but a mask of shape {shape} has {wanted}"
        )
    return np.ascontiguousarray(packed)


# --- Probabilities ---


def probabilities(p: np.ndarray) -> np.ndarray:
    """An array p as read-only float64, or an error that names what is wrong in it."""
    p = base(p)
    if p.dtype.kind not in "fiub" and not _arrays.is_small_float(p.dtype):
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


def probabilities_for(
    p: np.ndarray, shape: tuple[int, ...], decided: tuple[int, ...]
) -> np.ndarray:
    """The same of a mask, by its shape and the one with the shared axes 1."""
    values = probabilities(p)
    last = decided[max(len(decided) - values.ndim, 0) :]
    fits = values.ndim <= len(decided) and all(
        n in (1, m) for n, m in zip(values.shape, last, strict=True)
    )
    if not fits:
        shared = f", which with the shared axes 1 is {decided}" if decided != shape else ""
        raise ValueError(
            f"p has shape {values.shape}, but must broadcast to the mask's {shape}{shared}"
        )
    return values


# --- Shapes, axes, counts ---


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


def checked_shape(shape: Any, most_axes: int) -> tuple[tuple[int, ...], int]:
    """A shape as a tuple of ints, and its number of elements."""
    lengths = ints(shape, "shape")
    if len(lengths) > most_axes:
        raise ValueError(f"shape has {len(lengths)} axes, but arrays have at most {most_axes}")
    if any(n < 0 for n in lengths):
        raise ValueError(f"shape = {shape}, but lengths must not be negative")
    # Lengths of 0 are left out, as NumPy does it, or the order of axes would matter.
    if prod(n for n in lengths if n > 0) > sys.maxsize:
        raise ValueError(f"shape = {shape} has more than 2**63 - 1 elements")
    return lengths, prod(lengths)


def checked_axes(shared_axes: Any, ndim: int) -> tuple[int, ...]:
    """Shared axes, ascending and not negative."""
    return tuple(sorted(normalize_axis_tuple(shared_axes, ndim, argname="shared_axes")))


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


def checked_threads(n: SupportsIndex) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        count = None
    if count is None or isinstance(n, bool):
        raise TypeError(f"the number of threads must be an int, not {n!r}")
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    return count


def axes_of_a_sample(ndim: int) -> tuple[int, ...]:
    """All axes but the first, which must be there."""
    if ndim == 0:
        raise ValueError("x has no axes, but its first one is that of the samples")
    return tuple(range(1, ndim))
