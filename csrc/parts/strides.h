/* Arrays of any layout: the order in which axes are followed, and the bits that this needs. Part of kernels.c. */
#pragma once

#include "panels.h"
#include "runs.h"

enum {
    PREFETCH_FROM = 1 << 19, /* bytes of y from which memory is prefetched: less is in a near cache */
    REPEAT_FROM = 1024,      /* elements of rows that share their decisions from which these are drawn once */
    REPEATED_BITS = 1 << 18, /* bits drawn once for all steps of an axis that shares them */
};

/* Axes that are contiguous in the mask, ascending or descending, innermost first: their bits are drawn a chunk at a
   time, over the ends of rows. Where a decision is shared along an axis, each bit is for a run along that one. */
static void apply_in_mask_order(job *job, position at, const simdrop_axis *axes, int count,
                                const simdrop_axis *shared) {
    const int descending = axes[0].element == DESCENDING;
    cursor cursor = begin_at(at, count);
    size_t left = 1;
    for (int axis = 0; axis < count; axis++) {
        left *= axes[axis].n;
    }
    for (size_t chunk, bit; left != 0; left -= chunk) {
        chunk = smaller(left, SHORT_CHUNK);
        const uint64_t *bits = run_bits(job, cursor.at.element, chunk, descending, &bit);
        if (shared == NULL) {
            apply_bits(job, &cursor, axes, count, bits, bit, chunk);
        } else {
            for (const size_t end = bit + chunk; bit < end; bit++) {
                apply_one_decision(job, cursor.at, *shared, (int)(bits[bit / WORD] >> bit % WORD & 1));
                advance(&cursor, axes, count, 1);
            }
        }
    }
}

/* A row of decisions for all steps of an axis that shares them: its bits are drawn once. If a row is short and its
   steps are contiguous in memory, copies of its bits are appended to each other, and several steps are one run. */
static void apply_repeated_rows(job *job, position at, simdrop_axis row, simdrop_axis again) {
    const int descending = row.element == DESCENDING, one_run = continues(row, again);
    for (size_t from = 0, n; from < row.n; from += n) {
        n = smaller(row.n - from, REPEATED_BITS);
        const position begin = step_along(at, row, from);
        size_t shift, together = 1;
        const uint64_t *bits = run_bits(job, begin.element, n, descending, &shift);
        uint64_t once[QUEUE / WORD + 1], queued[QUEUE / WORD + 2];
        if (one_run && row.n <= QUEUE / 2) {
            extract_words(bits, shift, WORD, words_of(n), once, 1, WORD);
            if (n % WORD != 0) {
                once[n / WORD] &= low_bits(n % WORD);
            }
            bit_queue queue = {0};
            for (together = 0; together < again.n && queue.count + n <= QUEUE; together++) {
                queue = append_bits(queue, queued, once, 1, n);
            }
            bits = queued;
            shift = 0;
        }
        for (size_t i = 0; i < again.n; i += together) {
            apply_run(job, step_along(begin, again, i), row, bits, shift, smaller(again.n - i, together) * n);
        }
    }
}

/* How an array of some layout is applied. */
typedef struct {
    simdrop_axis in_order[MAX_AXES]; /* contiguous in the mask, innermost first */
    int in_order_count;
    simdrop_axis memory; /* the innermost axis in memory */
    int repeats;         /* the next one in memory shares its decisions: it is the first of `outer` */
    int panels;          /* `memory` is not the innermost axis of the mask */
    simdrop_axis next;   /* continues `memory`, where it is too short for panels */
    simdrop_axis outer[MAX_AXES];
    int outer_count;
} plan;

static void apply_plan(job *job, const plan *plan, position at, int outer) {
    if (plan->repeats && outer == 1) {
        apply_repeated_rows(job, at, plan->memory, plan->outer[0]);
    } else if (outer != 0) {
        for (size_t i = 0; i < plan->outer[outer - 1].n; i++) {
            apply_plan(job, plan, step_along(at, plan->outer[outer - 1], i), outer - 1);
        }
    } else if (plan->panels) {
        apply_panels(job, at, plan->memory, plan->next, plan->in_order[0], plan->in_order[1]);
    } else {
        apply_in_mask_order(job, at, plan->in_order, plan->in_order_count,
                            plan->memory.element == 0 ? &plan->memory : NULL);
    }
}

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
static position reverse_axes(position at, int count, simdrop_axis *axes, size_t size) {
    if (axes[0].element != 1 || axes[0].x != -(ptrdiff_t)size || axes[0].y != axes[0].x || axes[0].n < SHORT_ROW) {
        return at;
    }
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

/* `axes` are simplified. */
static plan make_plan(int count, const simdrop_axis *axes) {
    const simdrop_axis none = {.n = 1};
    const uint64_t first = axes[0].element == DESCENDING ? DESCENDING : 1;
    plan plan = {.memory = axes[0], .next = none};
    plan.panels = axes[0].element != 0 && axes[0].element != first;
    int taken[MAX_AXES] = {axes[0].element != first};
    if (plan.panels && axes[0].n < WORD && count > 2 && axes[1].element > 1 && continues(axes[0], axes[1])) {
        plan.next = axes[1];
        taken[1] = 1;
    }
    plan.repeats = axes[0].element == first && count > 1 && axes[1].element == 0 &&
                   axes[1].n * axes[0].n >= REPEAT_FROM && (axes[0].n >= SHORT_ROW || continues(axes[0], axes[1]));
    const int most_in_order = plan.panels ? 2 : plan.repeats ? 1 : MAX_AXES;
    for (uint64_t next = first; plan.in_order_count < most_in_order;) {
        int axis = 0;
        while (axis < count && (taken[axis] || axes[axis].element != next)) {
            axis++;
        }
        if (axis == count) {
            break;
        }
        taken[axis] = 1;
        plan.in_order[plan.in_order_count++] = axes[axis];
        next *= axes[axis].n;
    }
    while (plan.in_order_count < (plan.panels ? 2 : 1)) {
        plan.in_order[plan.in_order_count++] = none;
    }
    for (int axis = 1; axis < count; axis++) {
        if (!taken[axis]) {
            plan.outer[plan.outer_count++] = axes[axis];
        }
    }
    return plan;
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
    const position at = reverse_axes((position){.x = x, .y = y, .element = start}, simple_count, simple, size);
    const plan plan = make_plan(simple_count, simple);
    const simdrop_axis memory = plan.memory;
    uint64_t bits[REPEATED_BITS / WORD + 2];
    job job = {
        .rule = rule,
        .packed = packed,
        .elements = elements,
        .direct_x =
            memory.x == (ptrdiff_t)size && elements.bytes == size && !elements.swap_x && misaligned_x % alignment == 0,
        .direct_y =
            memory.y == (ptrdiff_t)size && elements.bytes == size && !elements.swap_y && misaligned_y % alignment == 0,
        .prefetches = elements_count * size >= PREFETCH_FROM,
        .past_cache = elements_count * size >= STREAM_FROM,
        .prefetch_x = prefetch_distance(memory.n * size, simple_count > 1 ? simple[1].x : 0),
        .prefetch_y = prefetch_distance(memory.n * size, simple_count > 1 ? simple[1].y : 0),
        .bits = bits,
    };
    if (rule != NULL && job.direct_x && job.direct_y && memory.element == 1 && plan.in_order_count == 1 &&
        plan.outer_count == 0) {
        applies[elements.type](rule, start, memory.n, x, y, elements.scale);
        return;
    }
    apply_plan(&job, &plan, at, plan.outer_count);
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
