"""`class_weight` of the classifier: a factor of each sample's weight, by its class."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight
from small_estimators import CLASSES, every_kind, fitted, small, weights

from simdrop.sklearn import DropoutMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rare_classes():
    X, y = CLASSES
    rows = np.concatenate([np.flatnonzero(y == k)[:n] for k, n in enumerate((35, 10, 25))])
    return X[rows], np.array(["a", "b", "c"])[y[rows]]


@every_kind
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@settings(max_examples=8)
@given(
    factors=st.none() | st.lists(st.sampled_from([0, 0.5, 1, 3.5]), min_size=3, max_size=3),
    seed=st.none() | st.integers(0, 100),
    early_stopping=st.booleans(),
)
def test_it_is_a_factor_of_the_sample_weight(kind, solver, factors, seed, early_stopping):
    X, y = rare_classes()
    class_weight = "balanced" if factors is None else dict(zip("abc", factors, strict=True))
    weight = np.ones(len(y))
    if seed is not None:
        weight = np.random.default_rng(seed).integers(0, 3, len(y)).astype(float)
    by_class = compute_sample_weight(class_weight, y)
    assume((by_class * weight).any())
    model = small(DropoutMLPClassifier, solver=solver, early_stopping=early_stopping, dropout=0.3)
    expected = clone(model.set_params(dropout_kind=kind))
    model.set_params(class_weight=class_weight)
    try:
        expected.fit(X, y, sample_weight=by_class * weight)
    except ValueError as error:  # none in the validation's split
        with pytest.raises(ValueError, match=re.escape(str(error))):
            model.fit(X, y, sample_weight=weight)
        return
    model.fit(X, y, sample_weight=None if seed is None else weight)
    assert weights(model) == weights(expected)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_


@settings(max_examples=10)
@given(counts=st.lists(st.integers(0, 4), min_size=3, max_size=3).filter(any))
def test_whole_numbers_repeat_rows(counts):
    X, y = CLASSES
    parameters = {"batch_size": 1000, "solver": "sgd", "dropout": 0.4, "dropout_kind": "batchwise"}
    weighted, repeated = (small(DropoutMLPClassifier, **parameters) for _ in range(2))
    weighted.set_params(class_weight=dict(enumerate(counts)))
    times = np.array(counts)[y]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "batch_size=1000 is larger")
        for _ in range(3):
            weighted.partial_fit(X, y, classes=[0, 1, 2])
            repeated.partial_fit(X.repeat(times, 0), y.repeat(times), classes=[0, 1, 2])
    assert np.allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_batches_may_lack_classes():
    X, y = CLASSES
    few = y != 1
    model = small(DropoutMLPClassifier, class_weight={1: 2.0, 2: 0.5})
    expected = small(DropoutMLPClassifier)
    for rows in (few, slice(None), few):
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        by_class = np.array([1, 2, 0.5])[y[rows]]
        expected.partial_fit(X[rows], y[rows], classes=[0, 1, 2], sample_weight=by_class)
    assert weights(model) == weights(expected)


@pytest.mark.parametrize("class_weight", ["balanced", [{0: 1, 1: 3}, {0: 0.5, 1: 2}, {1: 4}]])
def test_factors_of_several_labels_are_multiplied(class_weight):
    X = CLASSES[0]
    y = (X[:, :3] > 0.3).astype(int)
    model = small(DropoutMLPClassifier, dropout=0.2, class_weight=class_weight)
    expected = small(DropoutMLPClassifier, dropout=0.2)
    expected.fit(X, y, sample_weight=compute_sample_weight(class_weight, y))
    for labels in (y, scipy.sparse.csr_array(y)):
        assert weights(model.fit(X, labels)) == weights(expected)


def test_rare_classes_are_found_where_it_is_balanced():
    X, y = make_classification(
        600, 8, n_informative=6, weights=[0.95], class_sep=0.7, flip_y=0.02, random_state=1
    )
    plain, balanced = (
        small(DropoutMLPClassifier, hidden_layer_sizes=(), max_iter=60, class_weight=w).fit(X, y)
        for w in (None, "balanced")
    )
    assert recall_score(y, balanced.predict(X)) > recall_score(y, plain.predict(X))


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("even", "'class_weight' parameter"),
        (3.0, "'class_weight' parameter"),
        ({0: -1.0}, "class_weight must be finite and not negative, got -1"),
        ({0: float("nan")}, "class_weight must be finite and not negative, got nan"),
        ({0: float("inf")}, "class_weight must be finite and not negative, got inf"),
        ({0: 0, 1: 0, 2: 0}, "class_weight, must be finite and not 0 for all samples"),
        ({0: 1, 7: 1}, "not in class_weight"),
        ([{0: 1}, {1: 1}, {2: 1}], "class_weight"),
    ],
)
def test_class_weights_are_refused_before_anything_changes(class_weight, message):
    model = fitted(DropoutMLPClassifier)
    before = weights(model)
    model.set_params(class_weight=class_weight)
    for fit in (model.fit, model.partial_fit, clone(model).fit):
        with pytest.raises(ValueError, match=message):
            fit(*CLASSES)
    with pytest.raises(ValueError, match="class_weight"):  # of other classes than it has
        model.fit(CLASSES[0], np.full(120, 8))
    assert weights(model) == before
    assert model.classes_.tolist() == [0, 1, 2]


def test_several_labels_need_as_many_dicts():
    model = small(DropoutMLPClassifier, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="should be a list of dicts"):
        model.fit(CLASSES[0], CLASSES[0] > 0)
    with pytest.raises(ValueError, match="Got 1 element"):
        model.set_params(class_weight=[{0: 1.0}]).fit(CLASSES[0], CLASSES[0] > 0)
