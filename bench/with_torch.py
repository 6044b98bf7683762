"""The PyTorch contenders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import dropout, embedding, linear, max_pool2d

from . import mc
from .arrays import Arrays
from .steps import LR, MOMENTUM, P_INPUT, SIZES, P, batch
from .structured import BLOCK, Operands, seed_probability

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def torch_names(arrays: Arrays, p: float) -> dict[str, Any]:
    """Tensors that share the memory of the arrays."""
    x = torch.from_numpy(arrays.x)
    leaf = torch.from_numpy(arrays.x).requires_grad_()
    return {
        "dropout": dropout,
        "grad": torch.autograd.grad,
        "x": x,
        "dy": torch.from_numpy(arrays.dy),
        "leaf": leaf,
        "y": dropout(leaf, p),
    }


class TorchTrainer:
    """The net of `steps.py` with dropout."""

    def __init__(self) -> None:
        x, y = batch()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        layers = [torch.nn.Dropout(P_INPUT)]
        for n_in, n_out in zip(SIZES[:-2], SIZES[1:-1], strict=True):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU(), torch.nn.Dropout(P)]
        self.net = torch.nn.Sequential(*layers, torch.nn.Linear(*SIZES[-2:]))
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), LR, momentum=MOMENTUM)

    def step(self) -> None:
        self.optimizer.zero_grad()
        loss = self.loss(self.net(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        loss.item()


class TorchTransform:
    """
    One structured transform as timm (drop.py) or awd-lstm-lm writes it, with autograd.

    PyTorch itself has no such functions.
    """

    def __init__(self, work: str, x: np.ndarray, p: float) -> None:
        self.work, self.p = work, p
        operands = Operands(work, x, p)
        self.more: list[torch.Tensor] = []  # other inputs that have gradients
        match work:
            case "zoneout":
                self.more = [torch.from_numpy(operands.previous).requires_grad_()]
            case "drop_connect_matmul":
                self.more = [torch.from_numpy(operands.weights).requires_grad_()]
            case "embedding_dropout":
                self.tokens = torch.from_numpy(operands.tokens)

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """The output and the gradients."""
        leaf, gradient = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
        if self.work == "embedding_dropout":
            gradient = gradient[self.tokens]
        y = getattr(self, self.work)(leaf, *self.more)
        return y, torch.autograd.grad(y, [leaf, *self.more], gradient)

    def scaled(self, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """A mask of factors, of the type of x: 0, or 1 / (1 - p)."""
        return x.new_empty(shape).bernoulli_(1 - self.p).div_(1 - self.p)

    def drop_path(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scaled(x, (len(x),) + (1,) * (x.ndim - 1))

    def locked_dropout(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scaled(x, (1, *x.shape[1:]))

    def drop_connect(self, x: torch.Tensor) -> torch.Tensor:
        return dropout(x, self.p)

    def drop_block(self, x: torch.Tensor) -> torch.Tensor:
        blocks = torch.empty_like(x).bernoulli_(seed_probability(self.p, *x.shape[-2:]))
        mask = 1 - max_pool2d(blocks, BLOCK, 1, BLOCK // 2)
        return x * mask * (mask.numel() / mask.sum())

    def drop_connect_matmul(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        masks = self.scaled(x, (len(x), *weights.shape))
        return torch.einsum("bi,bij->bj", x, masks * weights)

    def zoneout(self, x: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        return torch.where(torch.empty_like(x).bernoulli_(self.p) > 0, previous, x)

    def embedding_dropout(self, x: torch.Tensor) -> torch.Tensor:
        return embedding(self.tokens, x * self.scaled(x, (len(x), 1)))


class TorchPasses:
    """`mc.Ours` in PyTorch: passes in training mode, without gradients."""

    def __init__(self, work: str, shape: tuple[int, ...]) -> None:
        self.work, self.n = mc.WORKS[work], shape[0]
        self.x = torch.from_numpy(mc.rows(shape))
        values = [torch.from_numpy(p.value) for p in mc.net(work).parameters()]
        self.layers = [
            (w.T.contiguous(), b) for w, b in zip(values[::2], values[1::2], strict=True)
        ]

    def dropped(self, y: torch.Tensor, p: float) -> torch.Tensor:
        return (
            y * dropout(y.new_ones(1, y.shape[1]), p) if self.work.shared_masks else dropout(y, p)
        )

    def once(self) -> torch.Tensor:
        y = self.dropped(self.x, self.work.p_input) if self.work.p_input else self.x
        for weight, bias in self.layers[:-1]:
            y = self.dropped(torch.relu(linear(y, weight, bias)), mc.P)
        return torch.softmax(linear(y, *self.layers[-1]), 1)

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean and standard deviation over the passes."""
        with torch.inference_mode():
            samples = torch.stack([self.once() for _ in range(self.n)])
            return samples.mean(0), samples.std(0, correction=0)
