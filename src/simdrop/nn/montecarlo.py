"""Monte-Carlo dropout: forward passes that still drop, a group of samples at a time.

Gal and Ghahramani 2016, "Dropout as a Bayesian approximation: representing model uncertainty in
deep learning". Sample k of a net with L layers that drop is its forward pass in training with the
draws k L to k L + L - 1 of the stream, one a layer, in order.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

import simdrop as sd
from simdrop._core.draw import Draw
from simdrop._core.stream import next_draws
from simdrop._names import explained
from simdrop.submatrix import Kept, gather

from .activations import ACTIVATIONS
from .checks import checked_rows, dense
from .dense import activate
from .dropout import Dropout
from .layer import Layer
from .linear import Linear
from .losses import Loss
from .parameter import Array
from .prediction import Prediction, Tally
from .sampling import Draws

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

# Rows of a matrix product: with fewer, BLAS packs the weights too often; more only take memory.
# They may all be samples of one row of x.
ROWS = 512
# Rows of a product of a thinned net, whose weights are gathered once for all of them.
THINNED_ROWS = 2048
# From this many rows on, gathering the kept weights is faster than multiplying by all of them.
LEAST_THINNED = 32
# Elements of x at a time, since a sparse x is made dense.
MOST_ELEMENTS = 2**22


class _Product(NamedTuple):
    """activation(x W + b): a Linear and the activation after it, in one pass over memory."""

    weight: Array
    bias: Array
    activation: str

    @property
    def is_random(self) -> bool:
        return False

    def sample(self, x: Array, draws: Draws) -> Array:
        flat = x.reshape(-1, x.shape[-1])
        y, _ = activate(flat @ self.weight, self.bias, self.activation, training=False)
        return y.reshape(*x.shape[:-1], -1)


class _Step(NamedTuple):
    """A part of the net, and if it is random its draw in each sample, as in `Draws`."""

    part: Layer | _Product
    draws: Sequence[Draw]


class MonteCarlo:
    """The method of `Network` that takes samples of its layers; `Network` sets the attributes."""

    _layers: tuple[Layer, ...]
    criterion: type[Loss]
    n_in: int
    n_out: int
    dtype: np.dtype[Any]

    @explained
    def predict_mc(
        self,
        x: ArrayLike,
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> Prediction:
        """Mean and spread of n forward passes that drop as in training: Monte-Carlo dropout.

        Gal and Ghahramani 2016, "Dropout as a Bayesian approximation". The mode does not matter,
        and the net stays as it is: its stream, its mode, and what `backward` needs.

        Parameters
        ----------
        x : array_like
            (batch, n_in).
        n : int
            Samples, at least 1.
        rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream
            Gives the masks; the same int gives the same ones, and None is `simdrop.Stream()`, a new
            stream. Each sample takes a draw for each layer that drops, as a forward pass in
            training does.
        shared_masks : bool
            True: sample k drops the same units for every row, so it is one thinned net, and only
            its kept weights are multiplied. False: each row has masks of its own, by its number in
            x. Layers that share their masks in training (`BatchwiseDense`, ``shared_axes``) do so
            in both cases.
        samples : bool
            Whether to return all outputs, (n, batch, n_out), too.

        Returns
        -------
        Prediction
            ``mean``, ``std``; for cross entropies of the probabilities, with ``label``,
            ``entropy`` and ``mutual_information``.

        Raises
        ------
        ValueError
            If n < 1, x has another shape, no layer drops, or with ``shared_masks=True`` if a layer
            has no masks that rows can share.
        TypeError
            If n is not an int, or rng none of the above.

        Notes
        -----
        The masks of a row depend neither on how many rows are computed at a time nor on the rows
        after it; with ``shared_masks=True``, on no other row. The rounding of outputs depends on
        how many rows BLAS multiplies at a time. Several threads may call this on one net while none
        changes it, if its layers are those of this package.
        """
        inputs = checked_rows(x, self.n_in)
        n = operator.index(n)
        if n < 1:
            raise ValueError(f"n must be 1 or more samples, got {n}")
        steps = _steps(self._layers, n, rng, shared_masks)

        # What comes before anything is dropped is the same for all samples.
        certain = next((i for i, step in enumerate(steps) if step.part.is_random), len(steps))
        before, after = steps[:certain], steps[certain:]
        rows = inputs.shape[0]
        tally = Tally(rows, self.n_out, self.criterion, n, samples)
        thin = rows >= LEAST_THINNED and _can_thin([step.part for step in after])
        most = max(min(THINNED_ROWS if thin else ROWS, MOST_ELEMENTS // self.n_in), 1)
        if any(step.part.is_random and type(step.part).sample is Layer.sample for step in after):
            most = max(rows, 1)  # these take all rows of the batch at once
        for start in range(0, rows, most):
            y = dense(inputs[start : start + most], self.dtype)[np.newaxis]
            for step in before:
                y = step.part.sample(y, Draws())
            together = 1 if thin else max(ROWS // y.shape[1], 1)
            for first in range(0, n, together):
                group = slice(first, min(first + together, n))
                if thin:
                    outputs = _thinned(y[0], after, first)[np.newaxis]
                else:
                    outputs = np.broadcast_to(y, (group.stop - first, *y.shape[1:]))
                    for step in after:
                        outputs = step.part.sample(outputs, Draws(step.draws[group], start, rows))
                tally.add(outputs, first, start)
        return tally.prediction()


def _steps(layers: Sequence[Layer], n: int, rng: Rng, shared_masks: bool) -> list[_Step]:
    """What a sample consists of, without what drops nothing."""
    parts = _fused([part for layer in layers for part in layer.parts(shared_masks)])
    random = sum(part.is_random for part in parts)
    if random == 0:
        raise ValueError("the net has no layer that drops, so that all samples would be the same")
    stream = rng if isinstance(rng, sd.Stream) else sd.Stream(rng)
    drawn = iter(zip(*[next_draws(stream, random) for _ in range(n)], strict=True))
    steps = [_Step(part, next(drawn) if part.is_random else ()) for part in parts]
    return [step for step in steps if not (type(step.part) is Dropout and step.part.p == 0)]


def _fused(parts: Sequence[Layer]) -> list[Layer | _Product]:
    """The parts, with a _Product for each Linear and the activation that follows it."""
    names = {activation: name for name, activation in ACTIVATIONS.items()}
    fused: list[Layer | _Product] = []
    for part in parts:
        last = fused[-1] if fused else None
        if type(part) is Linear:
            fused.append(_Product(part.weight.value, part.bias.value, "identity"))
        elif type(part) in names and isinstance(last, _Product) and last.activation == "identity":
            fused[-1] = last._replace(activation=names[type(part)])
        else:
            fused.append(part)
    return fused


# Thinned nets: units that are dropped for all rows are rows and columns of weights left out


def _can_thin(parts: Sequence[Layer | _Product]) -> bool:
    """Whether all that these do, of which the first drops, is leaving out rows and columns."""
    return (
        len(parts) > 1
        and isinstance(parts[-1], _Product)
        and all(isinstance(a, _Product) or isinstance(b, _Product) for a, b in pairwise(parts))
        and all(
            isinstance(part, _Product) or type(part) is Dropout and set(part.shared_axes) == {0}
            for part in parts
        )
    )


def _thinned(y: Array, steps: Sequence[_Step], sample: int) -> Array:
    """Outputs (batch, n_out) of one thinned net, of whose weights only the kept are multiplied."""
    first, *others = steps
    rows, factor = _kept(first, sample, y.shape[1])
    y = gather(np.ascontiguousarray(y), None, rows)
    for step, following in zip(others, [*others[1:], None], strict=True):
        if isinstance(step.part, _Product):
            weight, bias = step.part.weight, step.part.bias
            columns, next_factor = _kept(following, sample, len(bias))
            if rows or columns:
                weight, bias = gather(weight, rows, columns), gather(bias, None, columns)
            if factor != 1:  # here and not of y: the weights are fewer
                weight = weight * weight.dtype.type(factor)
            y, _ = activate(y @ weight, bias, step.part.activation, training=False)
            rows, factor = columns, next_factor
    return y


def _kept(step: _Step | None, sample: int, units: int) -> tuple[Kept | None, float]:
    """Which units a step keeps, None for all, and by what it multiplies them."""
    if step is None or not isinstance(step.part, Dropout):
        return None, 1.0
    mask = step.part.mask(step.draws[sample], (1, units))
    return Kept(mask), mask.scale
