"""Training as in scikit-learn's multi-layer perceptrons: epochs of batches, the learning rate's
schedule, early stopping."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches, shuffle

from .. import nn
from .data import Array, Samples, dense_chunks
from .parameters import Parameters


class TrainedMLP(Parameters):
    """A net, and the epochs that train it. The net is in eval mode outside of `_epoch`."""

    t_: int
    loss_curve_: list[float]
    best_loss_: Any  # None with early stopping, the next two without
    validation_scores_: Any
    best_validation_score_: Any
    _net: nn.MLP
    _optimizer: nn.Adam | nn.SGD
    _rate_settings: tuple[Any, ...]  # those of the optimizer's learning rate
    _metric: Callable[..., float]  # the score of early stopping: (y, predicted, sample_weight=)
    n_iter_: int
    loss_: float

    def _begin_training(self) -> None:
        """Forget all epochs so far."""
        self.__dict__.pop("_optimizer", None)
        self.t_ = 0
        self.loss_curve_ = []
        self._begin_monitoring()

    def _begin_monitoring(self) -> None:
        """Forget which epoch was the best."""
        self._stale_epochs = 0  # in a row, without an improvement of at least tol
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _train(
        self, samples: Samples, random_state: np.random.RandomState, incremental: bool
    ) -> None:
        """Train until converged, for at most `max_iter` epochs; if `incremental`, for one epoch."""
        self._prepare_optimizer(incremental)
        validation, best_values = None, None
        if self.early_stopping:
            samples, validation = samples.split(self.validation_fraction, random_state)
            best_values = self._values()
        batch_size = min(200, len(samples)) if self.batch_size == "auto" else int(self.batch_size)
        if batch_size > len(samples):
            warnings.warn(
                f"batch_size={batch_size} is larger than the {len(samples)} samples, and clipped "
                "to that",
                stacklevel=4,
            )
            batch_size = len(samples)
        order = np.arange(len(samples))
        self.n_iter_ = 0
        try:
            for _ in range(1 if incremental else self.max_iter):
                batches: Iterable[Any] = gen_batches(len(samples), batch_size)
                if self.shuffle:
                    order = shuffle(order, random_state=random_state)
                    batches = (order[rows] for rows in batches)
                self.loss_ = self._epoch(samples, batches)
                self.n_iter_ += 1
                self.t_ += len(samples)
                self.loss_curve_.append(self.loss_)
                self._print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if validation is None:
                    self._note_loss()
                elif self._note_score(validation):
                    best_values = self._values()
                if self._is_invscaling:
                    self._optimizer.lr = self._inverse_scaled_rate()
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
            self._net.eval()
            if best_values is not None:
                for parameter, value in zip(self._net.parameters(), best_values, strict=True):
                    parameter.value[...] = value
        if self.validation_scores_ and self.best_validation_score_ == -np.inf:
            raise ValueError(
                "no validation score was finite, so that no epoch is the best. The input data may "
                "contain large values and need to be preprocessed."
            )

    def _values(self) -> list[Array]:
        """A copy of all weights and biases."""
        return [parameter.value.copy() for parameter in self._net.parameters()]

    def _epoch(self, samples: Samples, batches: Iterable[Any]) -> float:
        """Train on each batch once; return the mean loss, each batch's before its update.

        ValueError if the loss or a weight is not finite at the end.
        """
        net, total = self._net.train(), 0.0
        for rows in batches:
            batch = samples.batch(rows)
            if batch.total_weight == 0:
                continue  # no weight, no gradient
            penalty = self._penalty(batch.total_weight)
            self._set_step(batch.total_weight)
            loss = net.train_step(batch.X, batch.y, self._optimizer, batch.weight)
            total += (loss + penalty) * batch.total_weight
        net.eval()
        loss = total / samples.total_weight
        self._check_finite(loss)
        return loss

    def _penalty(self, total_weight: float) -> float:
        """The L2 term in the loss of samples of this total weight."""
        if self.alpha == 0:
            return 0.0
        weights = [p.value for p in self._net.parameters() if p.kind == "weight"]
        return 0.5 * self.alpha / total_weight * sum(float(np.vdot(w, w)) for w in weights)

    def _check_finite(self, loss: float) -> None:
        weights_are_finite = all(np.isfinite(p.value).all() for p in self._net.parameters())
        if weights_are_finite and math.isfinite(loss):
            return
        what = "loss" if weights_are_finite else "parameter weights"
        raise ValueError(
            f"Solver produced non-finite {what}. The input data may contain large values and need "
            "to be preprocessed. A smaller learning_rate_init, or max_norm, helps, too."
        )

    def _prepare_optimizer(self, incremental: bool) -> None:
        """Make an optimizer with the parameters as they are set now.

        `partial_fit` keeps the momentum or moments of the last one, unless the solver is another,
        and a rate that 'adaptive' has reduced, unless the rate has been set since.
        """
        before: Any = self.__dict__.get("_optimizer")
        self._optimizer = self._make_optimizer()
        rate_settings = (self.solver, self.learning_rate, self.learning_rate_init)
        if incremental and type(before) is type(self._optimizer):
            self._optimizer.steps, self._optimizer.state = before.steps, before.state
            if self._is_invscaling:
                self._optimizer.lr = self._inverse_scaled_rate()
            elif rate_settings == self._rate_settings:
                self._optimizer.lr = before.lr
        self._rate_settings = rate_settings

    def _make_optimizer(self) -> nn.Adam | nn.SGD:
        settings: dict[str, Any] = {"lr": self.learning_rate_init, "max_norm": self.max_norm}
        if self.solver == "adam":
            settings |= {"beta1": self.beta_1, "beta2": self.beta_2, "eps": self.epsilon}
            return nn.Adam(self._net.parameters(), **settings)
        nesterov = bool(self.nesterovs_momentum and self.momentum)
        settings |= {"momentum": self.momentum, "nesterov": nesterov}
        return nn.SGD(self._net.parameters(), **settings)

    def _set_step(self, total_weight: float) -> None:
        """Set what differs from step to step, for a batch of this total weight."""
        self._optimizer.l2 = self.alpha / total_weight
        if isinstance(self._optimizer, nn.Adam):
            # scikit-learn adds epsilon to the root of the second moment before its bias is
            # corrected (Kingma and Ba 2015, "Adam", end of section 2), nn.Adam after.
            corrected = 1 - self._optimizer.beta2 ** (self._optimizer.steps + 1)
            self._optimizer.eps = self.epsilon / math.sqrt(corrected)

    @property
    def _is_invscaling(self) -> bool:
        return self.solver == "sgd" and self.learning_rate == "invscaling"

    def _inverse_scaled_rate(self) -> float:
        """The rate of 'invscaling' after t_ samples; never 0."""
        rate = self.learning_rate_init * np.float64(self.t_ + 1) ** -self.power_t
        return max(float(rate), np.finfo(np.float64).tiny)

    def _note_loss(self) -> None:
        self._count_stale(improved=self.loss_ <= self.best_loss_ - self.tol)
        self.best_loss_ = min(self.loss_, self.best_loss_)

    def _note_score(self, validation: Samples) -> bool:
        """Score the net on the held-out samples; return whether no score was better before.

        A score is NaN, which is never the best, if predictions or the score itself overflow.
        """
        outputs = self._outputs(validation.X)
        predicted = self._net.criterion.predict(outputs)
        score = np.nan
        if np.isfinite(outputs).all() and np.isfinite(predicted).all():
            score = float(self._metric(validation.y, predicted, sample_weight=validation.weight))
            score = score if math.isfinite(score) else np.nan
        self.validation_scores_.append(score)
        self._print(f"Validation score: {score:f}")
        self._count_stale(improved=score >= self.best_validation_score_ + self.tol)
        is_best = score > self.best_validation_score_
        if is_best:
            self.best_validation_score_ = score
        return bool(is_best)

    def _outputs(self, X: Any) -> Array:
        """The net's outputs (n_samples, n_outputs) in eval mode, before the last activation."""
        return np.concatenate([self._net(chunk) for chunk in dense_chunks(X)])

    def _count_stale(self, improved: bool) -> None:
        self._stale_epochs = 0 if improved else self._stale_epochs + 1

    def _has_converged(self) -> bool:
        """Whether to stop after too many epochs without improvement; else the rate is lowered."""
        what = "Validation score" if self.early_stopping else "Training loss"
        reason = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )
        if self.solver == "sgd" and self.learning_rate == "adaptive":
            if self._optimizer.lr > 1e-6:
                self._optimizer.lr /= 5
                self._stale_epochs = 0
                self._print(f"{reason} Setting learning rate to {self._optimizer.lr:f}")
                return False
            reason += " Learning rate too small."
        self._print(f"{reason} Stopping.")
        return True

    def _print(self, line: str) -> None:
        if self.verbose:
            print(line)
