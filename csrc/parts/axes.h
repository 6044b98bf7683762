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
