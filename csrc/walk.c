/* Arrays of any layout: which axis is followed through memory, and which bits of the mask belong to it. */
#include "kernels.h"

#include <string.h>

enum {
    WORD = 64,        /* bits */
    BUFFER = 256,     /* elements that are gathered, masked and scattered at a time */
    LARGEST = 16,     /* bytes of an element */
    LINE = 64,        /* bytes */
    SHORT_ROW = 48,   /* elements; shorter rows are masked together */
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
    /* The bits that were drawn last, for axes that repeat them. */
    uint64_t bits[SIMDROP_CHUNK_WORDS], drawn_from;
    size_t drawn;
} job;

/* Where it stands: in x, in y, and in the mask. */
typedef struct {
    const char *x;
    char *y;
    uint64_t element;
} place;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t magnitude(ptrdiff_t stride) { return stride < 0 ? -(size_t)stride : (size_t)stride; }

static place moved(place from, simdrop_axis along, size_t steps) {
    return (place){
        .x = from.x + (ptrdiff_t)steps * along.x,
        .y = from.y + (ptrdiff_t)steps * along.y,
        .element = from.element + steps * along.element,
    };
}

/* Elements of a constant size, each a load and a store; four a turn, whose addresses do not wait for each other. */
#define COPY(bytes)                                                                                                    \
    for (; n >= 4; n -= 4, to += 4 * to_stride, from += 4 * from_stride) {                                             \
        memcpy(to, from, bytes);                                                                                       \
        memcpy(to + to_stride, from + from_stride, bytes);                                                             \
        memcpy(to + 2 * to_stride, from + 2 * from_stride, bytes);                                                     \
        memcpy(to + 3 * to_stride, from + 3 * from_stride, bytes);                                                     \
    }                                                                                                                  \
    for (; n != 0; n--, to += to_stride, from += from_stride) {                                                        \
        memcpy(to, from, bytes);                                                                                       \
    }                                                                                                                  \
    return

static void copy_elements(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, size_t n,
                          size_t size) {
    if (to_stride == (ptrdiff_t)size && from_stride == to_stride) {
        memcpy(to, from, n * size);
        return;
    }
    switch (size) {
    case 1:
        COPY(1);
    case 2:
        COPY(2);
    case 4:
        COPY(4);
    case 8:
        COPY(8);
    case 16:
        COPY(16);
    default:
        COPY(size);
    }
}

/* The other byte order: each number of `size` bytes is reversed. */
static void swap_bytes(char *data, size_t bytes, size_t size) {
#define SWAP(word, swapped)                                                                                            \
    for (size_t i = 0; i < bytes; i += sizeof(word)) {                                                                 \
        word value;                                                                                                    \
        memcpy(&value, data + i, sizeof value);                                                                        \
        value = swapped(value);                                                                                        \
        memcpy(data + i, &value, sizeof value);                                                                        \
    }
    if (size == 2) {
        SWAP(uint16_t, __builtin_bswap16)
    } else if (size == 4) {
        SWAP(uint32_t, __builtin_bswap32)
    } else {
        SWAP(uint64_t, __builtin_bswap64)
    }
#undef SWAP
    for (size_t i = 0; size == 16 && i < bytes; i += size) { /* and its halves are exchanged */
        char half[8];
        memcpy(half, data + i, 8);
        memcpy(data + i, data + i + 8, 8);
        memcpy(data + i + 8, half, 8);
    }
}

static size_t natural_bytes(const job *job) { return simdrop_type_bytes[job->elements.type]; }

/* Elements as the kernels want them, one after the other in a buffer, and back. */

static void gather(const job *job, char *buffer, const char *x, ptrdiff_t stride, size_t n) {
    copy_elements(buffer, (ptrdiff_t)natural_bytes(job), x, stride, n, job->elements.bytes);
    if (job->elements.swap_x) {
        swap_bytes(buffer, n * natural_bytes(job), job->elements.swap_x);
    }
}

static void scatter(const job *job, char *y, ptrdiff_t stride, char *buffer, size_t n) {
    if (job->elements.swap_y) {
        swap_bytes(buffer, n * natural_bytes(job), job->elements.swap_y);
    }
    copy_elements(y, stride, buffer, (ptrdiff_t)natural_bytes(job), n, job->elements.bytes);
}

