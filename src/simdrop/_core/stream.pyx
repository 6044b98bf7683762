# cython: language_level=3, binding=True, freethreading_compatible=True
"""Stream: a key and the number of the next draw, from which masks are taken."""

import operator
import os
from inspect import signature

from simdrop import _pickle, _seeding
from simdrop._core import signatures
from simdrop._core.kernels import keystream
from simdrop._core.named import explained

cimport cython
cimport numpy as cnp
from libc.stdint cimport UINT64_MAX, uint8_t, uint64_t
from libc.string cimport memcpy

from simdrop cimport SIMDROP_DRAWS, SIMDROP_KEY_BYTES, SIMDROP_SCHEDULE_BYTES, SIMDROP_STREAM_VERSION
from simdrop._core.args cimport checked_p
from simdrop._core.draw cimport Draw, checked_axes, checked_shape
from simdrop._core.kernels cimport expand_key
from simdrop._core.mask cimport Mask, new_mask

cnp.import_array()

# How many forks made this process: a Stream that was made before the last of them came from the parent.
cdef uint64_t forks = 0

cdef enum:
    SPAWN_PLANE = 255  # block 0; other blocks are for forked children

arguments = signatures.arguments("Stream", "rng=None")


cdef class Stream:
    """
    A source of masks: a key, and the number of the next draw. Every mask takes one draw, and no two share one.

    Parameters
    ----------
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator, RandomState or Stream, optional
        An int, a sequence of ints (nested ones, too) or a SeedSequence seeds it, with the same masks every time; a
        Generator, BitGenerator or RandomState gives 128 bits and moves on; a Stream spawns a child; None is a child of
        the process-wide stream (see `seed`).

    Raises
    ------
    TypeError
        If `rng` is none of these.
    ValueError
        If a seed is negative.

    Notes
    -----
    A Stream may be used from many threads at once: no two get the same draw, and setting `state` is one step.

    It pickles and copies; a copy repeats the draws of the original, so give workers streams made by `spawn`. What
    multiprocessing sends to workers is pickled: a copy that you made.

    A forked child inherits its parent's streams. Before it first uses one, that becomes a new stream, with a key from
    the old one and the operating system's entropy, so that no two processes draw the same masks. To have the same masks
    in each run, send each worker the `state` of a stream of its own, and set it there.

    Stream version 1: see the documentation of the stream for its definition.

    Examples
    --------
    >>> simdrop.Stream(0).mask(8, p=0.5).keep()
    array([False,  True,  True, False, False, False,  True,  True])
    """

    __signature__ = signature(arguments)

    def __cinit__(self):
        self.forks = UINT64_MAX  # not initialised: `leave_parent` says so

    def __init__(self, *args, **named):
        rng, = arguments(*args, **named)
        if rng is None:
            rng = process_stream
        key = (<Stream>rng).spawn(1)[0].key if isinstance(rng, Stream) else _seeding.key_from(rng)
        self.set_state(key, 0, 0)

    cdef int set_state(self, bytes key, uint64_t draw, uint64_t spawned) except -1:
        """All of a stream in one step, for other threads too: with the GIL no Python code runs in it."""
        cdef uint8_t[SIMDROP_SCHEDULE_BYTES] round_keys
        expand_key(key, round_keys)
        with cython.critical_section(self):
            memcpy(self.round_keys, round_keys, SIMDROP_SCHEDULE_BYTES)
            self.next_draw = draw
            self.spawned = spawned
            self.forks = forks
        return 0

    cdef int leave_parent(self) except -1:
        """In a forked child: a key that neither its parent nor its siblings have. TypeError without a key."""
        cdef uint64_t seen
        cdef bytes key, child
        while True:
            with cython.critical_section(self):
                seen = self.forks
                key = self.round_keys[:SIMDROP_KEY_BYTES]
            if seen == forks:
                return 0
            if seen == UINT64_MAX:
                raise TypeError(f"this {type(self).__name__} was never initialised")
            child = _seeding.forked_key(key)
            with cython.critical_section(self):
                if self.forks == seen:  # else another thread was first
                    expand_key(child, self.round_keys)
                    self.next_draw = self.spawned = 0
                    self.forks = forks

    cdef tuple numbers(self):
        """Key, next draw and children so far, all of one moment."""
        if self.forks != forks:
            self.leave_parent()
        with cython.critical_section(self):
            return self.round_keys[:SIMDROP_KEY_BYTES], self.next_draw, self.spawned

    @property
    def key(self):
        """The 16 bytes of the key."""
        return self.numbers()[0]

    @property
    def draw(self):
        """The number of the next draw."""
        return self.numbers()[1]

    def mask(self, shape, p=0.5, *, shared_axes=(), scale=True):
        """
        A mask from the next draw.

        Parameters
        ----------
        shape : int or tuple of ints
            Shape of the arrays that it will be applied to.
        p : float or ndarray, optional
            Probability of dropping an element, in [0, 1]; an array gives samples or units their own (see Mask).
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
        cdef Mask mask = new_mask(p, shape, shared_axes, scale)
        self.take(mask)
        return mask

    cdef int take(self, Draw draw) except -1:
        """
        Give a draw this stream's key and next number: the one way to get them.

        The last thing that can fail before a kernel runs: all arguments are checked by then, which may run Python code.
        """
        cdef uint64_t number
        if self.forks != forks:
            self.leave_parent()
        with cython.critical_section(self):
            number = self.next_draw
            if number < SIMDROP_DRAWS:
                self.next_draw += 1
            memcpy(draw.rule.round_keys, self.round_keys, SIMDROP_SCHEDULE_BYTES)
        if number >= SIMDROP_DRAWS:
            raise OverflowError("all 2**56 draws of this stream have been taken; spawn another one")
        draw.rule.draw = number
        return 0

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
        if self.forks != forks:
            self.leave_parent()
        cdef uint64_t first, children = min(count, SIMDROP_DRAWS + 1)
        cdef bytes key
        with cython.critical_section(self):
            first = self.spawned
            if first + children <= SIMDROP_DRAWS:
                self.spawned += children
            key = self.round_keys[:SIMDROP_KEY_BYTES]
        if first + children > SIMDROP_DRAWS:
            raise OverflowError("a stream has at most 2**56 children")
        return [stream_from(keystream(key, i, SPAWN_PLANE, 0, 1).tobytes()) for i in range(first, first + count)]

    @property
    def state(self):
        """
        All of the stream as a dict that JSON can hold: a checkpoint. Set it to go back to it.

        ``{"stream": 1, "key": 32 hexadecimal digits, "draw": next draw, "spawned": children so far}``
        """
        key, draw, spawned = self.numbers()
        return {"stream": SIMDROP_STREAM_VERSION, "key": key.hex(), "draw": draw, "spawned": spawned}

    @state.setter
    def state(self, state):
        key, draw, spawned = _seeding.checked_state(state, SIMDROP_STREAM_VERSION, SIMDROP_DRAWS)
        self.set_state(key, draw, spawned)

    def __reduce__(self):
        return _pickle.restore_stream, (self.state,)

    def __repr__(self):
        key, draw, spawned = self.numbers()
        return f"Stream(key={key.hex()}, draw={draw}, spawned={spawned})"

    def _repr_html_(self):
        from simdrop import _html  # in a notebook alone

        return _html.of_stream(self)


explained(Stream.mask)
_pickle.classes["Stream"] = Stream


cdef Stream stream_from(bytes key):
    cdef Stream stream = Stream.__new__(Stream)
    stream.set_state(key, 0, 0)
    return stream


def note_fork():
    """In a forked child: from now on the streams that were there are the parent's."""
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=note_fork)

