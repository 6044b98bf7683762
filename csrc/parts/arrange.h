/* Bits of a block, from the order of the mask into that of memory. Part of kernels.c. */
#pragma once

#include "axes.h"

enum {
    NARROW = 8,      /* rows or columns: so few are interleaved or separated, more are transposed */
    LEAST_GROUP = 8, /* rows or columns of which several groups are transposed together */
};

/* Axes of a block of bits: lengths, and the distances between neighbours where they are read and where they are
   written. At least one. */
typedef struct {
    size_t n;
    ptrdiff_t from, to;
} bit_axis;

typedef struct {
    int count;
    bit_axis axis[MAX_AXES + 1];
} bit_axes;

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

/* The next n positions, where bits are read or where they are written. */
INLINE void take_positions(bit_cursor *cursor, const bit_axes *axes, size_t n, int written, ptrdiff_t *position) {
    const bit_axis axis = axes->axis[0];
    const ptrdiff_t stride = written ? axis.to : axis.from;
    for (size_t i = 0, count; i < n; i += count) {
        const ptrdiff_t first = written ? cursor->to : cursor->from;
        count = smaller(n - i, axis.n - cursor->index[0]);
        for (size_t k = 0; k < count; k++) {
            position[i + k] = first + (ptrdiff_t)k * stride;
        }
        step_bits(cursor, axes, count);
    }
}

static size_t positions_along(const bit_axes *axes) {
    size_t n = 1;
    for (int i = 0; i < axes->count; i++) {
        n *= axes->axis[i].n;
    }
    return n;
}

/* 64 bits from a position on. */
static inline uint64_t bits_from(const uint64_t *bits, ptrdiff_t at) {
    return bits_at(bits + (size_t)at / WORD, (size_t)at % WORD);
}

/* Writes to where all bits are still 0; those above the ones to be written are 0 in `bits`. */
static inline void set_bits(uint64_t *to, ptrdiff_t at, uint64_t bits) {
    const size_t shift = (size_t)at % WORD;
    to += (size_t)at / WORD;
    to[0] |= bits << shift;
    to[1] |= bits >> 1 >> (63 - shift);
}

static uint64_t reversed(uint64_t word) {
    word = (word & 0x5555555555555555) << 1 | (word >> 1 & 0x5555555555555555);
    word = (word & 0x3333333333333333) << 2 | (word >> 2 & 0x3333333333333333);
    word = (word & 0x0f0f0f0f0f0f0f0f) << 4 | (word >> 4 & 0x0f0f0f0f0f0f0f0f);
    return __builtin_bswap64(word);
}

/* n <= 64 bits along a row: ascending (step 1), descending (-1), or one that is repeated (0). */
INLINE uint64_t row_bits(const uint64_t *from, ptrdiff_t at, size_t n, int step) {
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && n <= WORD - 7 && step == 1) { /* in a word from some byte on */
        uint64_t word;
        memcpy(&word, (const char *)from + (size_t)at / 8, sizeof word);
        return word >> at % 8 & low_bits(n);
    }
    if (step == 0) {
        return bits_from(from, at) & 1 ? low_bits(n) : 0;
    }
    if (step < 0) {
        return reversed(bits_from(from, at - (ptrdiff_t)n + 1)) >> (WORD - n);
    }
    return bits_from(from, at) & low_bits(n);
}

/* Bits that are written one after the other: those of the last word, which is not full, in a register. */
typedef struct {
    uint64_t *to, last;
    size_t count; /* of the last word */
} bit_queue;

/* n <= 64 bits more; those above them are 0 in `bits`. */
static inline bit_queue append_bits(bit_queue queue, uint64_t bits, size_t n) {
    const uint64_t word = queue.last | bits << queue.count, rest = bits >> 1 >> (63 - queue.count);
    const size_t count = queue.count + n, full = count / WORD;
    *queue.to = word;
    return (bit_queue){queue.to + full, full ? rest : word, count % WORD};
}

