from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from simdrop._core.stream import Stream

from ._transforms import Context, Transform

Record = Callable[[torch.Tensor, Context, bool], torch.Tensor]

def is_plain(x: Any) -> bool: ...
def is_plain_gradient(dy: Any) -> bool: ...
def array(x: torch.Tensor) -> NDArray[Any]: ...
def tensor(x: NDArray[Any]) -> torch.Tensor: ...
def next_address(stream: Stream | torch.Generator | None) -> tuple[bytes, int]: ...
def forward(
    transform: Transform,
    x: torch.Tensor,
    training: bool,
    in_place: bool,
    stream: Any,
    record: Record,
) -> torch.Tensor | None: ...
def applied(context: Context, x: torch.Tensor) -> torch.Tensor: ...
def gradient(context: Context, dy: torch.Tensor) -> torch.Tensor | None: ...
