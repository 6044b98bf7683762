"""Rows and columns of weight matrices that dropout keeps: gathering them, and updating them alone.

With one mask for the whole batch, the products of a net need the kept weights alone (Graham,
Reizenstein and Robinson 2015, "Efficient batchwise dropout training using submatrices");
`simdrop.nn` builds on these functions. Matrices are float32 or float64, C-contiguous; vectors are
matrices of one row. Results depend neither on the number of threads nor on the instruction set.
"""

from simdrop._core.submatrix import Kept, adam, gather, sgd

__all__ = ["Kept", "adam", "gather", "sgd"]
