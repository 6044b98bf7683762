"""Weight matrices of which dropout keeps some rows and columns: gather those, update them.

With a mask that a whole batch shares, the products of a net need the kept weights alone (Graham,
Reizenstein and Robinson 2015, "Efficient batchwise dropout training using submatrices");
`simdrop.nn` is made of these functions. Matrices are float32 or float64, C-contiguous; vectors are
matrices of one row. Results depend neither on the number of threads nor on the instruction set.
"""

from simdrop._core.submatrix import Kept, adam, gather, sgd

__all__ = ["Kept", "adam", "gather", "sgd"]
