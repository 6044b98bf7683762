/* Arrays of any layout: which axis is followed through memory, and which bits of the mask belong to it. Part of
   kernels.c. */

enum {
    WORD = 64,            /* bits */
    BUFFER = 256,         /* elements that are gathered, masked and scattered at a time */
    LARGEST = 16,         /* bytes of an element */
    SHORT_ROW = 48,       /* elements; shorter rows are masked together */
    PANEL_WORDS = 4096,   /* of bits: they stay in the nearest cache */
    PANEL_ROWS = 1024,    /* before columns; more where columns are few */
    QUEUE = 4096,         /* bits in memory's order that are used together */
    KEPT = 1 << 18,       /* bits that are drawn once for all steps of an axis that shares them */
    FETCH_FROM = 1 << 19, /* bytes of y from which what comes next is fetched: less is near enough */
    AHEAD = 4096,         /* bytes from what is selected to what is fetched meanwhile */
    WORTH = 1024,         /* elements that share so many decisions that these are worth a draw of their own */
    LONG_ROW = 1024,      /* bytes from which a row may be written past the caches: its ends are not */
    MOST_AXES = SIMDROP_MOST_AXES,
};

/* From one element's number to that of the one before it. */
#define DESCENDING UINT64_MAX

/* One call: the mask, what elements are, and whether the kernels can read x and write y where they are. */
typedef struct {
    const simdrop_rule *rule; /* NULL: the bits are stored */
    const uint8_t *packed;
    simdrop_elements elements;
    int direct_x, direct_y, fetches, past_cache;
    ptrdiff_t ahead_x, ahead_y; /* as AHEAD */
    /* The bits that were drawn last, for axes that repeat them. */
    uint64_t *bits, drawn_from;
    size_t drawn;
} job;

/* Bits from element `start` on; they begin start % 64 bits into bits[0]. */
static void take_bits(const job *job, uint64_t start, size_t n, uint64_t *bits) {
    if (job->rule == NULL) {
        load_packed(job->packed, start, n, bits);
    } else {
        draw(job->rule, start, n, bits);
    }
}

/* Where it stands: in x, in y, and in the mask. */
typedef struct {
    const char *x;
    char *y;
    uint64_t element;
} place;

static size_t magnitude(ptrdiff_t stride) { return stride < 0 ? -(size_t)stride : (size_t)stride; }

static place moved(place from, simdrop_axis along, size_t steps) {
    return (place){
        .x = from.x + (ptrdiff_t)steps * along.x,
        .y = from.y + (ptrdiff_t)steps * along.y,
        .element = from.element + steps * along.element,
    };
}

/* Whether in memory an axis goes on where another one ends. */
static int continues(simdrop_axis inner, simdrop_axis axis) {
    return axis.x == (ptrdiff_t)inner.n * inner.x && axis.y == (ptrdiff_t)inner.n * inner.y;
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
    selects[job->elements.type](bits, shift, n, x, y, job->elements.scale, (lookahead){0}, 0);
}

/* n elements where they are: large arrays past the caches, from the first line of y on. */
static void run_in_place(const job *job, const char *x, char *y, const uint64_t *bits, size_t shift, size_t n) {
    const size_t natural = natural_bytes(job), first = -(uintptr_t)y % LINE / natural;
    const int past_cache = job->past_cache && n * natural >= LONG_ROW && ((uintptr_t)y + first * natural) % LINE == 0;
    if (past_cache && first != 0) {
        select_elements(job, bits, shift, first, x, y);
        x += first * natural, y += first * natural, n -= first;
        bits += (shift + first) / WORD;
        shift = (shift + first) % WORD;
    }
    lookahead ahead = {0};
    if (job->fetches) {
        ahead.read = (const void *)((uintptr_t)x + (uintptr_t)job->ahead_x);
        ahead.written = (const void *)((uintptr_t)y + (uintptr_t)job->ahead_y);
    }
    selects[job->elements.type](bits, shift, n, x, y, job->elements.scale, ahead, past_cache);
}

