"""The multi-layer perceptron: gradients against differences, optimizer against plain formulas, the
draws it takes, learning, errors."""

import copy
import math
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import simdrop as sd
from simdrop import nn
from simdrop.nn.losses import LOSSES, log_softmax

SIZES = (7, 6, 5, 4)
BATCH = 9
STEP = 1e-5  # of the central differences


def batch_for(loss, seed=0, batch=BATCH, n_in=SIZES[0], n_out=SIZES[-1]):
    """Inputs away from zero, and labels or targets."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 1.5, (batch, n_in)) * rng.choice([-1, 1], (batch, n_in))
    if loss == "cross_entropy":
        return x, rng.integers(0, n_out, batch)
    return x, rng.normal(size=(batch, n_out))


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


def differences(f, array):
    """d f() / d array, an element at a time."""
    gradient = np.empty_like(array)
    for i in np.ndindex(array.shape):
        before = array[i]
        array[i] = before + STEP
        above = f()
        array[i] = before - STEP
        below = f()
        array[i] = before
        gradient[i] = (above - below) / (2 * STEP)
    return gradient


def relative_error(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), 1e-300)


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


class Scale(nn.Layer):
    """y = s x: a layer of the tests' own, with a parameter."""

    def __init__(self, n):
        self.s = nn.Parameter(np.linspace(0.5, 1.5, n), "weight")

    def __call__(self, x):
        self._saved = x
        return self.s.value * x

    def backward(self, dy):
        self.s.grad[:] = (self._from_forward() * dy).sum(axis=0)
        return self.s.value * dy

    def parameters(self):
        return [self.s]


class Recorder(nn.Layer):
    """y = x; remembers how many rows came."""

    def __init__(self):
        self.rows = []

    def __call__(self, x):
        self.rows.append(len(x))
        return x

    def backward(self, dy):
        return dy


def layers_of_every_kind():
    stream = sd.Stream(3)
    return [
        nn.Linear(SIZES[0], 5, rng=1, dtype=np.float64),
        nn.ReLU(),
        nn.Tanh(),
        nn.Sigmoid(),
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
every_loss = pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
every_kind = pytest.mark.parametrize("kind", ["elementwise", "batchwise"])
every_activation = pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])


# --- Gradients ---


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


def test_relu_has_derivative_zero_at_zero():
    relu = nn.ReLU()
    assert relu(np.array([[-1.0, 0.0, 2.0]])).tolist() == [[0, 0, 2]]
    assert relu.backward(np.ones((1, 3))).tolist() == [[0, 0, 1]]


def test_a_backward_pass_overwrites_the_gradients():
    net = nn.MLP(SIZES, rng=0, dtype=np.float64)
    net.loss(*batch_for("cross_entropy"))
    net.backward()
    first = [p.grad.copy() for p in net.parameters()]
    assert net.backward() is None
    assert all(np.array_equal(a, p.grad) for a, p in zip(first, net.parameters(), strict=True))
    net.backward(input_gradient=True)
    assert all(np.array_equal(a, p.grad) for a, p in zip(first, net.parameters(), strict=True))


def test_the_input_gradient_is_computed_only_where_asked_for():
    net = nn.MLP(SIZES, rng=0)
    net.loss(*batch_for("cross_entropy"))
    net.layers[0].backward = net.layers[1].backward = None
    net.backward()
    assert all(p.grad.any() for p in net.parameters())
    with pytest.raises(TypeError, match="not callable"):
        net.backward(input_gradient=True)


# --- Dropout in the net ---


@pytest.mark.parametrize("shared_axes", [(), (0,), [1], (-1,)])
def test_dropout_is_that_of_the_library(shared_axes):
    layer = nn.Dropout(0.3, sd.Stream(0), shared_axes=shared_axes)
    x, dy = np.random.default_rng(0).normal(size=(2, 50, 40)).astype(np.float32)
    mask = sd.Stream(0).mask(x.shape, 0.3, shared_axes=tuple(shared_axes))
    assert np.array_equal(layer(x), mask.apply(x))
    assert np.array_equal(layer.backward(dy), mask.backward(dy))
    assert layer.stream.draw == 1