/* Rows of n bits that are rows in memory, too; short ones several at a time. */
INLINE void arrange_rows(const uint64_t *from, bit_cursor cursor, uint64_t *to, size_t n, const bit_axes *axes,
                         int step) {
    const bit_axis rows = axes->axis[0];
    const size_t positions = positions_along(axes), together = n < WORD ? WORD / n : 1;
    bit_queue queue = {to, 0, 0};
    for (size_t k = 0; k < positions; k += rows.n) {
        ptrdiff_t at = cursor.from;
        for (size_t i = 0, count; i < rows.n; i += count) {
            count = smaller(rows.n - i, together);
            if (together == 1) {
                for (size_t bit = 0, some; bit < n; bit += some) {
                    some = smaller(n - bit, WORD);
                    queue = append_bits(queue, row_bits(from, at + step * (ptrdiff_t)bit, some, step), some);
                }
                at += rows.from;
            } else {
                uint64_t word = 0;
                for (size_t shift = 0; shift < count * n; shift += n, at += rows.from) {
                    word |= row_bits(from, at, n, step) << shift;
                }
                queue = append_bits(queue, word, count * n);
            }
        }
        step_bits(&cursor, axes, rows.n);
    }
    *queue.to = queue.last;
}

/* How bits are spread to positions `apart` from each other, or brought together: by halves of their number, a step for
   each. */
typedef struct {
    size_t apart, count; /* of bits, which are all that fit in a word */
    int steps;
    uint64_t mask[6]; /* where they are after a step; the last one is 0 */
} spacing;

static spacing spacing_of(size_t apart) {
    spacing spacing = {.apart = apart, .count = WORD / apart};
    for (; (size_t)1 << spacing.steps < spacing.count; spacing.steps++) {
        for (size_t i = 0; i < spacing.count; i++) {
            const size_t together = i & (((size_t)1 << spacing.steps) - 1);
            spacing.mask[spacing.steps] |= UINT64_C(1) << ((i - together) * apart + together);
        }
    }
    return spacing;
}

static inline uint64_t spread(const spacing *spacing, uint64_t bits) {
    for (int step = spacing->steps - 1; step >= 0; step--) {
        bits = (bits | bits << ((spacing->apart - 1) << step)) & spacing->mask[step];
    }
    return bits;
}

static inline uint64_t bring_together(const spacing *spacing, uint64_t bits) {
    for (int step = 0; step < spacing->steps; step++) {
        bits &= spacing->mask[step];
        bits |= bits >> ((spacing->apart - 1) << step);
    }
    return bits & low_bits(spacing->count);
}

/* A block to be transposed. Its rows follow each other where they are written; its columns where they are read. The
   other axes say where there are more such blocks. */
typedef struct {
    bit_axes rows, columns, others;
    ptrdiff_t from, to;
} bit_block;

/* Few rows, and each column's end is where the next one begins: bits of the rows take turns. */
static void interleave(const uint64_t *from, uint64_t *to, const bit_block *block) {
    const spacing spacing = spacing_of(positions_along(&block->rows));
    const bit_axis column = block->columns.axis[0];
    const size_t others = positions_along(&block->others);
    ptrdiff_t row[NARROW];
    bit_cursor at = begin_bits(0, 0, &block->rows);
    take_positions(&at, &block->rows, spacing.apart, 0, row);
    bit_queue queue = {to, 0, 0};
    at = begin_bits(block->from, 0, &block->others);
    for (size_t k = 0; k < others; k++, step_bits(&at, &block->others, 1)) {
        for (size_t i = 0, n; i < column.n; i += n) {
            uint64_t word = 0;
            n = smaller(column.n - i, spacing.count);
            for (size_t j = 0; j < spacing.apart; j++) {
                const uint64_t bits = bits_from(from, at.from + row[j] + (ptrdiff_t)i);
                word |= spread(&spacing, bits & low_bits(n)) << j;
            }
            queue = append_bits(queue, word, n * spacing.apart);
        }
    }
    *queue.to = queue.last;
}

