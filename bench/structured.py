"""The structured transforms as they are usually written in NumPy, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import simdrop as sd

BLOCK = 7  # of a side: the paper's, for ResNet-50
TOKENS = (35, 80)  # time steps and batch

Result = tuple[np.ndarray, Any]


def weights_for(x: np.ndarray) -> np.ndarray:
    """Square weights for rows of x."""
    n = x.shape[-1]
    rng = np.random.default_rng(1)
    return (rng.standard_normal((n, n)) / n**0.5).astype(x.dtype)


def tokens_for(x: np.ndarray) -> np.ndarray:
    """Indices of rows of x, some of them often."""
    return np.minimum(np.random.default_rng(1).zipf(1.3, TOKENS), len(x)) - 1


def probabilities_for(work: str, shape: tuple[int, ...]) -> np.ndarray:
    """A p for each unit, each sample or each element."""
    rows, columns = shape
    of = {"p_per_unit": (columns,), "p_per_sample": (rows, 1), "p_per_element": shape}
    return np.random.default_rng(1).uniform(0.05, 0.5, of[work])


def bits_for(x: np.ndarray, p: float) -> np.ndarray:
    """A stored mask: one bit an element."""
    return np.packbits(np.random.default_rng(1).random(x.shape) >= p, bitorder="little")


class Plain:
    """
    One transform; its decisions come from `draw`, which tests replace.

    The draws are float32 (twice as fast as NumPy's default), the masks float32 as well.
    """

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.p = work, p
        rng = np.random.default_rng(0)
        self.random: Callable[..., np.ndarray] = lambda shape: rng.random(shape, dtype=np.float32)
        if work == "drop_connect_matmul":
            self.W = weights_for(x)
        if work == "embedding_dropout":
            self.tokens = tokens_for(x)
        if work.startswith("p_per"):
            self.probabilities = probabilities_for(work, x.shape)
            setattr(self, work, self.varying)
        if work == "apply_packed":
            self.bits = bits_for(x, p)
        self.previous = np.roll(x, 1)
        self.y, self.dx = np.empty_like(x), np.empty_like(x)

    def both(self, x: np.ndarray, dy: np.ndarray, mask: np.ndarray) -> Result:
        """Masked forward and backward."""
        return np.multiply(x, mask, out=self.y), np.multiply(dy, mask, out=self.dx)

    def draw(self, shape: tuple[int, ...], p: float | np.ndarray) -> np.ndarray:
        """Whether each element is kept."""
        return self.random(shape) >= p

    def scaled(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.draw(shape, self.p).astype(np.float32) * np.float32(1 / (1 - self.p))

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """y and the gradients."""
        return getattr(self, self.work)(x, dy)

    def drop_path(self, x: np.ndarray, dy: np.ndarray) -> Result:
        mask = self.scaled((len(x),) + (1,) * (x.ndim - 1))
        return self.both(x, dy, mask)

    def locked_dropout(self, x: np.ndarray, dy: np.ndarray) -> Result:
        mask = self.scaled((1, *x.shape[1:]))
        return self.both(x, dy, mask)

    def drop_connect(self, x: np.ndarray, dy: np.ndarray) -> Result:
        mask = self.scaled(x.shape)
        return self.both(x, dy, mask)

    def varying(self, x: np.ndarray, dy: np.ndarray) -> Result:
        """One p for each unit, sample or element."""
        scale = (1 / (1 - self.probabilities)).astype(np.float32)
        mask = self.draw(x.shape, self.probabilities).astype(np.float32) * scale
        return self.both(x, dy, mask)

    def apply_packed(self, x: np.ndarray, dy: np.ndarray) -> Result:
        keep = np.unpackbits(self.bits, count=x.size, bitorder="little").reshape(x.shape)
        mask = keep.astype(np.float32) * np.float32(1 / (1 - self.p))
        return self.both(x, dy, mask)

    def drop_block(self, x: np.ndarray, dy: np.ndarray) -> Result:
        *leading, height, width = x.shape
        rows, columns = height - BLOCK + 1, width - BLOCK + 1
        gamma = self.p * height * width / (BLOCK**2 * rows * columns)
        corners = np.zeros(x.shape, bool)
        corners[..., :rows, :columns] = ~self.draw((*leading, rows, columns), gamma)
        across = corners.copy()
        for i in range(1, BLOCK):
            across[..., i:] |= corners[..., :-i]
        covered = across.copy()
        for i in range(1, BLOCK):
            covered[..., i:, :] |= across[..., :-i, :]
        mask = (~covered).astype(np.float32)
        mask *= mask.size / mask.sum()
        return self.both(x, dy, mask)

    def drop_connect_matmul(self, x: np.ndarray, dy: np.ndarray) -> Result:
        y, dx, dW = np.empty_like(x), np.empty_like(x), np.zeros_like(self.W)
        masked = self.scaled((len(x), *self.W.shape))  # all of them: they are needed twice
        for b in range(len(x)):
            y[b] = x[b] @ (masked[b] * self.W)
        for b in range(len(x)):
            dx[b] = (masked[b] * self.W) @ dy[b]
            dW += masked[b] * np.outer(x[b], dy[b])
        return y, (dx, dW)

    def zoneout(self, x: np.ndarray, dy: np.ndarray) -> Result:
        keep = self.draw(x.shape, self.p)
        return np.where(keep, x, self.previous), (np.where(keep, 0, dy), np.where(keep, dy, 0))

    def embedding_dropout(self, x: np.ndarray, dy: np.ndarray) -> Result:
        mask = self.scaled((len(x), 1))
        y = (x * mask)[self.tokens]
        dweight = np.zeros_like(x)
        np.add.at(dweight, self.tokens, dy[self.tokens])
        return y, dweight * mask


class Ours:
    """The same with simdrop."""

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.p, self.stream = work, p, sd.Stream(0)
        self.function = sd.dropout if work.startswith("p_per") else getattr(sd, work)
        self.arguments: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        if work == "drop_block":
            self.options = {"block_size": BLOCK}
        if work == "drop_connect_matmul":
            self.arguments = (weights_for(x),)
        if work == "embedding_dropout":
            self.options = {"indices": tokens_for(x)}
        if work.startswith("p_per"):
            self.options = {"p": probabilities_for(work, x.shape)}
        if work == "apply_packed":
            self.bits = bits_for(x, p)
        self.previous = np.roll(x, 1)
        self.y, self.dx = np.empty_like(x), np.empty_like(x)

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """y and the gradients."""
        if self.work == "apply_packed":
            y = self.function(x, self.bits, self.p, out=self.y)
            return y, self.function(dy, self.bits, self.p, out=self.dx)
        before = (self.previous,) if self.work == "zoneout" else ()
        if self.work == "embedding_dropout":
            dy = dy[self.options["indices"]]
        arguments = (*before, x, *self.arguments)
        options = {"p": self.p, "rng": self.stream, **self.options}
        if self.work in ("drop_connect_matmul", "zoneout", "embedding_dropout"):
            y, m = self.function(*arguments, **options)
            return y, m.backward(dy)
        y, m = self.function(*arguments, **options, out=self.y)
        return y, m.backward(dy, out=self.dx)
