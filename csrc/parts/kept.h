/* Which of a matrix's rows or columns are kept: a bit each, or NULL for all. Part of kernels.c. */
#pragma once

#include "common.h"

static inline int is_kept(const uint8_t *keep, size_t i) { return keep == NULL || (keep[i / 8] >> i % 8 & 1); }

/* The bits of the n <= TILE from i on, i a multiple of TILE. */
static inline uint64_t keep_bits_of_tile(const uint8_t *keep, size_t i, size_t n) {
    const uint64_t all = low_bits(n);
    return keep ? load_little_endian(keep + i / 8) & all : all;
}

/* How many of the first n. */
static inline size_t count_kept(const uint8_t *keep, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i += TILE) {
        count += (size_t)__builtin_popcountll(keep_bits_of_tile(keep, i, smaller(TILE, n - i)));
    }
    return count;
}

enum { PREFETCH_BYTES = 2048, WIDE_ROW = 1 << 14 }; /* bytes */

/* How many elements ahead to prefetch: the next kept row's, or if rows are wide, this one's. */
static inline size_t row_prefetch_distance(const simdrop_submatrix *submatrix, size_t row, size_t size) {
    if (submatrix->columns * size > WIDE_ROW) {
        return PREFETCH_BYTES / size;
    }
    size_t next = row + 1;
    while (next < submatrix->stop && !is_kept(submatrix->keep_rows, next)) {
        next++;
    }
    return (next - row) * submatrix->columns;
}
