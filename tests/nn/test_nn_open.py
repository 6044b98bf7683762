"""nn.open rebuilds a net from its file alone, and predicts from data as users have them."""

import numpy as np
import pytest
from checkpoints import contents, forge, variants
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import simdrop as sd
from simdrop import nn
from simdrop.nn.activations import ACTIVATIONS
from simdrop.nn.inputs import Column, Scaling, Summary, encoded
from simdrop.nn.losses import LOSSES
from simdrop.nn.signature import Signature

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")

RNG = np.random.default_rng(0)
PROBABILITIES = (0.0, 0.3, sd.schedule.linear(0.0, 0.5, 10), sd.schedule.curriculum(0.5, 0.1))


@given(
    hidden=st.lists(st.integers(1, 9), max_size=3),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    dropout=st.sampled_from(["elementwise", "batchwise"]),
    p=st.sampled_from(PROBABILITIES),
    p_input=st.sampled_from(PROBABILITIES),
    inverted=st.booleans(),
    loss=st.sampled_from(sorted(LOSSES)),
    activity_l1=st.sampled_from([0.0, 0.25]),
    dtype=st.sampled_from(["float32", "float64"]),
    steps=st.integers(0, 3),
)
def test_a_net_is_rebuilt(hidden, steps, **settings):
    net = nn.MLP((4, *hidden, 2), rng=1, **settings)
    x = RNG.normal(size=(5, 4))
    for _ in range(steps):
        net.train()(x)
        net.advance()
    nn.save("net.npz", net, extra={"mine": 1})
    opened = nn.open("net.npz")
    assert opened.extra == {"mine": 1} and opened.name == "net" and opened.classes is None
    again = opened.net
    assert repr(again) == repr(net) and again.sizes == net.sizes and again.dtype == net.dtype
    assert again.criterion is net.criterion
    for mine, other in zip(net.parameters(), again.parameters(), strict=True):
        assert mine.value.tobytes() == other.value.tobytes()
    np.testing.assert_array_equal(net.eval()(x), again(x))
    np.testing.assert_array_equal(net.train()(x), again.train()(x))  # the same masks
    assert [layer.describe() for layer in net.layers] == [
        layer.describe() for layer in again.layers
    ]
    nn.save("again.npz", again.eval())
    assert nn.open("again.npz").net.sizes == net.sizes


def test_what_cannot_be_rebuilt():
    own = nn.Network([nn.Linear(3, 2, rng=0)], nn.SoftmaxCrossEntropy)
    function = nn.MLP((3, 4, 2), p=lambda step: 0.5, rng=0)
    mixed = nn.MLP((3, 4, 2), rng=0)
    mixed.layers[0].inverted = False
    for net in (own, function, mixed):
        nn.save("net.npz", net)
        with pytest.raises(ValueError, match="'net' without the arguments .* use simdrop.nn.load"):
            nn.open("net.npz")
        nn.load("net.npz", net)


def test_files_of_the_version_before_can_be_loaded_but_not_opened():
    net = nn.MLP((3, 4, 2), rng=0)
    nn.save("net.npz", net)
    about, arrays = contents("net.npz")
    del about["nets"]["net"]["mlp"]
    forge("old.npz", about | {"version": 2}, arrays)
    other = nn.MLP((3, 4, 2), rng=1)
    nn.load("old.npz", other)
    assert [p.value.tolist() for p in other.parameters()] == [
        p.value.tolist() for p in net.parameters()
    ]
    with pytest.raises(ValueError, match="was saved by an older simdrop"):
        nn.open("old.npz")


def test_which_net_of_several():
    nets = {name: (nn.MLP((3, size, 2), rng=0), None) for name, size in (("a", 1), ("b", 2))}
    nn.checkpoint.write("two.npz", nets)
    with pytest.raises(ValueError, match=r"'two.npz' holds a, b: name says which"):
        nn.open("two.npz")
    assert nn.open("two.npz", "b").net.sizes == (3, 2, 2)
    with pytest.raises(ValueError, match="'two.npz' has no net 'c'; it has a, b"):
        nn.open("two.npz", "c")
    nn.checkpoint.write("two.npz", {"without-0": nets["a"], "with-0": nets["b"]})
    assert nn.open("two.npz").name == "with-0"


def test_whatever_is_wrong_in_the_arguments_or_the_signature_is_a_value_error():
    net = nn.MLP((3, 5, 2), p=sd.schedule.cosine(0.1, 0.2, 5), rng=0)
    signature = Signature(
        ("no", "yes"),
        Scaling.standard(Summary.of(RNG.normal(size=(9, 3)))),
        columns=(Column("a"), Column("b", ("x", "y"))),
        target="c",
        span=(-1.0, 2.0),
    )
    nn.save("net.npz", net, extra={"signature": signature.as_json()})
    assert nn.open("net.npz").predict({"b": ["x"], "a": [1.5]}).tolist()[0] in ("no", "yes")
    about, arrays = contents("net.npz")
    seen = 0
    for part in (("nets", "net", "mlp"), ("extra", "signature")):
        inner = about
        for key in part:
            inner = inner[key]
        for _, _, wrong in variants(inner):
            changed = dict(about)
            place = changed
            for key in part[:-1]:
                place[key] = dict(place[key])
                place = place[key]
            place[part[-1]] = wrong
            forge("b.npz", changed, arrays)
            seen += 1
            try:
                opened = nn.open("b.npz")
            except ValueError as error:
                assert "'b.npz'" in str(error)
            else:
                assert opened.net.sizes == (3, 5, 2)
    assert seen > 150


# Scaling


