"""Every result of the library, as a digest: what it computes stays bit for bit what it was.

`tests/golden.json` is written by `python tests/test_golden.py`, from the results of that build. A
line of it changes only with the definition of a result. All numbers are exact in their types where
a matrix product is part of the result, so that no BLAS makes a difference.
"""

import hashlib
import itertools
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import simdrop as sd
from simdrop import fused, nn, submatrix

GOLDEN = Path(__file__).with_name("golden.json")
FLOATS = ("float16", "float32", "float64", "complex64", "complex128")
PLAIN = ("bool", "int8", "uint16", "int32", "int64")
PROBABILITIES = (0.0, 0.1, 0.5, 1.0)
SHAPES = {"flat": (1003,), "matrix": (37, 53), "image": (3, 5, 14, 13), "time": (7, 4, 65)}


def values(shape, dtype, seed=0):
    """Numbers of a type, NaN, infinities and zeros of both signs among them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**16, shape)  # ints, whose order no version of NumPy changes
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return bits % 2 > 0
    if dtype.kind in "iu":
        return bits.astype(dtype)
    x = ((bits - 2**15) / 2**12).astype(dtype)
    if dtype.kind == "c":
        x.imag = (bits % 1001) / 8
    flat = x.reshape(-1)
    flat[3:40:9] = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)[: len(flat[3:40:9])]
    return x


def layouts_of(x):
    """The same numbers in memory of other kinds."""
    yield "C", x
    yield "F", np.asfortranarray(x)
    yield "reversed", np.ascontiguousarray(x[::-1])[::-1]
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    yield "strided", wide[..., ::2]
    if x.ndim > 2:
        axes = (*range(1, x.ndim), 0)
        yield "moved", np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))


def digest(*arrays):
    """Of the values in C order, and of what the arrays are."""
    sha = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        sha.update(f"{array.dtype} {array.shape} ".encode())
        if array.dtype.kind in "fc":  # one NaN, whatever its bits are
            array = array.copy()
            parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
            for part in parts:
                part[np.isnan(part)] = np.nan
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def masks():
    for (name, shape), p in itertools.product(SHAPES.items(), PROBABILITIES):
        for axes in dict.fromkeys([(), (0,), tuple(range(1, len(shape)))]):
            mask = sd.Stream([1, 2]).mask(shape, p, shared_axes=axes)
            start = tuple(n // 3 for n in shape)
            window = mask.window(start, tuple(n - i for n, i in zip(shape, start, strict=True)))
            yield (
                f"mask {name} p={p} shared={axes}",
                digest(
                    mask.keep(), mask.packbits(), mask.indices(), window.keep(), window.packbits()
                ),
            )
    p = np.linspace(0, 1, 53)
    mask = sd.Stream(3).mask((37, 53), p)
    yield "mask of an array p", digest(mask.keep(), mask.scale, mask.apply(values((37, 53), "f4")))
    stored = sd.StoredMask(mask.packbits(), 0.25, (37, 53))
    yield (
        "stored mask",
        digest(stored.apply(values((37, 53), "f4")), stored.window((3, 4), (9, 9)).keep()),
    )


def streams():
    stream = sd.Stream(7)
    states = [stream.state]
    stream.mask(3)
    children = stream.spawn(3)
    states += [
        stream.state,
        *(child.state for child in children),
        pickle.loads(pickle.dumps(stream)).state,
    ]
    states.append(sd.Stream([[1], 2]).state)
    yield "states of streams", digest(np.frombuffer(json.dumps(states).encode(), np.uint8))


def applied():
    for name, shape in SHAPES.items():
        for dtype, scale in [*((d, True) for d in FLOATS), *((d, False) for d in PLAIN)]:
            found = []
            for p, axes in itertools.product(PROBABILITIES, [(), (0,), (len(shape) - 1,)]):
                mask = sd.Stream(5).mask(shape, p, shared_axes=axes, scale=scale)
                for _, x in layouts_of(values(shape, dtype)):
                    found += [mask.apply(x), mask.backward(x, out=x.copy())]
            yield f"apply {name} {dtype}", digest(*found)


def transformed():
    """Every function of the form y, m = f(x, ...), forward and backward."""
    calls = {
        "dropout": (lambda x, rng: sd.dropout(x, 0.3, rng=rng), FLOATS),
        "gaussian_dropout": (lambda x, rng: sd.gaussian_dropout(x, 0.3, rng=rng), FLOATS[:3]),
        "gaussian_noise": (lambda x, rng: sd.gaussian_noise(x, 0.3, rng=rng), FLOATS[:3]),
        "gaussian_noise shared": (
            lambda x, rng: sd.gaussian_noise(x, 0.3, shared_axes=0, rng=rng),
            FLOATS[:3],
        ),
        "alpha_dropout": (lambda x, rng: sd.alpha_dropout(x, 0.3, rng=rng), FLOATS[:3]),
        "alpha_dropout shared": (
            lambda x, rng: sd.alpha_dropout(x, 0.3, shared_axes=-1, rng=rng),
            FLOATS[:3],
        ),
        "drop_path": (lambda x, rng: sd.drop_path(x, 0.3, rng=rng), FLOATS),
        "drop_block": (lambda x, rng: sd.drop_block(x, 0.1, 3, rng=rng), FLOATS),
        "locked_dropout": (lambda x, rng: sd.locked_dropout(x, 0.3, rng=rng), FLOATS),
        "drop_connect": (lambda x, rng: sd.drop_connect(x, 0.3, rng=rng), FLOATS),
        "zoneout": (lambda x, rng: sd.zoneout(x[::-1], x, 0.3, rng=rng), FLOATS),
        "zoneout in evaluation": (
            lambda x, rng: sd.zoneout(x[::-1], x, 0.3, training=False),
            FLOATS,
        ),
        "relu_dropout": (lambda x, rng: fused.relu_dropout(x, 0.3, rng=rng), FLOATS[1:3]),
        "dropout_add": (lambda x, rng: fused.dropout_add(x, x[::-1], 0.3, rng=rng), FLOATS[1:3]),
    }
    for activation in (None, "relu", "gelu", "tanh", "sigmoid", "silu"):
        calls[f"bias_dropout {activation}"] = (
            lambda x, rng, activation=activation: fused.bias_dropout(
                x, values(x.shape[-1:], x.dtype, 1), 0.3, activation=activation, rng=rng
            ),
            FLOATS[1:3],
        )
    for (name, (call, dtypes)), shape in itertools.product(calls.items(), ("matrix", "image")):
        found = []
        for dtype in dtypes:
            for _, x in layouts_of(values(SHAPES[shape], dtype)):
                y, m = call(x, sd.Stream(11))
                dx = m.backward(np.asarray(y)[::-1])
                found += [y, *(dx if isinstance(dx, tuple) else (dx,))]
        yield f"{name} {shape}", digest(*found)
    draw = sd.gaussian_noise(values((37, 53), "f4"), 1, rng=2)[1]
    yield "normals", digest(draw.normals(), draw.window((3, 5), (20, 30)).normals())


def exact(shape, seed, limit=8):
    """Small whole numbers as float32: sums of products of them are exact in any order."""
    return np.random.default_rng(seed).integers(-limit, limit + 1, shape).astype(np.float32)


def products():
    x, W = exact((5, 12), 0), exact((12, 7), 1)
    y, ctx = sd.drop_connect_matmul(x, W, 0.5, rng=1)
    yield "drop_connect_matmul", digest(y, *ctx.backward(exact((5, 7), 2)))
    y, ctx = sd.embedding_dropout(W, 0.5, indices=[[3, 0], [3, 11]], rng=1)
    yield "embedding_dropout", digest(y, ctx.backward(y))
    for dtype in ("f4", "f8"):
        rows, columns = (submatrix.Kept(sd.Stream(s).mask(n)) for s, n in ((1, 12), (2, 7)))
        w, part = W.astype(dtype), exact((rows.count, columns.count), 3).astype(dtype)
        state = [np.zeros_like(w) for _ in range(3)]
        found = [submatrix.gather(w, rows, columns)]
        for step in range(1, 4):
            squares = np.empty(7)
            submatrix.sgd(
                w, part, state[0], rows, columns,
                lr=0.1, momentum=0.9, nesterov=step > 1, l2=1e-3, l1=1e-3, squares=squares,
            )  # fmt: skip
            submatrix.adam(w, part, state[1], state[2], rows, columns, lr=0.01, step=step)
            found += [w.copy(), squares]
        yield f"weights {dtype}", digest(*found, *state)


def trained():
    """Nets after a step that no rounding touches: in float64 the numbers are the same."""
    for kind, optimizer in itertools.product(("elementwise", "batchwise"), ("SGD", "Adam")):
        numbers = {}
        for dtype in (np.float32, np.float64):
            net = nn.MLP(
                (12, 16, 4),
                p=0.5,
                p_input=0.5,
                dropout=kind,
                loss="squared_error",
                rng=3,
                dtype=dtype,
            )
            for i, parameter in enumerate(net.parameters()):
                parameter.value[...] = exact(parameter.value.shape, i, 1)
            x, target = exact((8, 12), 9, 2), exact((8, 4), 10, 2)
            if optimizer == "SGD":
                steps = nn.SGD(net.parameters(), lr=0.125, momentum=0.5)
                net.train_step(x, target, steps)
            else:
                steps = nn.Adam(net.parameters(), lr=0.125)
                net.loss(x, target)
                net.backward()
            gradients = [parameter.grad.copy() for parameter in net.parameters()]
            state = [array for arrays in steps.state for array in arrays]
            found = [net(x), *gradients, *(p.value for p in net.parameters()), *state]
            numbers[dtype] = [array.astype(np.float64) for array in found]
        for a, b in zip(numbers[np.float32], numbers[np.float64], strict=True):
            np.testing.assert_array_equal(a, b)
        states = json.dumps([stream.state for stream in net.streams()]).encode()
        yield (
            f"MLP, {kind}, {optimizer}",
            digest(*numbers[np.float64], np.frombuffer(states, np.uint8)),
        )


SUBJECTS = (masks, streams, applied, transformed, products, trained)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_results_are_those_of_the_golden_file(subject, instruction_set):
    golden = json.loads(GOLDEN.read_text())
    found = dict(subject())
    assert found == {name: golden[name] for name in found}


def test_the_golden_file_has_nothing_else():
    names = [name for subject in SUBJECTS for name, _ in subject()]
    assert len(set(names)) == len(names) and set(names) == set(json.loads(GOLDEN.read_text()))


if __name__ == "__main__":
    found = dict(pair for subject in SUBJECTS for pair in subject())
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n")
    print(f"{len(found)} digests written", file=sys.stderr)
