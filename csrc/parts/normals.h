/* Normal numbers from keystream. Part of kernels.c.

   Element e of a draw has word e of plane 16, 32 bits. The word as a signed number says how far in the tails of the
   normal distribution the element's number is: the inverse of the distribution function, a polynomial in each half of
   each octave, of which vectors look up the coefficients. The rule is in docs/reference/stream.md. Every step is an
   integer operation or a correctly rounded one of floats, so vectors of any length, on any machine, give the same
   bits. */
#pragma once

#include "draw.h"

enum {
    NORMALS_PLANE = 16,
    MORE_PLANE = 17,             /* what follows a word that is tiny */
    TINY_WORD = 1 << 16,         /* words nearer to 0 have too few digits */
    WORD_BLOCKS = TILE * 4 / 16, /* blocks that hold a tile's words */
    WORD_VECTORS = WORD_BLOCKS / 4,
    WORDS = TILE / WORD_VECTORS, /* of a vector */
};

static const _Alignas(LINE) float normal_columns[NORMAL_DEGREE + 1][NORMAL_PIECES] = NORMAL_COLUMNS_f32;

static inline uint32_t little_endian(uint32_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(word);
#else
    return word;
#endif
}

#ifndef HAS_NORMALS
/* a b + c, rounded once. Of the polynomials' steps, the sum has no more than 53 bits: a double holds it as it is. */
INLINE float multiply_add(float a, float b, float c) {
#ifdef __FP_FAST_FMAF
    return __builtin_fmaf(a, b, c);
#else
    return (float)((double)a * b + c);
#endif
}

typedef uint32_t least_word; /* of those so far, as floats without their signs */

static inline least_word no_word(void) { return UINT32_MAX; }

/* The normal numbers of sixteen words; returns the least of these words and those before. */
static inline least_word normals_of(bytes64 keystream, const float (*columns)[NORMAL_PIECES], float *restrict z,
                                    least_word least) {
    uint32_t words[WORDS], piece[WORDS], sign[WORDS];
    float t[WORDS], y[WORDS];
    store_bytes((uint8_t *)words, keystream);
    for (size_t i = 0; i < WORDS; i++) {
        const float f = (float)(int32_t)(little_endian(words[i]) | 1);
        uint32_t digits;
        memcpy(&digits, &f, sizeof digits);
        const uint32_t size = digits & 0x7fffffff, fraction = (digits & 0x7fffff) | 0x3f800000;
        float scaled;
        memcpy(&scaled, &fraction, sizeof scaled);
        t[i] = scaled - 1.5f;
        piece[i] = digits >> 23 & (NORMAL_PIECES - 1);
        sign[i] = digits & 0x80000000;
        least = size < least ? size : least;
    }
    for (size_t i = 0; i < WORDS; i++) {
        y[i] = columns[NORMAL_DEGREE][piece[i]];
    }
    for (size_t k = NORMAL_DEGREE; k-- != 0;) {
        float c[WORDS];
        for (size_t i = 0; i < WORDS; i++) {
            c[i] = columns[k][piece[i]];
        }
        for (size_t i = 0; i < WORDS; i++) {
            y[i] = multiply_add(y[i], t[i], c[i]);
        }
    }
    for (size_t i = 0; i < WORDS; i++) {
        uint32_t digits;
        memcpy(&digits, y + i, sizeof digits);
        digits ^= sign[i];
        memcpy(z + i, &digits, sizeof digits);
    }
    return least;
}

static inline int is_tiny(least_word least) { return least < 0x47800000; } /* TINY_WORD as a float */
#endif

/* The normal number that a word of 64 bits gives, of magnitude below 2^48: r is the square root of -2 log U, with the
   probability U = |word| / 2^64. */
INLINE float normal_in_tail(int64_t word) {
    const float f = (float)(word < 0 ? -word : word);
    uint32_t digits;
    memcpy(&digits, &f, sizeof digits);
    const float exponent = (float)((int32_t)(digits >> 23) - 126 - 64); /* U = 2^exponent m, with m in [1/2, 1) */
    const uint32_t fraction = (digits & 0x7fffff) | 0x3f000000;
    float m;
    memcpy(&m, &fraction, sizeof m);
    const float t = m - 1, r = sqrtf(t * MINUS_TWO_LOG_f32(t, t * t) + exponent * MINUS_TWO_LN_2_f32);
    const float z = NORMAL_TAIL_f32((r - RADIUS_CENTER_f32));
    return word < 0 ? -z : z;
}

/* The tiny words of a tile, one in 32,768, get 32 more bits. */
static __attribute__((noinline)) void settle_tiny(const simdrop_rule *rule, uint64_t tile, float *z) {
    const cipher keys = load_cipher(rule->round_keys);
    for (size_t i = 0; i < TILE; i += WORDS) {
        uint32_t words[WORDS], more[WORDS];
        const uint64_t block = tile * WORD_BLOCKS + i / 4;
        store_bytes((uint8_t *)words, encrypt(keys, counters_from(block, counter_high(rule, NORMALS_PLANE))));
        store_bytes((uint8_t *)more, encrypt(keys, counters_from(block, counter_high(rule, MORE_PLANE))));
        for (size_t j = 0; j < WORDS; j++) {
            const uint32_t word = little_endian(words[j]);
            if ((word | 1) + TINY_WORD < 2 * TINY_WORD) {
                z[i + j] = normal_in_tail((int64_t)((uint64_t)word << 32 | little_endian(more[j]) | 1));
            }
        }
    }
}

/* Keystream state for the normal numbers of consecutive tiles. The keystream of the next tile is drawn before this
   one's numbers are computed: the AES units work while the CPU multiplies. */
typedef struct {
    cipher keys;
    counters next;
    uint64_t tile;
    bytes64 words[WORD_VECTORS]; /* the keystream of this tile */
} normal_stream;

INLINE void draw_word_vector(normal_stream *stream, size_t i) {
    stream->words[i] = encrypt(stream->keys, stream->next);
    stream->next = counters_after(stream->next);
}

INLINE void begin_normals(normal_stream *stream, const simdrop_rule *rule, uint64_t tile) {
    stream->keys = load_cipher(rule->round_keys);
    stream->next = counters_from(tile * WORD_BLOCKS, counter_high(rule, NORMALS_PLANE));
    stream->tile = tile;
    for (size_t i = 0; i < WORD_VECTORS; i++) {
        draw_word_vector(stream, i);
    }
}

INLINE void next_normals(normal_stream *stream, const simdrop_rule *rule, int is_last, float *z) {
    least_word least = no_word();
    for (size_t i = 0; i < WORD_VECTORS; i++) {
        const bytes64 words = stream->words[i];
        if (!is_last) {
            draw_word_vector(stream, i);
        }
        least = normals_of(words, normal_columns, z + i * WORDS, least);
    }
    if (__builtin_expect(is_tiny(least), 0)) {
        settle_tiny(rule, stream->tile, z);
    }
    stream->tile++;
}

static void normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z) {
    normal_stream stream;
    begin_normals(&stream, rule, start / TILE);
    while (n != 0) {
        const size_t at = start % TILE, count = smaller(TILE - at, n);
        if (count == TILE) {
            next_normals(&stream, rule, n == count, z);
        } else {
            float tile[TILE];
            next_normals(&stream, rule, n == count, tile);
            memcpy(z, tile + at, count * sizeof *z);
        }
        start += count, z += count, n -= count;
    }
}
