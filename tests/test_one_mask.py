"""One seed, one draw, one mask: y and dx have the same bits, whatever computes them.

`make test` has the ways that need no framework; `make test-adapters` has them all.
"""

import ctypes
import importlib.util
import os

import array_api_strict
import jobs
import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop import nn
from simdrop._core import kernels, task

SEED, DRAW = 11, 3  # of the stream, and of the draw that is taken


class Case:
    """Arrays, what drops their elements, and what the oracle makes of them."""

    def __init__(self, name, shape, dtype, p, axes=()):
        random = np.random.default_rng(len(shape))
        self.name, self.shape, self.dtype, self.p, self.axes = name, shape, np.dtype(dtype), p, axes
        self.x, self.dy = (random.standard_normal(shape).astype(dtype) for _ in range(2))
        self.x.flat[:2] = np.nan, -np.inf
        key = oracle.key_from_seed(SEED)
        self.expected = [oracle.apply(array, key, DRAW, p, axes) for array in (self.x, self.dy)]

    @property
    def stream(self):
        """A stream whose next draw is that of the case."""
        stream = sd.Stream(SEED)
        stream.state = stream.state | {"draw": DRAW}
        return stream

    @property
    def mask(self):
        return self.stream.mask(self.shape, self.p, shared_axes=self.axes)

    def both(self, function):
        """A function of x and of dy."""
        return function(self.x), function(self.dy)


CASES = [
    Case("vector", (1003,), np.float32, 0.5),
    Case("matrix", (37, 53), np.float32, 0.1),
    Case("float64", (19, 70), np.float64, 1 / 3),
    Case("float16", (40, 33), np.float16, 0.7),
    Case("channels", (3, 5, 7, 9), np.float32, 0.3, (2, 3)),
    Case("time steps", (11, 4, 17), np.float32, 0.25, (0,)),
    Case("nothing kept", (64,), np.float32, 1.0),
]


# --- NumPy ---


def by_functions(case):
    y, mask = sd.dropout(case.x, case.p, rng=case.stream, shared_axes=case.axes)
    return y, sd.dropout_backward(case.dy, mask)


def by_each_instruction_set(case):
    before, results = kernels.instruction_set(), []
    try:
        for name in kernels.instruction_sets():
            kernels.use_instruction_set(name)
            results += case.both(case.mask.apply)
    finally:
        kernels.use_instruction_set(before)
    return results


def by_threads(case):
    before = task.assumed()
    task.assumed(delay=0, least=0)  # arrays of any size are shared
    sd.set_num_threads(3)
    try:
        return case.both(case.mask.apply)
    finally:
        sd.set_num_threads(None)
        task.assumed(*before)


def by_windows(case):
    def pieces(x):
        y = np.empty_like(x)
        for start in range(0, len(x), 5):
            part = x[start : start + 5]
            window = case.mask.window((start, *[0] * (x.ndim - 1)), part.shape)
            window.apply(part, out=y[start : start + 5])
        return y

    return case.both(pieces)


def by_fortran_order(case):
    return case.both(lambda x: case.mask.apply(np.asfortranarray(x)))


def by_p_of_each_element(case):
    p = np.full([1 if i in case.axes else n for i, n in enumerate(case.shape)], case.p)
    return case.both(case.stream.mask(case.shape, p, shared_axes=case.axes).apply)


def by_bits(case):
    scale = case.p < 1
    return case.both(lambda x: sd.apply_packed(x, case.mask.packbits(), case.p, scale=scale))


def by_another_library(case):
    if case.dtype == np.float16:
        pytest.skip("the array API standard has no float16")
    return case.both(lambda x: np.asarray(case.mask.apply(array_api_strict.asarray(x))))


def by_a_layer(case):
    layer = nn.Dropout(case.p, case.stream, shared_axes=case.axes)
    return layer(case.x), layer.backward(case.dy)


# --- C ---


class Elements(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int)]
    _fields_ += [(name, ctypes.c_size_t) for name in ("bytes", "swap_x", "swap_y")]
    _fields_ += [("scale", ctypes.c_double)]


class Axis(ctypes.Structure):
    _fields_ = [("n", ctypes.c_size_t), ("x", ctypes.c_ssize_t), ("y", ctypes.c_ssize_t)]
    _fields_ += [("element", ctypes.c_uint64)]


class Rule(ctypes.Structure):
    _fields_ = [("round_keys", ctypes.c_uint8 * 176)]
    _fields_ += [(name, ctypes.c_uint64) for name in ("draw", "digits", "planes")]


def by_the_c_library(case):
    library = ctypes.CDLL(sd.get_library())
    types = {"float16": 0, "float32": 2, "float64": 3}
    scale = 1 / (1 - case.p) if case.p < 1 else 0.0
    elements = Elements(types[case.dtype.name], case.dtype.itemsize, 0, 0, scale)
    rule = Rule(draw=DRAW)
    library.simdrop_expand_key(oracle.key_from_seed(SEED), rule.round_keys)
    library.simdrop_set_p(ctypes.byref(rule), ctypes.c_double(case.p))
    axes, element = [], 1
    for i, n in reversed(list(enumerate(case.shape))):
        stride = case.x.strides[i]
        axes.append(Axis(n, stride, stride, 0 if i in case.axes else element))
        element *= 1 if i in case.axes else n
    array = (Axis * len(axes))(*axes)

    def apply(x):
        y = np.empty_like(x)
        addresses = [ctypes.c_void_p(a.ctypes.data) for a in (x, y)]
        library.simdrop_apply_array(
            ctypes.byref(rule), ctypes.c_uint64(0), elements, len(axes), array, *addresses
        )
        return y

    return case.both(apply)


