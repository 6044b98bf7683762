"""Stochastic gradient descent with momentum, and Adam; L2, L1 and max-norm."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np

from simdrop import weights

from .base import Array, Parameter


class Optimizer(ABC):
    """What all optimizers share: a step is one pass over each parameter, its gradient and state.

    Where dropout kept a part of a parameter alone (`Parameter.take_part`), the rest stays as it is,
    and what the optimizer remembers of the rest, too.

    Parameters
    ----------
    parameters : iterable of Parameter
        Of a net or of layers.
    lr : float
        Learning rate, > 0. For a schedule, set the attribute between steps.
    l2, l1 : float
        >= 0; l2 w + l1 sign(w) is added to the gradients of weights, not of biases.
    max_norm : float or None
        c > 0: after the step, each unit's incoming weights, a column of (n_in, n_out), are scaled
        to norm c if theirs is larger (Srivastava et al. 2014, "Dropout", section 5.1).

    Attributes
    ----------
    steps : int
        How many have been made.
    state : list of list of ndarray
        What is remembered of each parameter, of its shape: a checkpoint with `steps`.

    Raises
    ------
    ValueError
        For a number outside its range, or no parameters.
    """

    states: int  # arrays for each parameter

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        l2: float = 0.0,
        l1: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("parameters is empty: there is nothing to learn")
        if not 0 < lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {lr!r}")
        for name, value in (("l2", l2), ("l1", l1)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
        if max_norm is not None and not 0 < max_norm < math.inf:
            raise ValueError(f"max_norm must be positive and finite, or None, got {max_norm!r}")
        self.lr, self.l2, self.l1, self.max_norm = float(lr), float(l2), float(l1), max_norm
        self.steps = 0
        self.state = [
            [np.zeros(p.value.shape, p.value.dtype) for _ in range(self.states)]
            for p in self.parameters
        ]

    def step(self) -> None:
        """Update every value in place; the gradients stay as they are."""
        self.steps += 1
        for parameter, state in zip(self.parameters, self.state, strict=True):
            is_weight = parameter.kind == "weight"
            bounded = is_weight and self.max_norm is not None
            value = as_matrix(parameter.value)
            squares = np.empty(value.shape[-1]) if bounded else None
            self._descend(
                value,
                as_matrix(parameter.grad),
                [as_matrix(array) for array in state],
                rows=parameter.rows,
                columns=parameter.columns,
                lr=float(self.lr),
                l2=self.l2 if is_weight else 0.0,
                l1=self.l1 if is_weight else 0.0,
                squares=squares,
            )
            if squares is not None and self.max_norm is not None:
                norms = np.sqrt(squares)
                if norms.max(initial=0) > self.max_norm:  # exactly 1 where the norm is smaller
                    value *= (self.max_norm / np.maximum(norms, self.max_norm)).astype(value.dtype)

    @abstractmethod
    def _descend(self, value: Array, grad: Array, state: list[Array], **settings: Any) -> None: ...


class SGD(Optimizer):
    """w <- w + v with v <- momentum v - lr (gradient + penalties), then the projection of max-norm.

    Parameters
    ----------
    parameters, lr, l2, l1, max_norm
        As in `Optimizer`.
    momentum : float
        In [0, 1). Sutskever et al. 2013, "On the importance of initialization and momentum in deep
        learning", equations 1 and 2. May be set between steps.
    nesterov : bool
        Take the gradient at w + momentum v (same paper, equation 3). The parameters hold that
        point, so that a step is w <- w + momentum v - lr gradient, with the new v.

    Raises
    ------
    ValueError
        For a number outside its range, nesterov without momentum, or no parameters.
    """

    states = 1

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        l1: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        super().__init__(parameters, lr, l2=l2, l1=l1, max_norm=max_norm)
        self.momentum, self.nesterov = float(momentum), nesterov

    def _descend(self, value: Array, grad: Array, state: list[Array], **settings: Any) -> None:
        momentum, nesterov = float(self.momentum), self.nesterov
        weights.sgd(value, grad, *state, momentum=momentum, nesterov=nesterov, **settings)


class Adam(Optimizer):
    """w <- w - lr m' / (sqrt(v') + eps): m and v are running means of gradients and their squares,
    m' and v' corrected for starting at zero (Kingma and Ba 2015, "Adam", algorithm 1).

    Parameters
    ----------
    parameters, lr, l2, l1, max_norm
        As in `Optimizer`; the penalties are part of the gradient.
    beta1, beta2 : float
        In [0, 1): how much of m and v a step keeps.
    eps : float
        > 0.

    Raises
    ------
    ValueError
        For a number outside its range, or no parameters.
    """

    states = 2

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        l2: float = 0.0,
        l1: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        for name, value in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value!r}")
        if not 0 < eps < math.inf:
            raise ValueError(f"eps must be positive and finite, got {eps!r}")
        super().__init__(parameters, lr, l2=l2, l1=l1, max_norm=max_norm)
        self.beta1, self.beta2, self.eps = float(beta1), float(beta2), float(eps)

    def _descend(self, value: Array, grad: Array, state: list[Array], **settings: Any) -> None:
        betas = {"beta1": self.beta1, "beta2": self.beta2}
        weights.adam(value, grad, *state, step=self.steps, eps=self.eps, **betas, **settings)


def as_matrix(array: Array) -> Array:
    """The same memory with one or two axes."""
    return array if array.ndim in (1, 2) else array.reshape(len(array) if array.ndim else 1, -1)
