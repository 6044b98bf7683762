/* Dropout fused with its neighbours for one type: kernels.c includes it once for each, with T (an element), NAME (its
   suffix), TILE_OF (sixty-four elements: keep bits, x, y), ADD_TO_SUM (a column's sum, and what it lacks) and what
   activations.h needs.

   Each kernel computes a tile into a stack buffer, in a loop that the compiler vectorises, and lets the tile operation
   of the instruction set mask and scale it; the last elements of a run go through stack buffers whole. */

#include "activations.h"

/* Which of two NaNs an operation gives depends on the order of its operands, which the compiler chooses. */
INLINE T NAME(one_nan)(T v) { return v == v ? v : (T)NAN; }

INLINE void NAME(stand_in)(T *whole, const T *x, size_t n) {
    memset(whole, 0, TILE * sizeof(T));
    memcpy(whole, x, n * sizeof(T));
}

/* What a kernel is given, as over_tiles hands it on. */
typedef struct {
    const T *x, *other, *dy; /* other: a bias, or a residual; NULL what is not needed */
    T *result;
    double *sums, *lacks; /* of columns */
    double scale;
    T *packed, *end; /* what is packed of a chunk */
} NAME(arguments);

/* A whole tile of one kernel. */
typedef void NAME(tile_kernel)(uint64_t keep, const T *x, const T *other, const T *dy, T *result, double scale);

INLINE void NAME(add_to_sums)(const T *restrict dx, size_t n, double *restrict sums, double *restrict lacks) {
    for (size_t j = 0; j < n; j++) {
        ADD_TO_SUM(sums[j], lacks[j], dx[j]);
    }
}

/* A tile of an argument, or a whole one that begins with its `count` elements. */
INLINE const T *NAME(whole)(T *whole, const T *x, size_t count) {
    if (count == TILE) {
        return x;
    }
    NAME(stand_in)(whole, x, count);
    return whole;
}

/* Where there may be `count` elements alone, a tile goes through whole ones. */
INLINE void NAME(use_tile)(const NAME(arguments) * these, uint64_t keep, size_t i, size_t column, size_t count,
                           NAME(tile_kernel) * kernel) {
    _Alignas(LINE) T x[TILE], other[TILE], result[TILE];
    const T *from = NAME(whole)(x, these->x + i, count);
    const T *addend = these->other ? NAME(whole)(other, these->other + column, count) : NULL;
    if (count == TILE) {
        kernel(keep, from, addend, NULL, these->result + i, these->scale);
    } else {
        kernel(keep, from, addend, NULL, result, these->scale);
        memcpy(these->result + i, result, count * sizeof(T));
    }
}

/* A tile of a gradient, and the sums of its columns. */
INLINE void NAME(deliver)(const NAME(arguments) * these, const T *dx, size_t i, size_t column, size_t count) {
    if (count == TILE) {
        memcpy(these->result + i, dx, TILE * sizeof(T));
        if (these->sums) {
            NAME(add_to_sums)(dx, TILE, these->sums + column, these->lacks + column);
        }
    } else {
        memcpy(these->result + i, dx, count * sizeof(T));
        if (these->sums) {
            NAME(add_to_sums)(dx, count, these->sums + column, these->lacks + column);
        }
    }
}

INLINE void NAME(use_tile_backward)(const NAME(arguments) * these, uint64_t keep, size_t i, size_t column, size_t count,
                                    NAME(tile_kernel) * kernel) {
    _Alignas(LINE) T x[TILE], other[TILE], dy[TILE], dx[TILE];
    const T *from = these->x ? NAME(whole)(x, these->x + i, count) : NULL;
    const T *addend = these->other ? NAME(whole)(other, these->other + column, count) : NULL;
    kernel(keep, from, addend, NAME(whole)(dy, these->dy + i, count), dx, these->scale);
    NAME(deliver)(these, dx, i, column, count);
}

/* --- y = dropout(activation(x + bias)), and dx = dropout(dy * derivative(x + bias)) --- */

INLINE void NAME(bias_tile)(uint64_t keep, const T *x, const T *bias, T *y, double scale, T (*activation)(T)) {
    _Alignas(LINE) T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(activation(x[i] + bias[i]));
    }
    TILE_OF(keep, v, y);
}

INLINE void NAME(bias_tile_backward)(uint64_t keep, const T *x, const T *bias, const T *dy, T *dx, double scale,
                                     T (*derivative)(T)) {
    _Alignas(LINE) T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(dy[i] * derivative(x[i] + bias[i]));
    }
    TILE_OF(keep, v, dx);
}

/* --- One function for each activation --- */

