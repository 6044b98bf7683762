/* Keep bits in memory: as bools, packed, appended to each other, loaded, and listed. Part of kernels.c. */
#ifndef SIMDROP_PACK_H
#define SIMDROP_PACK_H

#include "axes.h"
#include "tiles.h"

INLINE void keep_tile(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    uint8_t *bools = (uint8_t *)args + i, last[TILE];
    (void)column;
    if (count == TILE) {
        store_bools(bools, keep);
    } else {
        store_bools(last, keep);
        memcpy(bools, last, count);
    }
}

static void keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    for_each_tile_of_array(rule, start, n, CHUNK, (prefetch){0}, keep, keep_tile);
}

INLINE void pack_tile(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    uint8_t *packed = (uint8_t *)args + i / 8, last[8];
    (void)column;
    if (count == TILE) {
        store_little_endian(packed, keep);
    } else {
        store_little_endian(last, keep & low_bits(count));
        memcpy(packed, last, (count + 7) / 8);
    }
}

static void packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *packed) {
    for_each_tile_of_array(rule, start, n, CHUNK, (prefetch){0}, packed, pack_tile);
}

static void indices(const uint8_t *packed, size_t n, intptr_t *out, size_t count) {
    size_t written = 0, byte = 0;
    for (; byte < (n + 7) / 8 && written + 8 <= count; byte++) {
        written += (size_t)store_indices(out + written, (intptr_t)(8 * byte), packed[byte]);
    }
    for (; byte < (n + 7) / 8; byte++) {
        for (unsigned rest = packed[byte]; rest != 0; rest &= rest - 1) {
            out[written++] = (intptr_t)(8 * byte) + __builtin_ctz(rest);
        }
    }
}

/* Stored bits of elements `start` to `start + n`, as `draw` gives them; no byte behind theirs is read. */
static void load_packed(const uint8_t *packed, uint64_t start, size_t n, uint64_t *bits) {
    const uint8_t *from = packed + start / TILE * (TILE / 8);
    const size_t shift = start % TILE, bytes = (shift + n + 7) / 8;
    size_t i = 0;
    for (; 8 * i + 8 <= bytes; i++) {
        bits[i] = load_little_endian(from + 8 * i);
    }
    if (8 * i < bytes) {
        uint8_t last[8] = {0};
        memcpy(last, from + 8 * i, bytes - 8 * i);
        bits[i] = load_little_endian(last);
    }
}

/* Bits appended to each other: those of the last word that is not full, and how many there are in all. */
typedef struct {
    uint64_t last;
    size_t count;
} bit_queue;

/* n more, from words `step` apart, in which the bits above them are 0. */
static inline bit_queue append_bits(bit_queue queue, uint64_t *to, const uint64_t *from, size_t step, size_t n) {
    const size_t shift = queue.count % WORD, end = shift + n % WORD;
    uint64_t *word = to + queue.count / WORD;
    queue.count += n;
    for (; n >= WORD; n -= WORD, from += step) {
        *word++ = queue.last | *from << shift;
        queue.last = *from >> 1 >> (63 - shift);
    }
    if (n != 0) {
        word[0] = queue.last | *from << shift;
        word[1] = *from >> 1 >> (63 - shift);
        queue.last = word[end / WORD];
    } else {
        word[0] = queue.last;
    }
    return queue;
}

/* Where a block's bits are written, and those drawn last, which its next elements may be among. */
typedef struct {
    uint8_t *packed;
    bit_queue queue;
    simdrop_rule rule;
    uint64_t drawn[SHORT_CHUNK_WORDS], drawn_from;
    int has_drawn;
} packer;

/* n <= CHUNK bits more, which begin `shift` bits into a word. */
static void pack_bits(packer *packer, const uint64_t *bits, size_t shift, size_t n) {
    uint64_t words[CHUNK_WORDS];
    bit_queue queue = packer->queue;
    for (size_t i = 0; i < n; i += WORD) {
        const size_t count = smaller(n - i, WORD);
        const uint64_t word = bits_at(bits + i / WORD, shift) & low_bits(count);
        queue = append_bits(queue, words, &word, 1, count);
    }
    for (size_t i = 0; i < queue.count / WORD; i++, packer->packed += 8) {
        store_little_endian(packer->packed, words[i]);
    }
    queue.count %= WORD;
    packer->queue = queue;
}

static int keep_bit(packer *packer, uint64_t element) {
    if (!packer->has_drawn || element - packer->drawn_from >= SHORT_CHUNK) {
        packer->drawn_from = element / TILE * TILE;
        packer->has_drawn = 1;
        draw(&packer->rule, packer->drawn_from, SHORT_CHUNK, packer->drawn);
    }
    const uint64_t i = element - packer->drawn_from;
    return (int)(packer->drawn[i / TILE] >> i % TILE & 1);
}

/* The bits along the innermost axis of a block. */
static void pack_row(packer *packer, uint64_t start, simdrop_axis axis, const char *p) {
    uint64_t bits[CHUNK_WORDS];
    const int one_p = p == NULL || axis.x == 0;
    if (p != NULL && one_p) {
        const double one = p_at((p_array){p, 0}, 0);
        if (simdrop_digits(one) != packer->rule.digits) {
            simdrop_set_p(&packer->rule, one);
            packer->has_drawn = 0;
        }
    }
    size_t step = smaller(axis.n, CHUNK);
    if (one_p && axis.element == 0) {
        memset(bits, keep_bit(packer, start) ? 0xff : 0, sizeof bits);
    } else if (axis.element != 1) {
        step = 1;
    }
    for (size_t i = 0; i < axis.n; i += step) {
        const size_t n = smaller(axis.n - i, step);
        const uint64_t element = start + i * axis.element;
        size_t shift = element % TILE;
        if (!one_p) {
            draw_each(&packer->rule, element, n, (p_array){p + (ptrdiff_t)i * axis.x, axis.x}, bits);
        } else if (axis.element == 1) {
            draw(&packer->rule, element, n, bits);
        } else {
            if (axis.element != 0) {
                bits[0] = (uint64_t)keep_bit(packer, element);
            }
            shift = 0;
        }
        pack_bits(packer, bits, shift, n);
    }
}

static void pack_block(packer *packer, uint64_t start, int count, const simdrop_axis *axes, const char *p) {
    const simdrop_axis outer = axes[count - 1];
    if (count == 1) {
        pack_row(packer, start, outer, p);
        return;
    }
    for (size_t i = 0; i < outer.n; i++) {
        pack_block(packer, start + i * outer.element, count - 1, axes, p == NULL ? NULL : p + (ptrdiff_t)i * outer.x);
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
    packer packer = {.packed = packed, .rule = *rule};
    pack_block(&packer, start, joined_count, joined, (const char *)p);
    for (; packer.queue.count != 0; packer.queue.count -= smaller(packer.queue.count, 8), packer.queue.last >>= 8) {
        *packer.packed++ = (uint8_t)packer.queue.last;
    }
}

#endif
