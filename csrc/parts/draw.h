/* From a rule to the keep bits of a chunk: keystream, comparison, ties. Part of kernels.c. */

/* Counter word that stands above the block number. */
static inline uint64_t counter_high(const simdrop_rule *rule, uint64_t plane) { return rule->draw | plane << 56; }

/* The positions of the set bits of tied[0..tiles), and how many there are. Mostly a tile has none or one, which needs
   no branch that could be mispredicted. */
INLINE size_t positions_of(const uint64_t *tied, size_t tiles, uint16_t *positions) {
    size_t count = 0;
    for (size_t t = 0; t < tiles; t++) {
        positions[count] = (uint16_t)(t * TILE + (size_t)__builtin_ctzll(tied[t] | UINT64_C(1) << 63));
        count += tied[t] != 0;
        for (uint64_t others = tied[t] & (tied[t] - 1); __builtin_expect(others != 0, 0); others &= others - 1) {
            positions[count++] = (uint16_t)(t * TILE + (size_t)__builtin_ctzll(others));
        }
    }
    return count;
}

/* The elements of a chunk whose bits are set in `tied` are equal to p in plane 0, one in 256 of all. Draw their bytes
   in the next planes, four blocks a vector, until each is decided; clear the bits of those dropped. */
INLINE void settle_ties(const simdrop_rule *rule, cipher keys, uint64_t tile, uint64_t *bits, const uint64_t *tied,
                        size_t tiles) {
    uint16_t positions[CHUNK_TILES * TILE + 4];
    size_t count = positions_of(tied, tiles, positions);
    const uint64_t first_block = tile * (TILE / SIMDROP_BLOCK_BYTES);
    for (uint64_t plane = 1; plane < rule->planes && count != 0; plane++) {
        const uint64_t high = counter_high(rule, plane);
        const uint8_t digit = (uint8_t)(rule->digits >> (56 - 8 * plane));
        size_t still_tied = 0;
        memset(positions + count, 0, 4 * sizeof *positions); /* the last vector may draw what nobody needs */
        for (size_t i = 0; i < count; i += 4) {
            uint64_t blocks[4];
            for (size_t j = 0; j < 4; j++) {
                blocks[j] = first_block + positions[i + j] / SIMDROP_BLOCK_BYTES;
            }
            uint8_t keystream[TILE];
            store_bytes(keystream, encrypt(keys, counters_at(blocks, high)));
            for (size_t j = 0; j < 4 && i + j < count; j++) {
                const size_t e = positions[i + j];
                const uint8_t byte = keystream[j * SIMDROP_BLOCK_BYTES + e % SIMDROP_BLOCK_BYTES];
                bits[e / TILE] &= ~((uint64_t)(byte < digit) << e % TILE);
                positions[still_tied] = (uint16_t)e;
                still_tied += byte == digit;
            }
        }
        count = still_tied;
    }
}

/* What the caller touches next, `bytes` a tile: the AES units leave the memory idle, so it is fetched while they work.
 */
typedef struct {
    const void *read, *written, *also_read; /* NULL where there is nothing to fetch */
    size_t bytes;
} lookahead;

/* What is some whole elements later. */
INLINE lookahead ahead_by(lookahead next, size_t elements) {
    const size_t bytes = elements * (next.bytes / TILE);
    next.read = (const char *)next.read + bytes;
    next.written = next.written ? (const char *)next.written + bytes : NULL;
    next.also_read = next.also_read ? (const char *)next.also_read + bytes : NULL;
    return next;
}

INLINE void fetch(lookahead next, size_t tile) {
    const size_t first = tile * next.bytes;
    for (size_t line = 0; line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.read + first + line, 0);
    }
    for (size_t line = 0; next.written && line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.written + first + line, 1);
    }
    for (size_t line = 0; next.also_read && line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.also_read + first + line, 0);
    }
}

/* What draws the tiles of a chunk one after the other. */
typedef struct {
    cipher keys;
    uint64_t tile; /* the first, and how many */
    size_t tiles;
#ifdef BATCH_TILES
    batch_cipher batch;
    int has_batch;
#else
    counters next;
#endif
} drawing;

