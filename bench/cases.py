"""What is measured, family by family: the work, the contenders beside it, and the limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.util import find_spec
from itertools import product
from math import prod
from typing import Any, NamedTuple

from simdrop._core.mask import instruction_set, instruction_sets
from simdrop._threads import available_cpus

from . import mc

# Their columns' names. simdrop beside itself is the control: every ratio of it should be 1.
CONTENDERS = {
    "naive": "naive NumPy",
    "numpy": "best NumPy",
    "mask": "ready mask",
    "constant": "constant",
    "copy": "copy",
    "torch": "PyTorch",
    "jax": "JAX",
    "single": "one thread",
    "unfused": "unfused",
    "products": "matrix products alone",
    "without": "without dropout",
    "bare": "NumPy alone",
    "simdrop": "simdrop",
}
OPTIONAL = ("torch", "jax")

# A family's title, and what its times are counted in.
FAMILIES = {
    "contenders": ("What people use instead", "ns/element"),
    "limit": ("How far from multiplying by a constant", "ns/element"),
    "masks": ("Masks as arrays", "ns/element"),
    "types": ("Types, forward", "ns/element"),
    "layouts": ("Layouts, forward, of x, mask and out alike", "ns/element"),
    "shared": ("Shared axes, forward", "ns/element"),
    "calls": ("Calls on 64 elements", "ns/call"),
    "import": ("Import, in a process of its own", "ms"),
    "threads": ("Two threads, forward", "ns/element"),
    "fused": ("Fused, forward and backward", "ns/element"),
    "structured": ("Structured transforms, forward and backward", "ns/element"),
    "noise": ("Gaussian and alpha dropout, forward and backward", "ns/element"),
    "mc": ("Monte-Carlo dropout, a net of 784-1024-1024-10", "µs/pass of a row"),
    "steps": ("Training steps of a 784-1024-1024-10 net, batch 128, all threads", "ms"),
}

BEST = instruction_set()

SMALL, MIDDLE, LARGE, HUGE = (65_536,), (1_000_000,), (16_000_000,), (100_000_000,)


class Limit(NamedTuple):
    """What is to be reached beside a contender; `targets.MEASURES` has the measures."""

    contender: str
    value: float
    measure: str = "time"


@dataclass(frozen=True)
class Group:
    """The work that contenders are compared on."""

    family: str
    work: str
    shape: tuple[int, ...]
    contenders: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    dtype: str = "float32"
    p: float = 0.5
    layout: str = "contiguous"
    shared_axes: tuple[int, ...] = ()
    activation: str = ""
    instruction_set: str = BEST
    threads: int = 1
    ours: str = "simdrop"
    rounds: int = 1  # at least so many in a pass
    calls: int = 1  # at least so many in a round

    @property
    def n(self) -> int:
        return prod(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """What tells it from others."""
        left_out = ("contenders", "limits", "rounds", "calls")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}

    def __str__(self) -> str:
        return "-".join(str(value) for value in self.as_dict().values())


def contenders() -> Iterator[Group]:
    names = ("naive", "numpy", "mask", "constant", "copy", "torch", "jax", "simdrop")
    limits = {
        (SMALL, 0.5): (Limit("mask", 0.9), Limit("naive", 30, "speed")),
        (SMALL, 0.1): (Limit("mask", 1.3), Limit("naive", 30, "speed")),
        (LARGE, 0.5): (Limit("mask", 0.8),),
        (LARGE, 0.1): (Limit("mask", 0.8),),
    }
    sizes = ((100,), (1_000,), (10_000,), SMALL, MIDDLE, LARGE)
    works = ("forward", "backward", "both")
    for shape, dtype, p, work in product(sizes, ("float32", "float64"), (0.5, 0.1), works):
        given = limits.get((shape, p), ()) if (dtype, work) == ("float32", "forward") else ()
        yield Group("contenders", work, shape, names, given, dtype, p)


def limit() -> Iterator[Group]:
    sizes = (SMALL, MIDDLE, LARGE, HUGE)
    ratios = {"aesni": {0.5: (2.2, 2.0, 1.2, 1.1)}}
    ratios.setdefault(BEST, {0.5: (1.2, 1.1, 0.8, 0.7), 0.1: (1.6, 1.3, 0.8, 0.7)})
    for i, name, p in product(range(4), instruction_sets(), (0.5, 0.1)):
        if name != "portable":
            values = ratios.get(name, {}).get(p)
            limits = (Limit("constant", values[i]),) if values else ()
            yield Group(
                "limit", "forward", sizes[i], ("constant",), limits, p=p, instruction_set=name
            )
        elif sizes[i] in (SMALL, MIDDLE):
            names, limits = ("constant", "naive"), (Limit("naive", 1.0),)
            yield Group("limit", "forward", sizes[i], names, limits, p=p, instruction_set=name)


def masks() -> Iterator[Group]:
    rates = {"keep": 8.0, "packbits": 8.0, "indices": 1.0}
    for shape, (work, rate) in product((SMALL, MIDDLE), rates.items()):
        yield Group("masks", work, shape, ("naive", "simdrop"), (Limit("simdrop", rate, "rate"),))


def types() -> Iterator[Group]:
    floats = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
    whole = ("int8", "int16", "int32", "int64", "bool")
    for shape, dtype in product((SMALL, MIDDLE), floats + whole):
        yield Group("types", "forward", shape, ("mask", "simdrop"), (Limit("mask", 1.0),), dtype)


def layouts() -> Iterator[Group]:
    shapes = ((256, 256), (1000, 1000), (5041, 13), (40, 40, 41))
    found = [("rows of a larger array", (256, 256), "float32", 1.0)]
    found += [("Fortran", shape, t, 1.0) for shape in shapes for t in ("float32", "float64")]
    strange = ("every other element", "byte-swapped", "reversed", "unaligned")
    found += [(name, SMALL, "float32", 2.0) for name in strange]
    for name, shape, dtype, ratio in found:
        names, limits = ("mask", "simdrop"), (Limit("mask", ratio),)
        yield Group("layouts", "forward", shape, names, limits, dtype, layout=name)


def shared() -> Iterator[Group]:
    images, samples, steps = ((32, 256, 14, 14), (2, 3)), ((128, 65_536), (1,)), (64, 32, 512)
    for shape, axes in (images, samples, (steps, (0, 1))):
        names, limits = ("constant", "mask", "simdrop"), (Limit("constant", 1.15),)
        yield Group("shared", "forward", shape, names, limits, shared_axes=axes)


def calls() -> Iterator[Group]:
    limits = {
        "forward": Limit("mask", 1.2),
        "dropout": Limit("mask", 2.5),
        "mask": Limit("simdrop", 0.4, "µs"),
        "seeded": Limit("simdrop", 3.0, "µs"),
    }
    for p, (work, one) in product((0.5, 0.1), limits.items()):
        yield Group("calls", work, (64,), ("mask", "simdrop"), (one,), p=p)


def imports() -> Iterator[Group]:
    yield Group("import", "import", (), ("bare",), (Limit("bare", 15, "ms more"),), rounds=15)


def threads() -> Iterator[Group]:
    for n in (1_000_000, 4_000_000, 16_000_000, 50_000_000):
        limits = (Limit("single", 1.0, "threads"),)
        if n == 16_000_000:
            limits += (Limit("single", 1.7, "threads where memory allows"),)
        yield Group("threads", "forward", (n,), ("single", "simdrop"), limits, threads=2)
        yield Group("threads", "forward", (n,), ("copy",), threads=2, ours="copies")


def fused() -> Iterator[Group]:
    activations = ("", "relu", "gelu", "tanh", "sigmoid", "silu")
    works = [("bias_dropout", name) for name in activations]
    for work, name in [*works, ("dropout_add", ""), ("relu_dropout", "")]:
        names, limits = ("unfused", "simdrop"), (Limit("unfused", 1.5, "speed"),)
        yield Group("fused", work, (128, 1024), names, limits, activation=name)


def noise() -> Iterator[Group]:
    gaussian = (Limit("constant", 12.0), Limit("naive", 30, "speed"))
    for work, limits in (("gaussian_dropout", gaussian), ("alpha_dropout", ())):
        yield Group("noise", work, SMALL, ("constant", "naive", "simdrop"), limits)


def structured() -> Iterator[Group]:
    shapes = {
        "drop_path": (64, 64, 14, 14),
        "drop_block": (32, 64, 28, 28),
        "drop_connect": (1024, 1024),
        "drop_connect_matmul": (64, 256),
        "zoneout": (128, 1024),
        "locked_dropout": (64, 32, 512),
        "embedding_dropout": (10_000, 400),
    }
    for work, shape in shapes.items():
        names, limits = ("naive", "torch", "simdrop"), (Limit("naive", 1.0), Limit("torch", 1.0))
        yield Group("structured", work, shape, names, limits, p=0.1)
    for work in ("p_per_unit", "p_per_sample", "p_per_element", "apply_packed"):
        names, limits = ("naive", "simdrop"), (Limit("naive", 1.0),)
        yield Group("structured", work, (128, 1024), names, limits, p=0.1)


def steps() -> Iterator[Group]:
    """In rounds of several, since a net's own weights are in the caches while it trains."""
    names = ("products", "without", "torch", "simdrop")
    limits = {
        "elementwise": (Limit("products", 1.2), Limit("torch", 0.68)),
        "batchwise": (Limit("without", 0.55), Limit("torch", 0.35)),
    }
    for work, given in limits.items():
        yield Group(
            "steps", work, (128, 784), names, given, threads=available_cpus(), rounds=4, calls=6
        )


