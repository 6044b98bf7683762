# cython: language_level=3, binding=True, freethreading_compatible=True
"""A bit generator for NumPy's Generator, on keystream of its own plane."""

import operator

import numpy as np

from simdrop import _pickle, _seeding
from simdrop._core.stream import Stream, next_draws

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from numpy.random cimport BitGenerator as NumpyBitGenerator

from simdrop cimport (
    SIMDROP_BLOCK_BYTES,
    SIMDROP_DRAWS,
    SIMDROP_KEY_BYTES,
    SIMDROP_STREAM_VERSION,
    simdrop_rule,
)
from simdrop._core.kernels cimport expand_key, kernels

cdef enum:
    PLANE = 18  # docs/reference/stream.md; the planes before it decide masks and give normal numbers
    BLOCKS = 256  # drawn at a time
    BLOCK_WORDS = 2
    WORDS = BLOCKS * BLOCK_WORDS

# A draw has so many words.
DRAW_WORDS = 2**65


cdef extern from *:
    """
    #include <stdint.h>

    /* A word of keystream, which is little-endian. */
    static inline uint64_t word_of(uint64_t bytes) {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        return __builtin_bswap64(bytes);
    #else
        return bytes;
    #endif
    }
    """
    uint64_t word_of(uint64_t bytes) noexcept nogil


cdef struct State:
    simdrop_rule rule
    uint64_t block  # the first one that was not drawn
    uint64_t[WORDS] words
    size_t next  # of the words
    bint has_half  # of a word, which the next 32 bits are
    uint32_t half


cdef uint64_t next_uint64(void *memory) noexcept nogil:
    cdef State *state = <State *>memory
    if state.next == WORDS:
        kernels.keystream(&state.rule, PLANE, state.block, BLOCKS, <uint8_t *>state.words)
        state.block += BLOCKS
        state.next = 0
    state.next += 1
    return word_of(state.words[state.next - 1])


cdef uint32_t next_uint32(void *memory) noexcept nogil:
    """The lower half of a word, then the upper one."""
    cdef State *state = <State *>memory
    cdef uint64_t word
    if state.has_half:
        state.has_half = False
        return state.half
    word = next_uint64(memory)
    state.has_half = True
    state.half = word >> 32
    return <uint32_t>word


cdef double next_double(void *memory) noexcept nogil:
    """The upper 53 bits of a word, in [0, 1)."""
    return <double>(next_uint64(memory) >> 11) * (1.0 / 9007199254740992.0)


