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

static inline counters counters_after(counters ctr) {
    return _mm512_add_epi64(ctr, _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4));
}

static inline bytes64 encrypt(cipher keys, counters ctr) {
    __m512i state = _mm512_xor_si512(ctr, keys.round_key[0]);
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

static inline bytes64 load_bytes(const uint8_t *bytes) { return _mm512_loadu_si512(bytes); }

static inline void store_bytes(uint8_t *out, bytes64 keystream) { _mm512_storeu_si512(out, keystream); }

static inline void store_bools(uint8_t *out, uint64_t keep) {
    _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(_cvtu64_mask64(keep), 1));
}

#define HAS_LOAD_BOOLS

/* The lowest bits of 64 bytes. */
static inline uint64_t load_bools(const uint8_t *bools) {
    return _cvtmask64_u64(_mm512_test_epi8_mask(_mm512_loadu_si512(bools), _mm512_set1_epi8(1)));
}

#define HAS_STORE_INDICES

/* The positions of the set bits among eight, counted from `first`; writes eight, returns how many are set. */
static inline int store_indices(intptr_t *out, intptr_t first, uint8_t bits) {
    const __m512i numbers = _mm512_add_epi64(_mm512_set1_epi64(first), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi64(bits, numbers));
    return _mm_popcnt_u32(bits);
}

/* Exchange rows and columns of 64 words of 64 bits: the first `columns` of them. */
static inline void transpose_bits(uint64_t word[64], size_t columns) {
    const __m512i pairs = _mm512_broadcast_i32x4(_mm_set_epi8(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0));
    const __m512i fours = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19, 11, 3,
                                           26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
    __m512i row[8], half[8], quarter[8];
    for (int i = 0; i < 8; i++) { /* the first bytes of eight words, then their second ones, ... */
        row[i] = _mm512_permutexvar_epi16(fours, _mm512_shuffle_epi8(_mm512_loadu_si512(word + 8 * i), pairs));
    }
    for (int i = 0; i < 8; i += 2) { /* of sixteen words */
        half[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
        half[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) { /* of thirty-two */
        for (int j = 0; j < 2; j++) {
            quarter[i + j] = _mm512_shuffle_i64x2(half[i + j], half[i + 2 + j], 0x88);
            quarter[i + 2 + j] = _mm512_shuffle_i64x2(half[i + j], half[i + 2 + j], 0xdd);
        }
    }
    __m512i bytes[8]; /* of all */
    for (int i = 0; i < 4; i++) {
        bytes[i] = _mm512_shuffle_i64x2(quarter[i], quarter[i + 4], 0x88);
        bytes[i + 4] = _mm512_shuffle_i64x2(quarter[i], quarter[i + 4], 0xdd);
    }
    for (size_t i = 0; 8 * i < columns; i++) {
        for (int bit = 7; bit >= 0; bit--) {
            word[8 * i + (size_t)bit] = _cvtmask64_u64(_mm512_movepi8_mask(bytes[i]));
            bytes[i] = _mm512_add_epi8(bytes[i], bytes[i]);
        }
    }
}

/* Tiles: y = x * scale, or x, where the bit is set, else 0. */

static inline void tile_f32(uint64_t keep, const float *x, float *y, float scale) {
    const __m512 scales = _mm512_set1_ps(scale);
    for (int i = 0; i < 64; i += 16) {
        _mm512_storeu_ps(y + i, _mm512_maskz_mul_ps((__mmask16)(keep >> i), _mm512_loadu_ps(x + i), scales));
    }
}

static inline void tile_f64(uint64_t keep, const double *x, double *y, double scale) {
    const __m512d scales = _mm512_set1_pd(scale);
    for (int i = 0; i < 64; i += 8) {
        _mm512_storeu_pd(y + i, _mm512_maskz_mul_pd((__mmask8)(keep >> i), _mm512_loadu_pd(x + i), scales));
    }
}

static inline void tile_f16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    const __m512 scales = _mm512_set1_ps(scale);
    for (int i = 0; i < 64; i += 16) {
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(x + i))), scales);
        const __m256i rounded = _mm512_cvtps_ph(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_maskz_mov_epi16((__mmask16)(keep >> i), rounded));
    }
}

static inline void tile_bf16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    const __m512 scales = _mm512_set1_ps(scale);
    for (int i = 0; i < 64; i += 16) {
        const __m512i widened = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(x + i)));
        const __m512 scaled = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(widened, 16)), scales);
        const __m512i bits = _mm512_castps_si512(scaled), high = _mm512_srli_epi32(bits, 16);
        /* Round to nearest, ties to even; a NaN keeps its sign and no more. */
        const __m512i half = _mm512_add_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
        const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
        const __m512i nan =
            _mm512_or_si512(_mm512_and_si512(high, _mm512_set1_epi32(0x8000)), _mm512_set1_epi32(0x7fc0));
        const __mmask16 is_nan = _mm512_cmp_ps_mask(scaled, scaled, _CMP_UNORD_Q);
        const __m256i narrowed = _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, is_nan, nan));
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_maskz_mov_epi16((__mmask16)(keep >> i), narrowed));
    }
}

static inline void tile_u8(uint64_t keep, const uint8_t *x, uint8_t *y) {
    _mm512_storeu_si512(y, _mm512_maskz_loadu_epi8(_cvtu64_mask64(keep), x));
}

