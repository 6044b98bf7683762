"""What Monte-Carlo dropout finds: means and deviations of outputs, and entropies of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simdrop import _html
from simdrop._values import OfArrays

from .losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from .parameter import Array

ROWS_SHOWN, OUTPUTS_SHOWN = 6, 4  # at most, in a notebook


class Prediction(OfArrays):
    """What `Network.predict_mc` returns. All arrays but `label` are float64.

    Outputs are what the net's loss predicts: with cross entropy the classes' probabilities (the
    softmax), with binary cross entropy each output's (the sigmoid), with Poisson means of counts.
    The last four exist for the two cross entropies only; else they raise AttributeError.

    Attributes
    ----------
    mean, std : ndarray
        (batch, n_out), of the outputs over the samples; std is the root of the mean square
        deviation (the sum divided by n).
    samples : ndarray or None
        (n, batch, n_out), if asked for.
    label : ndarray
        (batch,), the class of the largest mean probability. With binary cross entropy this and the
        next three are (batch, n_out), since each output is a question of its own; and the label is
        1 where the mean probability is above 1/2.
    entropy : ndarray
        (batch,), in nats, of the mean probabilities: 0 where one class is certain, log(n_out) where
        all are alike.
    expected_entropy : ndarray
        (batch,), in nats, the mean of the samples' entropies: how unsure a thinned net is.
    mutual_information : ndarray
        (batch,), in nats, entropy - expected_entropy >= 0: how much the thinned nets disagree
        (Houlsby et al. 2011, "Bayesian active learning for classification and preference learning",
        equation 2).
    """

    __slots__ = ("mean", "std", "samples", "_label", "_entropy", "_expected_entropy")
    mean: Array
    std: Array
    samples: Array | None
    _label: Array | None
    _entropy: Array | None
    _expected_entropy: Array | None

    @property
    def label(self) -> Array:
        return _of_classes(self._label, "label")

    @property
    def entropy(self) -> Array:
        return _of_classes(self._entropy, "entropy")

    @property
    def expected_entropy(self) -> Array:
        return _of_classes(self._expected_entropy, "expected_entropy")

    @property
    def mutual_information(self) -> Array:
        expected = _of_classes(self._expected_entropy, "mutual_information")
        return np.maximum(self.entropy - expected, 0)  # rounding may leave -1e-16

    def __repr__(self) -> str:
        return f"Prediction(mean and std {self.mean.shape})"

    def _repr_html_(self) -> str:
        """The first rows, with the first outputs of each."""
        batch, n_out = self.mean.shape
        columns: dict[str, list[str]] = {"row": [str(i) for i in range(min(batch, ROWS_SHOWN))]}
        of_rows = self._label is not None and self._label.ndim == 1
        if of_rows:
            columns["label"] = [str(label) for label in self.label[:ROWS_SHOWN]]
            for name in ("entropy", "mutual_information"):
                values = getattr(self, name)[:ROWS_SHOWN]
                columns[name.replace("_", " ")] = [f"{value:.3f}" for value in values]
        form = ".3f" if self._entropy is not None else ".4g"  # of probabilities, or of numbers
        for k in range(min(n_out, OUTPUTS_SHOWN)):
            pairs = zip(self.mean[:ROWS_SHOWN, k], self.std[:ROWS_SHOWN, k], strict=True)
            columns[f"output {k}"] = [f"{mean:{form}} ± {std:{form}}" for mean, std in pairs]
        if n_out > OUTPUTS_SHOWN:
            columns[_html.GAP] = [_html.GAP] * len(columns["row"])
        rows = list(zip(*columns.values(), strict=True))
        if batch > ROWS_SHOWN:
            rows.append((_html.GAP,) * len(columns))
        return _html.table(list(columns), rows, f"Prediction, mean ± std {self.mean.shape}")


def _of_classes(array: Array | None, name: str) -> Array:
    if array is None:
        raise AttributeError(f"{name} needs classes, but the net's loss is for numbers")
    return array


class Tally:
    """Sums over samples, in float64, of their differences from the first.

    So a large mean costs no precision (Chan, Golub and LeVeque 1983, "Algorithms for computing the
    sample variance"), and outputs that do not vary have a deviation of exactly 0.
    """

    n: int
    n_out: int
    criterion: type[Loss]
    entropy: Callable[[Array], Array] | None
    first: Array
    sums: Array
    squares: Array
    samples: Array | None

    def __init__(self, rows: int, n_out: int, criterion: type[Loss], n: int, samples: bool) -> None:
        self.n, self.n_out, self.criterion = n, n_out, criterion
        self.entropy = _ENTROPIES.get(criterion)
        entropies = 0 if self.entropy is None else self.entropy(np.ones((1, n_out))).size
        self.first, self.sums, self.squares = np.zeros((3, rows, n_out + entropies))
        self.samples = np.empty((n, rows, n_out)) if samples else None

    def add(self, outputs: Array, sample: int, row: int) -> None:
        """Add outputs (samples, batch, n_out), the first of sample `sample` and row `row`."""
        count, batch, n_out = outputs.shape
        flat = outputs.reshape(count * batch, n_out).astype(np.float64)
        y = self.criterion.expected(flat)
        if self.samples is not None:
            self.samples[sample : sample + count, row : row + batch] = y.reshape(outputs.shape)
        if self.entropy:  # averaged as outputs are
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


def _entropy(p: Array) -> Array:
    """Of classes, (batch,): -sum(p log p) over them, where 0 log 0 is 0."""
    return -_p_log_p(p).sum(axis=1)


def _binary_entropy(p: Array) -> Array:
    """Of each output by itself, (batch, n_out)."""
    return -(_p_log_p(p) + _p_log_p(1 - p))


def _p_log_p(p: Array) -> Array:
    return p * np.log(np.where(p > 0, p, 1))


_ENTROPIES: dict[type[Loss], Callable[[Array], Array]] = {
    SoftmaxCrossEntropy: _entropy,
    BinaryCrossEntropy: _binary_entropy,
}
