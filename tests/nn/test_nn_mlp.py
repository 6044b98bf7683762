"""The multi-layer perceptron: the draws it takes, seeds, copies, learning, what it refuses."""

import copy
import math
import pickle

import numpy as np
import pytest
from nets import BATCH, SIZES, batch_for, every_activation, trained, weights

import simdrop as sd
from simdrop import nn

# --- Dropout in the net ---


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


# --- Seeds, copies, dtypes ---


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


def test_the_net_initializes_for_its_activation_and_the_output_for_none():
    for activation, he in [("relu", True), ("tanh", False), ("sigmoid", False)]:
        net = nn.MLP((50, 200, 200, 20), activation=activation, rng=0)
        hidden, output = net.layers[2].weight.value, net.layers[3].weight.value
        assert bool(np.abs(hidden).max() > math.sqrt(6 / 400)) is he
        assert np.abs(output).max() <= np.float32(math.sqrt(6 / 220))


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
    net = nn.MLP((784, 100, 10), p=0.4)
    assert repr(net) == "MLP(784-100-10, relu, p=0.4, p_input=0.2)"
    assert str(net) == (
        "MLP(\n    Dropout(p=0.2),\n    Dense(784, 100, p=0.4, activation='relu'),\n"
        "    Linear(100, 10),\n)"
    )
    assert repr(nn.Dropout(0.5, sd.Stream(), shared_axes=[0])) == "Dropout(p=0.5, shared_axes=(0,))"
    assert repr(nn.Linear(2, 3, rng=0).weight) == "Parameter(weight, shape=(2, 3), dtype=float32)"


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


# --- What is refused ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": -0.1}, r"p = -0.1, but the probability of dropping must be in \[0, 1\]"),
        ({"p": 1.5}, r"p = 1\.5"),
        ({"p": math.nan}, "p = nan"),
        ({"p_input": 2}, "p = 2"),
        ({"p_input": math.nan}, "p = nan"),
        (
            {"activation": "softmax"},
            "activation must be one of relu, tanh, sigmoid, gelu, silu, identity, got 'softmax'",
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


def test_public_names_exist_and_have_a_docstring():
    assert all(getattr(nn, name).__doc__ for name in nn.__all__)