@pytest.mark.parametrize("p", [0, 0.5, 1])
def test_each_training_pass_takes_one_draw_per_dropout_layer(p):
    net = nn.MLP(SIZES, p=p, p_input=p, rng=0)
    x = batch_for("cross_entropy")[0]
    for passes in range(1, 4):
        net(x)
        assert net.stream.draw == 3 * passes
    assert {layer.stream for layer in net.layers if isinstance(layer, nn.Dropout)} == {net.stream}


def test_eval_takes_no_draw_and_is_deterministic():
    net = nn.MLP(SIZES, rng=0)
    x, y = batch_for("cross_entropy")
    trained = net(x)
    draw = net.stream.draw
    outputs = [net.eval()(x), net.eval()(x), net.train().predict(x), net.predict(x)]
    assert (net.error(x, y), net.stream.draw) == (net.error(x, y), draw)
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[2], outputs[0].argmax(axis=1))
    assert np.array_equal(outputs[2], outputs[3])
    assert not np.array_equal(outputs[0], trained)


def test_eval_returns_x_itself():
    x = np.ones((3, 4), np.float32)
    layer = nn.Dropout(0.5, sd.Stream(0)).eval()
    assert layer(x) is x
    assert np.array_equal(layer.backward(2 * x), 2 * x)
    assert layer.train()(x) is not x


def test_backward_follows_the_latest_mode():
    """The mask of an earlier training pass must not leak into the backward pass of an eval one."""
    x = np.ones((30, 40), np.float32)
    layer = nn.Dropout(0.5, sd.Stream(0))
    assert np.any(layer(x) == 0)
    layer.eval()(x)
    assert np.array_equal(layer.backward(x), x)


def test_nothing_is_dropped_at_0_and_everything_at_1():
    x, y = batch_for("cross_entropy")
    net = nn.MLP(SIZES, p=0, p_input=0, rng=0)
    assert np.array_equal(net(x), net.eval()(x))
    net = nn.MLP(SIZES, p=1, p_input=0, rng=0)
    net.layers[-1].bias.value[:] = [1, 2, 3, 4]
    assert np.array_equal(net(x), np.broadcast_to([1, 2, 3, 4], (BATCH, 4)))
    net.loss(x, y)
    net.backward()
    assert not any(p.grad.any() for p in net.parameters()[:-1])
    assert net.layers[-1].bias.grad.any()


def test_setting_the_stream_back_draws_the_same_masks():
    net = nn.MLP(SIZES, rng=0)
    x = batch_for("cross_entropy")[0]
    saved = net.stream.state
    first, second = net(x), net(x)
    net.stream.state = saved
    assert np.array_equal(net(x), first)
    assert not np.array_equal(first, second)


def test_the_mean_over_masks_is_the_eval_output():
    """True of a linear net: E[x * keep / (1-p)] = x, and the layers' draws are independent."""
    stream, n = sd.Stream(7), 20_000
    layers = [
        nn.Dropout(0.2, stream),
        nn.Linear(12, 20, rng=1, dtype=np.float64),
        nn.Dropout(0.5, stream),
        nn.Linear(20, 3, rng=2, dtype=np.float64),
    ]
    net = nn.Network(layers, nn.SquaredError)
    x = np.tile(np.random.default_rng(0).normal(size=12), (n, 1))
    outputs = net(x)
    expected = net.eval()(x[:1])[0]
    sigma = outputs.std(axis=0) / math.sqrt(n)
    assert np.all(np.abs(outputs.mean(axis=0) - expected) < 5 * sigma)
    assert np.all(5 * sigma < 0.2 * np.abs(expected).max())


# --- Seeds, modes, copies ---


def trained(rng, steps=20):
    net = nn.MLP(SIZES, rng=rng)
    optimizer = nn.SGD(net.parameters(), 0.05, momentum=0.9, l2=1e-3, max_norm=0.5)
    for step in range(steps):
        net.train_step(*batch_for("cross_entropy", seed=step), optimizer)
    return net, optimizer