# --- Frameworks ---


def by_torch(case, compiled=False):
    import torch

    from simdrop.torch import functional

    name = {"channels": "dropout2d", "time steps": "locked_dropout"}.get(case.name, "dropout")
    function = getattr(functional, name)
    if compiled:
        function = torch.compile(function, backend="aot_eager", fullgraph=True)
    x = torch.tensor(case.x, requires_grad=True)
    y = function(x, case.p, stream=case.stream)
    y.backward(torch.tensor(case.dy))
    return y.detach().numpy(), x.grad.numpy()


def by_compiled_torch(case):
    return by_torch(case, compiled=True)


def by_a_tensor_as_out(case):
    import torch

    def apply(x):
        out = torch.empty(case.shape, dtype=getattr(torch, case.dtype.name))
        assert case.mask.apply(torch.tensor(x), out=out) is out
        return out.numpy()

    return case.both(apply)


def by_jax(case):
    import jax

    from simdrop.jax import address, dropout

    with jax.enable_x64(True):

        @jax.jit
        def both(where, x, dy):
            y, gradient = jax.vjp(lambda x: dropout(where, x, case.p, shared_axes=case.axes), x)
            return y, *gradient(dy)

        return [np.asarray(array) for array in both(address(case.stream), case.x, case.dy)]


def by_jax_numpy(case):
    import jax

    from simdrop.jax import _primitive

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_primitive, "is_registered", lambda: False)
        jax.clear_caches()
        results = by_jax(case)
    jax.clear_caches()
    return results


def by_an_array_of_jax(case):
    import jax.numpy as jnp

    if case.dtype == np.float64:
        pytest.skip("JAX has float32 where it is not told otherwise")
    return case.both(lambda x: np.asarray(case.mask.apply(jnp.asarray(x))))


def by_dask(case):
    import dask.array as da

    import simdrop.dask

    x, dy = (da.from_array(array, chunks=4) for array in (case.x, case.dy))
    y, mask = simdrop.dask.dropout(x, case.p, rng=case.stream, shared_axes=case.axes)
    dx = simdrop.dask.backward(dy, mask)
    return y.compute(scheduler="threads"), dx.compute(scheduler="threads")


def by_autograd(case):
    from autograd import make_vjp

    from simdrop import autograd

    dropped = autograd.dropout
    vjp, y = make_vjp(lambda x: dropped(x, case.p, rng=case.stream, shared_axes=case.axes))(case.x)
    return y, vjp(case.dy)


RANKS = """
import sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from mpi4py import MPI
from simdrop import mpi
from test_one_mask import CASES
comm, results = MPI.COMM_WORLD, {}
for case in CASES:
    mine = mpi.rows(len(case.x))
    parts = case.both(lambda x: mpi.window(case.mask).apply(x[mine]))
    for i, part in enumerate(parts):
        gathered = comm.gather(part)
        if comm.Get_rank() == 0:
            results[f"{case.name} {i}"] = np.concatenate(gathered)
if comm.Get_rank() == 0:
    np.savez(sys.argv[1], **results)
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What three ranks of an MPI job make of all cases."""
    if jobs.MPIEXEC is None:
        pytest.skip("mpiexec is not installed")
    file = tmp_path_factory.mktemp("ranks") / "results.npz"
    code, _, err = jobs.run(3, RANKS, file, os.path.dirname(__file__))
    assert code == 0, err
    with np.load(file) as results:
        return dict(results)


# --- The matrix ---

WAYS = {
    by_functions: (),
    by_each_instruction_set: (),
    by_threads: (),
    by_windows: (),
    by_fortran_order: (),
    by_p_of_each_element: (),
    by_bits: (),
    by_another_library: (),
    by_a_layer: (),
    by_the_c_library: (),
    by_torch: ("torch",),
    by_compiled_torch: ("torch",),
    by_a_tensor_as_out: ("torch",),
    by_jax: ("jax",),
    by_jax_numpy: ("jax",),
    by_an_array_of_jax: ("jax",),
    by_dask: ("dask",),
    by_autograd: ("autograd",),
}


def check(results, case):
    for i, result in enumerate(results):
        expected = case.expected[i % 2].copy()
        assert result.dtype == expected.dtype and result.shape == expected.shape
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(result), nan)
        # NaN is NaN; all else, and the sign of zeros, is the same bit for bit.
        assert np.where(nan, 0, result).tobytes() == np.where(nan, 0, expected).tobytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_computes_what_the_oracle_does(way, case):
    for framework in WAYS[way]:
        if importlib.util.find_spec(framework) is None:
            pytest.skip(f"{framework} is not installed")
    check(way(case), case)


@pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="mpi4py is not installed")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ranks_compute_what_the_oracle_does(ranks, case):
    check([ranks[f"{case.name} {i}"] for i in range(2)], case)
