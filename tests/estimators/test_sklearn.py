"""The estimators: scikit-learn's own checks, its own nets at dropout = 0, and what dropout adds."""

import copy
import doctest
import importlib
import inspect
import io
import pathlib
import pickle
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

import joblib
import scipy.sparse
import sklearn
from estimators import (
    CLASSES,
    NUMBERS,
    OWN,
    data_for,
    every_estimator,
    every_kind,
    first_classes,
    fitted,
    one_blas_thread,
    small,
    weights,
)
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from simdrop import nn
from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures(one_blas_thread.__name__),
]
ROOT = pathlib.Path(__file__).parents[2]
OWN_REGRESSORS = (DropoutMLPRegressor, MLPRegressor)


def masks_of_rows(*_):
    return {
        check: "a row of weight k has one mask, k equal rows have k"
        for check in (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weight_equivalence_on_sparse_data",
        )
    }


# --- scikit-learn's checks ---


# Small, since the suite is long.
SMALL = {"hidden_layer_sizes": (20,), "max_iter": 100, "learning_rate_init": 0.005}
BATCHWISE = SMALL | {"dropout": 0.2, "dropout_kind": "batchwise"}
ELEMENTWISE = SMALL | {"dropout": 0.2, "input_dropout": 0.01}


@parametrize_with_checks([DropoutMLPClassifier(), DropoutMLPRegressor()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_checks([DropoutMLPClassifier(**BATCHWISE), DropoutMLPRegressor(**BATCHWISE)])
def test_checks_of_scikit_learn_with_masks_of_batches(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [DropoutMLPClassifier(**ELEMENTWISE), DropoutMLPRegressor(**ELEMENTWISE)],
    expected_failed_checks=masks_of_rows,
)
def test_checks_of_scikit_learn_with_masks_of_rows(estimator, check):
    check(estimator)


@every_estimator
def test_the_parameters_are_scikit_learns_and_a_few_more(estimator):
    parameters, own = (inspect.signature(e).parameters for e in (estimator, OWN[estimator]))
    added = ["dropout", "input_dropout", "dropout_kind", "max_norm"]
    added += ["class_weight"] * (estimator is DropoutMLPClassifier)
    common = [name for name in parameters if name not in added]
    if "loss" not in own and "loss" in common:
        common.remove("loss")  # the regressor's, since scikit-learn 1.7
    assert common == list(own)
    assert all(parameters[name].default == own[name].default for name in own)
    assert list(parameters)[-len(added) :] == added
    for name in parameters:
        assert re.search(rf"^    (\w+, )?{name}(, \w+)? : ", estimator.__doc__, re.MULTILINE)


# --- The same nets as scikit-learn's, where nothing is dropped ---


@settings(max_examples=25)
@given(
    task=st.sampled_from(["two", "three", "labels", "numbers", "several numbers"]),
    parameters=st.fixed_dictionaries(
        {
            "hidden_layer_sizes": st.sampled_from([(9,), (6, 5), (), 4]),
            "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
            "solver": st.sampled_from(["sgd", "adam"]),
            "alpha": st.sampled_from([0, 1e-4, 1.0]),
            "batch_size": st.sampled_from(["auto", 17, 50]),
            "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
            "learning_rate_init": st.sampled_from([1e-3, 0.02]),
            "power_t": st.sampled_from([0.5, 0.1]),
            "shuffle": st.booleans(),
            "random_state": st.integers(0, 2**32 - 1),
            "tol": st.sampled_from([1e-4, 0.05]),
            "momentum": st.sampled_from([0, 0.5, 0.9]),
            "nesterovs_momentum": st.booleans(),
            "early_stopping": st.booleans(),
            "validation_fraction": st.sampled_from([0.1, 0.3]),
            "beta_1": st.sampled_from([0.9, 0.5]),
            "beta_2": st.sampled_from([0.999, 0.9]),
            "epsilon": st.sampled_from([1e-8, 1e-3]),
            "n_iter_no_change": st.sampled_from([1, 2, 10]),
            "warm_start": st.booleans(),
        }
    ),
    sparse=st.booleans(),
)
def test_without_dropout_it_is_scikit_learns_net(task, parameters, sparse):
    X, y = CLASSES
    own, estimator = MLPClassifier, DropoutMLPClassifier
    if task == "two":
        y = np.where(y > 0, 3, -1)
    elif task == "labels":
        y = np.stack([y > 0, y == 1, X[:, 0] > 0], axis=1).astype(int)
    elif "numbers" in task:
        own, estimator = MLPRegressor, DropoutMLPRegressor
        X, y = NUMBERS[0], NUMBERS[1] / 100
        y = y if task == "several numbers" else y[:, 0]
    X = scipy.sparse.csr_array(X) if sparse else X
    ours, theirs = estimator(max_iter=8, **parameters), own(max_iter=8, **parameters)
    # The second fit is a warm start, or again from the beginning. A warm start that stops early may
    # go back to the best weights of the first, which scikit-learn's has overwritten by then.
    for _ in range(1 if parameters["warm_start"] and parameters["early_stopping"] else 2):
        ours.fit(X, y)
        theirs.fit(X, y)
        for a, b in zip(
            ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
        ):
            assert np.allclose(a, b, rtol=1e-7, atol=1e-9)
        if task != "several numbers":  # of their losses scikit-learn takes the mean, not the sum
            assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-7)
            assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
        assert ours.out_activation_ == theirs.out_activation_
        assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)
        assert (ours.validation_scores_ is None) is (theirs.validation_scores_ is None)
        assert np.allclose(ours.validation_scores_ or 0, theirs.validation_scores_ or 0, atol=1e-9)
        assert (ours.best_loss_ is None) is (theirs.best_loss_ is None)
        if estimator is DropoutMLPClassifier:
            assert np.array_equal(ours.classes_, theirs.classes_)
            assert np.array_equal(ours.predict(X), theirs.predict(X))
            assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
            logs = ours.predict_log_proba(X), theirs.predict_log_proba(X)
            assert np.allclose(*logs, rtol=1e-6, atol=1e-9)
        else:
            assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
