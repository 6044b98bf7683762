/* Keep bits in memory: as bools, packed, appended to each other, loaded, and listed. Part of kernels.c. */
#pragma once

#include "axes.h"
#include "tiles.h"

INLINE void keep_tile(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    uint8_t *bools = (uint8_t *)args + i, last[TILE];
    (void)column;
    if (count == TILE) {
        store_bools(bools, keep);
    } else {
        store_bools(last, keep);
        copy_part(bools, last, count);
    }
}

static void keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    for_each_drawn_tile(rule, start, n, (prefetch){0}, keep, keep_tile);
}

INLINE void pack_tile(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    uint8_t *packed = (uint8_t *)args + i / 8, last[8];
    (void)column;
    if (count == TILE) {
        store_little_endian(packed, keep);
    } else {
        store_little_endian(last, keep & low_bits(count));
        copy_part(packed, last, (count + 7) / 8);
    }
}

static void packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *packed) {
    for_each_drawn_tile(rule, start, n, (prefetch){0}, packed, pack_tile);
}

#ifndef HAS_STORE_INDICES
/* The positions of the set bits among eight, counted from `first`; may write eight, returns how many are set. */
static inline int store_indices(intptr_t *out, intptr_t first, uint8_t bits) {
    int count = 0;
    for (int i = 0; i < 8; i++) {
        out[count] = first + i;
        count += bits >> i & 1;
    }
    return count;
}
#endif

static void indices(const uint8_t *packed, size_t n, intptr_t *out, size_t count) {
    size_t written = 0, byte = 0;
    for (; byte < (n + 7) / 8 && written + 8 <= count; byte++) {
        written += (size_t)store_indices(out + written, (intptr_t)(8 * byte), packed[byte]);
    }
    for (; written < count; byte++) { /* not beyond the end */
        intptr_t last[8];
        const int set = store_indices(last, (intptr_t)(8 * byte), packed[byte]);
        memcpy(out + written, last, (size_t)set * sizeof *out);
        written += (size_t)set;
    }
}

/* Stored bits of elements `start` to `start + n`, as `draw` gives them; reads no byte beyond theirs. */
static void load_packed(const uint8_t *packed, uint64_t start, size_t n, uint64_t *bits) {
    const size_t shift = start % WORD, words = words_of(shift + n);
    bits[words - 1] = 0;
    memcpy(bits, packed + start / WORD * sizeof *bits, (shift + n + 7) / 8);
    for (size_t i = 0; i < words; i++) { /* from little-endian */
        bits[i] = load_little_endian((const uint8_t *)(bits + i));
    }
}

/* Bits of elements `start` to `start + n`, drawn or, where there is no rule, stored; they begin start % 64 bits into
   bits[0]. */
static void load_bits(const simdrop_rule *rule, const uint8_t *packed, uint64_t start, size_t n, uint64_t *bits) {
    if (rule == NULL) {
        load_packed(packed, start, n, bits);
    } else {
        draw(rule, start, n, bits);
    }
}

/* Packed bits: the next byte, and the bits that do not fill a word yet. */
typedef struct {
    uint8_t *to;
    uint64_t word;
    size_t count;
} bit_writer;

/* Packs the lowest n <= 64 bits. append_bits would need a buffer here, since it writes a word beyond the end, and take
   2.6 times as long for single bits. */
static inline void pack_bits(bit_writer *writer, uint64_t bits, size_t n) {
    bits &= low_bits(n);
    writer->word |= bits << writer->count;
    if (writer->count + n >= WORD) {
        store_little_endian(writer->to, writer->word);
        writer->to += sizeof writer->word;
        writer->word = bits >> 1 >> (63 - writer->count);
        writer->count -= WORD;
    }
    writer->count += n;
}

/* The bits drawn last for a rule. */
typedef struct {
    simdrop_rule rule;
    uint64_t bits[SHORT_CHUNK_WORDS], first; /* the first element */
    int drawn;
} bit_cache;

