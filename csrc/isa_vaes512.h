/* Vector operations on AVX-512 (F, DQ, BW, VL) with VAES: four AES blocks a register. */
#include <immintrin.h>

typedef struct {
    __m512i round_key[11];
} cipher;

typedef __m512i counters; /* of four blocks */
typedef __m512i bytes64;  /* their keystream */

static inline cipher load_cipher(const uint8_t *round_keys) {
    cipher keys;
    for (int i = 0; i < 11; i++) {
        keys.round_key[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(round_keys + 16 * i)));
    }
    return keys;
}

static inline counters counters_at(const uint64_t block[4], uint64_t high) {
    return _mm512_set_epi64((int64_t)high, (int64_t)block[3], (int64_t)high, (int64_t)block[2], (int64_t)high,
                            (int64_t)block[1], (int64_t)high, (int64_t)block[0]);
}

static inline counters counters_from(uint64_t block, uint64_t high) {
    return counters_at((const uint64_t[4]){block, block + 1, block + 2, block + 3}, high);
}

static inline counters counters_after(counters these) {
    return _mm512_add_epi64(these, _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4));
}

static inline bytes64 encrypt(cipher keys, counters these) {
    __m512i state = _mm512_xor_si512(these, keys.round_key[0]);
    for (int i = 1; i < 10; i++) {
        state = _mm512_aesenc_epi128(state, keys.round_key[i]);
    }
    return _mm512_aesenclast_epi128(state, keys.round_key[10]);
}

static inline uint64_t at_least(bytes64 keystream, uint8_t digit) {
    return _cvtmask64_u64(_mm512_cmpge_epu8_mask(keystream, _mm512_set1_epi8((char)digit)));
}

static inline uint64_t equal(bytes64 keystream, uint8_t digit) {
    return _cvtmask64_u64(_mm512_cmpeq_epu8_mask(keystream, _mm512_set1_epi8((char)digit)));
}

static inline void store_bytes(uint8_t *out, bytes64 keystream) { _mm512_storeu_si512(out, keystream); }

static inline void store_bools(uint8_t *out, uint64_t keep) {
    _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(_cvtu64_mask64(keep), 1));
}

enum { F32_LANES = 16, F64_LANES = 8 };
typedef __m512 f32s;
typedef __m512d f64s;

static inline f32s broadcast_f32(float value) { return _mm512_set1_ps(value); }
static inline f64s broadcast_f64(double value) { return _mm512_set1_pd(value); }

/* x * scale where the low bits of keep are set, else +0. */
static inline f32s keep_scaled_f32(const float *x, uint64_t keep, f32s scale) {
    return _mm512_maskz_mul_ps((__mmask16)keep, _mm512_loadu_ps(x), scale);
}

static inline f64s keep_scaled_f64(const double *x, uint64_t keep, f64s scale) {
    return _mm512_maskz_mul_pd((__mmask8)keep, _mm512_loadu_pd(x), scale);
}

static inline void store_f32(float *y, f32s values) { _mm512_storeu_ps(y, values); }
static inline void store_f64(double *y, f64s values) { _mm512_storeu_pd(y, values); }

/* Past the caches, to aligned addresses. */
static inline void stream_f32(float *y, f32s values) { _mm512_stream_ps(y, values); }
static inline void stream_f64(double *y, f64s values) { _mm512_stream_pd(y, values); }
static inline void finish_streams(void) { _mm_sfence(); }
