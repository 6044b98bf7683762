"""Dask arrays: the same bits as of the whole array, on every scheduler, within the memory of a few
chunks."""

import doctest
import os
import pathlib
import pickle
import re
import signal

import dask
import dask.array as da
import distributed
import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
import simdrop.dask as sda

SHAPE = 60, 50


def whole(shape=SHAPE, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


FUNCTIONS = {
    "dropout": ((0.3,), {}),
    "dropout of channels": ((0.3,), {"shared_axes": 1}),
    "dropout by p of units": ((np.linspace(0.1, 0.9, 50),), {}),
    "dropout in evaluation": ((0.3,), {"training": False}),
    "alpha_dropout": ((0.3,), {}),
    "gaussian_dropout": ((0.3,), {}),
    "gaussian_noise": ((0.3,), {"shared_axes": 0}),
    "drop_path": ((0.3,), {}),
    "locked_dropout": ((0.3,), {"time_axis": 1}),
}


@st.composite
def chunks(draw):
    """How an array of SHAPE is cut, evenly or not."""
    cut = []
    for n in SHAPE:
        places = sorted(draw(st.sets(st.integers(1, n - 1), max_size=4)))
        cut.append(tuple(np.diff([0, *places, n]).tolist()))
    return tuple(cut)


@given(st.sampled_from(list(FUNCTIONS)), chunks(), chunks())
def test_bits_are_those_of_the_whole_array(name, cut, cut_of_dy):
    args, named = FUNCTIONS[name]
    function = name.split()[0]
    x = whole()
    y, context = getattr(sda, function)(da.from_array(x, cut), *args, rng=sd.Stream(1), **named)
    expected, other = getattr(sd, function)(x, *args, rng=sd.Stream(1), **named)
    assert y.chunks == cut and y.dtype == x.dtype
    np.testing.assert_array_equal(y.compute(scheduler="sync"), expected)
    dx = sda.backward(da.from_array(x, cut_of_dy), context)
    np.testing.assert_array_equal(dx.compute(scheduler="sync"), other.backward(x))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.complex64])
def test_types(dtype):
    x = whole(dtype=dtype)
    y, mask = sda.dropout(da.from_array(x, 17), 0.5, rng=0)
    np.testing.assert_array_equal(y.compute(scheduler="sync"), mask.apply(x))
    y, mask = sda.dropout(da.arange(100, chunks=7), 0.5, rng=0, scale=False)
    np.testing.assert_array_equal(y.compute(scheduler="sync"), mask.apply(np.arange(100)))


def test_nothing_is_computed_before_the_result():
    def fail(block):
        raise AssertionError

    x = da.ones((6, 6), chunks=2).map_blocks(fail, dtype=float, meta=np.empty((0, 0)))
    stream = sd.Stream(0)
    sda.dropout(x, rng=stream)
    assert stream.draw == 1


def test_chunks_compute_their_window_alone(monkeypatch):
    x = da.ones((1000, 1000), chunks=100)
    y, mask = sda.dropout(x, rng=0)
    part = y[250:260, 730:740].compute(scheduler="sync")
    np.testing.assert_array_equal(part, mask.window((250, 730), (10, 10)).apply(np.ones((10, 10))))
    assert len(y[250:260, 730:740].__dask_graph__().cull(y[250:260, 730:740].__dask_keys__())) < 20


def test_tokens_are_deterministic(run_python):
    code = """
import dask.array as da, simdrop as sd, simdrop.dask
x = da.ones((6, 6), chunks=2)
print(simdrop.dask.dropout(x, 0.3, rng=5)[0].name)
"""
    x = da.ones((6, 6), chunks=2)
    name = sda.dropout(x, 0.3, rng=5)[0].name
    assert run_python(code).stdout == f"{name}\n"
    others = [
        sda.dropout(x, 0.3, rng=6)[0],
        sda.dropout(x, 0.4, rng=5)[0],
        sda.dropout(x + 1, 0.3, rng=5)[0],
        sda.dropout(x, 0.3, rng=5, scale=False)[0],
        sda.backward(x, sda.dropout(x, 0.3, rng=5)[1]),
    ]
    assert len({name, *(other.name for other in others)}) == 6


def test_tokens_of_draws():
    mask = sd.Mask(bytes(16), 0, 0.5, (8, 8))
    draws = [
        mask,
        mask.window((1, 1), (4, 4)),
        sd.Mask(bytes(16), 1, 0.5, (8, 8)),
        sd.Mask(bytes(16), 0, np.full((8, 8), 0.5), (8, 8)),
        sd.AlphaDropoutContext(bytes(16), 0, 0.5, (8, 8)),
        sd.GaussianDropoutContext(bytes(16), 0, 0.5, (8, 8)),
    ]
    assert len({tokenize(draw) for draw in draws}) == len(draws)
    assert all(tokenize(pickle.loads(pickle.dumps(draw))) == tokenize(draw) for draw in draws)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones(3), TypeError, "must be a dask.array.Array, not ndarray"),
        (da.ones(9, chunks=3)[da.ones(9, chunks=3) > 0], ValueError, "compute_chunk_sizes"),
        (da.ones(9, chunks=3, dtype=int), TypeError, "scale=False"),
    ],
)
def test_wrong_arrays_take_no_draw(x, error, message):
    stream = sd.Stream(0)
    with pytest.raises(error, match=message):
        sda.dropout(x, rng=stream)
    assert stream.draw == 0


