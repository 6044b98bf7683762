"""The regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..nn.losses import Poisson
from ..nn.prediction import Prediction
from .base import Array, BaseDropoutMLP, Task

if TYPE_CHECKING:
    from simdrop._core.stream import Rng


class DropoutMLPRegressor(RegressorMixin, BaseDropoutMLP):
    """Multi-layer perceptron regressor with dropout.

    With the default `dropout=0` it starts from the same weights as `MLPRegressor` of the same
    `random_state`, and takes the same batches. Its masks are draws of a `simdrop.Stream`.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, or half the Poisson deviance of targets >= 0, whose mean is the
        exponential of the output; summed over the outputs.
    hidden_layer_sizes : array-like of ints, default=(100,)
        Units of each hidden layer.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Of the hidden layers.
    solver : {'adam', 'sgd', 'lbfgs'}, default='adam'
        'lbfgs' needs `dropout=0`, `input_dropout=0` and `max_norm=None`, and computes in float64.
    alpha : float, default=0.0001
        L2: alpha / 2 times the sum of all squared weights, divided by the number of samples of the
        batch (the sum of their weights), is added to its loss.
    batch_size : int or 'auto', default='auto'
        'auto' is min(200, n_samples). Not for 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        For 'sgd'. 'invscaling' is learning_rate_init / (t_ + 1)**power_t, after each epoch;
        'adaptive' divides by 5, where 'constant' would stop, until 1e-6.
    learning_rate_init : float, default=0.001
        For 'sgd' and 'adam'.
    power_t : float, default=0.5
        Of 'invscaling'.
    max_iter : int, default=200
        Epochs, or iterations of 'lbfgs', at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in another order.
    random_state : int, RandomState instance or None, default=None
        Decides weights, masks, batches and the validation's split.
    tol : float, default=1e-4
        An epoch counts as improvement from here. For 'lbfgs', the largest gradient at the end.
    verbose : bool or int, default=False
        Whether to print loss and score of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's weights and masks.
    momentum : float, default=0.9
        In [0, 1). For 'sgd'.
    nesterovs_momentum : bool, default=True
        For 'sgd'.
    early_stopping : bool, default=False
        Whether to stop on the score of held-out samples instead of the training's loss, and to
        return to the weights with the best one.
    validation_fraction : float, default=0.1
        Of the samples, to hold out for `early_stopping`.
    beta_1, beta_2 : float, default=0.9, 0.999
        Of 'adam'.
    epsilon : float, default=1e-8
        Of 'adam'.
    n_iter_no_change : int, default=10
        More epochs in a row than this without improvement end the training.
    max_fun : int, default=15000
        Evaluations of the loss by 'lbfgs', at most.
    dropout : float, default=0
        Probability, in [0, 1), of dropping a hidden unit.
    input_dropout : float, default=0
        Probability, in [0, 1), of dropping an input.
    dropout_kind : {'elementwise', 'batchwise'}, default='elementwise'
        Whether each sample has a mask of its own, or all of a batch the same one.
    max_norm : float or None, default=None
        Bound on the norm of each unit's incoming weights, restored after each update.

    Attributes
    ----------
    coefs_, intercepts_ : tuple of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: the net's own arrays.
    loss_ : float
        Mean of the last epoch: loss, summed over the outputs, and L2, with dropout.
    loss_curve_ : list of float
        `loss_` of each epoch, or iteration of 'lbfgs'.
    best_loss_ : float or None
        The smallest of them; None with `early_stopping`.
    validation_scores_ : list of float or None
        R2 on the held-out samples after each epoch, with `early_stopping`.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last fit.
    t_ : int
        Samples that were trained on, each as often as it was.
    n_layers_, n_outputs_ : int
        Layers, inputs and outputs among them; outputs.
    out_activation_ : {'identity', 'exp'}
        'exp' for the loss 'poisson'.
    n_features_in_, feature_names_in_
        Of X: the number of features, and their names where it has names that are all strings.

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

    _parameter_constraints = {
        **BaseDropoutMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }
    _metric = staticmethod(r2_score)
    _numeric_y = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: ArrayLike = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        dropout_kind: str = "elementwise",
        max_norm: float | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            input_dropout=input_dropout,
            dropout_kind=dropout_kind,
            max_norm=max_norm,
        )
        self.loss = loss

    @available_if(lambda self: self._is_stochastic())
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X and y, from where the last call left off, as parameters are now.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """The predicted means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        predicted = self._net.criterion.predict(self._validated_outputs(X))
        return predicted[:, 0] if self.n_outputs_ == 1 else predicted

    def predict_mc(
        self,
        X: Any,
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> Prediction:
        """Mean and spread of the predicted means by Monte-Carlo dropout.

        Gal and Ghahramani 2016, "Dropout as a Bayesian approximation": n passes that drop units as
        in training.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n : int, default=100
            How many passes.
        rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream
            Where their masks come from; not the estimator's `random_state`.
        shared_masks : bool, default=False
            Whether all rows have the same mask in a pass, as of one thinned net.
        samples : bool, default=False
            Whether to return the outputs of each pass, too, in `samples` (n, ...).

        Returns
        -------
        prediction : simdrop.nn.Prediction
            `mean` and `std`, each as `predict` returns means. The noise of y is not in `std`.

        Raises
        ------
        ValueError
            If the net was fitted without dropout, or n < 1.
        """
        found = self._predict_mc(X, n, rng, shared_masks, samples)
        if self.n_outputs_ > 1:
            return found
        all_samples = None if found.samples is None else found.samples[..., 0]
        return Prediction(found.mean[:, 0], found.std[:, 0], all_samples, None, None, None)

    def _task(self, y: Any, fresh: bool, incremental: bool, classes: ArrayLike | None) -> Task:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1)
        n_outputs = targets.shape[1]
        if self.loss == "poisson":
            return Task(Poisson.check(targets, *targets.shape), "poisson", n_outputs, "exp")
        return Task(targets, "squared_error", n_outputs, "identity")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
