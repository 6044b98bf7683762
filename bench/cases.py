"""What is measured, family by family: the work, the contenders beside it, and the limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from itertools import chain, product, zip_longest
from math import prod
from typing import NamedTuple

from simdrop._core.kernels import instruction_set, instruction_sets

from . import mc
from .layouts import Layout, all_orders, part_of, random_layouts, seen_as

# The contenders' names in tables. simdrop beside itself is the control: its ratios should be 1.
CONTENDERS = {
    "naive": "naive NumPy",
    "numpy": "best NumPy",
    "mask": "ready mask",
    "constant": "constant",
    "copy": "copy",
    "torch": "PyTorch",
    "torch_model": "PyTorch's dropout",
    "torch_without": "PyTorch, p = 0",
    "jax": "JAX",
    "single": "one thread",
    "unfused": "unfused",
    "ordered": "copies in C order",
    "half": "p = 0.5",
    "products": "matrix products alone",
    "without": "without dropout",
    "philox": "Philox",
    "pcg64": "PCG64",
    "bare": "NumPy alone",
    "simdrop": "simdrop",
}
OPTIONAL = {
    "torch": ["torch"],
    "torch_model": ["torch", "transformers"],
    "torch_without": ["torch", "transformers"],
    "jax": ["jax"],
}

# The title of each family, and the unit of its times.
FAMILIES = {
    "contenders": ("What people use instead", "ns/element"),
    "limit": ("How far from multiplying by a constant", "ns/element"),
    "masks": ("Masks as arrays", "ns/element"),
    "types": ("Types, forward", "ns/element"),
    "layouts": ("Layouts (the same for x, mask and out), forward", "ns/element"),
    "views": ("Other functions on views, forward and backward", "ns/element"),
    "shared": ("Shared axes, forward", "ns/element"),
    "calls": ("Calls on 64 elements", "ns/call"),
    "import": ("Import, in a process of its own", "ms"),
    "threads": ("Two threads, forward", "ns/element"),
    "fused": ("Fused, forward and backward", "ns/element"),
    "structured": ("Structured transforms, forward and backward", "ns/element"),
    "noise": ("Gaussian and alpha dropout, forward and backward", "ns/element"),
    "generators": ("NumPy's Generator on simdrop.BitGenerator", "ns/element"),
    "mc": ("Monte-Carlo dropout, a net of 784-1024-1024-10", "µs/pass of a row"),
    "pytorch": ("PyTorch with simdrop.torch: forward and backward", "ms"),
    "models": ("PyTorch with simdrop.torch: training steps", "ms"),
    "jax": ("JAX with simdrop.jax, compiled", "ms"),
    "steps": ("Training steps of a 784-1024-1024-10 net, batch 128, all threads", "ms"),
}

SMALL, MIDDLE, LARGE, HUGE = (65_536,), (1_000_000,), (16_000_000,), (100_000_000,)

# `Group.threads` for one thread per CPU.
ALL_CPUS = 0


class Limit(NamedTuple):
    """The value to reach beside a contender; `targets.MEASURES` lists the measures."""

    contender: str
    value: float
    measure: str = "time"


@dataclass(frozen=True)
class Group:
    """Work that simdrop and its contenders do, on the same arrays."""

    family: str
    work: str
    shape: tuple[int, ...]
    contenders: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    dtype: str = "float32"
    p: float = 0.5
    layout: str | Layout = "contiguous"
    shared_axes: tuple[int, ...] = ()
    activation: str = ""
    instruction_set: str = ""  # the one that simdrop chooses
    threads: int = 1
    ours: str = "simdrop"
    rounds: int = 1  # in a pass, at least
    calls: int = 1  # in a round, at least
    in_set: str = ""  # of groups that share a row in tables

    @property
    def n(self) -> int:
        return prod(self.shape)

    def fields(self) -> dict[str, str]:
        """The fields that tell it from other groups, as text."""
        values = ((name, getattr(self, name)) for name in GROUP_FIELDS)
        return {
            name: " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            for name, value in values
        }

    def __str__(self) -> str:
        return "-".join(self.fields().values())


GROUP_FIELDS = tuple(
    field.name
    for field in fields(Group)
    if field.name not in ("contenders", "limits", "rounds", "calls", "in_set")
)


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


def limit(chosen: str, available: Sequence[str]) -> Iterator[Group]:
    sizes = (SMALL, MIDDLE, LARGE, HUGE)
    ratios = {"aesni": {0.5: (2.2, 2.0, 1.2, 1.1)}}
    near = (1.35, 1.25) if chosen == "vaes512" else (1.6, 1.3)
    ratios.setdefault(chosen, {0.5: (1.2, 1.1, 0.8, 0.7), 0.1: (*near, 0.8, 0.7)})
    for i, name, p in product(range(4), available, (0.5, 0.1)):
        if name != "portable":
            values = ratios.get(name, {}).get(p)
            limits = (Limit("constant", values[i]),) if values else ()
            yield Group(
                "limit", "forward", sizes[i], ("constant",), limits, p=p, instruction_set=name
            )
        elif sizes[i] in (SMALL, MIDDLE):
            names, limits = ("constant", "naive"), (Limit("naive", 0.6),)
            if p != 0.5:
                names, limits = (*names, "half"), (*limits, Limit("half", 1.1))
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


# Elements of a row in memory; shorter rows are masked together (csrc/parts/runs.h, SHORT_ROW).
LONG_ROW = 48

# Shapes of Fortran arrays; arrays whose axes have another order; parts of larger arrays.
FORTRAN = (
    (2, 3, 5, 7, 11, 13, 17),
    (64, 3, 224, 224),
    (64, 224, 224, 3),
    (13, 5042),
    (512, 512),
    (100_000, 2),
    (2, 100_000),
)
HEADS = (20, 30, 40, 50)
SEEN = (
    seen_as((8, 128, 12, 64), 0, 2, 1, 3),  # heads
    *(
        seen_as(memory, 0, 3, 1, 2)  # channels last
        for memory in ((8, 224, 224, 3), (32, 14, 14, 256), (32, 28, 28, 96))
    ),
    seen_as((128, 32, 512), 1, 0, 2),  # time first
)
PARTS = (
    part_of((768, 768), slice(None, None, 3), slice(None, None, 3)),
    part_of((24, 30, 40, 70), slice(2, 22), slice(3, 27), slice(5, 35), slice(7, 63)),
    part_of((1000, 1024), slice(None), slice(512)),
    part_of((10_000, 10), slice(None), slice(7)),
)
SETS = {
    "all orders of 4 axes": all_orders(HEADS),
    "all orders of 5 axes": all_orders((7, 12, 5, 16, 10)),
    "random shapes and orders": random_layouts(20),
}


def dense_limit(row: int) -> float:
    """The limit of a layout whose rows in memory have so many elements."""
    return 1.3 if row >= LONG_ROW else 2.0


def layouts() -> Iterator[Group]:
    shapes = ((256, 256), (1000, 1000), (5041, 13), (40, 40, 41))
    found: list[tuple[str | Layout, tuple[int, ...], str, float]]
    found = [("rows of a larger array", (256, 256), "float32", 1.0)]
    found += [("Fortran", shape, t, 1.0) for shape in shapes for t in ("float32", "float64")]
    found += [("every other element", SMALL, "float32", 1.5)]
    found += [(name, SMALL, "float32", 2.0) for name in ("byte-swapped", "reversed", "unaligned")]
    found += [("Fortran", shape, "float32", dense_limit(shape[0])) for shape in FORTRAN]
    found += [(one, one.shape, "float32", dense_limit(one.memory[-1])) for one in SEEN]
    found += [(one, one.shape, "float32", 1.5) for one in PARTS]
    heads = seen_as(HEADS, 0, 2, 1, 3)
    for name, shape in (("Fortran", (512, 512)), (heads, heads.shape)):
        found += [(name, shape, t, 1.2) for t in ("float16", "bfloat16", "float64", "complex64")]
    for layout, shape, dtype, ratio in found:
        names, limits = ("mask", "simdrop"), (Limit("mask", ratio),)
        yield Group("layouts", "forward", shape, names, limits, dtype, layout=layout)
    for in_set, several in SETS.items():
        for one in several:
            limits = (Limit("mask", dense_limit(one.memory[-1])),)
            yield Group(
                "layouts", "forward", one.shape, ("mask",), limits, layout=one, in_set=in_set
            )


def views() -> Iterator[Group]:
    """What works on single elements beside C order, and copies to get there."""
    works = [("apply_packed", ""), ("p_per_unit", ""), ("p_per_element", "")]
    works += [("gaussian_dropout", ""), ("alpha_dropout", ""), ("relu_dropout", "")]
    works += [("dropout_add", ""), ("bias_dropout", ""), ("bias_dropout", "gelu")]
    heads, last = seen_as((8, 128, 12, 64), 0, 2, 1, 3), seen_as((32, 28, 28, 96), 0, 3, 1, 2)
    fortran = seen_as((64, 3, 112, 112), 3, 2, 1, 0)
    names, limits = ("ordered",), (Limit("ordered", 1.3),)
    for layout, (work, name) in product((heads, last, fortran), works):
        yield Group("views", work, layout.shape, names, limits, layout=layout, activation=name)


def shared() -> Iterator[Group]:
    """From runs of 4 KB on, of which half are dropped, less is read than by a multiplication."""
    names = ("constant", "mask", "simdrop")
    images = ((32, 256, 14, 14), (2, 3)), ((16, 64, 56, 56), (2, 3)), ((32, 256, 64), (2,))
    samples = (128, 65_536), (1,)
    for (shape, axes), p in [*product(images, (0.5, 0.2)), (samples, 0.5)]:
        run_bytes = 4 * prod(shape[axis] for axis in axes)
        limits = (Limit("constant", 0.9 if p == 0.5 and run_bytes >= 4096 else 1.15),)
        yield Group("shared", "forward", shape, names, limits, p=p, shared_axes=axes)
    limits = (Limit("constant", 1.15),)
    for axes in ((0, 1), (0,)):
        yield Group("shared", "forward", (64, 32, 512), names, limits, shared_axes=axes)
    layout = seen_as((32, 56, 56, 64), 0, 3, 1, 2)
    yield Group("shared", "forward", layout.shape, names, limits, layout=layout, shared_axes=(2, 3))


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
    sizes = 100_000, 300_000, 1_000_000, 4_000_000, 16_000_000, 50_000_000, 100_000_000
    limits = Limit("single", 1 / 1.03, "threads"), Limit("single", 0.95, "threads beside copies")
    for n in sizes:
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


def generators() -> Iterator[Group]:
    names, limits = ("philox", "pcg64"), (Limit("philox", 1.0),)
    for shape, work in product(((1_000,), MIDDLE), ("random", "integers", "standard_normal")):
        yield Group("generators", work, shape, names, limits, "float64")


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
    """In rounds of several steps: while a net trains, its weights are in the caches."""
    names = ("products", "without", "torch", "simdrop")
    limits = {
        "elementwise": (Limit("products", 1.25), Limit("torch", 0.68)),
        "batchwise": (Limit("without", 0.5), Limit("torch", 0.35)),
    }
    for work, given in limits.items():
        yield Group("steps", work, (128, 784), names, given, threads=ALL_CPUS, rounds=4, calls=6)


def pytorch() -> Iterator[Group]:
    for n, speed in ((64, 1.0), (1_000, 1.0), (100_000, 20.0), (1_000_000, 30.0)):
        yield Group("pytorch", "dropout", (n,), ("torch",), (Limit("torch", speed, "speed"),))
    names, limits = ("torch_model", "torch_without"), (Limit("torch_without", 1.05),)
    for work in ("BERT, sdpa", "BERT, eager", "wide", "convolutional"):
        yield Group("models", work, (), names, limits, p=0.1, rounds=5)


def in_jax() -> Iterator[Group]:
    """At 10,000,000 elements both wait for the memory that XLA asks the system for."""
    speeds = {1_000: (1, 1), 10_000: (3, 2), 100_000: (6, 4), 1_000_000: (10, 5), 10_000_000: ()}
    for n, of_works in speeds.items():
        for work, speed in zip_longest(("forward", "both"), of_works):
            limits = () if speed is None else (Limit("jax", speed, "speed"),)
            yield Group("jax", work, (n,), ("jax",), limits)


def monte_carlo() -> Iterator[Group]:
    shape = 10, 256  # samples, rows
    for work, speed in zip(mc.WORKS, (2, 2, 3, 2), strict=True):
        names, limits = ("naive", "torch", "simdrop"), (Limit("torch", speed, "speed"),)
        yield Group("mc", work, shape, names, limits, p=mc.P, rounds=3)


def groups(chosen: str, available: Sequence[str]) -> dict[str, Group]:
    """All groups by name, on a machine with these instruction sets, of which one is chosen."""
    families = (
        contenders(),
        limit(chosen, available),
        masks(),
        types(),
        layouts(),
        views(),
        shared(),
        calls(),
        imports(),
        threads(),
        fused(),
        structured(),
        noise(),
        generators(),
        monte_carlo(),
        pytorch(),
        in_jax(),
        steps(),
    )
    return {str(group): group for group in chain(*families)}


# Those of this machine.
GROUPS = groups(instruction_set(), instruction_sets())


class Case(NamedTuple):
    """One contender beside simdrop, in one of the passes over everything."""

    number: int
    group: Group
    contender: str

    def __str__(self) -> str:
        return f"pass{self.number}-{self.group}-{self.contender}"


def cases(passes: int, families: list[str]) -> Iterator[Case]:
    """All cases in the order of measurement: pass by pass, with the contenders rotated in each."""
    for number in range(passes):
        for group in GROUPS.values():
            if group.family in families:
                first = number % len(group.contenders)
                for name in group.contenders[first:] + group.contenders[:first]:
                    yield Case(number, group, name)


def missing() -> list[str]:
    """The contenders that are not installed."""
    return [name for name, needed in OPTIONAL.items() if not all(map(find_spec, needed))]
