"""The regressor: means of real numbers or counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions

from .. import nn
from .._names import explained
from .base import BaseDropoutMLP, Objective
from .data import Array
from .parameters import documented, parameter


@dataclass(eq=False, repr=False)
class LossParameter:
    """The first parameter of the regressor: dataclasses begin with the fields of the last base."""

    loss: str = parameter("squared_error", StrOptions({"squared_error", "poisson"}))


@explained
@dataclass(eq=False, repr=False)
@documented
class DropoutMLPRegressor(RegressorMixin, BaseDropoutMLP, LossParameter):
    """Multi-layer perceptron regressor with dropout.

    With the default `dropout=0` it starts from the same weights as `MLPRegressor` of the same
    `random_state`, and takes the same batches. Its masks are draws of a `simdrop.Stream`.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, or half the Poisson deviance of targets >= 0, whose mean is the
        exponential of the output; summed over the outputs.
    %(parameters)s

    Attributes
    ----------
    %(attributes)s
    out_activation_ : {'identity', 'exp'}
        'exp' for the loss 'poisson'.

    See Also
    --------
    DropoutMLPClassifier : The same net for classes.
    sklearn.neural_network.MLPRegressor : Without dropout and max-norm.

    References
    ----------
    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15:1929-1958.

    Examples
    --------
    >>> from simdrop.sklearn import DropoutMLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=300, n_features=10, random_state=1)
    >>> reg = DropoutMLPRegressor(dropout=0.1, learning_rate_init=0.01, tol=10, random_state=1)
    >>> reg.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _metric = staticmethod(r2_score)

    def predict(self, X: Any) -> Array:
        """The predicted means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._raw_predictions(X)
        predicted = self._net.criterion.predict(outputs)
        return predicted[:, 0] if self.n_outputs_ == 1 else predicted

    def _objective(
        self, y: Any, classes: ArrayLike | None, fresh: bool, incremental: bool
    ) -> Objective:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1)
        if self.loss == "poisson":
            targets = nn.Poisson.check(targets, *targets.shape)
        return Objective(self.loss, targets, n_outputs=targets.shape[1])

    def _as_predicted(self, found: nn.Prediction) -> nn.Prediction:
        if self.n_outputs_ > 1:
            return found
        samples = None if found.samples is None else found.samples[..., 0]
        return nn.Prediction(found.mean[:, 0], found.std[:, 0], samples, None, None, None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
