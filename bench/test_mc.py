"""The plain NumPy passes compute what simdrop does."""

from __future__ import annotations

import numpy as np
import pytest

from simdrop import Stream

from . import mc


@pytest.mark.parametrize("work", mc.WORKS)
def test_is_monte_carlo_dropout(work: str) -> None:
    shape = 3, 40
    ours, plain, stream = mc.Ours(work, shape), mc.Plain(work, shape), Stream(0)

    def keep(shape: tuple[int, ...], p: float) -> np.ndarray:
        if not mc.WORKS[work].p_input and stream.draw % 3 == 0:
            stream.mask(1)  # simdrop takes a draw for the inputs even at p = 0
        return stream.mask(shape, p).keep()

    plain.keep = keep  # type: ignore[method-assign]
    for found, expected in zip(ours.run(), plain.run(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
