"""p over the steps of training: the formulas, their ends, what is refused."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simdrop import schedule

probability = st.floats(0, 1)


@given(probability, probability, st.integers(1, 10**6), st.integers(0, 2 * 10**6))
def test_linear_and_cosine(start, end, steps, step):
    done = min(step / steps, 1)
    for make, left in (
        (schedule.linear, 1 - done),
        (schedule.cosine, (1 + math.cos(math.pi * done)) / 2),
    ):
        p = make(start, end, steps)
        assert p(step) == pytest.approx(end + (start - end) * left, abs=1e-15)
        assert p(0) == start and p(steps) == p(3 * steps) == end
        assert 0 <= p(step) <= 1


@given(probability, st.floats(1e-6, 10), st.integers(0, 10**6))
def test_curriculum(p_max, gamma, step):
    p = schedule.curriculum(p_max, gamma)
    assert p(step) == pytest.approx(p_max * (1 - math.exp(-gamma * step)), abs=1e-15)
    assert p(0) == 0 and 0 <= p(step) <= p(step + 1) <= p_max


def test_schedules_are_values():
    p = schedule.linear(0, 0.5, 10)
    assert p == schedule.linear(0.0, end=0.5, steps=10) != schedule.cosine(0, 0.5, 10)
    assert hash(p) == hash(pickle.loads(pickle.dumps(p))) and copy.copy(p) == p
    assert repr(schedule.curriculum(0.5, 0.1)) == "curriculum(p_max=0.5, gamma=0.1)"
    with pytest.raises(AttributeError, match="cannot be changed"):
        p.end = 1


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_probabilities_are_checked(bad):
    for make in (schedule.linear, schedule.cosine):
        for name, ends in (("start", (bad, 0)), ("end", (0, bad))):
            with pytest.raises(ValueError, match=rf"^{name}: p = {bad}, .* must be in \[0, 1\]"):
                make(*ends, 10)
    with pytest.raises(ValueError, match=f"^p_max: p = {bad}, .* must be in"):
        schedule.curriculum(bad, 1)
    with pytest.raises(TypeError, match="^p_max: p, the probability of dropping, must be a number"):
        schedule.curriculum("0.5", 1)


@pytest.mark.parametrize("bad", [0, -1, np.nan, math.inf])
def test_times_are_checked(bad):
    for make in (schedule.linear, schedule.cosine):
        with pytest.raises(ValueError, match="must be positive and finite"):
            make(0, 0.5, bad)
    with pytest.raises(ValueError, match="must be positive and finite"):
        schedule.curriculum(0.5, bad)
