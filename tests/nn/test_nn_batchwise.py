"""Batchwise dropout against the same net in plain NumPy with the masks of its draws; that what is
dropped is left alone; the optimizers on parts."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import nn, submatrix

SIZES = (7, 6, 5, 4)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 7)), RNG.integers(0, 4, 9)


def make_net(**options):
    options = {"p": 0.5, "p_input": 0.2, "dropout": "batchwise", "rng": 0} | options
    net = nn.MLP(SIZES, dtype=np.float64, **options)
    for parameter in net.parameters():
        if parameter.kind == "bias":
            parameter.value[:] = np.linspace(-0.2, 0.3, parameter.value.size)
    return net


def masks_of(net, p, p_input, scale=True):
    """The masks that the next pass draws, as factors, a row for each layer."""
    stream = copy.deepcopy(net.stream)
    return [
        stream.mask((n,), p if i else p_input, scale=scale).apply(np.ones(n))
        for i, n in enumerate(SIZES[:-1])
    ]


def plain_output(net, x, factors):
    """The net in NumPy: whole matrices, and masks that are multiplied."""
    values = [p.value for p in net.parameters()]
    for i, factor in enumerate(factors):
        x = x * factor @ values[2 * i] + values[2 * i + 1]
        if i < len(factors) - 1:
            x = np.maximum(x, 0)
    return x


probabilities = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])


@given(p=probabilities, p_input=probabilities, seed=st.integers(0, 1000), inverted=st.booleans())
def test_a_pass_is_that_of_the_whole_matrices_with_masks(p, p_input, seed, inverted):
    net = make_net(p=p, p_input=p_input, rng=seed, inverted=inverted)
    factors = masks_of(net, p, p_input, scale=inverted)
    np.testing.assert_allclose(net(X), plain_output(net, X, factors), rtol=1e-12, atol=1e-14)
    assert net.stream.draw == 3
    net.eval()
    factors = [1.0 if inverted else 1 - q for q in (p_input, p, p)]
    np.testing.assert_allclose(net(X), plain_output(net, X, factors), rtol=1e-12, atol=1e-14)
    assert net.stream.draw == 3


@given(seed=st.integers(0, 1000), optimizer=st.sampled_from(["sgd", "nesterov", "adam"]))
def test_what_is_dropped_is_left_alone(seed, optimizer):
    net = make_net(rng=seed)
    made = {
        "sgd": lambda p: nn.SGD(p, 0.1, momentum=0.9, l2=0.01, l1=0.001),
        "nesterov": lambda p: nn.SGD(p, 0.1, momentum=0.9, nesterov=True),
        "adam": lambda p: nn.Adam(p, 0.1, l2=0.01),
    }[optimizer](net.parameters())
    for state in made.state:
        for array in state:
            array[:] = 0.25
    before = copy.deepcopy((net.parameters(), made.state))
    kept = [*(factor != 0 for factor in masks_of(net, 0.5, 0.2)), np.ones(4, bool)]
    net.train_step(X, Y, made)
    for i, (now, old) in enumerate(zip(net.parameters(), before[0], strict=True)):
        rows, columns = kept[i // 2], kept[i // 2 + 1]
        part = np.outer(rows, columns) if now.kind == "weight" else columns
        assert np.array_equal(now.value != old.value, part)
        assert not now.whole_grad()[~part].any()
        for array in made.state[i]:
            assert np.array_equal(array != 0.25, part)


def test_the_mean_over_draws_is_the_output_in_evaluation():
    """Of a net without hidden units, which is linear in its mask."""
    net = nn.MLP((7, 4), p_input=0.3, dropout="batchwise", rng=0, dtype=np.float64)
    n = 20_000
    outputs = np.array([net(X) for _ in range(n)])
    exact = net.eval()(X)
    error = outputs.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(outputs.mean(axis=0) - exact) < 5 * error)


def test_all_rows_share_the_decisions():
    net = nn.MLP((50, 4), p_input=0.5, dropout="batchwise", rng=0, dtype=np.float64)
    rows = net(np.repeat(RNG.normal(size=(1, 50)), 8, axis=0))
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), rtol=1e-12)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_trains_on_as_the_original_would(duplicate):
    nets = [make_net()]
    nets[0].train_step(X, Y, nn.SGD(nets[0].parameters(), 0.1))
    nets.append(duplicate(nets[0]))
    for net in nets:
        optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in range(5):
            net.train_step(X, Y, optimizer)
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        assert np.array_equal(a.value, b.value)


def test_p_follows_the_steps_of_training():
    net = make_net(p=sd.schedule.linear(0.0, 1.0, 4), p_input=0.0)
    optimizer = nn.SGD(net.parameters(), 0.01)
    for step in range(6):
        net.loss(X, Y)
        p = min(step / 4, 1)
        assert net.layers[2].units_in.factor == (1 / (1 - p) if p < 1 else 0)
        net.train_step(X, Y, optimizer)
    assert all(layer.steps == 6 for layer in net.layers)


@pytest.mark.parametrize("kind", ["elementwise", "batchwise"])
def test_learns_handwritten_digits(kind):
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x, train, test = x / 16, slice(0, 1200), slice(1200, None)
    net = nn.MLP((64, 128, 128, 10), p=0.3, p_input=0.1, dropout=kind, rng=0)
    optimizer = nn.Adam(net.parameters(), 0.002, max_norm=4)
    order = np.random.default_rng(0)
    for _ in range(25):
        for batch in np.array_split(order.permutation(1200), 30):
            net.train_step(x[train][batch], y[train][batch], optimizer)
    assert net.error(x[test], y[test]) < 0.09
    assert net.error(x[train], y[train]) < 0.03


# --- Optimizers ---


def test_adam_and_penalties_against_the_formula():
    rng = np.random.default_rng(0)
    parameters = [
        nn.Parameter(rng.normal(size=(30, 20)), "weight"),
        nn.Parameter(rng.normal(size=20), "bias"),
    ]
    optimizer = nn.Adam(parameters, 0.1, beta1=0.8, beta2=0.95, eps=1e-6, l2=0.1, l1=0.01)
    values = [p.value.copy() for p in parameters]
    means, squares = ([np.zeros_like(v) for v in values] for _ in range(2))
    for step in range(1, 6):
        for i, p in enumerate(parameters):
            p.grad[:] = rng.normal(size=p.grad.shape)
            g = p.grad + (0.1 * values[i] + 0.01 * np.sign(values[i]) if i == 0 else 0)
            means[i] = 0.8 * means[i] + 0.2 * g
            squares[i] = 0.95 * squares[i] + 0.05 * g * g
            mean, square = means[i] / (1 - 0.8**step), squares[i] / (1 - 0.95**step)
            values[i] = values[i] - 0.1 * mean / (np.sqrt(square) + 1e-6)
        optimizer.step()
    for p, value in zip(parameters, values, strict=True):
        np.testing.assert_allclose(p.value, value, rtol=1e-12)


def test_max_norm_of_a_part_bounds_whole_columns():
    rng = np.random.default_rng(0)
    parameter = nn.Parameter(rng.normal(size=(300, 100)), "weight")
    rows, columns = (submatrix.Kept(sd.Stream(i).mask((n,), 0.5)) for i, n in enumerate((300, 100)))
    parameter.take_part(rows, columns)[:] = rng.normal(size=(rows.count, columns.count))
    nn.SGD([parameter], 0.5, max_norm=1.5).step()
    np.testing.assert_allclose(np.linalg.norm(parameter.value, axis=0), 1.5, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (0, 3)])
def test_parameters_of_any_shape(shape):
    parameter = nn.Parameter(np.ones(shape), "bias")
    parameter.grad[...] = 2.0
    nn.SGD([parameter], 0.25).step()
    assert np.all(parameter.value == 0.5)
    assert np.array_equal(parameter.whole_grad(), np.full(shape, 2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1}, "lr must be at least 0"),
        ({"beta1": 1}, r"beta1 must be in \[0, 1\)"),
        ({"beta2": -0.1}, r"beta2 must be in \[0, 1\)"),
        ({"eps": 0}, "eps must be positive"),
        ({"l1": -1}, "l1 must be at least 0"),
        ({"max_norm": 0}, "max_norm must be positive"),
    ],
)
def test_adam_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.Adam([nn.Parameter(np.ones(2), "bias")], **arguments)


def test_the_kind_of_dropout_is_one_of_two():
    with pytest.raises(ValueError, match="dropout must be one of elementwise, batchwise, got 'no'"):
        make_net(dropout="no")


def test_repr():
    assert repr(make_net()) == "MLP(7-6-5-4, relu, p=0.5, p_input=0.2, dropout='batchwise')"
    assert str(make_net()) == (
        "MLP(\n    KeptInputs(7, p=0.2),\n    BatchwiseDense(7, 6, p=0.5, activation='relu'),\n"
        "    BatchwiseDense(6, 5, p=0.5, activation='relu'),\n"
        "    BatchwiseDense(5, 4, activation='identity'),\n)"
    )
