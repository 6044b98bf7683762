"""The unfused contender computes what simdrop.fused does."""

from __future__ import annotations

import numpy as np
import pytest

from simdrop import Stream, fused

from . import cases
from .arrays import Arrays
from .unfused import Unfused


@pytest.mark.parametrize("group", list(cases.fused()), ids=str)
def test_is_fused(group: cases.Group) -> None:
    arrays = Arrays(0, group.shape, group.dtype, group.layout)
    unfused = Unfused(group.work, group.activation, arrays, group.p)
    x, dy = 2 * arrays.x, arrays.dy
    more = {"bias_dropout": [unfused.bias], "dropout_add": [unfused.residual], "relu_dropout": []}
    keywords = {"activation": group.activation} if group.activation else {}
    rng = Stream(0)
    for _ in range(2):
        y, ctx = getattr(fused, group.work)(x, *more[group.work], group.p, rng=rng, **keywords)
        gradients = ctx.backward(dy)
        unfused.forward(x, arrays.y)
        unfused.backward(dy, arrays.dx)
        dx = gradients if group.work == "relu_dropout" else gradients[0]
        np.testing.assert_allclose(arrays.y, y, rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(arrays.dx, dx, rtol=1e-5, atol=2e-6)
        if group.work == "bias_dropout":
            np.testing.assert_allclose(unfused.dbias, gradients[1], rtol=1e-4, atol=1e-4)
