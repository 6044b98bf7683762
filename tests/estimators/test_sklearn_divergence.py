"""Training that diverges is an error, however it is stopped and whatever it is measured by."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.model_selection import train_test_split
from small_estimators import NUMBERS, after_the_weights, data_for, every_estimator, small, weights

from simdrop.sklearn import DropoutMLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of what overflows on the way
]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("early_stopping", [False, True])
@every_estimator
def test_fit_and_partial_fit_raise_if_training_diverges(estimator, early_stopping, solver):
    X, y = data_for(estimator)
    model = small(estimator, solver=solver, learning_rate_init=1e200, activation="identity")
    model.set_params(early_stopping=early_stopping, max_iter=20)
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(1e6 * X, y)
    if early_stopping:  # back at the best, which is finite
        assert all(np.isfinite(w).all() for w in (*model.coefs_, *model.intercepts_))
    model.set_params(early_stopping=False)
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        for _ in range(20):
            model.partial_fit(1e6 * X, y)


def test_the_best_weights_of_early_stopping_are_kept():
    X, y = data_for(DropoutMLPRegressor)
    model = small(DropoutMLPRegressor, solver="sgd", early_stopping=True, activation="identity")
    model.set_params(warm_start=True, max_iter=10, learning_rate_init=0.01).fit(X, y)
    best, before = model.best_validation_score_, weights(model)
    model.set_params(learning_rate_init=1e100)
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(X, y)
    assert (model.best_validation_score_, weights(model)) == (best, before)
    assert np.isfinite(model.predict(X)).all()


def test_a_loss_may_overflow_though_weights_are_finite():
    X, y = data_for(DropoutMLPRegressor)
    with pytest.raises(ValueError, match="Solver produced non-finite loss"):
        small(DropoutMLPRegressor).fit(X.astype(np.float32), np.float32(1e25) * y)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_validation_needs_a_finite_score(loss):
    """In samples of the validation something overflows that training never sees."""
    X, y = NUMBERS[0].copy(), abs(NUMBERS[1][:, 0]) / 100
    model = small(DropoutMLPRegressor, loss=loss, early_stopping=True, max_iter=3)
    model.set_params(activation="identity")
    random_state = after_the_weights(0, (8, 12, 7, 1))
    held_out = train_test_split(np.arange(120), random_state=random_state, test_size=0.1)[1]
    X[held_out] *= 1e300
    with pytest.raises(ValueError, match="no validation score was finite"):
        model.fit(X, y)
    assert len(model.validation_scores_) == 3
    assert np.isnan(model.validation_scores_).all()


def test_a_score_that_is_not_finite_is_no_improvement(monkeypatch):
    scores = iter([0.5, np.nan, 0.4, -np.inf, np.nan, 0.6])
    monkeypatch.setattr(DropoutMLPRegressor, "_metric", lambda *_, **__: next(scores))
    model = small(DropoutMLPRegressor, early_stopping=True, n_iter_no_change=3, max_iter=50)
    model.fit(*data_for(DropoutMLPRegressor))
    assert np.array_equal(model.validation_scores_, [0.5, np.nan, 0.4, np.nan, np.nan], True)
    assert model.best_validation_score_ == 0.5
