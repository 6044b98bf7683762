# cython: language_level=3
"""What the kernels of single elements have in common."""

from libc.stdint cimport uint64_t

from simdrop._core.draw cimport Draw
from simdrop._core.task cimport Task


cdef class Elements(Task):
    cdef Draw draw
    cdef int double  # 0: float32, 1: float64, as the tables of kernels are indexed
    cdef bint generates  # reads no x
    cdef size_t grain  # elements: threads' parts begin at its multiples, and each ascends; 0: anywhere, in any order
    cdef size_t size  # bytes of an element
    cdef const char *x  # or NULL
    cdef const char *other  # another input of x's shape, or NULL
    cdef char *y

    cdef int take(self, Draw draw, x, other, y) except -1
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil


cdef apply(Elements kernel, Draw draw, x, other, out)
cdef checked_out(out, x)
cdef copied(x, out)
cdef floats(x)
cdef floats_of(Draw draw, x)
