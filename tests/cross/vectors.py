"""Cases for check.c: what each call is given, and what the oracle says that it gives.

A case is a letter (K: keystream, M: mask, P: bits of a block, A: apply, S: to a strided array,
B: the same with stored bits, F: fused, N: normal numbers and noise, L: to a large array), then the
numbers that `check_*` in check.c takes, each of them 8 bytes, and arrays; all little-endian."""

import itertools
import struct
from fractions import Fraction

import ml_dtypes
import numpy as np
import oracle
from numpy.lib.stride_tricks import as_strided

import simdrop
from simdrop import fused
from simdrop._core import kernels

ACTIVATIONS = (None, "relu", "gelu", "tanh", "sigmoid", "silu")  # as simdrop.h numbers them

KEY = bytes(range(100, 116))
DRAW = 2**33 + 1
POISON = 0xCA
LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257]
LONG = 10007
ALIGNED = 16384 + 1029  # elements: long enough for kernels.c to align its stores
STARTS = [0, 1, 15, 16, 63, 64, 1023, 2**33 + 77, 2**64 - 2**20 + 5]
P = [0, 1, 0.5, 0.1, 0.3, 1 / 3, 1 / 256, 255 / 256, 1e-4, 1 - 2**-53, 5e-324]

# name, dtype of its parts, how many: in the order of `simdrop_type`
TYPES = [
    ("f16", np.dtype(np.float16), 1),
    ("bf16", np.dtype(ml_dtypes.bfloat16), 1),
    ("f32", np.dtype(np.float32), 1),
    ("f64", np.dtype(np.float64), 1),
    ("c64", np.dtype(np.float32), 2),
    ("c128", np.dtype(np.float64), 2),
    ("u8", np.dtype(np.uint8), 1),
    ("u16", np.dtype(np.uint16), 1),
    ("u32", np.dtype(np.uint32), 1),
    ("u64", np.dtype(np.uint64), 1),
    ("u128", np.dtype(np.uint64), 2),
]
U128 = 10


def bits_of(x):
    """The same memory as unsigned integers."""
    return x.view(f"u{x.dtype.itemsize}")


def values(shape, dtype, rng):
    """Any bits at all (so every kind of NaN), ordinary numbers, and the special ones."""
    anything = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    if dtype.kind == "u":
        return anything
    info = ml_dtypes.finfo(dtype)
    ordinary = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
    least, tiny, most = info.smallest_subnormal, info.tiny, info.max
    special = np.array([0, least, 3 * float(least), tiny, most, np.inf, np.nan]).astype(dtype)
    special = np.concatenate([special, -special])
    kind = rng.integers(0, 3, shape)
    return np.choose(kind, [anything, ordinary.astype(dtype), rng.choice(special, shape)])


def times(x, scale):
    """The oracle's product; a NaN becomes quiet, and a bfloat16 one keeps its sign and no more."""
    if x.dtype.kind == "u":
        return x.copy()
    y = np.ascontiguousarray(oracle.times(x, scale))
    with np.errstate(invalid="ignore"):
        nan = np.isnan(x)
    bits = bits_of(x)[nan]
    if x.dtype == ml_dtypes.bfloat16:
        bits = bits & 0x8000 | 0x7FC0
    else:
        bits |= bits.dtype.type(1 << (ml_dtypes.finfo(x.dtype).nmant - 1))
    bits_of(y)[nan] = bits
    return y


def scale_of(p, dtype):
    return 1.0 if dtype.kind == "u" else 1 / (1 - p) if p < 1 else 0.0


def numbers(*given):
    """Each as 8 bytes: floats as float64, integers modulo 2**64."""
    return b"".join(
        struct.pack("<d", n) if isinstance(n, float) else struct.pack("<Q", int(n) % 2**64)
        for n in given
    )


def rule(p, key=KEY, draw=DRAW):
    return key + numbers(draw, float(p))


