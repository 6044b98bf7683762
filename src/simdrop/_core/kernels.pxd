# cython: language_level=3
"""The C library, for the other extensions."""

from libc.stdint cimport uint8_t

from simdrop._core.capi cimport simdrop_kernels, simdrop_rule


cdef const simdrop_kernels *kernels  # of the instruction set in use
cdef void expand_key(const uint8_t *key, uint8_t *round_keys) noexcept
cdef void set_p(simdrop_rule *rule, double p) noexcept
