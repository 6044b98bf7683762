/* Keep bits applied to runs of elements: in place or through a buffer, along one axis or over the ends of rows. Part of
   kernels.c. */
#pragma once

#include "axes.h"
#include "copy.h"
#include "shared.h"

enum {
    BUFFER = 256,             /* elements that are gathered, masked and scattered at a time */
    LARGEST = 16,             /* bytes of an element */
    SHORT_ROW = 48,           /* elements; shorter rows are masked together */
    PREFETCH_DISTANCE = 4096, /* bytes from what is selected to what is prefetched meanwhile */
    LONG_ROW = 1024,          /* bytes from which a row may be written past the caches, except for its ends */
    LONG_RUN = 4096,          /* bytes from which a branch on the decision for a run pays */
};

/* Where decisions come from: a rule, or else bits that are stored, or else bits in words. */
typedef struct {
    const simdrop_rule *rule;
    const uint8_t *packed;
    const uint64_t *words;
} decisions;

/* One call: the mask, the elements, and whether the kernels can read x and write y in place. */
typedef struct job {
    decisions decisions;
    simdrop_elements elements;
    int direct_x, direct_y, prefetches, past_cache;
    ptrdiff_t prefetch_x, prefetch_y; /* as PREFETCH_DISTANCE */
    simdrop_axis run;                 /* the innermost axis in memory, if it shares one decision; else of length 0 */
} job;

static size_t type_bytes(const job *job) { return simdrop_type_bytes[job->elements.type]; }

/* Elements into a buffer, contiguous and in the machine's byte order, and back. */

static void gather(const job *job, char *buffer, const char *x, ptrdiff_t stride, size_t n) {
    copy_elements(buffer, (ptrdiff_t)type_bytes(job), x, stride, n, job->elements.bytes);
    if (job->elements.swap_x) {
        swap_bytes(buffer, n * type_bytes(job), job->elements.swap_x);
    }
}

static void scatter(const job *job, char *y, ptrdiff_t stride, char *buffer, size_t n) {
    if (job->elements.swap_y) {
        swap_bytes(buffer, n * type_bytes(job), job->elements.swap_y);
    }
    copy_elements(y, stride, buffer, (ptrdiff_t)type_bytes(job), n, job->elements.bytes);
}

static void select_elements(const job *job, const uint64_t *bits, size_t shift, size_t n, const void *x, void *y) {
    selects[job->elements.type](bits, shift, n, x, y, job->elements.scale, (prefetch){0}, 0);
}

/* n elements in place: large arrays past the caches, from the first line of y on. */
static void apply_contiguous(const job *job, const char *x, char *y, const uint64_t *bits, size_t shift, size_t n) {
    const size_t size = type_bytes(job), first = -(uintptr_t)y % LINE / size;
    const int past_cache = job->past_cache && n * size >= LONG_ROW && ((uintptr_t)y + first * size) % LINE == 0;
    if (past_cache && first != 0) {
        select_elements(job, bits, shift, first, x, y);
        x += first * size, y += first * size, n -= first;
        bits += (shift + first) / WORD;
        shift = (shift + first) % WORD;
    }
    prefetch memory = {0};
    if (job->prefetches) {
        memory.read = (const void *)((uintptr_t)x + (uintptr_t)job->prefetch_x);
        memory.written = (const void *)((uintptr_t)y + (uintptr_t)job->prefetch_y);
    }
    selects[job->elements.type](bits, shift, n, x, y, job->elements.scale, memory, past_cache);
}

/* n elements along an axis, whose bits begin `shift` bits into a word. */
static void apply_run(const job *job, position at, simdrop_axis axis, const uint64_t *bits, size_t shift, size_t n) {
    if (job->direct_x && job->direct_y) {
        apply_contiguous(job, at.x, at.y, bits, shift, n);
        return;
    }
    while (n != 0) {
        char buffer[BUFFER * LARGEST] __attribute__((aligned(LINE)));
        const size_t count = smaller(n, BUFFER);
        if (!job->direct_y) { /* else each store to a new line would wait for it */
            size_t step = 1;
            while (step < count && 2 * step * magnitude(axis.y) <= LINE) {
                step *= 2;
            }
            for (size_t i = 0; i < count; i += step) {
                __builtin_prefetch(at.y + (ptrdiff_t)i * axis.y, 1);
            }
        }
        if (!job->direct_x) {
            gather(job, buffer, at.x, axis.x, count);
        }
        select_elements(job, bits, shift, count, job->direct_x ? at.x : buffer, job->direct_y ? at.y : buffer);
        if (!job->direct_y) {
            scatter(job, at.y, axis.y, buffer, count);
        }
        at = step_along(at, axis, count);
        bits += (shift + count) / WORD;
        shift = (shift + count) % WORD;
        n -= count;
    }
}

