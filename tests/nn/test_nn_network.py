"""Networks: backward after loss, modes and predictions, inputs and layers that are refused."""

import math
import pickle
import weakref

import numpy as np
import pytest
from nets import SIZES, Scale, batch_for, every_loss, other_layers, trained, weights

import simdrop as sd
from simdrop import nn

# --- Backward ---


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


def test_train_step_is_loss_backward_step():
    (net, optimizer), (other, other_optimizer) = trained(3), trained(3)
    x, y = batch_for("cross_entropy")
    loss = other.loss(x, y)
    other.backward()
    other_optimizer.step()
    assert net.train_step(x, y, optimizer) == loss
    assert weights(net) == weights(other)


def test_backward_of_the_net_needs_the_loss_just_before():
    net = nn.MLP(SIZES)
    x, y = batch_for("cross_entropy")
    for between in (lambda: None, lambda: net(x), lambda: net.predict(x)):
        between()
        with pytest.raises(RuntimeError, match=r"backward\(\) needs loss\(x, y\)"):
            net.backward()
        net.loss(x, y)
    net.backward()


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


# --- Modes and predictions ---


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


class Recorder(nn.Layer):
    """y = x; remembers how many rows came."""

    def __init__(self):
        self.rows = []

    def __call__(self, x):
        self.rows.append(len(x))
        return x

    def backward(self, dy):
        return dy


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


# --- Inputs and targets that are refused ---


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


# --- Layers that are refused: each layer and each parameter has one place ---


def test_a_network_needs_a_linear_layer():
    with pytest.raises(ValueError, match="must contain a Linear"):
        nn.Network([nn.ReLU()], nn.SquaredError)


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
        nn.GELU(),
        nn.SiLU(),
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
