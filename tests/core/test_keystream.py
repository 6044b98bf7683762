"""The keystream: published AES vectors, and the oracle at every block, draw, plane and length."""

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop._core.kernels import keystream

KEY = bytes.fromhex("be78f4b0e7d72cdb49ba712c1a64f4ab")
MAX_DRAW = 2**56 - 1

# FIPS-197, Appendices B and C.1; NIST SP 800-38A, F.1.1 (ECB) and F.5.1 (CTR: counter to output
# block).
SP800_38A_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
AES_VECTORS = [
    (SP800_38A_KEY, "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
    (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "69c4e0d86a7b0430d8cdb78070b4c55a",
    ),
    (SP800_38A_KEY, "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    (SP800_38A_KEY, "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    (SP800_38A_KEY, "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    (SP800_38A_KEY, "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "ec8cdf7398607cb0f2d21675ea9ea1e4"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00", "362b7c3c6773516318a077d7fc5073ae"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff01", "6a2cc3787889374fbeb4c81b17ba6c44"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff02", "e89c399ff0f198c6d40a31db156cabfe"),
]


@pytest.mark.parametrize(("key", "plaintext", "ciphertext"), AES_VECTORS)
def test_published_aes_vectors(instruction_set, key, plaintext, ciphertext):
    counter = bytes.fromhex(plaintext)
    block = int.from_bytes(counter[:8], "little")
    draw = int.from_bytes(counter[8:15], "little")
    plane = counter[15]
    # The vector comes out of every place in a run of blocks, so out of every lane and every tail.
    for place in range(40):
        for blocks in (place + 1, 40):
            stream = keystream(bytes.fromhex(key), draw, plane, block - place, blocks)
            assert stream[16 * place : 16 * place + 16].tobytes().hex() == ciphertext


def test_published_aes_vectors_by_the_oracle():
    for key, plaintext, ciphertext in AES_VECTORS:
        assert oracle.aes(bytes.fromhex(key), bytes.fromhex(plaintext)).hex() == ciphertext


def test_known_check(instruction_set):
    """The check printed in the definition of the stream."""
    stream = sd.Stream(0)
    assert stream.key.hex() == "be78f4b0e7d72cdb49ba712c1a64f4ab"
    assert keystream(KEY, 0, 0, 0, 1).tobytes().hex() == "3883cf555803f8abfbd5c4b4668bb194"
    tenth = sd.Mask(KEY, 0, 0.1, (64,)).keep()
    assert np.flatnonzero(~tenth).tolist() == [5, 31, 33, 45, 53, 57]
    three_tenths = stream.mask((64,), 0.3).keep()
    assert np.flatnonzero(~three_tenths).tolist() == [
        *(0, 5, 22, 30, 31, 33, 39, 41, 43, 44, 45, 49, 52, 53, 54, 57, 59, 63)
    ]


@pytest.mark.parametrize("draw", [0, 1, 255, 256, 2**32 - 1, 2**32, 2**55, MAX_DRAW])
@pytest.mark.parametrize(
    "first_block", [0, 1, 2**28 - 3, 2**32 - 3, 2**32, 2**60 - 40, 2**60 - 3, 2**63 - 3]
)
def test_keystream_is_the_oracles(instruction_set, draw, first_block):
    blocks = 40
    start, stop = 16 * first_block, 16 * (first_block + blocks)
    for plane in (0, 1, 7, 15, 16, 127, 128, 254, 255):
        expected = oracle.keystream(KEY, draw, plane, start, stop)
        np.testing.assert_array_equal(keystream(KEY, draw, plane, first_block, blocks), expected)


def test_keystream_of_every_plane(instruction_set):
    for plane in range(256):
        expected = oracle.keystream(KEY, 12345, plane, 16 * 77, 16 * 94)
        np.testing.assert_array_equal(keystream(KEY, 12345, plane, 77, 17), expected)


@pytest.mark.parametrize(
    "plane, first_block, n_blocks",
    [
        (0, 0, 2**60),
        (0, 0, 2**64),
        (0, 0, -1),
        (0, -1, 1),
        (0, 2**64, 0),
        (0, 2**64 - 1, 2),
        (0, 1, 2**64),
        (256, 0, 1),
        (-1, 0, 1),
    ],
)
def test_keystream_out_of_range(plane, first_block, n_blocks):
    """A length in bytes that wraps would be written past the end of its array."""
    with pytest.raises(ValueError, match="plane|first_block|n_blocks"):
        keystream(KEY, 0, plane, first_block, n_blocks)


def test_keystream_of_other_things_than_ints():
    for arguments in ((0.5, 0, 1), (0, 0.5, 1), (0, 0, 1.0), (None, 0, 1)):
        with pytest.raises(TypeError):
            keystream(KEY, 0, *arguments)
    assert len(keystream(KEY, 0, np.int64(0), np.uint64(2**64 - 1), np.int8(1))) == 16
    assert len(keystream(KEY, 0, 0, 0, 0)) == 0


def test_keystream_of_every_length(instruction_set):
    expected = oracle.keystream(KEY, 5, 3, 0, 16 * 1100)
    for blocks in (*range(140), 255, 256, 257, 1023, 1024, 1025):
        for first in (0, 1, 3, 50):
            stream = keystream(KEY, 5, 3, first, blocks)
            assert stream.dtype == np.uint8 and stream.shape == (16 * blocks,)
            np.testing.assert_array_equal(stream, expected[16 * first : 16 * (first + blocks)])


def test_keystream_of_many_keys(instruction_set):
    for seed in range(200):
        key = oracle.key_from_seed(seed)
        expected = oracle.keystream(key, seed, 0, 0, 160)
        np.testing.assert_array_equal(keystream(key, seed, 0, 0, 10), expected)


def test_no_block_is_ever_reused(instruction_set):
    """Bug elsewhere: the offset was undercounted, so two calls overlapped. Here every block of
    every draw is new."""
    streams = [keystream(KEY, draw, plane, 0, 4096) for draw in range(32) for plane in range(3)]
    blocks = np.concatenate(streams).reshape(-1, 2, 8).view("<u8")[..., 0]
    assert len(np.unique(blocks, axis=0)) == 32 * 3 * 4096