@every_estimator
def test_lbfgs_is_scikit_learns(estimator, activation, monkeypatch):
    """Without kinks, at which rounding may take it elsewhere; in chunks of rows, too."""
    X, y = data_for(estimator)
    y = y if estimator is DropoutMLPClassifier else y[:, 0]
    parameters = {"activation": activation, "solver": "lbfgs", "max_iter": 12, "alpha": 0.01}
    theirs = small(OWN[estimator], **parameters).fit(X, y)
    for X_given, chunk in [(X, 2048), (X, 7), (scipy.sparse.csr_array(X), 50)]:
        monkeypatch.setattr("simdrop.sklearn.base.CHUNK", chunk)
        ours = small(estimator, **parameters).fit(X_given, y)
        assert ours.n_iter_ == theirs.n_iter_ == len(ours.loss_curve_)
        assert np.isclose(ours.loss_, theirs.loss_, rtol=1e-6)
        assert ours.loss_ == ours.best_loss_ == ours.loss_curve_[-1]
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_lbfgs_says_whether_it_converged():
    X, y = data_for(DropoutMLPClassifier)
    with pytest.warns(ConvergenceWarning, match="lbfgs has not converged after 2 iterations"):
        small(DropoutMLPClassifier, solver="lbfgs", max_iter=2).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(DropoutMLPClassifier, solver="lbfgs", max_iter=10_000, alpha=10).fit(X, y)


def test_poisson_regression_is_scikit_learns():
    if "loss" not in inspect.signature(MLPRegressor).parameters:
        pytest.skip("this scikit-learn has no Poisson loss")
    X, y = NUMBERS[0], np.random.default_rng(0).poisson(3, 120)
    ours, theirs = (small(e, loss="poisson", solver="sgd").fit(X, y) for e in OWN_REGRESSORS)
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert ours.out_activation_ == "exp"
    with pytest.raises(ValueError, match="targets must not be negative, got -1"):
        small(DropoutMLPRegressor, loss="poisson").fit(X, y - y.min() - 1)


# --- Dropout ---


