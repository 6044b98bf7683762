"""The layers that forget: the functions that they are, the classic form, schedules, errors."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import nn

X = np.random.default_rng(0).normal(size=(6, 4, 5)).astype(np.float32)


# Layers, and the functions that they are.
FUNCTIONS = [
    (nn.DropPath(0.4, sd.Stream(3)), lambda x, s: sd.drop_path(x, 0.4, rng=s)),
    (
        nn.Transform(sd.drop_path, 0.4, stream=sd.Stream(3), scale=False),
        lambda x, s: sd.drop_path(x, 0.4, rng=s, scale=False),
    ),
    (nn.DropBlock(0.4, 2, sd.Stream(3)), lambda x, s: sd.drop_block(x, 0.4, 2, rng=s)),
    (
        nn.DropBlock(0.4, 2, sd.Stream(3), shared_axes=0),
        lambda x, s: sd.drop_block(x, 0.4, 2, rng=s, shared_axes=0),
    ),
    (
        nn.LockedDropout(0.4, sd.Stream(3), time_axis=1),
        lambda x, s: sd.locked_dropout(x, 0.4, time_axis=1, rng=s),
    ),
    (nn.AlphaDropout(0.4, sd.Stream(3)), lambda x, s: sd.alpha_dropout(x, 0.4, rng=s)),
    (
        nn.AlphaDropout(0.4, sd.Stream(3), shared_axes=1),
        lambda x, s: sd.alpha_dropout(x, 0.4, rng=s, shared_axes=1),
    ),
    (nn.GaussianDropout(0.4, sd.Stream(3)), lambda x, s: sd.gaussian_dropout(x, 0.4, rng=s)),
    (nn.GaussianNoise(0.4, sd.Stream(3)), lambda x, s: sd.gaussian_noise(x, 0.4, rng=s)),
    (
        nn.Transform(sd.dropout, 0.4, stream=sd.Stream(3), scale=False),
        lambda x, s: sd.dropout(x, 0.4, rng=s, scale=False),
    ),
]


@pytest.mark.parametrize(
    ("layer", "function"), FUNCTIONS, ids=[repr(layer) for layer, _ in FUNCTIONS]
)
def test_layers_are_the_librarys_functions(layer, function):
    stream = sd.Stream(3)
    for draw in (1, 2):
        y, mask = function(X, stream)
        np.testing.assert_array_equal(layer(X), y)
        np.testing.assert_array_equal(layer.backward(X), mask.backward(X))
        assert layer.stream.draw == draw
    assert layer.eval()(X) is X
    assert layer.stream.draw == 2
    copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    y = layer.train()(X)
    for other in copies:
        np.testing.assert_array_equal(other.train()(X), y)
        assert repr(other) == repr(layer)


@pytest.mark.parametrize("shared_axes", [(), (0,), [1], (-1,)])
def test_dropout_is_that_of_the_library(shared_axes):
    layer = nn.Dropout(0.3, sd.Stream(0), shared_axes=shared_axes)
    x, dy = np.random.default_rng(0).normal(size=(2, 50, 40)).astype(np.float32)
    mask = sd.Stream(0).mask(x.shape, 0.3, shared_axes=tuple(shared_axes))
    assert np.array_equal(layer(x), mask.apply(x))
    assert np.array_equal(layer.backward(dy), mask.backward(dy))
    assert layer.stream.draw == 1


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


def test_names():
    assert repr(nn.DropPath(0.4)) == "DropPath(0.4)"
    assert repr(nn.DropBlock(0.4, 2)) == "DropBlock(0.4, 2)"
    assert repr(nn.DropPath(0.4, inverted=False)) == "DropPath(0.4, inverted=False)"
    assert repr(nn.DropBlock(0.4, 2, inverted=False)) == "DropBlock(0.4, 2, inverted=False)"
    assert repr(nn.LockedDropout(0.4)) == "LockedDropout(0.4, time_axis=0)"
    assert repr(nn.Transform(sd.drop_path, 0.4)) == "Transform(drop_path, 0.4)"
    assert repr(nn.Dropout(0.5, inverted=False)) == "Dropout(p=0.5, inverted=False)"
    schedule = sd.schedule.linear(0, 0.5, 10)
    assert repr(nn.Dropout(schedule)) == "Dropout(p=linear(start=0, end=0.5, steps=10))"
    layer = nn.DropConnect(3, 2, 0.5, rng=0, per_sample=True)
    assert repr(layer) == "DropConnect(3, 2, p=0.5, per_sample=True)"
    layer = nn.DropConnect(3, 2, 0.5, rng=0, inverted=False)
    assert repr(layer) == "DropConnect(3, 2, p=0.5, inverted=False)"
    units = nn.Units(3, 0.5, inverted=False)
    assert repr(nn.KeptInputs(units)) == "KeptInputs(3, p=0.5, inverted=False)"
    assert repr(nn.BatchwiseDense(units, units, rng=0)) == (
        "BatchwiseDense(3, 3, p=0.5, activation='relu', inverted=False)"
    )


# --- The classic form ---


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_the_classic_form_masks_in_training_and_scales_at_inference(p, seed):
    layer = nn.Dropout(p, sd.Stream(seed), inverted=False)
    y, mask = sd.dropout(X, p, rng=seed, scale=False)
    np.testing.assert_array_equal(layer(X), y)
    np.testing.assert_array_equal(layer.backward(X), mask.backward(X))
    layer.eval()
    np.testing.assert_array_equal(layer(X), X * np.float32(1 - p))
    np.testing.assert_array_equal(layer.backward(X), X * np.float32(1 - p))
    assert layer.stream.draw == 1


def test_the_classic_forms_mean_in_training_is_its_output_in_evaluation():
    """E[y] = (1 - p) x and Var[y] = p (1 - p) x**2."""
    n, p = 10_000_000, 0.3
    layer = nn.Dropout(p, sd.Stream(0), inverted=False)
    x = np.full((n, 1), 2, np.float32)
    y, mean = layer(x).astype(np.float64), layer.eval()(x[:1])[0, 0]
    variance = p * (1 - p) * 4
    assert abs(y.mean() - mean) < 5 * (variance / n) ** 0.5
    assert abs(y.var() / variance - 1) < 0.003


def test_a_classic_net_is_the_inverted_one_with_other_weights():
    """Dividing the weights behind each dropout by 1 - p gives the same outputs."""
    p, p_input = 0.5, 0.25  # divided by and multiplied with exactly
    sizes, x = (5, 6, 4, 3), X.reshape(-1, 5).astype(np.float64)
    inverted, classic = (
        nn.MLP(sizes, p=p, p_input=p_input, inverted=form, rng=0, dtype=np.float64)
        for form in (True, False)
    )
    linears = [layer for layer in classic.layers if isinstance(layer, nn.Weighted)]
    for i, layer in enumerate(linears):
        layer.weight.value /= 1 - (p if i else p_input)
    for mode in (True, False):
        a, b = inverted.train(mode)(x), classic.train(mode)(x)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert "inverted=False" in repr(classic) and "inverted" not in repr(inverted)


# --- Both forms in every layer that drops ---


def draws_until_seen(layer, x, masks):
    """Outputs in training by what was kept, until each of 2**k masks was seen."""
    seen = {}
    while len(seen) < masks:
        y = layer(x)
        seen.setdefault((y != 0).tobytes(), y)
        assert layer.stream.draw < 3000
    return seen.values()


P = 0.3
forms = pytest.mark.parametrize("inverted", [True, False])


@forms
@pytest.mark.parametrize(
    ("make", "shape", "decisions"),
    [
        (nn.Dropout, (2, 2), 4),
        (lambda p, s, **o: nn.Dropout(p, s, shared_axes=(0,), **o), (3, 2), 2),
        (nn.DropPath, (3, 2), 3),
        (nn.LockedDropout, (3, 2, 2), 4),
        (lambda p, s, **o: nn.LockedDropout(p, s, time_axis=1, **o), (2, 3, 2), 4),
        (lambda p, s, **o: nn.DropBlock(p, 1, s, **o), (2, 2), 4),
    ],
)
def test_the_mean_over_all_masks_is_the_output_in_evaluation(make, shape, decisions, inverted):
    """Each mask once, with its probability, so that the mean is exact; DropBlock's factor, of how
    many elements a mask keeps, is for the mean of all elements: next test."""
    layer = make(P, sd.Stream(0), inverted=inverted)
    x = np.random.default_rng(1).uniform(1, 2, shape)
    expected = layer.eval()(x)
    np.testing.assert_allclose(expected, x if inverted else (1 - P) * x, rtol=1e-15)
    assert layer.stream.draw == 0
    total = weight = 0
    for y in draws_until_seen(layer.train(), x, 2**decisions):
        dropped = decisions * np.mean(y == 0)
        probability = P**dropped * (1 - P) ** (decisions - dropped)
        if isinstance(layer, nn.DropBlock) and inverted:
            y = y * np.mean(y != 0) / (1 - P)
        total, weight = total + probability * y, weight + probability
    assert weight == pytest.approx(1)
    np.testing.assert_allclose(total, expected, rtol=1e-12)


@pytest.mark.parametrize(("shape", "size"), [((3, 4), 2), ((4, 3), 3), ((2, 5), 1), ((3, 3), 3)])
def test_drop_block_in_evaluation_is_the_mean_over_all_corners(shape, size):
    """Of elements that blocks keep with a probability of their own: each set of corners once."""
    x = np.random.default_rng(1).uniform(1, 2, shape)
    rows, columns = shape[0] - size + 1, shape[1] - size + 1
    gamma = P / size**2 * shape[0] * shape[1] / (rows * columns)
    total = np.zeros(shape)
    for begins in itertools.product([False, True], repeat=rows * columns):
        keep, probability = np.ones(shape), 1.0
        for (i, j), begin in zip(np.ndindex(rows, columns), begins, strict=True):
            probability *= gamma if begin else 1 - gamma
            if begin:
                keep[i : i + size, j : j + size] = 0
        total += probability * keep * x
    layer = nn.DropBlock(P, size, sd.Stream(0), inverted=False)
    np.testing.assert_allclose(layer.eval()(x), total, rtol=1e-12)
    np.testing.assert_allclose(layer.backward(x), total, rtol=1e-12)
    images = np.broadcast_to(x, (2, 3, *shape))
    np.testing.assert_allclose(layer(images), np.broadcast_to(total, images.shape), rtol=1e-12)
    y = layer.train()(images)  # and what is kept, training leaves as it is
    assert np.array_equal(y[y != 0], images[y != 0]) and layer.stream.draw == 1


def test_inverted_drop_block_keeps_the_mean_of_all_elements():
    layer = nn.DropBlock(P, 2, sd.Stream(0))
    for _ in range(20):
        y = layer(np.ones((2, 5, 6)))
        assert y.mean() == pytest.approx(1) or not y.any()


@forms
@pytest.mark.parametrize("per_sample", [True, False])
def test_the_mean_of_drop_connect_is_its_output_in_evaluation(per_sample, inverted):
    """All 16 masks of 4 weights."""
    layer = nn.DropConnect(
        2, 2, P, sd.Stream(0), rng=0, dtype=np.float64, per_sample=per_sample, inverted=inverted
    )
    layer.weight.value[:] = [[1, 2], [4, 8]]
    layer.bias.value[:] = 0.5, 0.25
    x = np.array([[1.0, 3.0]])
    expected = layer.eval()(x)
    W = layer.weight.value * (1 if inverted else 1 - P)
    np.testing.assert_allclose(expected, x @ W + layer.bias.value, rtol=1e-15)
    layer.train()
    seen = {}
    while len(seen) < 16:
        y = layer(x)
        layer.backward(np.ones((1, 2)))  # a dropped weight has no gradient
        seen[layer.weight.grad.tobytes()] = y, layer.weight.grad != 0
        assert layer.stream.draw < 3000
    probability = [P ** (~kept).sum() * (1 - P) ** kept.sum() for _, kept in seen.values()]
    assert sum(probability) == pytest.approx(1)
    mean = sum(q * y for q, (y, _) in zip(probability, seen.values(), strict=True))
    np.testing.assert_allclose(mean, expected, rtol=1e-12)


@forms
@pytest.mark.parametrize("kind", ["dense", "batchwise"])
def test_the_mean_of_a_hidden_layer_is_its_output_in_evaluation(kind, inverted):
    stream = sd.Stream(0)
    options = {"activation": "sigmoid", "dtype": np.float64, "rng": 0}
    if kind == "dense":
        layers = [nn.Dense(2, 4, P, stream, inverted=inverted, **options)]
    else:
        units = nn.Units(4, P, stream, inverted=inverted)
        first = nn.BatchwiseDense(nn.Units(2, 0.0, stream), units, **options)
        last = nn.BatchwiseDense(units, 4, activation="identity", dtype=np.float64, rng=0)
        last.weight.value[:] = np.eye(4)
        layers = [first, last]
    net = nn.Network(layers, nn.SquaredError)
    x = np.array([[1.0, -2.0]])
    expected = net.eval()(x)
    net.train()
    seen = {}
    while len(seen) < 16:
        y = net(x)
        seen[(y != 0).tobytes()] = y
        assert stream.draw < 6000
    total = sum(P ** (y == 0).sum() * (1 - P) ** (y != 0).sum() * y for y in seen.values())
    np.testing.assert_allclose(total, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        nn.Dropout,
        nn.DropPath,
        nn.LockedDropout,
        lambda p, **o: nn.DropBlock(p, 2, **o),
        lambda p, **o: nn.DropConnect(5, 3, p, rng=0, **o),
        lambda p, **o: nn.Dense(5, 3, p, rng=0, **o),
    ],
)
def test_layers_have_one_knob(make):
    """`scale` is of the functions; of layers it would leave out the factor of evaluation."""
    with pytest.raises(TypeError, match="scale"):
        make(0.5, scale=False)
    assert make(0.5, inverted=False).inverted is False and make(0.5).inverted is True


def test_the_classic_form_follows_a_schedule_in_every_layer():
    schedule = sd.schedule.linear(0, 1, 4)
    x = X[0].astype(np.float64)
    for make in (nn.Dropout, nn.DropPath, nn.LockedDropout, lambda p, **o: nn.DropBlock(p, 1, **o)):
        layer = make(schedule, inverted=False).eval()
        for step in range(5):
            np.testing.assert_allclose(layer(x), (1 - step / 4) * x, rtol=1e-12)
            layer.advance()
    layer = nn.DropConnect(5, 3, schedule, rng=0, dtype=np.float64, inverted=False).eval()
    for step in range(5):
        np.testing.assert_allclose(layer(x), (1 - step / 4) * x @ layer.weight.value, rtol=1e-12)
        layer.advance()


@pytest.mark.parametrize("mode", [True, False])
def test_the_classic_form_refuses_in_evaluation_what_it_does_in_training(mode):
    layer = nn.DropBlock(0.5, 9, inverted=False).train(mode)
    with pytest.raises(ValueError, match="block_size = 9"):
        layer(X)
    with pytest.raises(ValueError, match="last two axes"):
        layer(X[0, 0])
    integers = nn.Dropout(0.5, inverted=False).eval()
    with pytest.raises(TypeError, match="cannot be multiplied"):
        integers(np.ones((2, 2), int))  # all zeros, where 1 - p is rounded


@forms
@pytest.mark.parametrize(
    "make",
    [
        lambda s, **o: nn.Dropout(0.4, s, **o),
        lambda s, **o: nn.DropPath(0.4, s, **o),
        lambda s, **o: nn.LockedDropout(0.4, s, **o),
        lambda s, **o: nn.DropBlock(0.4, 2, s, **o),
        lambda s, **o: nn.DropConnect(5, 5, 0.4, s, rng=0, dtype=np.float64, **o),
        lambda s, **o: nn.Dense(5, 5, 0.4, s, rng=0, dtype=np.float64, **o),
    ],
)
def test_predict_mc_draws_as_training_does_in_both_forms(make, inverted):
    stream, x = sd.Stream(4), np.random.default_rng(2).normal(size=(8, 5))
    last = nn.Linear(5, 2, rng=1, dtype=np.float64)
    net = nn.Network([make(stream, inverted=inverted), last], nn.SquaredError)
    stream.state = sd.Stream(9).state
    passes = [net(x) for _ in range(4)]
    found = net.eval().predict_mc(x, 4, rng=9, samples=True)
    np.testing.assert_allclose(found.samples, passes, rtol=1e-12, atol=1e-14)
    assert found.std.max() > 0


# --- DropConnect ---


@pytest.mark.parametrize("per_sample", [True, False])
def test_drop_connect_layer(per_sample):
    x = X.reshape(-1, 5)
    layer = nn.DropConnect(5, 3, 0.4, sd.Stream(2), per_sample=per_sample, rng=1)
    layer.bias.value[:] = 1, 2, 3
    W = layer.weight.value
    assert np.array_equal(W, nn.Linear(5, 3, rng=1).weight.value)
    shape = (len(x), 5, 3) if per_sample else (5, 3)
    masked = sd.Stream(2).mask(shape, 0.4).apply(np.broadcast_to(W, shape))
    expected = np.einsum("bi,bij->bj", x, np.broadcast_to(masked, (len(x), 5, 3))) + [1, 2, 3]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.eval()(x), x @ W + [1, 2, 3], rtol=1e-5, atol=1e-5)
    assert layer.stream.draw == 1


@pytest.mark.parametrize("per_sample", [True, False])
def test_a_net_of_drop_connect_learns(per_sample):
    """Bugs elsewhere: dropped weights silently lost their effect, or their gradient."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8)).astype(np.float32)
    labels = (x @ rng.normal(size=(8, 3))).argmax(axis=1)
    layers = [
        nn.DropConnect(8, 20, 0.2, sd.Stream(0), per_sample=per_sample, rng=1),
        nn.ReLU(),
        nn.Linear(20, 3, rng=2, activation="identity"),
    ]
    net = nn.Network(layers, nn.SoftmaxCrossEntropy)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    assert net.error(x, labels) > 0.4
    before = net.loss(x, labels)
    for _ in range(60):
        net.train_step(x, labels, optimizer)
    assert net.error(x, labels) < 0.1 and net.loss(x, labels) < before
    layer = net.layers[0]
    assert (nn.Network([layer], nn.SquaredError)(x) != net.eval().layers[0](x)).any()


