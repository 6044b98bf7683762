/* Which of a matrix's rows or columns are kept: a bit each, or NULL for all. Part of kernels.c. */

static inline int is_kept(const uint8_t *keep, size_t i) { return keep == NULL || (keep[i / 8] >> i % 8 & 1); }

/* Of the n <= TILE from i on, i a multiple of TILE. */
static inline uint64_t tile_kept(const uint8_t *keep, size_t i, size_t n) {
    const uint64_t all = n < TILE ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    return keep ? load_little_endian(keep + i / 8) & all : all;
}

/* Of the first n. */
static inline size_t count_kept(const uint8_t *keep, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i += TILE) {
        count += (size_t)__builtin_popcountll(tile_kept(keep, i, smaller(TILE, n - i)));
    }
    return count;
}

enum { FETCHED = 2048, WIDE_ROW = 1 << 14 }; /* bytes */

/* How many elements further on memory is to be fetched: the next kept row's, or where rows are wide, this one's. */
static inline size_t fetch_ahead(const simdrop_part *part, size_t row, size_t size) {
    if (part->columns * size > WIDE_ROW) {
        return FETCHED / size;
    }
    size_t next = row + 1;
    while (next < part->stop && !is_kept(part->keep_rows, next)) {
        next++;
    }
    return (next - row) * part->columns;
}
