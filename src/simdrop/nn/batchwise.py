"""Batchwise dropout: one decision a unit for the whole batch, so that products are of kept weights.

Graham, Reizenstein and Robinson 2015, "Efficient batchwise dropout training using submatrices":
dropping a unit for all samples of a batch is dropping rows and columns of the weight matrices. Of a
matrix with half of its rows and half of its columns kept, a quarter is gathered, multiplied and
updated. The expectation is that of elementwise dropout; the decisions of a batch are shared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop._core.stream import next_mask
from simdrop._names import explained
from simdrop.submatrix import Kept, gather

from .activations import ACTIVATIONS
from .arguments import Probability, Seed, at, check_p, checked_stream, form, in_evaluation
from .dense import activate
from .dropout import Dropout, scaled
from .layer import Layer
from .linear import Linear, Weighted
from .parameter import Array


@explained
class Units:
    """The units of a layer, or the inputs of a net, some of which are dropped in each batch.

    Parameters
    ----------
    n : int
        How many there are.
    p : float or callable
        Probability of dropping one, in [0, 1], or a schedule of it, as in `Dropout`.
    stream : simdrop.Stream or None
        Gives a draw for each batch. None is the process-wide stream.
    inverted : bool
        As in `Dropout`.

    Attributes
    ----------
    kept : simdrop.submatrix.Kept or None
        The units kept in the latest batch; None if all are.
    factor : float
        By what the next layer multiplies the outputs of the kept units.
    """

    kept: Kept | None = None
    factor: float = 1.0
    n: int
    p: Probability
    stream: sd.Stream | None
    inverted: bool

    def __init__(
        self, n: int, p: Probability, stream: sd.Stream | None = None, *, inverted: bool = True
    ) -> None:
        check_p(p)
        self.n, self.p, self.stream, self.inverted = n, p, checked_stream(stream), inverted

    def draw(self, steps: int, training: bool) -> None:
        """Decide which units the next batch keeps: in training some of them, else all."""
        p = at(self.p, steps)
        if not training:
            self.kept, self.factor = None, 1.0 if self.inverted else 1.0 - p
            return
        mask = next_mask(self.stream, p, (self.n,), scale=self.inverted)
        kept = Kept(mask)
        self.kept, self.factor = kept if kept.count < self.n else None, mask.scale

    def dropout(self, steps: int) -> Layer:
        """The same as a layer that leaves x its shape: dropped units are zero."""
        return Dropout(at(self.p, steps), shared_axes=(0,), inverted=self.inverted)

    def __repr__(self) -> str:
        return f"Units({', '.join(self.shown())})"

    def shown(self) -> list[str]:
        """The arguments in `repr`."""
        return [str(self.n), f"p={self.p}", *form(self.inverted)]


class KeptInputs(Layer):
    """The kept columns of x, drawn by each call: (batch, n) becomes (batch, units.kept.count)."""

    def __init__(self, units: Units) -> None:
        self.units = units

    def __call__(self, x: Array) -> Array:
        self.units.draw(self.steps, self.training)
        kept = self.units.kept
        self._saved = x.shape, kept
        return x if kept is None else gather(np.ascontiguousarray(x), None, kept)

    def backward(self, dy: Array) -> Array:
        shape, kept = self._from_forward()
        if kept is None:
            return dy
        dx = np.zeros(shape, dy.dtype)
        dx[:, kept.indices] = dy
        return dx

    def streams(self) -> list[sd.Stream]:
        return [] if self.units.stream is None else [self.units.stream]

    def parts(self, shared_masks: bool) -> list[Layer]:
        return [self.units.dropout(self.steps)]

    def _shown(self) -> list[str]:
        return self.units.shown()


@explained
class BatchwiseDense(Weighted):
    """y = activation(f x W + b) for kept inputs and units only: (batch, kept inputs) becomes
    (batch, kept units). Bias and activation are one pass over memory, as in `Dense`.

    Parameters
    ----------
    units_in : Units
        Which inputs x has, as drawn by the layer before; f is their factor.
    units_out : Units or int
        Which outputs are computed, drawn by each call. An int computes all of that many.
    activation, rng, dtype
        As in `Linear`.
    """

    units_out: Units | None

    def __init__(
        self,
        units_in: Units,
        units_out: Units | int,
        *,
        activation: str = "relu",
        rng: Seed,
        dtype: DTypeLike = np.float32,
    ) -> None:
        n_out = units_out if isinstance(units_out, int) else units_out.n
        super().__init__(units_in.n, n_out, activation=activation, rng=rng, dtype=dtype)
        self.activation = activation
        self.units_in = units_in
        self.units_out = None if isinstance(units_out, int) else units_out

    def __call__(self, x: Array) -> Array:
        rows, columns, factor = self.units_in.kept, None, self.units_in.factor
        if self.units_out:
            self.units_out.draw(self.steps, self.training)
            columns = self.units_out.kept
        weight, bias = self.weight.value, self.bias.value
        if rows or columns:
            weight, bias = gather(weight, rows, columns), gather(bias, None, columns)
        x = scaled(x, factor)
        y, context = activate(x @ weight, bias, self.activation, training=False)
        self._saved = x, context, weight, rows, columns, factor
        return y

    def backward(self, dy: Array) -> Array:
        _, _, weight, _, _, factor = self._from_forward()
        dx = self._gradients(dy) @ weight.T
        if factor != 1:
            dx *= dx.dtype.type(factor)
        return dx

    def _gradients(self, dy: Array) -> Array:
        x, context, _, rows, columns, _ = self._from_forward()
        dy, self.bias.take_part(None, columns)[:] = context.backward(dy)
        np.matmul(x.T, dy, out=self.weight.take_part(rows, columns))
        return dy

    def streams(self) -> list[sd.Stream]:
        stream = self.units_out.stream if self.units_out else None
        return [] if stream is None else [stream]

    def describe(self) -> dict[str, Any]:
        return super().describe() | in_evaluation(self.units_in)

    def parts(self, shared_masks: bool) -> list[Layer]:
        activation = ACTIVATIONS[self.activation]().parts(shared_masks)
        dropout = [self.units_out.dropout(self.steps)] if self.units_out else []
        return [Linear.of(self.weight, self.bias), *activation, *dropout]

    def _shown(self) -> list[str]:
        units, activation = self.units_out, f"activation={self.activation!r}"
        own = [f"p={units.p}", activation, *form(units.inverted)] if units else [activation]
        return super()._shown() + own
