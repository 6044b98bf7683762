"""The lines that are timed, and the names in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import simdrop as sd

from .arrays import Arrays, arrays
from .best_numpy import BestNumpy
from .cases import Group

LINES = {
    "simdrop": {
        "forward": "m.apply(x, out=y)",
        "backward": "m.backward(dy, out=dx)",
        "both": "m = stream.mask(shape, p); m.apply(x, out=y); m.backward(dy, out=dx)",
        "dropout": "sd.dropout(x, p, rng=stream)",
    },
    "naive": {
        "forward": "y = x * ((rng.random(x.shape) > p) / (1 - p))",
        "backward": "dx = dy * mask",
        "both": "mask = (rng.random(x.shape) > p) / (1 - p); y = x * mask; dx = dy * mask",
    },
    "numpy": {
        "forward": "best.forward(x, y)",
        "backward": "best.backward(dy, dx)",
        "both": "best.forward(x, y); best.backward(dy, dx)",
    },
    "mask": {
        "forward": "np.multiply(x, mask, out=y)",
        "backward": "np.multiply(dy, mask, out=dx)",
        "both": "np.multiply(x, mask, out=y); np.multiply(dy, mask, out=dx)",
        "dropout": "np.multiply(x, mask, out=y)",
    },
    "constant": {
        "forward": "np.multiply(x, c, out=y)",
        "backward": "np.multiply(dy, c, out=dx)",
        "both": "np.multiply(x, c, out=y); np.multiply(dy, c, out=dx)",
    },
    "copy": {
        "forward": "np.copyto(y, x)",
        "backward": "np.copyto(dx, dy)",
        "both": "np.copyto(y, x); np.copyto(dx, dy)",
    },
    "torch": {
        "forward": "dropout(x, p)",
        "backward": "grad(y, leaf, dy, retain_graph=True)",
        "both": "y = dropout(leaf, p); grad(y, leaf, dy)",
    },
    "jax": {
        "forward": "ready(forward(key, x, p))",
        "backward": "ready(backward(keep, dy, p))",
        "both": "ready(both(key, x, dy, p))",
    },
}


def simdrop_names(arrays: Arrays, p: float) -> dict[str, Any]:
    stream = sd.Stream(0)
    shape = arrays.x.shape
    return {"stream": stream, "shape": shape, "m": stream.mask(shape, p)}


def naive_names(arrays: Arrays, p: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"rng": rng, "mask": (rng.random(arrays.x.shape) > p) / (1 - p)}


def best_names(arrays: Arrays, p: float) -> dict[str, Any]:
    best = BestNumpy(arrays.x.size, arrays.x.dtype.name, p)
    best.forward(arrays.x, arrays.y)
    return {"best": best}


def mask_names(arrays: Arrays, p: float) -> dict[str, Any]:
    np.multiply(sd.Stream(1).mask(arrays.x.shape, p).keep(), 1 / (1 - p), out=arrays.mask)
    return {"mask": arrays.mask}


def constant_names(arrays: Arrays, p: float) -> dict[str, Any]:
    return {"c": arrays.x.dtype.type(1 / (1 - p))}


def copy_names(arrays: Arrays, p: float) -> dict[str, Any]:
    return {}


def torch_names(arrays: Arrays, p: float) -> dict[str, Any]:
    from .with_torch import torch_names

    return torch_names(arrays, p)


def jax_names(arrays: Arrays, p: float) -> dict[str, Any]:
    from .with_jax import jax_names

    return jax_names(arrays, p)


NAMES: dict[str, Callable[[Arrays, float], dict[str, Any]]] = {
    "simdrop": simdrop_names,
    "naive": naive_names,
    "numpy": best_names,
    "mask": mask_names,
    "constant": constant_names,
    "copy": copy_names,
    "torch": torch_names,
    "jax": jax_names,
}


@lru_cache(maxsize=len(NAMES))
def values(number: int, n: int, dtype: str, p: float, contender: str) -> dict[str, Any]:
    """The values of the names in a contender's lines, in one pass; all directions share them."""
    shared = arrays(number, n, dtype)
    names = {"np": np, "sd": sd, "p": p}
    names |= {"x": shared.x, "y": shared.y, "dy": shared.dy, "dx": shared.dx}
    return names | NAMES[contender](shared, p)


def prepare(number: int, group: Group, contender: str) -> tuple[str, dict[str, Any]]:
    """A contender's line for a group, and the values of the names in it."""
    line = LINES[contender][group.direction]
    return line, values(number, group.n, group.dtype, group.p, contender)
