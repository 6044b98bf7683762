"""What the PyTorch lines need."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import dropout

from .arrays import Arrays

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def torch_names(arrays: Arrays, p: float) -> dict[str, Any]:
    """Tensors on the memory of the arrays."""
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
