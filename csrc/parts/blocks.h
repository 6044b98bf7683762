/* Which part of an array is one block, and its bits: drawn in the order of the mask, and brought into that of memory.
   Part of kernels.c. */
#pragma once

#include "arrange.h"
#include "pack.h"
#include "runs.h"

enum {
    LEAST_RUN = 512,    /* elements of a block that follow each other in the mask, and in memory */
    GOOD_RUN = 1 << 12, /* as many as are useful in the mask, */
    GOOD_ROW = 1 << 14, /* and in memory: a shared axis adds to them without drawing more */
};

/* What a block has at most: elements, and bits as they are drawn; the least run in the mask; and whether each row that
   is drawn begins with a word. */
typedef struct {
    size_t elements, bits, run;
    int in_words;
} block_size;

/* Of blocks that are drawn, and of their pieces whose decisions become bytes. */
static const block_size LARGE_BLOCK = {BLOCK_BITS, BLOCK_WORDS * WORD, LEAST_RUN, 1},
                        SMALL_BLOCK = {BYTES, DRAWN_BYTES, WORD, 0};

/* How an array is cut into blocks. */
typedef struct {
    int count;
    simdrop_axis axes[MAX_AXES];          /* innermost in memory first */
    size_t block[MAX_AXES];               /* lengths of a block */
    int mask_count, mask_order[MAX_AXES]; /* axes along which decisions differ, innermost in the mask first */
    int loop_order[MAX_AXES]; /* in which blocks follow each other: first those along which they differ, outermost first
                               */
    block_size most;
} layout;

/* How the bits of a block are drawn: `rows` times `run` elements, where the first `axes` in the mask's order, whose
   elements follow each other or have small gaps, are along a run. */
typedef struct {
    size_t run, rows;
    int axes;
} drawing;

/* Where the bits of a block are drawn. */
typedef struct {
    drawing drawing;
    uint64_t element;           /* the first one of the first row; */
    bit_axes rows;              /* where rows are in the mask, and where they are drawn; */
    ptrdiff_t first;            /* where the block's first bit is drawn, */
    ptrdiff_t stride[MAX_AXES]; /* and its neighbours */
} placement;

/* The bits of a block. */
typedef struct {
    int are_there; /* and then for this element, and a block of these lengths: */
    uint64_t element;
    size_t block[MAX_AXES];
    const uint64_t *bits; /* in memory's order, from bit `shift` on; NULL: they are brought into it piece by piece */
    size_t shift;
    placement place;
    uint64_t *drawn;
    arranged_bits *arranged;
} block_bits;

static uint64_t mask_distance(simdrop_axis axis) { return (int64_t)axis.element < 0 ? -axis.element : axis.element; }

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

/* How far apart rows are that are drawn. */
static size_t row_distance(const layout *layout, drawing drawing) {
    return layout->most.in_words ? words_of(drawing.run) * WORD : drawing.run;
}

static int fits(const layout *layout) {
    size_t n = 1;
    for (int axis = 0; axis < layout->count; axis++) {
        n *= layout->block[axis];
    }
    const drawing drawing = drawing_of(layout, layout->block);
    return n <= layout->most.elements && drawing.rows * row_distance(layout, drawing) <= layout->most.bits;
}

/* Makes blocks longer along an axis, to about `wanted` elements, and all of about the same length, of whole words if
   they are long; returns how long they are. */
static size_t lengthen(layout *layout, int axis, size_t wanted) {
    size_t *length = &layout->block[axis];
    const size_t before = *length, n = layout->axes[axis].n;
    wanted = n < wanted + wanted / 2 ? n : wanted;
    *length = smaller(wanted > before ? wanted : before, layout->most.elements);
    while (*length > before && !fits(layout)) {
        *length = before + (*length - before) / 2;
    }
    const size_t blocks = (n - 1) / *length + 1, equal = (n - 1) / blocks + 1;
    *length = equal < WORD ? equal : smaller(words_of(equal) * WORD, n);
    *length = fits(layout) ? *length : equal;
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
    lengthen_run(layout, layout->mask_order, layout->mask_count, in_order ? GOOD_RUN : layout->most.run);
    if (!in_order) {
        lengthen_run(layout, memory_order, layout->count, LEAST_RUN);
        lengthen_run(layout, layout->mask_order, layout->mask_count, BLOCK_BITS);
        lengthen_run(layout, memory_order, layout->count, GOOD_ROW);
    }
}

/* `axes` are simplified. */
static void make_layout(layout *layout, int count, const simdrop_axis *axes, block_size most) {
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
    layout->most = most;
    choose_blocks(layout, in_order);
}

