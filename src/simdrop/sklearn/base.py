"""What classifier and regressor share: from X and y to a trained net and its outputs."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import nn
from .._names import explained
from .data import Array, Samples
from .parameters import dropout_of_layers
from .training import TrainedMLP

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

OUT_ACTIVATIONS = {  # scikit-learn's name of the output activation for each loss of `nn.MLP`
    "cross_entropy": "softmax",
    "binary_cross_entropy": "logistic",
    "squared_error": "identity",
    "poisson": "exp",
}


class Objective(NamedTuple):
    """What the net is to learn from y, and what this tells about the estimator."""

    loss: str  # of `nn.MLP`
    targets: Array  # as this loss takes them
    n_outputs: int
    class_weight: Array | None = None  # of each sample
    strata: Array | None = None  # labels whose proportions early stopping keeps in its split
    learned: Mapping[str, Any] = {}  # attributes that the estimator gets


class BaseDropoutMLP(TrainedMLP, ABC):
    """A `simdrop.nn.MLP` with the interface of scikit-learn's.

    The net holds the weights and the stream of masks; `coefs_` and `intercepts_` are its arrays. It
    is in eval mode whenever no fit is running, so that threads may predict with one estimator.
    """

    _settings: dict[str, Any]  # arguments of the net
    _seeded_by: Any  # the random_state that seeded the net's stream of masks
    n_layers_: int
    n_outputs_: int
    out_activation_: str

    @abstractmethod
    def _objective(
        self, y: Any, classes: ArrayLike | None, fresh: bool, incremental: bool
    ) -> Objective:
        """What to learn; ValueError for a y that is invalid or does not fit the net.

        Changes nothing. `fresh`: this call starts with a new net.
        """

    @abstractmethod
    def _as_predicted(self, found: nn.Prediction) -> nn.Prediction:
        """From a prediction for the net's outputs, one for those of the estimator."""

    @property
    def coefs_(self) -> tuple[Array, ...]:
        """The weight matrices (n_in, n_out) from input to output, as the net holds them.

        Others of the same shapes may be assigned; the net copies their values.
        """
        return self._parameters("weight")

    @coefs_.setter
    def coefs_(self, values: Iterable[ArrayLike]) -> None:
        self._assign("coefs_", self.coefs_, values)

    @property
    def intercepts_(self) -> tuple[Array, ...]:
        """The biases (n_out,) of the layers, as the net holds them; assigned like `coefs_`."""
        return self._parameters("bias")

    @intercepts_.setter
    def intercepts_(self, values: Iterable[ArrayLike]) -> None:
        self._assign("intercepts_", self.intercepts_, values)

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the net to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 are computed in as they are, other types in float64. A sparse matrix
            is made dense a batch at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, an indicator matrix of several labels, or real numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative, not all 0. A sample of weight k counts as k equal ones in its batch.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For parameters or data that are invalid or, in a warm start, do not fit the net; or if
            training diverges.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X and y, from where the last call ended.

        Parameters that were set since then take effect. ValueError as in `fit`, and for
        `early_stopping=True`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    @explained
    def predict_mc(
        self,
        X: Any,
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> nn.Prediction:
        """Mean and spread of predictions by Monte Carlo dropout.

        Gal and Ghahramani 2016, "Dropout as a Bayesian approximation": n passes that drop units as
        in training.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n : int, default=100
            Number of passes.
        rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream
            Source of their masks. None follows `random_state`: an int gives the same masks in each
            call, a RandomState instance moves on, and None takes NumPy's global one. The masks of
            training are others.
        shared_masks : bool, default=False
            Whether all rows have the same mask in a pass, as in one thinned net.
        samples : bool, default=False
            Whether to return the outputs of each pass, too, in `samples` (n, ...).

        Returns
        -------
        prediction : simdrop.nn.Prediction
            `mean` and `std`, of the shape that `predict_proba` returns for a classifier and
            `predict` for a regressor, whose `std` does not include the noise of y.
            A classifier's has `label`, of `classes_`, and `entropy`, `expected_entropy` and
            `mutual_information` in nats, (n_samples,), too; for an indicator matrix these four are
            (n_samples, n_outputs), of each label by itself.

        Warns
        -----
        UserWarning
            If the net was fitted without dropout: `std` is 0 then, which says nothing about how
            sure it is.

        Raises
        ------
        ValueError
            If n < 1.

        See Also
        --------
        simdrop.sklearn.predict_mc : The same of pipelines and searches that end in this estimator.
        """
        X = self._validated(X)
        if not (np.any(self._settings["p"]) or self._settings["p_input"]):
            warnings.warn(
                "the net was fitted with dropout=0 and input_dropout=0: all passes are the same, "
                "and std is 0",
                stacklevel=3,
            )
        if rng is None:
            random_state = check_random_state(self.random_state)
            rng = random_state.randint(2**32, size=4, dtype=np.uint32)
        found = self._net.predict_mc(X, n, rng=rng, shared_masks=shared_masks, samples=samples)
        return self._as_predicted(found)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_net")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        incremental: bool,
        classes: ArrayLike | None = None,
    ) -> Self:
        self._check_parameters(incremental)
        hidden = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if min(hidden, default=1) < 1:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}")
        fresh = not hasattr(self, "_net") or not (incremental or self.warm_start)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=fresh,
            y_numeric=is_regressor(self),
        )
        objective = self._objective(y, classes, fresh, incremental)
        weight = combined_weight(X, sample_weight, objective.class_weight)
        random_state = check_random_state(self.random_state)
        sizes = (X.shape[1], *hidden, objective.n_outputs)
        self._prepare_net(sizes, X.dtype, objective.loss, fresh, random_state)
        self.__dict__.update(objective.learned)
        targets = objective.targets
        if targets.ndim == 2:  # not labels
            targets = targets.astype(self._net.dtype, copy=False)
        self._train(Samples(X, targets, weight, objective.strata), random_state, incremental)
        return self

    def _check_parameters(self, incremental: bool) -> None:
        if isinstance(self.solver, str) and self.solver == "lbfgs":
            own = "MLPRegressor" if is_regressor(self) else "MLPClassifier"
            raise ValueError(
                "solver must be 'sgd' or 'adam', got 'lbfgs', which cannot train with dropout: it "
                "compares losses at different weights, and each mask makes the loss another "
                f"function. Without dropout, sklearn.neural_network.{own} has it."
            )
        self._validate_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")

    def _prepare_net(
        self,
        sizes: tuple[int, ...],
        dtype: DTypeLike,
        loss: str,
        fresh: bool,
        random_state: np.random.RandomState,
    ) -> None:
        """Make a new net, or give the one of the last call the settings of now."""
        settings: dict[str, Any] = {
            "activation": "sigmoid" if self.activation == "logistic" else self.activation,
            "p": dropout_of_layers(self.dropout, len(sizes) - 2),
            "p_input": self.input_dropout,
            "dropout": self.dropout_kind,
            "loss": loss,
        }
        if fresh:
            values = self._initial_values(sizes, random_state)
        elif self._net.sizes != sizes:
            raise ValueError(
                f"the net has sizes {self._net.sizes}, and cannot continue with {sizes}"
            )
        else:
            values, dtype = [p.value for p in self._net.parameters()], self._net.dtype
        same_stream = not fresh and self._seeded_by == self.random_state
        if not (same_stream and self._settings == settings):
            net = nn.MLP(sizes, rng=seed_of_masks(random_state), dtype=dtype, **settings)
            for parameter, value in zip(net.parameters(), values, strict=True):
                parameter.value[...] = value
            if same_stream:
                net.stream.state = self._net.stream.state
            self._net = net.eval()
        if fresh:
            self._begin_training()
        elif self._settings["loss"] != loss or self.early_stopping != (self.best_loss_ is None):
            self._begin_monitoring()
        self._settings, self._seeded_by = settings, self.random_state
        self.n_layers_, self.n_outputs_ = len(sizes), sizes[-1]
        self.out_activation_ = OUT_ACTIVATIONS[loss]

    def _initial_values(
        self, sizes: tuple[int, ...], random_state: np.random.RandomState
    ) -> list[Array]:
        """Weights and biases, uniform as in Glorot and Bengio 2010, "Understanding the difficulty
        of training deep feedforward neural networks", in scikit-learn's variant."""
        values = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (n_in + n_out))
            values.append(random_state.uniform(-bound, bound, (n_in, n_out)))
            values.append(random_state.uniform(-bound, bound, n_out))
        return values

    def _raw_predictions(self, X: Any) -> Array:
        """The net's outputs for the X of a user, in the common dtype of X and the weights."""
        X = self._validated(X)
        return self._outputs(X).astype(np.result_type(X.dtype, self._net.dtype), copy=False)

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", reset=False)

    def _parameters(self, kind: str) -> tuple[Array, ...]:
        if not hasattr(self, "_net"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return tuple(p.value for p in self._net.parameters() if p.kind == kind)

    def _assign(self, name: str, arrays: tuple[Array, ...], values: Iterable[ArrayLike]) -> None:
        given = [np.asarray(value, self._net.dtype) for value in values]
        wanted, got = ([array.shape for array in several] for several in (arrays, given))
        if wanted != got:
            raise ValueError(f"{name} must be of shapes {wanted}, got {got}")
        for array, value in zip(arrays, given, strict=True):
            array[...] = value


def combined_weight(
    X: Any, sample_weight: ArrayLike | None, class_weight: Array | None
) -> Array | None:
    """The product of both weights of each sample; ValueError unless finite, >= 0 and not all 0."""
    weight = class_weight
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        weight = weight if class_weight is None else weight * class_weight
    if weight is not None and not 0 < weight.max() < np.inf:
        raise ValueError(
            "sample_weight, times the factors of class_weight, must be finite and not 0 for all "
            f"samples, got a largest weight of {weight.max()}"
        )
    return weight


def seed_of_masks(random_state: np.random.RandomState) -> list[int]:
    """A seed drawn from a copy, so that weights, splits and batches are those of scikit-learn."""
    seed: list[int] = copy.deepcopy(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    return seed
