"""The classifier: labels and their weights, and probabilities."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .. import nn
from .._names import explained
from ..nn.activations import log_sigmoid, log_softmax
from .base import BaseDropoutMLP, Objective
from .data import Array
from .parameters import documented, parameter

ClassWeight = dict[Any, float] | list[dict[int, float]] | str | None


@explained
@dataclass(eq=False, repr=False)
@documented
class DropoutMLPClassifier(ClassifierMixin, BaseDropoutMLP):
    """Multi-layer perceptron classifier with dropout.

    With the default `dropout=0` it starts from the same weights as `MLPClassifier` of the same
    `random_state`, and takes the same batches. Its masks are draws of a `simdrop.Stream`.

    Parameters
    ----------
    %(parameters)s
    class_weight : dict, list of dicts, 'balanced' or None, default=None
        Factors by which the `sample_weight` of each class is multiplied, as {label: factor}; 1 for
        labels that are missing. 'balanced' is n_samples / (n_classes * samples of the class), and
        not for `partial_fit`. For an indicator matrix, a dict for each column with factors for 0
        and 1; those of a row are multiplied.

    Attributes
    ----------
    %(attributes)s
    classes_ : ndarray of shape (n_classes,)
        Class labels; for an indicator matrix, the indices of its columns.
    out_activation_ : {'softmax', 'logistic'}
        'logistic' for two classes or an indicator matrix.

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

    _: KW_ONLY
    class_weight: ClassWeight = parameter(None, StrOptions({"balanced"}), dict, list, None)

    _metric = staticmethod(accuracy_score)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on X and y, from where the last call ended.

        Parameters that were set since then take effect. ValueError as in `fit`, for labels not in
        `classes`, `early_stopping=True` and `class_weight='balanced'`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
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
        logits = self._logits(X)
        if self._is_multilabel:
            return self._net.criterion.predict(logits)
        labels: Array = self.classes_[logits.argmax(axis=1)]
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
        logits = self._logits(X)
        return self._net.criterion.expected(logits)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`, exact even for probabilities that round to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        logits = self._logits(X)
        return log_softmax(logits) if self.out_activation_ == "softmax" else log_sigmoid(logits)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _logits(self, X: Any) -> Array:
        """Inputs of the last activation, (n_samples, n_classes)."""
        outputs = self._raw_predictions(X)
        if self.out_activation_ == "softmax" or self._is_multilabel:
            return outputs
        if len(self.classes_) == 1:
            return np.full_like(outputs, np.inf)
        return np.hstack([-outputs, outputs])  # of which the sigmoids sum to 1

    def _as_predicted(self, found: nn.Prediction) -> nn.Prediction:
        if self._is_multilabel:
            return found
        mean, std, samples = found.mean, found.std, found.samples
        label, entropy, expected = found.label, found.entropy, found.expected_entropy
        if self.out_activation_ != "softmax":  # the one output is of the second class, if any
            second = len(self.classes_) > 1
            mean, std = both_classes(mean, second), np.repeat(std * second, 1 + second, axis=1)
            samples = None if samples is None else both_classes(samples, second)
            label, entropy, expected = (a[:, 0] * second for a in (label, entropy, expected))
        return nn.Prediction(mean, std, samples, self.classes_[label], entropy, expected)

    def _check_parameters(self, incremental: bool) -> None:
        super()._check_parameters(incremental)
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which does not see all "
                "labels. Pass dict(zip(classes, compute_class_weight('balanced', classes=classes, "
                "y=y))) with a sample y that is large enough to represent their frequencies"
            )

    def _objective(
        self, y: Any, classes: ArrayLike | None, fresh: bool, incremental: bool
    ) -> Objective:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns with more than two classes: fit one net to each"
            )
        is_multilabel = kind == "multilabel-indicator" and y.shape[1] > 1
        if is_multilabel:
            y = y.toarray() if scipy.sparse.issparse(y) else y
            y = nn.BinaryCrossEntropy.check(y, *y.shape)
            labels = np.arange(y.shape[1])
        else:
            y = column_or_1d(y, warn=True)
            labels = unique_labels(y)
        known = self._known_classes(labels, is_multilabel, classes, fresh, incremental)
        weight = self._class_weights(y, known, is_multilabel)
        learned = {"classes_": known, "_is_multilabel": is_multilabel}
        if is_multilabel:
            return Objective("binary_cross_entropy", y, len(known), weight, learned=learned)
        codes = np.searchsorted(known, y)
        if len(known) > 2:
            return Objective("cross_entropy", codes, len(known), weight, learned=learned)
        return Objective("binary_cross_entropy", codes[:, np.newaxis], 1, weight, y, learned)

    def _known_classes(
        self,
        labels: Array,
        is_multilabel: bool,
        classes: ArrayLike | None,
        fresh: bool,
        incremental: bool,
    ) -> Array:
        """`classes_` after this call; ValueError for labels of y that are not among them."""
        given = None if classes is None else unique_labels(classes)
        if fresh:
            if incremental and given is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
            known: Array = labels if is_multilabel or given is None else given
        else:
            known = self.classes_
            if is_multilabel != self._is_multilabel:
                kinds = ("an indicator matrix", "an array of classes")
                now, before = kinds if is_multilabel else reversed(kinds)
                raise ValueError(f"y is {now}, but the net was fitted to {before}")
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

    def _class_weights(self, y: Array, known: Array, is_multilabel: bool) -> Array | None:
        """The factor of each sample according to `class_weight`."""
        if self.class_weight is None:
            return None
        weights: Array
        if is_multilabel:
            weights = compute_sample_weight(self.class_weight, y)
        else:  # not compute_sample_weight: a batch need not have all of the classes
            weights = compute_class_weight(self.class_weight, y=y, classes=known)
        refused = weights[~((weights >= 0) & (weights < np.inf))]
        if refused.size:
            raise ValueError(f"class_weight must be finite and not negative, got {refused[0]}")
        return weights if is_multilabel else weights[np.searchsorted(known, y)]


def both_classes(p: Array, second: bool) -> Array:
    """Probabilities of both classes from p (..., 1), the second one's; 1 if there is no second."""
    return np.concatenate([1 - p, p], axis=-1) if second else np.ones_like(p)
