/* Arrays of any layout: which axis is followed through memory, and which bits of the mask belong to it. */
#include "kernels.h"

#include <string.h>

enum {
    WORD = 64,        /* bits */
    BUFFER = 256,     /* elements that are gathered, masked and scattered at a time */
    LARGEST = 16,     /* bytes of an element */
    PANEL_ROWS = 512, /* the bits of a panel and their transposes stay in the caches that are near */
    PANEL_COLUMNS = 512,
    PANEL_WORDS = PANEL_COLUMNS / WORD,
    MOST_AXES = 64,
};

/* One call: the mask, what elements are, and whether the kernels can read x and write y where they are. */
typedef struct {
    const simdrop_kernels *kernels;
    const simdrop_rule *rule;
    simdrop_elements elements;
    int direct_x, direct_y;
} job;

/* Where it stands: in x, in y, and in the mask. */
typedef struct {
    const char *x;
    char *y;
    uint64_t element;
} place;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static place moved(place from, simdrop_axis along, size_t steps) {
    return (place){
        .x = from.x + (ptrdiff_t)steps * along.x,
        .y = from.y + (ptrdiff_t)steps * along.y,
        .element = from.element + steps * along.element,
    };
}

static void copy_elements(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, size_t n,
                          size_t size) {
    for (; n != 0; n--, to += to_stride, from += from_stride) {
        switch (size) { /* a constant size is a load and a store; the compiler takes the switch out of the loop */
        case 1:
            memcpy(to, from, 1);
            break;
        case 2:
            memcpy(to, from, 2);
            break;
        case 4:
            memcpy(to, from, 4);
            break;
        case 8:
            memcpy(to, from, 8);
            break;
        case 16:
            memcpy(to, from, 16);
            break;
        default:
            memcpy(to, from, size);
            break;
        }
    }
}

/* The other byte order: each number of `size` bytes is reversed. */
static void swap_bytes(char *data, size_t bytes, size_t size) {
    for (char *number = data; number < data + bytes; number += size) {
        for (size_t i = 0; i < size / 2; i++) {
            const char byte = number[i];
            number[i] = number[size - 1 - i];
            number[size - 1 - i] = byte;
        }
    }
}

/* n elements along an axis, whose bits begin `shift` bits into a word. */
static void run(const job *job, place at, simdrop_axis along, const uint64_t *bits, size_t shift, size_t n) {
    const simdrop_elements *elements = &job->elements;
    const size_t natural = simdrop_type_bytes[elements->type];
    while (n != 0) {
        char buffer[BUFFER * LARGEST] __attribute__((aligned(64)));
        const char *from = at.x;
        char *to = at.y;
        size_t count = n;
        if (!job->direct_x || !job->direct_y) {
            count = smaller(n, BUFFER);
        }
        if (!job->direct_x) {
            copy_elements(buffer, (ptrdiff_t)natural, at.x, along.x, count, elements->bytes);
            if (elements->swap_x) {
                swap_bytes(buffer, count * natural, elements->swap_x);
            }
            from = buffer;
        }
        if (!job->direct_y) {
            to = buffer;
        }
        job->kernels->select[elements->type](bits, shift, count, from, to, elements->scale);
        if (!job->direct_y) {
            if (elements->swap_y) {
                swap_bytes(buffer, count * natural, elements->swap_y);
            }
            copy_elements(at.y, along.y, buffer, (ptrdiff_t)natural, count, elements->bytes);
        }
        at = moved(at, along, count);
        bits += (shift + count) / WORD;
        shift = (shift + count) % WORD;
        n -= count;
    }
}

/* All elements along an axis that shares one decision; what is dropped is not read. */
static void shared_run(const job *job, place at, simdrop_axis along, int keep) {
    if (keep) {
        uint64_t ones[SIMDROP_CHUNK_WORDS];
        memset(ones, 0xff, sizeof ones);
        for (size_t n = along.n; n != 0;) {
            const size_t count = smaller(n, SIMDROP_CHUNK);
            run(job, at, along, ones, 0, count);
            at = moved(at, along, count);
            n -= count;
        }
    } else if (job->direct_y) {
        memset(at.y, 0, along.n * job->elements.bytes);
    } else {
        for (size_t i = 0; i < along.n; i++) {
            memset(at.y + (ptrdiff_t)i * along.y, 0, job->elements.bytes);
        }
    }
}

