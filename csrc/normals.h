/* Normal numbers from keystream, and what adds or multiplies them: a part of kernels.c.

   Two numbers come from a radius and an angle (Box and Muller 1958, "A note on the generation of random normal
   deviates"): of a tile's 64 words of plane 16, word i < 32 gives the radius of elements i and i + 32, word i + 32
   their angle. docs/stream.md has the rule. Every step is an integer operation or a correctly rounded +, -, *, sqrt or
   conversion of floats, so vectors of any length, on any machine, give the same bits. */

enum {
    PAIRS = TILE / 2,
    NORMALS_PLANE = 16,
    MORE_PLANE = 17,             /* what follows a radius word that is tiny */
    TINY = 1 << 16,              /* words below it have too few digits for a radius */
    WORD_BLOCKS = TILE * 4 / 16, /* blocks that hold a tile's words */
};

static inline uint32_t little_endian(uint32_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(word);
#else
    return word;
#endif
}

/* The square root of -2 log U. Of U in [1/2, 1), `below_one` is U - 1; of smaller ones, `scaled` is 2^bits U. */
INLINE float radius(float scaled, float below_one, int in_upper_half, int bits) {
    uint32_t digits;
    memcpy(&digits, &scaled, sizeof digits);
    const int32_t exponent = (int32_t)(digits >> 23) - 126 - bits; /* U = 2^exponent m, with m in [1/2, 1) */
    const uint32_t fraction = (digits & 0x7fffff) | 0x3f000000;
    float m;
    memcpy(&m, &fraction, sizeof m);
    const float t = in_upper_half ? below_one : m - 1;
    const float e = in_upper_half ? 0 : (float)exponent;
    return sqrtf(t * MINUS_TWO_LOG_f32(t, t * t) + e * MINUS_TWO_LN_2_f32);
}

/* U = word / 2^32, of an odd word */
INLINE float radius_of(uint32_t word) {
    const float u = (float)(int32_t)word; /* from 2^31 on, what U lacks of 1 */
    return radius(u, u * 0x1p-32f, u < 0, 32);
}

INLINE void find_radii(const uint32_t *words, float *restrict radii) {
    for (size_t i = 0; i < PAIRS; i++) {
        radii[i] = radius_of(words[i] | 1);
    }
}

/* The tiny words, one in 65,536, get 32 more bits. */
static __attribute__((noinline)) void settle_tiny(const simdrop_rule *rule, uint64_t tile, const uint32_t *words,
                                                  float *radii) {
    const cipher keys = load_cipher(rule->round_keys);
    for (size_t i = 0; i < PAIRS; i++) {
        if (words[i] < TINY) {
            uint32_t more[TILE / 4];
            const counters at = counters_from(tile * WORD_BLOCKS + i / 4, counter_high(rule, MORE_PLANE));
            store_bytes((uint8_t *)more, encrypt(keys, at));
            const uint64_t word = (uint64_t)words[i] << 32 | little_endian(more[i % 4]) | 1;
            radii[i] = radius((float)(int64_t)word, 0, 0, 64);
        }
    }
}

/* The cosines and sines of a tile's angles, times the radii: of s eighths of a turn, s in [0, 1), in the one of eight
   that three bits say: the cosine's sign, the sine's, and whether the two are exchanged. */
INLINE void turn(const uint32_t *words, const float *radii, float *restrict z) {
    for (size_t i = 0; i < PAIRS; i++) {
        const uint32_t word = little_endian(words[i]);
        const float s = (float)(int32_t)((word & 0x1fffffff) | 1) * 0x1p-29f, q = s * s;
        const float sine = radii[i] * (s * SINE_f32(q)), cosine = radii[i] * (1 + q * COSINE_REST_f32(q));
        const float first = word & 0x20000000 ? sine : cosine, second = word & 0x20000000 ? cosine : sine;
        uint32_t digits[2];
        memcpy(digits, &first, sizeof first);
        memcpy(digits + 1, &second, sizeof second);
        digits[0] ^= word & 0x80000000;
        digits[1] ^= word << 1 & 0x80000000;
        memcpy(z + i, digits, sizeof first);
        memcpy(z + PAIRS + i, digits + 1, sizeof second);
    }
}

/* The normal numbers of at most a chunk's tiles. Each step is a loop over all of them, since what a number goes through
   is a long chain of operations that wait for each other: the CPU works on many numbers at once. */
static void draw_normals(const simdrop_rule *rule, uint64_t tile, size_t tiles, float *z) {
    const cipher keys = load_cipher(rule->round_keys);
    counters next = counters_from(tile * WORD_BLOCKS, counter_high(rule, NORMALS_PLANE));
    _Alignas(LINE) uint32_t radius_words[CHUNK_TILES * PAIRS], angle_words[CHUNK_TILES * PAIRS];
    _Alignas(LINE) float radii[CHUNK_TILES * PAIRS];
    for (size_t t = 0; t < tiles; t++) {
        for (size_t i = 0; i < TILE; i += TILE / 4) {
            uint32_t *words = i < PAIRS ? radius_words + i : angle_words + i - PAIRS;
            store_bytes((uint8_t *)(words + t * PAIRS), encrypt(keys, next));
            next = counters_after(next);
        }
    }
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < tiles * PAIRS; i++) {
        radius_words[i] = little_endian(radius_words[i]);
        least = radius_words[i] < least ? radius_words[i] : least;
    }
    for (size_t t = 0; t < tiles; t++) {
        find_radii(radius_words + t * PAIRS, radii + t * PAIRS);
    }
    if (least < TINY) {
        for (size_t t = 0; t < tiles; t++) {
            settle_tiny(rule, tile + t, radius_words + t * PAIRS, radii + t * PAIRS);
        }
    }
    for (size_t t = 0; t < tiles; t++) {
        turn(angle_words + t * PAIRS, radii + t * PAIRS, z + t * TILE);
    }
}

static void normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z) {
    while (n != 0) {
        const size_t at = start % TILE;
        size_t count = smaller(TILE - at, n);
        if (count == TILE) {
            count = smaller(n / TILE * TILE, CHUNK);
            draw_normals(rule, start / TILE, count / TILE, z);
        } else {
            float tile[TILE];
            draw_normals(rule, start / TILE, 1, tile);
            memcpy(z, tile + at, count * sizeof *z);
        }
        start += count, z += count, n -= count;
    }
}

/* Dropout's other kernels for floats and doubles: T, NAME, and BITS (an integer of T's size). */
#define T float
#define BITS uint32_t
#define NAME(verb) verb##_f32
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#define TILE_OF_BITS tile_u32
#include "noise.h"

#define T double
#define BITS uint64_t
#define NAME(verb) verb##_f64
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#define TILE_OF_BITS tile_u64
#include "noise.h"
