/* Vector operations on AVX2 with VAES: two AES blocks a register. */
#include <immintrin.h>

#include "avx2.h"

typedef struct {
    __m256i round_key[11];
} cipher;

typedef struct {
    __m256i half[2]; /* of two blocks each */
} counters;

static inline cipher load_cipher(const uint8_t *round_keys) {
    cipher keys;
    for (int i = 0; i < 11; i++) {
        keys.round_key[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(round_keys + 16 * i)));
    }
    return keys;
}

static inline counters counters_at(const uint64_t block[4], uint64_t high) {
    return (counters){{
        _mm256_set_epi64x((int64_t)high, (int64_t)block[1], (int64_t)high, (int64_t)block[0]),
        _mm256_set_epi64x((int64_t)high, (int64_t)block[3], (int64_t)high, (int64_t)block[2]),
    }};
}

static inline counters counters_after(counters ctr) {
    const __m256i four = _mm256_set_epi64x(0, 4, 0, 4);
    return (counters){{_mm256_add_epi64(ctr.half[0], four), _mm256_add_epi64(ctr.half[1], four)}};
}

static inline bytes64 encrypt(cipher keys, counters ctr) {
    __m256i low = _mm256_xor_si256(ctr.half[0], keys.round_key[0]);
    __m256i high = _mm256_xor_si256(ctr.half[1], keys.round_key[0]);
    for (int i = 1; i < 10; i++) {
        low = _mm256_aesenc_epi128(low, keys.round_key[i]);
        high = _mm256_aesenc_epi128(high, keys.round_key[i]);
    }
    return (bytes64){
        {_mm256_aesenclast_epi128(low, keys.round_key[10]), _mm256_aesenclast_epi128(high, keys.round_key[10])}};
}