#define FORWARD(activation)                                                                                            \
    INLINE void NAME(activation##_whole)(uint64_t keep, const T *x, const T *bias, const T *dy, T *y, double scale) {  \
        (void)dy;                                                                                                      \
        NAME(bias_tile)(keep, x, bias, y, scale, NAME(activation));                                                    \
    }                                                                                                                  \
    INLINE void NAME(activation##_tile)(void *these, uint64_t keep, size_t i, size_t column, size_t count) {           \
        NAME(use_tile)(these, keep, i, column, count, NAME(activation##_whole));                                       \
    }                                                                                                                  \
    static void NAME(bias_##activation)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,            \
                                        const void *x, const void *bias, void *y, double scale) {                      \
        NAME(arguments) these = {.x = x, .other = bias, .result = y, .scale = scale};                                  \
        const lookahead ahead = {.read = x, .written = y, .bytes = TILE * sizeof(T)};                                  \
        over_tiles(rule, start, n, columns, ahead, &these, NAME(activation##_tile), NULL);                             \
    }
#define BACKWARD(activation)                                                                                           \
    INLINE void NAME(activation##_whole_backward)(uint64_t keep, const T *x, const T *bias, const T *dy, T *dx,        \
                                                  double scale) {                                                      \
        NAME(bias_tile_backward)(keep, x, bias, dy, dx, scale, NAME(activation##_slope));                              \
    }                                                                                                                  \
    INLINE void NAME(activation##_tile_backward)(void *these, uint64_t keep, size_t i, size_t column, size_t count) {  \
        NAME(use_tile_backward)(these, keep, i, column, count, NAME(activation##_whole_backward));                     \
    }                                                                                                                  \
    static void NAME(bias_##activation##_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, \
                                                   const void *x, const void *bias, const void *dy, void *dx,          \
                                                   double *sums, double scale) {                                       \
        NAME(arguments)                                                                                                \
        these = {                                                                                                      \
            .x = x, .other = bias, .dy = dy, .result = dx, .sums = sums, .lacks = sums + columns, .scale = scale};     \
        const lookahead ahead = {.read = dy, .also_read = x, .written = dx, .bytes = TILE * sizeof(T)};                \
        over_tiles(rule, start, n, columns, ahead, &these, NAME(activation##_tile_backward), NULL);                    \
    }

FORWARD(identity)
FORWARD(relu)

INLINE void NAME(identity_whole_backward)(uint64_t keep, const T *x, const T *bias, const T *dy, T *dx, double scale) {
    (void)x, (void)bias;
    TILE_OF(keep, dy, dx);
}

INLINE void NAME(identity_tile_backward)(void *these, uint64_t keep, size_t i, size_t column, size_t count) {
    NAME(use_tile_backward)(these, keep, i, column, count, NAME(identity_whole_backward));
}

static void NAME(bias_identity_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,
                                         const void *x, const void *bias, const void *dy, void *dx, double *sums,
                                         double scale) {
    (void)x, (void)bias;
    NAME(arguments) these = {.dy = dy, .result = dx, .sums = sums, .lacks = sums + columns, .scale = scale};
    over_tiles(rule, start, n, columns, (lookahead){.read = dy, .written = dx, .bytes = TILE * sizeof(T)}, &these,
               NAME(identity_tile_backward), NULL);
}

FORWARD(gelu)
FORWARD(tanh)
FORWARD(sigmoid)
FORWARD(silu)
BACKWARD(gelu)
BACKWARD(tanh)
BACKWARD(sigmoid)
BACKWARD(silu)

#undef FORWARD
#undef BACKWARD

#ifdef PACKS
/* Where an instruction packs, and at least a quarter is dropped, gelu is computed of what is kept alone: packed,
   computed in whole tiles when a chunk is complete, and put back to its places. Others are too short for that to pay:
   at p = 1/2 it takes as long as computing all of them. */

/* x + bias of a tile's kept elements, and perhaps more if there are fewer than TILE. */
INLINE void NAME(pack_tile)(void *kernel, uint64_t keep, size_t i, size_t column, size_t count) {
    NAME(arguments) *these = kernel;
    const T *x = these->x + i, *bias = these->other + column;
    _Alignas(LINE) T v[TILE];
    if (count == TILE) {
        for (size_t j = 0; j < TILE; j++) {
            v[j] = x[j] + bias[j];
        }
    } else {
        memset(v, 0, sizeof v);
        for (size_t j = 0; j < count; j++) {
            v[j] = x[j] + bias[j];
        }
    }
    these->end += NAME(pack)(keep, v, these->end);
}

INLINE void NAME(unpack_chunk)(void *kernel, const uint64_t *bits, size_t shift, size_t i, size_t count) {
    NAME(arguments) *these = kernel;
    for (T *v = these->packed; v < these->end; v += TILE) {
        for (int j = 0; j < TILE; j++) {
            v[j] = NAME(one_nan)(NAME(gelu)(v[j])) * (T)these->scale;
        }
    }
    const T *packed = these->packed;
    size_t t = 0;
    for (; (t + 1) * TILE <= count; t++) {
        packed += NAME(unpack)(bits_at(bits + t, shift), packed, these->result + i + t * TILE);
    }
    if (t * TILE < count) {
        _Alignas(LINE) T last[TILE];
        NAME(unpack)(bits_at(bits + t, shift), packed, last);
        memcpy(these->result + i + t * TILE, last, (count - t * TILE) * sizeof(T));
    }
    these->end = these->packed;
}

static void NAME(packed_gelu)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x,
                              const void *bias, void *y, double scale) {
    if (rule->digits >> 62 == 0) {
        NAME(bias_gelu)(rule, start, n, columns, x, bias, y, scale);
        return;
    }
    _Alignas(LINE) T packed[CHUNK + TILE] = {0};
    NAME(arguments) these = {.x = x, .other = bias, .result = y, .scale = scale, .packed = packed, .end = packed};
    over_tiles(rule, start, n, columns, (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)}, &these,
               NAME(pack_tile), NAME(unpack_chunk));
}
#else
#define packed_gelu_f32 bias_gelu_f32
#define packed_gelu_f64 bias_gelu_f64
#endif

/* --- y = dropout(x) + residual --- */

INLINE void NAME(add_whole)(uint64_t keep, const T *x, const T *residual, const T *dy, T *y, double scale) {
    (void)dy;
    _Alignas(LINE) T v[TILE];
    TILE_OF(keep, x, v);
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(v[i] + residual[i]);
    }
    memcpy(y, v, sizeof v);
}

INLINE void NAME(add_tile)(void *these, uint64_t keep, size_t i, size_t column, size_t count) {
    NAME(use_tile)(these, keep, i, column, count, NAME(add_whole));
}

static void NAME(dropout_add)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual,
                              void *y, double scale) {
    NAME(arguments) these = {.x = x, .other = residual, .result = y, .scale = scale};
    over_tiles(rule, start, n, n,
               (lookahead){.read = x, .also_read = residual, .written = y, .bytes = TILE * sizeof(T)}, &these,
               NAME(add_tile), NULL);
}

/* --- y = dropout(relu(x)) --- */

INLINE void NAME(relu_dropout_whole)(uint64_t keep, const T *x, const T *none, const T *dy, T *y, double scale) {
    (void)none, (void)dy;
    _Alignas(LINE) T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(relu)(x[i]);
    }
    TILE_OF(keep, v, y);
}

INLINE void NAME(relu_dropout_tile)(void *these, uint64_t keep, size_t i, size_t column, size_t count) {
    NAME(use_tile)(these, keep, i, column, count, NAME(relu_dropout_whole));
}

static void NAME(relu_dropout)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                               double scale) {
    NAME(arguments) these = {.x = x, .result = y, .scale = scale};
    over_tiles(rule, start, n, n, (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)}, &these,
               NAME(relu_dropout_tile), NULL);
}

/* y > 0 says kept and positive: no mask is drawn. */
static void NAME(relu_dropout_backward)(size_t n, size_t columns, const void *result, const void *gradient,
                                        void *target, double *sums, double scale) {
    const T *y = result, *dy = gradient;
    const NAME(arguments) these = {.result = target, .sums = sums, .lacks = sums ? sums + columns : NULL};
    for (size_t i = 0, column = 0; i != n;) {
        const size_t count = smaller(smaller(n - i, TILE), columns - column);
        _Alignas(LINE) T tile[TILE]; /* which overlaps nothing */
        if (count == TILE) {
            for (size_t j = 0; j < TILE; j++) {
                tile[j] = y[i + j] > 0 ? dy[i + j] * (T)scale : 0;
            }
        } else {
            for (size_t j = 0; j < count; j++) {
                tile[j] = y[i + j] > 0 ? dy[i + j] * (T)scale : 0;
            }
        }
        NAME(deliver)(&these, tile, i, column, count);
        i += count;
        column = column + count < columns ? column + count : 0;
    }
}

static void NAME(finish_sums)(size_t columns, size_t repeats, size_t blocks, double *sums, void *target) {
    T *dbias = target;
    const size_t wide = repeats * columns;
    double *lacks = sums + wide;
    for (size_t block = 1; block < blocks; block++) {
        const double *more = sums + 2 * wide * block;
        for (size_t i = 0; i < wide; i++) {
            ADD_TO_SUM(sums[i], lacks[i], more[i]);
            lacks[i] += more[wide + i];
        }
    }
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = i + columns; j < repeats * columns; j += columns) {
            ADD_TO_SUM(sums[i], lacks[i], sums[j]);
            lacks[i] += lacks[j];
        }
        /* An infinite sum lacks NaN. */
        dbias[i] = NAME(one_nan)((T)(sums[i] - sums[i] == 0 ? sums[i] + lacks[i] : sums[i]));
    }
}

#undef T
#undef U
#undef CONSTANT
#undef FABS
#undef COPYSIGN
#undef FRACTION_BITS
#undef HIGH_HALF
#undef NAME
#undef TILE_OF
#undef ADD_TO_SUM
