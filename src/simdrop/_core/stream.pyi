from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from simdrop._core.draw import Draw
from simdrop._core.mask import Mask

Seed: TypeAlias = (
    int
    | np.integer[Any]
    | Sequence[int]
    | Sequence[Sequence[int]]
    | NDArray[np.integer[Any]]
    | np.random.SeedSequence
    | None
)
Rng: TypeAlias = (
    Seed | np.random.BitGenerator | np.random.Generator | np.random.RandomState | "Stream"
)

class State(TypedDict):
    stream: int
    key: str
    draw: int
    spawned: int

class Stream:
    def __init__(self, rng: Rng = None) -> None: ...
    @property
    def key(self) -> bytes: ...
    @property
    def draw(self) -> int: ...
    @property
    def state(self) -> State: ...
    @state.setter
    def state(self, state: State) -> None: ...
    def mask(
        self,
        shape: int | Sequence[int],
        p: float | NDArray[Any] = 0.5,
        *,
        shared_axes: int | Sequence[int] = (),
        scale: bool = True,
    ) -> Mask: ...
    def spawn(self, n: int) -> list[Stream]: ...

def seed(seed: Seed = None, /) -> None: ...
def next_mask(
    rng: Rng,
    p: float | NDArray[Any],
    shape: Sequence[int],
    *,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    scale: bool = True,
    array_p: bool = False,
) -> Mask: ...
def next_draws(rng: Rng, n: int) -> list[Draw]: ...
def stream_at(draw: Draw) -> Stream: ...
