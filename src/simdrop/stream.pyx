# cython: language_level=3, binding=True, embedsignature=True, embedsignature.format=python, freethreading_compatible=True
"""Stream: a key and the number of the next draw, from which masks are taken."""

import operator
import os

from simdrop import seeding
from simdrop.mask import keystream

from libc.stdint cimport uint8_t, uint64_t

from simdrop.mask cimport SIMDROP_DRAWS, SIMDROP_KEY_BYTES, SIMDROP_STREAM_VERSION, Mask, checked_p, expand_key, new_mask

cdef extern from * nogil:
    """
    /* Threads that share a Stream never get the same number, with or without the GIL. */
    static uint64_t advance(uint64_t *next, uint64_t n) { return __atomic_fetch_add(next, n, __ATOMIC_RELAXED); }
    static uint64_t look_at(uint64_t *next) { return __atomic_load_n(next, __ATOMIC_RELAXED); }
    static void set_to(uint64_t *next, uint64_t n) { __atomic_store_n(next, n, __ATOMIC_RELAXED); }
    """
    uint64_t advance(uint64_t *next, uint64_t n)
    uint64_t look_at(uint64_t *next)
    void set_to(uint64_t *next, uint64_t n)

cdef enum:
    SPAWN_PLANE = 255


cdef class Stream:
    """
    A source of masks: a key, and the number of the next draw. Every mask takes one draw, and no two share one.

    Parameters
    ----------
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        None takes a key from the operating system; an int, a sequence of ints or a SeedSequence seeds it, with the same
        masks every time; a Generator (or BitGenerator) gives 128 bits and moves on; a Stream spawns a child.

    Raises
    ------
    TypeError
        If `rng` is none of these.
    ValueError
        If a seed is negative.

    Notes
    -----
    A Stream may be used from many threads at once. It pickles and copies; a copy repeats the draws of the original, so
    give workers `spawn`ed streams. Stream version 1: see the documentation of the stream for its definition.

    Examples
    --------
    >>> simdrop.Stream(0).mask(8, p=0.5).keep()
    array([False,  True,  True, False, False, False,  True,  True])
    """

    def __init__(self, rng=None):
        self.set_key((<Stream>rng).spawn(1)[0].key if isinstance(rng, Stream) else seeding.key_from(rng))

    cdef int set_key(self, bytes key) except -1:
        expand_key(key, self.round_keys)
        return 0

    @property
    def key(self):
        """The 16 bytes of the key."""
        return self.round_keys[:SIMDROP_KEY_BYTES]

    @property
    def draw(self):
        """The number of the next draw."""
        return look_at(&self.next_draw)

    def mask(self, shape, p=0.5, *, shared_axes=(), scale=True):
        """
        A mask from the next draw.

        Parameters
        ----------
        shape : int or tuple of ints
            Shape of the arrays that it will be applied to.
        p : float, optional
            Probability of dropping an element, in [0, 1].
        shared_axes : int or tuple of ints, optional
            Axes along which one decision is shared.
        scale : bool, optional
            Whether kept elements are multiplied by ``1 / (1 - p)``.

        Returns
        -------
        Mask

        Raises
        ------
        TypeError, ValueError
            As Mask; no draw is taken then.
        OverflowError
            If all 2**56 draws have been taken.
        """
        return self.take(p, shape, shared_axes, scale)

    cdef Mask take(self, p, shape, shared_axes, bint scale):
        cdef Mask mask = new_mask(self.round_keys, 0, p, shape, shared_axes, scale)
        cdef uint64_t draw = advance(&self.next_draw, 1)
        if draw >= SIMDROP_DRAWS:
            set_to(&self.next_draw, SIMDROP_DRAWS)
            raise OverflowError("all 2**56 draws of this stream have been taken; spawn another one")
        mask.rule.draw = draw
        return mask

    def spawn(self, n):
        """
        Independent streams, for workers, layers or ranks: the i-th child ever spawned always has the same key.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        list of Stream
        """
        count = operator.index(n)
        if count < 0:
            raise ValueError(f"n = {n}, but the number of streams must not be negative")
        if look_at(&self.spawned) + count > SIMDROP_DRAWS:
            raise OverflowError("a stream has at most 2**56 children")
        first = advance(&self.spawned, count)
        return [stream_from_key(keystream(self.key, i, SPAWN_PLANE, 0, 1).tobytes()) for i in range(first, first + count)]

    @property
    def state(self):
        """
        All of the stream as a dict that JSON can hold: a checkpoint. Set it to go back to it.

        ``{"stream": 1, "key": 32 hexadecimal digits, "draw": next draw, "spawned": children so far}``
        """
        return {"stream": SIMDROP_STREAM_VERSION, "key": self.key.hex(), "draw": self.draw, "spawned": look_at(&self.spawned)}

    @state.setter
    def state(self, state):
        key, draw, spawned = seeding.checked_state(state, SIMDROP_STREAM_VERSION, SIMDROP_DRAWS)
        self.set_key(key)
        set_to(&self.next_draw, draw)
        set_to(&self.spawned, spawned)

    def __reduce__(self):
        return restore_stream, (self.state,)

    def __repr__(self):
        return f"Stream(key={self.key.hex()}, draw={self.draw}, spawned={look_at(&self.spawned)})"


cdef Stream stream_from_key(bytes key):
    cdef Stream stream = Stream.__new__(Stream)
    stream.set_key(key)
    return stream


def restore_stream(state):
    """A Stream from the state that it was pickled as."""
    cdef Stream stream = Stream.__new__(Stream)
    stream.state = state
    return stream


cdef Stream process_stream


def seed_process_stream():
    """Give this process's own stream a fresh key; a forked child calls it, since it inherits its parent's."""
    global process_stream
    process_stream = Stream()


seed_process_stream()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=seed_process_stream)


cdef Stream stream_of(rng):
    """The stream that a function's `rng` argument means."""
    if rng is None:
        return process_stream
    if isinstance(rng, Stream):
        return <Stream>rng
    return Stream(rng)
