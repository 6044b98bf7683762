"""The losses by hand and at extremes, sample weights, and identity as an activation."""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simdrop import nn
from simdrop.nn.activations import log_sigmoid, log_softmax, sigmoid
from simdrop.nn.losses import LOSSES

every_loss = pytest.mark.parametrize("loss", LOSSES)
floats = st.floats(-30, 30)


def targets_for(loss, rng, batch, n_out):
    if loss == "cross_entropy":
        return rng.integers(0, n_out, batch)
    if loss == "binary_cross_entropy":
        return rng.uniform(size=(batch, n_out))
    if loss == "poisson":
        return rng.poisson(1.5, (batch, n_out))
    return rng.normal(size=(batch, n_out))


def gradients(net, x, y, weight=None):
    loss = net.loss(x, y, weight)
    net.backward()
    return loss, [p.grad.copy() for p in net.parameters()]


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_delta_is_the_derivative_of_fn(loss, weighted):
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(6, 4)), targets_for(loss, rng, 6, 4)
    share = rng.dirichlet(np.ones(6)) if weighted else None
    expected, step = np.empty_like(output), 1e-6
    for i in np.ndindex(output.shape):
        shifted = [output.copy(), output.copy()]
        shifted[0][i] += step
        shifted[1][i] -= step
        above, below = (LOSSES[loss].fn(o, target, share) for o in shifted)
        expected[i] = (above - below) / (2 * step)
    assert np.allclose(LOSSES[loss].delta(output, target, share), expected, rtol=1e-6, atol=1e-9)


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_delta_has_the_dtype_of_the_output(loss, dtype):
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(6, 4)).astype(dtype), targets_for(loss, rng, 6, 4)
    for share in (None, np.full(6, 1 / 6)):
        assert LOSSES[loss].delta(output, target, share).dtype == dtype


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


def test_binary_cross_entropy_by_hand():
    """sigmoid(log 3) = 3/4, sigmoid(0) = 1/2."""
    output = np.array([[math.log(3), 0], [math.log(3), math.log(3)]])
    target = np.array([[True, False], [False, True]])
    loss = nn.BinaryCrossEntropy.fn(output, target)
    assert math.isclose(loss, (math.log(4 / 3) + math.log(2) + math.log(4) + math.log(4 / 3)) / 2)
    delta = nn.BinaryCrossEntropy.delta(output, target)
    assert np.allclose(delta, [[-1 / 8, 1 / 4], [3 / 8, -1 / 8]], rtol=1e-14)
    assert nn.BinaryCrossEntropy.predict(output).tolist() == [[1, 0], [1, 1]]


@given(hnp.arrays(np.float64, (5, 1), elements=floats), hnp.arrays(bool, (5, 1)))
def test_binary_cross_entropy_is_cross_entropy_of_two_classes(output, target):
    two, labels = np.hstack([np.zeros_like(output), output]), target[:, 0].astype(int)
    expected = nn.SoftmaxCrossEntropy.fn(two, labels)
    assert math.isclose(nn.BinaryCrossEntropy.fn(output, target), expected, abs_tol=1e-12)
    delta = nn.SoftmaxCrossEntropy.delta(two, labels)[:, 1:]
    assert np.allclose(nn.BinaryCrossEntropy.delta(output, target), delta, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoids_of_extreme_outputs(dtype):
    output = np.array([[-1e30, -1e4, 0, 1e4, 1e30]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert sigmoid(output).tolist() == [[0, 0, 0.5, 1, 1]]
        assert log_sigmoid(output).tolist() == [[-dtype(1e30), -1e4, dtype(-math.log(2)), 0, 0]]
        loss = nn.BinaryCrossEntropy.fn(output, np.array([[0, 0, 1, 1, 1]]))
    assert math.isclose(loss, math.log(2), rel_tol=1e-6)
    assert sigmoid(output).dtype == log_sigmoid(output).dtype == dtype


@given(st.floats(-700, 700))
def test_sigmoids_are_precise(o):
    s, log_s = sigmoid(np.array([o]))[0], log_sigmoid(np.array([o]))[0]
    exact = 1 / (1 + math.exp(-o)) if o > 0 else math.exp(o) / (1 + math.exp(o))
    assert math.isclose(s, exact, rel_tol=1e-14)
    assert math.isclose(math.exp(log_s), exact, rel_tol=1e-12)


def test_poisson_by_hand():
    output, target = np.array([[0.0, math.log(2)], [1.0, 0.0]]), np.array([[0, 2], [3, 1]])
    first, second = 1 + 0, (math.e - 3 + 3 * math.log(3) - 3) + 0
    assert math.isclose(nn.Poisson.fn(output, target), (first + second) / 2)
    assert np.allclose(nn.Poisson.delta(output, target), [[0.5, 0], [(math.e - 3) / 2, 0]])
    assert np.allclose(nn.Poisson.predict(output), [[1, 2], [math.e, 1]])


@given(hnp.arrays(np.float64, (4, 2), elements=st.floats(-5, 5)), st.integers(0, 2**32))
def test_losses_are_not_negative_and_zero_at_the_target(output, seed):
    rng = np.random.default_rng(seed)
    for loss in LOSSES:
        assert LOSSES[loss].fn(output, targets_for(loss, rng, 4, 2)) >= -1e-14
    assert abs(nn.Poisson.fn(output, np.exp(output))) < 1e-10
    assert nn.SquaredError.fn(output, output) == 0


@pytest.mark.parametrize(
    ("criterion", "target", "message"),
    [
        (nn.BinaryCrossEntropy, np.zeros(3), r"targets must be \(3, 2\), got \(3,\)"),
        (nn.BinaryCrossEntropy, np.full((3, 2), 1.5), r"targets must be in \[0, 1\], got 1.5"),
        (nn.BinaryCrossEntropy, np.full((3, 2), -1), "got -1"),
        (nn.BinaryCrossEntropy, np.full((3, 2), np.nan), "got nan"),
        (nn.Poisson, np.zeros((2, 2)), r"targets must be \(3, 2\), got \(2, 2\)"),
        (nn.Poisson, np.full((3, 2), -0.5), "targets must not be negative, got -0.5"),
        (nn.Poisson, np.full((3, 2), np.nan), "got nan"),
    ],
)
def test_losses_refuse(criterion, target, message):
    with pytest.raises(ValueError, match=message):
        criterion.check(target, 3, 2)


# --- Sample weights ---


@every_loss
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=8).filter(any),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**32),
)
def test_a_weight_of_k_is_k_equal_rows(loss, counts, factor, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(len(counts), 5)), targets_for(loss, rng, len(counts), 3)
    net = nn.MLP((5, 4, 3), activation="tanh", p=0, p_input=0, loss=loss, rng=1, dtype=np.float64)
    weighted, weighted_gradients = gradients(net, x, y, factor * np.array(counts))
    repeated, repeated_gradients = gradients(net, x.repeat(counts, 0), y.repeat(counts, 0))
    assert math.isclose(weighted, repeated, rel_tol=1e-12)
    for a, b in zip(weighted_gradients, repeated_gradients, strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-13)


