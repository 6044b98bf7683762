/* From a rule to the keep bits of a chunk: keystream, comparison, ties. Part of kernels.c. */
#pragma once

#include "common.h"
#include "prefetch.h"

/* The upper word of a counter block, above the block number. */
static inline uint64_t counter_high(const simdrop_rule *rule, uint64_t plane) { return rule->draw | plane << 56; }

/* The counters of four blocks from `block` on. */
static inline counters counters_from(uint64_t block, uint64_t high) {
    return counters_at((const uint64_t[4]){block, block + 1, block + 2, block + 3}, high);
}

/* The values of p of elements that follow each other, `stride` bytes apart. */
typedef struct {
    const char *at;
    ptrdiff_t stride;
} p_array;

static inline double p_at(p_array p, size_t i) {
    double value;
    memcpy(&value, p.at + (ptrdiff_t)i * p.stride, sizeof value);
    return value;
}

/* The first of p's digits; rounding does not reach it. */
static inline uint8_t first_digit(double p) { return (uint8_t)(int)(p < 1 ? p * 256 : 255); }

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

/* The elements at `positions`, counted from the first one of `tile`, are equal to p in plane 0, one in 256 of all. Draw
   their bytes in the next planes, four blocks a vector, until each is decided; clear the bits of those dropped. Returns
   how many are equal to p in all planes, and moves their positions to the front. If `each` is not NULL, the element
   `shift` from the first one of `tile` and those after it have these p instead of the rule's. Overwrites four positions
   more. */
INLINE size_t settle_ties(const simdrop_rule *rule, cipher keys, uint64_t tile, uint64_t planes, uint64_t *bits,
                          uint16_t *positions, size_t count, const p_array *each, size_t shift) {
    const uint64_t first_block = tile * (TILE / SIMDROP_BLOCK_BYTES);
    for (uint64_t plane = 1; plane < planes && count != 0; plane++) {
        const uint64_t high = counter_high(rule, plane);
        size_t still_tied = 0;
        memset(positions + count, 0, 4 * sizeof *positions); /* the last vector may have fewer than four */
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
                const uint64_t digits = each ? simdrop_digits(p_at(*each, e - shift)) : rule->digits;
                const uint8_t digit = (uint8_t)(digits >> (56 - 8 * plane));
                bits[e / TILE] &= ~((uint64_t)(byte < digit) << e % TILE);
                positions[still_tied] = (uint16_t)e;
                still_tied += byte == digit;
            }
        }
        count = still_tied;
    }
    return count;
}

/* Keystream state for one chunk, whose tiles are drawn one after the other. */
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
} chunk_keystream;

INLINE void begin_keystream(chunk_keystream *state, const simdrop_rule *rule) {
    state->keys = load_cipher(rule->round_keys);
#ifdef BATCH_TILES
    state->has_batch = 0;
#endif
}

INLINE void begin_chunk(chunk_keystream *state, const simdrop_rule *rule, uint64_t tile, size_t tiles) {
    state->tile = tile;
    state->tiles = tiles;
#ifdef BATCH_TILES
    (void)rule;
    if (!state->has_batch && tiles >= BATCH_LEAST) {
        load_batch_cipher(&state->batch, &state->keys);
        state->has_batch = 1;
    }
#else
    state->next = counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), counter_high(rule, 0));
#endif
}

/* Tile t of a chunk, and in batches those after it: the bits of those that plane 0 keeps, and if it does not decide all
   (planes > 1), those equal to p's first digit. */
INLINE void draw_tile(chunk_keystream *state, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                      int planes) {
    const uint8_t digit = (uint8_t)(rule->digits >> 56);
#ifdef BATCH_TILES
    const uint64_t tile = state->tile + t, high = counter_high(rule, 0);
    if (state->tiles < BATCH_LEAST) {
        const bytes64 keystream = encrypt(state->keys, counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), high));
        bits[t] = at_least(keystream, digit);
        tied[t] = equal(keystream, digit);
    } else if (t == 0 || tile % BATCH_TILES == 0) {
        const size_t skip = tile % BATCH_TILES, count = smaller(state->tiles - t, BATCH_TILES - skip);
        uint64_t batch_bits[BATCH_TILES], batch_tied[BATCH_TILES];
        compare_batch(&state->keys, &state->batch, (tile - skip) * (TILE / SIMDROP_BLOCK_BYTES), high, digit,
                      batch_bits, planes > 1 ? batch_tied : NULL);
        memcpy(bits + t, batch_bits + skip, count * sizeof *bits);
        if (planes > 1) {
            memcpy(tied + t, batch_tied + skip, count * sizeof *tied);
        }
    }
