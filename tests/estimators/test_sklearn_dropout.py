"""What dropout adds: masks, how they follow from the random state, and how training continues."""

import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

import joblib
from small_estimators import (
    CLASSES,
    data_for,
    every_estimator,
    every_kind,
    first_classes,
    fitted,
    net_by_hand,
    small,
    weights,
    weights_of,
)

from simdrop import nn
from simdrop.sklearn import DropoutMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@every_kind
@every_estimator
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_fit_is_a_loop_of_train_step(estimator, kind, solver):
    """To the bit, masks included: those of the random state after it has drawn the weights."""
    X, y = data_for(estimator)
    parameters = {"dropout": 0.4, "input_dropout": 0.1, "dropout_kind": kind, "max_norm": 0.8}
    model = small(estimator, solver=solver, alpha=0, shuffle=False, **parameters)
    model.set_params(learning_rate_init=1e-300).partial_fit(X, y, **first_classes(estimator))
    net = net_by_hand(model, epochs=1)
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
    assert weights(model) == weights_of(net)
    assert max(np.linalg.norm(w, axis=0).max() for w in model.coefs_) <= 0.8 + 1e-12


@every_kind
@every_estimator
def test_predictions_are_those_of_the_whole_net_and_take_no_draws(estimator, kind):
    model = fitted(estimator, dropout=0.5, input_dropout=0.2, dropout_kind=kind)
    X, y = data_for(estimator)
    without_predictions = copy.deepcopy(model).partial_fit(X, y)
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
    assert weights(model.partial_fit(X, y)) == weights(without_predictions)


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
def test_partial_fit_continues_weights_masks_and_optimizer(solver, kind):
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
def test_a_copy_continues_as_the_original(duplicate, kind):
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
    before = weights(model)
    model.set_params(dropout=0.0, dropout_kind="batchwise").partial_fit(X, y)
    assert weights(model) == before
    without = small(DropoutMLPClassifier, learning_rate_init=1e-300)
    without.partial_fit(X, y, classes=[0, 1, 2])
    assert model.loss_curve_[0] != without.loss_curve_[0]
    assert np.isclose(model.loss_curve_[1], without.loss_curve_[0], rtol=1e-12)


def test_a_warm_start_continues_weights_curves_and_best_score():
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
    with pytest.raises(ValueError, match=r"\(8, 12, 7, 3\), and cannot continue with \(8, 5, 3\)"):
        model.set_params(hidden_layer_sizes=5).fit(X, y)
    assert model.set_params(warm_start=False).fit(X, y).coefs_[0].shape == (8, 5)


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