cdef class BitGenerator(NumpyBitGenerator):
    """
    NumPy's random numbers from AES keystream: ``np.random.Generator(simdrop.BitGenerator(seed))``.

    Parameters
    ----------
    seed : None, int, sequence of ints, SeedSequence or Stream, optional
        As of NumPy's bit generators; a Stream gives its next draw. None is ``Stream()``.

    Attributes
    ----------
    key, draw : bytes, int
        Of the keystream.
    state : dict
        Of numbers and strings, as JSON has them; it can be set.
    lock, seed_seq, capsule, ctypes, cffi
        As of all bit generators of NumPy.

    Raises
    ------
    TypeError, ValueError
        If the seed is none.

    See Also
    --------
    numpy.random.Generator

    Notes
    -----
    The same seed gives the same words on every machine. Word w, of 64 bits, is keystream bytes 8 w to 8 w + 7 of plane 18,
    little-endian, so that masks with the same key and draw are independent of it. A draw has 2**65
    words.

    Examples
    --------
    >>> rng = np.random.Generator(simdrop.BitGenerator(0))
    >>> rng.integers(100, size=5)
    array([ 7, 30, 18, 45, 93])
    """

    cdef State words

    def __init__(self, seed=None):
        cdef bytes key = None
        cdef uint64_t draw = 0
        if seed is None:
            seed = Stream()
        if isinstance(seed, Stream):
            address, = next_draws(seed, 1)
            key, draw = address.key, address.draw
            # For `spawn`.
            seed = np.random.SeedSequence([*np.frombuffer(key, "<u4").tolist(), draw])
        NumpyBitGenerator.__init__(self, seed)
        if key is None:
            key = _seeding.key_from_sequence(self._seed_seq)
        self.start(key, draw, 0)
        self._bitgen.state = <void *>&self.words
        self._bitgen.next_uint64 = next_uint64
        self._bitgen.next_uint32 = next_uint32
        self._bitgen.next_double = next_double
        self._bitgen.next_raw = next_uint64

    cdef int start(self, bytes key, uint64_t draw, object word) except -1:
        """Go to a word of a draw."""
        cdef uint64_t block = word // BLOCK_WORDS
        cdef size_t skipped = word % BLOCK_WORDS
        memset(&self.words, 0, sizeof(State))
        expand_key(key, self.words.rule.round_keys)
        self.words.rule.draw = draw
        self.words.block = block
        self.words.next = WORDS
        while skipped != 0:
            next_uint64(&self.words)
            skipped -= 1
        return 0

    cdef object word(self):
        """The number of the next word."""
        return ((<object>self.words.block) * BLOCK_WORDS - (WORDS - self.words.next)) % DRAW_WORDS

    @property
    def key(self):
        """The 16 bytes of the key."""
        return <bytes>(<const char *>self.words.rule.round_keys)[:SIMDROP_KEY_BYTES]

    @property
    def draw(self):
        """The number of the draw."""
        return self.words.rule.draw

    @property
    def state(self):
        """Where the generator is: key, draw, number of the next word, and half a word that is left."""
        with self.lock:
            return {
                "bit_generator": type(self).__name__,
                "state": {
                    "stream": SIMDROP_STREAM_VERSION,
                    "key": self.key.hex(),
                    "draw": self.draw,
                    "word": self.word(),
                },
                "has_uint32": int(self.words.has_half),
                "uinteger": self.words.half if self.words.has_half else 0,
            }

    @state.setter
    def state(self, state):
        key, draw, word, has_half, half = checked_state(state, type(self).__name__)
        with self.lock:
            self.start(key, draw, word)
            self.words.has_half, self.words.half = has_half, half

    def advance(self, delta):
        """
        Move on as if so many words had been drawn; half a word that is left is forgotten.

        Parameters
        ----------
        delta : int
            May be negative; only its remainder modulo 2**65 counts.

        Returns
        -------
        BitGenerator
            The generator itself.
        """
        delta = operator.index(delta)
        with self.lock:
            self.start(self.key, self.draw, (self.word() + delta) % DRAW_WORDS)
        return self

    def jumped(self, jumps=1):
        """
        A new generator that is so many draws ahead, each of 2**65 words.

        Parameters
        ----------
        jumps : int, optional
            Only its remainder modulo 2**56 counts, which is how many draws a key has.

        Returns
        -------
        BitGenerator
        """
        state = self.state
        state["state"]["draw"] = (state["state"]["draw"] + operator.index(jumps)) % SIMDROP_DRAWS
        state["has_uint32"] = state["uinteger"] = 0
        other = type(self)(0)
        other.state = state
        return other

    def __repr__(self):
        place = self.state["state"]
        return f"{type(self).__name__}(key={place['key']}, draw={place['draw']}, word={place['word']})"

    def __reduce__(self):
        return _pickle.restore_bit_generator, (self.state, self._seed_seq)


def restored(state, seed_seq):
    """A generator from what it was pickled as."""
    other = BitGenerator(seed_seq)
    other.state = state
    return other


def checked_state(state, name):
    """Key, draw, word, whether half a word is left, and that half; or an error that says what is wrong."""
    if not isinstance(state, dict):
        raise TypeError(f"a bit generator's state is a dict, not {type(state).__name__}")
    if state.get("bit_generator") != name:
        raise ValueError(f"the state is not of a {name}, but of {state.get('bit_generator')!r}")
    wanted = {"bit_generator", "state", "has_uint32", "uinteger"}
    if set(state) != wanted or not isinstance(state["state"], dict):
        raise ValueError(f"a {name}'s state has {sorted(wanted)}, not {sorted(map(str, state))}")
    place = dict(state["state"])
    word = place.pop("word", None)
    key, draw, _ = _seeding.checked_state({**place, "spawned": 0}, SIMDROP_STREAM_VERSION, SIMDROP_DRAWS - 1)
    for what, number, most in (
        ("word", word, DRAW_WORDS - 1), ("has_uint32", state["has_uint32"], 1), ("uinteger", state["uinteger"], 2**32 - 1)
    ):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise TypeError(f"{what} must be an int, not {number!r}")
        if not 0 <= number <= most:
            raise ValueError(f"{what} = {number}, but must be in [0, {most}]")
    return key, draw, int(word), int(state["has_uint32"]), int(state["uinteger"])