#else
    const bytes64 keystream = encrypt(state->keys, state->next);
    state->next = counters_after(state->next);
    bits[t] = at_least(keystream, digit);
    if (planes > 1) {
        tied[t] = equal(keystream, digit);
    }
#endif
}

/* The ties of a chunk whose tiles are drawn. */
INLINE void finish_chunk(const chunk_keystream *state, const simdrop_rule *rule, uint64_t *bits, const uint64_t *tied) {
    uint16_t positions[CHUNK_TILES * TILE + 4];
    const size_t count = positions_of(tied, state->tiles, positions);
    settle_ties(rule, state->keys, state->tile, rule->planes, bits, positions, count, NULL, 0);
}

INLINE void draw_planes(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, prefetch memory,
                        int planes) {
    uint64_t tied[CHUNK_TILES];
    chunk_keystream state;
    begin_keystream(&state, rule);
    begin_chunk(&state, rule, tile, tiles);
    for (size_t t = 0; t < tiles; t++) {
        prefetch_tile(memory, t);
        draw_tile(&state, rule, t, bits, tied, planes);
    }
    if (planes > 1) {
        finish_chunk(&state, rule, bits, tied);
    }
}

/* The keep bits of the tiles of a chunk. */
INLINE void draw_chunk(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, prefetch memory) {
    if (rule->planes == 0) {
        memset(bits, rule->digits ? 0 : 0xff, tiles * sizeof *bits);
    } else if (rule->planes == 1) {
        draw_planes(rule, tile, tiles, bits, memory, 1);
    } else {
        draw_planes(rule, tile, tiles, bits, memory, 2);
    }
}

/* The keep bits of n elements from `start` on; they begin start % 64 bits into bits[0]. */
static void draw(const simdrop_rule *rule, uint64_t start, size_t n, uint64_t *bits) {
    const size_t tiles = tiles_of(start % TILE, n);
    for (size_t t = 0; t < tiles; t += CHUNK / TILE) {
        draw_chunk(rule, start / TILE + t, smaller(tiles - t, CHUNK / TILE), bits + t, (prefetch){0});
    }
}

/* The same for at most a chunk of elements that each have a p of their own. */
static void draw_each(const simdrop_rule *rule, uint64_t start, size_t n, p_array p, uint64_t *bits) {
    const cipher keys = load_cipher(rule->round_keys);
    const size_t shift = start % TILE, tiles = tiles_of(shift, n);
    uint8_t digit[CHUNK_TILES * TILE];
    memset(digit, 0, TILE); /* where there is no p in the first tile, and in the last */
    memset(digit + (tiles - 1) * TILE, 0, TILE);
    if (p.stride == sizeof(double)) { /* a constant stride is faster */
        for (size_t i = 0; i < n; i++) {
            digit[shift + i] = first_digit(p_at((p_array){p.at, sizeof(double)}, i));
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            digit[shift + i] = first_digit(p_at(p, i));
        }
    }
    uint64_t tied[CHUNK_TILES];
    counters next = counters_from(start / TILE * (TILE / SIMDROP_BLOCK_BYTES), counter_high(rule, 0));
    for (size_t t = 0; t < tiles; t++) {
        uint8_t keystream[TILE], kept[TILE], equal_digit[TILE];
        store_bytes(keystream, encrypt(keys, next));
        next = counters_after(next);
        for (size_t i = 0; i < TILE; i++) {
            kept[i] = keystream[i] >= digit[t * TILE + i];
            equal_digit[i] = keystream[i] == digit[t * TILE + i];
        }
        bits[t] = equal(load_bytes(kept), 1);
        tied[t] = equal(load_bytes(equal_digit), 1);
    }
    uint16_t positions[CHUNK_TILES * TILE + 4];
    const size_t equal_count = positions_of(tied, tiles, positions);
    size_t count = 0;
    for (size_t i = 0; i < equal_count; i++) {
        const size_t element = positions[i] - shift;
        positions[count] = positions[i];
        count += element < n && simdrop_digits(p_at(p, element)) << 8 != 0; /* else an equal byte is kept */
    }
    count = settle_ties(rule, keys, start / TILE, 8, bits, positions, count, &p, shift);
    for (size_t i = 0; i < count; i++) { /* p = 1 drops even 0.(255)(255)... */
        const size_t e = positions[i];
        bits[e / TILE] &= ~((uint64_t)(simdrop_digits(p_at(p, e - shift)) == UINT64_MAX) << e % TILE);
    }
}
