# cython: language_level=3, boundscheck=False, wraparound=False
"""Dropout in a Cython loop: the masked array is never in memory as a whole."""

import numpy as np

from libc.stdint cimport uint64_t

from simdrop cimport SIMDROP_F64, simdrop_apply, simdrop_expand_key, simdrop_rule, simdrop_set_p


def dropped_sums(const double[:, ::1] x, mask):
    """``mask.apply(x).sum(axis=1)`` for a `simdrop.Mask` without shared axes, a row at a time."""
    if mask.shape != (x.shape[0], x.shape[1]) or mask.shared_axes:
        raise ValueError(f"the mask has shape {mask.shape}, but must have {x.shape[0], x.shape[1]}")
    cdef simdrop_rule rule
    rule.draw = mask.draw
    simdrop_expand_key(mask.key, rule.round_keys)
    simdrop_set_p(&rule, mask.p)
    cdef double scale = mask.scale
    cdef size_t columns = x.shape[1]
    cdef Py_ssize_t row, column
    cdef double[::1] y = np.empty(columns), sums = np.zeros(x.shape[0])
    if columns:
        with nogil:
            for row in range(x.shape[0]):
                simdrop_apply(SIMDROP_F64, &rule, <uint64_t>row * columns, columns, &x[row, 0], &y[0], scale)
                for column in range(<Py_ssize_t>columns):
                    sums[row] += y[column]
    return np.asarray(sums)