@every_kind
@every_estimator
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_fit_is_a_loop_of_train_step(estimator, kind, solver):
    """To the bit, masks included, from the net's state before it."""
    X, y = data_for(estimator)
    parameters = {"dropout": 0.4, "input_dropout": 0.1, "dropout_kind": kind, "max_norm": 0.8}
    model = small(estimator, solver=solver, alpha=0, shuffle=False, **parameters)
    model.set_params(learning_rate_init=1e-300).partial_fit(X, y, **first_classes(estimator))
    net = copy.deepcopy(model._net).train()
    assert net.stream.draw == 4 * 3  # batches and layers of dropout
    model.set_params(learning_rate_init=0.01, warm_start=True, max_iter=3).fit(X, y)
    make = nn.Adam if solver == "adam" else nn.SGD
    momentum = {} if solver == "adam" else {"momentum": 0.9, "nesterov": True}
    optimizer = make(net.parameters(), 0.01, max_norm=0.8, **momentum)
    for epoch in range(3):
        losses = []
        for start in range(0, 120, 30):
            if solver == "adam":
                optimizer.eps = 1e-8 / np.sqrt(1 - 0.999 ** (optimizer.steps + 1))
            rows = slice(start, start + 30)
            losses.append(net.train_step(X[rows], y[rows], optimizer))
        assert np.isclose(model.loss_curve_[1 + epoch], np.mean(losses), rtol=1e-12)
    for p, q in zip(model._net.parameters(), net.parameters(), strict=True):
        assert np.array_equal(p.value, q.value)
    assert model._net.stream.state == net.stream.state
    assert max(np.linalg.norm(w, axis=0).max() for w in model.coefs_) <= 0.8 + 1e-12


@every_kind
@every_estimator
def test_predictions_are_those_of_the_whole_net(estimator, kind):
    model = fitted(estimator, dropout=0.5, input_dropout=0.2, dropout_kind=kind)
    X, _ = data_for(estimator)
    state = model._net.stream.state
    h = X
    for w, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        h = np.maximum(h @ w + b, 0)
    outputs = h @ model.coefs_[-1] + model.intercepts_[-1]
    if estimator is DropoutMLPClassifier:
        exp = np.exp(outputs)
        proba = exp / exp.sum(axis=1, keepdims=True)
        assert np.allclose(model.predict_proba(X), proba, rtol=1e-10)
        assert np.allclose(np.exp(model.predict_log_proba(X)), proba, rtol=1e-10)
        assert np.array_equal(model.predict(X), model.classes_[outputs.argmax(axis=1)])
    else:
        assert np.allclose(model.predict(X), outputs, rtol=1e-10, atol=1e-12)
    assert model._net.stream.state == state


@every_kind
@every_estimator
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), dropout=st.floats(0.01, 0.9))
def test_random_state_decides_everything(estimator, kind, seed, dropout):
    def fit(random_state):
        return weights(
            fitted(
                estimator,
                random_state=random_state,
                dropout=dropout,
                input_dropout=0.1,
                dropout_kind=kind,
                max_iter=2,
                early_stopping=True,
            )
        )

    first = fit(seed)
    assert first == fit(seed) == fit(np.random.RandomState(seed))
    assert first != fit(seed ^ 1)
    np.random.seed(seed)
    assert fit(None) == first
    one = np.random.RandomState(seed)
    assert fit(one) == first != fit(one)


def test_masks_do_not_change_weights_and_batches():
    """So that nets with and without dropout differ in dropout alone."""
    first, second = (
        small(DropoutMLPClassifier, dropout=p, learning_rate_init=1e-300, max_iter=1)
        for p in (0, 0.5)
    )
    first.fit(*CLASSES)
    second.fit(*CLASSES)
    assert weights(first) == weights(second)
    assert first.loss_ != second.loss_
    one, other = np.random.RandomState(0), np.random.RandomState(0)
    fitted(DropoutMLPClassifier, random_state=one)
    fitted(DropoutMLPClassifier, random_state=other, dropout=0.5)
    assert one.randint(2**31) == other.randint(2**31)