/* n elements along an axis, whose bits begin `shift` bits into a word. */
static void run(const job *job, place at, simdrop_axis along, const uint64_t *bits, size_t shift, size_t n) {
    if (job->direct_x && job->direct_y) {
        run_in_place(job, at.x, at.y, bits, shift, n);
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

INLINE cursor begun(place at, int count) {
    cursor cursor;
    cursor.at = at;
    memset(cursor.position, 0, (size_t)count * sizeof *cursor.position);
    return cursor;
}

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

/* Elements whose bits are in memory's order, along axes from a cursor on. */
static void use_bits(const job *job, cursor *cursor, const simdrop_axis *axes, int count, const uint64_t *bits,
                     size_t bit, size_t n) {
    for (size_t end = bit + n, length; bit < end; bit += length) {
        if (axes[0].n < SHORT_ROW) {
            length = smaller(end - bit, BUFFER);
            run_of_short_rows(job, cursor, axes, count, bits + bit / WORD, bit % WORD, length);
        } else {
            length = smaller(end - bit, axes[0].n - cursor->position[0]);
            run(job, cursor->at, axes[0], bits + bit / WORD, bit % WORD, length);
            advance(cursor, axes, count, length);
        }
    }
}

static uint64_t reversed(uint64_t word) {
    word = (word & 0x5555555555555555) << 1 | (word >> 1 & 0x5555555555555555);
    word = (word & 0x3333333333333333) << 2 | (word >> 2 & 0x3333333333333333);
    word = (word & 0x0f0f0f0f0f0f0f0f) << 4 | (word >> 4 & 0x0f0f0f0f0f0f0f0f);
    return __builtin_bswap64(word);
}

/* The bits of n elements, at most KEPT, from one on, or from one back to those before it. They begin `shift` bits
   into the first word. */
static const uint64_t *bits_from(job *job, uint64_t element, size_t n, int descending, size_t *shift) {
    const uint64_t first = descending ? element - n + 1 : element, end = first % WORD + n;
    const size_t words = (end + WORD - 1) / WORD;
    if (job->drawn_from != first || job->drawn != n) {
        take_bits(job, first, n, job->bits);
        job->drawn_from = first;
        job->drawn = n;
        for (size_t i = 0; descending && 2 * i < words; i++) {
            const uint64_t low = job->bits[i], high = job->bits[words - 1 - i];
            job->bits[i] = reversed(high);
            job->bits[words - 1 - i] = reversed(low);
        }
    }
    *shift = descending ? words * WORD - end : first % WORD;
    return job->bits;
}

/* Axes whose elements are numbered one after the other, up or down, innermost first: their bits are drawn a chunk at a
   time, over the ends of rows. Where a decision is shared along an axis, each bit is for a run along that one. */
static void walk_in_order(job *job, place at, const simdrop_axis *axes, int count, const simdrop_axis *shared) {
    const int descending = axes[0].element == DESCENDING;
    cursor cursor = begun(at, count);
    size_t left = 1;
    for (int axis = 0; axis < count; axis++) {
        left *= axes[axis].n;
    }
    for (size_t chunk, bit; left != 0; left -= chunk) {
        chunk = smaller(left, SIMDROP_CHUNK);
        const uint64_t *bits = bits_from(job, cursor.at.element, chunk, descending, &bit);
        if (shared == NULL) {
            use_bits(job, &cursor, axes, count, bits, bit, chunk);
        } else {
            for (const size_t end = bit + chunk; bit < end; bit++) {
                shared_run(job, cursor.at, *shared, (int)(bits[bit / WORD] >> bit % WORD & 1));
                advance(&cursor, axes, count, 1);
            }
        }
    }
}

/* A block of an array that memory follows along its rows, and the mask along its columns: `inner` whose elements are
   numbered one after the other, and `outer` which goes on where `inner` ends. Rows are `row`, and in memory `next` goes
   on where it ends. */
typedef struct {
    place at;
    simdrop_axis row, next, inner, outer;
} panel;

static size_t words_of(size_t bits) { return tiles_of(0, bits); }

/* n words, each `step` bits after the one before it, to every `to_step`-th word: of each, the low `width` bits count.
 */
static void spread(const uint64_t *bits, size_t position, size_t step, size_t n, uint64_t *to, size_t to_step,
                   size_t width) {
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && width <= WORD - 7) { /* so few are in one word from any byte on */
        for (; n != 0; n--, position += step, to += to_step) {
            uint64_t word;
            memcpy(&word, (const char *)bits + position / 8, sizeof word);
            *to = word >> position % 8;
        }
    }
    for (; n != 0; n--, position += step, to += to_step) {
        const size_t word = position / WORD, shift = position % WORD;
        *to = bits[word] >> shift | bits[word + 1] << 1 << (63 - shift);
    }
}

/* word[64 h j + i] holds the bits of columns 64 j to 64 j + 63 in row i, where h words are enough for a bit a row. */
static void draw_panel(const job *job, const panel *panel, uint64_t *word) {
    uint64_t bits[PANEL_WORDS + 2];
    const size_t rows = panel->row.n * panel->next.n, height = words_of(rows) * WORD;
    const size_t columns = panel->inner.n * panel->outer.n;
    /* Rows whose numbers go on where those of the one before end are drawn together. */
    const int by_next = panel->next.element == columns;
    const simdrop_axis near = by_next ? panel->next : panel->row, far = by_next ? panel->row : panel->next;
    const size_t near_step = by_next ? panel->row.n : 1, far_step = by_next ? 1 : panel->row.n;
    const size_t together = near.element == columns ? near.n : 1;
    for (size_t i = 0; i < far.n; i++) {
        for (size_t k = 0; k < near.n; k += together) {
            const uint64_t element = panel->at.element + i * far.element + k * near.element;
            take_bits(job, element, together * columns, bits);
            uint64_t *to = word + i * far_step + k * near_step;
            if (together == 1) {
                spread(bits, element % WORD, WORD, words_of(columns), to, height, WORD);
                continue;
            }
            for (size_t j = 0; j * WORD < columns; j++) {
                spread(bits, element % WORD + j * WORD, columns, together, to + height * j, near_step,
                       columns - j * WORD);
            }
        }
    }
    for (size_t j = 0; j * WORD < columns; j++) {
        memset(word + height * j + rows, 0, (height - rows) * sizeof *word);
    }
}

/* Bits behind each other: those of the last word that is not full, and how many there are in all. */
typedef struct {
    uint64_t last;
    size_t count;
} bit_queue;

/* n more, `step` words from one to the next; those above them are 0. */
static inline bit_queue appended(bit_queue queue, uint64_t *to, const uint64_t *from, size_t step, size_t n) {
    const size_t shift = queue.count % WORD, end = shift + n % WORD;
    uint64_t *word = to + queue.count / WORD;
    queue.count += n;
    for (; n >= WORD; n -= WORD, from += step) {
        *word++ = queue.last | *from << shift;
        queue.last = *from >> 1 >> (63 - shift);
    }
    if (n != 0) {
        word[0] = queue.last | *from << shift;
        word[1] = *from >> 1 >> (63 - shift);
        queue.last = word[end / WORD];
    } else {
        word[0] = queue.last;
    }
    return queue;
}

/* A few rows of each column are put together while a word has room; returns how often they were doubled. */
static int doubled_columns(uint64_t *word, size_t words, size_t rows) {
    int times = 0;
    for (; (rows << times) <= WORD / 2; times++) {
        for (size_t i = 0; i < words; i += WORD) {
            for (size_t k = 0; k < (size_t)WORD / 2 >> times; k++) {
                word[i + k] = word[i + 2 * k] | word[i + 2 * k + 1] << (rows << times);
            }
        }
    }
    return times;
}

static void apply_panel(const job *job, const panel *panel) {
    uint64_t word[PANEL_WORDS] __attribute__((aligned(LINE)));
    const size_t rows = panel->row.n * panel->next.n, height = words_of(rows) * WORD;
    const size_t columns = panel->inner.n * panel->outer.n;
    draw_panel(job, panel, word);
    for (size_t j = 0; j * WORD < columns; j++) {
        for (size_t i = 0; i < height; i += WORD) {
            transpose_bits(word + height * j + i, smaller(columns - j * WORD, WORD));
        }
    }
    /* Now word[64 (h j + i) + k] holds the bits of rows 64 i to 64 i + 63 in column 64 j + k. Take the columns as they
       lie. */
    const int inner_first = magnitude(panel->inner.y) <= magnitude(panel->outer.y) || panel->outer.n == 1;
    const simdrop_axis near = inner_first ? panel->inner : panel->outer,
                       far = inner_first ? panel->outer : panel->inner;
    const size_t near_step = inner_first ? 1 : panel->inner.n, far_step = inner_first ? panel->inner.n : 1;
    simdrop_axis axes[3] = {panel->row, near, far};
    int count = 3;
    axes[0].n = rows;
    if (continues(axes[0], near)) {
        axes[0].n *= near.n;
        axes[1] = far;
        count = 2;
    }
    const int doubled = far.n == 1 ? doubled_columns(word, words_of(columns) * height, rows) : 0;
    const size_t each = (size_t)1 << doubled;
    cursor cursor = begun(panel->at, count);
    uint64_t bits[(QUEUE + PANEL_WORDS) / WORD + 2];
    bit_queue queue = {0};
    for (size_t i = 0; i < far.n; i++) {
        for (size_t k = 0; k < near.n; k += each) {
            const size_t column = i * far_step + k * near_step;
            uint64_t *from = word + column / WORD * height + (column % WORD >> doubled);
            if (near.n - k < each) {
                *from &= (UINT64_C(1) << (near.n - k) * rows) - 1;
            }
            queue = appended(queue, bits, from, WORD, smaller(each, near.n - k) * rows);
            if (queue.count >= QUEUE) {
                use_bits(job, &cursor, axes, count, bits, 0, queue.count);
                queue = (bit_queue){0};
            }
        }
    }
    bits[queue.count / WORD + 1] = 0;
    use_bits(job, &cursor, axes, count, bits, 0, queue.count);
}

/* Cut an array into panels. */
static void walk_panels(const job *job, place at, simdrop_axis row, simdrop_axis next, simdrop_axis inner,
                        simdrop_axis outer) {
    const size_t most_columns = PANEL_WORDS / words_of(smaller(row.n * next.n, PANEL_ROWS));
    const size_t inner_step = smaller(inner.n, most_columns);
    const size_t outer_step = inner_step < inner.n ? 1 : smaller(outer.n, most_columns / inner.n);
    const size_t most_rows = PANEL_WORDS / words_of(inner_step * outer_step) / WORD * WORD;
    const size_t row_step = smaller(row.n, most_rows);
    const size_t next_step = row_step < row.n ? 1 : smaller(next.n, most_rows / row.n);
    for (size_t l = 0; l < outer.n; l += outer_step) {
        for (size_t k = 0; k < inner.n; k += inner_step) {
            for (size_t j = 0; j < next.n; j += next_step) {
                for (size_t i = 0; i < row.n; i += row_step) {
                    panel panel = {moved(moved(moved(moved(at, outer, l), inner, k), next, j), row, i), row, next,
                                   inner, outer};
                    panel.row.n = smaller(row.n - i, row_step);
                    panel.next.n = smaller(next.n - j, next_step);
                    panel.inner.n = smaller(inner.n - k, inner_step);
                    panel.outer.n = smaller(outer.n - l, outer_step);
                    apply_panel(job, &panel);
                }
            }
        }
    }
}

/* A row of decisions for all steps of an axis that shares them: its bits are drawn once. Where the steps of a short row
   follow each other in memory, its bits are put behind each other, too, and several steps are one run. */
static void walk_repeated(job *job, place at, simdrop_axis row, simdrop_axis again) {
    const int descending = row.element == DESCENDING, one_run = continues(row, again);
    for (size_t from = 0, n; from < row.n; from += n) {
        n = smaller(row.n - from, KEPT);
        const place begin = moved(at, row, from);
        size_t shift, together = 1;
        const uint64_t *bits = bits_from(job, begin.element, n, descending, &shift);
        uint64_t once[QUEUE / WORD + 1], queued[QUEUE / WORD + 2];
        if (one_run && row.n <= QUEUE / 2) {
            spread(bits, shift, WORD, words_of(n), once, 1, WORD);
            if (n % WORD != 0) {
                once[n / WORD] &= (UINT64_C(1) << n % WORD) - 1;
            }
            bit_queue queue = {0};
            for (together = 0; together < again.n && queue.count + n <= QUEUE; together++) {
                queue = appended(queue, queued, once, 1, n);
            }
            bits = queued;
            shift = 0;
        }
        for (size_t i = 0; i < again.n; i += together) {
            run(job, moved(begin, again, i), row, bits, shift, smaller(again.n - i, together) * n);
        }
    }
}

/* What an array's layout asks for. */
typedef struct {
    simdrop_axis in_order[MOST_AXES]; /* numbered one after the other, innermost first */
    int in_order_count;
    simdrop_axis memory; /* the innermost axis in memory */
    int repeats;         /* the next one there shares its decisions: it is the first of `outer` */
    int panels;          /* the mask does not follow it */
    simdrop_axis next;   /* goes on in memory where that one ends, if panels need it to have rows enough */
    simdrop_axis outer[MOST_AXES];
    int outer_count;
} plan;

static void walk(job *job, const plan *plan, place at, int outer) {
    if (plan->repeats && outer == 1) {
        walk_repeated(job, at, plan->memory, plan->outer[0]);
    } else if (outer != 0) {
        for (size_t i = 0; i < plan->outer[outer - 1].n; i++) {
            walk(job, plan, moved(at, plan->outer[outer - 1], i), outer - 1);
        }
    } else if (plan->panels) {
        walk_panels(job, at, plan->memory, plan->next, plan->in_order[0], plan->in_order[1]);
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
        if (continues(*inner, simple[axis]) && simple[axis].element == inner->n * inner->element) {
            inner->n *= simple[axis].n;
        } else {
            simple[++last] = simple[axis];
        }
    }
    return n == 0 ? 0 : last + 1;
}

/* Axes that run backward through x and y alike are followed the other way, so that the kernels can take them where they
   are. It is the mask then that is followed backward. */
static place turned(place at, int count, simdrop_axis *axes, size_t natural) {
    if (axes[0].element != 1 || axes[0].x != -(ptrdiff_t)natural || axes[0].y != axes[0].x || axes[0].n < SHORT_ROW) {
        return at;
    }
    for (int axis = 0; axis < count; axis++) {
        if (axes[axis].x < 0 && axes[axis].y < 0) {
            at = moved(at, axes[axis], axes[axis].n - 1);
            axes[axis].x = -axes[axis].x;
            axes[axis].y = -axes[axis].y;
            axes[axis].element = -axes[axis].element;
        }
    }
    return at;
}

/* Sort the axes into a plan. */
static plan planned(int count, const simdrop_axis *axes) {
    const simdrop_axis none = {.n = 1};
    const uint64_t first = axes[0].element == DESCENDING ? DESCENDING : 1;
    plan plan = {.memory = axes[0], .next = none};
    plan.panels = axes[0].element != 0 && axes[0].element != first;
    int taken[MOST_AXES] = {axes[0].element != first};
    if (plan.panels && axes[0].n < WORD && count > 2 && axes[1].element > 1 && continues(axes[0], axes[1])) {
        plan.next = axes[1];
        taken[1] = 1;
    }
    plan.repeats = axes[0].element == first && count > 1 && axes[1].element == 0 && axes[1].n * axes[0].n >= WORTH &&
                   (axes[0].n >= SHORT_ROW || continues(axes[0], axes[1]));
    const int most_in_order = plan.panels ? 2 : plan.repeats ? 1 : MOST_AXES;
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

/* How far ahead memory is fetched: where rows are short, to one of those that are next. */
static ptrdiff_t ahead(size_t row_bytes, ptrdiff_t to_next_row) {
    const size_t step = magnitude(to_next_row);
    return row_bytes >= AHEAD || step == 0 ? AHEAD : to_next_row * (ptrdiff_t)(step < AHEAD ? AHEAD / step : 1);
}

static void walk_array(const simdrop_rule *rule, const uint8_t *packed, uint64_t start, simdrop_elements elements,
                       int count, const simdrop_axis *axes, const void *x, void *y) {
    const size_t natural = simdrop_type_bytes[elements.type], part = simdrop_type_part[elements.type];
    size_t misaligned_x = (uintptr_t)x, misaligned_y = (uintptr_t)y, size = 1;
    for (int axis = 0; axis < count; axis++) {
        if (axes[axis].n == 0) {
            return;
        }
        misaligned_x |= (size_t)axes[axis].x;
        misaligned_y |= (size_t)axes[axis].y;
        size *= axes[axis].n;
    }
    simdrop_axis simple[MOST_AXES] = {{.n = 1, .x = (ptrdiff_t)natural, .y = (ptrdiff_t)natural, .element = 1}};
    simdrop_axis found[MOST_AXES];
    const int found_count = simplified(count, axes, found);
    memcpy(simple, found, (size_t)found_count * sizeof *found);
    const int simple_count = found_count ? found_count : 1;
    const place at = turned((place){.x = x, .y = y, .element = start}, simple_count, simple, natural);
    const plan plan = planned(simple_count, simple);
    const simdrop_axis memory = plan.memory;
    uint64_t bits[KEPT / WORD + 2];
    job job = {
        .rule = rule,
        .packed = packed,
        .elements = elements,
        .direct_x =
            memory.x == (ptrdiff_t)natural && elements.bytes == natural && !elements.swap_x && misaligned_x % part == 0,
        .direct_y =
            memory.y == (ptrdiff_t)natural && elements.bytes == natural && !elements.swap_y && misaligned_y % part == 0,
        .fetches = size * natural >= FETCH_FROM,
        .past_cache = size * natural >= STREAM_FROM,
        .ahead_x = ahead(memory.n * natural, simple_count > 1 ? simple[1].x : 0),
        .ahead_y = ahead(memory.n * natural, simple_count > 1 ? simple[1].y : 0),
        .bits = bits,
    };
    if (rule != NULL && job.direct_x && job.direct_y && memory.element == 1 && plan.in_order_count == 1 &&
        plan.outer_count == 0) {
        applies[elements.type](rule, start, memory.n, x, y, elements.scale);
        return;
    }
    walk(&job, &plan, at, plan.outer_count);
    if (job.past_cache) {
        finish_streams();
    }
}

static void apply_array(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int count,
                        const simdrop_axis *axes, const void *x, void *y) {
    walk_array(rule, NULL, start, elements, count, axes, x, y);
}

static void select_array(const uint8_t *bits, uint64_t start, simdrop_elements elements, int count,
                         const simdrop_axis *axes, const void *x, void *y) {
    walk_array(NULL, bits, start, elements, count, axes, x, y);
}