INLINE void begin_drawing(drawing *drawing, const simdrop_rule *rule) {
    drawing->keys = load_cipher(rule->round_keys);
#ifdef BATCH_TILES
    drawing->has_batch = 0;
#endif
}

INLINE void begin_chunk(drawing *drawing, const simdrop_rule *rule, uint64_t tile, size_t tiles) {
    drawing->tile = tile;
    drawing->tiles = tiles;
#ifdef BATCH_TILES
    (void)rule;
    if (!drawing->has_batch && tiles >= BATCH_LEAST) {
        load_batch_cipher(&drawing->batch, &drawing->keys);
        drawing->has_batch = 1;
    }
#else
    drawing->next = counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), counter_high(rule, 0));
#endif
}

#ifdef BATCH_TILES
/* Tile t of a chunk, and those after it in its batch. */
INLINE void compare_tiles(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                          int planes) {
    const uint64_t tile = drawing->tile + t, high = counter_high(rule, 0);
    const uint8_t digit = (uint8_t)(rule->digits >> 56);
    if (drawing->tiles < BATCH_LEAST) {
        const bytes64 keystream = encrypt(drawing->keys, counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), high));
        bits[t] = at_least(keystream, digit);
        tied[t] = equal(keystream, digit);
    } else if (t == 0 || tile % BATCH_TILES == 0) {
        const size_t skip = tile % BATCH_TILES, count = smaller(drawing->tiles - t, BATCH_TILES - skip);
        uint64_t batch_bits[BATCH_TILES], batch_tied[BATCH_TILES];
        compare_batch(&drawing->keys, &drawing->batch, (tile - skip) * (TILE / SIMDROP_BLOCK_BYTES), high, digit,
                      batch_bits, planes > 1 ? batch_tied : NULL);
        memcpy(bits + t, batch_bits + skip, count * sizeof *bits);
        if (planes > 1) {
            memcpy(tied + t, batch_tied + skip, count * sizeof *tied);
        }
    }
}
#else
INLINE void compare_tiles(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                          int planes) {
    const uint8_t digit = (uint8_t)(rule->digits >> 56);
    const bytes64 keystream = encrypt(drawing->keys, drawing->next);
    drawing->next = counters_after(drawing->next);
    bits[t] = at_least(keystream, digit);
    if (planes > 1) {
        tied[t] = equal(keystream, digit);
    }
}
#endif

/* Tile t of a chunk: the bits of those that plane 0 keeps, and where it does not decide all (planes > 1) of those equal
   to p's first digit. */
INLINE void draw_tile(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                      lookahead ahead, int planes) {
    fetch(ahead, t);
    compare_tiles(drawing, rule, t, bits, tied, planes);
}

INLINE void draw_planes(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, lookahead ahead,
                        int planes) {
    uint64_t tied[CHUNK_TILES];
    drawing drawing;
    begin_drawing(&drawing, rule);
    begin_chunk(&drawing, rule, tile, tiles);
    for (size_t t = 0; t < tiles; t++) {
        draw_tile(&drawing, rule, t, bits, tied, ahead, planes);
    }
    if (planes > 1) {
        settle_ties(rule, drawing.keys, tile, bits, tied, tiles);
    }
}

/* The keep bits of whole tiles, at most a chunk: bit i of bits[t] is element 64 (tile + t) + i. */
INLINE void draw_keep_bits(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, lookahead ahead) {
    if (rule->planes == 0) {
        memset(bits, rule->digits ? 0 : 0xff, tiles * sizeof *bits);
    } else if (rule->planes == 1) {
        draw_planes(rule, tile, tiles, bits, ahead, 1);
    } else {
        draw_planes(rule, tile, tiles, bits, ahead, 2);
    }
}

/* Keep bits from element `start` on; they begin start % 64 bits into bits[0]. */
static void draw(const simdrop_rule *rule, uint64_t start, size_t n, uint64_t *bits) {
    const size_t tiles = tiles_of(start % TILE, n);
    for (size_t t = 0; t < tiles; t += CHUNK / TILE) {
        draw_keep_bits(rule, start / TILE + t, smaller(tiles - t, CHUNK / TILE), bits + t, (lookahead){0});
    }
}
