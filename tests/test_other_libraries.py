"""Arrays of other libraries: read in place, written in place, and given back as their own kind."""

import inspect

import array_api_strict as strict
import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop import fused


class OnlyDLPack:
    """An array that shares its memory by DLPack alone, as a library without NumPy does."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


class OnlyArray:
    """An array that NumPy can convert, and no more."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype, copy=copy)


X = np.random.default_rng(0).standard_normal((6, 8))
MASK = sd.Stream(5).mask(X.shape, 0.4)
BITS = MASK.packbits()
STORED = sd.StoredMask(BITS, 0.4, X.shape)
W = np.random.default_rng(1).standard_normal((8, 3))


def context(function, *args, **named):
    return function(*args, rng=1, **named)[1]


# Each as a function of x and out alone; the first result is y.
FORWARD = {
    "dropout": lambda x, **out: sd.dropout(x, 0.4, rng=1, **out)[0],
    "dropout, p of each row": lambda x, **out: sd.dropout(
        x, np.linspace(0, 1, 6)[:, None], rng=1, **out
    )[0],
    "dropout of channels": lambda x, **out: sd.dropout(x, 0.4, rng=1, shared_axes=0, **out)[0],
    "dropout in evaluation": lambda x, **out: sd.dropout(x, training=False, **out)[0],
    "dropout_backward": lambda x, **out: sd.dropout_backward(x, MASK, **out),
    "Mask.apply": MASK.apply,
    "StoredMask.apply": STORED.apply,
    "apply_packed": lambda x, **out: sd.apply_packed(x, BITS, 0.4, **out),
    "alpha_dropout": lambda x, **out: sd.alpha_dropout(x, 0.4, rng=1, **out)[0],
    "alpha_dropout of channels": lambda x, **out: sd.alpha_dropout(
        x, 0.4, rng=1, shared_axes=0, **out
    )[0],
    "alpha_dropout in evaluation": lambda x, **out: sd.alpha_dropout(x, training=False, **out)[0],
    "AlphaDropoutContext.apply": context(sd.alpha_dropout, X, 0.4).apply,
    "AlphaDropoutContext.backward": context(sd.alpha_dropout, X, 0.4).backward,
    "gaussian_dropout": lambda x, **out: sd.gaussian_dropout(x, 0.4, rng=1, **out)[0],
    "gaussian_noise": lambda x, **out: sd.gaussian_noise(x, 0.4, rng=1, **out)[0],
    "gaussian_noise in evaluation": lambda x, **out: sd.gaussian_noise(
        x, 0.4, training=False, **out
    )[0],
    "GaussianDropoutContext.apply": context(sd.gaussian_dropout, X, 0.4).apply,
    "GaussianNoiseContext.backward": context(sd.gaussian_noise, X, 0.4).backward,
    "drop_path": lambda x, **out: sd.drop_path(x, 0.4, rng=1, **out)[0],
    "locked_dropout": lambda x, **out: sd.locked_dropout(x, 0.4, rng=1, **out)[0],
    "drop_connect": lambda x, **out: sd.drop_connect(x, 0.4, rng=1, **out)[0],
    "drop_block": lambda x, **out: sd.drop_block(x, 0.2, 2, rng=1, **out)[0],
    "drop_block in evaluation": lambda x, **out: sd.drop_block(x, 0.2, 2, training=False, **out)[0],
    "DropBlockContext.apply": context(sd.drop_block, X, 0.2, 2).apply,
    "embedding_dropout": lambda x, **out: sd.embedding_dropout(x, 0.4, rng=1, **out)[0],
    "embedding_dropout of indices": lambda x, **out: sd.embedding_dropout(
        x, 0.4, indices=[5, 4, 3, 2, 1, 0], rng=1, **out
    )[0],
    "EmbeddingDropoutContext.backward": context(
        sd.embedding_dropout, X, 0.4, indices=[5, 4, 3, 3, 1, 0]
    ).backward,
    "drop_connect_matmul": lambda x, **out: sd.drop_connect_matmul(x, W, 0.4, rng=1, **out)[0],
    "zoneout": lambda x, **out: sd.zoneout(X, x, 0.4, rng=1, **out)[0],
    "bias_dropout": lambda x, **out: fused.bias_dropout(x, X[0], 0.4, rng=1, **out)[0],
    "bias_dropout with gelu": lambda x, **out: fused.bias_dropout(
        x, X[0], 0.4, activation="gelu", rng=1, **out
    )[0],
    "dropout_add": lambda x, **out: fused.dropout_add(x, X, 0.4, rng=1, **out)[0],
    "relu_dropout": lambda x, **out: fused.relu_dropout(x, 0.4, rng=1, **out)[0],
    "ReluDropoutContext.backward": context(fused.relu_dropout, X, 0.4).backward,
}
# Gradients of two arguments: of dy and the pair `out`.
PAIRS = {
    "BiasDropoutContext.backward": context(fused.bias_dropout, X, X[0], 0.4).backward,
    "DropoutAddContext.backward": context(fused.dropout_add, X, X, 0.4).backward,
    "ZoneoutContext.backward": context(sd.zoneout, X, X, 0.4).backward,
    "DropConnectMatmulContext.backward": context(sd.drop_connect_matmul, W, W.T, 0.4).backward,
}


