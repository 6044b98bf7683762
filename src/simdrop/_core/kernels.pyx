# cython: language_level=3, binding=True, freethreading_compatible=True
"""The C library, which no other extension is linked with: its kernels and the instruction set they are for."""

import operator
import os

import numpy as np

cimport numpy as cnp
from libc.stdint cimport uint8_t, uint64_t

from simdrop cimport (
    SIMDROP_BLOCK_BYTES,
    SIMDROP_STREAM_VERSION,
    simdrop_compiler,
    simdrop_expand_key,
    simdrop_isa_available,
    simdrop_isa_choose,
    simdrop_isa_name,
    simdrop_rule,
    simdrop_set_p,
)
from simdrop._core.args cimport checked_draw, checked_key

cnp.import_array()

STREAM_VERSION = SIMDROP_STREAM_VERSION
COMPILER = simdrop_compiler().decode()


cdef void expand_key(const uint8_t *key, uint8_t *round_keys) noexcept:
    """The AES-128 key schedule."""
    simdrop_expand_key(key, round_keys)


cdef void set_p(simdrop_rule *rule, double p) noexcept:
    """Set the probability that a rule drops with."""
    simdrop_set_p(rule, p)


def keystream(key, draw, plane, first_block, n_blocks):
    """
    AES-128 counter keystream of stream version 1, from the kernel of the instruction set in use.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        In [0, 2**56).
    plane : int
        In [0, 256).
    first_block, n_blocks : int
        Which blocks of 16 bytes; all are numbered below 2**64.

    Returns
    -------
    ndarray of uint8
        ``16 * n_blocks`` bytes.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    cdef simdrop_rule rule
    cdef bytes key_bytes = checked_key(key)
    rule.draw = checked_draw(draw)
    first, count, number = operator.index(first_block), operator.index(n_blocks), operator.index(plane)
    if not 0 <= number < 256:
        raise ValueError(f"plane = {plane}, but planes are numbered from 0 to 255")
    if not 0 <= first < 2**64:
        raise ValueError(f"first_block = {first_block}, but blocks are numbered from 0 to 2**64 - 1")
    if not 0 <= count <= min(2**64 - first, (2**63 - 1) // SIMDROP_BLOCK_BYTES):
        raise ValueError(f"n_blocks = {n_blocks}, but there must be from 0 to 2**59 - 1, the last one below 2**64")
    cdef uint64_t plane_number = number, block = first
    cdef size_t blocks = count
    stream = np.empty(count * SIMDROP_BLOCK_BYTES, np.uint8)
    simdrop_expand_key(key_bytes, rule.round_keys)
    kernels.keystream(&rule, plane_number, block, blocks, <uint8_t *>cnp.PyArray_DATA(stream))
    return stream


def instruction_sets():
    """The names of the instruction sets that this build has and this CPU can run, best first."""
    names = []
    while simdrop_isa_available(len(names)) is not NULL:
        names.append(simdrop_isa_available(len(names)).decode())
    return tuple(names)


def instruction_set():
    """The name of the instruction set in use."""
    return simdrop_isa_name().decode()


def use_instruction_set(name):
    """
    Use the kernels of one instruction set; None: the best. Results do not depend on it. Not while others compute.

    Raises
    ------
    ValueError
        If it is unknown or this CPU cannot run it.
    """
    global kernels
    # Compared here, because a string of C ends at its first NUL.
    if name is not None and name not in instruction_sets():
        raise ValueError(
            f"instruction set {name!r} is not available; this CPU and build have "
            + ", ".join(instruction_sets())
        )
    cdef bytes encoded = b"" if name is None else name.encode()
    simdrop_isa_choose(NULL if name is None else <const char *>encoded)
    kernels = simdrop_chosen_kernels()


try:
    use_instruction_set(os.environ.get("SIMDROP_ISA") or None)
except ValueError as error:
    raise ValueError(f"SIMDROP_ISA: {error}") from None
