/* Arrays of any layout: which part of an array is one block, whose bits are drawn in the order of the mask and used in
   that of memory. Part of kernels.c. */
#pragma once

#include "arrange.h"
#include "runs.h"

enum {
    PREFETCH_FROM = 1 << 19, /* bytes of y from which memory is prefetched: less is in a near cache */
    LONG_ROW_FROM = 1 << 13, /* elements of a row that the kernel of contiguous arrays may have for itself */
    LEAST_RUN = 512,         /* elements of a block that follow each other in the mask, and in memory */
    GOOD_RUN = 4096,
    BLOCK_BITS = 1 << 18,    /* of a block: they stay in the second-level cache */
    BLOCK_WORDS = BLOCK_BITS / WORD * 3 / 2,
};

/* How an array is cut into blocks. */
typedef struct {
    int count;
    simdrop_axis axes[MAX_AXES]; /* innermost in memory first */
    size_t block[MAX_AXES];      /* lengths of a block */
    int mask_count, mask_order[MAX_AXES]; /* axes along which decisions differ, innermost in the mask first */
    int loop_order[MAX_AXES]; /* in which blocks follow each other: first those along which they differ, outermost first */
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

/* The axes longer than 1, sorted by their strides in y, innermost first, and joined where they can be. */
static int simplify_axes(int count, const simdrop_axis *axes, simdrop_axis *simple) {
    int n = 0;
    for (int axis = count - 1; axis >= 0; axis--) {
        if (axes[axis].n != 1) {
            int i = n++;
            for (; i > 0 && magnitude(axes[axis].y) < magnitude(simple[i - 1].y); i--) {
                simple[i] = simple[i - 1];
            }
            simple[i] = axes[axis];
        }
    }
    return join_axes(n, simple);
}

/* Reverses axes that run backward in both x and y, so that the kernels can work in place; the mask is followed backward
   instead. */
static position reverse_axes(position at, int count, simdrop_axis *axes) {
    for (int axis = 0; axis < count; axis++) {
        if (axes[axis].x < 0 && axes[axis].y < 0) {
            at = step_along(at, axes[axis], axes[axis].n - 1);
            axes[axis].x = -axes[axis].x;
            axes[axis].y = -axes[axis].y;
            axes[axis].element = -axes[axis].element;
        }
    }
    return at;
}

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
        lengthen_run(layout, memory_order, layout->count, GOOD_RUN);
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
static void draw_block(const job *job, const layout *layout, uint64_t element, const size_t *block, block_bits *bits) {
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
        load_bits(job, start, drawing.run, word);
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

/* The axes of a block, joined where they are one in memory; returns how many. */
static int join_in_memory(const layout *layout, const size_t *block, simdrop_axis *axes) {
    int count = 0;
    for (int axis = 0; axis < layout->count; axis++) {
        const simdrop_axis next = {block[axis], layout->axes[axis].x, layout->axes[axis].y, 0};
        if (count != 0 && continues(axes[count - 1], next)) {
            axes[count - 1].n *= next.n;
        } else if (next.n != 1 || axis == 0) {
            axes[count++] = next;
        }
    }
    return count;
}

static void apply_block(const job *job, const layout *layout, position at, const size_t *block, block_bits *bits) {
    const size_t bytes = (size_t)layout->count * sizeof *block;
    if (bits->bits == NULL || bits->element != at.element || memcmp(bits->block, block, bytes) != 0) {
        draw_block(job, layout, at.element, block, bits);
        bits->element = at.element;
        memcpy(bits->block, block, bytes);
    }
    simdrop_axis axes[MAX_AXES];
    const int count = join_in_memory(layout, block, axes);
    size_t n = 1;
    for (int axis = 0; axis < count; axis++) {
        n *= axes[axis].n;
    }
    cursor cursor = begin_at(at, count);
    if (job->run.n == 0) {
        apply_bits(job, &cursor, axes, count, bits->bits, bits->shift, n);
        return;
    }
    const int short_runs = job->direct_x && job->direct_y && job->run.n * type_bytes(job) < LONG_RUN;
    for (size_t bit = bits->shift, end = bit + n, some; bit < end; bit += some) {
        some = short_runs ? axes[0].n : 1;
        if (short_runs) {
            select_runs[job->elements.type](bits->bits, bit, axes[0], job->run.n, cursor.at.x, cursor.at.y,
                                            job->elements.scale);
        } else {
            apply_one_decision(job, cursor.at, job->run, (int)(bits->bits[bit / WORD] >> bit % WORD & 1));
        }
        advance(&cursor, axes, count, some);
    }
}

static void apply_blocks(const job *job, const layout *layout, position at, size_t *block, int loop, block_bits *bits) {
    if (loop == layout->count) {
        apply_block(job, layout, at, block, bits);
        return;
    }
    const int axis = layout->loop_order[loop];
    const simdrop_axis along = layout->axes[axis];
    for (size_t i = 0; i < along.n; i += layout->block[axis]) {
        block[axis] = smaller(along.n - i, layout->block[axis]);
        apply_blocks(job, layout, step_along(at, along, i), block, loop + 1, bits);
    }
}

/* How far ahead to prefetch, in bytes: if rows are short, to one of the next rows. */
static ptrdiff_t prefetch_distance(size_t row_bytes, ptrdiff_t to_next_row) {
    const size_t step = magnitude(to_next_row);
    if (row_bytes >= PREFETCH_DISTANCE || step == 0) {
        return PREFETCH_DISTANCE;
    }
    return step < PREFETCH_DISTANCE ? to_next_row * (ptrdiff_t)(PREFETCH_DISTANCE / step) : to_next_row;
}

static void apply_or_select(const simdrop_rule *rule, const uint8_t *packed, uint64_t start, simdrop_elements elements,
                            int count, const simdrop_axis *axes, const void *x, void *y) {
    const size_t size = simdrop_type_bytes[elements.type], alignment = simdrop_type_alignment[elements.type];
    size_t misaligned_x = (uintptr_t)x, misaligned_y = (uintptr_t)y, elements_count = 1;
    for (int axis = 0; axis < count; axis++) {
        if (axes[axis].n == 0) {
            return;
        }
        misaligned_x |= (size_t)axes[axis].x;
        misaligned_y |= (size_t)axes[axis].y;
        elements_count *= axes[axis].n;
    }
    simdrop_axis simple[MAX_AXES];
    int simple_count = simplify_axes(count, axes, simple);
    if (simple_count == 0) { /* a single element */
        simple[simple_count++] = (simdrop_axis){.n = 1, .x = (ptrdiff_t)size, .y = (ptrdiff_t)size, .element = 1};
    }
    const position at = reverse_axes((position){.x = x, .y = y, .element = start}, simple_count, simple);
    int shares = 0;
    for (int axis = 0; axis < simple_count; axis++) {
        shares = shares || simple[axis].element == 0;
    }
    const int shares_run = simple[0].element == 0 && simple[0].n >= SHORT_ROW;
    job job = {
        .rule = rule,
        .packed = packed,
        .elements = elements,
        .direct_x =
            simple[0].x == (ptrdiff_t)size && elements.bytes == size && !elements.swap_x && misaligned_x % alignment == 0,
        .direct_y =
            simple[0].y == (ptrdiff_t)size && elements.bytes == size && !elements.swap_y && misaligned_y % alignment == 0,
        .prefetches = elements_count * size >= PREFETCH_FROM,
        .past_cache = elements_count * size >= STREAM_FROM,
        .run = shares_run ? simple[0] : (simdrop_axis){.n = 0},
    };
    if (rule != NULL && job.direct_x && job.direct_y && simple[0].element == 1 &&
        (simple_count == 1 || (simple[0].n >= LONG_ROW_FROM && !job.past_cache && !shares))) {
        cursor cursor = begin_at(at, simple_count);
        for (size_t left = elements_count; left != 0; left -= simple[0].n) {
            applies[elements.type](rule, cursor.at.element, simple[0].n, cursor.at.x, cursor.at.y, elements.scale);
            advance(&cursor, simple, simple_count, simple[0].n);
        }
        return;
    }
    layout layout;
    block_bits bits;
    size_t block[MAX_AXES];
    bits.bits = NULL;
    if (shares_run && simple_count == 1) { /* a single decision */
        simple[simple_count++] = (simdrop_axis){.n = 1, .element = 1};
    }
    make_layout(&layout, simple_count - shares_run, simple + shares_run);
    simdrop_axis rows[MAX_AXES + 1];
    if (join_in_memory(&layout, layout.block, rows) == 1 || shares_run) {
        rows[1] = (simdrop_axis){.n = 1};
    }
    job.prefetch_x = prefetch_distance(rows[0].n * size, rows[1].x);
    job.prefetch_y = prefetch_distance(rows[0].n * size, rows[1].y);
    apply_blocks(&job, &layout, at, block, 0, &bits);
    if (job.past_cache) {
        finish_streams();
    }
}

static void apply_array(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int count,
                        const simdrop_axis *axes, const void *x, void *y) {
    apply_or_select(rule, NULL, start, elements, count, axes, x, y);
}

static void select_array(const uint8_t *bits, uint64_t start, simdrop_elements elements, int count,
                         const simdrop_axis *axes, const void *x, void *y) {
    apply_or_select(NULL, bits, start, elements, count, axes, x, y);
}
