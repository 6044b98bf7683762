"""Monte Carlo dropout through what scikit-learn builds of estimators: pipelines, searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .. import nn
from .._names import explained
from .base import BaseDropoutMLP
from .data import Array

if TYPE_CHECKING:
    from simdrop._core.stream import Rng


@explained
def predict_mc(
    estimator: Any,
    X: Any,
    n: int = 100,
    *,
    rng: Rng = None,
    shared_masks: bool = False,
    samples: bool = False,
) -> nn.Prediction:
    """The method `predict_mc` of a DropoutMLP inside a pipeline or a search, for their X.

    Parameters
    ----------
    estimator : estimator
        A fitted `DropoutMLPClassifier` or `DropoutMLPRegressor`; or, in any combination, what ends
        in one:

        - a `Pipeline`, whose steps before the last one transform X;
        - `GridSearchCV` or another search with ``refit``, for its `best_estimator_`;
        - `TransformedTargetRegressor`, which transforms the outputs of each pass back. Where that
          is not linear, the mean is no estimate of what `predict` returns;
        - `FrozenEstimator`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        As `predict` of the estimator takes it.
    n, rng, shared_masks, samples
        As of `DropoutMLPClassifier.predict_mc`: with ``rng=None`` the `random_state` of the
        DropoutMLP decides.

    Returns
    -------
    prediction : simdrop.nn.Prediction

    Raises
    ------
    TypeError
        For another estimator. Of several nets, as `BaggingClassifier` or `MultiOutputRegressor`
        have, or of classes whose probabilities are changed, as by `CalibratedClassifierCV`, these
        predictions would not be.
    NotFittedError
        If it is not fitted.
    AttributeError
        For a search with ``refit=False``.
    ValueError
        As the method.

    Examples
    --------
    >>> from simdrop.sklearn import DropoutMLPRegressor, predict_mc
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> net = DropoutMLPRegressor(dropout=0.2, max_iter=10, tol=1e9, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> predict_mc(pipeline, X, n=20).std.shape
    (200,)
    """
    *around, net = _nested(estimator)
    targets = [one for one in around if isinstance(one, TransformedTargetRegressor)]
    for one in around:
        check_is_fitted(one)
        if isinstance(one, Pipeline):
            X = _transformed(one, X)
    found: nn.Prediction = net.predict_mc(
        X, n, rng=rng, shared_masks=shared_masks, samples=samples or bool(targets)
    )
    if not targets:
        return found
    outputs: Any = found.samples
    for one in reversed(targets):
        outputs = _in_units_of(one, outputs)
    return _of_samples(outputs, samples)


def _nested(estimator: Any) -> list[Any]:
    """An estimator, the one inside it that predicts, and so on to the DropoutMLP, or an error."""
    inside = [estimator]
    while not isinstance(inside[-1], BaseDropoutMLP):
        last = inside[-1]
        if isinstance(last, Pipeline):
            inside.append(last.steps[-1][1])
        elif isinstance(last, BaseSearchCV):
            if not last.refit:
                raise AttributeError(
                    f"this {type(last).__name__} has refit=False, and so no best_estimator_ that "
                    "predicts"
                )
            check_is_fitted(last)
            inside.append(last.best_estimator_)
        elif isinstance(last, TransformedTargetRegressor):
            check_is_fitted(last)
            inside.append(last.regressor_)
        elif isinstance(last, FrozenEstimator):
            inside.append(last.estimator)
        else:
            raise _refused(inside)
    is_transformed = any(isinstance(one, TransformedTargetRegressor) for one in inside)
    if is_transformed and not is_regressor(inside[-1]):
        raise _refused(inside)
    return inside


def _refused(inside: list[Any]) -> TypeError:
    given = " in ".join(
        repr(one) if isinstance(one, str | type) else type(one).__name__ for one in reversed(inside)
    )
    return TypeError(
        "predict_mc is for a DropoutMLPClassifier or DropoutMLPRegressor, alone or inside a "
        "Pipeline, a search, FrozenEstimator or (regressors) TransformedTargetRegressor, not for "
        f"{given}"
    )


def _transformed(pipeline: Pipeline, X: Any) -> Any:
    """X as the last step of a pipeline gets it."""
    for _, step in pipeline.steps[:-1]:
        if step is not None and step != "passthrough":
            X = step.transform(X)
    return X


def _in_units_of(estimator: TransformedTargetRegressor, outputs: Array) -> Array:
    """Outputs (n, rows) or (n, rows, outputs) of each pass, transformed back as by `predict`."""
    n, rows, *_ = outputs.shape
    inverted = np.asarray(estimator.transformer_.inverse_transform(outputs.reshape(n * rows, -1)))
    shape = inverted.shape[1:]
    if estimator._training_dim == 1 and shape == (1,):
        shape = ()
    return inverted.reshape(n, rows, *shape)


def _of_samples(outputs: Array, samples: bool) -> nn.Prediction:
    """The prediction of real numbers for the outputs of each pass."""
    outputs = outputs.astype(np.float64, copy=False)
    differences = outputs - outputs[0]  # so that outputs that do not vary have a deviation of 0
    mean, std = outputs[0] + differences.mean(axis=0), differences.std(axis=0)
    return nn.Prediction(mean, std, outputs if samples else None, None, None, None)
