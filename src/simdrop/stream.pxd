# cython: language_level=3
"""What transforms need of Stream."""

from libc.stdint cimport uint8_t, uint64_t

from simdrop.mask cimport SIMDROP_SCHEDULE_BYTES, Mask


cdef class Stream:
    cdef uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]
    cdef uint64_t next_draw
    cdef uint64_t spawned

    cdef int set_key(self, bytes key) except -1
    cdef Mask take(self, p, shape, shared_axes, bint scale)


cdef Stream stream_of(rng)
