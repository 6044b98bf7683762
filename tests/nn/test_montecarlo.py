"""Monte-Carlo dropout against plain NumPy with the masks' keep(), the net's own passes, and the
exact average over all masks."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import every_activation

import simdrop as sd
from simdrop import nn
from simdrop.nn import montecarlo, prediction
from simdrop.nn.activations import Identity
from simdrop.nn.losses import LOSSES

SIZES = (7, 6, 5, 4)
KINDS = ("elementwise", "batchwise")


def inputs(rows, seed=0, n_in=SIZES[0]):
    return np.random.default_rng(seed).normal(size=(rows, n_in))


def mlp(**options):
    net = nn.MLP(**{"sizes": SIZES, "rng": 5, "dtype": np.float64} | options)
    rng = np.random.default_rng(6)
    for parameter in net.parameters():
        parameter.value += 0.3 * rng.normal(size=parameter.value.shape)
    return net


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


EXPECTED = {
    "cross_entropy": softmax,
    "binary_cross_entropy": lambda output: 1 / (1 + np.exp(-output)),
    "squared_error": lambda output: output,
    "poisson": np.exp,
}
ENTROPY = {
    "cross_entropy": lambda p: -(p * np.log(p)).sum(axis=-1),
    "binary_cross_entropy": lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p),
}


def reference(net, x, n, rng, shared_axes, p=0.5, p_input=0.2, scale=True):
    """Logits (n, batch, n_out) of a relu net."""
    values = [parameter.value for parameter in net.parameters()]
    stream, samples = sd.Stream(rng), []

    def dropped(y, p):
        mask = stream.mask(y.shape, p, shared_axes=shared_axes, scale=scale)
        return np.where(mask.keep(), y * mask.scale, 0)

    for _ in range(n):
        y = dropped(x, p_input)
        for weight, bias in zip(values[:-2:2], values[1:-2:2], strict=True):
            y = dropped(np.maximum(y @ weight + bias, 0), p)
        samples.append(y @ values[-2] + values[-1])
    return np.array(samples)


def check_same(a, b, rtol=1e-10):
    for name in ("mean", "std"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol)
    if hasattr(a, "entropy"):
        np.testing.assert_allclose(
            a.mutual_information, b.mutual_information, rtol=rtol, atol=10 * rtol
        )


def cut(found, rows):
    """The same prediction for some of the rows."""
    mean, std, samples, *others = found._values()
    return nn.Prediction(
        mean[rows],
        std[rows],
        None if samples is None else samples[:, rows],
        *(None if array is None else array[rows] for array in others),
    )


every_kind = pytest.mark.parametrize("kind", KINDS)
shared_or_not = pytest.mark.parametrize("shared_masks", [False, True])
every_loss = pytest.mark.parametrize("loss", LOSSES)


# --- What a sample is, and what is made of them ---


@every_kind
@shared_or_not
@every_loss
@pytest.mark.parametrize("rows", [1, 9, 40])  # 40 rows of one thinned net are multiplied as such
@pytest.mark.parametrize("inverted", [True, False])
def test_mean_and_std_of_plain_numpy(kind, shared_masks, loss, rows, inverted):
    net, x = mlp(dropout=kind, loss=loss, inverted=inverted), inputs(rows)
    found = net.predict_mc(x, 23, rng=3, shared_masks=shared_masks, samples=True)
    shared = (0,) if shared_masks or kind == "batchwise" else ()
    samples = reference(net, x, 23, 3, shared, scale=inverted)
    samples = EXPECTED[loss](samples)
    if loss in ENTROPY:
        entropies = ENTROPY[loss](samples).mean(axis=0)
        entropy = ENTROPY[loss](samples.mean(axis=0))
        np.testing.assert_allclose(found.entropy, entropy, rtol=1e-12)
        np.testing.assert_allclose(found.expected_entropy, entropies, rtol=1e-12)
        np.testing.assert_allclose(found.mutual_information, entropy - entropies, atol=1e-14)
        p = samples.mean(axis=0)
        assert np.array_equal(
            found.label, p.argmax(axis=1) if loss == "cross_entropy" else (p > 0.5).astype(int)
        )
    np.testing.assert_allclose(found.samples, samples, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.mean, samples.mean(axis=0), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.std, samples.std(axis=0), rtol=1e-10, atol=1e-13)
    assert found.std.max() > 0.01
    assert found.mean.dtype == found.std.dtype == found.samples.dtype == np.float64


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_activation
def test_a_sample_is_a_forward_pass_in_training(kind, dtype, activation):
    net = mlp(dropout=kind, dtype=dtype, activation=activation, loss="squared_error")
    x = inputs(50)
    net.stream.state = sd.Stream(8).state
    passes = [net(x) for _ in range(5)]
    found = net.predict_mc(x, 5, rng=8, samples=True)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found.samples, passes, rtol=tolerance, atol=tolerance)
    more = net.predict_mc(x, 7, rng=8, samples=True)
    np.testing.assert_allclose(more.samples[:5], found.samples, rtol=1e-6)


def test_a_net_of_single_layers_is_that_of_dense_ones():
    net, x = mlp(activation="tanh"), inputs(40)
    layers = [nn.Dropout(0.2)]
    for dense in net.layers[1:]:
        linear = nn.Linear(1, 1, rng=0)
        linear.weight, linear.bias = dense.weight, dense.bias
        layers += [linear, nn.Tanh(), nn.Dropout(0.5)]
    single = nn.Network(layers[:-2], net.criterion)
    for shared_masks in (False, True):
        expected = net.predict_mc(x, 9, rng=0, shared_masks=shared_masks)
        check_same(single.predict_mc(x, 9, rng=0, shared_masks=shared_masks), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_varies_where_nothing_is_dropped(kind):
    net, x = mlp(dropout=kind, p=0, p_input=0, dtype=np.float32), inputs(40)
    for shared_masks in (False, True):
        found = net.predict_mc(x, 5, rng=0, shared_masks=shared_masks)
        assert not found.std.any() and not found.mutual_information.any()
        assert np.array_equal(found.entropy, found.expected_entropy)
        np.testing.assert_allclose(found.mean, softmax(net.eval()(x)), rtol=1e-6)
        assert np.array_equal(found.label, net.predict(x))


@pytest.mark.parametrize("rows", [3, 40])
def test_everything_dropped_leaves_the_last_bias(rows):
    net = mlp(p=1, loss="squared_error")
    for shared_masks in (False, True):
        found = net.predict_mc(inputs(rows), 4, rng=0, shared_masks=shared_masks)
        bias = np.broadcast_to(net.layers[-1].bias.value, found.mean.shape)
        assert np.array_equal(found.mean, bias) and not found.std.any()


@shared_or_not
@pytest.mark.parametrize("rows", [1, 33])
def test_approaches_the_exact_average(shared_masks, rows):
    """Of all 2^6 masks of a hidden layer."""
    n, net = 4000, mlp(sizes=(3, 6, 2), p=0.3, p_input=0, activation="tanh")
    x = inputs(rows, n_in=3)
    hidden, last = net.layers[1:]
    found = net.predict_mc(x, n, rng=1, shared_masks=shared_masks)
    for i, h in enumerate(np.tanh(x @ hidden.weight.value + hidden.bias.value)):
        mean, variance = sd.theory.expectation(
            lambda h: softmax(h @ last.weight.value + last.bias.value), h, 0.3, scale=True
        )
        error = np.sqrt(variance / n)
        assert np.all(np.abs(found.mean[i] - mean) < 5 * error)
        np.testing.assert_allclose(found.std[i] ** 2, variance, rtol=0.15)
    assert np.any(np.abs(found.mean - softmax(net.eval()(x))) > 3 * error)  # not weight scaling's


def test_the_deviation_beside_a_large_mean():
    net = mlp(loss="squared_error")
    before = net.predict_mc(inputs(5), 50, rng=0)
    net.layers[-1].bias.value += 1e8
    after = net.predict_mc(inputs(5), 50, rng=0)
    np.testing.assert_allclose(after.std, before.std, atol=1e-7)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 40), st.booleans())
def test_bounds_of_the_entropies(seed, n, rows, shared_masks):
    net = mlp(rng=seed, p=0.4)
    net.layers[-1].weight.value *= 10.0 ** (seed % 5)  # up to certain: some probabilities are 0
    found = net.predict_mc(inputs(rows, seed), n, rng=seed, shared_masks=shared_masks)
    assert np.all(found.mutual_information >= 0)
    assert np.all(found.mutual_information <= found.entropy)
    assert np.all(found.entropy <= np.log(4) * (1 + 1e-15))
    np.testing.assert_allclose(found.mean.sum(axis=1), 1)
    if n == 1:
        assert not found.std.any() and not found.mutual_information.any()


def tallied(loss, *samples):
    """What is found of samples of outputs, each (batch, n_out)."""
    outputs = np.array(samples, np.float64)
    tally = prediction.Tally(*outputs.shape[1:], loss, len(outputs), False)
    tally.add(outputs, 0, 0)
    return tally.prediction()


def test_known_entropies():
    certain, even = [0, -1e4, -1e4, -1e4], [0, 0, 0, 0]
    found = tallied(nn.SoftmaxCrossEntropy, [even, certain, [0, 0, -1e4, -1e4]])
    np.testing.assert_allclose(found.entropy, [2 * np.log(2), 0, np.log(2)], rtol=1e-15)
    found = tallied(nn.BinaryCrossEntropy, [[0, -1e4]])
    np.testing.assert_allclose(found.entropy, [[np.log(2), 0]], rtol=1e-15)
    # Two nets, each certain of another class.
    found = tallied(nn.SoftmaxCrossEntropy, [[1000.0, 0]], [[0, 1000.0]])
    assert found.mean.tolist() == [[0.5, 0.5]] and found.std.tolist() == [[0.5, 0.5]]
    assert found.expected_entropy.tolist() == [0]
    assert found.mutual_information.tolist() == [np.log(2)]


# --- Which masks ---


class Chunks:
    """Other sizes of chunks, for a while."""

    def __init__(self, rows, thinned_rows, least_thinned):
        self.values = {
            "ROWS": rows,
            "THINNED_ROWS": thinned_rows,
            "LEAST_THINNED": least_thinned,
        }

    def __enter__(self):
        self.before = {name: getattr(montecarlo, name) for name in self.values}
        vars(montecarlo).update(self.values)

    def __exit__(self, *_):
        vars(montecarlo).update(self.before)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
    st.booleans(),
    st.integers(1, 70),
    st.integers(1, 12),
    st.tuples(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from([0, 0.2]),
    st.sampled_from(list(LOSSES)),
)
def test_masks_do_not_depend_on_chunks(seed, kind, shared_masks, rows, n, chunks, p_input, loss):
    net, x = mlp(dropout=kind, p_input=p_input, loss=loss), inputs(rows, seed)
    expected = net.predict_mc(x, n, rng=seed, shared_masks=shared_masks)
    with Chunks(*chunks):
        check_same(net.predict_mc(x, n, rng=seed, shared_masks=shared_masks), expected)


@given(st.integers(0, 2**32), st.sampled_from(KINDS), st.integers(1, 70), st.data())
def test_shared_masks_are_those_of_any_rows(seed, kind, rows, data):
    net, x = mlp(dropout=kind), inputs(rows, seed)
    some = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=80))
    whole = net.predict_mc(x, 6, rng=seed, shared_masks=True, samples=True)
    part = net.predict_mc(x[some], 6, rng=seed, shared_masks=True, samples=True)
    check_same(part, cut(whole, some))
    np.testing.assert_allclose(part.samples, whole.samples[:, some], rtol=1e-10, atol=1e-13)


@given(st.integers(0, 2**32), st.integers(2, 70), st.data())
def test_other_masks_are_by_a_rows_number(seed, rows, data):
    net, x = mlp(), inputs(rows, seed)
    first = data.draw(st.integers(1, rows))
    whole = net.predict_mc(x, 6, rng=seed)
    check_same(net.predict_mc(x[:first], 6, rng=seed), cut(whole, slice(first)))
    same = net.predict_mc(np.tile(x[:1], (rows, 1)), 6, rng=seed)
    check_same(cut(same, [0]), cut(whole, [0]))
    assert np.ptp(same.mean, axis=0).max() > 1e-3  # equal rows, other masks


def test_float32_chunks_agree_to_rounding():
    net, x = mlp(sizes=(64, 100, 50, 10), dtype=np.float32), inputs(300, n_in=64)
    for shared_masks in (False, True):
        expected = net.predict_mc(x, 8, rng=0, shared_masks=shared_masks)
        with Chunks(37, 41, 1 if shared_masks else 50):
            check_same(net.predict_mc(x, 8, rng=0, shared_masks=shared_masks), expected, 3e-6)


def test_what_rng_may_be():
    net, x = mlp(), inputs(5)
    first = net.predict_mc(x, 4, rng=0).mean
    same = [0, np.int64(0), np.random.SeedSequence(0), sd.Stream(0)]
    assert all(np.array_equal(net.predict_mc(x, 4, rng=rng).mean, first) for rng in same)
    stream = sd.Stream(0)
    stream.mask(1)
    others = [1, [0, 1], None, None, np.random.default_rng(0), stream]
    found = [net.predict_mc(x, 4, rng=rng).mean for rng in others]
    assert len({first.tobytes(), *(mean.tobytes() for mean in found)}) == 7
    assert stream.draw == 1 + 4 * 3
    with pytest.raises(TypeError, match="rng must be"):
        net.predict_mc(x, 4, rng="0")


def test_schedules_stand_where_training_does():
    scheduled, x = mlp(p=sd.schedule.linear(0, 0.8, 10)), inputs(9)
    assert np.array_equal(
        scheduled.predict_mc(x, 5, rng=0).mean, mlp(p=0).predict_mc(x, 5, rng=0).mean
    )
    for _ in range(5):
        scheduled.advance()
    assert np.array_equal(
        scheduled.predict_mc(x, 5, rng=0).mean, mlp(p=0.4).predict_mc(x, 5, rng=0).mean
    )


# --- The net stays as it is ---


@every_kind
@shared_or_not
def test_the_net_is_left_alone(kind, shared_masks):
    net, other = mlp(dropout=kind), mlp(dropout=kind)
    x, y = inputs(9), np.arange(9) % 4
    gradients = []
    for one in (net, other):
        one.layers[1].eval()
        one.loss(x, y)
        before = pickle.dumps(one)
        if one is net:
            one.predict_mc(inputs(40, seed=1), 5, rng=0, shared_masks=shared_masks)
            assert pickle.dumps(one) == before
            assert [layer.training for layer in one.layers] == [True, False, True, True]
        one.backward()
        gradients.append([p.whole_grad() for p in one.parameters()])
    assert all(map(np.array_equal, *gradients))
    assert net.stream.state == other.stream.state


def test_threads_may_share_a_net():
    net, x = mlp(), inputs(200)
    expected = net.predict_mc(x, 20, rng=0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: net.predict_mc(x, 20, rng=0), range(12)))
    assert all(np.array_equal(one.mean, expected.mean) for one in found)
    assert all(np.array_equal(one.std, expected.std) for one in found)


# --- Nets of other layers ---


class Doubled(nn.Layer):
    """y = 2 x in eval mode; of the tests' own."""

    def __call__(self, x):
        assert not self.training
        self._saved = x
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def network(*layers):
    stream = sd.Stream(0)
    for layer in layers:
        if hasattr(layer, "stream"):
            layer.stream = stream
    first = nn.Linear(7, 5, rng=1, dtype=np.float64)
    last = nn.Linear(5, 3, rng=2, dtype=np.float64)
    return nn.Network([first, *layers, last], nn.SquaredError), stream