@every_kind
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_goes_on(solver, kind):
    X, y = CLASSES
    parameters = {"solver": solver, "dropout": 0.4, "dropout_kind": kind, "shuffle": False}
    model = small(DropoutMLPClassifier, **parameters)
    for _ in range(4):
        model.partial_fit(X, y, classes=[0, 1, 2])
    at_once = fitted(DropoutMLPClassifier, **parameters)
    assert weights(model) == weights(at_once)
    assert model.loss_curve_ == at_once.loss_curve_
    assert (model.n_iter_, model.t_) == (1, at_once.t_)


@every_kind
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: joblib.load(joblib_dump(model)),
    ],
)
def test_a_copy_goes_on_as_the_original(duplicate, kind):
    X, y = CLASSES
    model = small(DropoutMLPClassifier, dropout=0.4, dropout_kind=kind)
    model.partial_fit(X, y, classes=[0, 1, 2])
    other = duplicate(model)
    assert np.array_equal(model.predict_proba(X), other.predict_proba(X))
    for _ in range(2):
        model.partial_fit(X, y)
        other.partial_fit(X, y)
    assert weights(model) == weights(other)


def joblib_dump(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return file


def test_dropout_may_change_between_calls():
    X, y = CLASSES
    model = small(DropoutMLPClassifier, dropout=0.5, learning_rate_init=1e-300)
    model.partial_fit(X, y, classes=[0, 1, 2])
    before, draw = weights(model), model._net.stream.draw
    model.set_params(dropout=0.0, dropout_kind="batchwise").partial_fit(X, y)
    assert weights(model) == before
    assert model._net.stream.draw == 2 * draw
    without = small(DropoutMLPClassifier, learning_rate_init=1e-300)
    without.partial_fit(X, y, classes=[0, 1, 2])
    assert model.loss_curve_[0] != without.loss_curve_[0]
    assert np.isclose(model.loss_curve_[1], without.loss_curve_[0], rtol=1e-12)


def test_warm_start():
    X, y = CLASSES
    model = fitted(DropoutMLPClassifier, dropout=0.3, warm_start=True)
    assert len(model.fit(X, y).loss_curve_) == 8
    assert np.mean(model.loss_curve_[4:]) < np.mean(model.loss_curve_[:4])
    model.set_params(early_stopping=True).fit(X, y)
    assert model.best_loss_ is None and len(model.validation_scores_) == 4
    model.set_params(learning_rate_init=0.01, max_iter=40).fit(X, y)
    best, before = model.best_validation_score_, weights(model)
    model.set_params(learning_rate_init=1e3, max_iter=3).fit(X, y)  # to nothing better
    assert (model.best_validation_score_, weights(model)) == (best, before)
    assert max(model.validation_scores_[-3:]) <= best
    with pytest.raises(ValueError, match=r"sizes \(8, 12, 7, 3\), and cannot go on with \(8, 5, 3"):
        model.set_params(hidden_layer_sizes=5).fit(X, y)
    assert model.set_params(warm_start=False).fit(X, y).coefs_[0].shape == (8, 5)


# --- Input ---


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@every_estimator
def test_sparse_input_is_dense_a_batch_at_a_time(estimator, container, monkeypatch):
    X, y = data_for(estimator)
    X = X * (np.random.default_rng(0).random(X.shape) < 0.3)
    rows = []

    def toarray(self, *arguments, **options):
        rows.append(self.shape[0])
        return original(self, *arguments, **options)

    csr = next(c for c in scipy.sparse.csr_array.__mro__ if "toarray" in vars(c))
    original = csr.toarray
    monkeypatch.setattr(csr, "toarray", toarray)
    monkeypatch.setattr("simdrop.sklearn.base.CHUNK_ELEMENTS", 25 * 8)
    models = [small(estimator, dropout=0.3), small(estimator, solver="lbfgs")]
    dense = [clone(model).fit(X, y) for model in models]
    assert not rows
    sparse = [clone(model).fit(container(X), y) for model in models]
    predictions = [model.predict(container(X)) for model in sparse]
    assert max(rows) == 30 and min(rows[-5:]) == 20 and max(rows[-5:]) == 25
    assert weights(sparse[0]) == weights(dense[0])
    assert np.array_equal(predictions[0], dense[0].predict(X)) or np.allclose(
        predictions[0], dense[0].predict(X), rtol=1e-10
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@every_estimator
def test_dtypes(estimator, dtype):
    X, y = data_for(estimator)
    X = (3 * X).astype(dtype)
    work = np.float32 if dtype is np.float32 else np.float64
    model = small(estimator, dropout=0.2).fit(X, y)
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(work)}
    method = model.predict_proba if estimator is DropoutMLPClassifier else model.predict
    assert method(X).dtype == work
    assert method(X.astype(np.float64)).dtype == np.float64
    lbfgs = small(estimator, solver="lbfgs").fit(X, y)
    assert lbfgs.coefs_[0].dtype == np.float64


def test_float32_learns_what_float64_does():
    X, y = CLASSES
    single = small(DropoutMLPClassifier, dropout=0.3, solver="sgd").fit(X.astype(np.float32), y)
    double = small(DropoutMLPClassifier, dropout=0.3, solver="sgd").fit(X, y)
    assert np.allclose(single.loss_curve_, double.loss_curve_, rtol=1e-5)


def test_labels_may_be_a_sparse_indicator_matrix():
    X, _ = CLASSES
    y = (X[:, :3] > 0).astype(int)
    model = small(DropoutMLPClassifier, dropout=0.2, max_iter=60, learning_rate_init=0.01)
    model.fit(X, scipy.sparse.csr_matrix(y))
    assert weights(model) == weights(clone(model).fit(X, y))
    assert model.score(X, y) > 0.8
    assert np.array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    partial = small(DropoutMLPClassifier).partial_fit(X, y, classes=[0, 1, 2])
    assert partial.predict(X).shape == (120, 3)


def test_one_class():
    X = CLASSES[0]
    model = small(DropoutMLPClassifier).fit(X, ["a"] * 120)
    assert set(model.predict(-X)) == {"a"}
    assert model.predict_proba(X).tolist() == [[1]] * 120
    assert model.predict_log_proba(X).tolist() == [[0]] * 120


def test_log_probabilities_of_what_rounds_to_zero():
    model = small(DropoutMLPClassifier, hidden_layer_sizes=()).fit(
        [[-1.0], [1.0]] * 50, [0, 1] * 50
    )
    model.coefs_[0][:], model.intercepts_[0][:] = 1, 0
    assert model.predict_log_proba([[-2000.0]]).tolist() == [[0, -2000]]
    assert model.predict_proba([[-2000.0], [2000.0]]).tolist() == [[1, 0], [0, 1]]


# --- Sample weights ---


@every_estimator
@settings(max_examples=10)
@given(counts=st.lists(st.integers(0, 3), min_size=120, max_size=120).filter(any))
def test_weights_of_whole_numbers_repeat_rows(estimator, counts):
    X, y = data_for(estimator)
    classes = first_classes(estimator)
    parameters = {"batch_size": 1000, "dropout": 0.4, "dropout_kind": "batchwise"}
    weighted, repeated = (small(estimator, solver="sgd", **parameters) for _ in range(2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "batch_size=1000 is larger")
        for _ in range(3):
            weighted.partial_fit(X, y, sample_weight=counts, **classes)
            repeated.partial_fit(X.repeat(counts, 0), y.repeat(counts, 0), **classes)
    assert np.allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_batches_without_weight_are_passed_over():
    X, y = CLASSES
    weight = np.repeat([1.0, 0.0, 2.0, 1.0], 30)
    model = small(DropoutMLPClassifier, shuffle=False, solver="sgd", dropout=0.3)
    model.fit(X, y, sample_weight=weight)
    assert model._net.stream.draw == 4 * 3 * 3
    left = weight > 0
    other = clone(model).fit(X[left], y[left], sample_weight=weight[left])
    assert weights(model) == weights(other)
    assert np.allclose(model.loss_curve_, other.loss_curve_, rtol=1e-14)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(119), r"sample_weight must be \(120,\), got \(119,\)"),
        (np.zeros(120), "sample_weight is zero for all rows"),
        (-np.ones(120), "sample_weight must be finite and not negative, got -1"),
        (np.full(120, np.nan), "got nan"),
    ],
)
@every_estimator
def test_weights_are_refused(estimator, weight, message):
    model = small(estimator)
    with pytest.raises(ValueError, match=message):
        model.fit(*data_for(estimator), sample_weight=weight)
    assert not hasattr(model, "coefs_")


