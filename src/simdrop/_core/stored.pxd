# cython: language_level=3
"""What the other extensions need of StoredMask."""


cdef class StoredMask:
    cdef object bits  # uint8, contiguous
    cdef readonly tuple shape
    cdef readonly Py_ssize_t size
    cdef readonly double p
    cdef readonly double scale
    cdef readonly bint scaled

    cdef int set_bits(self, bits, p, shape, bint scale) except -1