@every_loss
def test_equal_weights_are_no_weights(loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 5)), targets_for(loss, rng, 9, 3)
    net = nn.MLP((5, 4, 3), loss=loss, rng=1).eval()
    plain, plain_gradients = gradients(net, x, y)
    weighted, weighted_gradients = gradients(net, x, y, [1e308] * 9)
    assert math.isclose(plain, weighted, rel_tol=1e-6)
    for a, b in zip(plain_gradients, weighted_gradients, strict=True):
        assert a.dtype == b.dtype == np.float32
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_train_step_takes_weights():
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(9, 5)), rng.integers(0, 3, 9), rng.uniform(size=9)
    net, other = (nn.MLP((5, 4, 3), rng=1) for _ in range(2))
    loss, expected = gradients(other, x, y, weight)
    assert net.train_step(x, y, nn.SGD(net.parameters(), 0.1), weight) == loss
    for p, grad in zip(net.parameters(), expected, strict=True):
        assert np.array_equal(p.grad, grad)
    assert loss != gradients(other.eval(), x, y)[0]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2], r"sample_weight must be \(3,\), got \(2,\)"),
        ([[1], [2], [3]], r"got \(3, 1\)"),
        (1, r"got \(\)"),
        ([1, -1, 2], "sample_weight must be finite and not negative, got -1"),
        ([1, np.nan, 2], "got nan"),
        ([1, np.inf, 2], "got inf"),
        ([0, 0, 0], "sample_weight is zero for all rows"),
    ],
)
def test_weights_are_refused_before_a_draw_is_taken(weight, message):
    net = nn.MLP((5, 4, 3), rng=1)
    with pytest.raises(ValueError, match=message):
        net.loss(np.ones((3, 5)), [0, 1, 2], weight)
    assert net.stream.draw == 0


# --- The net ---


def test_identity():
    layer, x = nn.Identity(), np.ones((2, 3))
    with pytest.raises(RuntimeError, match="needs the layer called"):
        layer.backward(x)
    assert layer(x) is x
    assert layer.backward(x) is x


def test_a_net_of_identities_is_a_product():
    net = nn.MLP((5, 4, 3), activation="identity", rng=0, dtype=np.float64).eval()
    x = np.random.default_rng(0).normal(size=(6, 5))
    w0, b0, w1, b1 = (p.value for p in net.parameters())
    assert np.allclose(net(x), x @ (w0 @ w1) + b0 @ w1 + b1, rtol=1e-12)
    assert np.abs(w0).max() <= math.sqrt(6 / 9)


def test_error_of_several_labels():
    net = nn.MLP((2, 2), p_input=0, loss="binary_cross_entropy", rng=0, dtype=np.float64)
    net.parameters()[0].value[:] = np.eye(2)
    x = np.array([[1, -1], [-1, 1]])
    assert net.predict(x).tolist() == [[1, 0], [0, 1]]
    assert net.error(x, [[1, 0], [0, 1]]) == 0
    assert net.error(x, [[1, 0], [1, 0]]) == 0.5
    with pytest.raises(ValueError, match="Poisson has no labels"):
        nn.MLP((2, 2), loss="poisson").error(x, [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_a_copy_holds_no_batch(duplicate):
    net = nn.MLP((5, 4, 3), rng=1)
    net.loss(np.ones((100, 5)), np.zeros(100, int))
    fresh = nn.MLP((5, 4, 3), rng=1)
    fresh.stream.state = net.stream.state
    other = duplicate(net)
    with pytest.raises(RuntimeError, match="needs loss"):
        other.backward()
    assert len(pickle.dumps(net)) == len(pickle.dumps(fresh))
    net.backward()
