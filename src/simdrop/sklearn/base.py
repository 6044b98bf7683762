"""What the classifier and the regressor share: parameters, and training as scikit-learn does it."""

from __future__ import annotations

import copy
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import scipy.optimize
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, gen_batches, shuffle
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import nn
from ..nn.network import _shares as shares

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
CHUNK = 2048  # rows at a time where no batch size is given
CHUNK_ELEMENTS = 2**22  # of a sparse X that are dense at a time there, if more than one row


class Task(NamedTuple):
    """Targets as the net's loss takes them, that loss, and what stands behind the outputs."""

    targets: Array
    loss: str
    n_outputs: int
    out_activation: str
    weight: Array | None = None  # of each sample, by its class
    learned: dict[str, Any] = {}  # attributes that say what the outputs stand for


@dataclass
class Data:
    """Rows to learn from or to measure on."""

    x: Any  # array or CSR
    y: Array
    weight: Array | None

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def rows(self, rows: Any) -> Data:
        """Some of them, dense."""
        weight = None if self.weight is None else self.weight[rows]
        return Data(dense(self.x[rows]), self.y[rows], weight)

    @property
    def size(self) -> float:
        """What `alpha` is divided by: the number of rows, or the sum of their weights."""
        return len(self) if self.weight is None else float(self.weight.sum())


