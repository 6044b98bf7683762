/* Bits of a block, from the order of the mask into that of memory. Part of kernels.c. */
#pragma once

#include "axes.h"

enum {
    NARROW = 4,     /* rows or columns: so few are interleaved or separated, more are transposed */
    LEAST_CELL = 8, /* rows or columns of a part of a block that is transposed */
    SPREAD_STEPS = 5,
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
    for (size_t i = 0, count; i < n; i += count) {
        ptrdiff_t next = written ? cursor->to : cursor->from;
        count = smaller(n - i, axis.n - cursor->index[0]);
        for (size_t k = 0; k < count; k++, next += written ? axis.to : axis.from) {
            position[i + k] = next;
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

/* How bits are spread to positions `apart` from each other, or brought together: half of them move, then a quarter, and
   so on. */
typedef struct {
    size_t apart, count; /* of bits, which are all that fit in a word */
    int shift[SPREAD_STEPS];
    uint64_t mask[SPREAD_STEPS]; /* where bits are after the last steps */
} spacing;

static spacing spacing_of(size_t apart) {
    spacing spacing = {.apart = apart, .count = WORD / apart};
    for (int step = 0; step < SPREAD_STEPS; step++) {
        const size_t side_by_side = (size_t)1 << step;
        if (side_by_side >= spacing.count) { /* nothing to do */
            spacing.mask[step] = UINT64_MAX;
            continue;
        }
        spacing.shift[step] = (int)((apart - 1) << step);
        for (size_t i = 0; i < spacing.count; i++) {
            const size_t inside = i % side_by_side;
            spacing.mask[step] |= UINT64_C(1) << ((i - inside) * apart + inside);
        }
    }
    return spacing;
}

static inline uint64_t spread(const spacing *spacing, uint64_t bits) {
    for (int step = SPREAD_STEPS - 1; step >= 0; step--) {
        bits = (bits | bits << spacing->shift[step]) & spacing->mask[step];
    }
    return bits;
}

static inline uint64_t bring_together(const spacing *spacing, uint64_t bits) {
    for (int step = 0; step < SPREAD_STEPS; step++) {
        bits &= spacing->mask[step];
        bits |= bits >> spacing->shift[step];
    }
    return bits & low_bits(spacing->count);
}

/* Bits of a row, each of them n times. */
static void repeat_bits(const uint64_t *from, bit_cursor cursor, uint64_t *to, size_t n, const bit_axes *axes) {
    const spacing spacing = spacing_of(n);
    const size_t positions = positions_along(axes), row = axes->axis[0].n;
    bit_queue queue = {to, 0, 0};
    for (size_t k = 0; k < positions; k += row, step_bits(&cursor, axes, row)) {
        for (size_t i = 0, count; i < row; i += count) {
            count = smaller(row - i, spacing.count);
            const uint64_t bits = bits_from(from, cursor.from + (ptrdiff_t)i) & low_bits(count);
            queue = append_bits(queue, spread(&spacing, bits) * low_bits(n), count * n);
        }
    }
    *queue.to = queue.last;
}

/* A block to be transposed. Its rows follow each other where they are written; its columns where they are read. So many
   columns as are a unit stay together. The other axes say where there are more such blocks. */
typedef struct {
    bit_axes rows, columns, others;
    ptrdiff_t from, to;
    size_t unit;
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

/* Part of a block of 64 by 64 bits: rows and columns that fit into it, or share it with others. */
typedef struct {
    size_t height, width;
    ptrdiff_t to;            /* where the first row is written, */
    const ptrdiff_t *column; /* and from there, the columns */
} cell;

/* Rows of which each fills a word. */
static inline void take_rows(const uint64_t *from, const ptrdiff_t *row, ptrdiff_t first, size_t n, uint64_t *word) {
    for (size_t r = 0; r < n; r++) {
        word[r] = bits_from(from, row[r] + first);
    }
}

/* Rows of few bits, to those `shift` bits into words; rows that follow each other together. */
static inline void take_short_rows(const uint64_t *from, const ptrdiff_t *row, ptrdiff_t first, size_t n, size_t bits,
                                   uint64_t *word, size_t shift) {
    const uint64_t lower = low_bits(shift);
    for (size_t r = 0, count; r < n; r += count) {
        const uint64_t some = bits_from(from, row[r] + first);
        count = 0;
        do {
            word[r + count] = (word[r + count] & lower) | (some >> count * bits & low_bits(bits)) << shift;
            count++;
        } while ((count + 1) * bits <= WORD && r + count < n && row[r + count] == row[r] + (ptrdiff_t)(count * bits));
    }
}

/* The columns of a cell, whose bits are `shift` bits into words; short columns that follow each other together. */
static inline void put_columns(const uint64_t *word, size_t shift, const cell *cell, uint64_t *to) {
    const ptrdiff_t *column = cell->column;
    const size_t bits = cell->height;
    for (size_t c = 0, count; c < cell->width; c += count) {
        uint64_t together = word[c] >> shift & low_bits(bits);
        for (count = 1; (count + 1) * bits <= WORD && c + count < cell->width &&
                        column[c + count] == column[c] + (ptrdiff_t)(count * bits);
             count++) {
            together |= (word[c + count] >> shift & low_bits(bits)) << count * bits;
        }
        set_bits(to, cell->to + column[c], together);
    }
}

/* The same for units of columns, whose bits take turns. */
static inline void put_units(const uint64_t *word, size_t shift, const cell *cell, const spacing *unit, uint64_t *to) {
    for (size_t c = 0; c < cell->width; c += unit->apart) {
        for (size_t r = 0; r < cell->height; r += unit->count) {
            const uint64_t used = low_bits(smaller(cell->height - r, unit->count));
            uint64_t together = 0;
            for (size_t d = 0; d < unit->apart; d++) {
                together |= spread(unit, word[c + d] >> shift >> r & used) << d;
            }
            set_bits(to, cell->to + cell->column[c] + (ptrdiff_t)(r * unit->apart), together);
        }
    }
}

/* Half of 64, a quarter or an eighth, if that is enough for n; else 64. */
static size_t cell_size(size_t n) {
    size_t size = WORD;
    while (size > LEAST_CELL && size / 2 >= n) {
        size /= 2;
    }
    return size;
}

/* 64 rows and columns at a time, in as many cells as they fit into: side by side and one below the other. */
static void transpose(const uint64_t *from, uint64_t *to, const bit_block *block) {
    const size_t others = positions_along(&block->others), rows = positions_along(&block->rows),
                 columns = positions_along(&block->columns);
    const size_t height = cell_size(rows), width = cell_size(columns), across = WORD / width;
    const size_t most = WORD / height * across, most_columns = width - width % block->unit;
    const spacing unit = spacing_of(block->unit);
    uint64_t word[WORD] __attribute__((aligned(LINE))) = {0};
    ptrdiff_t row_at[WORD], column_at[WORD / LEAST_CELL][WORD];
    cell cells[WORD / LEAST_CELL * (WORD / LEAST_CELL)];
    size_t count = 0;
    bit_cursor at = begin_bits(block->from, block->to, &block->others), row, column;
    for (size_t k = 0; k < others; k++, step_bits(&at, &block->others, 1)) {
        for (size_t i = 0, high; i < rows; i += high) {
            high = smaller(rows - i, height);
            if (k == 0 || rows > height) { /* else they are as before */
                row = i == 0 ? begin_bits(0, 0, &block->rows) : row;
                take_positions(&row, &block->rows, high, 0, row_at);
            }
            for (size_t j = 0, wide; j < columns; j += wide) {
                const size_t down = count / across * height, beside = count % across * width;
                ptrdiff_t *const position = column_at[columns > most_columns ? count : 0];
                wide = smaller(columns - j, most_columns);
                if ((k == 0 && i == 0) || columns > most_columns) {
                    column = j == 0 ? begin_bits(0, 0, &block->columns) : column;
                    take_positions(&column, &block->columns, wide, 1, position);
                }
                cells[count++] = (cell){high, wide, at.to + (ptrdiff_t)(i * block->unit), position};
                if (across == 1) {
                    take_rows(from, row_at, at.from + (ptrdiff_t)j, high, word + down);
                } else {
                    take_short_rows(from, row_at, at.from + (ptrdiff_t)j, high, wide, word + down, beside);
                }
                const int last = k + 1 == others && i + high == rows && j + wide == columns;
                if (count < most && !last) {
                    continue;
                }
                transpose_bits(word, across == 1 ? most_columns : smaller(count, across) * width);
                for (size_t c = 0; c < count; c++) {
                    if (block->unit == 1) {
                        put_columns(word + c % across * width, c / across * height, &cells[c], to);
                    } else {
                        put_units(word + c % across * width, c / across * height, &cells[c], &unit, to);
                    }
                }
                count = 0;
            }
        }
    }
}

static inline ptrdiff_t distance(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

/* The axis whose neighbours are so far apart where they are read, among those that are not taken; the count if there is
   none. */
static int axis_at_distance(const bit_axes *axes, const unsigned char *taken, ptrdiff_t stride) {
    int axis = 0;
    while (axis < axes->count && (taken[axis] || distance(axes->axis[axis].from) != stride)) {
        axis++;
    }
    return axis;
}

/* The block whose rows are along some axes; its columns are along at most so many others that follow each other where
   they are read, ascending. */
static bit_block block_of(const bit_axes *axes, ptrdiff_t from, int first_row, int rows, int most_columns) {
    bit_block block;
    unsigned char taken[MAX_AXES + 1];
    block.from = from, block.to = 0;
    block.unit = first_row == 0 ? 1 : axes->axis[0].n;
    block.rows.count = block.columns.count = block.others.count = 0;
    memset(taken, 0, (size_t)axes->count);
    memset(taken + first_row, 1, (size_t)rows);
    for (ptrdiff_t width = 1; block.columns.count < most_columns;) {
        const int next = axis_at_distance(axes, taken, width);
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
        if (axis >= first_row && axis < first_row + rows) {
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

/* How much of 64 by 64 bits it fills. */
static size_t block_size(const bit_block *block) {
    return smaller(positions_along(&block->rows), WORD) * smaller(positions_along(&block->columns), WORD);
}

/* Rows that begin with axis `first_row`, of those that make the fullest blocks. */
static bit_block best_block(const bit_axes *axes, ptrdiff_t from, int first_row, int most_rows) {
    bit_block best = block_of(axes, from, first_row, 1, axes->count);
    for (int rows = 2; rows <= most_rows; rows++) {
        const bit_block block = block_of(axes, from, first_row, rows, axes->count);
        if (block_size(&block) > block_size(&best)) {
            best = block;
        }
    }
    return best;
}

/* A block of bits, the first of them at `first`, to the beginning of `to`, which is all 0. The axes are in the order of
   memory; a bit is written for each position, one after the other. */
static void arrange(const uint64_t *from, ptrdiff_t first, uint64_t *to, const bit_axes *axes) {
    unsigned char taken[MAX_AXES + 1];
    memset(taken, 0, (size_t)axes->count);
    const int near = axis_at_distance(axes, taken, 1), single = near == axes->count; /* near is innermost in the mask */
    const ptrdiff_t step = axes->axis[0].from;
    const size_t n = single && step != 0 ? 1 : axes->axis[0].n;
    if (near != 0 && !single && step != 0) {
        bit_block block = block_of(axes, first, 0, near, 1);
        if (positions_along(&block.rows) <= NARROW && axes->axis[near].from == 1) {
            interleave(from, to, &block);
            return;
        }
        block = best_block(axes, first, 0, near);
        if (block.rows.count == 1 && step == (ptrdiff_t)positions_along(&block.columns) && step <= NARROW) {
            separate(from, to, &block);
        } else {
            transpose(from, to, &block);
        }
        return;
    }
    if (step == 1 && n <= NARROW && axes->count > 2) {
        const int next = axis_at_distance(axes, taken, (ptrdiff_t)n);
        if (next > 1 && next < axes->count) {
            const bit_block block = best_block(axes, first, 1, next - 1);
            if (block_size(&block) >= WORD * WORD / 4) {
                transpose(from, to, &block);
                return;
            }
        }
    }
    bit_axes along; /* of rows: of single bits where none follow each other */
    along.count = 0;
    for (int axis = n != 1; axis < axes->count; axis++) {
        along.axis[along.count++] = axes->axis[axis];
    }
    if (along.count == 0) {
        along.axis[along.count++] = (bit_axis){1, 0, 0};
    }
    const bit_cursor cursor = begin_bits(first, 0, &along);
    if (n == 1 || step == 1) {
        arrange_rows(from, cursor, to, n, &along, 1);
    } else if (step == 0 && n <= WORD / 2 && along.axis[0].from == 1) {
        repeat_bits(from, cursor, to, n, &along);
    } else if (step == 0) {
        arrange_rows(from, cursor, to, n, &along, 0);
    } else {
        arrange_rows(from, cursor, to, n, &along, -1);
    }
}
