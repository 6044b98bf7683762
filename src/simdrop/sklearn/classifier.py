"""The classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from ..nn.losses import BinaryCrossEntropy, log_sigmoid, log_softmax, sigmoid
from ..nn.prediction import Prediction
from .base import Array, BaseDropoutMLP, Task

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

ClassWeight = dict[Any, float] | list[dict[int, float]] | str | None


class DropoutMLPClassifier(ClassifierMixin, BaseDropoutMLP):
    """Multi-layer perceptron classifier with dropout.

    With the default `dropout=0` it starts from the same weights as `MLPClassifier` of the same
    `random_state`, and takes the same batches. Its masks are draws of a `simdrop.Stream`.

    Parameters
    ----------
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
        return to the weights with the best one. With two classes the split is stratified.
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
    class_weight : dict, list of dicts, 'balanced' or None, default=None
        A factor of the `sample_weight` of each class, as {label: factor}; 1 for classes not given.
        'balanced' is n_samples / (n_classes * samples of the class), not for `partial_fit`. For an
        indicator matrix a dict of each column, for 0 and 1, whose factors are multiplied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for an indicator matrix, the numbers of its columns.
    coefs_, intercepts_ : tuple of ndarray
        Weights (n_in, n_out) and biases (n_out,) of each layer: the net's own arrays.
    loss_ : float
        Mean of the last epoch: cross entropy and L2, with dropout.
    loss_curve_ : list of float
        `loss_` of each epoch, or iteration of 'lbfgs'.
    best_loss_ : float or None
        The smallest of them; None with `early_stopping`.
    validation_scores_ : list of float or None
        Accuracy on the held-out samples after each epoch, with `early_stopping`.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last fit.
    t_ : int
        Samples that were trained on, each as often as it was.
    n_layers_, n_outputs_ : int
        Layers, inputs and outputs among them; outputs, 1 for two classes.
    out_activation_ : {'softmax', 'logistic'}
        'logistic' for two classes or an indicator matrix.
    n_features_in_, feature_names_in_
        Of X: the number of features, and their names where it has names that are all strings.

    See Also
    --------
    DropoutMLPRegressor : The same net for real numbers.
    sklearn.neural_network.MLPClassifier : Without dropout and max-norm.

    References
    ----------
    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15:1929-1958.

    Examples
    --------
    >>> from simdrop.sklearn import DropoutMLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = make_classification(n_samples=400, random_state=1)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
    >>> clf = DropoutMLPClassifier(dropout=0.5, max_iter=100, tol=1e-2, random_state=1)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.8
    True
    """

    _parameter_constraints = {
        **BaseDropoutMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    _metric = staticmethod(accuracy_score)
    _numeric_y = False

    def __init__(
        self,
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
        class_weight: ClassWeight = None,
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
        self.class_weight = class_weight

    @available_if(lambda self: self._is_stochastic())
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on X and y, from where the last call left off, as parameters are now.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that this or a later y has; needed in the first call.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> Array:
        """The most probable classes, (n_samples,), or an indicator matrix (n_samples, n_outputs).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray
        """
        check_is_fitted(self)
        predicted: Array = self._net.criterion.predict(self._validated_outputs(X))
        if self._is_multilabel:
            return predicted
        if len(self.classes_) == 1:
            predicted = np.zeros_like(predicted)
        labels: Array = self.classes_[predicted.reshape(len(predicted))]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class; for an indicator matrix, that each label is 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        outputs = self._validated_outputs(X)
        if self.out_activation_ == "softmax":
            return np.exp(log_softmax(outputs))
        if self._is_multilabel:
            return sigmoid(outputs)
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        return sigmoid(np.hstack([-outputs, outputs]))

    def predict_mc(
        self,
        X: Any,
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> Prediction:
        """Mean and spread of the probabilities by Monte-Carlo dropout.

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
            `mean` and `std` (n_samples, n_classes), in the order of `predict_proba`; `label`, of
            `classes_`; `entropy`, `expected_entropy`, `mutual_information` (n_samples,). For an
            indicator matrix the last four are of each label, (n_samples, n_outputs).

        Raises
        ------
        ValueError
            If the net was fitted without dropout, or n < 1.
        """
        found = self._predict_mc(X, n, rng, shared_masks, samples)
        if self._is_multilabel:
            return found
        mean, std, all_samples = found.mean, found.std, found.samples
        label, entropy, expected = found.label, found.entropy, found.expected_entropy
        if self.out_activation_ != "softmax":  # the net's one output is of the second class
            second = len(self.classes_) > 1
            mean, std = both(mean, second), np.repeat(std * second, 1 + second, axis=1)
            all_samples = None if all_samples is None else both(all_samples, second)
            label, entropy, expected = (a[:, 0] * second for a in (label, entropy, expected))
        return Prediction(mean, std, all_samples, self.classes_[label], entropy, expected)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`, exact for probabilities that round to 0, too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        outputs = self._validated_outputs(X)
        if self.out_activation_ == "softmax":
            return log_softmax(outputs)
        if self._is_multilabel:
            return log_sigmoid(outputs)
        if len(self.classes_) == 1:
            return np.zeros_like(outputs)
        return log_sigmoid(np.hstack([-outputs, outputs]))

    def _task(self, y: Any, fresh: bool, incremental: bool, classes: ArrayLike | None) -> Task:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError("y has several columns of more than two classes: use one net for each")
        is_multilabel = kind == "multilabel-indicator" and y.shape[1] > 1
        if is_multilabel:
            y = y.toarray() if scipy.sparse.issparse(y) else y
            y = BinaryCrossEntropy.check(y, *y.shape)
            labels = np.arange(y.shape[1])
        else:
            y = column_or_1d(y, warn=True)
            labels = unique_labels(y)
        known = self._known_classes(labels, is_multilabel, fresh, incremental, classes)
        learned = {"classes_": known, "_is_multilabel": is_multilabel}
        if is_multilabel:
            weight = self._checked_weight(compute_sample_weight, y)
            return Task(y, "binary_cross_entropy", len(known), "logistic", weight, learned)
        codes = np.searchsorted(known, y)
        # Not compute_sample_weight: a batch need not have all of the classes.
        weight = self._checked_weight(compute_class_weight, y=y, classes=known)
        weight = None if weight is None else weight[codes]
        if len(known) > 2:
            return Task(codes, "cross_entropy", len(known), "softmax", weight, learned)
        targets = codes[:, np.newaxis]
        return Task(targets, "binary_cross_entropy", 1, "logistic", weight, learned)

    def _known_classes(
        self,
        labels: Array,
        is_multilabel: bool,
        fresh: bool,
        incremental: bool,
        classes: ArrayLike | None,
    ) -> Array:
        """What `classes_` is; ValueError for labels of y that do not fit it."""
        given = None if classes is None else unique_labels(classes)
        if fresh:
            if incremental and given is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
            known: Array = labels if is_multilabel or given is None else given
        else:
            known = self.classes_
            if is_multilabel != self._is_multilabel:
                now, before = ("an indicator matrix", "classes")[:: 1 if is_multilabel else -1]
                raise ValueError(f"y is of {now}, but the net has learned {before}")
            if not (incremental or np.array_equal(labels, known)):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {known}, `y` has {labels}"
                )
        if given is not None and not np.array_equal(given, known):
            raise ValueError(f"classes={given}, but those of the net are {known}")
        unknown = np.setdiff1d(labels, known)
        if unknown.size:
            raise ValueError(f"y has labels {unknown} that are not in classes_, {known}")
        return known

    def _checked_weight(self, compute: Callable[..., Array], *args: Any, **of: Any) -> Array | None:
        """The factors that class_weight stands for."""
        if self.class_weight is None:
            return None
        factors = compute(self.class_weight, *args, **of)
        refused = factors[~((factors >= 0) & (factors < np.inf))]
        if refused.size:
            raise ValueError(f"class_weight must be finite and not negative, got {refused[0]}")
        return factors

    def _strata(self, targets: Array) -> Array | None:
        """The labels where there are two classes, as scikit-learn."""
        if self.n_outputs_ > 1:
            return None
        labels: Array = self.classes_[targets[:, 0].astype(np.intp)]
        return labels

    def _check_together(self, incremental: bool) -> None:
        super()._check_together(incremental)
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which does not see all "
                "labels. Pass dict(zip(classes, compute_class_weight('balanced', classes=classes, "
                "y=y))) with a sample y that is large enough to have their frequencies"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def both(p: Array, second: bool) -> Array:
    """Of p (..., 1), the second class's probability, those of both; or of the only class, 1."""
    return np.concatenate([1 - p, p], axis=-1) if second else np.ones_like(p)