# --- Schedules ---


def test_p_follows_the_steps_of_training():
    schedules = sd.schedule.linear(0.0, 1.0, 4), sd.schedule.curriculum(0.3, 1.0)
    net = nn.MLP((5, 6, 2), p=schedules[0], p_input=schedules[1], rng=0)
    inputs, hidden, _ = net.layers
    optimizer = nn.SGD(net.parameters(), 0.1)
    x, y = X.reshape(-1, 5), np.zeros(24, int)
    for step in range(6):
        p, p_input = (schedule(step) for schedule in schedules)
        for _ in range(2):  # a pass alone is no step
            net(x)
            expected, _ = sd.dropout(x, p_input, rng=copy.copy(net.stream))
            np.testing.assert_array_equal(inputs(x), expected)
            same = nn.Dense(5, 6, p, rng=0)
            same.weight, same.bias = hidden.weight, hidden.bias
            same.stream = copy.copy(net.stream)
            np.testing.assert_array_equal(hidden(x), same(x))
        net.predict(x)
        assert hidden.steps == step == optimizer.steps
        net.train_step(x, y, optimizer)
    net.advance()
    for one in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [layer.steps for layer in one.layers] == [7, 7, 7]


@pytest.mark.parametrize(
    "make", [nn.DropPath, nn.LockedDropout, lambda p, s: nn.DropBlock(p, 1, s), nn.Dropout]
)
def test_every_layer_takes_a_schedule(make):
    layer, again = make(sd.schedule.linear(0, 1, 2), sd.Stream(0)), make(0.5, sd.Stream(0))
    assert layer(X) is X
    layer.advance()
    again(X)
    np.testing.assert_array_equal(layer(X), again(X))
    layer.advance()
    assert not layer(X).any()


