/* What aesni.h and vaes256.h share: everything after the cipher, on AVX2. */
#include "../tables/positions.h"

#include <string.h>

typedef struct {
    __m256i half[2];
} bytes64;

static inline uint64_t movemask_epi8(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline uint64_t equal(bytes64 keystream, uint8_t digit) {
    const __m256i digits = _mm256_set1_epi8((char)digit);
    return movemask_epi8(_mm256_cmpeq_epi8(keystream.half[0], digits), _mm256_cmpeq_epi8(keystream.half[1], digits));
}

static inline __m256i at_least_epu8(__m256i a, __m256i b) { return _mm256_cmpeq_epi8(_mm256_max_epu8(a, b), a); }

static inline uint64_t at_least(bytes64 keystream, uint8_t digit) {
    const __m256i digits = _mm256_set1_epi8((char)digit);
    return movemask_epi8(at_least_epu8(keystream.half[0], digits), at_least_epu8(keystream.half[1], digits));
}

static inline bytes64 load_bytes(const uint8_t *bytes) {
    return (bytes64){{_mm256_loadu_si256((const __m256i *)bytes), _mm256_loadu_si256((const __m256i *)(bytes + 32))}};
}

static inline void store_bytes(uint8_t *out, bytes64 keystream) {
    _mm256_storeu_si256((__m256i *)out, keystream.half[0]);
    _mm256_storeu_si256((__m256i *)(out + 32), keystream.half[1]);
}

/* The bits of `keep` as bytes of 0 or -1. */
static inline __m256i spread_bits_epi8(uint32_t keep) {
    const __m256i byte_of_lane = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_lane = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)keep), byte_of_lane);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of_lane), bit_of_lane);
}

static inline __m256i spread_bits_epi16(uint16_t keep) {
    const __m256i bit_of_lane =
        _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
    return _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16((short)keep), bit_of_lane), bit_of_lane);
}

/* The bits of `keep` in the lanes' sign bits, where a masked load looks. */
static inline __m256i spread_signs_epi32(uint64_t keep) {
    return _mm256_sllv_epi32(_mm256_set1_epi32((int)keep), _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
}

static inline __m256i spread_signs_epi64(uint64_t keep) {
    return _mm256_sllv_epi64(_mm256_set1_epi64x((int64_t)keep), _mm256_setr_epi64x(63, 62, 61, 60));
}

static inline void store_bools(uint8_t *out, uint64_t keep) {
    for (int i = 0; i < 64; i += 32) {
        const __m256i ones = _mm256_and_si256(spread_bits_epi8((uint32_t)(keep >> i)), _mm256_set1_epi8(1));
        _mm256_storeu_si256((__m256i *)(out + i), ones);
    }
}

#define HAS_LOAD_BOOLS

/* The lowest bits of 64 bytes. */
static inline uint64_t load_bools(const uint8_t *bools) {
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 32) {
        const __m256i lowest = _mm256_slli_epi16(_mm256_loadu_si256((const __m256i *)(bools + i)), 7);
        bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(lowest) << i;
    }
    return bits;
}

#define HAS_STORE_INDICES

/* The positions of the set bits among eight, counted from `first`; writes eight, returns how many are set. */
static inline int store_indices(intptr_t *out, intptr_t first, uint8_t bits) {
    const uint64_t bytes = _pdep_u64(bits, 0x0101010101010101) * 0xff;
    const __m128i numbers = _mm_cvtsi64_si128((int64_t)_pext_u64(0x0706050403020100, bytes));
    const __m256i firsts = _mm256_set1_epi64x(first);
    _mm256_storeu_si256((__m256i *)out, _mm256_add_epi64(_mm256_cvtepu8_epi64(numbers), firsts));
    _mm256_storeu_si256((__m256i *)(out + 4),
                        _mm256_add_epi64(_mm256_cvtepu8_epi64(_mm_srli_si128(numbers, 4)), firsts));
    return _mm_popcnt_u32(bits);
}

/* Of words a and those `width` further, two quarters of each block of 2 width rows and columns. */
static inline void exchange_quarters(__m256i *a, __m256i *b, int width, uint64_t mask) {
    const __m256i different = _mm256_xor_si256(_mm256_srli_epi64(*a, width), *b);
    const __m256i exchanged = _mm256_and_si256(different, _mm256_set1_epi64x((int64_t)mask));
    *a = _mm256_xor_si256(*a, _mm256_slli_epi64(exchanged, width));
    *b = _mm256_xor_si256(*b, exchanged);
}