static void place_block(placement *place, const layout *layout, uint64_t element, const size_t *block) {
    bit_axes rows;
    place->drawing = drawing_of(layout, block);
    place->first = 0;
    memset(place->stride, 0, (size_t)layout->count * sizeof *place->stride);
    rows.count = 0;
    ptrdiff_t distance = (ptrdiff_t)row_distance(layout, place->drawing);
    for (int i = 0; i < layout->mask_count; i++) {
        const int axis = layout->mask_order[i];
        const uint64_t step = mask_distance(layout->axes[axis]), last = block[axis] - 1;
        ptrdiff_t *const stride = &place->stride[axis];
        if (i < place->drawing.axes) {
            *stride = (ptrdiff_t)step;
        } else {
            *stride = distance;
            rows.axis[rows.count++] = (bit_axis){block[axis], (ptrdiff_t)step, distance};
            distance *= (ptrdiff_t)block[axis];
        }
        if (layout->axes[axis].element != step) { /* backward */
            element -= last * step;
            place->first += (ptrdiff_t)last * *stride;
            *stride = -*stride;
        }
    }
    place->element = element;
    axes_after(&rows, 0, &place->rows);
}

/* The axes of a block along which there is more than one element, joined; how many elements it has. */
static size_t axes_of_block(const layout *layout, const size_t *block, const ptrdiff_t *stride, bit_axes *axes) {
    bit_axes all;
    size_t n = 1;
    all.count = 0;
    for (int axis = 0; axis < layout->count; axis++) {
        if (block[axis] != 1) {
            all.axis[all.count++] = (bit_axis){block[axis], stride[axis], (ptrdiff_t)n};
        }
        n *= block[axis];
    }
    axes_after(&all, 0, axes);
    join_bit_axes(axes);
    return n;
}

/* Draws the bits of a block, and brings them into the order of memory, if that is done for all of them at once. */
static void draw_block(const simdrop_rule *rule, const uint8_t *packed, const layout *layout, placement *place,
                       const size_t *block, block_bits *bits) {
    const size_t run = place->drawing.run;
    size_t words = row_distance(layout, place->drawing) / WORD * place->drawing.rows;
    bit_cursor row = begin_bits(0, 0, &place->rows);
    for (size_t i = 0; i < place->drawing.rows; i++, step_bits(&row, &place->rows, 1)) {
        uint64_t *const to = bits->drawn + (size_t)row.to / WORD;
        const uint64_t start = place->element + (uint64_t)row.from;
        load_bits(rule, packed, start, run, to);
        if (place->drawing.rows == 1) {
            place->first += (ptrdiff_t)(start % WORD);
            words = words_of(start % WORD + run);
            break;
        }
        for (size_t word = 0; word * WORD < run; word++) {
            to[word] = bits_at(to + word, start % WORD);
        }
    }
    bit_axes axes;
    axes_of_block(layout, block, place->stride, &axes);
    if (axes.axis[0].from == -1) {
        reverse_bits(bits->drawn, words);
        place->first = (ptrdiff_t)(words * WORD) - 1 - place->first;
        for (int axis = 0; axis < layout->count; axis++) {
            place->stride[axis] *= -1;
        }
        axes_of_block(layout, block, place->stride, &axes);
    }
    if (axes.count == 1 && (axes.axis[0].from == 1 || axes.axis[0].n == 1)) {
        bits->bits = bits->drawn + (size_t)place->first / WORD;
        bits->shift = (size_t)place->first % WORD;
    } else {
        bits->bits = arrange(bits->drawn, place->first, &axes, bits->arranged->words) ? bits->arranged->words : NULL;
        bits->shift = 0;
    }
}

/* Takes the decisions of a piece from the bits of its block as bytes, and brings them into the order of memory as bits.
 */
static void take_piece(const uint64_t *drawn, const layout *layout, const placement *place, const size_t *block,
                       block_bits *bits) {
    bit_axes axes;
    const size_t n = axes_of_block(layout, block, place->stride, &axes), run = place->drawing.run;
    bit_cursor row = begin_bits((ptrdiff_t)place->element, 0, &place->rows);
    for (size_t i = 0; i < place->drawing.rows; i++, step_bits(&row, &place->rows, 1)) {
        for (size_t bit = 0; bit < run; bit += WORD) {
            store_bools(bits->arranged->bytes.drawn + row.to + bit, bits_from(drawn, row.from + (ptrdiff_t)bit));
        }
    }
    arrange_bytes(place->first, &axes, &bits->arranged->bytes, n, bits->arranged->words);
    bits->bits = bits->arranged->words;
    bits->shift = 0;
}