static void select_elements(const job *job, const uint64_t *bits, size_t shift, size_t n, const void *x, void *y) {
    job->kernels->select[job->elements.type](bits, shift, n, x, y, job->elements.scale);
}

/* n elements along an axis, whose bits begin `shift` bits into a word. */
static void run(const job *job, place at, simdrop_axis along, const uint64_t *bits, size_t shift, size_t n) {
    if (job->direct_x && job->direct_y) {
        select_elements(job, bits, shift, n, at.x, at.y);
        return;
    }
    while (n != 0) {
        char buffer[BUFFER * LARGEST] __attribute__((aligned(LINE)));
        const size_t count = smaller(n, BUFFER);
        if (!job->direct_y) { /* else each store to a new line would wait for it */
            size_t step = 1;
            while (step < count && 2 * step * magnitude(along.y) <= LINE) {
                step *= 2;
            }
            for (size_t i = 0; i < count; i += step) {
                __builtin_prefetch(at.y + (ptrdiff_t)i * along.y, 1);
            }
        }
        if (!job->direct_x) {
            gather(job, buffer, at.x, along.x, count);
        }
        select_elements(job, bits, shift, count, job->direct_x ? at.x : buffer, job->direct_y ? at.y : buffer);
        if (!job->direct_y) {
            scatter(job, at.y, along.y, buffer, count);
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
        memset(at.y, 0, along.n * natural_bytes(job));
    } else {
        for (size_t i = 0; i < along.n; i++) {
            memset(at.y + (ptrdiff_t)i * along.y, 0, job->elements.bytes);
        }
    }
}

/* A place, and how far it is along each of some axes. */
typedef struct {
    place at;
    size_t position[MOST_AXES];
} cursor;

/* `steps` along the innermost axis, at most to its end, and from there to the beginning of the next row. */
static void advance(cursor *cursor, const simdrop_axis *axes, int count, size_t steps) {
    cursor->at = moved(cursor->at, axes[0], steps);
    cursor->position[0] += steps;
    for (int axis = 0; axis + 1 < count && cursor->position[axis] == axes[axis].n; axis++) {
        cursor->at.x -= (ptrdiff_t)axes[axis].n * axes[axis].x;
        cursor->at.y -= (ptrdiff_t)axes[axis].n * axes[axis].y;
        cursor->at.element -= axes[axis].n * axes[axis].element;
        cursor->position[axis] = 0;
        cursor->at = moved(cursor->at, axes[axis + 1], 1);
        cursor->position[axis + 1]++;
    }
}

/* At most BUFFER elements of rows that are too short for the kernels: together, in a buffer. */
static void run_of_short_rows(const job *job, cursor *cursor, const simdrop_axis *axes, int count, const uint64_t *bits,
                              size_t shift, size_t n) {
    char buffer[BUFFER * LARGEST] __attribute__((aligned(LINE)));
    const size_t natural = natural_bytes(job);
    struct {
        char *y;
        size_t length;
    } row[BUFFER];
    size_t rows = 0;
    for (size_t i = 0; i < n; i += row[rows++].length) {
        row[rows].y = cursor->at.y;
        row[rows].length = smaller(n - i, axes[0].n - cursor->position[0]);
        gather(job, buffer + i * natural, cursor->at.x, axes[0].x, row[rows].length);
        advance(cursor, axes, count, row[rows].length);
    }
    select_elements(job, bits, shift, n, buffer, buffer);
    for (size_t i = 0, j = 0; i < rows; j += row[i++].length) {
        scatter(job, row[i].y, axes[0].y, buffer + j * natural, row[i].length);
    }
}

/* The bits of n elements from one on, at most a chunk. */
static const uint64_t *bits_from(job *job, uint64_t element, size_t n) {
    if (job->drawn_from != element || job->drawn != n) {
        job->kernels->draw(job->rule, element, n, job->bits);
        job->drawn_from = element;
        job->drawn = n;
    }
    return job->bits;
}

/* Axes whose elements are numbered one after the other, innermost first: their bits are drawn a chunk at a time, over
   the ends of rows. Where a decision is shared along an axis, each bit is for a run along that one. */
static void walk_in_order(job *job, place at, const simdrop_axis *axes, int count, const simdrop_axis *shared) {
    cursor cursor = {.at = at};
    size_t left = 1;
    for (int axis = 0; axis < count; axis++) {
        left *= axes[axis].n;
    }
    for (size_t chunk; left != 0; left -= chunk) {
        chunk = smaller(left, SIMDROP_CHUNK);
        size_t bit = cursor.at.element % WORD;
        const uint64_t *bits = bits_from(job, cursor.at.element, chunk);
        for (size_t end = bit + chunk, length; bit < end; bit += length) {
            if (shared != NULL) {
                length = 1;
                shared_run(job, cursor.at, *shared, (int)(bits[bit / WORD] >> bit % WORD & 1));
                advance(&cursor, axes, count, length);
            } else if (axes[0].n < SHORT_ROW) {
                length = smaller(end - bit, BUFFER);
                run_of_short_rows(job, &cursor, axes, count, bits + bit / WORD, bit % WORD, length);
            } else {
                length = smaller(end - bit, axes[0].n - cursor.position[0]);
                run(job, cursor.at, axes[0], bits + bit / WORD, bit % WORD, length);
                advance(&cursor, axes, count, length);
            }
        }
    }
}

/* Exchange rows and columns of 64 words of 64 bits (Warren, Hacker's Delight, section 7-3). */
static void transpose_bits(uint64_t word[WORD]) {
#define EXCHANGE(width, mask)                                                                                          \
    for (int block = 0; block < WORD; block += 2 * width) {                                                            \
        for (int i = block; i < block + width; i++) {                                                                  \
            const uint64_t exchanged = (word[i] >> width ^ word[i + width]) & mask;                                    \
            word[i] ^= exchanged << width;                                                                             \
            word[i + width] ^= exchanged;                                                                              \
        }                                                                                                              \
    }
    EXCHANGE(32, 0x00000000ffffffff)
    EXCHANGE(16, 0x0000ffff0000ffff)
    EXCHANGE(8, 0x00ff00ff00ff00ff)
    EXCHANGE(4, 0x0f0f0f0f0f0f0f0f)
    EXCHANGE(2, 0x3333333333333333)
    EXCHANGE(1, 0x5555555555555555)
#undef EXCHANGE
}

static uint64_t bits_at(const uint64_t *bits, size_t position) {
    const size_t word = position / WORD, shift = position % WORD;
    return bits[word] >> shift | bits[word + 1] << 1 << (63 - shift);
}

/* A block of an array that memory follows along one axis, its rows, and the mask along two others, its columns: `inner`
   whose elements are numbered one after the other, and `outer` which goes on where `inner` ends. */
typedef struct {
    place at;
    simdrop_axis row, inner, outer; /* at most PANEL_ROWS rows and PANEL_COLUMNS columns */
} panel;

/* word[j][i] holds the bits of columns 64 j to 64 j + 63 in row i. */
static void draw_panel(const job *job, const panel *panel, uint64_t word[PANEL_WORDS][PANEL_ROWS]) {
    enum { ROW_WORDS = PANEL_WORDS + 2 };
    uint64_t bits[PANEL_ROWS * ROW_WORDS + 1];
    const size_t rows = panel->row.n, columns = panel->inner.n * panel->outer.n;
    const int adjacent = panel->row.element == columns; /* each row goes on where the one before ends */
    if (adjacent) {
        job->kernels->draw(job->rule, panel->at.element, rows * columns, bits);
    }
    for (size_t i = 0; i < rows; i++) {
        size_t position = panel->at.element % WORD + i * columns;
        if (!adjacent) {
            const uint64_t element = panel->at.element + i * panel->row.element;
            job->kernels->draw(job->rule, element, columns, bits + i * ROW_WORDS);
            position = i * ROW_WORDS * WORD + element % WORD;
        }
        for (size_t j = 0; j * WORD < columns; j++) {
            word[j][i] = bits_at(bits, position + j * WORD);
        }
    }
    for (size_t j = 0; j * WORD < columns; j++) {
        for (size_t i = rows; i % WORD != 0; i++) {
            word[j][i] = 0;
        }
    }
}

/* Bits in a row, for columns that go on in memory where others end. */
typedef struct {
    uint64_t bits[2 * PANEL_ROWS / WORD + 1];
    size_t count;
    place at; /* of the first */
} bit_queue;

static void flush(const job *job, bit_queue *queue, simdrop_axis along) {
    run(job, queue->at, along, queue->bits, 0, queue->count);
    memset(queue->bits, 0, sizeof queue->bits);
    queue->count = 0;
}

static void apply_panel(const job *job, const panel *panel) {
    uint64_t word[PANEL_WORDS][PANEL_ROWS];
    const size_t rows = panel->row.n, columns = panel->inner.n * panel->outer.n;
    draw_panel(job, panel, word);
    for (size_t j = 0; j * WORD < columns; j++) {
        for (size_t i = 0; i < rows; i += WORD) {
            transpose_bits(word[j] + i);
        }
    }
    /* Now word[j / 64][64 k + j % 64] holds the bits of rows 64 k to 64 k + 63 in column j. Take the columns as they
     * lie. */
    const int inner_first = magnitude(panel->inner.y) <= magnitude(panel->outer.y) || panel->outer.n == 1;
    const simdrop_axis near = inner_first ? panel->inner : panel->outer,
                       far = inner_first ? panel->outer : panel->inner;
    const ptrdiff_t length = (ptrdiff_t)rows;
    const int joined = near.x == length * panel->row.x && near.y == length * panel->row.y;
    bit_queue queue = {{0}, 0, panel->at};
    for (size_t i = 0; i < far.n; i++) {
        for (size_t k = 0; k < near.n; k++) {
            const size_t column = inner_first ? i * near.n + k : k * far.n + i;
            if (queue.count == 0) {
                queue.at = moved(moved(panel->at, far, i), near, k);
            }
            for (size_t row = 0; row < rows; row += WORD) {
                const uint64_t bits = word[column / WORD][row + column % WORD];
                uint64_t *last = &queue.bits[queue.count / WORD];
                last[0] |= bits << queue.count % WORD;
                last[1] |= bits >> 1 >> (63 - queue.count % WORD);
                queue.count += smaller(rows - row, WORD);
            }
            if (!joined || k + 1 == near.n || queue.count > PANEL_ROWS) {
                flush(job, &queue, panel->row);
            }
        }
    }
}

/* Cut an array into panels. */
static void walk_panels(const job *job, place at, simdrop_axis row, simdrop_axis inner, simdrop_axis outer) {
    const size_t inner_step = smaller(inner.n, PANEL_COLUMNS);
    const size_t outer_step = inner_step < inner.n ? 1 : PANEL_COLUMNS / inner.n;
    for (size_t k = 0; k < outer.n; k += outer_step) {
        for (size_t j = 0; j < inner.n; j += inner_step) {
            for (size_t i = 0; i < row.n; i += PANEL_ROWS) {
                panel panel = {moved(moved(moved(at, outer, k), inner, j), row, i), row, inner, outer};
                panel.row.n = smaller(row.n - i, PANEL_ROWS);
                panel.inner.n = smaller(inner.n - j, inner_step);
                panel.outer.n = smaller(outer.n - k, outer_step);
                apply_panel(job, &panel);
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

static void walk(job *job, const plan *plan, place at, int outer) {
    if (outer != 0) {
        for (size_t i = 0; i < plan->outer[outer - 1].n; i++) {
            walk(job, plan, moved(at, plan->outer[outer - 1], i), outer - 1);
        }
    } else if (plan->memory.element > 1) {
        walk_panels(job, at, plan->memory, plan->in_order[0], plan->in_order[1]);
    } else {
        walk_in_order(job, at, plan->in_order, plan->in_order_count, plan->memory.element == 0 ? &plan->memory : NULL);
    }
}

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
    for (uint64_t next = 1; !(panel && plan.in_order_count == 2);) {
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
    if (panel && plan.in_order_count == 1) {
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
    job job = {
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
