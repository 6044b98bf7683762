"""Parameters and data that are refused, and what an estimator is before and after."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.exceptions import NotFittedError
from small_estimators import CLASSES, OWN, data_for, every_estimator, fitted, small, weights

from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor, predict_mc

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
        ({"solver": "newton"}, "'solver' parameter .* must be .*sgd"),
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "validation set is too small"),
    ],
)
@every_estimator
def test_parameters_are_refused(estimator, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(estimator, **parameters)


@every_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_lbfgs_is_refused_with_the_solvers_there_are(estimator, method):
    own = OWN[estimator].__name__
    message = f"solver must be 'sgd' or 'adam', got 'lbfgs'.* sklearn.neural_network.{own} has it"
    with pytest.raises(ValueError, match=message):
        getattr(small(estimator, solver="lbfgs"), method)(*data_for(estimator))


@every_estimator
def test_partial_fit_refuses_early_stopping(estimator):
    X, y = data_for(estimator)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        small(estimator, early_stopping=True).partial_fit(X, y)


def test_labels_that_do_not_fit_the_classes_are_refused():
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
    with pytest.raises(
        ValueError, match="y is an indicator matrix, but .* fitted to an array of classes"
    ):
        model.partial_fit(X, np.eye(4, dtype=int)[y])
    with pytest.raises(ValueError, match="fit one net to each"):
        model.fit(X, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"targets must be in \[0, 1\], got -1"):
        model.fit(X, np.where(X[:, :3] > 0, 1, -1))
    assert weights(model) == before


@every_estimator
def test_a_first_fit_that_fails_leaves_it_unfitted(estimator):
    X, y = data_for(estimator)
    model = small(estimator, hidden_layer_sizes=(3, 0))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@every_estimator
def test_before_fit_predictions_and_weights_are_errors(estimator):
    with pytest.raises(NotFittedError):
        estimator().predict([[1.0]])
    with pytest.raises(AttributeError, match="is not fitted yet"):
        _ = estimator().intercepts_


def test_names_of_elsewhere():
    for call, wrong, hint in (
        (DropoutMLPClassifier, "p", r"DropoutMLPClassifier\(\) .*'p': pass dropout, "),
        (DropoutMLPRegressor, "keep_prob", r": dropout = 1 - keep_prob$"),
        (DropoutMLPClassifier, "seed", r"'seed': pass random_state, "),
        (DropoutMLPClassifier, "rng", r"'rng': pass random_state, "),
        (DropoutMLPClassifier, "p_input", r"'p_input': pass input_dropout$"),
        (small(DropoutMLPClassifier).predict_mc, "seed", r"predict_mc\(\) .*: pass rng, "),
        (predict_mc, "n_samples", r"predict_mc\(\) .*: pass n$"),
    ):
        with pytest.raises(TypeError, match=hint):
            call(**{wrong: 0})
