"""Stochastic gradient descent with momentum, and Adam; L2, L1 and max-norm."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from simdrop import _arrays
from simdrop._core.submatrix import checked, overlapping, prepared_adam, prepared_sgd

from . import memory
from .parameter import Array, Parameter, check_learnable

Action = Callable[[], None]


class Optimizer(ABC):
    """Base class of optimizers: a step is one pass over each parameter, its gradient and state.

    Where dropout kept only a part of a parameter (`Parameter.take_part`), a step changes that part
    and its state alone. The settings may be changed between steps. A step that raises changes
    nothing. A parameter may have several optimizers, which take turns.

    Parameters
    ----------
    parameters : iterable of Parameter
        Of a net or of layers. No two may share memory: a step would change it twice.
    lr : float
        Learning rate, >= 0. For a schedule, set the attribute between steps.
    l2, l1 : float
        >= 0; l2 w + l1 sign(w) is added to the gradients of weights, not of biases.
    max_norm : float or None
        c > 0: after the step, each unit's incoming weights, a column of (n_in, n_out), are scaled
        to norm c if theirs is larger (Srivastava et al. 2014, "Dropout", section 5.1). Of weights
        with another number of axes, the first is that of the inputs; with one axis it has length 1.

    Attributes
    ----------
    steps : int
        Steps made so far.
    state : list of list of ndarray
        The arrays kept for each parameter, of its shape; all in one block of memory. A copy of the
        optimizer has a block of its own.

    Raises
    ------
    ValueError
        For a number outside its range, no parameters, or parameters that share memory.
    """

    states: int  # arrays for each parameter
    parameters: list[Parameter]
    lr: float
    l2: float
    l1: float
    max_norm: float | None
    steps: int
    state: list[list[Array]]

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
        self.lr, self.l2, self.l1 = checked("lr", lr), checked("l2", l2), checked("l1", l1)
        self.max_norm = _checked_norm(max_norm)
        self.steps = 0
        kinds = [(p.value.shape, _arrays.native(p.value.dtype)) for p in self.parameters]
        arrays = iter(memory.zeros([kind for kind in kinds for _ in range(self.states)]))
        self.state = [[next(arrays) for _ in range(self.states)] for _ in kinds]
        self._prepared()  # raises now what every step would raise

    def step(self) -> None:
        """Update every value in place; the gradients stay as they are."""
        actions = self._prepared()
        self.steps += 1
        for action in actions:
            action()

    def __repr__(self) -> str:
        """The settings that are not the default, as they are now."""
        settings = [
            f"{name}={getattr(self, name)!r}"
            for name, argument in inspect.signature(type(self)).parameters.items()
            if name != "parameters" and hasattr(self, name)
            if name == "lr" or getattr(self, name) != argument.default
        ]
        count = f"{len(self.parameters)} parameter{'s' * (len(self.parameters) != 1)}"
        return f"{type(self).__name__}({', '.join([count, *settings, f'steps={self.steps}'])})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        arrays = iter(memory.together([array for arrays in self.state for array in arrays]))
        self.state = [[next(arrays) for _ in before] for before in self.state]

    def _prepared(self) -> list[Action]:
        """The updates of the next step, after all checks: calling them cannot raise."""
        if len(self.state) != len(self.parameters):
            raise ValueError(
                f"the state is of {len(self.state)} parameters, but there are "
                f"{len(self.parameters)} parameters"
            )
        max_norm = _checked_norm(self.max_norm)
        pairs = list(zip(self.parameters, self.state, strict=True))
        pair = overlapping([a for p, state in pairs for a in (p.value, p.grad, *state)])
        if pair:
            names = []
            for i, (_, state) in enumerate(pairs):
                names += [f"parameters[{i}].value", f"parameters[{i}].grad"]
                names += [f"state[{i}][{j}]" for j in range(len(state))]
            first, second = (names[k] for k in pair)
            raise ValueError(f"{first} and {second} share memory: a step would change it twice")
        return [self._update(parameter, state, max_norm) for parameter, state in pairs]

    def _update(self, parameter: Parameter, state: list[Array], max_norm: float | None) -> Action:
        is_weight = parameter.kind == "weight"
        changed = [parameter.value, *state]
        value, *states = matrices = [_as_matrix(array, changed=True) for array in changed]
        pairs = zip(changed, matrices, strict=True)
        copies = [(a, m) for a, m in pairs if m is not a and not np.may_share_memory(a, m)]
        squares = np.empty(value.shape[-1]) if is_weight and max_norm is not None else None
        descend = self._descend(
            value,
            _as_matrix(parameter.grad),
            states,
            rows=parameter.rows,
            columns=parameter.columns,
            lr=self.lr,
            l2=self.l2 if is_weight else 0.0,
            l1=self.l1 if is_weight else 0.0,
            squares=squares,
        )

        def update() -> None:
            descend()
            if squares is not None and max_norm is not None:
                _project(value, squares, max_norm)
            for array, matrix in copies:  # back to where they came from
                array[...] = matrix.reshape(array.shape)

        return update

    @abstractmethod
    def _descend(
        self, value: Array, grad: Array, state: list[Array], **settings: Any
    ) -> Action: ...


class SGD(Optimizer):
    """w <- w + v with v <- momentum v - lr (gradient + penalties), then the projection of max-norm.

    Parameters
    ----------
    parameters, lr, l2, l1, max_norm
        As in `Optimizer`.
    momentum : float
        In [0, 1). Sutskever et al. 2013, "On the importance of initialization and momentum in deep
        learning", equations 1 and 2.
    nesterov : bool
        Take the gradient at w + momentum v (same paper, equation 3). The parameters hold that
        point, so that a step is w <- w + momentum v - lr gradient, with the new v.

    Raises
    ------
    ValueError
        As `Optimizer`, and for nesterov without momentum.
    """

    states = 1
    momentum: float
    nesterov: bool

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
        self.momentum, self.nesterov = checked("momentum", momentum, 1), nesterov
        if nesterov and momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got 0")
        super().__init__(parameters, lr, l2=l2, l1=l1, max_norm=max_norm)

    def _descend(self, value: Array, grad: Array, state: list[Array], **settings: Any) -> Action:
        settings |= {"momentum": self.momentum, "nesterov": self.nesterov}
        (velocity,) = state
        return prepared_sgd(value, grad, velocity, **settings)


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
        > 0, in the dtype of the parameters, too.

    Raises
    ------
    ValueError
        As `Optimizer`.
    """

    states = 2
    beta1: float
    beta2: float
    eps: float

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
        self.beta1, self.beta2 = checked("beta1", beta1, 1), checked("beta2", beta2, 1)
        self.eps = checked("eps", eps, positive=True)
        super().__init__(parameters, lr, l2=l2, l1=l1, max_norm=max_norm)

    def _descend(self, value: Array, grad: Array, state: list[Array], **settings: Any) -> Action:
        mean, square = state
        settings |= {"beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        return prepared_adam(value, grad, mean, square, step=self.steps + 1, **settings)


def _checked_norm(max_norm: float | None) -> float | None:
    """As `checked`, or None."""
    return None if max_norm is None else checked("max_norm", max_norm, positive=True)


def _project(value: Array, squares: Array, max_norm: float) -> None:
    """Scale columns to a norm of at most max_norm; `squares` has their sums of squares."""
    norms = np.sqrt(squares)
    infinite = np.isinf(norms)
    if infinite.any():  # the squares overflow before the weights do
        columns = value.reshape(-1, value.shape[-1])[:, infinite].astype(np.float64)
        largest = np.abs(columns).max(axis=0)
        with np.errstate(invalid="ignore"):
            norms[infinite] = largest * np.sqrt(np.sum((columns / largest) ** 2, axis=0))
    if not (norms <= max_norm).all():  # exactly 1 where the norm is smaller
        value *= (max_norm / np.maximum(norms, max_norm)).astype(value.dtype)


def _as_matrix(array: Array, *, changed: bool = False) -> Array:
    """The array as the kernels take it: one or two axes, C-contiguous, aligned, of native byte
    order; a view where that is possible, else a copy."""
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned and array.dtype.isnative):
        if changed:
            check_learnable("what a step changes", array)
        array = array.astype(_arrays.native(array.dtype), order="C")
    if array.ndim in (1, 2):
        return array
    first = array.shape[0] if array.ndim else 1
    return array.reshape(first, math.prod(array.shape[1:]))  # -1 fails where first is 0