/* Exchange rows and columns of four words in each of four vectors. */
static inline void transpose_words(__m256i v[4]) {
    const __m256i even_01 = _mm256_unpacklo_epi64(v[0], v[1]), odd_01 = _mm256_unpackhi_epi64(v[0], v[1]);
    const __m256i even_23 = _mm256_unpacklo_epi64(v[2], v[3]), odd_23 = _mm256_unpackhi_epi64(v[2], v[3]);
    v[0] = _mm256_permute2x128_si256(even_01, even_23, 0x20);
    v[1] = _mm256_permute2x128_si256(odd_01, odd_23, 0x20);
    v[2] = _mm256_permute2x128_si256(even_01, even_23, 0x31);
    v[3] = _mm256_permute2x128_si256(odd_01, odd_23, 0x31);
}

/* Exchange rows and columns of 64 words of 64 bits: at least the first `columns` of them (Warren, Hacker's Delight,
   section 7-3). */
static inline void transpose_bits(uint64_t word[64], size_t columns) {
    __m256i v[16]; /* of words 0 to 3, 4 to 7, ... */
    (void)columns;
    for (int i = 0; i < 16; i++) {
        v[i] = _mm256_loadu_si256((const __m256i *)(word + 4 * i));
    }
    for (int i = 0; i < 8; i++) {
        exchange_quarters(&v[i], &v[i + 8], 32, 0x00000000ffffffff);
    }
    for (int i = 0; i < 4; i++) {
        exchange_quarters(&v[i], &v[i + 4], 16, 0x0000ffff0000ffff);
        exchange_quarters(&v[i + 8], &v[i + 12], 16, 0x0000ffff0000ffff);
    }
    for (int i = 0; i < 16; i += 4) {
        exchange_quarters(&v[i], &v[i + 2], 8, 0x00ff00ff00ff00ff);
        exchange_quarters(&v[i + 1], &v[i + 3], 8, 0x00ff00ff00ff00ff);
        exchange_quarters(&v[i], &v[i + 1], 4, 0x0f0f0f0f0f0f0f0f);
        exchange_quarters(&v[i + 2], &v[i + 3], 4, 0x0f0f0f0f0f0f0f0f);
        transpose_words(v + i);
        exchange_quarters(&v[i], &v[i + 2], 2, 0x3333333333333333);
        exchange_quarters(&v[i + 1], &v[i + 3], 2, 0x3333333333333333);
        exchange_quarters(&v[i], &v[i + 1], 1, 0x5555555555555555);
        exchange_quarters(&v[i + 2], &v[i + 3], 1, 0x5555555555555555);
        transpose_words(v + i);
        for (int j = i; j < i + 4; j++) {
            _mm256_storeu_si256((__m256i *)(word + 4 * j), v[j]);
        }
    }
}

/* Tiles: y = x * scale, or x, where the bit is set, else 0. */

static inline void tile_f32(uint64_t keep, const float *x, float *y, float scale) {
    const __m256 scales = _mm256_set1_ps(scale);
    for (int i = 0; i < 64; i += 8) {
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_maskload_ps(x + i, spread_signs_epi32(keep >> i)), scales));
    }
}

static inline void tile_f64(uint64_t keep, const double *x, double *y, double scale) {
    const __m256d scales = _mm256_set1_pd(scale);
    for (int i = 0; i < 64; i += 4) {
        _mm256_storeu_pd(y + i, _mm256_mul_pd(_mm256_maskload_pd(x + i, spread_signs_epi64(keep >> i)), scales));
    }
}

static inline void tile_f16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    const __m256 scales = _mm256_set1_ps(scale);
    enum { rounding = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
    for (int i = 0; i < 64; i += 16) {
        const __m256i halves = _mm256_loadu_si256((const __m256i *)(x + i));
        const __m256 low = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), scales);
        const __m256 high = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)), scales);
        const __m256i rounded = _mm256_set_m128i(_mm256_cvtps_ph(high, rounding), _mm256_cvtps_ph(low, rounding));
        const __m256i kept = _mm256_and_si256(rounded, spread_bits_epi16((uint16_t)(keep >> i)));
        _mm256_storeu_si256((__m256i *)(y + i), kept);
    }
}

/* As bfloat16 in the low halves of the lanes: to nearest, ties to even; a NaN keeps its sign and no more. */
static inline __m256i round_to_bf16(__m256 scaled) {
    const __m256i bits = _mm256_castps_si256(scaled), high = _mm256_srli_epi32(bits, 16);
    const __m256i half = _mm256_add_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    const __m256i nan = _mm256_or_si256(_mm256_and_si256(high, _mm256_set1_epi32(0x8000)), _mm256_set1_epi32(0x7fc0));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(scaled, scaled, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, nan, is_nan);
}