def own_passes(net, stream, x, n, rng):
    stream.state = sd.Stream(rng).state
    return np.array([net(x) for _ in range(n)])


@pytest.mark.parametrize(
    "layers",
    [
        [nn.ReLU(), nn.Dropout(0.5)],
        [nn.Tanh(), nn.Dropout(0.3), nn.Dropout(0.2, shared_axes=(0,))],
        [nn.Dropout(0.3), nn.Sigmoid(), nn.Dropout(0.2, shared_axes=(-1,))],
        [nn.ReLU(), nn.DropPath(0.5), nn.Dropout(0)],
        [nn.Tanh(), nn.GaussianDropout(0.3), nn.GaussianNoise(0.1)],
        [nn.AlphaDropout(0.3), nn.ReLU(), nn.ReLU()],
        [Identity(), nn.ReLU(), nn.Dropout(0.5)],
        [nn.DropConnect(5, 5, 0.4, rng=3, dtype=np.float64), nn.ReLU()],
        [nn.DropConnect(5, 5, 0.4, per_sample=True, rng=3, dtype=np.float64), nn.Dropout(0.5)],
        [nn.Transform(sd.dropout, 0.5, stream=None, shared_axes=(0,))],
    ],
    ids=str,
)
def test_nets_of_other_layers(layers):
    net, stream = network(*layers)
    x = inputs(40)
    passes = own_passes(net, stream, x, 6, rng=2)
    before = [layer.stream for layer in net.layers if hasattr(layer, "stream")]
    for chunks in ((512, 2048, 32), (7, 5, 3)):
        with Chunks(*chunks):
            found = net.predict_mc(x, 6, rng=2, samples=True)
        np.testing.assert_allclose(found.samples, passes, rtol=1e-10, atol=1e-13)
        assert found.std.max() > 1e-3
    assert all(one is stream for one in before)


