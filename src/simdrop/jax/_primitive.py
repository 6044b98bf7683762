"""Dropout as a primitive of JAX: how it is differentiated, batched and compiled."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import _keystream
from ._extension import TARGET, is_registered

# How the elements along an axis of x are decided: each by itself, all alike, or each with an
# address of its own. Parameter `axes` has one of these letters for each axis.
DECIDED, SHARED, ADDRESSED = "dsa"

# Operands: x, and the address: (..., 6), with an axis for each ADDRESSED one of x, in their order.
dropout_p = Primitive("simdrop_dropout")


def bind(x: jax.Array, address: jax.Array, *, p: float, scaled: bool, axes: str) -> jax.Array:
    """
    Dropout of x by the mask of an address.

    Parameters
    ----------
    x : jax.Array
    address : jax.Array
        uint32; an axis for each ADDRESSED one of x, in their order, then six words.
    p : float
        Probability of dropping an element.
    scaled : bool
        Whether kept elements are multiplied by 1 / (1 - p).
    axes : str
        A letter for each axis of x.
    """
    x, address = varying_alike(x, address)
    y: jax.Array = dropout_p.bind(x, address, p=p, scaled=scaled, axes=axes)
    return y


def varying_alike(*arrays: jax.Array) -> list[jax.Array]:
    """The same arrays, in `shard_map` varying along the same axes of the mesh."""
    every = frozenset().union(*(varying(x) for x in arrays))
    missing = [tuple(sorted(every - varying(x))) for x in arrays]
    return [
        jax.lax.pcast(x, axes, to="varying") if axes else x
        for x, axes in zip(arrays, missing, strict=True)
    ]


def varying(x: jax.Array) -> frozenset[Any]:
    """The axes of the mesh along which an array varies in `shard_map`."""
    return getattr(jax.typeof(x), "vma", frozenset())


dropout_p.def_impl(partial(jax.jit, static_argnames=("p", "scaled", "axes"))(bind))


@dropout_p.def_abstract_eval
def abstract(x: Any, address: Any, **_: Any) -> Any:
    return x


# --- Gradients: linear in x, and its own transpose ---


def tangent(dx: Any, x: Any, address: Any, **parameters: Any) -> Any:
    return bind(dx, address, **parameters)


def transposed(dy: Any, x: Any, address: Any, **parameters: Any) -> tuple[Any, None]:
    return (dy if type(dy) is ad.Zero else bind(dy, address, **parameters)), None


ad.defjvp(dropout_p, tangent, None)
ad.primitive_transposes[dropout_p] = transposed


# --- vmap ---


def batched(operands: Any, batch_axes: Any, *, axes: str, **parameters: Any) -> tuple[Any, int]:
    """Examples with one address share its decisions, as with one key of `jax.random`."""
    (x, address), (at, address_at) = operands, batch_axes
    if at is None:
        at = 0
        x = jnp.broadcast_to(x, (address.shape[address_at], *x.shape))
    kind = SHARED
    if address_at is not None:
        kind = ADDRESSED
        address = jnp.moveaxis(address, address_at, axes[:at].count(ADDRESSED))
    return bind(x, address, axes=axes[:at] + kind + axes[at:], **parameters), at


batching.primitive_batchers[dropout_p] = batched


# --- Compiled: by jax.numpy, or by the extension on CPUs ---


def computed(x: jax.Array, address: jax.Array, *, p: float, scaled: bool, axes: str) -> jax.Array:
    """`bind` in jax.numpy."""
    return selected(kept(x.shape, address, p, axes), x, p, scaled)


def kept(shape: tuple[int, ...], address: jax.Array, p: float, axes: str) -> jax.Array:
    """Which elements of a shape are kept; of length 1 along shared axes."""
    addressed, decided = (
        [i for i, a in enumerate(axes) if a == kind] for kind in (ADDRESSED, DECIDED)
    )
    decide = partial(_keystream.keep, p=p, n=prod(shape[i] for i in decided))
    for _ in addressed:
        decide = jax.vmap(decide)
    order = addressed + decided
    keep = decide(address).reshape([shape[i] for i in order]).transpose(np.argsort(order))
    return jnp.expand_dims(keep, [i for i, a in enumerate(axes) if a == SHARED])


def selected(keep: jax.Array, x: jax.Array, p: float, scaled: bool) -> jax.Array:
    factor = 1 / (1 - p) if p < 1 else 0.0
    return jnp.where(keep, times(x, factor) if scaled else x, jnp.zeros((), x.dtype))


def times(x: jax.Array, factor: float) -> jax.Array:
    """x * factor: 16-bit floats as float32, rounded once; complex numbers by parts."""
    if x.dtype.kind == "c":
        return jax.lax.complex(times(x.real, factor), times(x.imag, factor))
    if x.dtype.itemsize == 2:
        return times(x.astype(jnp.float32), factor).astype(x.dtype)
    return x * x.dtype.type(factor)


in_jax_numpy = mlir.lower_fun(computed, multiple_results=False)
in_extension = jax.ffi.ffi_lowering(TARGET)


def on_cpu(context: Any, x: Any, address: Any, *, p: float, scaled: bool, axes: str) -> Any:
    if is_registered() and is_of_whole_bytes(context.avals_in[0].dtype):
        return in_extension(
            context, x, address, p=np.float64(p), scaled=np.bool_(scaled), axes=axes
        )
    return in_jax_numpy(context, x, address, p=p, scaled=scaled, axes=axes)


def is_of_whole_bytes(dtype: Any) -> bool:
    """Not of several elements a byte, which XLA may pack."""
    if dtype.kind in "bfc":
        return True
    info = jnp.iinfo if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo
    return info(dtype).bits >= 8


mlir.register_lowering(dropout_p, in_jax_numpy)
mlir.register_lowering(dropout_p, on_cpu, platform="cpu")
