"""The plain NumPy transforms compute what simdrop does."""

from __future__ import annotations

import numpy as np
import pytest

from simdrop import Stream

from . import cases
from .arrays import Arrays
from .structured import Ours, Plain


@pytest.mark.parametrize("group", list(cases.structured()), ids=str)
def test_is_structured(group: cases.Group) -> None:
    arrays = Arrays(0, group.shape, group.dtype, group.layout)
    plain, stream = Plain(group.work, arrays.x, group.p), Stream(0)
    plain.draw = lambda shape, p: stream.mask(shape, p).keep()  # type: ignore[method-assign]
    expected, ours = plain.run(arrays.x, arrays.dy), Ours(group.work, arrays.x, group.p)
    y, gradients = ours.run(arrays.x, arrays.dy)
    np.testing.assert_allclose(y, expected[0], rtol=1e-4, atol=1e-4)
    pair = isinstance(gradients, tuple)
    for found, one in zip(
        gradients if pair else [gradients], expected[1] if pair else [expected[1]], strict=True
    ):
        np.testing.assert_allclose(found, one, rtol=1e-4, atol=1e-3)
