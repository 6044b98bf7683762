"""Monte Carlo dropout of estimators: its masks, and pipelines and searches that end in one."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from small_estimators import CLASSES, data_for, every_estimator, every_kind, fitted, small

import simdrop as sd
from simdrop import nn
from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor, predict_mc

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def check_same(found, expected):
    for name in nn.Prediction.__slots__:
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        assert one is None or np.array_equal(one, other), name


# --- Masks ---


@every_kind
@every_estimator
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_without_rng_the_random_state_decides(estimator, kind, seed):
    X, _ = data_for(estimator)
    dropout = {"dropout": 0.4, "dropout_kind": kind, "max_iter": 1}
    model = fitted(estimator, random_state=seed, **dropout)
    first = model.predict_mc(X[:9], 3)
    check_same(model.predict_mc(X[:9], 3), first)
    check_same(pickle.loads(pickle.dumps(model)).predict_mc(X[:9], 3), first)
    model.set_params(random_state=np.random.RandomState(seed))
    check_same(model.predict_mc(X[:9], 3), first)
    assert not np.array_equal(model.predict_mc(X[:9], 3).mean, first.mean)  # it has moved on
    before = np.random.get_state()
    try:
        model.set_params(random_state=None)
        np.random.seed(seed)
        check_same(model.predict_mc(X[:9], 3), first)
        assert not np.array_equal(model.predict_mc(X[:9], 3).mean, first.mean)
    finally:
        np.random.set_state(before)


def test_rng_comes_before_the_random_state():
    model, X = fitted(DropoutMLPClassifier, dropout=0.4), CLASSES[0]
    state = np.random.RandomState(3)
    model.set_params(random_state=state)
    check_same(model.predict_mc(X, 3, rng=5), model.predict_mc(X, 3, rng=sd.Stream(5)))
    assert state.bytes(4) == np.random.RandomState(3).bytes(4)


def test_its_masks_are_not_those_of_training():
    model, X = fitted(DropoutMLPClassifier, dropout=0.4), CLASSES[0]
    trained, seen = model._net.stream.key, []

    def predicted(X, n, *, rng, **options):
        seen.append(sd.Stream(rng).key)
        return type(model._net).predict_mc(model._net, X, n, rng=rng, **options)

    model._net.predict_mc = predicted
    model.predict_mc(X, 2)
    assert len(seen) == 1 and seen[0] != trained


@every_kind
@every_estimator
def test_without_dropout_the_spread_is_0_and_a_warning_says_why(estimator, kind):
    X, _ = data_for(estimator)
    model = fitted(estimator, dropout_kind=kind)
    with pytest.warns(UserWarning, match="dropout=0 and input_dropout=0: .* std is 0"):
        found = model.predict_mc(X, 5, samples=True)
    is_classifier = estimator is DropoutMLPClassifier
    expected = model.predict_proba(X) if is_classifier else model.predict(X)
    assert np.allclose(found.mean, expected, rtol=1e-10, atol=1e-12) and not found.std.any()
    assert np.array_equal(found.samples, np.tile(found.mean, (5, *[1] * expected.ndim)))
    assert not is_classifier or not found.mutual_information.any()
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="n must be 1 or more"):
        model.predict_mc(X, 0)
    model = fitted(estimator, dropout_kind=kind, dropout=(0, 0.3))
    assert model.predict_mc(X, 5).std.any()


# --- Pipelines and searches ---


def net(**parameters):
    return small(DropoutMLPRegressor, **{"dropout": 0.3, "input_dropout": 0.1} | parameters)


def test_pipelines_and_searches_give_what_their_net_gives():
    X, y = CLASSES
    model = small(DropoutMLPClassifier, dropout=0.3)
    grid = {"dropout": [0.2, (0.1, 0.5)]}
    nested = {f"pipeline__dropoutmlpclassifier__{name}": value for name, value in grid.items()}
    for wrapped in (
        make_pipeline(model),
        make_pipeline(StandardScaler(), "passthrough", MinMaxScaler(), model),
        make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), model)),
        GridSearchCV(model, grid, cv=2),
        RandomizedSearchCV(model, grid, n_iter=2, cv=2),
        make_pipeline(StandardScaler(), GridSearchCV(model, grid, cv=2)),
        GridSearchCV(make_pipeline(MinMaxScaler(), make_pipeline(model)), nested, cv=2),
    ):
        wrapped.fit(X, y)
        final, inputs = wrapped, X
        while not isinstance(final, DropoutMLPClassifier):
            if hasattr(final, "steps"):
                inputs = final[:-1].transform(inputs) if len(final) > 1 else inputs
                final = final[-1]
            else:
                final = final.best_estimator_
        expected = final.predict_mc(inputs, 4, shared_masks=True, samples=True)
        for estimator in (
            wrapped,
            FrozenEstimator(wrapped),
            make_pipeline(FrozenEstimator(wrapped)),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a pipeline that was not fitted itself
                check_same(predict_mc(estimator, X, 4, shared_masks=True, samples=True), expected)
        check_same(predict_mc(wrapped, X, 3, rng=8), final.predict_mc(inputs, 3, rng=8))
        assert np.array_equal(expected.label, final.classes_[expected.mean.argmax(1)])


SCALES = {
    "linear": {"transformer": StandardScaler()},
    "cube root": {"func": np.cbrt, "inverse_func": lambda y: y**3},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("shape", ["1-D", "one column", "two columns"])
def test_targets_are_transformed_back_in_each_pass(scale, shape):
    X, y = data_for(DropoutMLPRegressor)
    y = {"1-D": y[:, 0], "one column": y[:, :1], "two columns": y}[shape] * 50 + 1000
    model = TransformedTargetRegressor(net(), **scale).fit(X, y)
    found = predict_mc(model, X, 6, samples=True)
    raw = model.regressor_.predict_mc(X, 6, samples=True).samples
    back = [model.transformer_.inverse_transform(one.reshape(len(X), -1)) for one in raw]
    expected = np.reshape(back, (6, *y.shape))
    assert found.samples.shape == (6, *y.shape) and found.mean.shape == model.predict(X).shape
    assert np.allclose(found.samples, expected, rtol=1e-12)
    assert np.allclose(found.mean, expected.mean(0), rtol=1e-9)
    assert np.allclose(found.std, expected.std(0), rtol=1e-7, atol=1e-9)
    assert predict_mc(model, X, 6).samples is None
    with pytest.raises(AttributeError, match="needs classes"):
        found.entropy  # noqa: B018
    with pytest.warns(UserWarning, match="std is 0"):
        certain = predict_mc(
            clone(model).set_params(regressor__dropout=0, regressor__input_dropout=0).fit(X, y), X
        )
    assert not certain.std.any()


def test_everything_in_everything():
    X, y = data_for(DropoutMLPRegressor)
    inner = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net()), transformer=StandardScaler()
    )
    outer = make_pipeline(FunctionTransformer(np.arcsinh), inner)
    grid = {"transformedtargetregressor__regressor__dropoutmlpregressor__dropout": [0.2, 0.3]}
    search = GridSearchCV(outer, grid, cv=2)
    model = TransformedTargetRegressor(
        search, func=lambda y: y / 3 + 1, inverse_func=lambda y: (y - 1) * 3
    ).fit(X, y)
    found = predict_mc(model, X, 300, rng=0)
    assert found.mean.shape == found.std.shape == y.shape
    # Its masks are those of the net inside, whose every pass is transformed back twice.
    best = model.regressor_.best_estimator_
    pipeline = best[-1].regressor_
    final = pipeline[-1].predict_mc(
        pipeline[0].transform(best[0].transform(X)), 300, rng=0, samples=True
    )
    passes = [(best[-1].transformer_.inverse_transform(one) - 1) * 3 for one in final.samples]
    assert np.allclose(found.mean, np.mean(passes, 0)) and np.allclose(found.std, np.std(passes, 0))


def test_other_estimators_are_errors_that_name_them():
    X, y = data_for(DropoutMLPRegressor)
    cls = small(DropoutMLPClassifier, dropout=0.3)
    calibrated = CalibratedClassifierCV(cls, cv=2).fit(*CLASSES)
    for estimator, name in (
        (calibrated, "CalibratedClassifierCV"),
        (BaggingRegressor(net(), n_estimators=2).fit(X, y[:, 0]), "BaggingRegressor"),
        (MultiOutputRegressor(net()).fit(X, y), "MultiOutputRegressor"),
        (make_pipeline(StandardScaler(), Ridge()).fit(X, y), "Ridge in Pipeline"),
        (make_pipeline(net(), "passthrough"), "'passthrough' in Pipeline"),
        (TransformedTargetRegressor().fit(X, y), "LinearRegression in TransformedTargetRegressor"),
        (
            TransformedTargetRegressor(cls, func=abs, inverse_func=abs, check_inverse=False).fit(
                *CLASSES
            ),
            "DropoutMLPClassifier in TransformedTargetRegressor",
        ),
        (nn.MLP((8, 3, 2)), "MLP"),
        (DropoutMLPRegressor, "<class 'simdrop.sklearn.regressor.DropoutMLPRegressor'>"),
        (None, "NoneType"),
    ):
        with pytest.raises(TypeError, match=f"TransformedTargetRegressor, not for {name}$"):
            predict_mc(estimator, X)


def test_what_is_not_fitted_is_an_error():
    X, y = data_for(DropoutMLPRegressor)
    search = GridSearchCV(net(), {"dropout": [0.1]}, cv=2, refit=False).fit(X, y)
    with pytest.raises(AttributeError, match="GridSearchCV has refit=False"):
        predict_mc(search, X)
    for estimator in (
        net(),
        make_pipeline(StandardScaler(), net()),
        GridSearchCV(net(), {"dropout": [0.1]}),
        TransformedTargetRegressor(net()),
    ):
        with pytest.raises(NotFittedError):
            predict_mc(estimator, X)
    with pytest.raises(ValueError, match="n must be 1 or more"):
        predict_mc(make_pipeline(net()).fit(X, y), X, 0)


# --- A probability for each hidden layer ---

SEQUENCES = [[0.2, 0.5], (0.2, 0.5), np.array([0.2, 0.5])]


@every_kind
@pytest.mark.parametrize("dropout", SEQUENCES, ids=lambda given: type(given).__name__)
def test_each_hidden_layer_has_its_own_probability(dropout, kind):
    X, y = CLASSES
    model = small(DropoutMLPClassifier, dropout=dropout, dropout_kind=kind)
    again = clone(model)
    assert again.get_params()["dropout"] is not None and "dropout=" in repr(again)
    before = again.fit(X, y).loss_curve_
    assert before == model.fit(X, y).loss_curve_
    assert before != fitted(DropoutMLPClassifier, dropout=0.2, dropout_kind=kind).loss_curve_
    if kind == "elementwise":
        assert [layer.p for layer in model._net.layers[1:3]] == [0.2, 0.5]
    other = pickle.loads(pickle.dumps(model))
    other.partial_fit(X, y)
    assert other.loss_curve_ == model.partial_fit(X, y).loss_curve_


def test_equal_probabilities_are_one():
    X, y = CLASSES
    one, each = (fitted(DropoutMLPClassifier, dropout=p) for p in (0.3, [0.3, 0.3]))
    assert one.loss_curve_ == each.loss_curve_
    check_same(one.predict_mc(X, 3), each.predict_mc(X, 3))


def test_they_may_change_between_calls():
    X, y = CLASSES
    model = small(DropoutMLPClassifier, dropout=[0.3, 0.1], learning_rate_init=1e-300)
    model.partial_fit(X, y, classes=[0, 1, 2])
    at_once = [model.set_params(dropout=p).partial_fit(X, y).loss_ for p in (0.0, [0, 0.0])]
    assert np.isclose(*at_once, rtol=1e-12)
    state = model._net.stream.state
    model.set_params(dropout=(0.0, 0.0)).partial_fit(X, y)  # the same settings: the same net
    assert model._net.stream.state["key"] == state["key"]
    model.set_params(warm_start=True, dropout=[0.9, 0.9], max_iter=2).fit(X, y)
    assert model.loss_ != at_once[0]


def test_a_search_over_sequences():
    X, y = CLASSES
    grid = {"dropout": [0.1, [0.1, 0.2], (0.97, 0.97)]}
    search = GridSearchCV(small(DropoutMLPClassifier, max_iter=20), grid, cv=2).fit(X, y)
    assert search.best_params_["dropout"] in grid["dropout"]
    assert predict_mc(search, X, 3).std.any()


@every_estimator
@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        ([0.2], r"one for each of the hidden layers, of which there are 2, got \[0.2\]"),
        ([], "of which there are 2"),
        ([0.2, 1.0], r"a number in \[0, 1\) or one"),
        ([0.2, float("nan")], "of which there are 2"),
        ([0.2, -0.1], "of which there are 2"),
        ([0.2, "0.1"], "of which there are 2"),
        ([0.2, None], "of which there are 2"),
        ([[0.2, 0.1]], "of which there are 2"),
        ([[0.2], [0.1]], "of which there are 2"),
        ([[0.2], 0.1], "of which there are 2"),
        (1.0, "'dropout' parameter"),
        ("0.2", "'dropout' parameter"),
        (None, "'dropout' parameter"),
    ],
)
def test_other_values_are_errors(estimator, dropout, message):
    with pytest.raises(ValueError, match=message):
        fitted(estimator, dropout=dropout)
