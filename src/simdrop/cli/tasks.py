"""What a net learns: classes or numbers; how its errors are measured and written."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .tables import percent

Errors = TypeVar("Errors", float, NDArray[np.float64])


@dataclass(frozen=True)
class Task:
    """A kind of learning.

    Attributes
    ----------
    name : str
        As `--task` spells it.
    loss : str
        Of `nn.MLP`.
    error : str
        What tables call the error: a fraction of the examples, or a root mean square.
    axis, loss_axis : str
        What pictures call the error and the loss.
    """

    name: str
    loss: str
    error: str
    axis: str
    loss_axis: str

    def spelled(self, error: float | None) -> str:
        """An error as tables show it; "-" for None."""
        if error is None or self is CLASSIFICATION:
            return percent(error)
        return f"{error:.4g}"

    def shown(self, error: Errors) -> Errors:
        """Errors in the unit of `axis`."""
        return 100 * error if self is CLASSIFICATION else error


CLASSIFICATION = Task(
    "classification",
    "cross_entropy",
    "error",
    "misclassified examples (%)",
    "cross entropy (nats per example)",
)
REGRESSION = Task(
    "regression",
    "squared_error",
    "RMSE",
    "root-mean-square error, in the target's unit",
    "half the squared error of the scaled target",
)
TASKS = {task.name: task for task in (CLASSIFICATION, REGRESSION)}
