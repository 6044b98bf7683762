"""A mask to apply, each way to apply it, and what the oracle makes of it."""

import functools

import oracle
from hypothesis import strategies as st

import simdrop as sd

KEY = bytes(range(100, 116))
DRAW = 2**33 + 1
LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 10007]
FORMS = {
    "apply": lambda mask, x, **out: mask.apply(x, **out),
    "backward": lambda mask, x, **out: mask.backward(x, **out),
    "dropout_backward": lambda mask, x, **out: sd.dropout_backward(x, mask, **out),
}
probabilities = st.sampled_from([0, 0.5, 0.3, 1 / 3, 1])


def make_mask(shape, p=0.3, **more):
    return sd.Mask(KEY, DRAW, p, shape, **more)


def expect(x, p=0.3, shared_axes=(), scale=True):
    return oracle.apply(x, KEY, DRAW, p, shared_axes, scale)


@functools.cache
def large_keep(p):
    """The oracle's decisions for large arrays; computed once, as the oracle is slow."""
    return oracle.keep(KEY, DRAW, p, (10_000_019,))
