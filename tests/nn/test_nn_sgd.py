"""SGD against plain formulas: momentum, Nesterov's form, penalties, max-norm; what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import batch_for, trained, weights

from simdrop import nn


def parameters_with_gradients(seed=0):
    """A weight of several blocks and a rest, a wide one, and a bias."""
    rng = np.random.default_rng(seed)
    shapes = {(301, 1000): "weight", (2, 70_000): "weight", (1000,): "bias"}
    parameters = [nn.Parameter(rng.normal(size=shape), kind) for shape, kind in shapes.items()]
    for parameter in parameters:
        parameter.grad[:] = rng.normal(size=parameter.value.shape)
    return parameters, rng


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("l2", [0, 0.1])
def test_momentum_and_l2_against_the_formula(momentum, l2):
    parameters, rng = parameters_with_gradients()
    optimizer = nn.SGD(iter(parameters), 0.3, momentum=momentum, l2=l2)
    arrays = [p.value for p in parameters]
    values = [value.copy() for value in arrays]
    velocities = [0 * value for value in values]
    for lr in (0.3, 0.2, 0.1):
        optimizer.lr = lr
        for i, p in enumerate(parameters):
            p.grad[:] = rng.normal(size=p.grad.shape)
            decay = l2 if p.kind == "weight" else 0
            velocities[i] = momentum * velocities[i] - lr * (p.grad + decay * values[i])
            values[i] = values[i] + velocities[i]
        gradients = [p.grad.copy() for p in parameters]
        optimizer.step()
        assert all(p.value is array for p, array in zip(parameters, arrays, strict=True))
        for p, value, gradient in zip(parameters, values, gradients, strict=True):
            assert np.allclose(p.value, value, rtol=1e-12, atol=1e-12)
            assert np.array_equal(p.grad, gradient)


def test_a_numpy_learning_rate_computes_in_the_dtype_of_the_parameters():
    nets = [trained(0, steps=0)[0] for _ in range(2)]
    for net, lr in zip(nets, (0.1, np.float64(0.1)), strict=True):
        optimizer = nn.SGD(net.parameters(), 1, l2=0.3)
        optimizer.lr = lr
        net.train_step(*batch_for("cross_entropy"), optimizer)
    assert weights(nets[0]) == weights(nets[1])


def test_nesterov_looks_ahead():
    """Against the original form, which evaluates the gradient at w + momentum v, on a quadratic."""
    curvature = np.linspace(0.1, 3, 12).reshape(3, 4)
    lr, momentum, l2 = 0.2, 0.8, 0.05
    parameter = nn.Parameter(np.ones((3, 4)), "weight")
    optimizer = nn.SGD([parameter], lr, momentum=momentum, nesterov=True, l2=l2)
    w, v = np.ones((3, 4)), np.zeros((3, 4))
    for _ in range(10):
        ahead = w + momentum * v
        assert np.allclose(parameter.value, ahead, rtol=1e-12)
        v = momentum * v - lr * (curvature * ahead + l2 * ahead)
        w = w + v
        parameter.grad[:] = curvature * parameter.value
        optimizer.step()
    assert np.allclose(parameter.value, w + momentum * v, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_norm_bounds_columns_and_leaves_smaller_ones_alone(dtype):
    rng = np.random.default_rng(0)
    norms = np.array([0, 1e-30, 0.5, 1.4999, 1.5001, 2, 1e5])
    weight = rng.normal(size=(400, 7))
    weight = (weight * norms / np.linalg.norm(weight, axis=0)).astype(dtype)
    parameters = [nn.Parameter(weight.copy(), "weight"), nn.Parameter(np.full(7, dtype(9)), "bias")]
    nn.SGD(parameters, 0.1, max_norm=1.5).step()
    projected = parameters[0].value
    small = norms < 1.5
    assert np.array_equal(projected[:, small], weight[:, small])
    after = np.linalg.norm(projected[:, ~small].astype(np.float64), axis=0)
    assert np.allclose(after, 1.5, rtol=1e-5)
    cosines = np.sum(projected[:, ~small] * weight[:, ~small], axis=0) / (after * norms[~small])
    assert np.allclose(cosines, 1, rtol=1e-5)
    assert np.all(parameters[1].value == 9)


@given(st.integers(0, 2**32), st.floats(0.01, 10), st.integers(1, 50), st.integers(1, 20))
def test_max_norm_bounds_every_column(seed, max_norm, n_in, n_out):
    rng = np.random.default_rng(seed)
    parameter = nn.Parameter(rng.normal(0, 2, (n_in, n_out)), "weight")
    parameter.grad[:] = rng.normal(size=(n_in, n_out))
    nn.SGD([parameter], 0.5, momentum=0.9, max_norm=max_norm).step()
    assert np.all(np.linalg.norm(parameter.value, axis=0) <= max_norm * (1 + 1e-12))


def test_max_norm_holds_throughout_training():
    net, _ = trained(0)
    matrices = [p.value for p in net.parameters() if p.kind == "weight"]
    assert len(matrices) == 3
    assert all(np.linalg.norm(w, axis=0).max() <= 0.5 + 1e-6 for w in matrices)
    assert any(np.linalg.norm(w, axis=0).max() >= 0.5 - 1e-6 for w in matrices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -0.1}, "lr must be at least 0 and finite, got -0.1"),
        ({"lr": math.nan}, "got nan"),
        ({"lr": math.inf}, "got inf"),
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"momentum": -0.5}, r"momentum must be in \[0, 1\), got -0.5"),
        ({"momentum": math.nan}, r"momentum must be in \[0, 1\), got nan"),
        ({"nesterov": True}, "nesterov=True needs a momentum above 0"),
        ({"l2": -1e-4}, "l2 must be at least 0 and finite, got -0.0001"),
        ({"l2": math.inf}, "l2 must be at least 0 and finite, got inf"),
        ({"max_norm": 0}, "max_norm must be positive and finite, got 0"),
        ({"max_norm": -1}, "got -1"),
        ({"max_norm": math.nan}, "got nan"),
        ({"parameters": []}, "parameters is empty"),
    ],
)
def test_sgd_refuses(arguments, message):
    parameters = [nn.Parameter(np.ones((2, 2)), "weight")]
    with pytest.raises(ValueError, match=message):
        nn.SGD(**{"parameters": parameters, "lr": 0.1} | arguments)
