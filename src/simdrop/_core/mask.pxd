# cython: language_level=3
"""What the other extensions need of Mask."""

from simdrop._core.draw cimport Draw
from simdrop._core.stored cimport StoredMask


cdef class Mask(Draw):
    cdef double probability  # p, or the largest of an array
    cdef double factor  # what kept elements are multiplied by, where p is one number
    cdef object p_array  # float64, read-only, or None
    cdef object factor_array  # of the type that was last multiplied, or None
    cdef readonly bint scaled
    cdef bint direct  # kernels draw it: one p

    cdef int set_form(self, p, shape, shared_axes, bint scale) except -1
    cdef int set_probability(self, double probability) except -1
    cdef int keep_all(self) except -1
    cdef factors_as(self, dtype)
    cdef pack(self, tuple shape)


cdef inline bint is_mask(object) noexcept:
    """Whether it has the methods of a mask."""
    return isinstance(object, (Mask, StoredMask))


cdef Mask new_mask(p, shape, shared_axes, bint scale)
