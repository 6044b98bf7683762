/* Arrays whose innermost axis in memory is another one than in the mask, such as column-major ones: bits are drawn in
   rows, transposed, and used in columns. Part of kernels.c. */
#pragma once

#include "pack.h"
#include "runs.h"

enum {
    PANEL_WORDS = 4096, /* of bits: they stay in the first-level cache */
    PANEL_ROWS = 1024,  /* before columns; more where columns are few */
    QUEUE = 4096,       /* bits in memory's order that are used together */
};

/* A block of an array. Its rows are along `row`, the innermost axis in memory, and `next`, which continues it there.
   Its columns are along `inner`, the innermost axis in the mask, and `outer`, which continues it there. */
typedef struct {
    position at;
    simdrop_axis row, next, inner, outer;
} panel;

/* n words, `step` bits apart, to every `to_step`-th word; only their low `width` bits count. */
static void extract_words(const uint64_t *bits, size_t bit, size_t step, size_t n, uint64_t *to, size_t to_step,
                          size_t width) {
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && width <= WORD - 7) { /* so few are in one word from any byte on */
        for (; n != 0; n--, bit += step, to += to_step) {
            uint64_t word;
            memcpy(&word, (const char *)bits + bit / 8, sizeof word);
            *to = word >> bit % 8;
        }
    }
    for (; n != 0; n--, bit += step, to += to_step) {
        *to = bits_at(bits + bit / WORD, bit % WORD);
    }
}

/* word[64 h j + i] holds the bits of columns 64 j to 64 j + 63 in row i, where h words are enough for a bit a row. */
static void draw_panel(const job *job, const panel *panel, uint64_t *word) {
    uint64_t bits[PANEL_WORDS + 2];
    const size_t rows = panel->row.n * panel->next.n, height = words_of(rows) * WORD;
    const size_t columns = panel->inner.n * panel->outer.n;
    /* Rows that follow each other in the mask are drawn together. */
    const int by_next = panel->next.element == columns;
    const simdrop_axis near = by_next ? panel->next : panel->row, far = by_next ? panel->row : panel->next;
    const size_t near_step = by_next ? panel->row.n : 1, far_step = by_next ? 1 : panel->row.n;
    const size_t together = near.element == columns ? near.n : 1;
    for (size_t i = 0; i < far.n; i++) {
        for (size_t k = 0; k < near.n; k += together) {
            const uint64_t element = panel->at.element + i * far.element + k * near.element;
            load_bits(job, element, together * columns, bits);
            uint64_t *to = word + i * far_step + k * near_step;
            if (together == 1) {
                extract_words(bits, element % WORD, WORD, words_of(columns), to, height, WORD);
                continue;
            }
            for (size_t j = 0; j * WORD < columns; j++) {
                extract_words(bits, element % WORD + j * WORD, columns, together, to + height * j, near_step,
                              columns - j * WORD);
            }
        }
    }
    for (size_t j = 0; j * WORD < columns; j++) {
        memset(word + height * j + rows, 0, (height - rows) * sizeof *word);
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

/* Joins pairs of short columns in one word, pairs of these, and so on while they fit; returns how often. */
static int join_columns(uint64_t *word, size_t words, size_t rows) {
    int times = 0;
    for (; (rows << times) <= WORD / 2; times++) {
        for (size_t i = 0; i < words; i += WORD) {
            for (size_t k = 0; k < (size_t)WORD / 2 >> times; k++) {
                word[i + k] = word[i + 2 * k] | word[i + 2 * k + 1] << (rows << times);
            }
        }
    }
    return times;
}

static void apply_panel(const job *job, const panel *panel) {
    uint64_t word[PANEL_WORDS] __attribute__((aligned(LINE)));
    const size_t rows = panel->row.n * panel->next.n, height = words_of(rows) * WORD;
    const size_t columns = panel->inner.n * panel->outer.n;
    draw_panel(job, panel, word);
    for (size_t j = 0; j * WORD < columns; j++) {
        for (size_t i = 0; i < height; i += WORD) {
            transpose_bits(word + height * j + i, smaller(columns - j * WORD, WORD));
        }
    }
    /* Now word[64 (h j + i) + k] holds the bits of rows 64 i to 64 i + 63 in column 64 j + k. Take the columns in
       memory's order. */
    const int inner_first = magnitude(panel->inner.y) <= magnitude(panel->outer.y) || panel->outer.n == 1;
    const simdrop_axis near = inner_first ? panel->inner : panel->outer,
                       far = inner_first ? panel->outer : panel->inner;
    const size_t near_step = inner_first ? 1 : panel->inner.n, far_step = inner_first ? panel->inner.n : 1;
    simdrop_axis axes[3] = {panel->row, near, far};
    int count = 3;
    axes[0].n = rows;
    if (continues(axes[0], near)) {
        axes[0].n *= near.n;
        axes[1] = far;
        count = 2;
    }
    const int doubled = far.n == 1 ? join_columns(word, words_of(columns) * height, rows) : 0;
    const size_t each = (size_t)1 << doubled;
    cursor cursor = begin_at(panel->at, count);
    uint64_t bits[(QUEUE + PANEL_WORDS) / WORD + 2];
    bit_queue queue = {0};
    for (size_t i = 0; i < far.n; i++) {
        for (size_t k = 0; k < near.n; k += each) {
            const size_t column = i * far_step + k * near_step;
            uint64_t *from = word + column / WORD * height + (column % WORD >> doubled);
            if (near.n - k < each) {
                *from &= low_bits((near.n - k) * rows);
            }
            queue = append_bits(queue, bits, from, WORD, smaller(each, near.n - k) * rows);
            if (queue.count >= QUEUE) {
                apply_bits(job, &cursor, axes, count, bits, 0, queue.count);
                queue = (bit_queue){0};
            }
        }
    }
    bits[queue.count / WORD + 1] = 0;
    apply_bits(job, &cursor, axes, count, bits, 0, queue.count);
}

/* Cut an array into panels. */
static void apply_panels(const job *job, position at, simdrop_axis row, simdrop_axis next, simdrop_axis inner,
                         simdrop_axis outer) {
    const size_t most_columns = PANEL_WORDS / words_of(smaller(row.n * next.n, PANEL_ROWS));
    const size_t inner_step = smaller(inner.n, most_columns);
    const size_t outer_step = inner_step < inner.n ? 1 : smaller(outer.n, most_columns / inner.n);
    const size_t most_rows = PANEL_WORDS / words_of(inner_step * outer_step) / WORD * WORD;
    const size_t row_step = smaller(row.n, most_rows);
    const size_t next_step = row_step < row.n ? 1 : smaller(next.n, most_rows / row.n);
    for (size_t l = 0; l < outer.n; l += outer_step) {
        for (size_t k = 0; k < inner.n; k += inner_step) {
            for (size_t j = 0; j < next.n; j += next_step) {
                for (size_t i = 0; i < row.n; i += row_step) {
                    panel panel = {
                        step_along(step_along(step_along(step_along(at, outer, l), inner, k), next, j), row, i), row,
                        next, inner, outer};
                    panel.row.n = smaller(row.n - i, row_step);
                    panel.next.n = smaller(next.n - j, next_step);
                    panel.inner.n = smaller(inner.n - k, inner_step);
                    panel.outer.n = smaller(outer.n - l, outer_step);
                    apply_panel(job, &panel);
                }
            }
        }
    }
}
