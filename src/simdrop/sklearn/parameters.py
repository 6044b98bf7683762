"""The parameters that both estimators share: meaning, defaults and allowed values.

They are the fields of a dataclass, which writes the `__init__` of each estimator.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import KW_ONLY, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions

T = TypeVar("T")

FRACTION: Any = Interval(Real, 0, 1, closed="left")
POSITIVE: Any = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE: Any = Interval(Real, 0, None, closed="left")
COUNT: Any = Interval(Integral, 1, None, closed="left")


def parameter(default: Any, *allowed: Any) -> Any:
    """A field with this default and these allowed values, in scikit-learn's notation."""
    return field(default=default, metadata={"allowed": list(allowed)})


@dataclass(eq=False, repr=False)
class Parameters(BaseEstimator):
    """What both estimators take and learn; `documented` copies the two lists into their docstrings.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of ints, default=(100,)
        Number of units in each hidden layer.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Activation of the hidden layers.
    solver : {'adam', 'sgd'}, default='adam'
        The optimizer: `simdrop.nn.Adam` or `simdrop.nn.SGD`.
    alpha : float, default=0.0001
        Strength of the L2 penalty: alpha / 2 times the sum of all squared weights, divided by the
        number of samples in the batch (or by the sum of their weights), is added to the loss.
    batch_size : int or 'auto', default='auto'
        Number of samples in a batch; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate, for 'sgd'. 'invscaling' sets it to
        ``learning_rate_init / (t_ + 1)**power_t`` after each epoch; 'adaptive' divides it by 5
        where 'constant' would stop, down to 1e-6.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of the schedule 'invscaling'.
    max_iter : int, default=200
        Maximum number of epochs.
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, dropout masks, batches, the validation split, and the masks of
        `predict_mc`.
    tol : float, default=1e-4
        The loss must fall, or the validation score rise, by at least this to count as improved.
    verbose : bool or int, default=False
        Whether to print the loss, and the validation score, of each epoch.
    warm_start : bool, default=False
        Whether `fit` continues with the weights and masks of the previous fit.
    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1).
    nesterovs_momentum : bool, default=True
        Whether the momentum of 'sgd' is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the score on held-out samples no longer improves, instead of the
        training loss, and to restore the weights that had the best score. The split is stratified
        if there are two classes.
    validation_fraction : float, default=0.1
        Fraction of the samples to hold out for `early_stopping`, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the running means of gradients and of their squares in 'adam', in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of an 'adam' step, for numerical stability.
    n_iter_no_change : int or numpy.inf, default=10
        Training stops after more than this many epochs in a row without improvement.
    dropout : float or array-like of floats, default=0
        Probability of dropping a hidden unit, in [0, 1); or one for each hidden layer.
    input_dropout : float, default=0
        Probability of dropping an input, in [0, 1).
    dropout_kind : {'elementwise', 'batchwise'}, default='elementwise'
        Whether each sample has a mask of its own, or all samples of a batch share one.
    max_norm : float or None, default=None
        Upper bound on the norm of each unit's incoming weights, enforced after each update.

    Attributes
    ----------
    coefs_, intercepts_ : tuple of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: the net's own arrays.
    loss_ : float
        Loss of the last epoch, with dropout: the mean over the samples of the loss, summed over
        the outputs, plus the L2 penalty.
    loss_curve_ : list of float
        `loss_` after each epoch.
    best_loss_ : float or None
        The smallest of these; None with `early_stopping`.
    validation_scores_ : list of float or None
        With `early_stopping`, the score on the held-out samples after each epoch: accuracy, or R2.
    best_validation_score_ : float or None
        The largest of these.
    n_iter_ : int
        Number of epochs in the last fit.
    t_ : int
        Number of samples trained on, counting each again in every epoch.
    n_layers_ : int
        Number of layers, including input and output.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X has feature names that are all strings.
    """

    hidden_layer_sizes: ArrayLike = parameter((100,), "array-like", COUNT)
    activation: str = parameter("relu", StrOptions({"identity", "logistic", "tanh", "relu"}))
    _: KW_ONLY
    solver: str = parameter("adam", StrOptions({"adam", "sgd"}))
    alpha: float = parameter(0.0001, NOT_NEGATIVE)
    batch_size: int | str = parameter("auto", StrOptions({"auto"}), COUNT)
    learning_rate: str = parameter("constant", StrOptions({"constant", "invscaling", "adaptive"}))
    learning_rate_init: float = parameter(0.001, POSITIVE)
    power_t: float = parameter(0.5, NOT_NEGATIVE)
    max_iter: int = parameter(200, COUNT)
    shuffle: bool = parameter(True, "boolean")
    random_state: int | np.random.RandomState | None = parameter(None, "random_state")
    tol: float = parameter(1e-4, NOT_NEGATIVE)
    verbose: bool | int = parameter(False, "verbose")
    warm_start: bool = parameter(False, "boolean")
    momentum: float = parameter(0.9, FRACTION)
    nesterovs_momentum: bool = parameter(True, "boolean")
    early_stopping: bool = parameter(False, "boolean")
    validation_fraction: float = parameter(0.1, FRACTION)
    beta_1: float = parameter(0.9, FRACTION)
    beta_2: float = parameter(0.999, FRACTION)
    epsilon: float = parameter(1e-8, POSITIVE)
    n_iter_no_change: float = parameter(10, COUNT, Options(Real, {np.inf}))
    dropout: ArrayLike = parameter(0.0, FRACTION, "array-like")
    input_dropout: float = parameter(0.0, FRACTION)
    dropout_kind: str = parameter("elementwise", StrOptions({"elementwise", "batchwise"}))
    max_norm: float | None = parameter(None, POSITIVE, None)

    @property
    def _parameter_constraints(self) -> dict[str, list[Any]]:
        """The allowed values of each parameter, where scikit-learn looks for them."""
        return {field.name: field.metadata["allowed"] for field in fields(self)}


def dropout_of_layers(dropout: Any, layers: int) -> float | tuple[float, ...]:
    """The parameter `dropout` as a number, or as one for each hidden layer; ValueError if there is
    another number of them or one is not in [0, 1)."""
    if isinstance(dropout, Real):
        return float(dropout)
    each = np.array(dropout, object)
    if each.shape != (layers,) or not all(FRACTION.is_satisfied_by(p) for p in each):
        raise ValueError(
            "dropout must be a number in [0, 1) or one for each of the hidden layers, of which "
            f"there are {layers}, got {dropout!r}"
        )
    return tuple(map(float, each))


def documented(cls: type[T]) -> type[T]:
    """Fill in %(parameters)s and %(attributes)s in the docstring of an estimator's class."""
    if cls.__doc__ is not None:  # python -OO strips docstrings
        shared = inspect.cleandoc(Parameters.__doc__ or "")
        _, parameters, attributes = re.split(r"\n\n(?:Parameters|Attributes)\n-+\n", shared)
        texts = {"parameters": parameters, "attributes": attributes}
        cls.__doc__ = inspect.cleandoc(cls.__doc__) % texts
    return cls
