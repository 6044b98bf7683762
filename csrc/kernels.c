/* Every kernel, written once on the vector operations of one instruction set's header, and compiled once for each.

   Keystream -> compare -> settle ties -> select and scale, a chunk at a time: draw_keep_bits leaves one bit an element
   in the first-level cache, and every kernel is a loop over those bits. README.md walks through it. */
#include "kernels.h"
#include "tables/polynomials.h"

#include <math.h>
#include <string.h>

#include SIMDROP_ISA_HEADER

#include "parts/common.h"
#include "parts/draw.h"
#include "parts/tiles.h"

/* apply, for each type of elements */

#define T uint16_t
#define NAME(verb) verb##_f16
#define TILE_OF(keep, x, y) tile_f16(keep, x, y, (float)scale)
#include "templates/apply.h"

#define T uint16_t
#define NAME(verb) verb##_bf16
#define TILE_OF(keep, x, y) tile_bf16(keep, x, y, (float)scale)
#include "templates/apply.h"

#define T float
#define NAME(verb) verb##_f32
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#include "templates/apply.h"

#define T double
#define NAME(verb) verb##_f64
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#include "templates/apply.h"

#define T c64
#define NAME(verb) verb##_c64
#define TILE_OF(keep, x, y) tile_c64(keep, x, y, (float)scale)
#include "templates/apply.h"

#define T c128
#define NAME(verb) verb##_c128
#define TILE_OF(keep, x, y) tile_c128(keep, x, y, scale)
#include "templates/apply.h"

#define T uint8_t
#define NAME(verb) verb##_u8
#define TILE_OF(keep, x, y) ((void)scale, tile_u8(keep, x, y))
#include "templates/apply.h"

#define T uint16_t
#define NAME(verb) verb##_u16
#define TILE_OF(keep, x, y) ((void)scale, tile_u16(keep, x, y))
#include "templates/apply.h"

#define T uint32_t
#define NAME(verb) verb##_u32
#define TILE_OF(keep, x, y) ((void)scale, tile_u32(keep, x, y))
#include "templates/apply.h"

#define T uint64_t
#define NAME(verb) verb##_u64
#define TILE_OF(keep, x, y) ((void)scale, tile_u64(keep, x, y))
#include "templates/apply.h"

#define T u128
#define NAME(verb) verb##_u128
#define TILE_OF(keep, x, y) ((void)scale, tile_u128(keep, x, y))
#include "templates/apply.h"

#define OF_TYPES(verb)                                                                                                 \
    verb##_f16, verb##_bf16, verb##_f32, verb##_f64, verb##_c64, verb##_c128, verb##_u8, verb##_u16, verb##_u32,       \
        verb##_u64, verb##_u128

static void (*const applies[SIMDROP_TYPES])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                            double scale) = {OF_TYPES(apply)};
static void (*const selects[SIMDROP_TYPES])(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y,
                                            double scale, lookahead ahead, int past_cache) = {OF_TYPES(select)};

#include "parts/pack.h"
#include "parts/strides.h"

/* Keystream, and masks as arrays */

static void keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out) {
    const cipher keys = load_cipher(rule->round_keys);
    counters next = counters_from(block, counter_high(rule, plane));
    for (; blocks >= 4; blocks -= 4) {
        store_bytes(out, encrypt(keys, next));
        next = counters_after(next);
        out += TILE;
    }
    uint8_t last[TILE];
    store_bytes(last, encrypt(keys, next));
    memcpy(out, last, blocks * SIMDROP_BLOCK_BYTES);
}

static void keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits, (lookahead){0});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            store_bools(keep + i, bits_at(bits + i / TILE, shift));
        }
        uint8_t last[TILE];
        store_bools(last, bits_at(bits + i / TILE, shift));
        memcpy(keep + i, last, count - i);
        start += count, keep += count, n -= count;
    }
}

static void packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *packed) {
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits, (lookahead){0});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE, packed += 8) {
            store_little_endian(packed, bits_at(bits + i / TILE, shift));
        }
        if (i < count) {
            uint8_t last[8];
            store_little_endian(last, bits_at(bits + i / TILE, shift) & ((UINT64_C(1) << (count - i)) - 1));
            memcpy(packed, last, (count - i + 7) / 8);
        }
        start += count, n -= count;
    }
}

static void indices(const uint8_t *packed, size_t n, intptr_t *out, size_t count) {
    size_t written = 0, byte = 0;
    for (; byte < (n + 7) / 8 && written + 8 <= count; byte++) {
        written += (size_t)store_indices(out + written, (intptr_t)(8 * byte), packed[byte]);
    }
    for (; byte < (n + 7) / 8; byte++) {
        for (unsigned rest = packed[byte]; rest != 0; rest &= rest - 1) {
            out[written++] = (intptr_t)(8 * byte) + __builtin_ctz(rest);
        }
    }
}

