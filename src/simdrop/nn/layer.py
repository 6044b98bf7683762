"""What all layers share. x and y are (batch, features); dy is d loss / d y, dx is d loss / d x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from simdrop._core.stream import Stream

from .arguments import in_evaluation
from .parameter import Array, Parameter
from .sampling import Draws
from .shard import Shard, unsharded


class Layer(ABC):
    """A function of an array and its derivative; a new layer defines `__call__` and `backward`.

    `__call__` keeps in `_saved` what `backward` needs; neither changes its argument. `backward`
    belongs to the most recent call, and raises RuntimeError before the first. So each place in a
    net needs a layer of its own.

    Attributes
    ----------
    training : bool
        Whether it computes as in training, or else as in evaluation.
    steps : int
        Updates of the net's parameters so far, as an optimizer counts them: the argument of
        schedules.
    stream : simdrop.Stream or None
        Only layers that drop or add noise have it: each call in training takes a draw.
    """

    training: bool = True
    steps: int = 0
    _saved: Any = None

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """y = f(x)."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """dx; on the way, the gradients of the layer's own parameters are written."""

    def write_gradients(self, dy: Array) -> None:
        """`backward` without dx: all that the first layer of a net needs."""
        self.backward(dy)

    def parameters(self) -> list[Parameter]:
        return []

    def streams(self) -> list[Stream]:
        """The streams from which the layer draws, without the process-wide one."""
        stream = getattr(self, "stream", None)
        return [] if stream is None else [stream]

    def advance(self) -> None:
        """Count one update of the net's parameters; `Network.train_step` does."""
        self.steps += 1

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, or with ``mode=False`` to evaluation; returns the layer."""
        self.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode; returns the layer."""
        return self.train(False)

    def describe(self) -> dict[str, Any]:
        """What the layer computes in evaluation, apart from parameter values, in JSON's types.

        A checkpoint fits nets whose layers have the same descriptions: class, activation and form
        of dropout, but not a p that only training uses. A layer with other arguments that change
        what it computes adds them.
        """
        return {"layer": type(self).__name__} | in_evaluation(self)

    @property
    def is_random(self) -> bool:
        """Whether a call in training takes a draw."""
        return hasattr(self, "stream")

    def parts(self, shared_masks: bool) -> list[Layer]:
        """Simpler layers that compute the same, one after the other, for Monte-Carlo dropout.

        With `shared_masks` their masks are the same for all rows; ValueError if that is impossible.
        """
        if shared_masks and self.is_random:
            raise ValueError(f"shared_masks=True, but rows cannot share the masks of {self!r}")
        return [self]

    def sample(self, x: Array, draws: Draws) -> Array:
        """y of several forward passes, (samples, batch, ...), for x (samples, batch, ...).

        A random layer computes as in training, with a draw for each pass and all rows of the batch
        at once; others compute as in evaluation. The layer itself is left as it is.
        """
        return draws.outputs(self, x)

    def on_shard(self, x: Array, shard: Shard) -> Array:
        """y for x that has only these rows of a batch: those of the call on the whole batch.

        In training a random layer takes the draw that the call takes, also for no rows. The default
        is the call, which is right for layers that compute each row by itself; ValueError, and no
        draw, for a random one that does not define this method.
        """
        if self.training and self.is_random:
            raise unsharded(self)
        return self(x)

    def __init_subclass__(cls) -> None:
        """A class with another `__call__` than its base inherits no `parts`, `sample` or `on_shard`
        from it."""
        super().__init_subclass__()

        def depth(name: str) -> int:
            return next(i for i, base in enumerate(cls.__mro__) if name in vars(base))

        for method in (Layer.parts, Layer.sample, Layer.on_shard):
            if depth("__call__") < depth(method.__name__):
                setattr(cls, method.__name__, method)

    def _from_forward(self) -> Any:
        if self._saved is None:
            raise RuntimeError(f"{self!r}: backward(dy) needs the layer called on an x before")
        return self._saved

    def __getstate__(self) -> dict[str, Any]:
        """Without what `backward` needs: a copy or pickle holds the layer, not its last batch."""
        return {name: value for name, value in self.__dict__.items() if name != "_saved"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._shown())})"

    def _shown(self) -> list[str]:
        """The arguments in `repr`."""
        return []
