"""Dropout in PyTorch, by simdrop and by PyTorch itself: alone, and in training steps of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import simdrop.torch as st

LR = 1e-3
P_MODEL = 0.1


class Alone:
    """Forward and backward of dropout on one tensor, with its gradient."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        self.module = module
        self.x, self.dy = torch.randn(shape).requires_grad_(), torch.randn(shape)

    def run(self) -> None:
        self.module(self.x).backward(self.dy)
        self.x.grad = None


class Model:
    """Training steps with AdamW."""

    def __init__(self, net: nn.Module, loss: Callable[[nn.Module], torch.Tensor]) -> None:
        self.net, self.loss = net.train(), loss
        self.optimizer = torch.optim.AdamW(net.parameters(), LR)

    def run(self) -> None:
        self.optimizer.zero_grad()
        self.loss(self.net).backward()
        self.optimizer.step()


def bert(attention: str, p: float) -> Model:
    """BERT of 4 layers, 256 wide, 4 heads, on 16 texts of 128 tokens."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=8192,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        hidden_dropout_prob=p,
        attention_probs_dropout_prob=p,
        attn_implementation=attention,
    )
    tokens = torch.randint(8192, (16, 128))
    return Model(BertForMaskedLM(config), lambda net: net(input_ids=tokens, labels=tokens).loss)


def wide(p: float) -> Model:
    """Layers of 4096 units, on 256 rows of few inputs: there is an activation for few products."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((64, 4096), (4096, 64), (64, 4096)):
        layers += [nn.Linear(n_in, n_out), nn.GELU(), nn.Dropout(p)]
    x = torch.randn(256, 64)
    labels = torch.randint(10, (256,))
    net = nn.Sequential(*layers, nn.Linear(4096, 10))
    return Model(net, lambda net: nn.functional.cross_entropy(net(x), labels))


def convolutional(p: float) -> Model:
    """Convolutions with channel dropout after each, on 32 images."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.Dropout2d(p)]
    images = torch.randn(32, 3, 32, 32)
    labels = torch.randint(10, (32,))
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return Model(net, lambda net: nn.functional.cross_entropy(net(images), labels))


MODELS: dict[str, Callable[[float], Model]] = {
    "BERT, sdpa": lambda p: bert("sdpa", p),
    "BERT, eager": lambda p: bert("eager", p),
    "wide": wide,
    "convolutional": convolutional,
}


def worker(work: str, shape: tuple[int, ...], contender: str) -> Any:
    """What runs one contender's forward and backward pass, or training step."""
    torch.manual_seed(0)
    if work in MODELS:
        model = MODELS[work](0.0 if contender == "torch_without" else P_MODEL)
        if contender == "simdrop":
            st.convert(model.net)
        return model
    return Alone((st if contender == "simdrop" else nn).Dropout(0.5), shape)


patched = st.patch()


def setting(contender: str) -> Callable[[], None]:
    """What makes PyTorch's operators simdrop's, or PyTorch's own, before a round."""

    def patch() -> None:
        if contender == "simdrop" and not st.patch.active:
            patched.__enter__()
        elif contender != "simdrop" and st.patch.active:
            patched.__exit__(None, None, None)

    return patch
