/* Vector operations on AVX2 with AES-NI: an AES block a register. */
#include <immintrin.h>

#include "avx2.h"

typedef struct {
    __m128i round_key[11];
} cipher;

typedef struct {
    __m128i block[4];
} counters;

static inline cipher load_cipher(const uint8_t *round_keys) {
    cipher keys;
    for (int i = 0; i < 11; i++) {
        keys.round_key[i] = _mm_loadu_si128((const __m128i *)(round_keys + 16 * i));
    }
    return keys;
}

static inline counters counters_at(const uint64_t block[4], uint64_t high) {
    counters ctr;
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = _mm_set_epi64x((int64_t)high, (int64_t)block[i]);
    }
    return ctr;
}

static inline counters counters_after(counters ctr) {
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = _mm_add_epi64(ctr.block[i], _mm_set_epi64x(0, 4));
    }
    return ctr;
}

static inline bytes64 encrypt(cipher keys, counters ctr) {
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = _mm_xor_si128(ctr.block[i], keys.round_key[0]);
    }
    for (int round = 1; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            ctr.block[i] = _mm_aesenc_si128(ctr.block[i], keys.round_key[round]);
        }
    }
    for (int i = 0; i < 4; i++) {
        ctr.block[i] = _mm_aesenclast_si128(ctr.block[i], keys.round_key[10]);
    }
    return (bytes64){{_mm256_set_m128i(ctr.block[1], ctr.block[0]), _mm256_set_m128i(ctr.block[3], ctr.block[2])}};
}
