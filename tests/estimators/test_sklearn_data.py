"""X, y and sample weights: sparse matrices, dtypes, labels of all kinds, rows that count twice."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from small_estimators import (
    CLASSES,
    data_for,
    every_estimator,
    first_classes,
    fitted,
    small,
    weights,
)

from simdrop.sklearn import DropoutMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    monkeypatch.setattr("simdrop.sklearn.data.CHUNK_ELEMENTS", 25 * 8)
    dense = small(estimator, dropout=0.3).fit(X, y)
    assert not rows
    sparse = small(estimator, dropout=0.3).fit(container(X), y)
    assert rows == [30] * 4 * 4
    rows.clear()
    assert np.allclose(sparse.predict(container(X)), dense.predict(X), rtol=1e-10)
    assert rows == [25, 25, 25, 25, 20]
    assert weights(sparse) == weights(dense)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@every_estimator
def test_float32_stays_float32_and_all_else_is_float64(estimator, dtype):
    X, y = data_for(estimator)
    X = (3 * X).astype(dtype)
    work = np.float32 if dtype is np.float32 else np.float64
    model = small(estimator, dropout=0.2).fit(X, y)
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(work)}
    method = model.predict_proba if estimator is DropoutMLPClassifier else model.predict
    assert method(X).dtype == work
    assert method(X.astype(np.float64)).dtype == np.float64


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


def test_a_single_class_has_probability_1():
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


@every_estimator
def test_a_column_of_targets_is_raveled_with_a_warning(estimator):
    X, y = data_for(estimator)
    y = y if y.ndim == 1 else y[:, 0]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = small(estimator).fit(X, y[:, np.newaxis])
    assert weights(model) == weights(small(estimator).fit(X, y))
    assert model.predict(X).shape == (120,)


@every_estimator
def test_constant_features_are_taken(estimator):
    X, y = data_for(estimator)
    X = np.hstack([np.zeros((120, 2)), X[:, :3], np.ones((120, 1))])
    model = small(estimator, dropout=0.3).fit(X, y)
    assert model.n_features_in_ == 6
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match="X has 5 features"):
        model.partial_fit(X[:, 1:], y)


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
    left = weight > 0
    other = clone(model).fit(X[left], y[left], sample_weight=weight[left])
    assert weights(model) == weights(other)
    assert np.allclose(model.loss_curve_, other.loss_curve_, rtol=1e-14)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(119), r"\(119,\), expected \(120,\)"),
        (np.zeros(120), "zero|must be finite and not 0 for all samples"),
        (-np.ones(120), "Negative values in .*sample_weight"),
        (np.full(120, np.nan), "sample_weight contains NaN"),
        (np.full(120, np.inf), "sample_weight contains infinity"),
        (np.ones((120, 2)), "[Ss]ample.?weights? must be 1D"),
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
    with pytest.raises(ValueError, match="zero for all samples of the training or the validation"):
        small(DropoutMLPClassifier, early_stopping=True).fit(*CLASSES, sample_weight=weight)
    model = small(DropoutMLPClassifier, early_stopping=True)
    model.fit(*CLASSES, sample_weight=np.arange(120))
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_a_batch_larger_than_the_data_is_clipped():
    with pytest.warns(UserWarning, match="batch_size=500 is larger than the 120 samples"):
        fitted(DropoutMLPClassifier, batch_size=500)