def weights(net):
    return b"".join(p.value.tobytes() for p in net.parameters())


def test_the_same_seed_gives_the_same_net_to_the_bit():
    same = [0, np.random.SeedSequence(0), np.random.default_rng(0), np.random.PCG64(0), [0]]
    nets = [weights(trained(rng)[0]) for rng in same]
    assert len(set(nets)) == 1
    others = [1, [0, 1], None, None, np.random.default_rng(1)]
    assert len({nets[0], *(weights(trained(rng)[0]) for rng in others)}) == 5


def test_weights_and_draws_come_from_two_children_of_the_seed():
    weights_rng, draws_rng = map(np.random.default_rng, np.random.SeedSequence(8).spawn(2))
    net = nn.MLP((30, 20, 10), rng=8, dtype=np.float64)
    first = weights_rng.normal(0, math.sqrt(2 / 30), (30, 20))
    assert np.array_equal(net.layers[1].weight.value, first)
    assert net.stream.key == draws_rng.bytes(16)
    assert net.stream.draw == 0


def test_two_nets_from_one_generator_differ():
    rng = np.random.default_rng(0)
    first, second = nn.MLP(SIZES, rng=rng), nn.MLP(SIZES, rng=rng)
    assert weights(first) != weights(second)
    assert first.stream.key != second.stream.key


def test_the_weights_do_not_depend_on_p():
    assert weights(nn.MLP(SIZES, p=0, p_input=0, rng=1)) == weights(nn.MLP(SIZES, p=0.9, rng=1))


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))]
)
def test_a_copy_trains_on_as_the_original_would(duplicate):
    (net, optimizer), (other, other_optimizer) = trained(3), duplicate(trained(3))
    assert other.parameters()[0] is other_optimizer.parameters[0]
    x, y = batch_for("cross_entropy")
    assert [net.train_step(x, y, optimizer) for _ in range(5)] == [
        other.train_step(x, y, other_optimizer) for _ in range(5)
    ]
    assert weights(net) == weights(other) != weights(trained(3)[0])


def test_train_step_is_loss_backward_step():
    (net, optimizer), (other, other_optimizer) = trained(3), trained(3)
    x, y = batch_for("cross_entropy")
    loss = other.loss(x, y)
    other.backward()
    other_optimizer.step()
    assert net.train_step(x, y, optimizer) == loss
    assert weights(net) == weights(other)


@pytest.mark.parametrize(
    ("activation", "bound", "variance"),
    [
        ("relu", math.inf, 2 / 300),
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


def test_the_net_initializes_for_its_activation_and_the_output_for_none():
    for activation, he in [("relu", True), ("tanh", False), ("sigmoid", False)]:
        net = nn.MLP((50, 200, 200, 20), activation=activation, rng=0)
        hidden, output = net.layers[2].weight.value, net.layers[3].weight.value
        assert bool(np.abs(hidden).max() > math.sqrt(6 / 400)) is he
        assert np.abs(output).max() <= np.float32(math.sqrt(6 / 220))


def test_modes():
    net = nn.MLP(SIZES)
    assert net.eval() is net
    assert not any(layer.training for layer in net.layers)
    assert net.train() is net
    assert all(layer.training for layer in net.layers)
    assert net.layers[0].eval() is net.layers[0]
    before = [layer.training for layer in net.layers]
    net.predict(np.ones((2, 7)))
    assert [layer.training for layer in net.layers] == before == [False, True, True, True]
    assert nn.ReLU().train(False).training is False


def test_predict_restores_the_mode_after_an_error():
    net = nn.MLP(SIZES)
    net.layers[1].weight.value = np.ones((3, 3), np.float32)
    with pytest.raises(ValueError):
        net.predict(np.ones((2, 7)))
    assert all(layer.training for layer in net.layers)


@every_loss
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 12, 13])
def test_predict_takes_a_chunk_at_a_time(monkeypatch, loss, rows):
    monkeypatch.setattr("simdrop.nn.network.CHUNK", 4)
    recorder, mlp = Recorder(), nn.MLP(SIZES, loss=loss, rng=0)
    net = nn.Network([recorder, *mlp.layers], mlp.criterion)
    x = batch_for(loss, batch=rows)[0]
    prediction = net.predict(x)
    assert max(recorder.rows) <= 4
    assert sum(recorder.rows) == rows
    output = net.eval()(x)
    if loss == "cross_entropy":
        assert np.array_equal(prediction, output.argmax(axis=1))
    else:
        assert prediction.shape == (rows, 4)
        assert np.allclose(prediction, output, rtol=1e-5, atol=1e-6)


