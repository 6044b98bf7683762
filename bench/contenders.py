"""The contenders, ready to be timed: the values of the names in their lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

import simdrop as sd
from simdrop import fused
from simdrop._core.kernels import instruction_set, use_instruction_set
from simdrop._threads import available_cpus

from . import mc, steps, structured
from .arrays import Arrays, arrays
from .best_numpy import BestNumpy
from .cases import ALL_CPUS, Group
from .lines import WORKER_LINES, line_for
from .timing import Line, loop
from .unfused import Unfused

CHOSEN = instruction_set()
pool = ThreadPoolExecutor(1)


def copy_halves(y: np.ndarray, x: np.ndarray) -> None:
    """np.copyto on two threads, half of the array each."""
    half = x.size // 2
    other = pool.submit(np.copyto, y[half:], x[half:])
    np.copyto(y[:half], x[:half])
    other.result()


def run_python(code: str) -> None:
    """Run code in a new interpreter, isolated from this folder and the environment variables."""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def is_scaled(dtype: np.dtype) -> bool:
    """Whether simdrop scales arrays of a type: floats and complex numbers."""
    return dtype.kind not in "iub"


def simdrop_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    stream = sd.Stream(0)
    axes, scale = group.shared_axes, is_scaled(arrays.dtype)
    names = {
        "stream": stream,
        "shape": group.shape,
        "m": stream.mask(group.shape, group.p, shared_axes=axes, scale=scale),
    }
    if group.family == "generators":
        return generator_names(sd.BitGenerator, group)
    if group.family in ("fused", "views"):
        residual = arrays.residual
        names |= {"residual": residual, "bias": residual[(0,) * (residual.ndim - 1)].copy()}
        names["activation"] = group.activation or None
    if group.family == "views":
        names |= stored_names(group)
    return names


def stored_names(group: Group) -> dict[str, Any]:
    """A p for each unit or element, and a stored mask."""
    rng = np.random.default_rng(0)
    shape = group.shape if group.work == "p_per_element" else group.shape[-1:]
    bits = np.packbits(rng.random(group.shape) >= group.p, bitorder="little")
    return {"probabilities": rng.uniform(0.05, 0.5, shape), "bits": bits}


def ordered_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    """Arrays in C order, with the names that the line of simdrop has, and the views of them."""
    views = {"view_of_x": arrays.x, "view_of_dy": arrays.dy, "view_of_residual": arrays.residual}
    names = ("x", "dy", "y", "dx", "residual")
    empty = {name: np.zeros(group.shape, arrays.dtype) for name in names}
    return simdrop_names(arrays, group) | views | empty


def half_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    return {"half": sd.Stream(0).mask(group.shape, 0.5)}


def generator_names(bits: type[np.random.BitGenerator], group: Group) -> dict[str, Any]:
    return {"generator": np.random.Generator(bits(0)), "n": group.n}


def naive_names(arrays: Arrays, group: Group) -> dict[str, Any]:
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
    if group.shared_axes:  # of length 1 along them, to be broadcast
        one = tuple(slice(1) if i in m.shared_axes else slice(None) for i in range(len(m.shape)))
        return {"mask": m.keep()[one] * factor, "multiply": multiply}
    arrays.mask[...] = m.keep() * factor
    return {"mask": arrays.mask, "multiply": multiply}


def constant_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    return {"c": arrays.dtype.type(1 / (1 - group.p))}


def unfused_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    return {"unfused": Unfused(group.work, group.activation, arrays, group.p)}


def torch_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    from .with_torch import torch_names

    return torch_names(arrays, group.p)


def jax_names(arrays: Arrays, group: Group) -> dict[str, Any]:
    from .with_jax import jax_names

    return jax_names(arrays, group.p)


# The names of a contender's own; a contender that is not here needs none.
NAMES: dict[str, Callable[[Arrays, Group], dict[str, Any]]] = {
    "simdrop": simdrop_names,
    "single": simdrop_names,
    "naive": naive_names,
    "numpy": best_names,
    "mask": mask_names,
    "constant": constant_names,
    "torch": torch_names,
    "jax": jax_names,
    "unfused": unfused_names,
    "ordered": ordered_names,
    "half": half_names,
    "philox": lambda arrays, group: generator_names(np.random.Philox, group),
    "pcg64": lambda arrays, group: generator_names(np.random.PCG64, group),
}


def worker(arrays: Arrays, group: Group, contender: str) -> Any:
    """The object that does the work of a contender, in the families of `lines.WORKER_LINES`."""
    if contender == "torch":
        from . import with_torch
    if group.family in ("pytorch", "models"):
        from . import pytorch

        return pytorch.worker(group.work, group.shape, contender)
    if group.family == "jax":
        from . import in_jax

        return in_jax.Compiled(group.work, arrays, group.p, contender)
    match group.family, contender:
        case "structured", "simdrop":
            return structured.Ours(group.work, arrays.x, group.p)
        case "structured", "naive":
            return structured.Plain(group.work, arrays.x, group.p)
        case "structured", "torch":
            return with_torch.TorchTransform(group.work, arrays.x, group.p)
        case "mc", "simdrop":
            return mc.Ours(group.work, group.shape)
        case "mc", "naive":
            return mc.Plain(group.work, group.shape)
        case "mc", "torch":
            return with_torch.TorchPasses(group.work, group.shape)
        case "steps", "simdrop":
            return steps.Trainer(group.work)
        case "steps", "without":
            return steps.Trainer("without")
        case "steps", "products":
            return steps.Products()
        case "steps", "torch":
            return with_torch.TorchTrainer()
    raise ValueError(f"{group.family} has no contender {contender!r}")


def values(number: int, group: Group, contender: str, line: str) -> dict[str, Any]:
    """The values of the names in a contender's line, in one pass; all directions share them."""
    shared = arrays(number, group.shape, group.dtype, group.layout)
    key = contender, replace(group, work="", limits=()) if group.family == "contenders" else group
    if key not in shared.names:
        if group.family in WORKER_LINES:
            shared.names[key] = {"worker": worker(shared, group, contender)}
        elif contender in NAMES:
            shared.names[key] = NAMES[contender](shared, group)
        else:
            shared.names[key] = {}
    names = {"np": np, "sd": sd, "fused": fused, "p": group.p}
    names |= {"copy_halves": copy_halves, "run_python": run_python}
    used = compile(line, contender, "exec").co_names
    names |= {name: getattr(shared, name) for name in ("x", "y", "dy", "dx") if name in used}
    return names | shared.names[key]


def prepare(number: int, group: Group, contender: str) -> Line:
    """A contender's line for a group, ready to run."""
    line = line_for(contender, group)
    run = loop(line, values(number, group, contender, line))
    if group.family in ("pytorch", "models"):
        from . import pytorch

        return Line(run, pytorch.setting(contender))
    if group.family == "steps":
        n = available_cpus() if group.threads == ALL_CPUS else group.threads
        return Line(run, steps.on_threads(n))
    instruction_set = group.instruction_set or CHOSEN
    if contender not in ("simdrop", "single", "half") or (instruction_set, group.threads) == (
        CHOSEN,
        1,
    ):
        return Line(run)
    threads = 1 if contender == "single" else group.threads
    return Line(run, lambda: use(instruction_set, threads))


def use(instruction_set: str, threads: int) -> None:
    """Set what simdrop computes with."""
    use_instruction_set(instruction_set)
    sd.set_num_threads(threads)


def reset() -> None:
    """Undo the settings of the case before, and let matrix products use one thread."""
    use(CHOSEN, 1)
    steps.on_threads(1)()
