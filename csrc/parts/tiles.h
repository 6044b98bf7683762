/* The loop over the tiles of an array, which draws one chunk while it uses the one before. Part of kernels.c. */
#pragma once

#include "draw.h"

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

/* Processes a tile: `count` elements of one row, from the i-th on, the first of them in `column`. */
typedef void tile_kernel(void *args, uint64_t keep, size_t i, size_t column, size_t count);

/* Processes a chunk after its tiles; the bits of tile t are bits_at(bits + t, shift). */
typedef void chunk_kernel(void *args, const uint64_t *bits, size_t shift, size_t i, size_t count);

/* Goes over n elements of rows of `columns`, the first of them element `start`. A chunk ends where its row ends; the
   first has at most `first` elements. The tiles of a chunk are drawn one by one between those of the one before it: the
   AES units work while the CPU waits for memory, and the ties of a chunk are settled together. `planes` is 1 where
   plane 0 decides all, else 2. */
INLINE void for_each_tile(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, size_t first, int planes,
                          prefetch memory, void *args, tile_kernel *use, chunk_kernel *finish) {
    uint64_t bits[2][CHUNK_WORDS], tied[CHUNK_TILES];
    chunk_keystream state;
    begin_keystream(&state, rule);
    if (rule->planes == 0) {
        memset(bits, rule->digits ? 0 : 0xff, sizeof bits);
    }
    size_t i = 0, column = 0, count = 0, next_column = 0, next = smaller(smaller(n, first), columns);
    for (int turn = 0; i != n; turn = !turn) {
        const size_t later = i + count, shift = (start + i) % TILE;
        const size_t tiles = rule->planes && next ? tiles_of((start + later) % TILE, next) : 0;
        const prefetch next_memory = prefetch_after(memory, later);
        begin_chunk(&state, rule, (start + later) / TILE, tiles);
        size_t t = 0, drawn = 0;
        for (; drawn < tiles && (t + 1) * TILE <= count; t++, drawn++) {
            prefetch_tile(next_memory, drawn);
            draw_tile(&state, rule, drawn, bits[turn], tied, planes);
            use(args, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE, TILE);
        }
        for (; drawn < tiles; drawn++) {
            prefetch_tile(next_memory, drawn);
            draw_tile(&state, rule, drawn, bits[turn], tied, planes);
        }
        for (; t * TILE < count; t++) {
            use(args, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE,
                smaller(count - t * TILE, TILE));
        }
        if (finish) {
            finish(args, bits[!turn], shift, i, count);
        }
        if (planes > 1 && rule->planes > 1) {
            finish_chunk(&state, rule, bits[turn], tied);
        }
        i = later, column = next_column, count = next;
        next_column = column + count < columns ? column + count : 0;
        next = smaller(smaller(n - i - count, CHUNK), columns - next_column);
    }
}

/* The same for an array without rows, compiled once for one plane and once for more. */
INLINE void for_each_tile_of_array(const simdrop_rule *rule, uint64_t start, size_t n, size_t first, prefetch memory,
                                   void *args, tile_kernel *use) {
    if (rule->planes == 1) {
        for_each_tile(rule, start, n, n, first, 1, memory, args, use, NULL);
    } else {
        for_each_tile(rule, start, n, n, first, 2, memory, args, use, NULL);
    }
}

/* The same for arrays without rows, but a chunk is drawn before it is used. For large arrays it takes longer, for short
   kernels less: a tenth for keep and packbits of a chunk, a fifth for dropout_shift in the caches. */
INLINE void for_each_drawn_tile(const simdrop_rule *rule, uint64_t start, size_t n, prefetch memory, void *args,
                                tile_kernel *use) {
    uint64_t bits[CHUNK_WORDS];
    for (size_t i = 0, count; i < n; i += count) {
        const size_t shift = (start + i) % TILE;
        count = smaller(n - i, CHUNK);
        draw_chunk(rule, (start + i) / TILE, tiles_of(shift, count), bits, prefetch_after(memory, i));
        size_t t = 0;
        for (; (t + 1) * TILE <= count; t++) {
            use(args, bits_at(bits + t, shift), i + t * TILE, i + t * TILE, TILE);
        }
        if (t * TILE < count) {
            use(args, bits_at(bits + t, shift), i + t * TILE, i + t * TILE, count - t * TILE);
        }
    }
}