/* Few columns, and each row's end is where the next one begins: every so many bits are of one column. */
static void separate(const uint64_t *from, uint64_t *to, const bit_block *block) {
    const spacing spacing = spacing_of(positions_along(&block->columns));
    const size_t others = positions_along(&block->others), rows = block->rows.axis[0].n;
    ptrdiff_t column[NARROW];
    bit_cursor at = begin_bits(0, 0, &block->columns);
    take_positions(&at, &block->columns, spacing.apart, 1, column);
    at = begin_bits(block->from, block->to, &block->others);
    for (size_t k = 0; k < others; k++, step_bits(&at, &block->others, 1)) {
        for (size_t i = 0; i < rows; i += spacing.count) {
            const uint64_t bits = bits_from(from, at.from + (ptrdiff_t)(i * spacing.apart)) &
                                  low_bits(smaller(rows - i, spacing.count) * spacing.apart);
            for (size_t j = 0; j < spacing.apart; j++) {
                set_bits(to, at.to + column[j] + (ptrdiff_t)i, bring_together(&spacing, bits >> j));
            }
        }
    }
}

/* 64 rows and columns at a time. Where there are half as many or fewer of one, a block of 64 by 64 holds several groups
   of rows side by side, or of columns one below the other. */
static void transpose(const uint64_t *from, uint64_t *to, const bit_block *block) {
    const size_t others = positions_along(&block->others), rows = positions_along(&block->rows),
                 columns = positions_along(&block->columns);
    size_t height = WORD, width = WORD; /* of a group */
    while (height > LEAST_GROUP && height / 2 >= rows) {
        height /= 2;
    }
    while (height == WORD && width > LEAST_GROUP && width / 2 >= columns) {
        width /= 2;
    }
    const size_t down = height % WORD, across = width % WORD; /* from group to group; 0 where there is one */
    bit_cursor at = begin_bits(block->from, block->to, &block->others);
    for (size_t k = 0; k < others; k++, step_bits(&at, &block->others, 1)) {
        bit_cursor row = begin_bits(at.from, at.to, &block->rows);
        for (size_t i = 0, n; i < rows; i += n) {
            ptrdiff_t row_at[WORD * WORD / LEAST_GROUP];
            bit_cursor column = begin_bits(0, row.to, &block->columns);
            n = smaller(rows - i, WORD * (WORD / width));
            take_positions(&row, &block->rows, n, 0, row_at);
            for (size_t j = 0, m; j < columns; j += m) {
                ptrdiff_t column_at[WORD * WORD / LEAST_GROUP];
                uint64_t word[WORD] __attribute__((aligned(LINE))) = {0};
                m = smaller(columns - j, WORD * (WORD / height));
                take_positions(&column, &block->columns, m, 1, column_at);
                const size_t groups = across ? words_of(n) : words_of(m);
                for (size_t g = 0; g < groups; g++) {
                    const size_t first_row = across ? g * WORD : 0, first_column = down ? g * WORD : 0;
                    const uint64_t used = low_bits(smaller(m - first_column, width));
                    for (size_t r = 0; r < smaller(n - first_row, height); r++) {
                        const ptrdiff_t position = row_at[first_row + r] + (ptrdiff_t)(j + first_column);
                        word[g * down + r] |= (bits_from(from, position) & used) << g * across;
                    }
                }
                transpose_bits(word, across ? groups * across : smaller(m, WORD));
                for (size_t g = 0; g < groups; g++) {
                    const size_t first_row = across ? g * WORD : 0, first_column = down ? g * WORD : 0;
                    const size_t height_here = smaller(n - first_row, height), end = smaller(m - first_column, width);
                    for (size_t c = 0; c < end;) { /* columns that follow each other together */
                        const ptrdiff_t position = column_at[first_column + c];
                        size_t count = 0;
                        uint64_t bits = 0;
                        do {
                            bits |= (word[g * across + c++] >> g * down & low_bits(height_here)) << count;
                            count += height_here;
                        } while (count + height_here <= WORD && c < end &&
                                 column_at[first_column + c] == position + (ptrdiff_t)count);
                        set_bits(to, position + (ptrdiff_t)first_row, bits);
                    }
                }
            }
        }
    }
}