def test_error_is_the_fraction_of_wrong_labels():
    net = nn.MLP((3, 3), rng=0)
    net.layers[1].weight.value[:] = np.eye(3)
    x = np.eye(3)[[0, 1, 2, 2]]
    assert net.error(x, [0, 1, 2, 2]) == 0
    assert net.error(x, [0, 1, 2, 0]) == 0.25
    assert net.error(x, [1, 2, 0, 0]) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_of_the_dtype_asked_for(dtype):
    net = nn.MLP(SIZES, rng=0, dtype=dtype, loss="squared_error")
    x = np.ones((BATCH, 7), np.uint8)
    assert net.loss(x, np.ones((BATCH, 4))) > 0
    assert net.backward(input_gradient=True).dtype == dtype
    optimizer = nn.SGD(net.parameters(), np.float64(0.1), momentum=0.5, l2=0.1, max_norm=1)
    optimizer.lr = np.float64(0.05)
    optimizer.step()
    arrays = [net(x), *(array for state in optimizer.state for array in state)]
    arrays += [array for p in net.parameters() for array in (p.value, p.grad)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_repr():
    assert repr(nn.MLP((784, 100, 10), p=0.4)) == (
        "MLP(\n    Dropout(p=0.2),\n    Dense(784, 100, p=0.4, activation='relu'),\n"
        "    Linear(100, 10),\n)"
    )
    assert repr(nn.Dropout(0.5, sd.Stream(), shared_axes=[0])) == "Dropout(p=0.5, shared_axes=(0,))"
    assert repr(nn.Linear(2, 3, rng=0).weight) == "Parameter(weight, shape=(2, 3), dtype=float32)"


# --- Losses ---


def test_cross_entropy_by_hand():
    """softmax(0, log 3) = (1/4, 3/4) and softmax(0, 0) = (1/2, 1/2)."""
    output, labels = np.array([[0, math.log(3)], [0, 0]]), np.array([0, 1])
    assert math.isclose(nn.SoftmaxCrossEntropy.fn(output, labels), math.log(8) / 2)
    delta = nn.SoftmaxCrossEntropy.delta(output, labels)
    assert np.allclose(delta, [[-0.375, 0.375], [0.25, -0.25]], rtol=1e-14)


def test_squared_error_by_hand():
    output, target = np.array([[1.0, 2], [3, 4]]), np.array([[1, 0], [0, 4]])
    assert nn.SquaredError.fn(output, target) == 3.25
    assert nn.SquaredError.delta(output, target).tolist() == [[0, 1], [1.5, 0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits(dtype):
    output = np.array([[1e4, -1e4, 0]] * 3, dtype)
    for label, loss in enumerate([0, 2e4, 1e4]):
        labels = np.full(3, label)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            assert nn.SoftmaxCrossEntropy.fn(output, labels) == loss
            delta = nn.SoftmaxCrossEntropy.delta(output, labels)
        assert delta.dtype == dtype
        assert np.array_equal(3 * delta[0], np.eye(3)[0] - np.eye(3)[label])


@given(
    hnp.arrays(np.float64, (5, 4), elements=st.floats(-1e6, 1e6)),
    hnp.arrays(np.float64, (5, 1), elements=st.floats(-1e6, 1e6)),
)
def test_softmax_sums_to_one_and_ignores_a_shift(output, shift):
    probabilities = np.exp(log_softmax(output))
    assert np.allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert np.allclose(log_softmax(output + shift), log_softmax(output), rtol=1e-9, atol=1e-8)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(width=32, allow_nan=False)))
def test_sigmoid_is_right_and_never_overflows(x):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = nn.Sigmoid()(x)
    expected = [1 / (1 + math.exp(-v)) if v > -700 else 0 for v in x.ravel().tolist()]
    assert y.dtype == np.float32
    assert np.allclose(y.ravel(), expected, rtol=0, atol=1e-6)


# --- Optimizer ---


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


# --- Learning ---


def test_learns_handwritten_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype(np.float32) / 16, y[order]
    train, test = slice(0, 1347), slice(1347, None)
    net = nn.MLP((64, 200, 10), rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9, max_norm=3)
    before = net.error(x[test], y[test])
    for _ in range(15):
        for start in range(0, 1347, 50):
            net.train_step(x[train][start : start + 50], y[train][start : start + 50], optimizer)
    assert before > 0.5
    assert net.error(x[test], y[test]) < 0.05


@every_activation
def test_squared_error_learns_a_linear_map(activation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    y = 0.3 * x @ rng.normal(size=(5, 2))
    net = nn.MLP((5, 30, 2), activation=activation, p=0, p_input=0, loss="squared_error", rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    before = net.loss(x, y)
    for _ in range(300):
        net.train_step(x, y, optimizer)
    assert net.loss(x, y) < 0.03 * before


# --- Errors ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": -0.1}, r"p, the probability of dropping, must be in \[0, 1\], got -0.1"),
        ({"p": 1.5}, r"got 1\.5"),
        ({"p": math.nan}, "got nan"),
        ({"p_input": 2}, "got 2"),
        ({"p_input": math.nan}, "got nan"),
        (
            {"activation": "gelu"},
            "activation must be one of relu, tanh, sigmoid, identity, got 'gelu'",
        ),
        (
            {"loss": "l1"},
            "loss must be one of cross_entropy, binary_.*, squared_error, poisson, got 'l1'",
        ),
        ({"sizes": ()}, r"sizes must be two or more positive integers, got \(\)"),
        ({"sizes": (7,)}, r"got \(7,\)"),
        ({"sizes": (7, 0, 4)}, r"got \(7, 0, 4\)"),
        ({"sizes": (7, -3)}, r"got \(7, -3\)"),
        ({"dtype": np.float16}, "dtype must be float32 or float64, got float16"),
        ({"dtype": int}, "got int64"),
    ],
)
def test_mlp_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.MLP(**{"sizes": SIZES} | arguments)


def test_sizes_are_integers():
    with pytest.raises(TypeError, match="float"):
        nn.MLP((7, 2.5, 4))


@pytest.mark.parametrize("p", [-1e-9, 1.0000001, math.inf, math.nan])
def test_dropout_refuses_p(p):
    with pytest.raises(ValueError, match=f"must be in .0, 1., got {p!r}"):
        nn.Dropout(p, sd.Stream())


def test_linear_refuses_an_activation():
    with pytest.raises(
        ValueError, match="activation must be one of relu, tanh, sigmoid, identity, got 'softmax'"
    ):
        nn.Linear(2, 3, rng=0, activation="softmax")


def test_a_network_needs_a_linear_layer():
    with pytest.raises(ValueError, match="must contain a Linear"):
        nn.Network([nn.ReLU()], nn.SquaredError)


def test_layers_are_abstract():
    with pytest.raises(TypeError, match="abstract"):
        nn.Layer()


def test_a_masked_array_is_refused():
    """Its mask would be lost without a word."""
    x, labels = np.ones((4, 3), np.float32), np.zeros(4, int)
    hidden = np.ma.masked_array(x, x > 0)
    net = nn.MLP((3, 5, 2), rng=0)
    regression = nn.MLP((3, 5, 2), loss="squared_error", rng=0)
    for call in (
        lambda: net(hidden),
        lambda: net.predict(hidden),
        lambda: net.predict_mc(hidden, 2),
        lambda: net.loss(hidden, labels),
        lambda: net.error(hidden, labels),
        lambda: net.loss(x, np.ma.masked_array(labels, labels == 0)),
        lambda: net.loss(x, labels, np.ma.masked_array(np.ones(4), labels == 0)),
        lambda: regression.loss(x, np.ma.masked_array(x[:, :2], x[:, :2] > 0)),
    ):
        with pytest.raises(TypeError, match="masked array"):
            call()


@pytest.mark.parametrize("shape", [(7,), (3, 6), (3, 8), (2, 3, 7), (), (7, 3)])
def test_x_of_a_wrong_shape(shape):
    net = nn.MLP(SIZES, rng=0)
    for call in (net, net.predict, lambda x: net.loss(x, [0]), lambda x: net.error(x, [0])):
        with pytest.raises(ValueError) as error:
            call(np.ones(shape))
        assert str(error.value) == f"x must have shape (batch, 7), got {shape}"
    assert net.stream.draw == 0


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([0, 1, 4], ValueError, "labels must be from 0 to 3, got 4"),
        ([0, -1, 0], ValueError, "labels must be from 0 to 3, got -1"),
        (np.array([0, 200, 0], np.uint8), ValueError, "got 200"),
        ([0, 1], ValueError, r"labels must be \(3,\), one per row of x, got \(2,\)"),
        ([[0], [1], [2]], ValueError, r"got \(3, 1\)"),
        (np.eye(4, dtype=int)[:3], ValueError, r"got \(3, 4\)"),
        ([0.0, 1.0, 2.0], TypeError, "labels must be integers, got dtype float64"),
        ([True, False, True], TypeError, "got dtype bool"),
        (["a", "b", "c"], TypeError, "labels must be integers, got dtype <U1"),
    ],
)
def test_labels_are_checked_before_a_draw_is_taken(labels, kind, message):
    net = nn.MLP(SIZES, rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1)
    before, x = weights(net), np.ones((3, 7))
    for call in (net.loss, net.error, lambda x, y: net.train_step(x, y, optimizer)):
        with pytest.raises(kind, match=message):
            call(x, labels)
    assert net.stream.draw == 0
    assert weights(net) == before


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 4), (4,), ()])
def test_targets_of_a_wrong_shape(shape):
    net = nn.MLP(SIZES, loss="squared_error", rng=0)
    with pytest.raises(ValueError) as error:
        net.loss(np.ones((3, 7)), np.ones(shape))
    assert str(error.value) == f"targets must be (3, 4), got {shape}"
    assert net.stream.draw == 0


