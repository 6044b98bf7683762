"""Gradients of whole nets against differences, with the draws of one forward pass held fixed."""

import math

import numpy as np
import pytest
from nets import (
    BATCH,
    SIZES,
    STEP,
    Scale,
    batch_for,
    differences,
    every_activation,
    every_loss,
    other_layers,
    relative_error,
)

import simdrop as sd
from simdrop import nn
from simdrop.nn.losses import LOSSES

every_kind = pytest.mark.parametrize("kind", ["elementwise", "batchwise"])


def randomize_biases(net, rng):
    """At zero, a unit whose inputs are all dropped would sit on the kink of its ReLU."""
    for parameter in net.parameters():
        if parameter.kind == "bias":
            parameter.value[:] = rng.uniform(0.1, 0.5, parameter.value.shape)


def relu_margin(net, x):
    """The smallest distance from zero of what enters a ReLU in one forward pass."""
    margin, y = math.inf, x
    for layer in net.layers:
        before, y = y, layer(y)
        if isinstance(layer, nn.BatchwiseDense) and layer.activation == "relu":
            before, _, weight, _, columns, _ = layer._saved
            bias = layer.bias.value if columns is None else layer.bias.value[columns.indices]
            before = before @ weight + bias
        elif isinstance(layer, nn.Dense) and layer.activation == "relu":
            before = before @ layer.weight.value + layer.bias.value
        elif not isinstance(layer, nn.ReLU):
            continue
        margin = min(margin, np.abs(before).min(initial=math.inf))
    return margin


def check_gradients(net, x, y, stream):
    """All of a net's gradients, with the draws of one forward pass held fixed."""
    state = stream.state
    assert relu_margin(net, x) > 100 * STEP

    def loss():
        stream.state = state
        return net.loss(x, y)

    loss()
    dx = net.backward(input_gradient=True)
    arrays = [(x, dx), *((p.value, p.whole_grad()) for p in net.parameters())]
    for value, gradient in [(value, gradient.copy()) for value, gradient in arrays]:
        assert np.any(gradient)
        assert relative_error(gradient, differences(loss, value)) < 1e-6


@every_kind
@every_activation
@every_loss
@pytest.mark.parametrize(("p", "p_input"), [(0.5, 0.2), (0, 0), (0.3, 0)])
def test_gradients_of_the_net(activation, loss, p, p_input, kind):
    net = nn.MLP(
        SIZES,
        activation=activation,
        p=p,
        p_input=p_input,
        loss=loss,
        dropout=kind,
        rng=5,
        dtype=np.float64,
    )
    randomize_biases(net, np.random.default_rng(1))
    x, y = batch_for(loss)
    # Of the first draws, one whose masks keep the ReLUs away from their kinks.
    for draw in range(0, 3000, 3):
        state = net.stream.state | {"draw": draw}
        net.stream.state = state
        if relu_margin(net, x) > 200 * STEP:
            break
    net.stream.state = state
    check_gradients(net, x, y, net.stream)


@every_loss
@pytest.mark.parametrize("shared_axes", [(0,), (1,), (-1,), (0, 1)])
def test_gradients_with_shared_axes(loss, shared_axes):
    stream = sd.Stream(0)
    layers = [
        nn.Linear(7, 6, rng=2, dtype=np.float64, activation="tanh"),
        nn.Tanh(),
        nn.Dropout(0.4, stream, shared_axes=shared_axes),
        nn.Linear(6, 4, rng=3, dtype=np.float64, activation="identity"),
    ]
    net = nn.Network(layers, LOSSES[loss])
    x, y = batch_for(loss)
    while not stream.mask((BATCH, 6), 0.4, shared_axes=shared_axes).keep().any():
        pass
    stream.state = stream.state | {"draw": stream.draw - 1}
    check_gradients(net, x, y, stream)


def test_gradients_in_eval_mode():
    net = nn.MLP(SIZES, activation="tanh", rng=5, dtype=np.float64).eval()
    check_gradients(net, *batch_for("cross_entropy"), net.stream)


def test_gradients_with_a_layer_of_ones_own():
    layers = [Scale(7), nn.Linear(7, 4, rng=1, dtype=np.float64), Scale(4)]
    net = nn.Network(layers, nn.SquaredError)
    check_gradients(net, *batch_for("squared_error"), sd.Stream(0))
    net.loss(*batch_for("squared_error"))
    before = layers[0].s.grad.copy()
    layers[0].s.grad[:] = 0
    assert net.backward() is None
    assert np.array_equal(layers[0].s.grad, before)


def test_layers_on_disjoint_parts_of_one_array():
    """All weights in one vector, as optimizers of SciPy want them."""
    x, y = batch_for("squared_error", n_out=7)
    layers, memory = other_layers(), np.empty(2 * 49)
    for layer, part in zip(layers, memory.reshape(2, 7, 7), strict=True):
        part[...] = layer.weight.value
        layer.weight.value = part
    net = nn.Network([layers[0], nn.Tanh(), layers[1]], nn.SquaredError)
    check_gradients(net, x, y, sd.Stream(0))
    before, loss = memory.copy(), net.loss(x, y)
    optimizer = nn.SGD(net.parameters(), 0.01)
    for _ in range(5):
        net.train_step(x, y, optimizer)
    assert net.loss(x, y) < loss and np.all(memory != before)


@pytest.mark.parametrize("layout", ["F", "reversed", "swapped"])
def test_gradients_and_steps_with_weights_of_any_layout(layout):
    x, y = batch_for("squared_error")
    nets = []
    for change in (False, True):
        net = nn.MLP(SIZES, p=0.3, loss="squared_error", activation="tanh", rng=5, dtype=np.float64)
        for parameter in net.parameters() if change else []:
            value = parameter.value
            if layout == "F":
                parameter.value = np.asfortranarray(value)
            elif layout == "reversed":
                parameter.value = value[..., ::-1].copy()[..., ::-1]
            elif parameter.kind == "weight":
                parameter.value = value.astype(">f8")
        nets.append(net)
    state = nets[1].stream.state
    check_gradients(nets[1], x, y, nets[1].stream)
    nets[1].stream.state = state
    for net in nets:
        optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9, l2=0.01, l1=0.01, max_norm=0.5)
        for _ in range(5):
            net.train_step(x, y, optimizer)
    for plain, other in zip(*(net.parameters() for net in nets), strict=True):
        np.testing.assert_allclose(other.value, plain.value, rtol=1e-12, atol=1e-15)
