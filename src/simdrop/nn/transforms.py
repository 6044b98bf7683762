"""The other transforms of the library as layers, named after what they drop or add."""

from __future__ import annotations

from collections.abc import Sequence

import simdrop as sd
from simdrop._names import explained
from simdrop.structured import kept_probability

from .arguments import Probability, check_p
from .dropout import Dropping
from .parameter import Array
from .transform import Transform


@explained
class DropPath(Dropping):
    """Whole samples are dropped with probability p, as `simdrop.drop_path`; `inverted` as in
    `Dropout`."""

    def __init__(
        self, p: Probability, stream: sd.Stream | None = None, *, inverted: bool = True
    ) -> None:
        super().__init__(sd.drop_path, p, stream=stream, inverted=inverted)


@explained
class DropBlock(Dropping):
    """Square blocks of (..., H, W) are dropped, as `simdrop.drop_block`; arguments as there.

    With ``inverted=False`` eval multiplies each element by the probability that no block covers it,
    which is rather more than 1 - p, and larger near the border. With ``inverted=True`` training
    keeps the mean of all elements, as the paper does it, and not that of each.
    """

    def __init__(
        self,
        p: Probability,
        block_size: int,
        stream: sd.Stream | None = None,
        *,
        shared_axes: int | Sequence[int] = (),
        inverted: bool = True,
    ) -> None:
        options = {"shared_axes": shared_axes} if shared_axes != () else {}
        super().__init__(sd.drop_block, p, block_size, stream=stream, inverted=inverted, **options)

    def _kept(self, p: float, shape: tuple[int, ...]) -> Array:
        return kept_probability(p, self.arguments[0], shape)


@explained
class LockedDropout(Dropping):
    """The same elements are dropped at all time steps, as `simdrop.locked_dropout`; `inverted` as
    in `Dropout`."""

    def __init__(
        self,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        time_axis: int = 0,
        inverted: bool = True,
    ) -> None:
        super().__init__(
            sd.locked_dropout, p, stream=stream, inverted=inverted, time_axis=time_axis
        )


@explained
class AlphaDropout(Transform):
    """Elements of a SELU net are set to SELU's negative limit, as `simdrop.alpha_dropout`."""

    def __init__(
        self,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        shared_axes: int | Sequence[int] = (),
    ) -> None:
        check_p(p)
        options = {"shared_axes": shared_axes} if shared_axes != () else {}
        super().__init__(sd.alpha_dropout, p, stream=stream, **options)


@explained
class GaussianDropout(Transform):
    """Elements are multiplied by N(1, p / (1 - p)), p < 1, as `simdrop.gaussian_dropout`."""

    def __init__(self, p: Probability, stream: sd.Stream | None = None) -> None:
        check_p(p)
        if p == 1:
            raise ValueError("p = 1, but the variance p / (1 - p) of Gaussian dropout is finite")
        super().__init__(sd.gaussian_dropout, p, stream=stream)


@explained
class GaussianNoise(Transform):
    """N(0, std**2) is added, as `simdrop.gaussian_noise`; std may be a schedule, too."""

    def __init__(self, std: Probability, stream: sd.Stream | None = None) -> None:
        if not callable(std) and not 0 <= std < float("inf"):
            raise ValueError(f"std = {std}, but a standard deviation is finite and not negative")
        super().__init__(sd.gaussian_noise, std, stream=stream)
