# cython: language_level=3
"""The kernels of `noise.pyx`, and what runs them."""

from simdrop._core.mask cimport Mask


cdef enum Kernel:
    MULTIPLY
    ADD
    SHIFT
    NORMALS  # which read no x


cdef run(int kernel, Mask mask, x, out, double first, double second, double third)