def monte_carlo() -> Iterator[Group]:
    shape = 10, 256  # samples, rows
    for work, speed in zip(mc.WORKS, (2, 2, 3, 2), strict=True):
        names, limits = ("naive", "torch", "simdrop"), (Limit("torch", speed, "speed"),)
        yield Group("mc", work, shape, names, limits, p=mc.P, rounds=3)


LISTS = (
    contenders,
    limit,
    masks,
    types,
    layouts,
    shared,
    calls,
    imports,
    threads,
    fused,
    structured,
    noise,
    monte_carlo,
    steps,
)
GROUPS = {str(group): group for groups in LISTS for group in groups()}


class Case(NamedTuple):
    """One contender beside simdrop, in one of the passes over everything."""

    number: int
    group: Group
    contender: str

    def __str__(self) -> str:
        return f"pass{self.number}-{self.group}-{self.contender}"


def cases(passes: int, families: list[str]) -> Iterator[Case]:
    """All cases in the order of measurement: pass by pass, each with its contenders rotated."""
    for number in range(passes):
        for group in GROUPS.values():
            if group.family in families:
                first = number % len(group.contenders)
                for name in group.contenders[first:] + group.contenders[:first]:
                    yield Case(number, group, name)


def missing() -> list[str]:
    """The contenders that are not installed."""
    return [name for name in OPTIONAL if find_spec(name) is None]
