/* Dropout fused with its neighbours for one type: kernels.c includes it once for each, with T (an element), NAME (its
   suffix), TILE_OF (sixty-four elements: keep bits, x, y), ADD_TO_SUM (a column's sum, and what it lacks) and what
   activations.h needs.

   Each kernel computes a tile into a stack buffer, in a loop that the compiler vectorises, and lets the tile operation
   of select.h mask and scale it; the last elements of a run go through stack buffers whole. */

#include "activations.h"

/* Which of two NaNs an operation gives depends on the order of its operands, which the compiler chooses. */
INLINE T NAME(one_nan)(T v) { return v == v ? v : (T)NAN; }

INLINE void NAME(stand_in)(T *whole, const T *x, size_t n) {
    memset(whole, 0, TILE * sizeof(T));
    memcpy(whole, x, n * sizeof(T));
}

INLINE void NAME(add_to_sums)(const T *restrict dx, double *restrict sums, double *restrict lacks) {
    for (int i = 0; i < TILE; i++) {
        ADD_TO_SUM(sums[i], lacks[i], dx[i]);
    }
}

/* --- y = dropout(activation(x + bias)) --- */

INLINE void NAME(bias_tile)(uint64_t keep, const T *x, const T *bias, T *y, double scale, T (*activation)(T)) {
    T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(activation(x[i] + bias[i]));
    }
    TILE_OF(keep, v, y);
}

INLINE void NAME(bias_dropout)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const T *x,
                               const T *bias, T *y, double scale, T (*activation)(T)) {
    uint64_t bits[CHUNK_TILES + 1];
    size_t column = 0;
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(smaller(n, CHUNK), columns - column);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            NAME(bias_tile)(bits_at(bits + i / TILE, shift), x + i, bias + column + i, y + i, scale, activation);
        }
        if (i < count) {
            T last[TILE], last_bias[TILE];
            NAME(stand_in)(last, x + i, count - i);
            NAME(stand_in)(last_bias, bias + column + i, count - i);
            NAME(bias_tile)(bits_at(bits + i / TILE, shift), last, last_bias, last, scale, activation);
            memcpy(y + i, last, (count - i) * sizeof(T));
        }
        start += count, x += count, y += count, n -= count;
        column = column + count < columns ? column + count : 0;
    }
}

INLINE void NAME(bias_tile_backward)(uint64_t keep, const T *x, const T *bias, const T *dy, T *dx, double scale,
                                     T (*derivative)(T)) {
    T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(dy[i] * derivative(x[i] + bias[i]));
    }
    TILE_OF(keep, v, dx);
}

/* A NULL derivative is that of the identity, which needs no x. */
INLINE void NAME(bias_dropout_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const T *x,
                                        const T *bias, const T *dy, T *dx, double *sums, double scale,
                                        T (*derivative)(T)) {
    uint64_t bits[CHUNK_TILES + 1];
    size_t column = 0;
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(smaller(n, CHUNK), columns - column);
        draw_keep_bits(
            rule, start / TILE, tiles_of(shift, count), bits,
            (lookahead){.read = dy, .also_read = derivative ? x : NULL, .written = dx, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            const uint64_t keep = bits_at(bits + i / TILE, shift);
            if (derivative) {
                NAME(bias_tile_backward)(keep, x + i, bias + column + i, dy + i, dx + i, scale, derivative);
            } else {
                TILE_OF(keep, dy + i, dx + i);
            }
            NAME(add_to_sums)(dx + i, sums + column + i, sums + columns + column + i);
        }
        if (i < count) {
            const uint64_t keep = bits_at(bits + i / TILE, shift);
            T last[TILE];
            NAME(stand_in)(last, dy + i, count - i);
            if (derivative) {
                T last_x[TILE], last_bias[TILE];
                NAME(stand_in)(last_x, x + i, count - i);
                NAME(stand_in)(last_bias, bias + column + i, count - i);
                NAME(bias_tile_backward)(keep, last_x, last_bias, last, last, scale, derivative);
            } else {
                TILE_OF(keep, last, last);
            }
            memcpy(dx + i, last, (count - i) * sizeof(T));
            for (size_t j = 0; i + j < count; j++) {
                ADD_TO_SUM(sums[column + i + j], sums[columns + column + i + j], last[j]);
            }
        }
        if (derivative) {
            x += count;
        }
        start += count, dy += count, dx += count, n -= count;
        column = column + count < columns ? column + count : 0;
    }
}

/* --- y = dropout(x) + residual --- */

INLINE void NAME(add_tile)(uint64_t keep, const T *x, const T *residual, T *y, double scale) {
    T v[TILE];
    TILE_OF(keep, x, v);
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(one_nan)(v[i] + residual[i]);
    }
    memcpy(y, v, sizeof v);
}

