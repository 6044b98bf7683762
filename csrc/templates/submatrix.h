/* Kept rows and columns of weight matrices for one floating-point type: a part of floats.h.

   A row is worked on a tile at a time, in loops that the compiler vectorises. */

/* A tile's lines, to the second-level cache: the CPU's own prefetching leaves some of the memory's bandwidth unused. */
INLINE void NAME(prefetch_elements)(const T *tile, int written) {
    for (size_t line = 0; line < TILE * sizeof(T); line += LINE) {
        if (written) {
            __builtin_prefetch((const char *)tile + line, 1, 2);
        } else {
            __builtin_prefetch((const char *)tile + line, 0, 2);
        }
    }
}

static void NAME(gather)(const simdrop_submatrix *submatrix, const void *matrix, void *compact) {
    const size_t columns = submatrix->columns, width = count_kept(submatrix->keep_columns, columns);
    T *to = (T *)compact + count_kept(submatrix->keep_rows, submatrix->first) * width;
    const T *const end = (T *)compact + count_kept(submatrix->keep_rows, submatrix->stop) * width;
    for (size_t row = submatrix->first; row < submatrix->stop; row++) {
        if (!is_kept(submatrix->keep_rows, row)) {
            continue;
        }
        const T *from = (const T *)matrix + row * columns;
        const size_t distance = row_prefetch_distance(submatrix, row, sizeof(T));
        for (size_t j = 0; j < columns; j += TILE) {
            const size_t n = smaller(TILE, columns - j);
            const uint64_t keep = keep_bits_of_tile(submatrix->keep_columns, j, n);
            _Alignas(LINE) T last[TILE];
            NAME(prefetch_elements)(from + j + distance, 0);
            const T *x = NAME(padded)(last, from + j, n);
            if (end - to >= TILE) {
                to += NAME(compress)(keep, x, to);
            } else { /* whole vectors would reach beyond the end */
                _Alignas(LINE) T compressed[TILE];
                const size_t count = NAME(compress)(keep, x, compressed);
                memcpy(to, compressed, count * sizeof *to);
                to += count;
            }
        }
    }
}

/* A value that only decays would become subnormal, and CPUs are slow on subnormal numbers. */
INLINE T NAME(normal_or_zero)(T x) { return x < TINY && x > -TINY ? 0 : x; }

INLINE T NAME(penalized)(const simdrop_step *step, T g, T w) {
    return g + (T)step->l2 * w + (T)step->l1 * (T)((w > 0) - (w < 0));
}

INLINE void NAME(sgd_tile)(const simdrop_step *step, const T *g, T *w, T *v, T *unused) {
    (void)unused;
    const T momentum = (T)step->momentum;
    for (int i = 0; i < TILE; i++) {
        const T descent = (T)-step->lr * NAME(penalized)(step, g[i], w[i]);
        const T velocity = NAME(normal_or_zero)(momentum * v[i] + descent);
        v[i] = velocity;
        w[i] += step->nesterov ? momentum * velocity + descent : velocity;
    }
}

INLINE void NAME(adam_tile)(const simdrop_step *step, const T *g, T *w, T *m, T *v) {
    for (int i = 0; i < TILE; i++) {
        const T gradient = NAME(penalized)(step, g[i], w[i]);
        m[i] = NAME(normal_or_zero)((T)step->beta1 * m[i] + (T)(1 - step->beta1) * gradient);
        v[i] = NAME(normal_or_zero)((T)step->beta2 * v[i] + (T)(1 - step->beta2) * gradient * gradient);
        w[i] -= (T)step->lr * m[i] / (SQRT(v[i]) * (T)step->root_scale + (T)step->eps);
    }
}

INLINE void NAME(add_squares)(const T *w, size_t n, double *squares) {
    for (size_t i = 0; i < n; i++) {
        squares[i] += (double)w[i] * (double)w[i];
    }
}

/* One step for the kept weights and their optimizer state: `states` arrays of the shape of w. */
INLINE void NAME(update)(const simdrop_submatrix *submatrix, const simdrop_step *step, T *w, T *state, T *second_state,
                         int states, const T *g, double *squares,
                         void (*update_tile)(const simdrop_step *, const T *, T *, T *, T *)) {
    const simdrop_step constants = *step; /* which no store can change */
    const size_t columns = submatrix->columns, width = count_kept(submatrix->keep_columns, columns);
    const T *const end = g + count_kept(submatrix->keep_rows, submatrix->stop) * width;
    g += count_kept(submatrix->keep_rows, submatrix->first) * width;
    for (size_t j = 0; squares && j < columns; j++) {
        squares[j] = 0;
    }
    for (size_t row = submatrix->first; row < submatrix->stop; row++) {
        const size_t distance = row_prefetch_distance(submatrix, row, sizeof(T));
        T *all[3] = {w + row * columns, state + row * columns, states > 1 ? second_state + row * columns : NULL};
        for (size_t j = 0; is_kept(submatrix->keep_rows, row) && j < columns; j += TILE) {
            const size_t n = smaller(TILE, columns - j);
            const uint64_t keep = keep_bits_of_tile(submatrix->keep_columns, j, n);
            NAME(prefetch_elements)(g + PREFETCH_BYTES / sizeof(T), 0);
            for (int k = 0; k <= states; k++) {
                NAME(prefetch_elements)(all[k] + j + distance, 1);
            }
            if (keep == UINT64_MAX) {
                update_tile(&constants, g, all[0] + j, all[1] + j, states > 1 ? all[2] + j : NULL);
                g += TILE;
                continue;
            }
            _Alignas(LINE) T gradient[TILE], last[TILE], after[3][TILE];
            g += NAME(expand)(keep, NAME(padded)(last, g, smaller(TILE, (size_t)(end - g))), gradient);
            for (int k = 0; k <= states; k++) {
                memcpy(after[k], NAME(padded)(last, all[k] + j, n), sizeof after[k]);
            }
            update_tile(&constants, gradient, after[0], after[1], after[2]);
            for (int k = 0; k <= states; k++) {
                if (n == TILE) {
                    NAME(store_kept)(keep, after[k], all[k] + j);
                } else {
                    NAME(pad)(last, all[k] + j, n);
                    NAME(store_kept)(keep, after[k], last);
                    NAME(store)(all[k] + j, last, n);
                }
            }
        }
        if (squares) {
            NAME(add_squares)(all[0], columns, squares);
        }
    }
}

static void NAME(sgd)(const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v, const void *g,
                      double *squares) {
    NAME(update)(submatrix, step, w, v, NULL, 1, g, squares, NAME(sgd_tile));
}

static void NAME(adam)(const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m, void *v,
                       const void *g, double *squares) {
    NAME(update)(submatrix, step, w, m, v, 2, g, squares, NAME(adam_tile));
}
