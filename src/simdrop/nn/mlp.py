"""The multi-layer perceptron of the dropout papers."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop._html import GAP, without_middle
from simdrop._names import explained

from .activations import ACTIVATIONS, ActivityL1, check_choice
from .arguments import Probability, Seed, form, generator, p_of_each
from .batchwise import BatchwiseDense, KeptInputs, Units
from .dense import Dense
from .dropout import Dropout
from .layer import Layer
from .linear import Linear
from .losses import LOSSES
from .network import Network
from .parameter import move_together


@explained
class MLP(Network):
    """A multi-layer perceptron with dropout of the input and of each hidden layer.

    The values of its parameters lie in one block of memory, their gradients in another.

    Parameters
    ----------
    sizes : iterable of ints
        Inputs, units of each hidden layer, outputs, as in (784, 1024, 1024, 10).
    activation : "relu", "tanh", "sigmoid", "gelu", "silu" or "identity"
        Of the hidden layers; the output has none.
    p, p_input : float or callable
        Probability of dropping a hidden unit and an input, in [0, 1], or a schedule of it
        (`simdrop.schedule`). p may be a sequence of them, one for each hidden layer. The defaults
        are the typical values of Srivastava et al. 2014, "Dropout", appendix A.4.
    dropout : "elementwise" or "batchwise"
        Whether each sample of a batch has decisions of its own (`Dense`), or all share them, so
        that only kept rows and columns of the weights are multiplied and updated
        (`BatchwiseDense`).
    inverted : bool
        False is that paper's form of dropout: scaled at inference instead of in training.
    loss : "cross_entropy", "binary_cross_entropy", "squared_error" or "poisson"
        The first is for integer labels (batch,), the others for targets (batch, outputs).
    activity_l1 : float
        Strength of the penalty on the outputs of hidden layers (`ActivityL1`); 0 is none.
    rng : None, int, sequence of ints, SeedSequence or Generator
        Two generators are spawned from ``numpy.random.default_rng(rng)``, one for the weights and
        one for the stream: the same int gives the same net and the same draws. None is a seed of
        the process-wide stream (`simdrop.seed`).
    dtype : float32 or float64
        Of parameters and computation.

    Attributes
    ----------
    stream : simdrop.Stream
        Of all its Dropout layers. Setting its `state` back draws the same masks again.

    Raises
    ------
    ValueError
        For an argument that is not one of those above.
    """

    sizes: tuple[int, ...]
    stream: sd.Stream

    def __init__(
        self,
        sizes: Iterable[int],
        *,
        activation: str = "relu",
        p: Probability | Sequence[Probability] = 0.5,
        p_input: Probability = 0.2,
        dropout: str = "elementwise",
        inverted: bool = True,
        loss: str = "cross_entropy",
        activity_l1: float = 0.0,
        rng: Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.sizes = tuple(operator.index(size) for size in sizes)
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes must be two or more positive integers, got {self.sizes}")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("loss", loss, LOSSES)
        check_choice("dropout", dropout, ("elementwise", "batchwise"))
        hidden_p = p_of_each(p, len(self.sizes) - 2)

        weights, draws = generator(rng).spawn(2)
        self.stream = sd.Stream(draws)
        dropping: dict[str, Any] = {"stream": self.stream, "inverted": inverted}
        learned: dict[str, Any] = {"rng": weights, "dtype": dtype}
        layers: list[Layer]
        if dropout == "elementwise":
            layers = [Dropout(p_input, **dropping)]
            layers += [
                Dense(n_in, n_out, one, activation=activation, **dropping, **learned)
                for (n_in, n_out), one in zip(pairwise(self.sizes[:-1]), hidden_p, strict=True)
            ]
            layers += [Linear(*self.sizes[-2:], activation="identity", **learned)]
        else:
            units = [
                Units(n, one, **dropping)
                for n, one in zip(self.sizes[:-1], [p_input, *hidden_p], strict=True)
            ]
            layers = [KeptInputs(units[0])]
            layers += [
                BatchwiseDense(units_in, units_out, activation=activation, **learned)
                for units_in, units_out in pairwise(units)
            ]
            layers += [BatchwiseDense(units[-1], self.sizes[-1], activation="identity", **learned)]
        if activity_l1:
            hidden = layers[1:-1]
            layers[1:-1] = [part for layer in hidden for part in (layer, ActivityL1(activity_l1))]
        super().__init__(layers, LOSSES[loss])
        move_together(self.parameters())

    def _shown(self) -> list[str]:
        """Arguments, read from the layers, where they may have been changed; most defaults are left
        out."""
        first = self.layers[0]
        is_batchwise = isinstance(first, KeptInputs)
        dropping: list[Any] = [first.units if isinstance(first, KeptInputs) else first]
        activations = []
        for layer in self.layers[1:]:
            units = layer.units_out if isinstance(layer, BatchwiseDense) else layer
            if isinstance(layer, (BatchwiseDense, Dense)) and units is not None:
                dropping.append(units)
                activations.append(layer.activation)
        given = (one.p for one in dropping)
        p_input, *ps = [f"{p:.4g}" if isinstance(p, float) else str(p) for p in given]
        if len(set(ps)) > 1:
            ps = [f"({', '.join(without_middle(ps, GAP, 6))})"]
        shown = activations[:1] + [f"p={p}" for p in ps[:1]] + [f"p_input={p_input}"]
        if is_batchwise:
            shown.append("dropout='batchwise'")
        shown += form(dropping[0].inverted)
        penalties = (layer for layer in self.layers if isinstance(layer, ActivityL1))
        shown += [f"activity_l1={penalty.strength}" for penalty in penalties][:1]
        if self.criterion is not LOSSES["cross_entropy"]:
            names = {loss: name for name, loss in LOSSES.items()}
            shown.append(f"loss={names.get(self.criterion, self.criterion.__name__)!r}")
        return shown

    def __copy__(self) -> Self:
        """Of the same layers, whose memory stays where it is."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__getstate__())
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a deep copy or a pickle, whose arrays lie each in memory of its own."""
        self.__dict__.update(state)
        with suppress(AttributeError):  # a layer that refers to its net may be restored after it
            move_together(self.parameters())