static inline void tile_u16(uint64_t keep, const uint16_t *x, uint16_t *y) {
    for (int i = 0; i < 64; i += 32) {
        _mm512_storeu_si512(y + i, _mm512_maskz_loadu_epi16((__mmask32)(keep >> i), x + i));
    }
}

static inline void tile_u32(uint64_t keep, const uint32_t *x, uint32_t *y) {
    for (int i = 0; i < 64; i += 16) {
        _mm512_storeu_si512(y + i, _mm512_maskz_loadu_epi32((__mmask16)(keep >> i), x + i));
    }
}

static inline void tile_u64(uint64_t keep, const uint64_t *x, uint64_t *y) {
    for (int i = 0; i < 64; i += 8) {
        _mm512_storeu_si512(y + i, _mm512_maskz_loadu_epi64((__mmask8)(keep >> i), x + i));
    }
}

/* The elements of a tile whose bits are set, contiguously; returns how many. Writes whole vectors, up to a tile. */

#define HAS_COMPRESS

static inline size_t compress_f32(uint64_t keep, const float *x, float *compressed) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 16) {
        const __mmask16 lanes = (__mmask16)(keep >> i);
        _mm512_storeu_ps(compressed + count, _mm512_maskz_compress_ps(lanes, _mm512_loadu_ps(x + i)));
        count += (size_t)_mm_popcnt_u32(lanes);
    }
    return count;
}

static inline size_t compress_f64(uint64_t keep, const double *x, double *compressed) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 8) {
        const __mmask8 lanes = (__mmask8)(keep >> i);
        _mm512_storeu_pd(compressed + count, _mm512_maskz_compress_pd(lanes, _mm512_loadu_pd(x + i)));
        count += (size_t)_mm_popcnt_u32(lanes);
    }
    return count;
}

/* The inverse, with zero where a bit is not set. */

static inline size_t expand_f32(uint64_t keep, const float *compressed, float *y) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 16) {
        const __mmask16 lanes = (__mmask16)(keep >> i);
        _mm512_storeu_ps(y + i, _mm512_maskz_expand_ps(lanes, _mm512_loadu_ps(compressed + count)));
        count += (size_t)_mm_popcnt_u32(lanes);
    }
    return count;
}

static inline size_t expand_f64(uint64_t keep, const double *compressed, double *y) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 8) {
        const __mmask8 lanes = (__mmask8)(keep >> i);
        _mm512_storeu_pd(y + i, _mm512_maskz_expand_pd(lanes, _mm512_loadu_pd(compressed + count)));
        count += (size_t)_mm_popcnt_u32(lanes);
    }
    return count;
}

/* Stores the elements whose bits are set, and the others of y as they were. */

static inline void store_kept_f32(uint64_t keep, const float *x, float *y) {
    for (int i = 0; i < 64; i += 16) {
        _mm512_mask_storeu_ps(y + i, (__mmask16)(keep >> i), _mm512_loadu_ps(x + i));
    }
}

static inline void store_kept_f64(uint64_t keep, const double *x, double *y) {
    for (int i = 0; i < 64; i += 8) {
        _mm512_mask_storeu_pd(y + i, (__mmask8)(keep >> i), _mm512_loadu_pd(x + i));
    }
}

/* Normal numbers: normals.h says what each step is. */

#define HAS_NORMALS

typedef __m512 least_word; /* of those so far, as floats without their signs */

static inline least_word no_word(void) { return _mm512_set1_ps(0x1p31f); }

static inline least_word normals_of(bytes64 keystream, const float (*columns)[NORMAL_PIECES], float *z,
                                    least_word least) {
    const __m512 f = _mm512_cvtepi32_ps(_mm512_or_si512(keystream, _mm512_set1_epi32(1)));
    const __m512i digits = _mm512_castps_si512(f), piece = _mm512_srli_epi32(digits, 23);
    const __m512i scaled =
        _mm512_or_si512(_mm512_and_si512(digits, _mm512_set1_epi32(0x7fffff)), _mm512_set1_epi32(0x3f800000));
    const __m512 t = _mm512_sub_ps(_mm512_castsi512_ps(scaled), _mm512_set1_ps(1.5f));
    __m512 y = _mm512_setzero_ps();
    for (int k = NORMAL_DEGREE; k >= 0; k--) {
        const __m512 c = _mm512_permutexvar_ps(piece, _mm512_load_ps(columns[k]));
        y = k == NORMAL_DEGREE ? c : _mm512_fmadd_ps(y, t, c);
    }
    const __m512i sign = _mm512_and_si512(digits, _mm512_set1_epi32(INT32_MIN));
    _mm512_storeu_ps(z, _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(y), sign)));
    return _mm512_range_ps(least, f, 0xa); /* the smaller absolute value */
}

static inline int is_tiny(least_word least) {
    return _mm512_cmp_ps_mask(least, _mm512_set1_ps(0x1p16f), _CMP_LT_OQ) != 0;
}

/* Whole lines past the caches, to an address that is aligned to one. */
static inline void stream_lines(void *y, const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        _mm512_stream_si512((__m512i *)((char *)y + i), _mm512_loadu_si512((const char *)from + i));
    }
}

static inline void finish_streams(void) { _mm_sfence(); }
