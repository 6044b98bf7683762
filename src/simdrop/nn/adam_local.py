"""Adam, until `simdrop.nn` has it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .base import Parameter
from .optimizers import SGD


class Adam(SGD):
    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        l2: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        super().__init__(parameters, lr, l2=l2, max_norm=max_norm)
        self.beta1, self.beta2, self.eps, self.steps = beta1, beta2, eps, 0
        self.squares = [np.zeros_like(p.value) for p in self.parameters]

    def step(self) -> None:
        self.steps += 1
        for p, m, v in zip(self.parameters, self.velocities, self.squares, strict=True):
            g = p.grad + self.l2 * p.value if p.kind == "weight" else p.grad
            m += (1 - self.beta1) * (g - m)
            v += (1 - self.beta2) * (g * g - v)
            mean = m / (1 - self.beta1**self.steps)
            root = np.sqrt(v) / math.sqrt(1 - self.beta2**self.steps)
            p.value -= self.lr * mean / (root + self.eps)
            if p.kind == "weight" and self.max_norm is not None:
                self._project(p.value, self.max_norm)
