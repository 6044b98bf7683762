"""The lines that are timed, and the names in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import simdrop as sd
from simdrop import fused
from simdrop._core.mask import use_instruction_set

from . import mc
from .arrays import Arrays, arrays
from .best_numpy import BestNumpy
from .cases import BEST, Group
from .elsewhere import copy_halves, python
from .plain import Ours, Plain
from .timing import Line, loop
from .training import Products, Trainer, on_threads
from .unfused import Unfused

LINES = {
    "simdrop": {
        "forward": "m.apply(x, out=y)",
        "backward": "m.backward(dy, out=dx)",
        "both": "m = stream.mask(shape, p); m.apply(x, out=y); m.backward(dy, out=dx)",
        "dropout": "sd.dropout(x, p, rng=stream)",
        "seeded": "sd.dropout(x, p, rng=0)",
        "mask": "stream.mask(shape, p)",
        "keep": "m.keep()",
        "packbits": "m.packbits()",
        "indices": "m.indices()",
        "import": "python('import numpy, simdrop')",
        "bias_dropout": (
            "_, ctx = fused.bias_dropout(x, bias, p, activation=activation, rng=stream, out=y); "
            "ctx.backward(dy, out=dx)"
        ),
        "dropout_add": (
            "_, ctx = fused.dropout_add(x, residual, p, rng=stream, out=y); "
            "ctx.backward(dy, out=dx)"
        ),
        "relu_dropout": (
            "_, ctx = fused.relu_dropout(x, p, rng=stream, out=y); ctx.backward(dy, out=dx)"
        ),
        "gaussian_dropout": (
            "_, drawn = sd.gaussian_dropout(x, p, rng=stream, out=y); drawn.backward(dy, out=dx)"
        ),
        "alpha_dropout": (
            "_, drawn = sd.alpha_dropout(x, p, rng=stream, out=y); drawn.backward(dy, out=dx)"
        ),
    },
    "naive": {
        "forward": "y = x * ((rng.random(x.shape) > p) / (1 - p))",
        "backward": "dx = dy * mask",
        "both": "mask = (rng.random(x.shape) > p) / (1 - p); y = x * mask; dx = dy * mask",
        "gaussian_dropout": (
            "noise = rng.normal(1, (p / (1 - p)) ** 0.5, x.shape); y = x * noise; dx = dy * noise"
        ),
        "alpha_dropout": (
            "keep = rng.random(x.shape) > p; "
            "a = ((1 - p) * (1 + p * 1.7580993408473766**2)) ** -0.5; "
            "y = a * (np.where(keep, x, -1.7580993408473766) + p * 1.7580993408473766); "
            "dx = a * (dy * keep)"
        ),
        "keep": "rng.random(shape) > p",
        "packbits": "np.packbits(rng.random(shape) > p)",
        "indices": "np.flatnonzero(rng.random(shape) > p)",
    },
    "numpy": {
        "forward": "best.forward(x, y)",
        "backward": "best.backward(dy, dx)",
        "both": "best.forward(x, y); best.backward(dy, dx)",
    },
    "mask": {
        "forward": "multiply(x, mask, out=y)",
        "backward": "multiply(dy, mask, out=dx)",
        "both": "multiply(x, mask, out=y); multiply(dy, mask, out=dx)",
        "dropout": "multiply(x, mask)",
        "seeded": "multiply(x, mask)",
        "mask": "multiply(x, mask)",
    },
    "constant": {
        "forward": "np.multiply(x, c, out=y)",
        "backward": "np.multiply(dy, c, out=dx)",
        "both": "np.multiply(x, c, out=y); np.multiply(dy, c, out=dx)",
        "gaussian_dropout": "np.multiply(x, c, out=y)",
        "alpha_dropout": "np.multiply(x, c, out=y)",
    },
    "copy": {
        "forward": "np.copyto(y, x)",
        "backward": "np.copyto(dx, dy)",
        "both": "np.copyto(y, x); np.copyto(dx, dy)",
    },
    "copies": {"forward": "copy_halves(y, x)"},
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
    "unfused": dict.fromkeys(
        ("bias_dropout", "dropout_add", "relu_dropout"),
        "unfused.forward(x, y); unfused.backward(dy, dx)",
    ),
    "bare": {"import": "python('import numpy')"},
}
STRUCTURED = (
    "drop_path",
    "drop_block",
    "drop_connect",
    "drop_connect_matmul",
    "zoneout",
    "locked_dropout",
    "embedding_dropout",
)
PROBABILITIES = ("p_per_unit", "p_per_sample", "p_per_element", "apply_packed")
for who in ("simdrop", "naive", "torch"):
    LINES[who] |= dict.fromkeys(STRUCTURED, "transform.run(x, dy)")
for who in ("simdrop", "naive", "torch"):
    LINES[who] |= dict.fromkeys(mc.WORKS, "passes.run()")
for who in ("simdrop", "naive"):
    LINES[who] |= dict.fromkeys(PROBABILITIES, "transform.run(x, dy)")
STEPS = ("elementwise", "batchwise")
for who in ("simdrop", "products", "without", "torch"):
    LINES.setdefault(who, {}).update(dict.fromkeys(STEPS, "trainer.step()"))
LINES["single"] = LINES["simdrop"]


def is_scaled(dtype: np.dtype) -> bool:
    """Whether simdrop scales a type: floats and complex numbers."""
    return dtype.kind not in "iub"


def simdrop_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    if group.family == "structured":
        return {"transform": Ours(group.work, arrays.x, group.p)}
    if group.family == "mc":
        return {"passes": mc.Ours(group.work, group.shape)}
    if group.family == "steps":
        return {"trainer": Trainer(group.work)}
    stream = sd.Stream(0)
    axes, scale = group.shared_axes, is_scaled(arrays.dtype)
    names = {
        "stream": stream,
        "shape": group.shape,
        "m": stream.mask(group.shape, group.p, shared_axes=axes, scale=scale),
    }
    if group.family == "fused":
        residual = arrays.random()
        names |= {"fused": fused, "residual": residual, "bias": residual[0].copy()}
        names["activation"] = group.activation or None
    if group.family == "import":
        names["python"] = python
    return names


def naive_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    if group.family == "structured":
        return {"transform": Plain(group.work, arrays.x, group.p)}
    if group.family == "mc":
        return {"passes": mc.Plain(group.work, group.shape)}
    rng, p = np.random.default_rng(0), group.p
    return {"rng": rng, "shape": group.shape, "mask": (rng.random(group.shape) > p) / (1 - p)}


def best_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    best = BestNumpy(group.n, group.dtype, group.p)
    best.forward(arrays.x, arrays.y)
    return {"best": best}


def mask_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    m = sd.Stream(1).mask(group.shape, group.p, shared_axes=group.shared_axes)
    factor = arrays.dtype.type(m.scale if is_scaled(arrays.dtype) else 1)
    multiply = np.logical_and if arrays.dtype == bool else np.multiply
    if group.shared_axes:  # of length 1, to be broadcast
        one = tuple(slice(1) if i in m.shared_axes else slice(None) for i in range(len(m.shape)))
        return {"mask": m.keep()[one] * factor, "multiply": multiply}
    arrays.mask[...] = m.keep() * factor
    return {"mask": arrays.mask, "multiply": multiply}


def constant_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    return {"c": arrays.dtype.type(1 / (1 - group.p))}


def unfused_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    return {"unfused": Unfused(group.work, group.activation, arrays, group.p)}


def torch_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    from .with_torch import TorchPasses, TorchTrainer, TorchTransform, torch_names

    if group.family == "steps":
        return {"trainer": TorchTrainer()}
    if group.family == "structured":
        return {"transform": TorchTransform(group.work, arrays.x, group.p)}
    if group.family == "mc":
        return {"passes": TorchPasses(group.work, group.shape)}
    return torch_names(arrays, group.p)


def jax_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    from .with_jax import jax_names

    return jax_names(arrays, group.p)


NAMES: dict[str, Callable[[Arrays, Group], dict[str, Any]]] = {
    "simdrop": simdrop_names,
    "single": simdrop_names,
    "naive": naive_names,
    "numpy": best_names,
    "mask": mask_names,
    "constant": constant_names,
    "copy": lambda arrays, group: {},
    "copies": lambda arrays, group: {"copy_halves": copy_halves},
    "torch": torch_names,
    "jax": jax_names,
    "unfused": unfused_names,
    "bare": lambda arrays, group: {"python": python},
    "products": lambda arrays, group: {"trainer": Products()},
    "without": lambda arrays, group: {"trainer": Trainer("without")},
}


def values(number: int, group: Group, contender: str, line: str) -> dict[str, Any]:
    """The values of the names in a contender's line, in one pass; all directions share them."""
    shared = arrays(number, group.shape, group.dtype, group.layout)
    key = contender, replace(group, work="", limits=()) if group.family == "contenders" else group
    if key not in shared.names:
        shared.names[key] = NAMES[contender](shared, group)
    names = {"np": np, "sd": sd, "p": group.p}
    used = compile(line, contender, "exec").co_names
    names |= {name: getattr(shared, name) for name in ("x", "y", "dy", "dx") if name in used}
    return names | shared.names[key]


def prepare(number: int, group: Group, contender: str) -> Line:
    """A contender's line for a group, ready to run."""
    line = LINES[contender][group.work]
    run = loop(line, values(number, group, contender, line))
    if group.family == "steps":
        return Line(run, on_threads(group.threads))
    if contender not in ("simdrop", "single") or (group.instruction_set, group.threads) == (
        BEST,
        1,
    ):
        return Line(run)
    threads = group.threads if contender == "simdrop" else 1
    return Line(run, lambda: use(group.instruction_set, threads))


def use(instruction_set: str, threads: int) -> None:
    """Set what simdrop computes with."""
    use_instruction_set(instruction_set)
    sd.set_num_threads(threads)
