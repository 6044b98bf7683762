"""nn.ActivityL1."""

import numpy as np
import pytest

from simdrop import nn


def test_the_penalty_on_activities_is_the_gradient_of_their_sum():
    rng = np.random.default_rng(0)
    layer = nn.ActivityL1(0.3)
    x = rng.normal(size=(5, 4))
    assert layer(x) is x
    dx = layer.backward(np.zeros_like(x))
    np.testing.assert_allclose(dx, 0.3 * np.sign(x) / 5)
    np.testing.assert_allclose(layer.backward(x), x + dx)
    layer.eval()(x)
    assert layer.backward(x) is x
    assert layer(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="strength must be at least 0 and finite, got nan"):
        nn.ActivityL1(float("nan"))
    with pytest.raises(ValueError, match="strength must be at least 0 and finite, got -1"):
        nn.MLP((3, 4, 2), activity_l1=-1)


def test_the_penalty_makes_activities_small():
    def activity(strength):
        net = nn.MLP((4, 20, 3), p=0, p_input=0, activity_l1=strength, rng=0)
        optimizer = nn.SGD(net.parameters(), 0.1)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50)
        for _ in range(100):
            net.train_step(x, y, optimizer)
        return np.abs(net.layers[1](x)).mean()

    assert activity(0.1) < 0.5 * activity(0.0)