/* Axes whose elements are numbered one after the other, innermost first: their bits are drawn a chunk at a time, over
   the ends of rows. Where a decision is shared along an axis, each bit is for a run along that one. */
static void walk_in_order(const job *job, place at, const simdrop_axis *axes, int count, const simdrop_axis *shared) {
    uint64_t bits[SIMDROP_CHUNK_WORDS] = {0};
    size_t position[MOST_AXES] = {0}, left = 1;
    for (int axis = 0; axis < count; axis++) {
        left *= axes[axis].n;
    }
    while (left != 0) {
        const size_t chunk = smaller(left, SIMDROP_CHUNK);
        const size_t shift = at.element % WORD;
        job->kernels->draw(job->rule, at.element, chunk, bits);
        for (size_t i = 0; i < chunk;) {
            const size_t bit = shift + i;
            size_t length = 1;
            if (shared != NULL) {
                shared_run(job, at, *shared, (int)(bits[bit / WORD] >> bit % WORD & 1));
            } else {
                length = smaller(chunk - i, axes[0].n - position[0]);
                run(job, at, axes[0], bits + bit / WORD, bit % WORD, length);
            }
            i += length;
            at = moved(at, axes[0], length);
            position[0] += length;
            for (int axis = 0; axis + 1 < count && position[axis] == axes[axis].n; axis++) {
                at.x -= (ptrdiff_t)axes[axis].n * axes[axis].x;
                at.y -= (ptrdiff_t)axes[axis].n * axes[axis].y;
                at.element -= axes[axis].n * axes[axis].element;
                position[axis] = 0;
                at = moved(at, axes[axis + 1], 1);
                position[axis + 1]++;
            }
        }
        left -= chunk;
    }
}

/* Exchange rows and columns of 64 words of 64 bits (Warren, Hacker's Delight, section 7-3). */
static void transpose_bits(uint64_t word[WORD]) {
    uint64_t mask = 0x00000000ffffffff;
    for (unsigned width = WORD / 2; width != 0; width /= 2, mask ^= mask << width) {
        for (unsigned i = 0; i < WORD; i = (i + width + 1) & ~width) {
            const uint64_t exchanged = (word[i] >> width ^ word[i + width]) & mask;
            word[i] ^= exchanged << width;
            word[i + width] ^= exchanged;
        }
    }
}

/* An axis that memory follows and another one that the mask follows, as in Fortran order: the bits of a panel are drawn
   in rows along the mask's axis, and used in columns along memory's. */
static void walk_panel(const job *job, place at, simdrop_axis memory, simdrop_axis mask) {
    uint64_t panel[PANEL_WORDS][PANEL_ROWS];
    for (size_t column = 0; column < mask.n; column += PANEL_COLUMNS) {
        const size_t columns = smaller(mask.n - column, PANEL_COLUMNS);
        for (size_t row = 0; row < memory.n; row += PANEL_ROWS) {
            const size_t rows = smaller(memory.n - row, PANEL_ROWS);
            const place corner = moved(moved(at, mask, column), memory, row);
            for (size_t i = 0; i < rows; i++) {
                const uint64_t element = corner.element + i * memory.element;
                const size_t shift = element % WORD;
                uint64_t bits[SIMDROP_CHUNK_WORDS] = {0};
                job->kernels->draw(job->rule, element, columns, bits);
                for (size_t j = 0; j * WORD < columns; j++) {
                    panel[j][i] = bits[j] >> shift | bits[j + 1] << 1 << (63 - shift);
                }
            }
            for (size_t j = 0; j * WORD < columns; j++) {
                for (size_t i = 0; i < rows; i += WORD) {
                    transpose_bits(panel[j] + i);
                }
            }
            for (size_t j = 0; j < columns; j++) {
                uint64_t bits[PANEL_ROWS / WORD + 1];
                for (size_t i = 0; i * WORD < rows; i++) {
                    bits[i] = panel[j / WORD][i * WORD + j % WORD];
                }
                run(job, moved(corner, mask, j), memory, bits, 0, rows);
            }
        }
    }
}