@pytest.mark.parametrize("name", FORWARD)
def test_results_are_of_the_library_of_x(name):
    function = FORWARD[name]
    expected = function(X)
    assert type(expected) is np.ndarray
    y = function(strict.asarray(X))
    assert isinstance(y, type(strict.asarray(X)))
    np.testing.assert_array_equal(np.asarray(y), expected)
    for kind in (OnlyArray, OnlyDLPack):
        y = function(kind(X))
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", FORWARD)
def test_results_go_to_arrays_of_other_libraries(name):
    function = FORWARD[name]
    expected = function(X)
    for kind in (strict.asarray, OnlyDLPack):
        memory = np.full_like(expected, np.nan)
        out = kind(memory) if kind is OnlyDLPack else strict.from_dlpack(memory)
        assert function(X, out=out) is out
        np.testing.assert_array_equal(memory, expected)


def test_x_and_out_may_be_one_array_of_another_library():
    names = "dropout", "alpha_dropout", "relu_dropout", "bias_dropout with gelu", "drop_block"
    for name in names:
        x = X.copy()
        FORWARD[name](strict.from_dlpack(x), out=OnlyDLPack(x))
        np.testing.assert_array_equal(x, FORWARD[name](X))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_gradients(name):
    function = PAIRS[name]
    dy = X if "Matmul" not in name else np.random.default_rng(2).standard_normal((8, 8))
    expected = function(dy)
    given = function(strict.asarray(dy))
    for one, other in zip(given, expected, strict=True):
        assert isinstance(one, type(strict.asarray(dy)))
        np.testing.assert_array_equal(np.asarray(one), other)
    memory = [np.full_like(one, np.nan) for one in expected]
    out = OnlyDLPack(memory[0]), strict.from_dlpack(memory[1])
    results = function(dy, out=out)
    assert results[0] is out[0] and results[1] is out[1]
    for one, other in zip(memory, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_public_function_of_arrays_is_tried():
    takes_out = {
        name
        for module in (sd, fused)
        for name in module.__all__
        if inspect.isroutine(getattr(module, name))
        and "out" in inspect.signature(getattr(module, name)).parameters
    }
    assert takes_out <= {name.split()[0].rstrip(",") for name in FORWARD}


def test_evaluation_returns_what_was_given():
    x = strict.asarray(X)
    assert sd.dropout(x, training=False)[0] is x
    assert sd.alpha_dropout(x, 0)[0] is x
    assert sd.drop_block(x, 0, 2)[0] is x
    assert sd.drop_path(x, 0)[0] is x
    scalar = sd.dropout(np.float64(2), 0)[0]
    assert type(scalar) is np.ndarray and scalar == 2


def test_no_draw_is_taken_for_an_array_that_cannot_be_used():
    stream = sd.Stream(0)
    with pytest.raises(ValueError, match="is on a device of DLPack's type 2, but simdrop computes"):
        sd.dropout(OnlyDLPack(X, (2, 0)), rng=stream)
    with pytest.raises(ValueError, match="^out is on a device of DLPack's type 2"):
        sd.dropout(X, rng=stream, out=OnlyDLPack(X.copy(), (2, 0)))
    frozen = X.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        sd.dropout(X, rng=stream, out=OnlyDLPack(frozen))
    with pytest.raises(TypeError, match="out is of float32, but the result is of float64"):
        sd.dropout(X, rng=stream, out=OnlyDLPack(X.astype(np.float32)))
    for out in ([0.0], OnlyArray(X)):
        with pytest.raises(TypeError, match="out must be an array of NumPy, or of a library that"):
            sd.dropout(X, rng=stream, out=out)
    assert stream.draw == 0


def test_what_numpy_cannot_read_is_a_type_error():
    class Fails(OnlyDLPack):
        def __dlpack__(self, **options):
            raise BufferError("a type without a name")

    with pytest.raises(TypeError, match="Fails, cannot be used by NumPy: a type without a name"):
        sd.dropout(Fails(X))


def test_memory_is_shared_and_not_copied():
    x = np.ones(1000)
    y, mask = sd.dropout(OnlyDLPack(x), training=False)
    assert np.shares_memory(x, y)
    key = oracle.key_from_seed(7)
    y = sd.dropout(strict.asarray(x), 0.25, rng=7)[0]
    np.testing.assert_array_equal(np.asarray(y) != 0, oracle.keep(key, 0, 0.25, (1000,)))
