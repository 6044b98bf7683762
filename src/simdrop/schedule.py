"""p as a function of the training step, for `simdrop.nn.Dropout(p=schedule)` or any loop."""

from __future__ import annotations

import math

from simdrop._core.mask import probability
from simdrop._names import explained
from simdrop._values import Values


def check(name: str, p: float) -> None:
    """Refuse what is not a probability, in the words of the transforms."""
    try:
        probability(p)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


@explained
class Ramp(Values):
    """A schedule from `start` to `end` over `steps` steps, which stays there."""

    __slots__ = ("start", "end", "steps")
    start: float
    end: float
    steps: int

    def __init__(self, start: float, end: float, steps: int) -> None:
        check("start", start)
        check("end", end)
        if not 0 < steps < math.inf:
            raise ValueError(f"steps = {steps}, but must be positive and finite")
        super().__init__(start, end, steps)

    def progress(self, step: int) -> float:
        """From 0 at step 0 to 1 at the end."""
        return min(max(step / self.steps, 0.0), 1.0)


class linear(Ramp):
    """
    From `start` to `end` in a straight line over `steps` steps, then `end`.

    ``p(t) = start + (end - start) min(t / steps, 1)``

    Parameters
    ----------
    start, end : float
        Probabilities of dropping, in [0, 1], else ValueError.
    steps : int
        Above 0, else ValueError.

    Examples
    --------
    >>> p = simdrop.schedule.linear(0.0, 0.5, 1000)
    >>> p(0), p(500), p(2000)
    (0.0, 0.25, 0.5)
    """

    def __call__(self, step: int) -> float:
        """p at a step, counted from 0."""
        progress = self.progress(step)
        return (1 - progress) * self.start + progress * self.end


class cosine(Ramp):
    """
    From `start` to `end` along half a cosine over `steps` steps, then `end`.

    ``p(t) = end + (start - end) (1 + cos(pi min(t / steps, 1))) / 2``: flat at both ends
    (Loshchilov and Hutter 2017, "SGDR", equation 5, for the learning rate).

    Parameters
    ----------
    start, end : float
        Probabilities of dropping, in [0, 1], else ValueError.
    steps : int
        Above 0, else ValueError.

    Examples
    --------
    >>> p = simdrop.schedule.cosine(0.0, 0.5, 1000)
    >>> p(0), round(p(500), 3), p(2000)
    (0.0, 0.25, 0.5)
    """

    def __call__(self, step: int) -> float:
        """p at a step, counted from 0."""
        left = (1 + math.cos(math.pi * self.progress(step))) / 2
        return left * self.start + (1 - left) * self.end


@explained
class curriculum(Values):
    """
    Curriculum dropout: from no dropout towards `p_max`, ever more slowly.

    ``p(t) = p_max (1 - exp(-gamma t))`` (Morerio et al. 2017, "Curriculum dropout", whose formula
    is for the probability of keeping). The paper recommends gamma = 10 / number of steps.

    Parameters
    ----------
    p_max : float
        Limit of the probability of dropping, in [0, 1], else ValueError.
    gamma : float
        Above 0, else ValueError.

    Examples
    --------
    >>> p = simdrop.schedule.curriculum(0.5, gamma=10 / 1000)
    >>> p(0), round(p(100), 3), round(p(1000), 3)
    (0.0, 0.316, 0.5)
    """

    __slots__ = ("p_max", "gamma")
    p_max: float
    gamma: float

    def __init__(self, p_max: float, gamma: float) -> None:
        check("p_max", p_max)
        if not 0 < gamma < math.inf:
            raise ValueError(f"gamma = {gamma}, but must be positive and finite")
        super().__init__(p_max, gamma)

    def __call__(self, step: int) -> float:
        """p at a step, counted from 0."""
        return -self.p_max * math.expm1(-self.gamma * max(step, 0))
