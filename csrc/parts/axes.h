/* Axes of arrays of any layout: strides, and neighbours that are one axis in memory. Part of kernels.c. */
#pragma once

#include "common.h"

enum { MAX_AXES = SIMDROP_MAX_AXES };

/* A position in x, in y, and in the mask. */
typedef struct {
    const char *x;
    char *y;
    uint64_t element;
} position;

static size_t magnitude(ptrdiff_t stride) { return stride < 0 ? -(size_t)stride : (size_t)stride; }

static position step_along(position from, simdrop_axis axis, size_t steps) {
    return (position){
        .x = from.x + (ptrdiff_t)steps * axis.x,
        .y = from.y + (ptrdiff_t)steps * axis.y,
        .element = from.element + steps * axis.element,
    };
}

/* Whether `axis` goes on in memory where `inner` ends. */
static int continues(simdrop_axis inner, simdrop_axis axis) {
    return axis.x == (ptrdiff_t)inner.n * inner.x && axis.y == (ptrdiff_t)inner.n * inner.y;
}

/* Joins neighbours, innermost first, that are one axis both in memory and in the mask; returns how many are left. */
static int join_axes(int count, simdrop_axis *axes) {
    int joined = 0;
    for (int axis = 0; axis < count; axis++) {
        simdrop_axis *inner = joined != 0 ? &axes[joined - 1] : NULL;
        if (inner && continues(*inner, axes[axis]) && axes[axis].element == inner->n * inner->element) {
            inner->n *= axes[axis].n;
        } else {
            axes[joined++] = axes[axis];
        }
    }
    return joined;
}

/* Axes of a block of decisions: lengths, and the distances between neighbours where they are read and where they are
   written. At least one axis. */
typedef struct {
    size_t n;
    ptrdiff_t from, to;
} bit_axis;

typedef struct {
    int count;
    bit_axis axis[MAX_AXES + 1];
} bit_axes;

static size_t positions_along(const bit_axes *axes) {
    size_t n = 1;
    for (int i = 0; i < axes->count; i++) {
        n *= axes->axis[i].n;
    }
    return n;
}

/* The axes after the first ones. */
static void axes_after(const bit_axes *axes, int first, bit_axes *after) {
    after->count = axes->count - first;
    memcpy(after->axis, axes->axis + first, (size_t)after->count * sizeof *after->axis);
    if (after->count == 0) {
        after->axis[after->count++] = (bit_axis){1, 0, 0};
    }
}

/* Goes over the positions along axes, the first axis fastest. */
typedef struct {
    ptrdiff_t from, to;
    size_t index[MAX_AXES + 1];
} bit_cursor;

static inline bit_cursor begin_bits(ptrdiff_t from, ptrdiff_t to, const bit_axes *axes) {
    bit_cursor cursor;
    cursor.from = from, cursor.to = to;
    memset(cursor.index, 0, (size_t)axes->count * sizeof *cursor.index);
    return cursor;
}

/* `steps` along the first axis, at most to its end, and from there to where it begins next. */
static inline void step_bits(bit_cursor *cursor, const bit_axes *axes, size_t steps) {
    const bit_axis *axis = axes->axis, *last = axis + axes->count - 1;
    cursor->from += (ptrdiff_t)steps * axis->from, cursor->to += (ptrdiff_t)steps * axis->to;
    cursor->index[0] += steps;
    for (size_t *index = cursor->index; *index == axis->n && axis != last; axis++) {
        *index = 0;
        cursor->from += axis[1].from - (ptrdiff_t)axis->n * axis->from;
        cursor->to += axis[1].to - (ptrdiff_t)axis->n * axis->to;
        ++*++index;
    }
}
