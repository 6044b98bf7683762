/* What isa_aesni.h and isa_vaes256.h share: everything after the cipher, on AVX2. */

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

static inline void store_bytes(uint8_t *out, bytes64 keystream) {
    _mm256_storeu_si256((__m256i *)out, keystream.half[0]);
    _mm256_storeu_si256((__m256i *)(out + 32), keystream.half[1]);
}

static inline void store_bools(uint8_t *out, uint64_t keep) {
    const __m256i byte_of_lane = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_lane = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    for (int i = 0; i < 2; i++) {
        const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int)(keep >> 32 * i)), byte_of_lane);
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of_lane), bit_of_lane);
        _mm256_storeu_si256((__m256i *)(out + 32 * i), _mm256_and_si256(set, _mm256_set1_epi8(1)));
    }
}

enum { F32_LANES = 8, F64_LANES = 4 };
typedef __m256 f32s;
typedef __m256d f64s;

static inline f32s broadcast_f32(float value) { return _mm256_set1_ps(value); }
static inline f64s broadcast_f64(double value) { return _mm256_set1_pd(value); }

/* x * scale where the low bits of keep are set, else +0: a masked load looks at each lane's sign bit. */
static inline f32s keep_scaled_f32(const float *x, uint64_t keep, f32s scale) {
    const __m256i lanes =
        _mm256_sllv_epi32(_mm256_set1_epi32((int)keep), _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
    return _mm256_mul_ps(_mm256_maskload_ps(x, lanes), scale);
}

static inline f64s keep_scaled_f64(const double *x, uint64_t keep, f64s scale) {
    const __m256i lanes = _mm256_sllv_epi64(_mm256_set1_epi64x((int64_t)keep), _mm256_setr_epi64x(63, 62, 61, 60));
    return _mm256_mul_pd(_mm256_maskload_pd(x, lanes), scale);
}

static inline void store_f32(float *y, f32s values) { _mm256_storeu_ps(y, values); }
static inline void store_f64(double *y, f64s values) { _mm256_storeu_pd(y, values); }

/* Past the caches, to aligned addresses. */
static inline void stream_f32(float *y, f32s values) { _mm256_stream_ps(y, values); }
static inline void stream_f64(double *y, f64s values) { _mm256_stream_pd(y, values); }
static inline void finish_streams(void) { _mm_sfence(); }