def uniforms_of(elements):
    """Of elements in any order, uint64: blocks that follow each other are drawn together."""
    if elements.size == 0:
        return elements
    blocks, where = np.unique(elements // np.uint64(16), return_inverse=True)
    runs = np.split(blocks, np.flatnonzero(np.diff(blocks) != 1) + 1)
    spans = ((16 * int(run[0]), 16 * (int(run[-1]) + 1)) for run in runs)
    uniforms = np.concatenate([oracle.uniforms(KEY, DRAW, *span) for span in spans])
    return uniforms.reshape(-1, 16)[where.reshape(elements.shape), elements % np.uint64(16)]


def kept(p, elements):
    """Whether elements are kept, with one p or an array of them, by exact thresholds."""
    threshold = np.vectorize(lambda value: round(Fraction(value) * 2**64), otypes=[object])(p)
    return (uniforms_of(elements).astype(object) >= threshold).astype(bool)


def numbered(axes, start):
    """The elements of a block, as the last number of each axis says, uint64."""
    elements = np.full([axis[0] for axis in axes], start, np.uint64)
    for i, (n, *_, step) in enumerate(axes):
        along = np.arange(n, dtype=np.uint64) * np.uint64(step)
        elements += along.reshape([-1 if i == axis else 1 for axis in range(len(axes))])
    return elements


def keystream_case(key, draw, plane, block, blocks):
    stream = b"".join(  # block numbers wrap around
        oracle.aes(key, (b % 2**64 | draw << 64 | plane << 120).to_bytes(16, "little"))
        for b in range(block, block + blocks)
    )
    return b"K" + rule(0.5, key, draw) + numbers(plane, block, blocks) + stream


def mask_case(p, start, n):
    keep = ~oracle.dropped(KEY, DRAW, p, start, start + n)
    packed = np.packbits(keep, bitorder="little")
    return b"M" + rule(p) + numbers(start, n) + keep.tobytes() + packed.tobytes()


def apply_case(kind, p, start, keep, x, scale, x_at=0, y_at=0):
    y = times(x, scale)
    bits_of(y)[~keep] = 0
    given = numbers(start, kind, len(x), float(scale), x_at, y_at)
    return b"A" + rule(p) + given + x.tobytes() + y.tobytes()


def keystream_cases():
    for blocks in (0, 1, 3, 4, 5, 8, 11):
        yield keystream_case(KEY, DRAW, 0, 2, blocks)
    for block in (2**32 - 5, 2**63 - 1, 2**64 - 11):
        yield keystream_case(KEY, 2**56 - 1, 255, block, 11)
    # FIPS-197, appendices B and C.1, and the definition's own example
    b = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
    c = bytes.fromhex("00112233445566778899aabbccddeeff")
    for key, block in (("2b7e151628aed2a6abf7158809cf4f3c", b), (bytes(range(16)).hex(), c)):
        counter = int.from_bytes(block, "little")
        draw, plane = counter >> 64 & 2**56 - 1, counter >> 120
        yield keystream_case(bytes.fromhex(key), draw, plane, counter % 2**64, 1)
    yield keystream_case(oracle.key_from_seed(0), 0, 0, 0, 4)


def tied_probabilities():
    """p that agree with the uniform of some element in as many planes as a float64 can, and their
    neighbours: one on each side of it."""
    uniforms = oracle.uniforms(KEY, DRAW, 0, LONG)
    for element in (0, 63, 70, 256, LONG - 1, int(uniforms.argmin())):
        p = float(Fraction(int(uniforms[element]), 2**64))
        yield from (np.nextafter(p, 0), p, np.nextafter(p, 1))


def mask_cases():
    for p, start, n in itertools.product(P, STARTS, [*LENGTHS, 1025]):
        yield mask_case(p, start, n)
    for p in [*P, *tied_probabilities()]:
        yield mask_case(float(p), 0, LONG)


def each_p(p, axes):
    """The numbers of p that the elements of a block have."""
    before, _ = extent(axes, 1, 8)
    shape, strides = zip(*[(n, 8 * step) for n, step, _ in axes], strict=True) if axes else ((), ())
    return as_strided(p[before // 8 :], shape, strides, writeable=True)


def block_case(axes, p, start):
    """With one p, or an array whose elements `axes` step over."""
    elements = numbered(axes, start)
    given = [start, len(axes)]
    for n, step, element in axes:
        given += [n, step * 8, element]
    if isinstance(p, np.ndarray):
        each = each_p(p, axes)
        given, array, p = [*given, extent(axes, 1, 8)[0], p.nbytes], p.tobytes(), 0.5
    else:
        given, array, each = [*given, 0, 0], b"", p
    packed = np.packbits(kept(each, elements), bitorder="little")
    return b"P" + rule(p) + numbers(*given) + array + packed.tobytes()


def block_cases():
    rng = np.random.default_rng(4)
    one = itertools.cycle(P)
    for axes, start in itertools.product(BLOCKS.values(), (0, 77, *WINDOW_STARTS)):
        yield block_case(axes, next(one), start)
        elements = numbered(axes, start)
        p = rng.random(sum(extent(axes, 1, 8)) // 8)
        special = rng.random(len(p)) < 0.3
        p[special] = rng.choice(P, special.sum())
        # The uniforms of some elements, as floats: most of their digits tie.
        uniforms = uniforms_of(elements) / 2.0**64
        np.copyto(each_p(p, axes), uniforms, where=rng.random(elements.shape) < 0.3)
        yield block_case(axes, p, start)


def apply_cases():
    rng = np.random.default_rng(1)
    spans = list(itertools.product(P, LENGTHS, STARTS))
    spans += [(p, LONG, STARTS[i % len(STARTS)]) for i, p in enumerate(P)]
    spans += [(0.3, ALIGNED, 7)]
    for p, n, start in spans:
        keep = ~oracle.dropped(KEY, DRAW, p, start, start + n)
        for kind, (_, dtype, parts) in enumerate(TYPES):
            x = values((n, parts), dtype, rng)
            x_at, y_at = rng.integers(0, 64 // dtype.itemsize, 2) * dtype.itemsize
            yield apply_case(kind, p, start, keep, x, scale_of(p, dtype), x_at, y_at)
    # every number of 16 bits, kept
    for kind, scale in itertools.product((0, 1), (1, 2, 1 / 0.9, 1.5, 1 / 3, 1e-5, 2.0**53)):
        x = np.arange(2**16, dtype=np.uint16).view(TYPES[kind][1])[:, None]
        yield apply_case(kind, 0, 0, np.ones(2**16, bool), x, scale)


# An axis: its length, its steps in x and in y (elements), and how its elements are numbered.
LAYOUTS = {
    "no axes": [],
    "empty": [(3, 5, 5, 5), (0, 1, 1, 1)],
    "contiguous": [(777, 1, 1, 1)],
    "every third": [(777, 3, 1, 1)],
    "to every second": [(777, 1, 2, 1)],
    "reversed": [(777, -1, 1, 1)],
    "to reversed": [(777, 1, -1, 1)],
    "one for all": [(777, 0, 1, 1)],
    "shared by all": [(777, 1, 1, 0)],
    "rows of wider": [(13, 100, 80, 70), (70, 1, 1, 1)],
    "Fortran": [(13, 1, 1, 70), (70, 13, 13, 1)],
    "to Fortran": [(13, 70, 1, 70), (70, 1, 13, 1)],
    "from Fortran": [(13, 1, 70, 70), (70, 13, 1, 1)],
    "row for all": [(13, 0, 70, 70), (70, 1, 1, 1)],
    "shared rows": [(13, 70, 70, 0), (70, 1, 1, 1)],
    "shared columns": [(13, 70, 70, 1), (70, 1, 1, 0)],
    "window": [(13, 70, 70, 1000), (70, 1, 1, 1)],
    "three axes": [(4, 6, -6, 30), (5, -24, 24, 6), (6, 1, 1, 1)],
    "shared middle": [(4, 30, 6, 6), (5, 6, 24, 0), (6, -1, 1, 1)],
}
LARGER = {
    "panels": [(600, 1, 1, 530), (530, 600, 600, 1)],
    "panels to C": [(600, 1, 530, 530), (530, 600, 1, 1)],
    "long rows": [(3, 5000, 3100, 3000), (3000, 1, 1, 1)],
}
# Blocks of masks that no memory holds.
WINDOWS = {
    "rows": [(5, 300, 300, 2**40), (300, 1, 1, 1)],
    "short rows": [(90, 7, 7, 2**20), (7, 1, 1, 1)],
    "a column": [(777, 1, 1, 2**33)],
    "Fortran": [(70, 1, 1, 2**21), (90, 70, 70, 1)],
    "to Fortran": [(70, 90, 1, 2**21), (90, 1, 70, 1)],
    "reversed": [(13, -70, 70, 2**32), (70, -1, 1, 1)],
    "to reversed": [(13, 70, -70, 2**32), (70, 1, -1, 1)],
    "three axes": [(4, 210, 210, 2**50), (30, 7, 7, 1000), (7, 1, 1, 1)],
    "shared rows": [(13, 70, 70, 0), (70, 1, 1, 1)],
    "shared columns": [(50, 20, 20, 2**33), (20, 1, 1, 0)],
    "shared middle": [(4, 350, 350, 2**33), (5, 70, 70, 0), (70, 1, 1, 1)],
}
WINDOW_STARTS = [7, 2**33 + 77, 2**62 + 1023]

# An axis of a block: its length, the step in p (numbers), and how its elements are numbered.
BLOCKS = {
    "no axes": [],
    "empty": [(3, 5, 5), (0, 1, 1)],
    **{f"{n} elements": [(n, 1, 1)] for n in (1, 63, 64, 65, 1023, 1024, 1025, 5000)},
    "p reversed": [(777, -1, 1)],
    "every third p": [(777, 3, 1)],
    "one p": [(777, 0, 1)],
    "a column": [(300, 1, 2**33)],
    "p of samples": [(40, 1, 300), (300, 0, 1)],
    "p of units": [(7, 0, 1500), (1500, 1, 1)],
    "p of all": [(7, 1500, 1500), (1500, 1, 1)],
    "p transposed": [(30, 1, 90), (90, 30, 1)],
    "a window": [(13, 70, 1000), (70, 1, 1)],
    "a window, p of samples": [(13, 1, 2**40), (70, 0, 1)],
    "shared rows": [(6, 0, 0), (777, 1, 1)],
    "shared columns": [(13, 1, 1), (70, 0, 0)],
    "shared middle": [(4, 7, 7), (5, 0, 0), (7, 1, 1)],
    "a window, shared middle": [(4, 70, 2**33), (5, 0, 0), (70, 1, 1)],
}


def extent(axes, which, size):
    """Bytes before and from the first element on that an array needs."""
    reach = [(axis[0] - 1) * axis[which] * size for axis in axes if axis[0] != 0]
    return -sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + size


def reordered(raw, part):
    """Elements as bytes, each number of `part` bytes reversed."""
    *shape, size = raw.shape
    return raw.reshape(*shape, size // part, part)[..., ::-1].reshape(raw.shape)


def array_case(kind, size, part, axes, p, start, big_x, big_y, x_lead, y_lead, rng, stored=False):
    """`size` bytes an element: those of the type; or fewer, of U128, that are not numbers, with a
    `part` of 1. Stored bits begin with element 0 and are followed by ones."""
    _, dtype, parts = TYPES[kind]
    shape = [axis[0] for axis in axes]
    x_before, x_after = extent(axes, 1, size)
    y_before, y_after = extent(axes, 2, size)
    x = rng.integers(0, 256, x_lead + x_before + x_after + 3, np.uint8)
    y = np.full(y_lead + y_before + y_after + 3, POISON, np.uint8)

    def view(memory, at, which):
        strides = [axis[which] * size for axis in axes]
        return as_strided(memory[at:], (*shape, size), (*strides, 1), writeable=True)

    x_view, y_view = view(x, x_lead + x_before, 1), view(y, y_lead + y_before, 2)
    if size == dtype.itemsize * parts:
        raw = values((*shape, parts), dtype, rng).view(np.uint8)
        x_view[...] = reordered(raw, part) if big_x else raw
        raw = np.ascontiguousarray(x_view)  # where elements overlap, the last one stays
        native = reordered(raw, part) if big_x else raw
        given = np.ascontiguousarray(native).view(dtype).reshape(*shape, parts)
        result = times(given, scale_of(p, dtype)).view(np.uint8).reshape(*shape, size)
        result = reordered(result, part) if big_y else result
    else:
        result = np.ascontiguousarray(x_view)
    elements = numbered(axes, start)
    y_view[...] = np.where(kept(p, elements)[..., None], result, 0)

    given = [start, kind, size, part, big_x, big_y, scale_of(p, dtype), len(axes)]
    for n, x_step, y_step, step in axes:
        given += [n, x_step * size, y_step * size, step]
    given += [x_lead + x_before, len(x), y_lead + y_before, len(y)]
    # check_array takes x's bytes before it takes y's
    before = rule(p) + numbers(*given) + x.tobytes()
    if not stored:
        return b"S" + before + y.tobytes()
    keep = ~oracle.dropped(KEY, DRAW, p, 0, int(elements.max(initial=0)) + 1)
    keep = np.append(keep, np.ones(-len(keep) % 8, bool))
    bits = np.packbits(keep, bitorder="little")
    return b"B" + before + numbers(len(bits)) + bits.tobytes() + y.tobytes()


ELEMENTS = [(kind, dtype.itemsize * n, dtype.itemsize) for kind, (_, dtype, n) in enumerate(TYPES)]
ELEMENTS += [(U128, size, 1) for size in (3, 5, 10, 12, 16)] + [(U128, 16, 16)]
# x and y aligned to a line, to a part, and to nothing
LEADS = [(0, 0), (0, 16), (16, 0), (1, 0), (0, 1), (2, 4), (3, 3)]


def array_cases():
    rng = np.random.default_rng(2)
    leads, probabilities = itertools.cycle(LEADS), itertools.cycle([0.3, 0.5, 1 / 3, 0.9])
    orders = list(itertools.product((0, 1), repeat=2))
    for axes, (kind, size, part) in itertools.product(LAYOUTS.values(), ELEMENTS):
        for big_x, big_y in orders if part > 1 else [(0, 0)]:
            p, start = next(probabilities), int(rng.integers(0, 2000))
            yield array_case(kind, size, part, axes, p, start, big_x, big_y, *next(leads), rng)
    for axes, kind in itertools.product(LARGER.values(), (0, 2, 7)):
        yield array_case(*ELEMENTS[kind], axes, 0.3, 5, 0, 0, 0, 0, rng)
        yield array_case(*ELEMENTS[kind], axes, 0.3, 2**40 + 5, 1, 1, 0, 0, rng)
    for axes, start, kind in itertools.product(WINDOWS.values(), WINDOW_STARTS, (1, 2, 5, 6)):
        p = next(probabilities)
        yield array_case(*ELEMENTS[kind], axes, p, start, 0, 0, *next(leads), rng)


def stored_cases():
    rng = np.random.default_rng(5)
    leads, probabilities = itertools.cycle(LEADS), itertools.cycle([0.3, 0.5, 0.9])
    for axes, element in itertools.product(LAYOUTS.values(), ELEMENTS):
        p, start = next(probabilities), int(rng.integers(0, 2000))
        big = int(element[2] > 1 and rng.integers(0, 2))
        yield array_case(*element, axes, p, start, big, 0, *next(leads), rng, stored=True)
    for axes, kind in itertools.product(LARGER.values(), (0, 2, 7)):
        yield array_case(*ELEMENTS[kind], axes, 0.3, 5, 0, 0, 0, 0, rng, stored=True)


def fused_case(function, activation, p, x, other, dy):
    """What the portable kernels give here, which test_fused.py compares with the oracle and exact
    functions: all instruction sets give the same bits."""
    stream = simdrop.Stream(0)
    stream.state = stream.state | {"key": KEY.hex(), "draw": DRAW}
    options = {"rng": stream}
    if function is fused.bias_dropout:
        options["activation"] = activation
    arguments = (x,) if other is None else (x, other)
    before = kernels.instruction_set()
    kernels.use_instruction_set("portable")
    try:
        with np.errstate(all="ignore"):
            y, ctx = function(*arguments, p, **options)
            gradients = ctx.backward(dy)
    finally:
        kernels.use_instruction_set(before)
    dx = gradients[0] if isinstance(gradients, tuple) else gradients
    results = [y, dx, *gradients[1:]] if function is fused.bias_dropout else [y, dx]
    number = ACTIVATIONS.index(activation)
    name = {fused.bias_dropout: 0, fused.dropout_add: 1, fused.relu_dropout: 2}[function]
    given = numbers(name, x.itemsize == 8, number, x.size, x.shape[-1], scale_of(p, x.dtype))
    arrays = [a for a in (x, other, dy, *results) if a is not None]
    return b"F" + rule(p) + given + b"".join(a.tobytes() for a in arrays)


def fused_cases():
    rng = np.random.default_rng(3)
    calls = [(fused.bias_dropout, name) for name in ACTIVATIONS]
    calls += [(fused.dropout_add, None), (fused.relu_dropout, None)]
    for (function, name), kind, p in itertools.product(calls, "fd", (0, 0.25, 0.3, 0.5, 1)):
        for shape in ((1, 512), (7, 601), (2, 4099)):
            ordinary = rng.standard_normal((3, *shape)) * 10.0 ** rng.integers(-2, 3, (3, *shape))
            x, other, dy = ordinary.astype(kind)
            special = [0, -0.0, np.inf, -np.inf, np.nan, -104, 745, np.finfo(kind).tiny]
            x[0, : len(special)] = special
            if function is fused.bias_dropout:
                other = other[0].copy()
            elif function is fused.relu_dropout:
                other = None
            yield fused_case(function, name, p, x, other, dy)


def noise_case(start, n, p):
    z = oracle.normals(KEY, DRAW, start + n)[start:]
    keep = ~oracle.dropped(KEY, DRAW, p, start, start + n)
    arrays = [z]
    for kind in "fd":
        x, f = np.random.default_rng(n).standard_normal(n).astype(kind), np.dtype(kind).type
        noise = f(0.7) * z.astype(kind)
        shifted = np.where(keep, x * f(0.9) + f(0.3), f(-1.1))
        arrays += [x, x * (1 + noise), x + noise, shifted]
    return b"N" + rule(p) + numbers(start, n) + b"".join(a.tobytes() for a in arrays)


def noise_cases():
    for n, p in itertools.product([*LENGTHS, LONG], (0.3, 0.5)):
        for start in (0, 1, 63, 1023):
            yield noise_case(start, n, p)
    yield noise_case(0, 250_000, 0.3)  # with words that are tiny


def cases():
    """Every case, as bytes."""
    yield from keystream_cases()
    yield from mask_cases()
    yield from block_cases()
    yield from apply_cases()
    yield from array_cases()
    yield from stored_cases()
    yield from fused_cases()
    yield from noise_cases()
    yield from (b"L" + numbers(kind) for kind in range(len(TYPES)))
