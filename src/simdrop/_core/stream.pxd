# cython: language_level=3
"""What transforms need of Stream."""

from libc.stdint cimport uint8_t, uint64_t

from simdrop cimport SIMDROP_SCHEDULE_BYTES
from simdrop._core.draw cimport Draw
from simdrop._core.mask cimport Mask


cdef class Stream:
    cdef uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]
    cdef uint64_t next_draw
    cdef uint64_t spawned
    cdef uint64_t forks  # of this process's ancestry, when the key was set

    cdef int set_state(self, bytes key, uint64_t draw, uint64_t spawned) except -1
    cdef int leave_parent(self) except -1
    cdef tuple numbers(self)
    cdef int take(self, Draw draw) except -1


cdef Stream stream_of(rng)
cdef int next_draw(Draw draw, rng, bint training, shape, shared_axes) except -1
cdef Mask next_mask_of(rng, p, shape, shared_axes, bint training, bint scale)