/* Fused kernels, for float and double */

#define UNLIFT_f32 0x1p-64f
#define UNLIFT_f64 0x1p-128
#define ROUNDING_TO_ONE_f32 (0x1.8p23f + 127)
#define ROUNDING_TO_ONE_f64 (0x1.8p52 + 1023)
#define ROUNDING_f32 (ROUNDING_TO_ONE_f32 + 64)
#define ROUNDING_f64 (ROUNDING_TO_ONE_f64 + 128)

#define T float
#define U uint32_t
#define NAME(verb) verb##_f32
#define CONSTANT(name) name##_f32
#define FABS fabsf
#define COPYSIGN copysignf
#define FRACTION_BITS 23
#define HIGH_HALF UINT32_C(0xfffff000)
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#define ADD_TO_SUM(sum, lack, x) ((void)(lack), (sum) += (double)(x)) /* which lacks nothing to speak of */
#include "templates/fused.h"

/* What rounding takes from a sum, which is itself a double (Knuth, The Art of Computer Programming, volume 2, section
   4.2.2, theorem B). */
static inline void add_exactly(double *sum, double *lack, double x) {
    const double before = *sum, after = before + x, of_x = after - before;
    *lack += (before - (after - of_x)) + (x - of_x);
    *sum = after;
}

#define T double
#define U uint64_t
#define NAME(verb) verb##_f64
#define CONSTANT(name) name##_f64
#define FABS fabs
#define COPYSIGN copysign
#define FRACTION_BITS 52
#define HIGH_HALF UINT64_C(0xfffffffff8000000)
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#define ADD_TO_SUM(sum, lack, x) add_exactly(&(sum), &(lack), x)
#include "templates/fused.h"

#include "parts/normals.h"

/* Noise, and alpha dropout */

#define T float
#define BITS uint32_t
#define NAME(verb) verb##_f32
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#define TILE_OF_BITS tile_u32
#include "templates/noise.h"

#define T double
#define BITS uint64_t
#define NAME(verb) verb##_f64
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#define TILE_OF_BITS tile_u64
#include "templates/noise.h"

#include "parts/kept.h"

/* Rows and columns of weight matrices */

#define T float
#define NAME(verb) verb##_f32
#define SQRT sqrtf
#define TINY 0x1p-126f
#include "templates/submatrix.h"

#define T double
#define NAME(verb) verb##_f64
#define SQRT sqrt
#define TINY 0x1p-1022
#include "templates/submatrix.h"

/* The table */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

const simdrop_kernels JOIN(simdrop_kernels_, SIMDROP_ISA) = {
    .name = TEXT(SIMDROP_ISA),
    .keystream = keystream,
    .apply = {OF_TYPES(apply)},
    .apply_array = apply_array,
    .select_array = select_array,
    .keep = keep,
    .packbits = packbits,
    .packbits_array = packbits_array,
    .indices = indices,
    .fused =
        {
            .bias_dropout = {{bias_identity_f32, bias_relu_f32, packed_gelu_f32, bias_tanh_f32, bias_sigmoid_f32,
                              bias_silu_f32},
                             {bias_identity_f64, bias_relu_f64, packed_gelu_f64, bias_tanh_f64, bias_sigmoid_f64,
                              bias_silu_f64}},
            .bias_dropout_backward = {{bias_identity_backward_f32, NULL, bias_gelu_backward_f32, bias_tanh_backward_f32,
                                       bias_sigmoid_backward_f32, bias_silu_backward_f32},
                                      {bias_identity_backward_f64, NULL, bias_gelu_backward_f64, bias_tanh_backward_f64,
                                       bias_sigmoid_backward_f64, bias_silu_backward_f64}},
            .dropout_add = {dropout_add_f32, dropout_add_f64},
            .relu_dropout = {relu_dropout_f32, relu_dropout_f64},
            .relu_dropout_backward = {relu_dropout_backward_f32, relu_dropout_backward_f64},
            .finish_sums = {finish_sums_f32, finish_sums_f64},
        },
    .noise =
        {
            .normals = normals,
            .multiply_noise = {multiply_noise_f32, multiply_noise_f64},
            .add_noise = {add_noise_f32, add_noise_f64},
            .dropout_shift = {dropout_shift_f32, dropout_shift_f64},
        },
    .weights =
        {
            .gather = {gather_f32, gather_f64},
            .sgd = {sgd_f32, sgd_f64},
            .adam = {adam_f32, adam_f64},
        },
};