static int keep_bit(bit_cache *cache, uint64_t element) {
    if (!cache->drawn || element - cache->first >= SHORT_CHUNK) {
        cache->first = element / TILE * TILE;
        cache->drawn = 1;
        draw(&cache->rule, cache->first, SHORT_CHUNK, cache->bits);
    }
    const uint64_t i = element - cache->first;
    return (int)(cache->bits[i / TILE] >> i % TILE & 1);
}

/* The bits along the innermost axis of a block. */
static void pack_row(bit_cache *cache, uint64_t start, simdrop_axis axis, const char *p, bit_writer *writer) {
    uint64_t bits[CHUNK_WORDS];
    const int one_p = p == NULL || axis.x == 0;
    if (p != NULL && one_p) {
        const double one = p_at((p_array){p, 0}, 0);
        if (simdrop_digits(one) != cache->rule.digits) {
            simdrop_set_p(&cache->rule, one);
            cache->drawn = 0;
        }
    }
    if (axis.element == 0 && one_p) {
        const uint64_t word = keep_bit(cache, start) ? UINT64_MAX : 0;
        for (size_t n = axis.n; n != 0; n -= smaller(n, WORD)) {
            pack_bits(writer, word, smaller(n, WORD));
        }
    } else if (axis.element == 1) {
        for (size_t i = 0; i < axis.n; i += CHUNK) {
            const size_t n = smaller(axis.n - i, CHUNK), shift = (start + i) % TILE;
            if (one_p) {
                draw(&cache->rule, start + i, n, bits);
            } else {
                draw_each(&cache->rule, start + i, n, (p_array){p + (ptrdiff_t)i * axis.x, axis.x}, bits);
            }
            for (size_t j = 0; j < n; j += WORD) {
                pack_bits(writer, bits_at(bits + j / WORD, shift), smaller(n - j, WORD));
            }
        }
    } else {
        for (size_t i = 0; i < axis.n; i++) {
            const uint64_t element = start + i * axis.element;
            if (one_p) {
                pack_bits(writer, (uint64_t)keep_bit(cache, element), 1);
            } else {
                draw_each(&cache->rule, element, 1, (p_array){p + (ptrdiff_t)i * axis.x, 0}, bits);
                pack_bits(writer, bits[0] >> element % TILE, 1);
            }
        }
    }
}

static void pack_block(bit_cache *cache, uint64_t start, int count, const simdrop_axis *axes, const char *p,
                       bit_writer *writer) {
    const simdrop_axis outer = axes[count - 1];
    if (count == 1) {
        pack_row(cache, start, outer, p, writer);
        return;
    }
    for (size_t i = 0; i < outer.n; i++) {
        pack_block(cache, start + i * outer.element, count - 1, axes, p == NULL ? NULL : p + (ptrdiff_t)i * outer.x,
                   writer);
    }
}

static void packbits_array(const simdrop_rule *rule, uint64_t start, int count, const simdrop_axis *axes,
                           const double *p, uint8_t *packed) {
    simdrop_axis joined[SIMDROP_MAX_AXES] = {{.n = 1, .element = 1}}; /* innermost first, as strides of p alone */
    int joined_count = 0;
    for (int axis = count - 1; axis >= 0; axis--) {
        if (axes[axis].n == 0) {
            return;
        }
        if (axes[axis].n != 1) {
            joined[joined_count++] =
                (simdrop_axis){.n = axes[axis].n, .x = p == NULL ? 0 : axes[axis].x, .element = axes[axis].element};
        }
    }
    joined_count = joined_count == 0 ? 1 : join_axes(joined_count, joined);
    bit_cache cache = {.rule = *rule};
    bit_writer writer = {.to = packed};
    pack_block(&cache, start, joined_count, joined, (const char *)p, &writer);
    for (; writer.count != 0; writer.count -= smaller(writer.count, 8), writer.word >>= 8) {
        *writer.to++ = (uint8_t)writer.word;
    }
}