def test_the_mean_over_no_rows_is_refused():
    net = nn.MLP(SIZES)
    for call in (net.loss, net.error):
        with pytest.raises(ValueError, match="x has no rows"):
            call(np.ones((0, 7)), np.ones(0, int))


def test_squared_error_has_no_error_fraction():
    net = nn.MLP(SIZES, loss="squared_error")
    with pytest.raises(ValueError, match="SquaredError has no labels that could be wrong"):
        net.error(np.ones((3, 7)), np.ones((3, 4)))


@pytest.mark.parametrize("layer", layers_of_every_kind(), ids=repr)
def test_backward_before_forward(layer):
    with pytest.raises(RuntimeError, match=r"backward\(dy\) needs the layer called on an x before"):
        layer.backward(np.ones((3, 7)))


def test_backward_of_the_net_needs_the_loss_just_before():
    net = nn.MLP(SIZES)
    x, y = batch_for("cross_entropy")
    for between in (lambda: None, lambda: net(x), lambda: net.predict(x)):
        between()
        with pytest.raises(RuntimeError, match=r"backward\(\) needs loss\(x, y\)"):
            net.backward()
        net.loss(x, y)
    net.backward()


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


def test_public_names_exist_and_have_a_docstring():
    assert all(getattr(nn, name).__doc__ for name in nn.__all__)