static inline void tile_bf16(uint64_t keep, const uint16_t *x, uint16_t *y, float scale) {
    const __m256 scales = _mm256_set1_ps(scale);
    for (int i = 0; i < 64; i += 16) {
        /* Unpacking to the high halves of the lanes widens; packing the low halves puts the order back. */
        const __m256i halves = _mm256_loadu_si256((const __m256i *)(x + i)), zero = _mm256_setzero_si256();
        const __m256 low = _mm256_castsi256_ps(_mm256_unpacklo_epi16(zero, halves));
        const __m256 high = _mm256_castsi256_ps(_mm256_unpackhi_epi16(zero, halves));
        const __m256i rounded =
            _mm256_packus_epi32(round_to_bf16(_mm256_mul_ps(low, scales)), round_to_bf16(_mm256_mul_ps(high, scales)));
        const __m256i kept = _mm256_and_si256(rounded, spread_bits_epi16((uint16_t)(keep >> i)));
        _mm256_storeu_si256((__m256i *)(y + i), kept);
    }
}

static inline void tile_u8(uint64_t keep, const uint8_t *x, uint8_t *y) {
    for (int i = 0; i < 64; i += 32) {
        const __m256i values = _mm256_loadu_si256((const __m256i *)(x + i));
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_and_si256(values, spread_bits_epi8((uint32_t)(keep >> i))));
    }
}

static inline void tile_u16(uint64_t keep, const uint16_t *x, uint16_t *y) {
    for (int i = 0; i < 64; i += 16) {
        const __m256i values = _mm256_loadu_si256((const __m256i *)(x + i));
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_and_si256(values, spread_bits_epi16((uint16_t)(keep >> i))));
    }
}

static inline void tile_u32(uint64_t keep, const uint32_t *x, uint32_t *y) {
    for (int i = 0; i < 64; i += 8) {
        const __m256i kept = _mm256_maskload_epi32((const int *)(x + i), spread_signs_epi32(keep >> i));
        _mm256_storeu_si256((__m256i *)(y + i), kept);
    }
}

static inline void tile_u64(uint64_t keep, const uint64_t *x, uint64_t *y) {
    for (int i = 0; i < 64; i += 4) {
        const __m256i kept = _mm256_maskload_epi64((const long long *)(x + i), spread_signs_epi64(keep >> i));
        _mm256_storeu_si256((__m256i *)(y + i), kept);
    }
}

/* Normal numbers: normals.h says what each step is. */

#define HAS_NORMALS

/* z of eight numbers in [2^24, 2^31], all but one in 128: their pieces are eight of sixteen. */
static inline __m256 normals_near_zero(__m256 t, __m256i piece, const float (*columns)[NORMAL_PIECES]) {
    __m256 y = _mm256_setzero_ps();
    for (int k = NORMAL_DEGREE; k >= 0; k--) {
        const __m256 column = _mm256_blend_ps(_mm256_load_ps(columns[k] + 8), _mm256_load_ps(columns[k]), 0x80);
        const __m256 c = _mm256_permutevar8x32_ps(column, piece);
        y = k == NORMAL_DEGREE ? c : _mm256_fmadd_ps(y, t, c);
    }
    return y;
}

static __attribute__((noinline)) __m256 normals_anywhere(__m256 t, __m256i piece,
                                                         const float (*columns)[NORMAL_PIECES]) {
    const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(piece, 28));
    __m256 y = _mm256_setzero_ps();
    for (int k = NORMAL_DEGREE; k >= 0; k--) {
        const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(columns[k]), piece);
        const __m256 high = _mm256_permutevar8x32_ps(_mm256_load_ps(columns[k] + 8), piece);
        const __m256 c = _mm256_blendv_ps(low, high, is_high);
        y = k == NORMAL_DEGREE ? c : _mm256_fmadd_ps(y, t, c);
    }
    return y;
}

static inline int any_below(__m256 sizes, float bound) {
    return _mm256_movemask_ps(_mm256_cmp_ps(sizes, _mm256_set1_ps(bound), _CMP_LT_OQ)) != 0;
}

typedef int least_word; /* whether it is tiny */

static inline least_word no_word(void) { return 0; }

static inline least_word normals_of(bytes64 keystream, const float (*columns)[NORMAL_PIECES], float *z,
                                    least_word least) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (int i = 0; i < 2; i++) {
        const __m256 f = _mm256_cvtepi32_ps(_mm256_or_si256(keystream.half[i], _mm256_set1_epi32(1)));
        const __m256 size = _mm256_andnot_ps(sign, f);
        const __m256i digits = _mm256_castps_si256(f), piece = _mm256_srli_epi32(digits, 23);
        const __m256i scaled =
            _mm256_or_si256(_mm256_and_si256(digits, _mm256_set1_epi32(0x7fffff)), _mm256_set1_epi32(0x3f800000));
        const __m256 t = _mm256_sub_ps(_mm256_castsi256_ps(scaled), _mm256_set1_ps(1.5f));
        __m256 y;
        if (__builtin_expect(any_below(size, 0x1p24f), 0)) {
            y = normals_anywhere(t, piece, columns);
            least |= any_below(size, 0x1p16f);
        } else {
            y = normals_near_zero(t, piece, columns);
        }
        _mm256_storeu_ps(z + 8 * i, _mm256_xor_ps(y, _mm256_and_ps(f, sign)));
    }
    return least;
}

