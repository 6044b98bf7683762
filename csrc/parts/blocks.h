/* Which part of an array is one block, and its bits: drawn in the order of the mask, and brought into that of memory.
   Part of kernels.c. */
#pragma once

#include "arrange.h"
#include "pack.h"

enum {
    LEAST_RUN = 512,      /* elements of a block that follow each other in the mask, and in memory */
    GOOD_RUN = 1 << 12,   /* as many as are useful in the mask, */
    GOOD_ROW = 1 << 14,   /* and in memory: a shared axis adds to them without drawing more */
    BLOCK_BITS = 1 << 18, /* of a block: they stay in the second-level cache */
    BLOCK_WORDS = BLOCK_BITS / WORD * 3 / 2,
};

/* How an array is cut into blocks. */
typedef struct {
    int count;
    simdrop_axis axes[MAX_AXES];          /* innermost in memory first */
    size_t block[MAX_AXES];               /* lengths of a block */
    int mask_count, mask_order[MAX_AXES]; /* axes along which decisions differ, innermost in the mask first */
    int loop_order[MAX_AXES]; /* in which blocks follow each other: first those along which they differ, outermost first
                               */
} layout;

/* The bits of the block that was drawn last. */
typedef struct {
    uint64_t element;
    size_t block[MAX_AXES];
    const uint64_t *bits; /* NULL: none */
    size_t shift;
    uint64_t drawn[BLOCK_WORDS + 2], arranged[BLOCK_WORDS + 2];
} block_bits;

static uint64_t mask_distance(simdrop_axis axis) { return (int64_t)axis.element < 0 ? -axis.element : axis.element; }

/* How the bits of a block are drawn: `rows` times `run` elements, where the first `axes` in the mask's order, whose
   elements follow each other or have small gaps, are along a run. */
typedef struct {
    size_t run, rows;
    int axes;
} drawing;

static drawing drawing_of(const layout *layout, const size_t *block) {
    drawing drawing = {.run = 1, .rows = 1};
    for (int i = 0; i < layout->mask_count; i++) {
        const int axis = layout->mask_order[i];
        const uint64_t step = mask_distance(layout->axes[axis]);
        if (drawing.axes == i && step < drawing.run + TILE && block[axis] - 1 <= BLOCK_BITS / step) {
            drawing.run += (block[axis] - 1) * step;
            drawing.axes++;
        } else {
            drawing.rows *= block[axis];
        }
    }
    return drawing;
}

/* Words of a row: its bits may begin and end inside one. */
static size_t row_words(drawing drawing) { return drawing.run / WORD + 2; }

static int fits(const layout *layout) {
    size_t n = 1;
    for (int axis = 0; axis < layout->count; axis++) {
        n *= layout->block[axis];
    }
    const drawing drawing = drawing_of(layout, layout->block);
    return n <= BLOCK_BITS && drawing.rows * row_words(drawing) <= BLOCK_WORDS;
}

/* Makes blocks longer along an axis, up to `wanted` elements; returns how long they are. */
static size_t lengthen(layout *layout, int axis, size_t wanted) {
    size_t *length = &layout->block[axis];
    const size_t before = *length;
    wanted = smaller(smaller(wanted, layout->axes[axis].n), BLOCK_BITS);
    *length = wanted > before ? wanted : before;
    while (*length > before && !fits(layout)) {
        *length = before + (*length - before) / 2;
    }
    return *length;
}

/* Makes blocks longer along some axes, until so many elements follow each other along them. */
static void lengthen_run(layout *layout, const int *order, int count, size_t wanted) {
    size_t n = 1;
    for (int i = 0; i < count && n < wanted; i++) {
        n *= lengthen(layout, order[i], (wanted - 1) / n + 1);
    }
}

/* Blocks are long in the mask, so that little is drawn in vain, and in memory. Where the mask's order is memory's, they
   are no larger than this needs; else as large as their bits allow. */
static void choose_blocks(layout *layout, int in_order) {
    int memory_order[MAX_AXES];
    size_t n = 1;
    for (int axis = 0; axis < layout->count; axis++) {
        layout->block[axis] = layout->axes[axis].n;
        n = n <= GOOD_RUN ? n * smaller(layout->axes[axis].n, BLOCK_BITS) : n;
    }
    if (n <= GOOD_RUN && fits(layout)) { /* all of a small array */
        return;
    }
    for (int axis = 0; axis < layout->count; axis++) {
        layout->block[axis] = 1;
        memory_order[axis] = axis;
    }
    lengthen_run(layout, layout->mask_order, layout->mask_count, in_order ? GOOD_RUN : LEAST_RUN);
    if (!in_order) {
        lengthen_run(layout, memory_order, layout->count, LEAST_RUN);
        lengthen_run(layout, layout->mask_order, layout->mask_count, BLOCK_BITS);
        lengthen_run(layout, memory_order, layout->count, GOOD_ROW);
    }
}