cdef Stream process_stream = stream_from(_seeding.key_from_system())


def seed(seed=None, /):
    """
    Seed the process-wide stream, from which everything draws that is given no `rng`, or None.

    For scripts whose every run shall be the same: call it once, at the beginning. In a library, and wherever you can,
    pass `rng` instead, which no other code can change.

    Parameters
    ----------
    seed : None, int, sequence of ints or SeedSequence, optional
        What `Stream` takes as a seed; None seeds it by the operating system again, as it is at first.

    Raises
    ------
    TypeError
        If `seed` is none of these: Generators and Streams are for the `rng` of functions.
    ValueError
        If it is negative.

    Notes
    -----
    The stream begins anew, whatever has been drawn from it. It decides the masks of functions, ``Stream()``, the
    weights and masks of layers and nets of `simdrop.nn` and the bits of ``BitGenerator()``, if these are made without a
    seed after the call. It changes nothing that was made before; nor the weights and masks of the estimators of
    `simdrop.sklearn` (`random_state`) or the layers for PyTorch and JAX, which follow the rules of those libraries.

    The order of the draws decides who gets which: threads that draw at the same time get the same set of masks in each
    run, but not each the same ones.

    A forked child draws from a new stream, with entropy of the operating system, as Python's `random` does: otherwise
    it would repeat its parent's masks. Workers that shall have the same masks in each run call this themselves, with a
    seed of their own, such as ``simdrop.seed([seed, number])``.

    Examples
    --------
    >>> simdrop.seed(0)
    >>> simdrop.dropout(np.ones(8))[0]
    array([0., 2., 2., 0., 0., 0., 2., 2.])
    """
    process_stream.set_state(_seeding.key_from_system() if seed is None else _seeding.key_from_a_seed(seed), 0, 0)


cdef Stream stream_of(rng):
    """The stream that a function's `rng` argument means."""
    if rng is None:
        return process_stream
    if isinstance(rng, Stream):
        return <Stream>rng
    return stream_from(_seeding.key_from(rng))


cdef int next_draw(Draw draw, rng, bint training, shape, shared_axes) except -1:
    """Set the shape of a new draw, and, in training, make it the next one of the stream that `rng` means."""
    cdef Py_ssize_t size
    cdef tuple lengths = checked_shape(shape, &size)
    draw.set_shape(lengths, checked_axes(shared_axes, lengths), size)
    if training:
        stream_of(rng).take(draw)
    return 0


cdef Mask next_mask_of(rng, p, shape, shared_axes, bint training, bint scale):
    """The next mask of the stream that `rng` means; in evaluation one that keeps everything, and no draw is taken."""
    cdef Mask mask = new_mask(p, shape, shared_axes, scale)
    if training:
        stream_of(rng).take(mask)
    else:
        mask.keep_all()
    return mask


def next_mask(rng, p, shape, *, shared_axes=(), training=True, scale=True, array_p=False):
    """
    The next mask of the stream that `rng` means; in evaluation one that keeps everything, and no draw is taken.

    `array_p` says whether p may be an array.
    """
    return next_mask_of(rng, p if array_p else checked_p(p), shape, shared_axes, training, scale)


def next_draws(rng, n):
    """The next n draws of the stream that `rng` means, of a single decision each."""
    cdef Stream stream = stream_of(rng)
    cdef Draw draw
    draws = []
    for _ in range(n):
        draw = Draw.__new__(Draw)
        draw.set_shape((), (), 1)
        stream.take(draw)
        draws.append(draw)
    return draws


def stream_at(Draw draw not None):
    """A stream whose next draw has the key and the number of this one."""
    cdef Stream stream = Stream.__new__(Stream)
    stream.set_state(draw.key, draw.draw, 0)
    return stream
