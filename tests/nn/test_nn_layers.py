"""Layers by themselves: backward of each kind, activations, initial weights, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nets import SIZES, Scale, batch_for, differences, relative_error

import simdrop as sd
from simdrop import nn


def layers_of_every_kind():
    stream = sd.Stream(3)
    return [
        nn.Linear(SIZES[0], 5, rng=1, dtype=np.float64),
        nn.ReLU(),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.GELU(),
        nn.SiLU(),
        nn.Dropout(0.5, stream),
        nn.Dropout(0.3, stream, shared_axes=(0,)),
        nn.Dropout(0.3, stream, shared_axes=[-1]),
        nn.Dropout(0.5, stream).eval(),
        nn.Dropout(0.5, stream, inverted=False),
        nn.Dropout(0.5, stream, inverted=False).eval(),
        nn.Dropout(sd.schedule.linear(0.5, 0, 10), stream),
        nn.DropPath(0.5, stream),
        nn.DropPath(0.5, stream, inverted=False),
        nn.DropPath(0.5, stream, inverted=False).eval(),
        nn.DropBlock(0.3, 2, stream),
        nn.DropBlock(0.3, 2, stream, inverted=False),
        nn.DropBlock(0.3, 2, stream, inverted=False).eval(),
        nn.LockedDropout(0.5, stream),
        nn.LockedDropout(0.5, stream, inverted=False),
        nn.LockedDropout(0.5, stream, inverted=False).eval(),
        nn.Transform(sd.dropout, 0.5, stream=stream, shared_axes=(0,)),
        nn.DropConnect(SIZES[0], 5, 0.4, stream, rng=1, dtype=np.float64),
        nn.DropConnect(SIZES[0], 5, 0.4, stream, per_sample=True, rng=1, dtype=np.float64),
        nn.DropConnect(SIZES[0], 5, 0.4, stream, rng=1, dtype=np.float64).eval(),
        *(
            nn.DropConnect(
                SIZES[0], 5, 0.4, stream, rng=1, dtype=np.float64, per_sample=each, inverted=False
            ).train(mode)
            for each in (True, False)
            for mode in (True, False)
        ),
        *(
            nn.Dense(
                SIZES[0], 5, 0.4, stream, rng=1, dtype=np.float64, activation="tanh", inverted=form
            ).train(mode)
            for form in (True, False)
            for mode in (True, False)
        ),
        Scale(SIZES[0]),
    ]


every_layer = pytest.mark.parametrize("layer", layers_of_every_kind(), ids=repr)


@every_layer
def test_backward_of_each_layer_alone(layer):
    rng = np.random.default_rng(4)
    x = batch_for("squared_error")[0]
    dy = rng.normal(size=layer(x).shape)
    stream = getattr(layer, "stream", sd.Stream(0))
    state = stream.state

    def f():
        stream.state = state
        return float(np.sum(layer(x) * dy))

    f()
    dx = layer.backward(dy)
    arrays = [(x, dx), *((p.value, p.grad) for p in layer.parameters())]
    for value, gradient in [(value, gradient.copy()) for value, gradient in arrays]:
        assert relative_error(gradient, differences(f, value)) < 1e-6


@every_layer
def test_layers_leave_their_arguments_alone(layer):
    x = batch_for("squared_error")[0]
    x.flags.writeable = False
    dy = np.ones_like(layer(x))
    dy.flags.writeable = False
    assert layer.backward(dy).shape == x.shape


@pytest.mark.parametrize("layer", layers_of_every_kind(), ids=repr)
def test_backward_before_forward(layer):
    with pytest.raises(RuntimeError, match=r"backward\(dy\) needs the layer called on an x before"):
        layer.backward(np.ones((3, 7)))


def test_backward_belongs_to_the_most_recent_call():
    x = batch_for("squared_error")[0]
    for layer in layers_of_every_kind():
        stream = getattr(layer, "stream", None)
        layer(x)
        state = stream.state if stream else None
        dy = np.ones_like(layer(3 * x))
        latest = layer.backward(dy)
        if stream:
            stream.state = state
        layer(3 * x)
        np.testing.assert_array_equal(layer.backward(dy), latest)


def test_relu_has_derivative_zero_at_zero():
    relu = nn.ReLU()
    assert relu(np.array([[-1.0, 0.0, 2.0]])).tolist() == [[0, 0, 2]]
    assert relu.backward(np.ones((1, 3))).tolist() == [[0, 0, 1]]


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)))
def test_gelu_and_silu_are_right(x):
    normal = [v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.ravel().tolist()]
    logistic = [v / (1 + math.exp(-v)) if v > -700 else 0 for v in x.ravel().tolist()]
    for layer, expected in ((nn.GELU(), normal), (nn.SiLU(), logistic)):
        np.testing.assert_allclose(layer(x).ravel(), expected, rtol=1e-13, atol=1e-300)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(width=32, allow_nan=False)))
def test_sigmoid_is_right_and_never_overflows(x):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = nn.Sigmoid()(x)
    expected = [1 / (1 + math.exp(-v)) if v > -700 else 0 for v in x.ravel().tolist()]
    assert y.dtype == np.float32
    assert np.allclose(y.ravel(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "bound", "variance"),
    [
        ("relu", math.inf, 2 / 300),
        ("gelu", math.inf, 2 / 300),
        ("silu", math.inf, 2 / 300),
        ("tanh", math.sqrt(6 / 500), 2 / 500),
        ("sigmoid", math.sqrt(6 / 500), 2 / 500),
        ("identity", math.sqrt(6 / 500), 2 / 500),
    ],
)
def test_initial_weights(activation, bound, variance):
    layer = nn.Linear(300, 200, rng=0, dtype=np.float64, activation=activation)
    weight = layer.weight.value
    assert weight.shape == (300, 200)
    assert np.abs(weight).max() <= bound
    # The standard error of a variance is at most sqrt(2/n) of it, that of a normal distribution.
    assert abs(weight.var() / variance - 1) < 5 * math.sqrt(2 / weight.size)
    assert abs(weight.mean()) < 5 * math.sqrt(variance / weight.size)
    assert not layer.bias.value.any()


def test_linear_refuses_an_activation():
    with pytest.raises(
        ValueError,
        match="activation must be one of relu, tanh, sigmoid, gelu, silu, identity, got 'softmax'",
    ):
        nn.Linear(2, 3, rng=0, activation="softmax")


def test_layers_are_abstract():
    with pytest.raises(TypeError, match="abstract"):
        nn.Layer()