/* `axes` are simplified. */
static void make_layout(layout *layout, int count, const simdrop_axis *axes) {
    int in_order = 1, loops = 0;
    layout->count = count;
    layout->mask_count = 0;
    memcpy(layout->axes, axes, (size_t)count * sizeof *axes);
    for (int axis = 0; axis < count; axis++) {
        in_order = in_order && (int64_t)axes[axis].element > (axis ? (int64_t)axes[axis - 1].element : 0);
        if (axes[axis].element != 0) {
            int i = layout->mask_count++;
            for (; i > 0 && mask_distance(axes[axis]) < mask_distance(axes[layout->mask_order[i - 1]]); i--) {
                layout->mask_order[i] = layout->mask_order[i - 1];
            }
            layout->mask_order[i] = axis;
        }
    }
    for (int shared = 0; shared < 2; shared++) {
        for (int axis = count - 1; axis >= 0; axis--) {
            if ((axes[axis].element == 0) == shared) {
                layout->loop_order[loops++] = axis;
            }
        }
    }
    choose_blocks(layout, in_order);
}

/* Draws the bits of a block, the first of them for `element`, and brings them into the order of memory. */
static void draw_block(const simdrop_rule *rule, const uint8_t *packed, const layout *layout, uint64_t element,
                       const size_t *block, block_bits *bits) {
    const drawing drawing = drawing_of(layout, block);
    bit_axes rows, axes;
    ptrdiff_t stride[MAX_AXES], first = 0, row_stride = (ptrdiff_t)(row_words(drawing) * WORD);
    rows.count = axes.count = 0;
    memset(stride, 0, (size_t)layout->count * sizeof *stride);
    for (int i = 0; i < layout->mask_count; i++) {
        const int axis = layout->mask_order[i];
        const uint64_t step = mask_distance(layout->axes[axis]), last = block[axis] - 1;
        if (i < drawing.axes) {
            stride[axis] = (ptrdiff_t)step;
        } else {
            stride[axis] = row_stride;
            rows.axis[rows.count++] = (bit_axis){block[axis], (ptrdiff_t)step, row_stride};
            row_stride *= (ptrdiff_t)block[axis];
        }
        if (layout->axes[axis].element != step) { /* backward */
            element -= last * step;
            first += (ptrdiff_t)last * stride[axis];
            stride[axis] = -stride[axis];
        }
    }
    if (rows.count == 0) {
        rows.axis[rows.count++] = (bit_axis){1, 0, 0};
    }
    bit_cursor row = begin_bits(0, 0, &rows);
    for (size_t i = 0; i < drawing.rows; i++, step_bits(&row, &rows, 1)) {
        uint64_t *word = bits->drawn + (size_t)row.to / WORD;
        const uint64_t start = element + (uint64_t)row.from;
        load_bits(rule, packed, start, drawing.run, word);
        if (drawing.rows == 1) {
            first += (ptrdiff_t)(start % WORD);
            continue;
        }
        for (size_t w = 0; w * WORD < drawing.run; w++) { /* all rows begin with a word */
            word[w] = bits_at(word + w, start % WORD);
        }
    }
    size_t n = 1;
    for (int axis = 0; axis < layout->count; axis++) {
        bit_axis *inner = axes.count ? &axes.axis[axes.count - 1] : NULL;
        if (inner && stride[axis] == (ptrdiff_t)inner->n * inner->from) {
            inner->n *= block[axis];
        } else if (block[axis] != 1) {
            axes.axis[axes.count++] = (bit_axis){block[axis], stride[axis], (ptrdiff_t)n};
        }
        n *= block[axis];
    }
    if (axes.count == 0 || (axes.count == 1 && axes.axis[0].from == 1)) {
        bits->bits = bits->drawn + (size_t)first / WORD;
        bits->shift = (size_t)first % WORD;
    } else {
        memset(bits->arranged, 0, (words_of(n) + 1) * sizeof *bits->arranged);
        arrange(bits->drawn, first, bits->arranged, &axes);
        bits->bits = bits->arranged;
        bits->shift = 0;
    }
}
