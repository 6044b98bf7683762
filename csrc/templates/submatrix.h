/* Weight matrices in parts for one type: kernels.c includes it once for each, with T (an element), NAME (its suffix),
   SQRT and TINY (the smallest normal number).

   A row is worked on a tile at a time, in loops that the compiler vectorises. */

/* What bits keep of a tile, packed; back, with zeros between; and to its places among others. */

#ifndef PACKS
INLINE size_t NAME(pack)(uint64_t keep, const T *x, T *packed) {
    size_t count = 0;
    for (; keep != 0; keep &= keep - 1) {
        packed[count++] = x[__builtin_ctzll(keep)];
    }
    return count;
}

INLINE size_t NAME(unpack)(uint64_t keep, const T *packed, T *y) {
    size_t count = 0;
    memset(y, 0, TILE * sizeof(T));
    for (; keep != 0; keep &= keep - 1) {
        y[__builtin_ctzll(keep)] = packed[count++];
    }
    return count;
}

INLINE void NAME(put)(uint64_t keep, const T *x, T *y) {
    for (; keep != 0; keep &= keep - 1) {
        const int i = __builtin_ctzll(keep);
        y[i] = x[i];
    }
}
#endif

/* Lines that a tile further on begins with, while the caches' own prefetching leaves some of the memory's speed. */
INLINE void NAME(fetch_tile)(const T *tile, int written) {
    for (size_t line = 0; line < TILE * sizeof(T); line += LINE) {
        if (written) {
            __builtin_prefetch((const char *)tile + line, 1, 2);
        } else {
            __builtin_prefetch((const char *)tile + line, 0, 2);
        }
    }
}

static void NAME(gather)(const simdrop_part *part, const void *matrix, void *packed) {
    const size_t columns = part->columns, width = count_kept(part->keep_columns, columns);
    T *to = (T *)packed + count_kept(part->keep_rows, part->first) * width;
    const T *const end = (T *)packed + count_kept(part->keep_rows, part->stop) * width;
    for (size_t row = part->first; row < part->stop; row++) {
        if (!is_kept(part->keep_rows, row)) {
            continue;
        }
        const T *from = (const T *)matrix + row * columns;
        const size_t ahead = fetch_ahead(part, row, sizeof(T));
        for (size_t j = 0; j < columns; j += TILE) {
            const size_t n = smaller(TILE, columns - j);
            const uint64_t keep = tile_kept(part->keep_columns, j, n);
            _Alignas(LINE) T last[TILE];
            NAME(fetch_tile)(from + j + ahead, 0);
            const T *x = NAME(whole)(last, from + j, n);
            if (end - to >= TILE) {
                to += NAME(pack)(keep, x, to);
            } else { /* whole vectors would reach behind what is packed here */
                _Alignas(LINE) T packed_tile[TILE];
                const size_t count = NAME(pack)(keep, x, packed_tile);
                memcpy(to, packed_tile, count * sizeof *to);
                to += count;
            }
        }
    }
}

/* What decays without end would end among the subnormal numbers, on which CPUs are slow. */
INLINE T NAME(normal_or_zero)(T x) { return x < TINY && x > -TINY ? 0 : x; }

INLINE T NAME(penalized)(const simdrop_descent *how, T g, T w) {
    return g + (T)how->l2 * w + (T)how->l1 * (T)((w > 0) - (w < 0));
}

INLINE void NAME(sgd_tile)(const simdrop_descent *how, const T *g, T *w, T *v, T *unused) {
    (void)unused;
    const T momentum = (T)how->momentum;
    for (int i = 0; i < TILE; i++) {
        const T step = (T)-how->lr * NAME(penalized)(how, g[i], w[i]);
        const T velocity = NAME(normal_or_zero)(momentum * v[i] + step);
        v[i] = velocity;
        w[i] += how->nesterov ? momentum * velocity + step : velocity;
    }
}

INLINE void NAME(adam_tile)(const simdrop_descent *how, const T *g, T *w, T *m, T *v) {
    for (int i = 0; i < TILE; i++) {
        const T gradient = NAME(penalized)(how, g[i], w[i]);
        m[i] = NAME(normal_or_zero)((T)how->beta1 * m[i] + (T)(1 - how->beta1) * gradient);
        v[i] = NAME(normal_or_zero)((T)how->beta2 * v[i] + (T)(1 - how->beta2) * gradient * gradient);
        w[i] -= (T)how->lr * m[i] / (SQRT(v[i]) * (T)how->root_scale + (T)how->eps);
    }
}

INLINE void NAME(add_squares)(const T *w, size_t n, double *squares) {
    for (size_t i = 0; i < n; i++) {
        squares[i] += (double)w[i] * (double)w[i];
    }
}

/* `states` arrays beside w, of its shape, which change as it does. */
INLINE void NAME(descend)(const simdrop_part *part, const simdrop_descent *how, T *w, T *state, T *other, int states,
                          const T *g, double *squares,
                          void (*descend_tile)(const simdrop_descent *, const T *, T *, T *, T *)) {
    const simdrop_descent constants = *how; /* which nothing written can change */
    const size_t columns = part->columns, width = count_kept(part->keep_columns, columns);
    const T *const end = g + count_kept(part->keep_rows, part->stop) * width;
    g += count_kept(part->keep_rows, part->first) * width;
    for (size_t j = 0; squares && j < columns; j++) {
        squares[j] = 0;
    }
    for (size_t row = part->first; row < part->stop; row++) {
        const size_t ahead = fetch_ahead(part, row, sizeof(T));
        T *all[3] = {w + row * columns, state + row * columns, states > 1 ? other + row * columns : NULL};
        for (size_t j = 0; is_kept(part->keep_rows, row) && j < columns; j += TILE) {
            const size_t n = smaller(TILE, columns - j);
            const uint64_t keep = tile_kept(part->keep_columns, j, n);
            NAME(fetch_tile)(g + FETCHED / sizeof(T), 0);
            for (int k = 0; k <= states; k++) {
                NAME(fetch_tile)(all[k] + j + ahead, 1);
            }
            if (keep == UINT64_MAX) {
                descend_tile(&constants, g, all[0] + j, all[1] + j, states > 1 ? all[2] + j : NULL);
                g += TILE;
                continue;
            }
            _Alignas(LINE) T gradient[TILE], last[TILE], after[3][TILE];
            g += NAME(unpack)(keep, NAME(whole)(last, g, smaller(TILE, (size_t)(end - g))), gradient);
            for (int k = 0; k <= states; k++) {
                memcpy(after[k], NAME(whole)(last, all[k] + j, n), sizeof after[k]);
            }
            descend_tile(&constants, gradient, after[0], after[1], after[2]);
            for (int k = 0; k <= states; k++) {
                NAME(put)(keep, after[k], all[k] + j);
            }
        }
        if (squares) {
            NAME(add_squares)(all[0], columns, squares);
        }
    }
}

static void NAME(sgd)(const simdrop_part *part, const simdrop_descent *how, void *w, void *v, const void *g,
                      double *squares) {
    NAME(descend)(part, how, w, v, NULL, 1, g, squares, NAME(sgd_tile));
}

static void NAME(adam)(const simdrop_part *part, const simdrop_descent *how, void *w, void *m, void *v, const void *g,
                       double *squares) {
    NAME(descend)(part, how, w, m, v, 2, g, squares, NAME(adam_tile));
}

#undef T
#undef NAME
#undef SQRT
#undef TINY
