"""Monte-Carlo dropout: forward passes that still drop, their mean, and how much they differ.

Gal and Ghahramani 2016, "Dropout as a Bayesian approximation: representing model uncertainty in
deep learning". Sample k of a net with L layers that drop is its forward pass in training with the
draws k L to k L + L - 1 of the stream, one a layer, in order.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

import simdrop as sd
from simdrop import fused
from simdrop._core.mask import STREAM_VERSION
from simdrop._values import Values
from simdrop.submatrix import Kept, gather

from .activations import Identity, ReLU, Sigmoid, Tanh
from .base import Array, Layer
from .batchwise import BatchwiseDense, KeptInputs
from .dense import FUSED, Dense, activate
from .dropout import DropConnect, Dropout, Probability, at
from .layers import Linear
from .losses import BinaryCrossEntropy, SoftmaxCrossEntropy

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

    from .network import Criterion, Network

# Rows of a matrix product: of fewer, the weights would be packed too often; of more, the memory is
# just more. All rows of a product may be samples of one row of x.
ROWS = 512
# Products of kept weights are small, and what is gathered for a sample serves all rows at hand.
THINNED_ROWS = 2048
# From so many rows gathering the kept weights is faster than multiplying by all of them.
LEAST_THINNED = 32
# Of x at a time: a sparse one becomes an array.
MOST_ELEMENTS = 2**22


class Prediction(Values):
    """What `Network.predict_mc` returns. All arrays but `label` are float64.

    Outputs are what the net's loss is about: with cross entropy the classes' probabilities (the
    softmax), with binary cross entropy each output's (the sigmoid), with Poisson means of counts.
    The last four are for the first two alone; of others they are an AttributeError.

    Attributes
    ----------
    mean, std : ndarray
        (batch, n_out), of the outputs over the samples; std is the root of the mean square
        deviation (the sum divided by n).
    samples : ndarray or None
        (n, batch, n_out), where asked for.
    label : ndarray
        (batch,), the class of the largest mean probability. With binary cross entropy this and the
        next three are (batch, n_out), since each output is a question of its own; and the label is
        1 where the mean probability is above 1/2.
    entropy : ndarray
        (batch,), in nats, of the mean probabilities: 0 where one class is certain, log(n_out) where
        all are alike.
    expected_entropy : ndarray
        (batch,), in nats, the mean of the samples' entropies: what each of the thinned nets is
        unsure of.
    mutual_information : ndarray
        (batch,), in nats, entropy - expected_entropy >= 0: how much the thinned nets disagree
        (Houlsby et al. 2011, "Bayesian active learning for classification and preference learning",
        equation 2).
    """

    __slots__ = ("mean", "std", "samples", "_label", "_entropy", "_expected_entropy")
    __eq__, __hash__ = object.__eq__, object.__hash__  # arrays do not compare
    mean: Array
    std: Array
    samples: Array | None
    _label: Array | None
    _entropy: Array | None
    _expected_entropy: Array | None

    @property
    def label(self) -> Array:
        return of_classes(self._label, "label")

    @property
    def entropy(self) -> Array:
        return of_classes(self._entropy, "entropy")

    @property
    def expected_entropy(self) -> Array:
        return of_classes(self._expected_entropy, "expected_entropy")

    @property
    def mutual_information(self) -> Array:
        expected = of_classes(self._expected_entropy, "mutual_information")
        found: Array = np.maximum(self.entropy - expected, 0)  # rounding may leave -1e-16
        return found

    def __repr__(self) -> str:
        return f"Prediction(mean and std {self.mean.shape})"


def of_classes(array: Array | None, name: str) -> Array:
    if array is None:
        raise AttributeError(f"{name} is of classes, but the net's loss is of numbers")
    return array


class Product(NamedTuple):
    """activation(x W + b)."""

    weight: Array
    bias: Array
    activation: fused.Activation


class Drop(NamedTuple):
    """Dropout; `number` says which draw of a sample it takes."""

    number: int
    p: float
    scale: bool
    shared_axes: frozenset[int]


class Redraw(NamedTuple):
    """A layer that takes its draw itself, for all rows at once."""

    number: int
    layer: Layer


class Call(NamedTuple):
    """A layer that takes no draw."""

    layer: Layer


Step = Product | Drop | Redraw | Call
Draws = Sequence[sd.Mask]  # one for each step of a sample that drops, of which key and draw count
ACTIVATIONS: dict[type[Layer], fused.Activation] = {ReLU: "relu", Tanh: "tanh", Sigmoid: "sigmoid"}
# Exactly these are known: a class made of one of them may do something else.
KNOWN = {KeptInputs, BatchwiseDense, Dense, Linear, Dropout, Identity, *ACTIVATIONS}


def predict_mc(
    net: Network,
    x: Any,
    n: int,
    *,
    rng: Rng = None,
    fixed: bool = False,
    samples: bool = False,
    dense: Callable[[Any], Array] = np.asarray,
) -> Prediction:
    """`Network.predict_mc` of an x (batch, n_in) that was checked; `dense` makes rows arrays."""
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"n must be 1 or more samples, got {n}")
    steps = steps_of(net.layers, fixed)
    draws = sum(isinstance(step, Drop | Redraw) for step in steps)
    if draws == 0:
        raise ValueError("the net has no layer that drops, so that all samples would be the same")
    stream = rng if isinstance(rng, sd.Stream) else sd.Stream(rng)
    drawn = [[stream.mask(1) for _ in range(draws)] for _ in range(n)]  # for key and draw alone

    # What comes before anything is dropped is the same for all samples.
    certain = next((i for i, step in enumerate(steps) if is_random(step)), len(steps))
    before, after = steps[:certain], steps[certain:]
    count = x.shape[0]
    tally = Tally(count, net.n_out, net.criterion, n, samples)
    thin = count >= LEAST_THINNED and can_thin(after)
    most = max(min(THINNED_ROWS if thin else ROWS, MOST_ELEMENTS // net.n_in), 1)
    if any(isinstance(step, Redraw) for step in after):
        most = max(count, 1)
    for start in range(0, count, most):
        y = dense(x[start : start + most]).astype(net.dtype, copy=False)
        for step in before:
            y = followed(step, y)
        together = 1 if thin else max(ROWS // len(y), 1)
        for first in range(0, n, together):
            group = drawn[first : first + together]
            if thin:
                outputs = thinned(y, after, group[0])[None]
            else:
                outputs = stacked(y, after, group, start, count)
            tally.add(outputs, first, start)
    return tally.prediction()


def steps_of(layers: Sequence[Layer], fixed: bool) -> list[Step]:
    """A net's layers as steps, with each p as it is at the layer's step of training."""
    steps: list[Step] = []
    number = 0

    def product(layer: Linear, activation: fused.Activation = None) -> None:
        steps.append(Product(layer.weight.value, layer.bias.value, activation))

    def drop(layer: Layer, p: Probability, scale: bool, shared_axes: Iterable[int]) -> None:
        nonlocal number
        shared = {0, *shared_axes} if fixed else set(shared_axes)
        steps.append(Drop(number, at(p, layer.step), scale, frozenset(shared)))
        number += 1

    for layer in layers:
        match layer if type(layer) in KNOWN else None:
            case KeptInputs(units=units) as kept:
                drop(kept, units.p, units.inverted, (0,))
            case BatchwiseDense(units_out=units) as dense:
                product(dense, FUSED[dense.activation])
                if units:
                    drop(dense, units.p, units.inverted, (0,))
            case Dense() as dense:
                product(dense, FUSED[dense.activation])
                drop(dense, dense.p, dense.inverted, ())
            case Linear() as linear:
                product(linear)
            case Dropout() as dropout:
                drop(dropout, dropout.p, dropout.inverted, dropout.shared_axes)
            case Identity():
                pass
            case ReLU() | Tanh() | Sigmoid() as activation if takes_activation(steps):
                name = ACTIVATIONS[type(activation)]
                steps[-1] = cast(Product, steps[-1])._replace(activation=name)
            case _ if hasattr(layer, "stream"):
                if fixed and not (type(layer) is DropConnect and not layer.per_sample):
                    raise ValueError(f"fixed=True, but rows cannot share the masks of {layer!r}")
                steps.append(Redraw(number, layer))
                number += 1
            case _:
                steps.append(Call(layer))
    return steps


def takes_activation(steps: Sequence[Step]) -> bool:
    return bool(steps) and isinstance(steps[-1], Product) and steps[-1].activation is None


def is_random(step: Step) -> bool:
    return isinstance(step, Redraw) or isinstance(step, Drop) and step.p > 0


def followed(step: Step, y: Array) -> Array:
    """A step that drops nothing."""
    if isinstance(step, Product):
        return activate(y @ step.weight, step.bias, step.activation, training=False)[0]
    if isinstance(step, Call):
        return copy.copy(step.layer).eval()(y)  # a copy: backward needs what the layer has saved
    return y


def stacked(
    y: Array, steps: Sequence[Step], group: Sequence[Draws], start: int, rows: int
) -> Array:
    """Outputs (samples, batch, n_out) of all samples of a group in one pass.

    y is (batch, ...), the same for all, and begins with row `start` of all `rows`, whose masks'
    windows are used.
    """
    batch, mine = len(y), False  # whether z may be written
    z = np.broadcast_to(y, (len(group), *y.shape))
    for step in steps:
        if isinstance(step, Drop):
            if step.p > 0:
                dropped = z if mine else np.empty(z.shape, z.dtype)
                for one, to, draws in zip(z, dropped, group, strict=True):
                    mask = mask_of(step, draws, (rows, *one.shape[1:]))
                    origin = (start,) + (0,) * (one.ndim - 1)
                    mask.window(origin, one.shape).apply(one, out=to)
                z, mine = dropped, True
        elif isinstance(step, Redraw):
            z = np.stack([redrawn(step, one, d) for one, d in zip(z, group, strict=True)])
            mine = True
        else:
            z = followed(step, z.reshape(len(group) * batch, *z.shape[2:]))
            z, mine = z.reshape(len(group), batch, *z.shape[1:]), isinstance(step, Product)
    return z


def mask_of(step: Drop, draws: Draws, shape: tuple[int, ...]) -> sd.Mask:
    drawn, shared = draws[step.number], {axis % len(shape) for axis in step.shared_axes}
    return sd.Mask(
        drawn.key, drawn.draw, step.p, shape, shared_axes=tuple(shared), scale=step.scale
    )


def redrawn(step: Redraw, y: Array, draws: Draws) -> Array:
    """What the layer makes of all rows in training, with a sample's draw."""
    drawn, layer = draws[step.number], copy.copy(step.layer).train()
    stream = sd.Stream(0)
    stream.state = {
        "stream": STREAM_VERSION,
        "key": drawn.key.hex(),
        "draw": drawn.draw,
        "spawned": 0,
    }
    layer.stream = stream  # type: ignore[attr-defined]
    return layer(y)