@pytest.mark.parametrize("rows", [9, 40])
def test_layers_of_ones_own_are_called_in_eval_mode(rows):
    for place in (0, 1, 2):
        layers = [nn.ReLU(), nn.Dropout(0.5)]
        layers.insert(place, Doubled())
        net, _ = network(*layers)
        plain, _ = network(nn.ReLU(), nn.Dropout(0.5))
        for shared_masks in (False, True):
            found = net.predict_mc(inputs(rows), 5, rng=0, shared_masks=shared_masks)
            expected = plain.predict_mc(2 * inputs(rows), 5, rng=0, shared_masks=shared_masks)
            check_same(found, expected)
        assert layers[place]._saved is None and layers[place].training


class Halved(nn.Layer):
    """y = x / 2 where the stream says so; of the tests' own, with a stream."""

    def __init__(self):
        self.stream = None

    def __call__(self, x):
        assert self.training
        self._saved = self.stream.mask(x.shape, 0.5).keep()
        return np.where(self._saved, x, x / 2)

    def backward(self, dy):
        return np.where(self._saved, dy, dy / 2)


class Doubling(nn.Dropout):
    """Another function than its base's, whose samples are not its own."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class Twice:
    def __call__(self, x):
        return 2 * super().__call__(x)


class DoublingDense(Twice, nn.Dense):
    """Another `__call__` by way of a class that is no layer."""


@pytest.mark.parametrize(
    "layer",
    [Halved(), Doubling(0.5), Doubling(0), DoublingDense(5, 5, 0.5, rng=0, dtype=np.float64)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_of_ones_own_that_draw(layer):
    net, stream = network(layer, nn.Dropout(0.3))
    passes = own_passes(net, stream, inputs(40), 6, rng=2)
    with Chunks(7, 5, 3):
        found = net.predict_mc(inputs(40), 6, rng=2, samples=True)
    np.testing.assert_allclose(found.samples, passes, rtol=1e-10, atol=1e-13)
    with pytest.raises(ValueError, match="rows cannot share the masks of"):
        net.predict_mc(inputs(3), 2, shared_masks=True)


def test_sparse_inputs():
    sparse = pytest.importorskip("scipy.sparse")
    net, x = mlp(), inputs(40) * (inputs(40) > 0)
    expected = net.predict_mc(x, 5, rng=0)
    with Chunks(7, 11, 32):
        check_same(net.predict_mc(sparse.csr_array(x), 5, rng=0), expected)
    assert np.array_equal(net.predict(sparse.csr_matrix(x)), net.predict(x))
    labels, states = np.arange(40) % 4, net.stream.state
    loss = net.loss(x, labels)
    net.stream.state = states
    assert net.loss(sparse.csr_array(x), labels) == loss
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 7\), got \(40, 6\)"):
        net.predict(sparse.csr_array(x[:, :6]))


def test_shared_masks_of_weights_are_those_of_every_pass():
    net, _ = network(nn.DropConnect(5, 5, 0.4, rng=3, dtype=np.float64), nn.Dropout(0.5))
    whole = net.predict_mc(inputs(40), 5, rng=0, shared_masks=True)
    check_same(
        net.predict_mc(inputs(40)[5:9], 5, rng=0, shared_masks=True), cut(whole, slice(5, 9))
    )


@pytest.mark.parametrize(
    "layer",
    [
        nn.DropPath(0.5),
        nn.GaussianDropout(0.5),
        nn.DropConnect(5, 5, 0.4, per_sample=True, rng=3, dtype=np.float64),
    ],
    ids=repr,
)
def test_masks_that_rows_cannot_share(layer):
    net, _ = network(layer)
    with pytest.raises(ValueError, match="shared_masks=True, but rows cannot share the masks of "):
        net.predict_mc(inputs(3), 2, shared_masks=True)


# --- The result, and errors ---


def test_no_rows():
    for loss, shared_masks in (("cross_entropy", False), ("squared_error", True)):
        found = mlp(loss=loss).predict_mc(
            np.ones((0, 7)), 3, shared_masks=shared_masks, samples=True
        )
        assert found.mean.shape == found.std.shape == (0, 4)
        assert found.samples.shape == (3, 0, 4)


def test_the_result_is_a_value():
    found = mlp().predict_mc(inputs(3), 4, rng=0, samples=True)
    assert repr(found) == "Prediction(mean and std (3, 4))"
    for other in (copy.copy(found), pickle.loads(pickle.dumps(found))):
        assert np.array_equal(other.samples, found.samples)
        assert np.array_equal(other.entropy, found.entropy)
    with pytest.raises(AttributeError, match="cannot be changed"):
        found.mean = 0
    assert mlp().predict_mc(inputs(3), 4).samples is None


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("name", ["label", "entropy", "expected_entropy", "mutual_information"])
def test_numbers_have_no_classes(name, loss):
    found = mlp(loss=loss).predict_mc(inputs(3), 2)
    with pytest.raises(AttributeError, match=f"{name} needs classes, but the net's loss is for"):
        getattr(found, name)


def test_errors_take_no_draw():
    net, stream = mlp(), sd.Stream(0)
    for n in (0, -3):
        with pytest.raises(ValueError, match=f"n must be 1 or more samples, got {n}"):
            net.predict_mc(inputs(3), n, rng=stream)
    with pytest.raises(TypeError, match="float"):
        net.predict_mc(inputs(3), 2.5, rng=stream)
    for shape in ((7,), (3, 6), (2, 3, 7)):
        with pytest.raises(ValueError, match=r"x must have shape \(batch, 7\)"):
            net.predict_mc(np.ones(shape), 2, rng=stream)
    plain = nn.Network([nn.Linear(7, 4, rng=0), nn.ReLU()], nn.SquaredError)
    with pytest.raises(ValueError, match="no layer that drops"):
        plain.predict_mc(inputs(3), 2, rng=stream)
    assert stream.draw == 0


# --- Estimators ---

CLASSES = ["three classes", "two classes", "one class", "labels"]
NUMBERS = ["number", "numbers"]


def fitted(kind, **options):
    """A classifier or regressor, and the X that it learned."""
    estimators = pytest.importorskip("simdrop.sklearn")
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(50, 6)), rng.integers(3, size=50)
    y = {
        "three classes": np.array(["a", "b", "c"])[codes],
        "two classes": np.array(["a", "b"])[codes % 2],
        "one class": np.full(50, "a"),
        "labels": rng.integers(2, size=(50, 3)),
        "number": X[:, 0] + 3,
        "numbers": X[:, :2] + 3,
    }[kind]
    options = {"dropout": 0.4, "input_dropout": 0.1, "tol": 10, "random_state": 0} | options
    name = "DropoutMLPRegressor" if kind in NUMBERS else "DropoutMLPClassifier"
    return getattr(estimators, name)(hidden_layer_sizes=(20, 10), **options).fit(X, y), X


@shared_or_not
@pytest.mark.parametrize("kind", CLASSES + NUMBERS)
def test_estimators(kind, shared_masks):
    estimator, X = fitted(kind)
    found = estimator.predict_mc(X, 30, rng=4, shared_masks=shared_masks, samples=True)
    net = estimator._net.predict_mc(X, 30, rng=4, shared_masks=shared_masks)
    expected = estimator.predict(X) if kind in NUMBERS else estimator.predict_proba(X)
    assert found.mean.shape == found.std.shape == expected.shape
    assert found.samples.shape == (30, *expected.shape)
    np.testing.assert_allclose(found.samples.mean(axis=0), found.mean, rtol=1e-12)
    np.testing.assert_allclose(found.samples.std(axis=0), found.std, atol=1e-12)
    second = found.mean[:, [1]] if kind == "two classes" else found.mean
    if kind == "one class":
        assert np.all(found.mean == 1) and not found.entropy.any()
        assert not found.std.any() and not found.mutual_information.any()
    else:
        np.testing.assert_allclose(second.ravel(), net.mean.ravel(), rtol=1e-12)
        assert 0.01 < np.abs(found.mean - expected).max() < 1
    if kind in CLASSES:
        nearly = estimator.predict(X)
        assert found.label.shape == nearly.shape and found.label.dtype == nearly.dtype
        assert np.mean(found.label == nearly) > 0.8
        if kind != "labels":
            np.testing.assert_allclose(found.mean.sum(axis=1), 1)
            assert np.array_equal(found.label, estimator.classes_[found.mean.argmax(axis=1)])
            p = np.where(found.mean > 0, found.mean, 1)
            np.testing.assert_allclose(found.entropy, -(p * np.log(p)).sum(axis=1), atol=1e-12)
    else:
        assert not hasattr(found, "label")


def test_estimators_take_sparse_matrices_a_part_at_a_time():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in ("three classes", "number"):
        estimator, X = fitted(kind)
        expected = estimator.predict_mc(X, 5, rng=0)
        with Chunks(7, 11, 32):
            check_same(estimator.predict_mc(sparse.csr_array(X), 5, rng=0), expected)


def test_estimators_refuse():
    estimator, X = fitted("two classes")
    with pytest.raises(ValueError, match="n must be 1 or more samples, got 0"):
        estimator.predict_mc(X, 0)
    with pytest.raises(ValueError, match="X has 5 features"):
        estimator.predict_mc(X[:, :5])
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        clone(estimator).predict_mc(X)