# --- Each layer and each parameter has one place ---


def other_layers():
    """Around a layer of 7 inputs and outputs."""
    return [nn.Linear(7, 7, rng=i, dtype=np.float64, activation="tanh") for i in range(2)]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(7, 7, rng=0),
        nn.Dense(7, 7, rng=0),
        nn.DropConnect(7, 7, 0.5, rng=0),
        nn.BatchwiseDense(nn.Units(7, 0.5), 7, rng=0),
        nn.KeptInputs(nn.Units(7, 0.5)),
        nn.ReLU(),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.Identity(),
        nn.ActivityL1(0.1),
        nn.Dropout(0.5),
        nn.DropPath(0.5),
        nn.DropBlock(0.5, 2),
        nn.LockedDropout(0.5),
        nn.AlphaDropout(0.5),
        nn.GaussianDropout(0.5),
        nn.GaussianNoise(0.5),
        nn.Transform(sd.dropout, 0.5),
        Scale(7),
    ],
    ids=repr,
)
def test_a_layer_with_two_places_is_refused(layer):
    first, last = other_layers()
    with pytest.raises(
        ValueError, match=r"layers\[2\] is layers\[1\], .*layer of its own"
    ) as error:
        nn.Network([first, layer, layer, last], nn.SquaredError)
    assert repr(layer) in str(error.value)
    with pytest.raises(ValueError, match=r"layers\[2\] is layers\[0\]"):
        nn.Network(iter([layer, first, layer]), nn.SquaredError)