def can_thin(steps: Sequence[Step]) -> bool:
    """Whether these, of which the first drops, leave out rows and columns of weights alone."""
    steps = effective(steps)
    return (
        len(steps) > 1
        and isinstance(steps[-1], Product)
        and all(isinstance(a, Product) or isinstance(b, Product) for a, b in pairwise(steps))
        and all(
            isinstance(step, Product) or isinstance(step, Drop) and step.shared_axes == {0}
            for step in steps
        )
    )


def effective(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Drop) or step.p > 0]


def thinned(y: Array, steps: Sequence[Step], draws: Draws) -> Array:
    """Outputs (batch, n_out) of one thinned net, of whose weights only the kept are multiplied."""
    first, *others = effective(steps)
    rows, factor = kept_of(first, draws, y.shape[1])
    y = gather(np.ascontiguousarray(y), None, rows)
    for step, following in zip(others, [*others[1:], None], strict=True):
        if isinstance(step, Product):
            columns, next_factor = kept_of(following, draws, len(step.bias))
            weight, bias = step.weight, step.bias
            if rows or columns:
                weight, bias = gather(weight, rows, columns), gather(bias, None, columns)
            if factor != 1:  # here and not of y: the weights are fewer
                weight = weight * weight.dtype.type(factor)
            y, _ = activate(y @ weight, bias, step.activation, training=False)
            rows, factor = columns, next_factor
    return y


