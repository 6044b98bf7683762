"""`Network.fit`: what it trains and measures, callbacks, interruptions, divergence, errors."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import SIZES, batch_for, other_layers, weights

import simdrop as sd
from simdrop import nn
from simdrop.nn import training

LOSSES = ["cross_entropy", "binary_cross_entropy", "squared_error", "poisson"]


def data_for(loss, rows=30, n_out=SIZES[-1]):
    x, y = batch_for("cross_entropy", batch=rows, n_out=n_out)
    if loss == "cross_entropy":
        return x, y
    rng = np.random.default_rng(1)
    kinds = {
        "binary_cross_entropy": rng.integers(0, 2, (rows, n_out)),
        "squared_error": rng.normal(size=(rows, n_out)),
        "poisson": rng.poisson(2, (rows, n_out)),
    }
    return x, kinds[loss]


def quiet(net, *arguments, **options):
    return net.fit(*arguments, **{"epochs": 2, "rng": 0, "progress": False} | options)


class Recorder(nn.Network):
    """Notes the rows of each batch, which the first column of x numbers."""

    def __init__(self):
        super().__init__([nn.Linear(1, 1, rng=0)], nn.SquaredError)
        self.batches = []

    def loss(self, x, y, *arguments, **options):
        self.batches.append(x[:, 0].astype(int).tolist())
        return super().loss(x, y, *arguments, **options)


# --- What it trains ---


def test_it_is_a_loop_of_train_step():
    x, y = data_for("cross_entropy")
    net, other = nn.MLP(SIZES, rng=3), nn.MLP(SIZES, rng=3)
    history = quiet(net, x, y, epochs=3, batch_size=8, rng=5)
    optimizer = nn.Adam(other.parameters(), 0.001)
    shuffle = np.random.Generator(sd.BitGenerator(sd.Stream(5)))
    losses = []
    for _ in range(3):
        batches = np.array_split(shuffle.permutation(30), 4)
        steps = [other.train_step(x[rows], y[rows], optimizer) * len(rows) for rows in batches]
        losses.append(sum(steps) / 30)
    assert weights(net) == weights(other) and net.stream.state == other.stream.state
    assert history.loss == pytest.approx(losses, rel=1e-12)
    assert (len(history), history.stopped, net.history) == (3, None, history)
    assert history.optimizer.steps == 12 and {layer.steps for layer in net.layers} == {12}


@given(rows=st.integers(1, 40), batch_size=st.integers(1, 50), epochs=st.integers(1, 3))
def test_each_epoch_has_each_row_once_in_batches_of_nearly_equal_size(rows, batch_size, epochs):
    net, x = Recorder(), np.arange(rows)[:, np.newaxis]
    quiet(net, x, x / rows, epochs=epochs, batch_size=batch_size)
    count = -(-rows // batch_size)
    assert len(net.batches) == epochs * count
    for first in range(0, epochs * count, count):
        epoch = net.batches[first : first + count]
        sizes = [len(batch) for batch in epoch]
        assert sorted(sum(epoch, [])) == list(range(rows))
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1


@given(rows=st.integers(2, 40), fraction=st.floats(1e-6, 1 - 1e-6))
def test_a_fraction_is_held_out(rows, fraction):
    net, x = Recorder(), np.arange(rows)[:, np.newaxis]
    history = quiet(net, x, x / rows, epochs=2, batch_size=3, validation=fraction)
    trained = set(sum(net.batches, []))
    held_out = [row for row in range(rows) if row not in trained]
    assert abs(len(held_out) - fraction * rows) <= 1 and 1 <= len(held_out) < rows
    target = x[held_out] / rows
    assert history.validation_loss[-1] == pytest.approx(float(net.loss(x[held_out], target)))


@pytest.mark.parametrize("dropout", ["elementwise", "batchwise"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, dropout):
    net = nn.MLP(SIZES, loss=loss, dropout=dropout, rng=0, dtype=np.float64)
    x, y = data_for(loss)
    history = quiet(net, x, y, epochs=20, batch_size=10, validation=(x[:7], y[:7]))
    assert history.loss[-1] < history.loss[0]
    assert history.validation_loss[-1] == pytest.approx(net.loss(x[:7], y[:7]))
    if "cross_entropy" in loss:
        assert history.validation_error[-1] == pytest.approx(net.error(x[:7], y[:7]))
    else:
        assert history.validation_error is None


def test_validation_of_many_rows_is_measured_in_parts(monkeypatch):
    x, y = data_for("cross_entropy")
    found = []
    for chunk in (1, 7, 2048):
        monkeypatch.setattr(training, "CHUNK", chunk)
        net = nn.MLP(SIZES, rng=0, dtype=np.float64)
        history = quiet(net, x, y, validation=(x, y), sample_weight=None)
        found.append([*history.validation_loss, *history.validation_error])
    assert found[0] == pytest.approx(found[2]) and found[1] == pytest.approx(found[2])


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
def test_sparse_inputs(kind):
    sparse = pytest.importorskip("scipy.sparse")
    x, y = data_for("cross_entropy")
    x[x < 0] = 0
    nets = [nn.MLP(SIZES, rng=0) for _ in range(2)]
    for net, rows in zip(nets, (x, getattr(sparse, kind)(x)), strict=True):
        history = quiet(net, rows, y, batch_size=8, validation=0.2)
    assert weights(nets[0]) == weights(nets[1]) and len(history.validation_loss) == 2


def test_lists_and_a_single_row():
    net = nn.MLP((2, 3, 2), rng=0)
    assert len(quiet(net, [[1, 2], [3, 4], [5, 6]], [0, 1, 1])) == 2
    assert len(quiet(net, [[1, 2]], [0], validation=([[3, 4]], [1]))) == 2


def test_weights_of_samples():
    """A row of weight k counts as k rows, in training and in validation."""
    x, y = data_for("cross_entropy", rows=6)
    weight = np.array([0, 1, 2, 3, 1, 0])
    repeated = np.repeat(np.arange(6), weight)
    nets = [nn.MLP(SIZES, p=0, p_input=0, rng=0, dtype=np.float64) for _ in range(2)]
    one = quiet(nets[0], x, y, sample_weight=10 * weight, epochs=5)
    other = quiet(nets[1], x[repeated], y[repeated], epochs=5)
    assert one.loss == pytest.approx(other.loss)
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-6, atol=1e-9)
    # Batches without weight are left out.
    net = nn.MLP(SIZES, rng=0)
    history = quiet(net, x, y, sample_weight=weight, batch_size=1, epochs=3)
    assert history.optimizer.steps == 3 * 4
    history = quiet(net, x, y, sample_weight=weight + 1, validation=0.5)
    assert np.isfinite(history.validation_loss).all()


@pytest.mark.parametrize("make", [int, np.random.default_rng, np.random.PCG64, sd.Stream])
def test_rng_decides_the_order_and_the_rows_held_out(make):
    x, y = data_for("cross_entropy")
    found = []
    for seed in (1, 1, 2):
        net = nn.MLP(SIZES, rng=0)
        found.append(quiet(net, x, y, rng=make(seed), batch_size=4, validation=0.3).loss)
    assert found[0] == found[1] != found[2]
    quiet(net, x, y, rng=None)


def test_another_optimizer_and_going_on_with_it():
    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    history = quiet(net, x, y, optimizer=optimizer)
    assert history.optimizer is optimizer and optimizer.steps == 2
    again = quiet(net, x, y, optimizer=history.optimizer)
    assert again is not history and len(history) == len(again) == 2 and optimizer.steps == 4
    assert quiet(net, x, y).optimizer.steps == 2
    # Some parameters may stay as they are.
    before = net.layers[1].weight.value.copy()
    quiet(net, x, y, optimizer=nn.Adam(net.layers[-1].parameters()))
    assert np.array_equal(net.layers[1].weight.value, before)


def test_the_net_is_in_evaluation_mode_afterwards():
    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    modes = []

    def callback(history):
        modes.append({layer.training for layer in net.layers})

    quiet(net.train(), x, y, callback=callback)
    assert modes == [{False}] * 2 and {layer.training for layer in net.layers} == {False}
    assert np.array_equal(net(x), net(x))


# --- Callbacks and interruptions ---


@pytest.mark.parametrize("true", [True, np.True_])
def test_a_callback_ends_training(true):
    seen = []

    def callback(history):
        seen.append((len(history), history is net.history, history[-1].loss))
        history.optimizer.lr /= 2
        return true if len(history) == 3 else np.False_

    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    history = quiet(net, x, y, epochs=9, callback=callback)
    assert seen == [(i, True, loss) for i, loss in enumerate(history.loss, 1)]
    assert len(history) == 3 and history.stopped == "callback"
    assert history.optimizer.lr == 0.001 / 8


@pytest.mark.parametrize("value", [None, False, 1, 0.5, "yes", [1]])
def test_other_values_of_a_callback_mean_nothing(value):
    x, y = data_for("cross_entropy")
    history = quiet(nn.MLP(SIZES, rng=0), x, y, callback=lambda history: value)
    assert len(history) == 2 and history.stopped is None


def test_errors_of_a_callback_are_the_callers():
    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    for error in (ZeroDivisionError, StopIteration):

        def callback(history, error=error):
            raise error

        with pytest.raises(error):
            quiet(net.train(), x, y, callback=callback)
        assert len(net.history) == 1 and not net.layers[0].training


def test_an_interruption_keeps_what_was_trained():
    x, y = data_for("cross_entropy")
    net, other = nn.MLP(SIZES, rng=0), nn.MLP(SIZES, rng=0)

    def callback(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 2 of 5 epochs") as caught:
        history = net.fit(x, y, epochs=5, rng=0, progress=False, callback=callback)
    assert caught[0].filename == __file__
    assert history.stopped == "interrupted" and history is net.history and len(history) == 2
    assert not net.layers[0].training
    assert history.loss == quiet(other, x, y).loss and weights(net) == weights(other)


def test_interrupted_in_a_batch(monkeypatch):
    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    steps = iter(range(3))

    def advance():
        if next(steps, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(net, "advance", advance)
    with pytest.warns(UserWarning, match="interrupted after 1 of 5 epochs"):
        assert len(quiet(net, x, y, epochs=5, batch_size=15)) == 1
    assert not net.layers[0].training


# --- Divergence ---


def test_inputs_that_are_not_scaled_are_named_first():
    x, y = data_for("squared_error")
    net = nn.MLP(SIZES, loss="squared_error", rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1)
    message = r"loss is (inf|nan) in epoch 1, batch \d of 8: x reaches \d.*: scale it.*lr=0\.1"
    with warnings.catch_warnings(), pytest.raises(FloatingPointError, match=message):
        quiet(net, 1e6 * x, y, optimizer=optimizer, batch_size=4, epochs=50)
    assert len(net.history) == 0 and not net.layers[0].training


@pytest.mark.parametrize(
    ("x_scale", "y_scale", "lr", "message"),
    [
        (1, 1e30, 0.1, "y reaches [23456789].*: scale it"),
        (1, 1, 1e6, "inputs that are not scaled.* one cause; a learning rate below lr=1e.06"),
        (1e39, 1, 0.1, "x has elements that are not finite in float32"),
        (np.nan, 1, 0.1, "x has elements that are not finite"),
    ],
)
def test_other_causes(x_scale, y_scale, lr, message):
    x, y = data_for("squared_error")
    net = nn.MLP(SIZES, loss="squared_error", rng=0)
    optimizer = nn.SGD(net.parameters(), lr)
    with pytest.raises(FloatingPointError, match=message):
        quiet(net, x_scale * x, y_scale * y, optimizer=optimizer, epochs=50)


def test_a_batch_that_is_not_finite_changes_nothing():
    x, y = data_for("cross_entropy")
    x[7, 3] = np.inf
    net = nn.MLP(SIZES, rng=0)
    before = weights(net)
    with pytest.raises(FloatingPointError, match="epoch 1, batch 1 of 1"):
        quiet(net, x, y)
    assert weights(net) == before and net.history.optimizer.steps == 0
    x[7, 3] = 1
    quiet(net, x, y)


def test_a_validation_loss_that_is_not_finite():
    x, y = data_for("cross_entropy")
    net = nn.MLP(SIZES, rng=0)
    with pytest.raises(FloatingPointError, match="validation loss is nan after epoch 1"):
        quiet(net, x, y, validation=(np.nan * x, y))


# --- What is refused ---

X, Y = data_for("cross_entropy")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be 1 or more, got 0"),
        ({"epochs": 1.5}, TypeError, "float"),
        ({"batch_size": 0}, ValueError, "batch_size must be 1 or more, got 0"),
        ({"batch_size": -3}, ValueError, "batch_size"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an nn.Optimizer or None, not str"),
        ({"optimizer": nn.Adam}, TypeError, "optimizer .* not ABCMeta"),
        (
            {"optimizer": nn.Adam(nn.MLP(SIZES).parameters())},
            ValueError,
            "optimizer has no parameter of this net",
        ),
        ({"callback": 3}, TypeError, "callback must be callable or None, not int"),
        ({"validation": 0.0}, ValueError, "validation = 0.0, but a fraction .* above 0"),
        ({"validation": 1}, ValueError, "validation = 1"),
        ({"validation": np.nan}, ValueError, "validation = nan"),
        ({"validation": True}, TypeError, "a fraction or a pair .* not a bool"),
        ({"validation": (X, Y, Y)}, TypeError, "not a tuple of 3"),
        ({"validation": X}, TypeError, "not a ndarray"),
        ({"validation": (X[:, 1:], Y)}, ValueError, r"validation: x must have shape \(batch, 7\)"),
        ({"validation": (X, Y[1:])}, ValueError, "validation: labels must be"),
        ({"validation": (X, Y * 1.0)}, TypeError, "validation: labels must be integers"),
        ({"sample_weight": np.zeros(30)}, ValueError, "sample_weight is zero for all rows"),
        ({"sample_weight": np.ones(29)}, ValueError, r"sample_weight must be \(30,\)"),
        (
            {"sample_weight": np.eye(30)[0], "validation": 0.5},
            ValueError,
            "sample_weight is zero for all rows that are left for (training|validation)",
        ),
        ({"rng": "seed"}, TypeError, "rng"),
        ({"rng": -1}, ValueError, "-1|negative"),
    ],
)
def test_refused(options, error, message):
    net = nn.MLP(SIZES, rng=0)
    before = pickle.dumps(net)
    with pytest.raises(error, match=message):
        quiet(net, X, Y, **options)
    assert pickle.dumps(net) == before and net.history is None and net.layers[0].training


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, :6], Y, r"x must have shape \(batch, 7\), got \(30, 6\)"),
        (X[0], Y, r"x must have shape"),
        (X[:0], Y[:0], "x has no rows"),
        (X, Y[:9], r"labels must be \(30,\)"),
        (X, Y + 4, "labels must be from 0 to 3"),
    ],
)
def test_data_that_are_refused(x, y, message):
    net = nn.MLP(SIZES, rng=0)
    with pytest.raises(ValueError, match=message):
        quiet(net, x, y)
    with pytest.raises(TypeError, match="epochs"):
        net.fit(X, Y)
    with pytest.raises(ValueError, match="of 1 row leaves none to train on"):
        quiet(net, X[:1], Y[:1], validation=0.5)


def test_targets_without_an_axis_of_outputs():
    net = nn.MLP((7, 1), loss="squared_error")
    with pytest.raises(ValueError, match=r"must be \(30, 1\), got \(30,\); y\[:, np.newaxis\] is$"):
        quiet(net, X, Y)
    quiet(net, X, Y[:, np.newaxis])


# --- The history ---


def history_of(epochs=3, loss="cross_entropy", **options):
    x, y = data_for(loss)
    net = nn.MLP(SIZES, rng=0, loss=loss)
    return quiet(net, x, y, epochs=epochs, **options)


def test_a_history_is_a_sequence_of_epochs():
    history = history_of(validation=0.2)
    assert len(history) == len(list(history)) == 3 and history[-1] == list(history)[2]
    assert history[1:] == list(history)[1:] and history[0] in history
    for name in ("loss", "validation_loss", "validation_error", "seconds"):
        values = getattr(history, name)
        assert values == [getattr(epoch, name) for epoch in history]
        assert {type(value) for value in values} == {float}
    with pytest.raises(IndexError):
        history[3]
    plain = history_of()
    assert plain.validation_loss is None and plain.validation_error is None
    empty = nn.History()
    assert (len(empty), empty.loss, empty.validation_loss, empty.stopped) == (0, [], None, None)


def test_reprs_of_a_history():
    history = history_of(validation=0.2)
    assert repr(history).startswith("History(3 epochs, loss ") and "\n" not in repr(history)
    assert repr(history).endswith(" %)") and "validation loss" in repr(history)
    assert repr(nn.History()) == "History(0 epochs)"
    assert repr(history_of(1)).startswith("History(1 epoch, loss")
    stopped = history_of(callback=lambda history: True)
    assert "stopped: callback" in repr(stopped) and "stopped: callback" in stopped._repr_html_()
    for epochs, rows in ((3, 3), (12, 12), (13, 12), (500, 12)):
        shown = history_of(epochs, validation=0.5)._repr_html_()
        assert shown.count("<tr>") == 1 + rows and f">{epochs}</td>" in shown
    assert "<tr>" in nn.History()._repr_html_()


def test_copies_of_a_history_are_records():
    history = history_of(validation=0.2)
    for other in (copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert list(other) == list(history) and other.optimizer is None
    assert history.optimizer is not None
    assert len(pickle.dumps(history)) < 1000


def test_copies_of_the_net_have_its_history():
    x, y = data_for("cross_entropy")
    net = nn.Network(other_layers(), nn.SquaredError)
    quiet(net, x, np.zeros((30, 7)))
    other = pickle.loads(pickle.dumps(net))
    assert list(other.history) == list(net.history) and weights(other) == weights(net)