/* All elements along an axis that shares one decision; what is dropped is not read. */
static void apply_one_decision(const job *job, position at, simdrop_axis axis, int keep) {
    if (keep) {
        uint64_t ones[CHUNK_WORDS];
        memset(ones, 0xff, sizeof ones);
        for (size_t n = axis.n; n != 0;) {
            const size_t count = smaller(n, CHUNK);
            apply_run(job, at, axis, ones, 0, count);
            at = step_along(at, axis, count);
            n -= count;
        }
    } else if (job->direct_y) {
        memset(at.y, 0, axis.n * type_bytes(job));
    } else {
        for (size_t i = 0; i < axis.n; i++) {
            memset(at.y + (ptrdiff_t)i * axis.y, 0, job->elements.bytes);
        }
    }
}

/* A position, and its index along each of some axes. */
typedef struct {
    position at;
    size_t index[MAX_AXES];
} cursor;

INLINE cursor begin_at(position at, int count) {
    cursor cursor;
    cursor.at = at;
    memset(cursor.index, 0, (size_t)count * sizeof *cursor.index);
    return cursor;
}

/* `steps` along the innermost axis, at most to its end, and from there to the beginning of the next row. */
static void advance(cursor *cursor, const simdrop_axis *axes, int count, size_t steps) {
    cursor->at = step_along(cursor->at, axes[0], steps);
    cursor->index[0] += steps;
    for (int axis = 0; axis + 1 < count && cursor->index[axis] == axes[axis].n; axis++) {
        cursor->at.x -= (ptrdiff_t)axes[axis].n * axes[axis].x;
        cursor->at.y -= (ptrdiff_t)axes[axis].n * axes[axis].y;
        cursor->at.element -= axes[axis].n * axes[axis].element;
        cursor->index[axis] = 0;
        cursor->at = step_along(cursor->at, axes[axis + 1], 1);
        cursor->index[axis + 1]++;
    }
}

/* At most BUFFER elements of rows that are too short for the kernels: together, in a buffer. */
static void apply_short_rows(const job *job, cursor *cursor, const simdrop_axis *axes, int count, const uint64_t *bits,
                             size_t shift, size_t n) {
    char buffer[BUFFER * LARGEST] __attribute__((aligned(LINE)));
    const size_t size = type_bytes(job);
    struct {
        char *y;
        size_t length;
    } row[BUFFER];
    size_t rows = 0;
    for (size_t i = 0; i < n; i += row[rows++].length) {
        row[rows].y = cursor->at.y;
        row[rows].length = smaller(n - i, axes[0].n - cursor->index[0]);
        gather(job, buffer + i * size, cursor->at.x, axes[0].x, row[rows].length);
        advance(cursor, axes, count, row[rows].length);
    }
    select_elements(job, bits, shift, n, buffer, buffer);
    for (size_t i = 0, j = 0; i < rows; j += row[i++].length) {
        scatter(job, row[i].y, axes[0].y, buffer + j * size, row[i].length);
    }
}

/* Elements whose bits are in memory's order, along axes from a cursor on. */
static void apply_bits(const job *job, cursor *cursor, const simdrop_axis *axes, int count, const uint64_t *bits,
                       size_t bit, size_t n) {
    for (size_t end = bit + n, length; bit < end; bit += length) {
        if (axes[0].n < SHORT_ROW) {
            length = smaller(end - bit, BUFFER);
            apply_short_rows(job, cursor, axes, count, bits + bit / WORD, bit % WORD, length);
        } else {
            length = smaller(end - bit, axes[0].n - cursor->index[0]);
            apply_run(job, cursor->at, axes[0], bits + bit / WORD, bit % WORD, length);
            advance(cursor, axes, count, length);
        }
    }
}
