/* Dropout fused with its neighbours for one floating-point type: a part of floats.h.

   Each kernel computes a tile into a stack buffer, in a loop that the compiler vectorises, and lets the tile operation
   of the instruction set mask and scale it; a partial tile is padded. */

/* The arguments of a kernel; NULL where it has none. */
typedef struct {
    const T *x, *other, *dy; /* other: a bias, or a residual */
    T *result;
    double scale;
    T *compressed, *end; /* the kept elements of a chunk */
} NAME(arguments);

/* What a kernel computes of one tile. */
typedef void NAME(tile_function)(uint64_t keep, const T *x, const T *other, const T *dy, T *result, double scale);

INLINE void NAME(use_tile)(const NAME(arguments) * args, uint64_t keep, size_t i, size_t column, size_t count,
                           NAME(tile_function) * function) {
    _Alignas(LINE) T x[TILE], other[TILE], dy[TILE], result[TILE];
    const T *from = NAME(padded)(x, args->x + i, count);
    const T *addend = args->other ? NAME(padded)(other, args->other + column, count) : NULL;
    const T *gradient = args->dy ? NAME(padded)(dy, args->dy + i, count) : NULL;
    if (count == TILE) {
        function(keep, from, addend, gradient, args->result + i, args->scale);
    } else {
        function(keep, from, addend, gradient, result, args->scale);
        copy_part(args->result + i, result, count * sizeof(T));
    }
}

INLINE void NAME(use_tiles)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, NAME(arguments) args,
                            const void *also_read, tile_kernel *kernel) {
    const prefetch memory = {
        .read = args.dy ? args.dy : args.x, .also_read = also_read, .written = args.result, .bytes = TILE * sizeof(T)};
    for_each_tile(rule, start, n, columns, CHUNK, 2, memory, &args, kernel, NULL);
}

/* Adds n elements of rows of `columns` to the sums of their columns, several rows at a time: reading and writing a sum
   takes longer than adding to it. */
INLINE void NAME(sum_columns)(const T *restrict dx, size_t n, size_t columns, double *restrict sums,
                              double *restrict compensation) {
    for (; n / SUMMED_ROWS >= columns; dx += SUMMED_ROWS * columns, n -= SUMMED_ROWS * columns) {
        for (size_t j = 0; j < columns; j++) {
            double sum = sums[j], low = compensation[j];
            for (size_t row = 0; row < SUMMED_ROWS; row++) {
                ADD_TO_SUM(sum, low, dx[row * columns + j]);
            }
            sums[j] = sum, compensation[j] = low;
        }
    }
    for (size_t count; n != 0; dx += count, n -= count) {
        count = smaller(n, columns);
        for (size_t j = 0; j < count; j++) {
            ADD_TO_SUM(sums[j], compensation[j], dx[j]);
        }
    }
}

/* The same kernel on a gradient, whose columns are summed, a piece at a time. */
INLINE void NAME(use_tiles_and_sum)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,
                                    NAME(arguments) args, double *sums, tile_kernel *kernel) {
    for (size_t i = 0, column = 0, count; i < n; i += count) {
        NAME(arguments) piece = args;
        piece.x += i, piece.dy += args.dy ? i : 0, piece.result += i;
        piece.other += args.other ? column : 0;
        count = summed_piece(n - i, columns, column, sizeof(T));
        NAME(use_tiles)(rule, start + i, count, columns, piece, args.dy ? piece.x : NULL, kernel);
        NAME(sum_columns)(piece.result, count, columns, sums + column, sums + columns + column);
        column = count < columns - column ? column + count : 0;
    }
}

/* The tile kernel NAME_tile of a tile function. */
#define TILE_KERNEL(function)                                                                                          \
    INLINE void NAME(function##_tile)(void *args, uint64_t keep, size_t i, size_t column, size_t count) {              \
        NAME(use_tile)(args, keep, i, column, count, NAME(function));                                                  \
    }

/* --- y = dropout(activation(x + bias)), and dx = dropout(dy * derivative(x + bias)) --- */

/* `backward` is a constant; `activation` is the derivative then. */
INLINE void NAME(activate)(uint64_t keep, const T *x, const T *bias, const T *dy, T *y, double scale,
                           T (*activation)(T), int backward) {
    _Alignas(LINE) T v[TILE];
    for (int i = 0; i < TILE; i++) {
        const T value = activation(x[i] + bias[i]);
        v[i] = NAME(canonical_nan)(backward ? dy[i] * value : value);
    }
    NAME(tile)(keep, v, y, scale);
}

