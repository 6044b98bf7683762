"""What went wrong in the dropout of other libraries, each as a test of what should have been (PT is
PyTorch)."""

import os
import pickle

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop import fused

ONES = np.ones(100_000, np.float32)


def sigmas(count, n, p):
    """How far a count of drops is from its mean, in standard deviations."""
    return abs(count - n * p) / (n * p * (1 - p)) ** 0.5


# --- The probability ---


def test_p_0_still_dropped(instruction_set):
    """PT 151717, 15356, 26807: `<=` for `<`, 3 to 11 drops in 1e8. Here an element whose uniform
    begins with zeros is kept, too."""
    key, draw = oracle.key_from_seed(0), 0
    lowest = int(oracle.uniforms(key, draw, 0, 400_000).argmin())
    for p in (0, -0.0, np.zeros(1), np.zeros(400_000)):
        kept = sd.Mask(key, draw, p, (400_000,)).keep()
        assert kept[lowest] and kept.all()


def test_a_uniform_equal_to_p_was_dropped(instruction_set):
    """PT 15356: `<=` for `<`. p that is an element's uniform, digit for digit, keeps it."""
    key = oracle.key_from_seed(0)
    uniforms = oracle.uniforms(key, 0, 0, 100_000)
    elements = np.flatnonzero(uniforms % np.uint64(2**11) == 0)[:20]  # which a float64 can hold
    assert len(elements)
    for element in elements:
        p = int(uniforms[element]) / 2**64
        for form in (p, np.full(100_000, p)):
            assert sd.Mask(key, 0, form, (100_000,)).keep()[element]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_the_types_uniform_biased_the_rate(name):
    """boltz PR 554: a bfloat16 uniform has 256 values. Here the mask does not know the type."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = ml_dtypes.bfloat16 if name == "bfloat16" else name
    n, p = 4_000_000, 0.001
    y, mask = sd.dropout(np.ones(n, dtype), p, rng=1)
    assert sigmas(int((y == 0).sum()), n, p) < 5
    assert mask == sd.dropout(np.ones(n), p, rng=1)[1]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, bool])
def test_p_cast_to_an_integer_was_0(dtype):
    """torch7 PR 43: the tensor's type was p's, too."""
    x = np.ones(100_000, dtype)
    for p in (0.3, np.full((1,), 0.3)):
        y, _ = sd.dropout(x, p, rng=0, scale=False)
        assert sigmas(int((y == 0).sum()), 100_000, 0.3) < 5
        with pytest.raises(TypeError, match="scale=False"):
            sd.dropout(x, p, rng=0)


@pytest.mark.parametrize("p", [1e-8, 1e-12, 3 * 2.0**-60])
def test_small_p_was_inaccurate(instruction_set, p):
    """JAX below 1e-7, TensorFlow in steps of 2^-23. Here in steps of 2^-64: at the lowest uniform
    of a few million, one step of p decides."""
    key = oracle.key_from_seed(2)
    uniforms = oracle.uniforms(key, 0, 0, 1_000_000)
    element = int(uniforms.argmin())
    at = int(uniforms[element])
    below = float(at >> 20 << 20) / 2**64
    above = float((at >> 20) + 1 << 20) / 2**64
    for form in (lambda p: p, lambda p: np.full(1, p)):
        assert sd.Mask(key, 0, form(below), (1_000_000,)).keep().all()
        assert np.flatnonzero(~sd.Mask(key, 0, form(above), (1_000_000,)).keep()).tolist() == [
            element
        ]
        expected = int((uniforms < np.uint64(round(p * 2**64))).sum())
        assert (~sd.Mask(key, 0, form(p), (1_000_000,)).keep()).sum() == expected


def test_p_1_was_refused_or_gave_nan():
    """flax PR 2055, PT 107942."""
    x = np.array([1, -1, 0, np.nan, np.inf, -np.inf, 1e308])
    for p in (1, 1.0, np.ones(1), np.ones(7)):
        y, mask = sd.dropout(x, p, rng=0)
        dx = sd.dropout_backward(x, mask)
        for result in (y, dx):
            assert not result.any() and not np.signbit(result).any()
    y, _ = fused.dropout_add(x, np.zeros(7), 1, rng=0)
    assert not y.any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e308])
def test_inf_times_0_was_nan(value):
    """PT 59421."""
    x = np.full(1000, value)
    y, mask = sd.dropout(x, 0.5, rng=0)
    for result in (y, mask.backward(x), sd.apply_packed(x, mask.packbits())):
        dropped = result[~mask.keep()]
        assert (dropped == 0).all() and not np.signbit(dropped).any()
    each, mask = sd.dropout(x, np.full(1000, 0.5), rng=0)
    assert (each[~mask.keep()] == 0).all()


# --- Offsets and seeds ---


@pytest.mark.parametrize("boundary", [2**31, 2**32, 2**36, 2**40])
def test_offsets_wrapped_at_32_bits(instruction_set, boundary):
    """FlagGems PR 23. Elements across the boundary, and none of them a repetition of the first."""
    mask = sd.Mask(bytes(16), 0, 0.5, (2**42,))
    bits = mask.window(boundary - 1000, 2000).packbits()
    np.testing.assert_array_equal(
        mask.window(boundary - 1000, 2000).keep(),
        ~oracle.dropped(bytes(16), 0, 0.5, boundary - 1000, boundary + 1000),
    )
    assert bits[125:].tobytes() != mask.window(0, 1000).packbits().tobytes()


def test_the_offset_was_undercounted():
    """PT 50110: the end of one call's numbers was the next one's beginning."""
    stream = sd.Stream(0)
    kept = [stream.mask((n,)).keep() for n in (1, 15, 16, 17, 4097, 100_000, 100_000)]
    for one, other in zip(kept[:-1], kept[1:], strict=True):
        n = min(len(one), len(other), 4000)
        if n > 64:
            for shift in (0, 1, 16, 64, 100):
                for start in (0, len(one) - n):
                    a, b = one[start:][: n - shift], other[shift:n]
                    assert abs(np.mean(a == b) - 0.5) < 5 * 0.5 / len(a) ** 0.5


def test_every_call_had_the_same_mask():
    """Paddle 7796."""
    stream = sd.Stream(0)
    masks = [stream.mask(4096).packbits().tobytes() for _ in range(200)]
    masks += [sd.dropout(np.ones(4096))[1].packbits().tobytes() for _ in range(200)]
    assert len(set(masks)) == 400


def test_there_were_4096_seeds():
    """mxnet PR 9366."""
    assert len({sd.Stream(seed).mask(128).packbits().tobytes() for seed in range(10_000)}) == 10_000


def test_the_seed_was_an_address_or_a_thread(run_python):
    """ngraph PR 3006, mxnet PR 4107, xformers 173: what is alike in two runs is no seed."""
    script = "import simdrop as sd; print(sd.Stream().key.hex(), sd.dropout([1.0])[1].key.hex())"
    runs = [run_python(script) for _ in range(3)]
    assert all(run.returncode == 0 for run in runs), runs[0].stderr
    assert len({key for run in runs for key in run.stdout.split()}) == 6


def test_every_rank_had_the_same_mask():
    """transformers 31412, accelerate 114: one seed everywhere. Here each has a spawned stream."""
    ranks = sd.Stream(0).spawn(64)
    assert len({rank.mask(256).packbits().tobytes() for rank in ranks}) == 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_every_forked_worker_had_the_same_mask():
    """PT 3880."""
    stream = sd.Stream(0)
    masks = [stream.mask(256).packbits().tobytes()]
    for _ in range(4):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, stream.mask(256).packbits().tobytes())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            masks.append(pipe.read())
        os.waitpid(child, 0)
    masks.append(stream.mask(256).packbits().tobytes())
    assert len(set(masks)) == 6 and {len(mask) for mask in masks} == {32}


# --- Backward ---


def test_the_returned_mask_was_not_the_one_applied():
    """mxnet 15659."""
    for p in (0.1, 0.5, np.linspace(0, 1, len(ONES))):
        y, mask = sd.dropout(ONES, p, rng=np.random.default_rng(0))
        np.testing.assert_array_equal(y != 0, mask.keep())


def test_backward_read_the_mask_off_the_values():
    """dfdx 110, kaldi 3890: an element that was 0 before counted as dropped."""
    x = np.zeros(1000)
    dy = np.ones(1000)
    for p in (0.5, np.full(1, 0.5)):
        _, mask = sd.dropout(x, p, rng=0)
        dx = sd.dropout_backward(dy, mask)
        np.testing.assert_array_equal(dx, np.where(mask.keep(), 2.0, 0.0))
    y, context = fused.dropout_add(x, dy, 0.5, rng=0)
    dx, _ = context.backward(dy)
    np.testing.assert_array_equal(dx, np.where(context.mask.keep(), 2.0, 0.0))


def test_recomputation_drew_a_fresh_mask():
    """OLMo-core PR 828: checkpointing computes forward twice."""
    stream = sd.Stream(0)
    y, mask = sd.dropout(ONES, rng=stream)
    sd.dropout(ONES, rng=stream)
    for again in (mask, pickle.loads(pickle.dumps(mask))):
        np.testing.assert_array_equal(again.apply(ONES), y)
    state = stream.state
    first = sd.dropout(ONES, rng=stream)[0]
    stream.state = state
    np.testing.assert_array_equal(sd.dropout(ONES, rng=stream)[0], first)


def test_in_place_dropout_broke_the_step_before():
    """torchvision 7174: what the step before it needs for its gradient was overwritten. Here only
    where `out` says so."""
    x = ONES.copy()
    for p in (0.5, np.full(1, 0.5)):
        y, mask = sd.dropout(x, p, rng=0)
        mask.backward(x)
        assert (x == 1).all() and not np.shares_memory(x, y)
    y, _ = sd.dropout(x, 0.5, rng=0, out=x)
    assert y is x and (x == 0).any()


# --- Shared axes ---


def test_locked_dropout_shared_the_wrong_axis():
    """PyTorch-NLP 71: of (T, B, F), each sequence has its own mask and keeps it at all times."""
    shape = (7, 32, 64)
    for p in (0.5, np.full((1, 32, 1), 0.5)):
        kept = sd.Stream(0).mask(shape, p, shared_axes=0).keep()
        assert (kept == kept[:1]).all()
        assert len({kept[0, b].tobytes() for b in range(32)}) == 32
        window = sd.Stream(0).mask(shape, p, shared_axes=0).window((3, 4, 5), (4, 8, 16))
        np.testing.assert_array_equal(window.keep(), kept[3:7, 4:12, 5:21])
