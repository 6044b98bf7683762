# cython: language_level=3, freethreading_compatible=True
"""NumPy's SeedSequence of one integer.

NumPy guarantees that its numbers never change. They are computed here because numpy.random takes longer to import than
all that simdrop needs, and can no longer be imported while the interpreter ends.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    WORDS = 4  # of the pool, and of the result


cdef struct Hash:
    uint32_t constant, multiplier


cdef uint32_t hashed(Hash *hash, uint32_t word) noexcept:
    word ^= hash.constant
    hash.constant *= hash.multiplier
    word *= hash.constant
    return word ^ word >> 16


cdef uint32_t mixed(uint32_t x, uint32_t y) noexcept:
    cdef uint32_t word = <uint32_t>0xCA01F9DD * x - <uint32_t>0x4973F715 * y
    return word ^ word >> 16


cdef uint32_t word_at(bytes seed, Py_ssize_t i) noexcept:
    cdef const uint8_t *part = <const uint8_t *>seed + 4 * i
    return part[0] | part[1] << 8 | part[2] << 16 | <uint32_t>part[3] << 24


def seed_bytes(seed):
    """``np.random.SeedSequence(seed).generate_state(4)`` as little-endian bytes, of an int that is not negative."""
    cdef Py_ssize_t i, j, count = max(WORDS, (seed.bit_length() + 31) // 32)
    cdef bytes entropy = seed.to_bytes(4 * count, "little")
    cdef Hash absorb = Hash(0x43B0D7E5, 0x931E8875), produce = Hash(0x8B51F9DD, 0x58F38DED)
    cdef uint32_t[WORDS] pool
    cdef uint32_t word
    cdef uint8_t[4 * WORDS] result
    for i in range(WORDS):
        pool[i] = hashed(&absorb, word_at(entropy, i))
    for i in range(WORDS):
        for j in range(WORDS):
            if i != j:
                pool[j] = mixed(pool[j], hashed(&absorb, pool[i]))
    for i in range(WORDS, count):
        for j in range(WORDS):
            pool[j] = mixed(pool[j], hashed(&absorb, word_at(entropy, i)))
    for i in range(WORDS):
        word = hashed(&produce, pool[i])
        for j in range(4):
            result[4 * i + j] = word >> 8 * j & 255
    return result[: 4 * WORDS]
