"""The structured transforms, forward and backward, with simdrop and as usual in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

import simdrop as sd

BLOCK = 7  # side of DropBlock's blocks: the paper's, for ResNet-50
TOKENS = (35, 80)  # time steps and batch

Result = tuple[np.ndarray, Any]


class Operands:
    """What some transforms take besides x, each made when it is first used."""

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.x, self.p = work, x, p
        self.rng = np.random.default_rng(1)

    @cached_property
    def weights(self) -> np.ndarray:
        """Square weights for rows of x."""
        n = self.x.shape[-1]
        return (self.rng.standard_normal((n, n)) / n**0.5).astype(self.x.dtype)

    @cached_property
    def tokens(self) -> np.ndarray:
        """Indices of rows of x, some of them frequent."""
        return np.minimum(self.rng.zipf(1.3, TOKENS), len(self.x)) - 1

    @cached_property
    def probabilities(self) -> np.ndarray:
        """A p for each unit, sample or element."""
        rows, columns = self.x.shape
        shapes = {
            "p_per_unit": (columns,),
            "p_per_sample": (rows, 1),
            "p_per_element": self.x.shape,
        }
        return self.rng.uniform(0.05, 0.5, shapes[self.work])

    @cached_property
    def bits(self) -> np.ndarray:
        """A stored mask: one bit an element."""
        return np.packbits(self.rng.random(self.x.shape) >= self.p, bitorder="little")

    @cached_property
    def previous(self) -> np.ndarray:
        """The values of the time step before x."""
        return np.roll(self.x, 1)


def seed_probability(p: float, height: int, width: int) -> float:
    """The probability that a block of DropBlock starts at an element (its paper's gamma)."""
    return p * height * width / (BLOCK**2 * (height - BLOCK + 1) * (width - BLOCK + 1))


class Ours:
    """One transform with simdrop."""

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.p, self.stream = work, p, sd.Stream(0)
        self.operands = Operands(work, x, p)
        self.y, self.dx = np.empty_like(x), np.empty_like(x)

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """The output and the gradients."""
        operands, options = self.operands, {"p": self.p, "rng": self.stream}
        match self.work:
            case "apply_packed":
                y = sd.apply_packed(x, operands.bits, self.p, out=self.y)
                return y, sd.apply_packed(dy, operands.bits, self.p, out=self.dx)
            case "zoneout":
                y, m = sd.zoneout(operands.previous, x, **options)
                return y, m.backward(dy)
            case "drop_connect_matmul":
                y, m = sd.drop_connect_matmul(x, operands.weights, **options)
                return y, m.backward(dy)
            case "embedding_dropout":
                y, m = sd.embedding_dropout(x, indices=operands.tokens, **options)
                return y, m.backward(dy[operands.tokens])
            case "drop_block":
                y, m = sd.drop_block(x, block_size=BLOCK, out=self.y, **options)
            case "p_per_unit" | "p_per_sample" | "p_per_element":
                y, m = sd.dropout(x, operands.probabilities, rng=self.stream, out=self.y)
            case _:
                y, m = getattr(sd, self.work)(x, out=self.y, **options)
        return y, m.backward(dy, out=self.dx)


class Plain:
    """One transform in NumPy, with float32 draws and masks: NumPy's float64 takes twice as long."""

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.p = work, p
        self.operands = Operands(work, x, p)
        rng = np.random.default_rng(0)
        self.random: Callable[..., np.ndarray] = lambda shape: rng.random(shape, dtype=np.float32)
        self.y, self.dx = np.empty_like(x), np.empty_like(x)

    def both(self, x: np.ndarray, dy: np.ndarray, mask: np.ndarray) -> Result:
        """The output and the gradient under a mask of factors."""
        return np.multiply(x, mask, out=self.y), np.multiply(dy, mask, out=self.dx)

    def draw(self, shape: tuple[int, ...], p: float | np.ndarray) -> np.ndarray:
        """Whether each element is kept; tests replace this."""
        return self.random(shape) >= p

    def scaled(self, shape: tuple[int, ...]) -> np.ndarray:
        """A mask of factors: 0, or 1 / (1 - p)."""
        return self.draw(shape, self.p).astype(np.float32) * np.float32(1 / (1 - self.p))

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """The output and the gradients."""
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

    def p_per_element(self, x: np.ndarray, dy: np.ndarray) -> Result:
        probabilities = self.operands.probabilities
        scale = (1 / (1 - probabilities)).astype(np.float32)
        mask = self.draw(x.shape, probabilities).astype(np.float32) * scale
        return self.both(x, dy, mask)

    p_per_unit = p_per_sample = p_per_element

    def apply_packed(self, x: np.ndarray, dy: np.ndarray) -> Result:
        keep = np.unpackbits(self.operands.bits, count=x.size, bitorder="little").reshape(x.shape)
        mask = keep.astype(np.float32) * np.float32(1 / (1 - self.p))
        return self.both(x, dy, mask)

    def drop_block(self, x: np.ndarray, dy: np.ndarray) -> Result:
        *leading, height, width = x.shape
        rows, columns = height - BLOCK + 1, width - BLOCK + 1
        corners = np.zeros(x.shape, bool)
        gamma = seed_probability(self.p, height, width)
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
        weights = self.operands.weights
        y, dx, dweights = np.empty_like(x), np.empty_like(x), np.zeros_like(weights)
        masks = self.scaled((len(x), *weights.shape))  # all of them, because they are needed twice
        for b in range(len(x)):
            y[b] = x[b] @ (masks[b] * weights)
        for b in range(len(x)):
            dx[b] = (masks[b] * weights) @ dy[b]
            dweights += masks[b] * np.outer(x[b], dy[b])
        return y, (dx, dweights)

    def zoneout(self, x: np.ndarray, dy: np.ndarray) -> Result:
        keep = self.draw(x.shape, self.p)
        return np.where(keep, x, self.operands.previous), (
            np.where(keep, 0, dy),
            np.where(keep, dy, 0),
        )

    def embedding_dropout(self, x: np.ndarray, dy: np.ndarray) -> Result:
        mask = self.scaled((len(x), 1))
        tokens = self.operands.tokens
        y = (x * mask)[tokens]
        dweights = np.zeros_like(x)
        np.add.at(dweights, tokens, dy[tokens])
        return y, dweights * mask