def test_validation_needs_weight():
    weight = np.zeros(120)
    weight[0] = 1
    with pytest.raises(ValueError, match="sample_weight is zero for all samples of the validation"):
        small(DropoutMLPClassifier, early_stopping=True).fit(*CLASSES, sample_weight=weight)
    model = small(DropoutMLPClassifier, early_stopping=True)
    model.fit(*CLASSES, sample_weight=np.arange(120))
    assert model.best_validation_score_ == max(model.validation_scores_)


# --- Among scikit-learn's tools ---


def test_grid_search_pipeline_and_cross_validation():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    net = DropoutMLPClassifier((60,), max_iter=30, learning_rate_init=0.01, random_state=0)
    pipeline = make_pipeline(StandardScaler(), net)
    grid = {"dropoutmlpclassifier__dropout": [0.0, 0.3, 0.97]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["dropoutmlpclassifier__dropout"] != 0.97
    assert scores[2] < min(scores[:2])
    assert search.score(X, y) > 0.95
    assert cross_val_score(search.best_estimator_, X, y, cv=3).mean() > 0.8
    X, y = data_for(DropoutMLPRegressor)
    net = small(DropoutMLPRegressor, max_iter=100, learning_rate_init=0.01, input_dropout=0.01)
    assert cross_val_score(make_pipeline(StandardScaler(), net), X, y, cv=3).mean() > 0.7


@every_estimator
def test_clone_and_parameters(estimator):
    model = fitted(estimator, dropout=0.3, max_norm=2.0)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "coefs_") and not hasattr(again, "n_iter_")
    assert weights(again.fit(*data_for(estimator))) == weights(model)
    assert "dropout=0.3" in repr(model) and "max_norm=2.0" in repr(model)