/* What an array's layout asks for. */
typedef struct {
    simdrop_axis in_order[MOST_AXES]; /* numbered one after the other, innermost first */
    int in_order_count;
    simdrop_axis memory; /* the innermost axis in memory */
    simdrop_axis outer[MOST_AXES];
    int outer_count;
} plan;

static void walk(const job *job, const plan *plan, place at, int outer) {
    if (outer != 0) {
        for (size_t i = 0; i < plan->outer[outer - 1].n; i++) {
            walk(job, plan, moved(at, plan->outer[outer - 1], i), outer - 1);
        }
    } else if (plan->memory.element > 1) {
        walk_panel(job, at, plan->memory, plan->in_order[0]);
    } else {
        walk_in_order(job, at, plan->in_order, plan->in_order_count, plan->memory.element == 0 ? &plan->memory : NULL);
    }
}

static size_t magnitude(ptrdiff_t stride) { return stride < 0 ? -(size_t)stride : (size_t)stride; }

/* The axes longer than 1, innermost in y first, with neighbours that continue each other as one. */
static int simplified(int count, const simdrop_axis *axes, simdrop_axis *simple) {
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
    int last = 0;
    for (int axis = 1; axis < n; axis++) {
        simdrop_axis *inner = &simple[last];
        const ptrdiff_t length = (ptrdiff_t)inner->n;
        if (simple[axis].x == length * inner->x && simple[axis].y == length * inner->y &&
            simple[axis].element == inner->n * inner->element) {
            inner->n *= simple[axis].n;
        } else {
            simple[++last] = simple[axis];
        }
    }
    return n == 0 ? 0 : last + 1;
}

/* Sort the axes into a plan. */
static plan planned(int count, const simdrop_axis *axes) {
    plan plan = {.memory = axes[0]};
    const int panel = axes[0].element > 1;
    int taken[MOST_AXES] = {axes[0].element != 1};
    for (uint64_t next = 1; !(panel && plan.in_order_count == 1);) {
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
    if (plan.in_order_count == 0) {
        plan.in_order[plan.in_order_count++] = (simdrop_axis){.n = 1};
    }
    for (int axis = 1; axis < count; axis++) {
        if (!taken[axis]) {
            plan.outer[plan.outer_count++] = axes[axis];
        }
    }
    return plan;
}

void simdrop_walk(const simdrop_kernels *kernels, const simdrop_rule *rule, uint64_t start, simdrop_elements elements,
                  int count, const simdrop_axis *axes, const void *x, void *y) {
    const size_t natural = simdrop_type_bytes[elements.type], part = simdrop_type_part[elements.type];
    size_t misaligned_x = (uintptr_t)x, misaligned_y = (uintptr_t)y;
    for (int axis = 0; axis < count; axis++) {
        if (axes[axis].n == 0) {
            return;
        }
        misaligned_x |= (size_t)axes[axis].x;
        misaligned_y |= (size_t)axes[axis].y;
    }
    simdrop_axis simple[MOST_AXES] = {{.n = 1, .x = (ptrdiff_t)natural, .y = (ptrdiff_t)natural, .element = 1}};
    simdrop_axis found[MOST_AXES];
    const int found_count = simplified(count, axes, found);
    memcpy(simple, found, (size_t)found_count * sizeof *found);
    const plan plan = planned(found_count ? found_count : 1, simple);
    const simdrop_axis memory = plan.memory;
    const job job = {
        .kernels = kernels,
        .rule = rule,
        .elements = elements,
        .direct_x =
            memory.x == (ptrdiff_t)natural && elements.bytes == natural && !elements.swap_x && misaligned_x % part == 0,
        .direct_y =
            memory.y == (ptrdiff_t)natural && elements.bytes == natural && !elements.swap_y && misaligned_y % part == 0,
    };
    if (job.direct_x && job.direct_y && memory.element == 1 && plan.in_order_count == 1 && plan.outer_count == 0) {
        kernels->apply[elements.type](rule, start, memory.n, x, y, elements.scale);
        return;
    }
    walk(&job, &plan, (place){.x = x, .y = y, .element = start}, plan.outer_count);
}