@given(
    x=hnp.arrays(
        st.sampled_from(["f4", "f8", "i4", "u1", "f2"]),
        st.tuples(st.integers(1, 30), st.integers(1, 4)),
        elements=st.integers(0, 100),
    ),
    rows=st.integers(1, 7),
)
def test_statistics_in_parts_are_those_of_the_whole(x, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simdrop.nn.inputs.ROWS", rows)
        found = Summary.of(x)
        order = np.arange(len(x))[::-1]
        again = Summary.of(x, order)
    for one in (found, again):
        whole = x.astype(np.float64)
        np.testing.assert_allclose(one.mean, whole.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(one.deviation, whole.std(axis=0), atol=1e-7)
        np.testing.assert_array_equal(one.least, whole.min(axis=0))
        np.testing.assert_array_equal(one.most, whole.max(axis=0))


@given(
    x=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 20), st.integers(1, 4)),
        elements=st.floats(-60000, 60000, width=16),
    )
)
def test_standard_scaling(x):
    scaling = Scaling.standard(Summary.of(x))
    y = scaling(x)
    assert y.dtype == np.float32 and np.isfinite(y).all()
    varies = np.ptp(x, axis=0) > 1e-6 * np.abs(x).max()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(axis=0)[varies], 1, atol=1e-3)
    np.testing.assert_allclose(scaling.undone(y), x, rtol=1e-3, atol=1e-3 * np.abs(x).max())
    columns = x.shape[1]
    again = Scaling.from_json(scaling.as_json(), "scaling", columns)
    assert again(x).tobytes() == y.tobytes()


def test_large_offsets_are_subtracted_before_rounding_to_float32():
    x = 1.6e9 + np.arange(10.0)[:, np.newaxis]
    y = Scaling.standard(Summary.of(x))(x)
    np.testing.assert_allclose(np.diff(y[:, 0]), y[1, 0] - y[0, 0], rtol=1e-5)


# Tables


def test_categories_are_one_hot():
    columns = (Column("size"), Column("kind", ("cat", "dog", "eel")))
    table = {"kind": ["eel", "cat"], "other": [None, None], "size": [3, 4.5]}
    assert encoded(columns, table).tolist() == [[3, 0, 0, 1], [4.5, 1, 0, 0]]
    with pytest.raises(ValueError, match=r"column 'kind' holds 'fox', .* wanted one of 'cat'"):
        encoded(columns, table | {"kind": ["cat", "fox"]})
    with pytest.raises(ValueError, match="the table has no column 'size'"):
        encoded(columns, {"kind": ["cat"]})
    with pytest.raises(ValueError, match="column 'size' holds 'big'; wanted numbers"):
        encoded(columns, table | {"size": ["1", "big"]})


@pytest.fixture
def predictor():
    net = nn.MLP((3, 6, 2), p=0.3, p_input=0.0, rng=0)
    scaling = Scaling.standard(Summary.of(np.array([[0.0, 10, 100], [2, 30, 300]])))
    return nn.Predictor(net.eval(), Signature(("no", "yes"), scaling))


def test_predictions_are_those_of_the_net_for_scaled_inputs(predictor):
    x = RNG.uniform(0, 300, (3000, 3))
    scaled = (x - [1, 20, 200]) / [1, 10, 100]
    labels = predictor.net.predict(scaled)
    assert predictor.predict(x).tolist() == [("no", "yes")[label] for label in labels]
    probabilities = predictor.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).all()
    found = predictor.predict_mc(x[:20], 50, rng=0)
    wanted = predictor.net.predict_mc(predictor.inputs(x[:20]), 50, rng=0)
    assert found.label.tolist() == [("no", "yes")[label] for label in wanted.label]
    np.testing.assert_array_equal(found.mean, wanted.mean)
    predictor.net.train()
    assert predictor.predict(x).tolist() == [("no", "yes")[label] for label in labels]
    assert all(layer.training for layer in predictor.net.layers)
    assert predictor.predict(x[:0]).shape == (0,)
    assert len(repr(predictor).splitlines()) == 1


def test_numbers_are_in_the_unit_of_the_target():
    net = nn.MLP((2, 4, 1), p=0.5, loss="squared_error", rng=0)
    target = Scaling("standard", np.array([100.0]), np.array([20.0]))
    predictor = nn.Predictor(net.eval(), Signature(target_scaling=target))
    x = RNG.normal(size=(7, 2))
    np.testing.assert_allclose(predictor.predict(x), 100 + 20 * net(x)[:, 0], rtol=1e-6)
    found, wanted = (one.predict_mc(x, 9, rng=0, samples=True) for one in (predictor, net))
    np.testing.assert_allclose(found.mean, 100 + 20 * wanted.mean[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.std, 20 * wanted.std[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.samples, 100 + 20 * wanted.samples[..., 0], rtol=1e-6)
    with pytest.raises(ValueError, match="predicts numbers, which have no probabilities"):
        predictor.predict_proba(x)


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.zeros(3), ValueError, r"x has shape \(3,\), but must be \(rows, 3\)"),
        (np.zeros((2, 4)), ValueError, r"x has shape \(2, 4\), but must be \(rows, 3\)"),
        (np.full((2, 3), np.nan), ValueError, "x holds a number in row 0 that is not finite"),
        (np.full((2, 3), "a"), TypeError, "x holds <U1, but must hold numbers"),
        ({"a": [1]}, TypeError, "x is a table, but the net was trained on arrays"),
    ],
)
def test_data_that_do_not_fit(predictor, x, error, message):
    for method in (predictor.predict, predictor.predict_proba, predictor.predict_mc):
        with pytest.raises(error, match=message):
            method(x)