def test_grid_search_in_two_processes():
    X, y = CLASSES
    grid = {"dropout": [0.0, 0.5], "class_weight": [None, "balanced"]}
    searches = [
        GridSearchCV(small(DropoutMLPClassifier), grid, cv=2, n_jobs=jobs).fit(X, y)
        for jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"].tolist() for search in searches)
    assert one == two
    assert weights(searches[0].best_estimator_) == weights(searches[1].best_estimator_)


@every_estimator
def test_sample_weights_are_routed(estimator):
    X, y = data_for(estimator)
    weight = np.random.default_rng(0).integers(1, 4, 120)
    expected = small(estimator).fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(estimator).set_fit_request(sample_weight=True)
        model.set_partial_fit_request(sample_weight=True)
        pipeline = make_pipeline(model).fit(X, y, sample_weight=weight)
        with pytest.raises(TypeError, match="other"):
            make_pipeline(model).fit(X, y, other=weight)
    assert weights(pipeline[-1]) == weights(expected)


@every_estimator
def test_a_column_of_targets_is_raveled_with_a_warning(estimator):
    X, y = data_for(estimator)
    y = y if y.ndim == 1 else y[:, 0]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = small(estimator).fit(X, y[:, np.newaxis])
    assert weights(model) == weights(small(estimator).fit(X, y))
    assert model.predict(X).shape == (120,)


@every_estimator
def test_features_that_are_constant(estimator):
    X, y = data_for(estimator)
    X = np.hstack([np.zeros((120, 2)), X[:, :3], np.ones((120, 1))])
    model = small(estimator, dropout=0.3).fit(X, y)
    assert model.n_features_in_ == 6
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match="X has 5 features"):
        model.partial_fit(X[:, 1:], y)


@every_estimator
def test_a_first_fit_that_fails_leaves_it_unfitted(estimator):
    X, y = data_for(estimator)
    model = small(estimator, hidden_layer_sizes=(3, 0))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@every_estimator
