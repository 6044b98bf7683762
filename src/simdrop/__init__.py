"""Dropout for NumPy arrays that costs no more than a multiplication, the same on every machine."""

from simdrop import schedule, theory
from simdrop.config import show_config
from simdrop.connect import drop_connect, drop_connect_matmul
from simdrop.mask import Mask
from simdrop.noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    alpha_dropout,
    gaussian_dropout,
    gaussian_noise,
)
from simdrop.packed import PackedMask, apply_packed
from simdrop.recurrent import locked_dropout, zoneout
from simdrop.stream import Stream
from simdrop.structured import drop_block, drop_path, embedding_dropout
from simdrop.threads import get_num_threads, set_num_threads
from simdrop.transforms import dropout, dropout_backward

__version__ = "0.1.0"

__all__ = [
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Mask",
    "PackedMask",
    "Stream",
    "alpha_dropout",
    "apply_packed",
    "drop_block",
    "drop_connect",
    "drop_connect_matmul",
    "drop_path",
    "dropout",
    "dropout_backward",
    "embedding_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "get_num_threads",
    "locked_dropout",
    "schedule",
    "set_num_threads",
    "show_config",
    "theory",
    "zoneout",
]