static inline int is_tiny(least_word least) { return least; }

/* Whole lines past the caches, to an address that is aligned to one. */
static inline void stream_lines(void *y, const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 32) {
        _mm256_stream_si256((__m256i *)((char *)y + i), _mm256_loadu_si256((const __m256i *)((const char *)from + i)));
    }
}

static inline void finish_streams(void) { _mm_sfence(); }

/* Kept elements of a tile, one after the other: their positions, a byte each, become the lanes of a permutation. */

#define HAS_COMPRESS

static inline __m256i lanes_epi32(uint64_t positions) {
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)positions));
}

/* Each lane of 64 bits as two of 32. */
static inline __m256i lanes_epi64(uint64_t positions) {
    const __m256i even = _mm256_slli_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi64_si128((int64_t)positions)), 1);
    return _mm256_or_si256(even, _mm256_slli_epi64(_mm256_add_epi64(even, _mm256_set1_epi64x(1)), 32));
}

static inline size_t compress_f32(uint64_t keep, const float *x, float *compressed) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 8) {
        const __m256i lanes = lanes_epi32(positions_of_bits[keep >> i & 0xff]);
        _mm256_storeu_ps(compressed + count, _mm256_permutevar8x32_ps(_mm256_loadu_ps(x + i), lanes));
        count += (size_t)_mm_popcnt_u32(keep >> i & 0xff);
    }
    return count;
}

static inline size_t compress_f64(uint64_t keep, const double *x, double *compressed) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 4) {
        const __m256i lanes = lanes_epi64(positions_of_bits[keep >> i & 0xf]);
        const __m256 kept = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(x + i)), lanes);
        _mm256_storeu_pd(compressed + count, _mm256_castps_pd(kept));
        count += (size_t)_mm_popcnt_u32(keep >> i & 0xf);
    }
    return count;
}

/* How many bits of a byte are set below each: a byte each. */
static inline uint64_t bits_below(uint64_t byte) {
    const uint64_t bits = ((byte & 0x7f) * 0x0002040810204081 & 0x0101010101010101) | byte >> 7 << 56;
    return bits * 0x0101010101010100;
}

/* The inverse, with zero where a bit is not set. */

static inline size_t expand_f32(uint64_t keep, const float *compressed, float *y) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 8) {
        const __m256i kept = _mm256_srai_epi32(spread_signs_epi32(keep >> i), 31);
        const __m256 elements =
            _mm256_permutevar8x32_ps(_mm256_loadu_ps(compressed + count), lanes_epi32(bits_below(keep >> i & 0xff)));
        _mm256_storeu_ps(y + i, _mm256_and_ps(elements, _mm256_castsi256_ps(kept)));
        count += (size_t)_mm_popcnt_u32(keep >> i & 0xff);
    }
    return count;
}

static inline size_t expand_f64(uint64_t keep, const double *compressed, double *y) {
    size_t count = 0;
    for (int i = 0; i < 64; i += 4) {
        const __m256i none = _mm256_setzero_si256(), kept = _mm256_cmpgt_epi64(none, spread_signs_epi64(keep >> i));
        const __m256 elements = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(compressed + count)),
                                                         lanes_epi64(bits_below(keep >> i & 0xf)));
        _mm256_storeu_pd(y + i, _mm256_castps_pd(_mm256_and_ps(elements, _mm256_castsi256_ps(kept))));
        count += (size_t)_mm_popcnt_u32(keep >> i & 0xf);
    }
    return count;
}

/* Stores the elements whose bits are set, and the others of y as they were. */

static inline void store_kept_f32(uint64_t keep, const float *x, float *y) {
    for (int i = 0; i < 64; i += 8) {
        const __m256 kept = _mm256_castsi256_ps(spread_signs_epi32(keep >> i));
        _mm256_storeu_ps(y + i, _mm256_blendv_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i), kept));
    }
}

static inline void store_kept_f64(uint64_t keep, const double *x, double *y) {
    for (int i = 0; i < 64; i += 4) {
        const __m256d kept = _mm256_castsi256_pd(spread_signs_epi64(keep >> i));
        _mm256_storeu_pd(y + i, _mm256_blendv_pd(_mm256_loadu_pd(y + i), _mm256_loadu_pd(x + i), kept));
    }
}
