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

/* Adds `rows` rows of n elements to the sums of their columns. */
INLINE void NAME(add_rows)(const T *restrict dx, size_t rows, size_t n, size_t columns, double *restrict sums,
                           double *restrict lacks) {
    for (size_t j = 0; j < n; j++) {
        double sum = sums[j], lack = lacks[j];
        for (size_t i = 0; i < rows; i++) {
            ADD_TO_SUM(sum, lack, dx[i * columns + j]);
        }
        sums[j] = sum, lacks[j] = lack;
    }
}

/* Another `count` elements of dx, which end at `end`, are there to be added up, and no more follow if `last`. */
static void NAME(add_to_sums)(column_sums *these, const T *end, size_t count, int last) {
    const size_t columns = these->columns;
    double *sums = these->sums, *lacks = sums + columns;
    if (columns > WIDE) {
        NAME(add_rows)(end - count, 1, count, columns, sums + these->column, lacks + these->column);
        these->column = (these->column + count) % columns;
        return;
    }
    these->column += count;
    if (these->column == columns) {
        these->column = 0;
        these->rows++;
    }
    if (these->rows == ROWS) {
        these->rows = 0;
        NAME(add_rows)(end - ROWS * columns, ROWS, columns, columns, sums, lacks);
    }
    if (last) {
        const T *dx = end - these->column - these->rows * columns;
        for (; these->rows != 0; these->rows--, dx += columns) {
            NAME(add_rows)(dx, 1, columns, columns, sums, lacks);
        }
        NAME(add_rows)(dx, 1, these->column, columns, sums, lacks);
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

#ifdef PACKS
/* Where an instruction packs, and enough of a chunk is dropped for that to pay, an activation is computed of what is
   kept alone: packed, computed in whole tiles, and put back to its places. */

INLINE int NAME(pays_to_pack)(const uint64_t *bits, size_t shift, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i += TILE) {
        kept += (size_t)__builtin_popcountll(bits_at(bits + i / TILE, shift));
    }
    return kept <= n / 4 * 3;
}

/* x + bias of a chunk's kept elements, and some that are not needed in the last tile. Returns where they end. */
INLINE T *NAME(packed_sums)(const uint64_t *bits, size_t shift, size_t n, const T *x, const T *bias, T *sums) {
    for (size_t i = 0; i < n; i += TILE) {
        T v[TILE] = {0};
        if (i + TILE <= n) {
            for (int j = 0; j < TILE; j++) {
                v[j] = x[i + j] + bias[i + j];
            }
        } else {
            for (size_t j = 0; j < n - i; j++) {
                v[j] = x[i + j] + bias[i + j];
            }
        }
        sums += NAME(pack)(bits_at(bits + i / TILE, shift), v, sums);
    }
    return sums;
}

INLINE void NAME(packed_chunk)(const uint64_t *bits, size_t shift, size_t n, const T *x, const T *bias, T *y,
                               double scale, T (*activation)(T), T *packed) {
    const T *end = NAME(packed_sums)(bits, shift, n, x, bias, packed);
    for (T *v = packed; v < end; v += TILE) {
        for (int j = 0; j < TILE; j++) {
            v[j] = NAME(one_nan)(activation(v[j])) * (T)scale;
        }
    }
    size_t i = 0;
    for (; i + TILE <= n; i += TILE) {
        packed += NAME(unpack)(bits_at(bits + i / TILE, shift), packed, y + i);
    }
    if (i < n) {
        T last[TILE];
        NAME(unpack)(bits_at(bits + i / TILE, shift), packed, last);
        memcpy(y + i, last, (n - i) * sizeof(T));
    }
}

INLINE void NAME(packed_chunk_backward)(const uint64_t *bits, size_t shift, size_t n, const T *x, const T *bias,
                                        const T *dy, T *dx, double scale, T (*derivative)(T), T *packed) {
    const T *end = NAME(packed_sums)(bits, shift, n, x, bias, packed);
    for (T *v = packed; v < end; v += TILE) {
        for (int j = 0; j < TILE; j++) {
            v[j] = derivative(v[j]);
        }
    }
    for (size_t i = 0; i < n; i += TILE) {
        const uint64_t keep = bits_at(bits + i / TILE, shift);
        const size_t rest = smaller(n - i, TILE);
        T v[TILE], last[TILE];
        packed += NAME(unpack)(keep, packed, v);
        const T *from = dy + i;
        if (rest < TILE) {
            NAME(stand_in)(last, from, rest);
            from = last;
        }
        for (int j = 0; j < TILE; j++) {
            v[j] = NAME(one_nan)(from[j] * v[j]);
        }
        if (rest == TILE) {
            TILE_OF(keep, v, dx + i);
        } else {
            TILE_OF(keep, v, last);
            memcpy(dx + i, last, rest * sizeof(T));
        }
    }
}
#endif

INLINE void NAME(bias_dropout)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const T *x,
                               const T *bias, T *y, double scale, T (*activation)(T)) {
    uint64_t bits[CHUNK_TILES + 1];
#ifdef PACKS
    T packed[CHUNK + TILE] = {0};
#endif
    size_t column = 0;
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(smaller(n, CHUNK), columns - column);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits,
                       (lookahead){.read = x, .written = y, .bytes = TILE * sizeof(T)});
        size_t i = 0;
#ifdef PACKS
        if (activation != NAME(identity) && activation != NAME(relu) && NAME(pays_to_pack)(bits, shift, count)) {
            NAME(packed_chunk)(bits, shift, count, x, bias + column, y, scale, activation, packed);
            i = count;
        }
#endif
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
#ifdef PACKS
    T packed[CHUNK + TILE] = {0};
#endif
    column_sums these = {.sums = sums, .columns = columns};
    size_t column = 0;
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(smaller(n, CHUNK), columns - column);
        draw_keep_bits(
            rule, start / TILE, tiles_of(shift, count), bits,
            (lookahead){.read = dy, .also_read = derivative ? x : NULL, .written = dx, .bytes = TILE * sizeof(T)});
        size_t i = 0;
#ifdef PACKS
        if (derivative && NAME(pays_to_pack)(bits, shift, count)) {
            NAME(packed_chunk_backward)(bits, shift, count, x, bias + column, dy, dx, scale, derivative, packed);
            i = count;
        }
#endif
        for (; i + TILE <= count; i += TILE) {
            const uint64_t keep = bits_at(bits + i / TILE, shift);
            if (derivative) {
                NAME(bias_tile_backward)(keep, x + i, bias + column + i, dy + i, dx + i, scale, derivative);
            } else {
                TILE_OF(keep, dy + i, dx + i);
            }
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
        }
        if (derivative) {
            x += count;
        }
        start += count, dy += count, dx += count, n -= count;
        column = column + count < columns ? column + count : 0;
        NAME(add_to_sums)(&these, dx, count, n == 0);
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
    column_sums these = {.sums = sums, .columns = columns};
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
        }
        for (; i < count; i++) {
            dx[i] = NAME(where_positive)(y[i], dy[i], scale);
        }
        y += count, dy += count, dx += count, n -= count;
        column = column + count < columns ? column + count : 0;
        if (sums) {
            NAME(add_to_sums)(&these, dx, count, n == 0);
        }
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