class BaseDropoutMLP(BaseEstimator, ABC):
    """A `simdrop.nn.MLP` with the interface of scikit-learn's.

    The net holds weights and stream of masks; `coefs_` and `intercepts_` are its arrays. It is in
    eval mode whenever no fit is running, so that threads may predict with one estimator.
    """

    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any  # None with early stopping, the next two without
    validation_scores_: Any
    best_validation_score_: Any
    _net: nn.MLP
    _optimizer: Any
    _settings: dict[str, Any]
    _seeded_by: Any  # the random_state of which the stream of masks was made
    _schedule: tuple[Any, ...]  # of the learning rate, as of the last call
    _stale_epochs: int  # in a row, that have not improved on the best by tol

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "dropout_kind": [StrOptions({"elementwise", "batchwise"})],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    }

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
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.dropout_kind = dropout_kind
        self.max_norm = max_norm

    # --- What the two differ in ---

    _metric: Callable[..., float]  # of validation: (y, predicted, sample_weight=)
    _numeric_y: bool

    @abstractmethod
    def _task(self, y: Any, fresh: bool, incremental: bool, classes: ArrayLike | None) -> Task:
        """What the net is to learn; ValueError for a y that does not fit what it has learned.

        Nothing is changed. `fresh` says that this call forgets what was learned before, if
        anything was.
        """

    def _strata(self, targets: Array) -> Array | None:
        """What the validation's split keeps in proportion."""
        return None

    # --- The public interface that they share ---

    @property
    def coefs_(self) -> tuple[Array, ...]:
        """The weight matrices (n_in, n_out) from input to output, as the net holds them.

        Others of the same shapes may be assigned; the net takes their values.
        """
        return self._parameters("weight")

    @coefs_.setter
    def coefs_(self, values: Iterable[ArrayLike]) -> None:
        self._assign("coefs_", self.coefs_, values)

    @property
    def intercepts_(self) -> tuple[Array, ...]:
        """The biases (n_out,) of the layers, as the net holds them; assigned as `coefs_`."""
        return self._parameters("bias")

    @intercepts_.setter
    def intercepts_(self, values: Iterable[ArrayLike]) -> None:
        self._assign("intercepts_", self.intercepts_, values)

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the net to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 and float64 are computed in as they are, other types in float64. Of a sparse
            matrix a batch is dense at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, an indicator matrix of several labels, or real numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative, not all 0. A sample of weight k counts as k equal ones in its batch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_net")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # --- Fitting ---

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        incremental: bool,
        classes: ArrayLike | None = None,
    ) -> Self:
        self._validate_params()
        self._check_together(incremental)
        hidden = self._hidden_sizes()
        fresh = not hasattr(self, "_net") or not (incremental or self.warm_start)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=fresh,
            y_numeric=self._numeric_y,
        )
        n_samples = X.shape[0]
        weight = None
        if sample_weight is not None:
            weight = np.asarray(sample_weight, np.float64)
            weight = np.full(n_samples, weight) if weight.ndim == 0 else weight
            shares(weight, n_samples)  # refuses what are no weights
        task = self._task(y, fresh, incremental, classes)
        if task.weight is not None:
            weight = task.weight if weight is None else weight * task.weight
            if not weight.any():
                raise ValueError("class_weight gives no sample a weight above 0")
            shares(weight, n_samples)  # nor what overflows
        random_state = check_random_state(self.random_state)
        sizes = (X.shape[1], *hidden, task.n_outputs)
        self._prepare_net(sizes, X.dtype, task, fresh, random_state)
        targets = task.targets
        if targets.ndim == 2:  # not labels
            targets = targets.astype(self._net.dtype, copy=False)
        data = Data(X, targets, weight)
        try:
            if self.solver == "lbfgs":
                self._minimize(data)
            else:
                self._descend(data, random_state, incremental)
        finally:
            self._net.eval()
        return self

    def _check_together(self, incremental: bool) -> None:
        """Refuse parameters that exclude each other."""
        if self.solver == "lbfgs" and (self.dropout or self.input_dropout):
            raise ValueError(
                "solver='lbfgs' needs dropout=0 and input_dropout=0: it compares losses at "
                "different weights, and each mask makes the loss another function; use 'adam' or "
                "'sgd'"
            )
        if self.solver == "lbfgs" and self.max_norm is not None:
            raise ValueError(
                "solver='lbfgs' needs max_norm=None: it minimizes without constraints; use 'adam' "
                "or 'sgd'"
            )
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")

    def _hidden_sizes(self) -> list[int]:
        hidden: list[int] = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if any(units <= 0 for units in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}")
        return hidden

    def _prepare_net(
        self,
        sizes: tuple[int, ...],
        dtype: DTypeLike,
        task: Task,
        fresh: bool,
        random_state: np.random.RandomState,
    ) -> None:
        """A new net; or, to go on with, the one of the last fit, as it is set now."""
        settings = {
            "activation": ACTIVATIONS[self.activation],
            "p": self.dropout,
            "p_input": self.input_dropout,
            "dropout": self.dropout_kind,
            "loss": task.loss,
        }
        if fresh:
            # lbfgs works in float64, as SciPy's does.
            dtype = np.float64 if self.solver == "lbfgs" else dtype
            values = self._initial_values(sizes, random_state)
            self._net = make_net(sizes, settings, values, seed_of_masks(random_state), dtype)
            self.__dict__.pop("_optimizer", None)
            self.n_layers_ = len(sizes)
            self.n_outputs_ = task.n_outputs
            self.t_ = 0
            self.loss_curve_ = []
            self._begin_monitoring()
        elif self._net.sizes != sizes:
            raise ValueError(f"the net has sizes {self._net.sizes}, and cannot go on with {sizes}")
        elif self._settings != settings or self._seeded_by != self.random_state:
            stream = self._net.stream.state
            values = [p.value for p in self._net.parameters()]
            seed = seed_of_masks(random_state)
            self._net = make_net(sizes, settings, values, seed, self._net.dtype)
            if self._seeded_by == self.random_state:
                self._net.stream.state = stream
            if self._settings["loss"] != settings["loss"]:
                self._begin_monitoring()
        self._settings, self._seeded_by = settings, self.random_state
        self.out_activation_ = task.out_activation
        self.__dict__.update(task.learned)
        if self._stops_early != (self.best_loss_ is None):
            self._begin_monitoring()

    @property
    def _stops_early(self) -> bool:
        return self.early_stopping and self.solver != "lbfgs"

    def _begin_monitoring(self) -> None:
        self._stale_epochs = 0
        self.best_loss_ = None if self._stops_early else np.inf
        self.validation_scores_ = [] if self._stops_early else None
        self.best_validation_score_ = -np.inf if self._stops_early else None

    def _initial_values(
        self, sizes: tuple[int, ...], random_state: np.random.RandomState
    ) -> list[Array]:
        """Weights and biases, uniform as of Glorot and Bengio 2010, "Understanding the difficulty
        of training deep feedforward neural networks", in scikit-learn's variant."""
        values = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (n_in + n_out))
            values.append(random_state.uniform(-bound, bound, (n_in, n_out)))
            values.append(random_state.uniform(-bound, bound, n_out))
        return values

    # --- Stochastic gradient descent ---

    def _descend(self, data: Data, random_state: np.random.RandomState, incremental: bool) -> None:
        self._prepare_optimizer(incremental)
        held_out = None
        if self.early_stopping:
            data, held_out = self._split(data, random_state)
        batch_size = min(200, len(data)) if self.batch_size == "auto" else int(self.batch_size)
        if batch_size > len(data):
            warnings.warn(
                f"batch_size={batch_size} is larger than the {len(data)} samples, and clipped to "
                "that",
                stacklevel=4,
            )
            batch_size = len(data)
        order = np.arange(len(data))
        best_values = [p.value.copy() for p in self._net.parameters()] if held_out else None
        self.n_iter_ = 0
        try:
            for _ in range(1 if incremental else self.max_iter):
                batches = gen_batches(len(data), batch_size)
                if self.shuffle:
                    order = shuffle(order, random_state=random_state)
                    batches = (order[rows] for rows in batches)
                self.loss_ = self._epoch(data, batches)
                self.n_iter_ += 1
                self.t_ += len(data)
                self.loss_curve_.append(self.loss_)
                self._say(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held_out is None:
                    self._note_loss()
                elif self._note_score(held_out):
                    best_values = [p.value.copy() for p in self._net.parameters()]
                if self._is_invscaling:
                    self._optimizer.lr = self._scheduled_rate()
                if self._stale_epochs > self.n_iter_no_change and self._has_converged():
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"not converged after max_iter={self.max_iter} iterations",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("training was interrupted by the user", stacklevel=4)
        finally:
            if best_values is not None:
                for parameter, value in zip(self._net.parameters(), best_values, strict=True):
                    parameter.value[...] = value
        if self.validation_scores_ and self.best_validation_score_ == -np.inf:
            raise ValueError(
                "no validation score was finite, so that no epoch is the best. The input data may "
                "contain large values and need to be preprocessed."
            )

    def _prepare_optimizer(self, incremental: bool) -> None:
        """Of the parameters as they are set now; `partial_fit` goes on with what the last one of
        its solver remembers."""
        before: Any = self.__dict__.get("_optimizer")
        self._optimizer = self._make_optimizer()
        schedule = (self.solver, self.learning_rate, self.learning_rate_init)
        if incremental and type(before) is type(self._optimizer):
            self._optimizer.steps, self._optimizer.state = before.steps, before.state
            if self._is_invscaling:
                self._optimizer.lr = self._scheduled_rate()
            elif schedule == self._schedule:  # where it is adaptive, it may be smaller by now
                self._optimizer.lr = before.lr
        self._schedule = schedule

    @property
    def _is_invscaling(self) -> bool:
        return self.solver == "sgd" and self.learning_rate == "invscaling"

    def _scheduled_rate(self) -> float:
        """That of 'invscaling' after t_ samples."""
        rate = self.learning_rate_init * np.float64(self.t_ + 1) ** -self.power_t
        return max(float(rate), np.finfo(np.float64).tiny)

    def _make_optimizer(self) -> Any:
        parameters = self._net.parameters()
        if self.solver == "adam":
            return nn.Adam(
                parameters,
                self.learning_rate_init,
                beta1=self.beta_1,
                beta2=self.beta_2,
                eps=self.epsilon,
                max_norm=self.max_norm,
            )
        return nn.SGD(
            parameters,
            self.learning_rate_init,
            momentum=self.momentum,
            nesterov=bool(self.nesterovs_momentum and self.momentum),
            max_norm=self.max_norm,
        )

    def _split(self, data: Data, random_state: np.random.RandomState) -> tuple[Data, Data]:
        """Rows to train on, and those of the validation that stops early."""
        arrays = [data.x, data.y] + ([] if data.weight is None else [data.weight])
        parts = train_test_split(
            *arrays,
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(data.y),
        )
        train, test = parts[::2], parts[1::2]
        if test[0].shape[0] < 2:
            raise ValueError(
                "The validation set is too small: raise validation_fraction or give more samples"
            )
        both = [Data(*part, *([None] if len(part) == 2 else [])) for part in (train, test)]
        for part in both:
            if part.size == 0:
                raise ValueError("sample_weight is zero for all samples of the validation's split")
        return both[0], both[1]

    def _epoch(self, data: Data, batches: Iterator[Array]) -> float:
        """Train on each batch once; the mean loss, each batch's before its update.

        ValueError if the loss or a weight is not finite at the end.
        """
        net, total = self._net.train(), 0.0
        for rows in batches:
            batch = data.rows(rows)
            if batch.size == 0:
                continue  # no weight, no gradient
            self._set_step(batch.size)
            penalty = self._penalty(batch.size)
            loss = net.train_step(batch.x, batch.y, self._optimizer, batch.weight)
            total += (loss + penalty) * batch.size
        net.eval()
        loss = total / data.size
        self._check_finite(loss)
        return loss

    def _check_finite(self, loss: float) -> None:
        """Say that training has diverged, if it has."""
        weights_are_finite = all(np.isfinite(p.value).all() for p in self._net.parameters())
        if weights_are_finite and math.isfinite(loss):
            return
        what = "loss" if weights_are_finite else "parameter weights"
        raise ValueError(
            f"Solver produced non-finite {what}. The input data may contain large values and need "
            "to be preprocessed. A smaller learning_rate_init, or max_norm, helps, too."
        )

    def _set_step(self, size: float) -> None:
        """What of the optimizer is another number in each step."""
        self._optimizer.l2 = self.alpha / size
        if self.solver == "adam":
            # As scikit-learn, with the epsilon that stands beside the uncorrected root of v: Kingma
            # and Ba 2015, "Adam", end of section 2. What the optimizer takes is beside v'.
            corrected = 1 - self._optimizer.beta2 ** (self._optimizer.steps + 1)
            self._optimizer.eps = self.epsilon / math.sqrt(corrected)

    def _penalty(self, size: float) -> float:
        """The L2 term of the loss of `size` samples."""
        if self.alpha == 0:
            return 0.0
        return 0.5 * self.alpha / size * sum(float(np.vdot(w, w)) for w in self.coefs_)

    def _note_loss(self) -> None:
        improved = self.loss_ <= self.best_loss_ - self.tol
        self._stale_epochs = 0 if improved else self._stale_epochs + 1
        self.best_loss_ = min(self.loss_, self.best_loss_)

    def _note_score(self, held_out: Data) -> bool:
        """Measure on the held-out samples; whether no score was better before.

        Where predictions or score overflow, the score is NaN, and never the best.
        """
        outputs = self._outputs(held_out.x)
        predicted = self._net.criterion.predict(outputs)
        score = np.nan
        if np.isfinite(outputs).all() and np.isfinite(predicted).all():
            score = float(self._metric(held_out.y, predicted, sample_weight=held_out.weight))
            score = score if math.isfinite(score) else np.nan
        self.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        improved = score >= self.best_validation_score_ + self.tol
        self._stale_epochs = 0 if improved else self._stale_epochs + 1
        best = score > self.best_validation_score_
        if best:
            self.best_validation_score_ = score
        return bool(best)

    def _has_converged(self) -> bool:
        """After too many epochs without improvement: stop, or go on with a smaller step."""
        what = "Validation score" if self.early_stopping else "Training loss"
        why = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )
        if self.solver == "sgd" and self.learning_rate == "adaptive":
            if self._optimizer.lr > 1e-6:
                self._optimizer.lr /= 5
                self._stale_epochs = 0
                self._say(f"{why} Setting learning rate to {self._optimizer.lr:f}")
                return False
            why += " Learning rate too small."
        self._say(f"{why} Stopping.")
        return True

    def _say(self, what: str) -> None:
        if self.verbose:
            print(what)

    # --- L-BFGS ---

    def _minimize(self, data: Data) -> None:
        """All parameters at once by SciPy's L-BFGS-B, the gradient summed over chunks of rows."""
        net, parameters = self._net, self._net.parameters()
        splits = np.cumsum([p.value.size for p in parameters])[:-1]

        def set_values(vector: Array) -> None:
            for p, part in zip(parameters, np.split(vector, splits), strict=True):
                p.value[...] = part.reshape(p.value.shape)

        def loss_and_gradient(vector: Array) -> tuple[float, Array]:
            set_values(vector)
            loss = self._penalty(data.size)
            decay = self.alpha / data.size
            gradient = [(p.kind == "weight") * decay * p.value for p in parameters]
            for rows in gen_batches(len(data), chunk_rows(data.x)):
                chunk = data.rows(rows)
                if chunk.size == 0:
                    continue
                share = chunk.size / data.size
                loss += share * net.loss(chunk.x, chunk.y, chunk.weight)
                net.backward()
                for total, p in zip(gradient, parameters, strict=True):
                    total += share * p.grad
            return loss, np.concatenate([total.ravel() for total in gradient])

        def note(intermediate_result: Any) -> None:
            self.loss_curve_.append(float(intermediate_result.fun))
            self._say(f"Iteration {len(self.loss_curve_)}, loss = {self.loss_curve_[-1]:.8f}")

        net.train()
        result = scipy.optimize.minimize(
            loss_and_gradient,
            np.concatenate([p.value.ravel() for p in parameters]).astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=note,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        set_values(result.x)
        self._check_finite(float(result.fun))
        self.n_iter_ = min(int(result.nit), self.max_iter)
        self.loss_ = self.best_loss_ = float(result.fun)
        if result.status != 0:
            warnings.warn(
                f"lbfgs has not converged after {self.n_iter_} iterations: {result.message}",
                ConvergenceWarning,
                stacklevel=4,
            )

    # --- The net ---

    def _predict_mc(
        self, X: Any, n: int, rng: Rng, shared_masks: bool, samples: bool
    ) -> nn.Prediction:
        """`predict_mc` of the net's own outputs."""
        check_is_fitted(self)
        if not (self._settings["p"] or self._settings["p_input"]):
            raise ValueError(
                "the net was fitted with dropout=0 and input_dropout=0: nothing varies"
            )
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return self._net.predict_mc(X, n, rng=rng, shared_masks=shared_masks, samples=samples)

    def _validated_outputs(self, X: Any) -> Array:
        """The net's outputs for what a user passes, in the dtype of X and the weights together."""
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return self._outputs(X).astype(np.result_type(X.dtype, self._net.dtype), copy=False)

    def _outputs(self, X: Any) -> Array:
        """(n_samples, n_outputs), before the last activation, without dropout."""
        chunks = gen_batches(X.shape[0], chunk_rows(X))
        return np.concatenate([self._net(dense(X[rows])) for rows in chunks])

    def _parameters(self, kind: str) -> tuple[Array, ...]:
        if not hasattr(self, "_net"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return tuple(p.value for p in self._net.parameters() if p.kind == kind)

    def _assign(self, name: str, arrays: tuple[Array, ...], values: Iterable[ArrayLike]) -> None:
        given = [np.asarray(value, self._net.dtype) for value in values]
        before, now = ([array.shape for array in several] for several in (arrays, given))
        if before != now:
            raise ValueError(f"{name} must be of shapes {before}, got {now}")
        for array, value in zip(arrays, given, strict=True):
            array[...] = value

    def _is_stochastic(self) -> bool:
        """For `available_if`: whether there is a partial_fit."""
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit needs solver='adam' or 'sgd', not 'lbfgs'")
        return True


def make_net(
    sizes: tuple[int, ...],
    settings: dict[str, Any],
    values: list[Array],
    rng: int | list[int],
    dtype: DTypeLike,
) -> nn.MLP:
    """An MLP of given parameters, in eval mode."""
    net = nn.MLP(sizes, rng=rng, dtype=dtype, **settings)
    for parameter, value in zip(net.parameters(), values, strict=True):
        parameter.value[...] = value
    return net.eval()


def seed_of_masks(random_state: np.random.RandomState) -> list[int]:
    """Of a copy: weights, splits and batches are those that scikit-learn's own nets draw."""
    seed: list[int] = copy.deepcopy(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    return seed


def chunk_rows(X: Any) -> int:
    if not scipy.sparse.issparse(X):
        return CHUNK
    return max(1, min(CHUNK, CHUNK_ELEMENTS // int(X.shape[1])))


def dense(X: Any) -> Array:
    array: Array = X.toarray() if scipy.sparse.issparse(X) else X
    return array
