"""What a call computes but for its draw, and the object of simdrop that computes it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from simdrop import AlphaDropoutContext, DropBlockContext, GaussianDropoutContext, Mask
from simdrop.structured import block_scale, corner_positions, covered

from ._draws import Address

Context = Mask | AlphaDropoutContext | GaussianDropoutContext | DropBlockContext


class Transform(NamedTuple):
    """Elementwise dropout of one kind: linear in the input, but for a term of alpha dropout."""

    kind: str  # "dropout", "alpha", "gaussian" or "block"
    p: float
    shared_axes: tuple[int, ...] = ()
    scale: bool = True
    block_size: int = 0

    def context(self, address: Address, shape: tuple[int, ...]) -> Context:
        """What has `apply(x)` and `backward(dy)`, for arrays of a shape."""
        (key, number), axes = address, self.shared_axes
        match self.kind:
            case "dropout":
                return Mask(key, number, self.p, shape, shared_axes=axes, scale=self.scale)
            case "alpha":
                return AlphaDropoutContext(key, number, self.p, shape, shared_axes=axes)
            case "gaussian":
                return GaussianDropoutContext(key, number, self.p, shape, shared_axes=axes)
            case _:
                positions, gamma = corner_positions(shape, self.p, self.block_size)
                corners = Mask(key, number, gamma, positions, shared_axes=axes, scale=self.scale)
                scale = block_scale(covered(corners, self.block_size)) if self.scale else 1.0
                return DropBlockContext(corners, self.block_size, scale)

    def check(self, x: torch.Tensor) -> None:
        """An error for what `context`, or its methods, would refuse."""
        if self.kind in ("alpha", "gaussian"):
            if x.is_complex():
                raise TypeError(f"input is of {x.dtype}, but must be of real numbers")
            if self.kind == "gaussian" and self.p == 1:
                raise ValueError("p = 1, but Gaussian noise of that variance does not exist")
        elif self.kind == "block":
            corner_positions(x.shape, self.p, self.block_size)

    def with_batch_axis(self, *, is_shared: bool) -> Transform:
        """The same for arrays with one more axis, in front, along which decisions may be shared."""
        axes = tuple(axis + 1 for axis in self.shared_axes)
        return self._replace(shared_axes=(0, *axes) if is_shared else axes)
