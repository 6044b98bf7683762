/* Arrays of any layout, a block at a time. Part of kernels.c. */
#pragma once

#include "blocks.h"
#include "runs.h"

enum {
    PREFETCH_FROM = 1 << 19, /* bytes of y from which memory is prefetched: less is in a near cache */
    LONG_ROW_FROM = 1 << 13, /* elements of a row that the kernel of contiguous arrays may have for itself */
};

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

static void apply_in_blocks(job job, position at, int count, const simdrop_axis *axes, uint64_t *drawn,
                            arranged_bits *arranged);

/* A block whose bits are drawn: they come into the order of memory, and are used, piece by piece. */
static void apply_pieces(const job *job, const layout *layout, position at, const size_t *block,
                         const block_bits *bits) {
    struct job of_pieces = *job;
    simdrop_axis axes[MAX_AXES];
    int count = 0;
    for (int axis = 0; axis < layout->count; axis++) {
        const simdrop_axis along = layout->axes[axis];
        if (block[axis] != 1) {
            axes[count++] = (simdrop_axis){block[axis], along.x, along.y, (uint64_t)bits->place.stride[axis]};
        }
    }
    at.element = (uint64_t)bits->place.first;
    of_pieces.decisions = (decisions){.words = bits->drawn};
    apply_in_blocks(of_pieces, at, join_axes(count, axes), axes, NULL, bits->arranged);
}

static void apply_block(const job *job, const layout *layout, position at, const size_t *block, block_bits *bits) {
    const size_t bytes = (size_t)layout->count * sizeof *block;
    if (!bits->are_there || bits->element != at.element || memcmp(bits->block, block, bytes) != 0) {
        bits->are_there = 1;
        bits->element = at.element;
        memcpy(bits->block, block, bytes);
        place_block(&bits->place, layout, at.element, block);
        if (job->decisions.words != NULL) {
            take_piece(job->decisions.words, layout, &bits->place, block, bits);
        } else {
            draw_block(job->decisions.rule, job->decisions.packed, layout, &bits->place, block, bits);
        }
    }
    if (bits->bits == NULL) {
        apply_pieces(job, layout, at, block, bits);
        return;
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
    if (row_bytes >= 4 * PREFETCH_DISTANCE || step == 0) {
        return PREFETCH_DISTANCE;
    }
    return step < PREFETCH_DISTANCE ? to_next_row * (ptrdiff_t)(PREFETCH_DISTANCE / step) : to_next_row;
}

/* Along axes that are simplified, but for the run that shares a decision. */
static void apply_in_blocks(job job, position at, int count, const simdrop_axis *axes, uint64_t *drawn,
                            arranged_bits *arranged) {
    layout layout;
    size_t block[MAX_AXES];
    simdrop_axis rows[MAX_AXES];
    block_bits bits;
    bits.are_there = 0;
    bits.drawn = drawn, bits.arranged = arranged;
    make_layout(&layout, count, axes, job.decisions.words != NULL ? SMALL_BLOCK : LARGE_BLOCK);
    memcpy(block, layout.block, (size_t)count * sizeof *block);
    if (job.prefetches) {
        const int one_row = join_in_memory(&layout, block, rows) == 1 || job.run.n != 0;
        job.prefetch_x = prefetch_distance(rows[0].n * type_bytes(&job), one_row ? 0 : rows[1].x);
        job.prefetch_y = prefetch_distance(rows[0].n * type_bytes(&job), one_row ? 0 : rows[1].y);
    }
    apply_blocks(&job, &layout, at, block, 0, &bits);
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
        .decisions = {.rule = rule, .packed = packed},
        .elements = elements,
        .direct_x = simple[0].x == (ptrdiff_t)size && elements.bytes == size && !elements.swap_x &&
                    misaligned_x % alignment == 0,
        .direct_y = simple[0].y == (ptrdiff_t)size && elements.bytes == size && !elements.swap_y &&
                    misaligned_y % alignment == 0,
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
    if (shares_run && simple_count == 1) { /* a single decision */
        simple[simple_count++] = (simdrop_axis){.n = 1, .element = 1};
    }
    uint64_t drawn[BLOCK_WORDS + 2];
    arranged_bits arranged;
    apply_in_blocks(job, at, simple_count - shares_run, simple + shares_run, drawn, &arranged);
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