def test_not_fitted(estimator):
    with pytest.raises(NotFittedError):
        estimator().predict([[1.0]])
    with pytest.raises(AttributeError, match="is not fitted yet"):
        _ = estimator().intercepts_


def test_importing_simdrop_does_not_import_scikit_learn(run_python):
    script = "import sys, simdrop, simdrop.nn; assert not {'sklearn', 'scipy'} & set(sys.modules)"
    assert run_python(script).stderr == ""


def test_verbose_says_what_scikit_learn_does(capsys):
    for parameters in [
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
        {"early_stopping": True, "tol": 1.0, "n_iter_no_change": 1},
    ]:
        printed = []
        for estimator in (DropoutMLPClassifier, MLPClassifier):
            small(estimator, verbose=True, max_iter=60, **parameters).fit(*CLASSES)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1] != ""


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_fit_leaves_a_net_that_predicts(early_stopping, monkeypatch):
    X, y = CLASSES
    steps, train_step = [], nn.Network.train_step

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) == 7:
            raise KeyboardInterrupt
        return train_step(self, *arguments)

    monkeypatch.setattr(nn.Network, "train_step", interrupted)
    model = small(DropoutMLPClassifier, dropout=0.5, early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="interrupted by the user"):
        model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 1
    assert len(model.validation_scores_ or []) == early_stopping
    assert np.array_equal(model.predict_proba(X), model.predict_proba(X))


# --- Errors ---


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 1}, "'dropout' parameter"),
        ({"dropout": -0.1}, "'dropout' parameter"),
        ({"input_dropout": float("nan")}, "'input_dropout' parameter"),
        ({"dropout_kind": "rows"}, "'dropout_kind' parameter"),
        ({"max_norm": 0}, "'max_norm' parameter"),
        ({"momentum": 1}, "'momentum' parameter"),
        ({"activation": "gelu"}, "'activation' parameter"),
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"solver": "lbfgs", "dropout": 0.5}, "'lbfgs' needs dropout=0 .* each mask makes"),
        ({"solver": "lbfgs", "input_dropout": 0.5}, "'lbfgs' needs dropout=0"),
        ({"solver": "lbfgs", "max_norm": 3.0}, "'lbfgs' needs max_norm=None"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "validation set is too small"),
    ],
)
@every_estimator
def test_parameters_are_refused(estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(estimator, **parameters)


@every_estimator
def test_partial_fit_refuses(estimator):
    X, y = data_for(estimator)
    assert not hasattr(estimator(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        small(estimator, early_stopping=True).partial_fit(X, y)


def test_classes_are_checked():
    X, y = CLASSES
    model = small(DropoutMLPClassifier)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[2\] that are not in classes_, \[0 1\]"):
        model.partial_fit(X, y, classes=[0, 1])
    model.partial_fit(X[:30], y[:30], classes=[2, 1, 0, 5])
    assert model.partial_fit(X, y).classes_.tolist() == [0, 1, 2, 5]
    before = weights(model)
    with pytest.raises(ValueError, match=r"classes=\[0 1\], but those of the net are \[0 1 2 5\]"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels \[7\] that are not in classes_"):
        model.partial_fit(X, np.full(120, 7))
    with pytest.raises(ValueError, match="y is of an indicator matrix, but .* learned classes"):
        model.partial_fit(X, np.eye(4, dtype=int)[y])
    with pytest.raises(ValueError, match="one net for each"):
        model.fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 1\], got -1"):
        model.fit(X, np.where(X[:, :3] > 0, 1, -1))
    assert weights(model) == before


def test_a_batch_larger_than_the_data_is_clipped():
    with pytest.warns(UserWarning, match="batch_size=500 is larger than the 120 samples"):
        fitted(DropoutMLPClassifier, batch_size=500)


# --- Documentation ---


def test_the_page_about_scikit_learn():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/sklearn.md").read_text(), re.S):
        exec(block, names)
    assert names["search"].best_score_ > 0.9


@pytest.mark.parametrize("module", ["classifier", "regressor"])
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"simdrop.sklearn.{module}"))
    assert result.attempted and not result.failed