static inline ptrdiff_t distance(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

/* The axis whose neighbours are so far apart where they are read, from axis `first` on; the count if there is none. */
static int axis_at_distance(const bit_axes *axes, int first, ptrdiff_t stride) {
    int axis = first;
    while (axis < axes->count && distance(axes->axis[axis].from) != stride) {
        axis++;
    }
    return axis;
}

/* The block whose rows are along the first axes, so many; its columns are along others that follow each other where they
   are read, ascending. */
static bit_block block_of(const bit_axes *axes, ptrdiff_t from, int rows, int most_columns) {
    bit_block block = {.from = from};
    unsigned char taken[MAX_AXES + 1] = {0};
    for (ptrdiff_t width = 1; block.columns.count < most_columns;) {
        const int next = axis_at_distance(axes, rows, width);
        if (next == axes->count) {
            break;
        }
        bit_axis column = axes->axis[next];
        if (column.from < 0) {
            block.from += (ptrdiff_t)(column.n - 1) * column.from;
            block.to += (ptrdiff_t)(column.n - 1) * column.to;
            column.to = -column.to;
        }
        block.columns.axis[block.columns.count++] = column;
        taken[next] = 1;
        width *= (ptrdiff_t)column.n;
    }
    for (int axis = 0; axis < axes->count; axis++) {
        if (axis < rows) {
            block.rows.axis[block.rows.count++] = axes->axis[axis];
        } else if (!taken[axis]) {
            block.others.axis[block.others.count++] = axes->axis[axis];
        }
    }
    if (block.others.count == 0) {
        block.others.axis[block.others.count++] = (bit_axis){1, 0, 0};
    }
    return block;
}

/* A block of bits, the first of them at `first`, to the beginning of `to`, which is all 0. The axes are in the order of
   memory; a bit is written for each position, one after the other. */
static void arrange(const uint64_t *from, ptrdiff_t first, uint64_t *to, const bit_axes *axes) {
    const int near = axis_at_distance(axes, 0, 1); /* innermost in the mask */
    const ptrdiff_t step = axes->axis[0].from;
    if (near != 0 && near != axes->count && step != 0) {
        size_t most = 0;
        bit_block block = block_of(axes, first, near, 1);
        if (positions_along(&block.rows) <= NARROW && axes->axis[near].from == 1) {
            interleave(from, to, &block);
            return;
        }
        for (int rows = 1; rows <= near; rows++) {
            const bit_block other = block_of(axes, first, rows, axes->count);
            const size_t height = positions_along(&other.rows), width = positions_along(&other.columns);
            if (rows == 1 && width <= NARROW && step == (ptrdiff_t)width) {
                separate(from, to, &other);
                return;
            }
            if (smaller(height, WORD) * smaller(width, WORD) > most) {
                most = smaller(height, WORD) * smaller(width, WORD);
                block = other;
            }
        }
        transpose(from, to, &block);
        return;
    }
    const int single = near == axes->count && step != 0; /* no bits follow each other: rows of one */
    bit_axes along = {.count = 0};
    for (int axis = !single; axis < axes->count; axis++) {
        along.axis[along.count++] = axes->axis[axis];
    }
    if (along.count == 0) {
        along.axis[along.count++] = (bit_axis){1, 0, 0};
    }
    const bit_cursor cursor = begin_bits(first, 0, &along);
    const size_t n = single ? 1 : axes->axis[0].n;
    if (single || step == 1) {
        arrange_rows(from, cursor, to, n, &along, 1);
    } else if (step == 0) {
        arrange_rows(from, cursor, to, n, &along, 0);
    } else {
        arrange_rows(from, cursor, to, n, &along, -1);
    }
}
