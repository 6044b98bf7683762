/* Every kernel, written once on the vector operations of one instruction set's header, and compiled once for each.

   Keystream -> compare -> settle ties -> select and scale, a chunk at a time: the first three leave one bit an element
   in the first-level cache, and every kernel is a loop over those bits. README.md walks through it. */
#include "kernels.h"

#include "parts/common.h"
#include "parts/copy.h"
#include "parts/draw.h"
#include "parts/kept.h"
#include "parts/normals.h"
#include "parts/pack.h"
#include "parts/select.h"
#include "parts/strides.h"
#include "parts/tiles.h"

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

/* Kernels of float and of double */

#define CONSTANT(name) JOIN(name, SUFFIX) /* of polynomials.h, or: */
#define UNLIFT_f32 0x1p-64f
#define UNLIFT_f64 0x1p-128
#define ROUNDING_TO_ONE_f32 (0x1.8p23f + 127)
#define ROUNDING_TO_ONE_f64 (0x1.8p52 + 1023)
#define ROUNDING_f32 (ROUNDING_TO_ONE_f32 + 64)
#define ROUNDING_f64 (ROUNDING_TO_ONE_f64 + 128)

enum {
    SUMMED_BYTES = 1 << 17, /* of a gradient that are computed before they are added to the sums of columns */
    SUMMED_ROWS = 4,        /* added at a time */
};

/* How many of n elements of a gradient are computed and summed next: some rows, or a part of a long one. */
static inline size_t summed_piece(size_t n, size_t columns, size_t column, size_t bytes) {
    const size_t most = SUMMED_BYTES / bytes;
    return smaller(n, columns <= most ? most / columns * columns : smaller(most, columns - column));
}

#define T float
#define BITS uint32_t
#define SUFFIX f32
#define FABS fabsf
#define COPYSIGN copysignf
#define SQRT sqrtf
#define TINY 0x1p-126f
#define FRACTION_BITS 23
#define HIGH_HALF UINT32_C(0xfffff000)
#define TILE_OF_BITS tile_u32
#define ADD_TO_SUM(sum, compensation, x) ((void)(compensation), (sum) += (double)(x)) /* a double is enough */
#include "templates/floats.h"

/* TwoSum: the rounding error of a sum is itself a double (Knuth, The Art of Computer Programming, volume 2, section
   4.2.2, theorem B). */
static inline void two_sum(double *sum, double *compensation, double x) {
    const double before = *sum, after = before + x, of_x = after - before;
    *compensation += (before - (after - of_x)) + (x - of_x);
    *sum = after;
}

#define T double
#define BITS uint64_t
#define SUFFIX f64
#define FABS fabs
#define COPYSIGN copysign
#define SQRT sqrt
#define TINY 0x1p-1022
#define FRACTION_BITS 52
#define HIGH_HALF UINT64_C(0xfffffffff8000000)
#define TILE_OF_BITS tile_u64
#define ADD_TO_SUM(sum, compensation, x) two_sum(&(sum), &(compensation), x)
#include "templates/floats.h"

/* The table */

#ifdef HAS_COMPRESS
#define GELU compressed_gelu
#else
#define GELU bias_gelu
#endif
#define OF_FLOATS(verb) {verb##_f32, verb##_f64}
#define FORWARD(suffix)                                                                                                \
    {bias_identity_##suffix, bias_relu_##suffix,    JOIN(GELU, suffix),                                                \
     bias_tanh_##suffix,     bias_sigmoid_##suffix, bias_silu_##suffix}
#define BACKWARD(suffix)                                                                                               \
    {bias_identity_backward_##suffix, NULL,                                                                            \
     bias_gelu_backward_##suffix,     bias_tanh_backward_##suffix,                                                     \
     bias_sigmoid_backward_##suffix,  bias_silu_backward_##suffix}
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

const simdrop_kernels JOIN(simdrop_kernels, SIMDROP_ISA) = {
    .name = TEXT(SIMDROP_ISA),
    .keystream = keystream,
    .apply = {OF_TYPES(apply)},
    .apply_array = apply_array,
    .select_array = select_array,
    .copy_block = copy_block,
    .keep = keep,
    .packbits = packbits,
    .packbits_array = packbits_array,
    .indices = indices,
    .bias_dropout = {FORWARD(f32), FORWARD(f64)},
    .bias_dropout_backward = {BACKWARD(f32), BACKWARD(f64)},
    .dropout_add = OF_FLOATS(dropout_add),
    .relu_dropout = OF_FLOATS(relu_dropout),
    .relu_dropout_backward = OF_FLOATS(relu_dropout_backward),
    .finish_sums = OF_FLOATS(finish_sums),
    .normals = normals,
    .multiply_noise = OF_FLOATS(multiply_noise),
    .add_noise = OF_FLOATS(add_noise),
    .dropout_shift = OF_FLOATS(dropout_shift),
    .gather = OF_FLOATS(gather),
    .sgd = OF_FLOATS(sgd),
    .adam = OF_FLOATS(adam),
};