def kept_of(step: Step | None, draws: Draws, units: int) -> tuple[Kept | None, float]:
    """Which units a step keeps, None for all, and what it multiplies them by."""
    if not isinstance(step, Drop):
        return None, 1.0
    drawn = draws[step.number]
    mask = sd.Mask(drawn.key, drawn.draw, step.p, units, scale=step.scale)
    return Kept(mask), mask.scale


class Tally:
    """Sums over samples, in float64, of how much each differs from the first.

    So sums lose nothing to a large mean (Chan, Golub and LeVeque 1983, "Algorithms for computing
    the sample variance"), and what does not vary has a deviation of exactly 0.
    """

    def __init__(self, rows: int, n_out: int, criterion: Criterion, n: int, samples: bool) -> None:
        self.n, self.n_out, self.criterion = n, n_out, criterion
        self.entropy = ENTROPIES.get(criterion)
        entropies = 0 if self.entropy is None else self.entropy(np.ones((1, n_out))).size
        self.first, self.sums, self.squares = np.zeros((3, rows, n_out + entropies))
        self.samples = np.empty((n, rows, n_out)) if samples else None

    def add(self, outputs: Array, sample: int, row: int) -> None:
        """Count outputs (samples, batch, n_out), of which the first is number `sample`."""
        count, batch, n_out = outputs.shape
        flat = outputs.reshape(count * batch, n_out).astype(np.float64)
        y = self.criterion.expected(flat)
        if self.samples is not None:
            self.samples[sample : sample + count, row : row + batch] = y.reshape(outputs.shape)
        if self.entropy:  # they go the same way as outputs
            y = np.concatenate([y, self.entropy(y).reshape(count * batch, -1)], axis=1)
        y = y.reshape(count, batch, -1)
        rows = slice(row, row + batch)
        if sample == 0:
            self.first[rows] = y[0]
        y = y - self.first[rows]
        self.sums[rows] += y.sum(axis=0)
        self.squares[rows] += (y * y).sum(axis=0)

    def prediction(self) -> Prediction:
        shift = self.sums / self.n
        means = self.first + shift
        stds = np.sqrt(np.maximum(self.squares / self.n - shift * shift, 0))
        mean, std = means[:, : self.n_out].copy(), stds[:, : self.n_out].copy()
        if not self.entropy:
            return Prediction(mean, std, self.samples, None, None, None)
        entropy = self.entropy(mean)
        expected = means[:, self.n_out :].reshape(entropy.shape)
        softmax = self.criterion is SoftmaxCrossEntropy
        label = mean.argmax(axis=1) if softmax else (mean > 0.5).astype(np.intp)
        return Prediction(mean, std, self.samples, label, entropy, expected)


def entropy(p: Array) -> Array:
    """Of classes, (batch,): -sum(p log p) over them, where 0 log 0 is 0."""
    found: Array = -p_log_p(p).sum(axis=1)
    return found


def binary_entropy(p: Array) -> Array:
    """Of each output by itself, (batch, n_out)."""
    return -(p_log_p(p) + p_log_p(1 - p))


def p_log_p(p: Array) -> Array:
    found: Array = p * np.log(np.where(p > 0, p, 1))
    return found


ENTROPIES: dict[Criterion, Callable[[Array], Array]] = {
    SoftmaxCrossEntropy: entropy,
    BinaryCrossEntropy: binary_entropy,
}
