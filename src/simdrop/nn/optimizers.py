"""Stochastic gradient descent with momentum, L2 and max-norm."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .base import Array, Parameter

# Elements updated at a time: value, gradient, velocity and step of a block (1 MiB in float32) stay
# in the cache through all passes over them; whole weight matrices would not.
BLOCK = 2**16


class SGD:
    """w <- w + v with v <- momentum v - lr (gradient + l2 w), then the projection of max-norm.

    Parameters
    ----------
    parameters : iterable of Parameter
        Of a net or of layers.
    lr : float
        Learning rate, > 0. For a schedule, set the attribute between steps; `momentum` likewise.
    momentum : float
        In [0, 1). Sutskever et al. 2013, "On the importance of initialization and momentum in deep
        learning", equations 1 and 2.
    nesterov : bool
        Take the gradient at w + momentum v (same paper, equation 3). The parameters hold that
        point, so that a step is w <- w + momentum v - lr gradient, with the new v.
    l2 : float
        >= 0; l2 w is added to the gradients of weights, not of biases.
    max_norm : float or None
        c > 0: after the step, each unit's incoming weights, a column of (n_in, n_out), are scaled
        to norm c if theirs is larger (Srivastava et al. 2014, "Dropout", section 5.1).

    Raises
    ------
    ValueError
        For a number outside its range, nesterov without momentum, or no parameters.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        l2: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("parameters is empty: there is nothing to learn")
        if not 0 < lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {lr!r}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        if not 0 <= l2 < math.inf:
            raise ValueError(f"l2 must be at least 0 and finite, got {l2!r}")
        if max_norm is not None and not 0 < max_norm < math.inf:
            raise ValueError(f"max_norm must be positive and finite, or None, got {max_norm!r}")
        self.lr, self.momentum, self.nesterov = float(lr), float(momentum), nesterov
        self.l2, self.max_norm = float(l2), max_norm
        self.velocities = [np.zeros(p.value.shape, p.value.dtype) for p in self.parameters]

    def step(self) -> None:
        """Update every value in place; the gradients stay as they are."""
        for parameter, velocity in zip(self.parameters, self.velocities, strict=True):
            value, grad, is_weight = parameter.value, parameter.grad, parameter.kind == "weight"
            l2 = self.l2 if is_weight else 0.0
            rows = max(1, BLOCK // math.prod(value.shape[1:]))
            for start in range(0, len(value), rows):
                block = slice(start, start + rows)
                self._descend(value[block], grad[block], velocity[block], l2)
            if is_weight and self.max_norm is not None:
                self._project(value, self.max_norm)

    def _descend(self, value: Array, grad: Array, velocity: Array, l2: float) -> None:
        step = -float(self.lr) * (grad + l2 * value if l2 else grad)
        if self.momentum:
            velocity *= self.momentum
            velocity += step
            step = self.momentum * velocity + step if self.nesterov else velocity
        value += step

    def _project(self, weight: Array, max_norm: float) -> None:
        norms = np.sqrt(np.einsum("ij,ij->j", weight, weight))  # without a copy of the weights
        if norms.max() > max_norm:
            weight *= max_norm / np.maximum(norms, max_norm)  # exactly 1 where the norm is smaller
