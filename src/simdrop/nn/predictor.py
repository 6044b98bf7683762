"""A trained net from a file, ready to predict from data as the user has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _args
from simdrop._files import Target
from simdrop._html import GAP, without_middle

from . import checkpoint, rebuild
from .inputs import encoded
from .losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from .mlp import MLP
from .parameter import Array
from .prediction import Prediction
from .signature import Signature

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

PREFERRED = "with"  # of the nets of `simdrop train`, the one with dropout


def open(path: Target, name: str | None = None) -> Predictor:
    """
    Rebuild a trained net from a file, with nothing to be said about it.

    Parameters
    ----------
    path : str, bytes, PathLike or file
        A checkpoint of `simdrop train`, or what `save` wrote for an `MLP`.
    name : str, optional
        Which net of a file with several; those of `simdrop train` are "with" and "without" dropout,
        and with several seeds "with-0", "with-1", ... By default the only one, or else the first
        one with dropout.

    Returns
    -------
    Predictor
        The net in evaluation mode, and what its inputs and outputs mean.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, is damaged, has no net of this name, or holds a net of
        other layers than an MLP's: build that one and use `load`.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> net = simdrop.nn.MLP((2, 8, 3), p=0.2, rng=0)
    >>> simdrop.nn.save("net.npz", net)
    >>> again = simdrop.nn.open("net.npz")
    >>> again.net.sizes
    (2, 8, 3)
    >>> bool((again.predict([[0.5, -1.0]]) == net.predict([[0.5, -1.0]])).all())
    True
    """
    saved = checkpoint.read(path)
    name = _chosen(saved, name)
    about = saved.about[name]
    arguments = about["mlp"]
    if arguments is None:
        raise ValueError(
            f"{saved.name} holds {name!r} without the arguments that rebuild it: it is no MLP, has "
            "a p that is a function of your own, or was saved by an older simdrop. Build the net "
            "and use simdrop.nn.load"
        )
    sizes = arguments["sizes"]
    shapes = [saved.arrays[f"{name}/parameter/{i}"].shape for i in range(about["parameters"])]
    wanted = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_in, n_out), (n_out,))]
    if shapes != wanted:  # before memory is allocated for what may be nonsense
        raise ValueError(f"{saved.name} is damaged: its parameters do not fit the sizes {sizes}")
    net = rebuild.rebuilt(arguments)
    saved.restore({name: (net, None)})
    signature = None
    if isinstance(saved.extra, dict) and saved.extra.get("signature") is not None:
        try:
            signature = Signature.from_json(
                saved.extra["signature"], "extra.signature", net.n_in, net.n_out
            )
        except ValueError as error:
            raise ValueError(f"{saved.name} is a damaged checkpoint: {error}") from error
    return Predictor(net.eval(), signature or Signature(), name=name, extra=saved.extra)


def _chosen(saved: checkpoint.Checkpoint, name: str | None) -> str:
    names = list(saved.about)
    if name is None:
        preferred = [one for one in names if one.partition("-")[0] == PREFERRED]
        if not preferred and len(names) != 1:
            raise ValueError(f"{saved.name} holds {', '.join(names)}: name says which")
        return (preferred or names)[0]
    if name not in names:
        raise ValueError(f"{saved.name} has no net {name!r}; it has {', '.join(names)}")
    return name


class Predictor:
    """A trained net that takes data as the user has them, and answers in their terms.

    `open` makes one from a file.

    Parameters
    ----------
    net : MLP
        The net; it may be trained on, with scaled inputs.
    signature : Signature
        How data become its inputs, and what its outputs mean. The default changes nothing.
    name : str
        What the net is called in its file.
    extra : optional
        What else the file holds.

    Attributes
    ----------
    classes : ndarray or None
        The label of each output, (n_out,); None in regression, or if the file does not say.
    """

    net: MLP
    signature: Signature
    name: str
    extra: Any
    classes: NDArray[Any] | None

    def __init__(
        self,
        net: MLP,
        signature: Signature | None = None,
        *,
        name: str = "net",
        extra: Any = None,
    ) -> None:
        self.net, self.name, self.extra = net, name, extra
        self.signature = signature or Signature()
        self.classes = None
        if self.signature.classes:
            self.classes = np.array(self.signature.classes)

    def inputs(self, x: ArrayLike | Mapping[str, Any]) -> NDArray[np.float32]:
        """What the net computes with.

        Parameters
        ----------
        x : array_like, DataFrame or mapping of str to array_like
            Examples of any shape, (rows, ...), with as many numbers each as the training set; or
            a table with its columns, in any order.

        Returns
        -------
        ndarray
            (rows, n_in), float32, scaled like the training set.

        Raises
        ------
        ValueError
            If shapes, columns or categories do not fit those of the training set, or a number is
            not finite.
        TypeError
            If x does not hold numbers.
        """
        signature = self.signature
        if hasattr(x, "keys") and hasattr(x, "__getitem__"):
            if signature.columns is None:
                raise TypeError(
                    "x is a table, but the net was trained on arrays: pass an array (rows, "
                    f"{self.net.n_in})"
                )
            rows = encoded(signature.columns, cast(Mapping[str, Any], x))
        else:
            rows = _args.base(x)
            if rows.dtype.kind not in "biuf":
                raise TypeError(f"x holds {rows.dtype}, but must hold numbers")
        if rows.ndim < 2 or math.prod(rows.shape[1:]) != self.net.n_in:
            raise ValueError(
                f"x has shape {rows.shape}, but must be (rows, {self.net.n_in}), or have as many "
                "numbers a row"
            )
        scaled = signature.scaling(rows)
        if not np.isfinite(scaled).all():
            row = int(np.argwhere(~np.isfinite(scaled))[0][0])
            raise ValueError(
                f"x holds a number in row {row} that is not finite, or does not fit into float32"
            )
        return scaled

    def predict(self, x: ArrayLike | Mapping[str, Any]) -> Array:
        """The most probable label of each row, or the numbers predicted, without dropout.

        Parameters
        ----------
        x : array_like, DataFrame or mapping
            As in `inputs`.

        Returns
        -------
        ndarray
            (rows,); for several outputs in regression (rows, n_out), float64.
        """
        found = self.net._evaluated(self.inputs(x), self.net.criterion.predict)
        if self.classes is not None:
            return self.classes[found]
        if self.net.criterion in (SoftmaxCrossEntropy, BinaryCrossEntropy):
            return found
        return _squeezed(self.signature.target_scaling.undone(found))

    def predict_proba(self, x: ArrayLike | Mapping[str, Any]) -> Array:
        """The probability of each class, (rows, n_out), in the order of `classes`.

        Parameters
        ----------
        x : array_like, DataFrame or mapping
            As in `inputs`.

        Raises
        ------
        ValueError
            If the net does not predict classes, or as in `inputs`.
        """
        if self.net.criterion not in (SoftmaxCrossEntropy, BinaryCrossEntropy):
            raise ValueError("the net predicts numbers, which have no probabilities: use predict")
        return self.net._evaluated(self.inputs(x), self.net.criterion.expected)

    def predict_mc(
        self,
        x: ArrayLike | Mapping[str, Any],
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> Prediction:
        """Mean and spread of n passes that drop as in training: `Network.predict_mc`.

        Parameters
        ----------
        x : array_like, DataFrame or mapping
            As in `inputs`.
        n, rng, shared_masks, samples
            As in `Network.predict_mc`.

        Returns
        -------
        Prediction
            Labels are those of `classes`; numbers are in the unit of the target, and (rows,) if the
            net has one output.
        """
        found = self.net.predict_mc(
            self.inputs(x), n, rng=rng, shared_masks=shared_masks, samples=samples
        )
        if self.net.criterion in (SoftmaxCrossEntropy, BinaryCrossEntropy):
            if self.classes is None:
                return found
            label = self.classes[found.label]
            return Prediction(
                found.mean, found.std, found.samples, label, found.entropy, found.expected_entropy
            )
        scaling = self.signature.target_scaling
        every = found.samples if found.samples is None else scaling.undone(found.samples)
        spread = found.std * scaling.divisor
        mean, std = _squeezed(scaling.undone(found.mean)), _squeezed(spread)
        return Prediction(mean, std, None if every is None else _squeezed(every), None, None, None)

    def __repr__(self) -> str:
        sizes = "-".join(without_middle(list(map(str, self.net.sizes)), GAP))
        scaling = self.signature.scaling.kind
        what = f"{len(self.classes)} classes" if self.classes is not None else "numbers"
        return f"Predictor({self.name!r}, {sizes}, inputs scaled: {scaling}, predicts {what})"


def _squeezed(y: Array) -> Array:
    """Without the axis of outputs, if there is one output."""
    return y[..., 0] if y.shape[-1] == 1 else y