def test_the_classic_form_scales_by_the_step_that_it_is_at():
    layer = nn.Dropout(sd.schedule.linear(0, 1, 4), inverted=False).eval()
    assert np.array_equal(layer(X), X)
    layer.advance()
    np.testing.assert_array_equal(layer(X), X * np.float32(0.75))


# --- What is refused ---


@pytest.mark.parametrize(
    "make",
    [
        nn.Dropout,
        nn.DropPath,
        nn.LockedDropout,
        lambda p, stream=None: nn.DropBlock(p, 2, stream),
        lambda p, stream=None: nn.DropConnect(3, 2, p, stream, rng=0),
    ],
)
def test_layers_refuse(make):
    for p in (-0.1, 1.1, np.nan, lambda step: 2):
        with pytest.raises(ValueError, match="the probability of dropping must be"):
            make(p)
    for stream in (0, "0", np.random.default_rng(0)):
        with pytest.raises(TypeError, match="stream must be a simdrop.Stream or None"):
            make(0.5, stream)
    assert make(0.5).stream is None


@pytest.mark.parametrize("layer", [nn.AlphaDropout, nn.GaussianDropout, nn.GaussianNoise])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_noise_layers_refuse(layer, value):
    with pytest.raises(ValueError, match=r"-0\.1|nan|inf"):
        layer(value)


def test_gaussian_dropout_layer_refuses_p_1():
    with pytest.raises(ValueError, match="p = 1"):
        nn.GaussianDropout(1)


@pytest.mark.parametrize("p", [-1e-9, 1.0000001, math.inf, math.nan])
def test_dropout_refuses_p(p):
    with pytest.raises(ValueError, match=rf"p = {p!r}, but .* must be in \[0, 1\]"):
        nn.Dropout(p, sd.Stream())
