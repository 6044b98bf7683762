"""Dropout for NumPy arrays that costs no more than a multiplication, the same on every machine."""

from simdrop.config import show_config
from simdrop.mask import Mask, PackedMask, apply_packed
from simdrop.stream import Stream
from simdrop.threads import get_num_threads, set_num_threads
from simdrop.transforms import dropout, dropout_backward

__version__ = "0.1.0"

__all__ = [
    "Mask",
    "PackedMask",
    "Stream",
    "apply_packed",
    "dropout",
    "dropout_backward",
    "get_num_threads",
    "set_num_threads",
    "show_config",
]
