/* Tiles of elements: those of composed types, and the loop that draws a chunk's while it uses the one before. Part of
   kernels.c. */

/* Elements of the first chunk of a large array: those before a batch begins, or else a line of y. */
static inline size_t first_chunk(uint64_t start, const void *y, size_t bytes) {
#ifdef BATCH_TILES
    (void)y, (void)bytes;
    return CHUNK - start % (BATCH_TILES * TILE);
#else
    (void)start;
    return -(uintptr_t)y % LINE / bytes;
#endif
}

/* What a kernel does with a tile: `count` elements from its i-th on, of one row, whose first is in that column. */
typedef void tile_use(void *kernel, uint64_t keep, size_t i, size_t column, size_t count);

/* And with a chunk after its tiles; tile t has bits_at(bits + t, shift). */
typedef void chunk_use(void *kernel, const uint64_t *bits, size_t shift, size_t i, size_t count);

/* Goes over n elements of rows of `columns`, the first of them element `start`. As in templates/apply.h, the tiles of
   a chunk, which ends where its row ends, are drawn between those of the one before it. */
INLINE void over_tiles(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, lookahead ahead,
                       void *kernel, tile_use *use, chunk_use *finish) {
    uint64_t bits[2][CHUNK_TILES + 1], tied[CHUNK_TILES];
    drawing drawing;
    begin_drawing(&drawing, rule);
    memset(bits, rule->digits ? 0 : 0xff, sizeof bits);
    size_t i = 0, column = 0, count = 0, next_column = 0, next = smaller(smaller(n, CHUNK), columns);
    for (int turn = 0; i != n; turn = !turn) {
        const size_t later = i + count, shift = (start + i) % TILE;
        const size_t tiles = rule->planes && next ? tiles_of((start + later) % TILE, next) : 0;
        const lookahead of_next = ahead_by(ahead, later);
        begin_chunk(&drawing, rule, (start + later) / TILE, tiles);
        size_t t = 0, drawn = 0;
        for (; drawn < tiles && (t + 1) * TILE <= count; t++, drawn++) {
            draw_tile(&drawing, rule, drawn, bits[turn], tied, of_next, 2);
            use(kernel, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE, TILE);
        }
        for (; drawn < tiles; drawn++) {
            draw_tile(&drawing, rule, drawn, bits[turn], tied, of_next, 2);
        }
        for (; t * TILE < count; t++) {
            use(kernel, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE,
                smaller(count - t * TILE, TILE));
        }
        if (finish) {
            finish(kernel, bits[!turn], shift, i, count);
        }
        if (rule->planes > 1) {
            settle_ties(rule, drawing.keys, drawing.tile, bits[turn], tied, tiles);
        }
        i = later, column = next_column, count = next;
        next_column = column + count < columns ? column + count : 0;
        next = smaller(smaller(n - i - count, CHUNK), columns - next_column);
    }
}

/* Every bit twice: a complex number has two parts and one decision. */
static inline uint64_t twice(uint64_t bits) {
    bits &= 0xffffffff;
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    bits = (bits | bits << 1) & 0x5555555555555555;
    return bits * 3;
}

typedef struct {
    float part[2];
} c64;

typedef struct {
    double part[2];
} c128;

typedef struct {
    uint64_t part[2];
} u128;

static inline void tile_c64(uint64_t keep, const c64 *x, c64 *y, float scale) {
    tile_f32(twice(keep), x[0].part, y[0].part, scale);
    tile_f32(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_c128(uint64_t keep, const c128 *x, c128 *y, double scale) {
    tile_f64(twice(keep), x[0].part, y[0].part, scale);
    tile_f64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_u128(uint64_t keep, const u128 *x, u128 *y) {
    tile_u64(twice(keep), x[0].part, y[0].part);
    tile_u64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part);
}