def test_layers_cannot_be_changed_behind_the_check():
    net = nn.Network(other_layers(), nn.SquaredError)
    assert isinstance(net.layers, tuple)
    with pytest.raises(AttributeError):
        net.layers = [*net.layers, net.layers[0]]
    with pytest.raises(TypeError):
        net.layers[1] = net.layers[0]


def tied(how):
    first, last = other_layers()
    if how == "a parameter":
        last.weight = first.weight
    elif how == "a bias":
        last.bias = first.bias
    elif how == "an array":
        last.weight.value = first.weight.value
    elif how == "a transposed view":
        last.weight.value = first.weight.value.T
    else:
        memory = np.ones((13, 7))
        first.weight.value, last.weight.value = memory[:7], memory[6:]
    return first, last


@pytest.mark.parametrize(
    "how", ["a parameter", "a bias", "an array", "a transposed view", "overlapping parts"]
)
def test_layers_that_share_parameters_are_refused(how):
    first, last = tied(how)
    with pytest.raises(ValueError, match=r"layers\[0\] and .* of layers\[2\] share memory"):
        nn.Network([first, nn.Tanh(), last], nn.SquaredError)
    # Tied after it was made, a net is refused by its optimizer.
    net = nn.Network(other_layers(), nn.SquaredError)
    for layer, other in zip(net.layers, (first, last), strict=True):
        layer.weight, layer.bias = other.weight, other.bias
    for make in (nn.SGD, nn.Adam):
        with pytest.raises(ValueError, match="share memory"):
            make(net.parameters(), 0.1)


def test_a_layer_that_lists_a_parameter_twice_is_refused():
    class Twice(Scale):
        def parameters(self):
            return [self.s, self.s]

    with pytest.raises(ValueError, match=r"layers\[1\] and .* of layers\[1\] share memory"):
        nn.Network([other_layers()[0], Twice(7)], nn.SquaredError)


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


def test_backward_refuses_what_another_pass_has_overwritten():
    """A layer in two nets, or called by hand: its gradients would be those of the other pass."""
    first, last = other_layers()
    x, y = batch_for("squared_error", n_out=7)
    net, other = (nn.Network(layers, nn.SquaredError) for layers in ([first, last], [first]))
    for call in (lambda: first(2 * x), lambda: other.loss(2 * x, y), lambda: other.predict(2 * x)):
        net.loss(x, y)
        call()
        with pytest.raises(RuntimeError, match="has been called since"):
            net.backward()
    net.loss(x, y)
    net.backward()
    net.backward()


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


def test_a_pass_lets_go_of_the_batch_before():
    net = nn.Network(other_layers(), nn.SquaredError)
    x, y = batch_for("squared_error", n_out=7)
    net.loss(x, y)
    size = len(pickle.dumps(net))
    net.loss(np.tile(x, (100, 1)), np.tile(y, (100, 1)))
    assert len(pickle.dumps(net)) == size
    net.loss(x, y)
    before = weakref.ref(x)
    net(x.copy())
    del x
    assert before() is None
