"""What only type checkers read: the dtype that a result shares with an argument."""

from typing import TypeVar

import numpy as np

Scalar = TypeVar("Scalar", bound=np.generic)