static void NAME(dropout_add)(const simdrop_rule *rule, uint64_t start, size_t n, const void *source,
                              const void *addend, void *target, double scale) {
    const T *x = source, *residual = addend;
    T *y = target;
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .also_read = residual, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            NAME(add_tile)(bits_at(bits + i / TILE, shift), x + i, residual + i, y + i, scale);
        }
        if (i < count) {
            T last[TILE], last_residual[TILE];
            NAME(stand_in)(last, x + i, count - i);
            NAME(stand_in)(last_residual, residual + i, count - i);
            NAME(add_tile)(bits_at(bits + i / TILE, shift), last, last_residual, last, scale);
            memcpy(y + i, last, (count - i) * sizeof(T));
        }
        start += count, x += count, residual += count, y += count, n -= count;
    }
}

/* --- y = dropout(relu(x)) --- */

INLINE void NAME(relu_tile)(uint64_t keep, const T *x, T *y, double scale) {
    T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(relu)(x[i]);
    }
    TILE_OF(keep, v, y);
}

static void NAME(relu_dropout)(const simdrop_rule *rule, uint64_t start, size_t n, const void *source, void *target,
                               double scale) {
    const T *x = source;
    T *y = target;
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            NAME(relu_tile)(bits_at(bits + i / TILE, shift), x + i, y + i, scale);
        }
        if (i < count) {
            T last[TILE];
            NAME(stand_in)(last, x + i, count - i);
            NAME(relu_tile)(bits_at(bits + i / TILE, shift), last, last, scale);
            memcpy(y + i, last, (count - i) * sizeof(T));
        }
        start += count, x += count, y += count, n -= count;
    }
}

/* y > 0 says kept and positive: no mask is drawn. */
INLINE T NAME(where_positive)(T y, T dy, double scale) { return y > 0 ? dy * (T)scale : 0; }

static void NAME(relu_dropout_backward)(size_t n, size_t columns, const void *result, const void *gradient,
                                        void *target, double *sums, double scale) {
    const T *y = result, *dy = gradient;
    T *dx = target;
    size_t column = 0;
    while (n != 0) {
        const size_t count = smaller(smaller(n, CHUNK), columns - column);
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            T tile[TILE]; /* which overlaps nothing */
            for (int j = 0; j < TILE; j++) {
                tile[j] = NAME(where_positive)(y[i + j], dy[i + j], scale);
            }
            memcpy(dx + i, tile, sizeof tile);
            if (sums) {
                NAME(add_to_sums)(dx + i, sums + column + i, sums + columns + column + i);
            }
        }
        for (; i < count; i++) {
            const T last = NAME(where_positive)(y[i], dy[i], scale);
            dx[i] = last;
            if (sums) {
                ADD_TO_SUM(sums[column + i], sums[columns + column + i], last);
            }
        }
        y += count, dy += count, dx += count, n -= count;
        column = column + count < columns ? column + count : 0;
    }
}

static void NAME(finish_sums)(size_t columns, size_t repeats, double *sums, void *target) {
    T *dbias = target;
    double *lacks = sums + repeats * columns;
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = i + columns; j < repeats * columns; j += columns) {
            ADD_TO_SUM(sums[i], lacks[i], sums[j]);
            lacks[i] += lacks[j];
        }
        /* An infinite sum lacks NaN. */
        dbias[i] = NAME(one_nan)((T)(sums[i] - sums[i] == 0 ? sums[i] + lacks[i] : sums[i]));
    }
}

/* --- One function for each activation --- */

#define FORWARD(activation)                                                                                            \
    static void NAME(bias_##activation)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,            \
                                        const void *x, const void *bias, void *y, double scale) {                      \
        NAME(bias_dropout)(rule, start, n, columns, x, bias, y, scale, NAME(activation));                              \
    }
#define BACKWARD(activation, derivative)                                                                               \
    static void NAME(bias_##activation##_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, \
                                                   const void *x, const void *bias, const void *dy, void *dx,          \
                                                   double *sums, double scale) {                                       \
        NAME(bias_dropout_backward)(rule, start, n, columns, x, bias, dy, dx, sums, scale, derivative);                \
    }

FORWARD(identity)
FORWARD(relu)
FORWARD(gelu)
FORWARD(tanh)
FORWARD(sigmoid)
FORWARD(silu)
BACKWARD(identity, NULL)
BACKWARD(gelu, NAME(gelu_slope))
BACKWARD(tanh, NAME(tanh_slope))
BACKWARD(sigmoid, NAME(sigmoid_slope))
BACKWARD(silu, NAME(silu_slope))

#undef FORWARD
#undef BACKWARD
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