def test_other_errors():
    x = da.ones((4, 4), chunks=2)
    with pytest.raises(ValueError, match="p = 2"):
        sda.dropout(x, 2)
    with pytest.raises(ValueError, match=r"shape \(4, 4\), but must have \(4, 5\)"):
        sda.apply(x, sd.Stream(0).mask((4, 5)))
    with pytest.raises(ValueError, match="no axes"):
        sda.drop_path(da.ones(()), 0.5)


ELEMENTWISE = ("alpha_dropout", "gaussian_dropout", "gaussian_noise")


@pytest.mark.parametrize("name", ["dropout", *ELEMENTWISE])
def test_what_raises_takes_no_draw(name):
    function, stream = getattr(sda, name), sd.Stream(0)
    x = da.ones((4, 4), chunks=2)
    with pytest.raises(ValueError):
        function(x, -1, rng=stream)
    with pytest.raises(ValueError):
        function(x, 0.5, rng=stream, shared_axes=5)
    with pytest.raises(TypeError):
        function(da.ones(4, chunks=2, dtype="S3"), 0.5, rng=stream)
    with pytest.raises(TypeError):
        function(np.ones(4), 0.5, rng=stream)
    assert stream.draw == 0


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_evaluation(name):
    stream, x = sd.Stream(0), da.random.random((4, 4), chunks=2)
    y, context = getattr(sda, name)(x, 0.5, rng=stream, training=False)
    assert stream.draw == 0
    np.testing.assert_array_equal(*dask.compute(y, x, scheduler="sync"))
    np.testing.assert_array_equal(*dask.compute(sda.backward(x, context), x, scheduler="sync"))


def test_the_page_and_the_examples():
    page = pathlib.Path(__file__).parents[2] / "docs/how-to/dask.md"
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(block, names)
    window = sd.Stream(0).mask((100_000, 2_000), 0.25).window((0, 0), (200, 2_000))
    assert names["total"] == pytest.approx(np.count_nonzero(window.keep()) * 32 / 9, rel=1e-5)
    assert all(f"`{name}" in page.read_text() for name in sda.__all__)
    found = doctest.testmod(sda)
    assert found.attempted and not found.failed


# --- Schedulers ---


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.unsanitized  # processes begin without the sanitizers' library
def test_schedulers(scheduler):
    x = whole((200, 300))
    y, mask = sda.dropout(da.from_array(x, (30, 70)), 0.5, rng=0)
    with dask.config.set({"multiprocessing.context": "spawn"}):
        found = y.compute(scheduler=scheduler, num_workers=2)
    np.testing.assert_array_equal(found, mask.apply(x))


@pytest.fixture
def cluster():
    """Two workers, each a process that is started anew if it dies."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=LIMIT
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


LIMIT = 400 * 2**20


def dies_once(block, flag, block_info=None):
    """In one chunk, the first time, the worker is killed."""
    path = pathlib.Path(flag)
    if block_info[0]["chunk-location"] == (2, 1) and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.unsanitized
@pytest.mark.filterwarnings("ignore")  # what distributed says of the worker that dies
def test_a_worker_that_dies_changes_nothing(cluster, tmp_path):
    x = whole((200, 300))
    y, mask = sda.dropout(da.from_array(x, (30, 70)), 0.5, rng=0)
    flag = tmp_path / "died"
    found = y.map_blocks(dies_once, flag=str(flag), dtype=y.dtype).compute()
    assert flag.exists()
    np.testing.assert_array_equal(found, mask.apply(x))


def peak_memory():
    """Of this process, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.unsanitized
@pytest.mark.filterwarnings("ignore")  # what distributed says of times
def test_an_array_ten_times_the_memory(cluster):
    """Forward and backward, reduced: each worker holds a few chunks of 16 MB."""
    x = da.ones((10 * LIMIT // 4 // 2**12, 2**12), dtype=np.float32, chunks=(2**10, 2**12))
    assert x.nbytes == 10 * LIMIT
    before = max(cluster.run(peak_memory).values())
    y, mask = sda.dropout(x, 0.25, rng=0)
    dx = sda.backward(y, mask)
    kept, total = dask.compute((y != 0).sum(), dx.sum(dtype=np.float64))
    assert total == pytest.approx(kept * 16 / 9, rel=1e-6)
    assert abs(kept / x.size - 0.75) < 1e-4
    assert max(cluster.run(peak_memory).values()) - before < 12 * 2**24