#define ACTIVATION(function, backward)                                                                                 \
    INLINE void NAME(activate_##function)(uint64_t keep, const T *x, const T *bias, const T *dy, T *y, double scale) { \
        NAME(activate)(keep, x, bias, dy, y, scale, NAME(function), backward);                                         \
    }                                                                                                                  \
    TILE_KERNEL(activate_##function)
#define FORWARD(activation)                                                                                            \
    ACTIVATION(activation, 0)                                                                                          \
    static void NAME(bias_##activation)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,            \
                                        const void *x, const void *bias, void *y, double scale) {                      \
        const NAME(arguments) args = {.x = x, .other = bias, .result = y, .scale = scale};                             \
        NAME(use_tiles)(rule, start, n, columns, args, NULL, NAME(activate_##activation##_tile));                      \
    }
#define BACKWARD(activation)                                                                                           \
    ACTIVATION(activation##_slope, 1)                                                                                  \
    static void NAME(bias_##activation##_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, \
                                                   const void *x, const void *bias, const void *dy, void *dx,          \
                                                   double *sums, double scale) {                                       \
        const NAME(arguments) args = {.x = x, .other = bias, .dy = dy, .result = dx, .scale = scale};                  \
        NAME(use_tiles_and_sum)(rule, start, n, columns, args, sums, NAME(activate_##activation##_slope_tile));        \
    }

FORWARD(identity)
FORWARD(relu)
FORWARD(gelu)
FORWARD(tanh)
FORWARD(sigmoid)
FORWARD(silu)
BACKWARD(gelu)
BACKWARD(tanh)
BACKWARD(sigmoid)
BACKWARD(silu)

#undef ACTIVATION
#undef FORWARD
#undef BACKWARD

INLINE void NAME(mask)(uint64_t keep, const T *dy, const T *none, const T *no_dy, T *dx, double scale) {
    (void)none, (void)no_dy;
    NAME(tile)(keep, dy, dx, scale);
}

TILE_KERNEL(mask)

static void NAME(bias_identity_backward)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,
                                         const void *x, const void *bias, const void *dy, void *dx, double *sums,
                                         double scale) {
    (void)x, (void)bias;
    const NAME(arguments) args = {.x = dy, .result = dx, .scale = scale};
    NAME(use_tiles_and_sum)(rule, start, n, columns, args, sums, NAME(mask_tile));
}

#ifdef HAS_COMPRESS
/* If vectors can be compressed and at least a quarter is dropped, gelu is computed for the kept elements alone: they
   are compressed, computed in whole tiles when a chunk is complete, and expanded. Other activations are too short for
   that to pay: at p = 1/2 it takes as long as computing all elements. */

/* x + bias of a tile's kept elements, and perhaps more if there are fewer than TILE. */
INLINE void NAME(compress_tile)(void *kernel, uint64_t keep, size_t i, size_t column, size_t count) {
    NAME(arguments) *args = kernel;
    const T *x = args->x + i, *bias = args->other + column;
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
    args->end += NAME(compress)(keep, v, args->end);
}

INLINE void NAME(expand_chunk)(void *kernel, const uint64_t *bits, size_t shift, size_t i, size_t count) {
    NAME(arguments) *args = kernel;
    for (T *v = args->compressed; v < args->end; v += TILE) {
        for (int j = 0; j < TILE; j++) {
            v[j] = NAME(canonical_nan)(NAME(gelu)(v[j])) * (T)args->scale;
        }
    }
    const T *compressed = args->compressed;
    size_t t = 0;
    for (; (t + 1) * TILE <= count; t++) {
        compressed += NAME(expand)(bits_at(bits + t, shift), compressed, args->result + i + t * TILE);
    }
    if (t * TILE < count) {
        _Alignas(LINE) T last[TILE];
        NAME(expand)(bits_at(bits + t, shift), compressed, last);
        copy_part(args->result + i + t * TILE, last, (count - t * TILE) * sizeof(T));
    }
    args->end = args->compressed;
}

static void NAME(compressed_gelu)(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x,
                                  const void *bias, void *y, double scale) {
    if (rule->digits >> 62 == 0) {
        NAME(bias_gelu)(rule, start, n, columns, x, bias, y, scale);
        return;
    }
    _Alignas(LINE) T compressed[CHUNK + TILE] = {0};
    NAME(arguments)
    args = {.x = x, .other = bias, .result = y, .scale = scale, .compressed = compressed, .end = compressed};
    for_each_tile(rule, start, n, columns, CHUNK, 2, (prefetch){.read = x, .written = y, .bytes = TILE * sizeof(T)},
                  &args, NAME(compress_tile), NAME(expand_chunk));
}
#endif

/* --- y = dropout(x) + residual --- */

INLINE void NAME(add)(uint64_t keep, const T *x, const T *residual, const T *dy, T *y, double scale) {
    (void)dy;
    _Alignas(LINE) T v[TILE];
    NAME(tile)(keep, x, v, scale);
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(canonical_nan)(v[i] + residual[i]);
    }
    memcpy(y, v, sizeof v);
}

TILE_KERNEL(add)

static void NAME(dropout_add)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual,
                              void *y, double scale) {
    const NAME(arguments) args = {.x = x, .other = residual, .result = y, .scale = scale};
    NAME(use_tiles)(rule, start, n, n, args, residual, NAME(add_tile));
}

/* --- y = dropout(relu(x)) --- */

INLINE void NAME(rectify)(uint64_t keep, const T *x, const T *none, const T *dy, T *y, double scale) {
    (void)none, (void)dy;
    _Alignas(LINE) T v[TILE];
    for (int i = 0; i < TILE; i++) {
        v[i] = NAME(relu)(x[i]);
    }
    NAME(tile)(keep, v, y, scale);
}

TILE_KERNEL(rectify)

static void NAME(relu_dropout)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                               double scale) {
    const NAME(arguments) args = {.x = x, .result = y, .scale = scale};
    NAME(use_tiles)(rule, start, n, n, args, NULL, NAME(rectify_tile));
}

/* y > 0 says kept and positive: no mask is drawn. */
INLINE void NAME(mask_by_sign)(const T *y, const T *dy, T *dx, size_t n, T scale) {
    for (size_t i = 0, count; i < n; i += count) {
        T tile[TILE]; /* which overlaps nothing */
        count = smaller(n - i, TILE);
        if (count == TILE) { /* padding would take a third longer */
            for (size_t j = 0; j < TILE; j++) {
                tile[j] = y[i + j] > 0 ? dy[i + j] * scale : 0;
            }
        } else {
            for (size_t j = 0; j < count; j++) {
                tile[j] = y[i + j] > 0 ? dy[i + j] * scale : 0;
            }
        }
        NAME(store)(dx + i, tile, count);
    }
}

static void NAME(relu_dropout_backward)(size_t n, size_t columns, const void *result, const void *gradient,
                                        void *target, double *sums, double scale) {
    const T *y = result, *dy = gradient;
    T *dx = target;
    for (size_t i = 0, column = 0, count; i < n; i += count) {
        count = sums ? summed_piece(n - i, columns, column, sizeof(T)) : n;
        NAME(mask_by_sign)(y + i, dy + i, dx + i, count, (T)scale);
        if (sums) {
            NAME(sum_columns)(dx + i, count, columns, sums + column, sums + columns + column);
        }
        column = count < columns - column ? column + count : 0;
    }
}

static void NAME(finish_sums)(size_t columns, size_t repeats, size_t blocks, double *sums, void *target) {
    T *dbias = target;
    const size_t wide = repeats * columns;
    double *compensation = sums + wide;
    for (size_t block = 1; block < blocks; block++) {
        const double *more = sums + 2 * wide * block;
        for (size_t i = 0; i < wide; i++) {
            ADD_TO_SUM(sums[i], compensation[i], more[i]);
            compensation[i] += more[wide + i];
        }
    }
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = i + columns; j < repeats * columns; j += columns) {
            ADD_TO_SUM(sums[i], compensation[i], sums[j]);
            compensation[i] += compensation[j];
        }
        /* The compensation of an infinite sum is NaN. */
        dbias[i] = NAME(canonical_nan)((T)(sums[i] - sums[i] == 0 ? sums[i] + compensation[i] : sums[i]));
    }
}

#undef TILE_KERNEL
