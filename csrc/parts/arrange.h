/* Decisions of a block, from the order of the mask into that of memory. Part of kernels.c. */
#pragma once

#include "bytes.h"

enum {
    BLOCK_BITS = 1 << 18, /* of a block: they stay in the second-level cache */
    BLOCK_WORDS = BLOCK_BITS / WORD * 3 / 2,
    LEAST_ROW = 40,        /* bits of a row that are copied as words; */
    LEAST_ROWS = WORD / 2, /* rows and columns that are transposed as words: fewer become bytes */
};

/* A block's bits in the order of memory; or its decisions as bytes, before they are bits again. */
typedef union {
    uint64_t words[BLOCK_WORDS + 2];
    block_bytes bytes;
} arranged_bits;

/* 64 bits from a position on. */
static inline uint64_t bits_from(const uint64_t *bits, ptrdiff_t at) {
    return bits_at(bits + (size_t)at / WORD, (size_t)at % WORD);
}

static uint64_t reversed(uint64_t word) {
    word = (word & 0x5555555555555555) << 1 | (word >> 1 & 0x5555555555555555);
    word = (word & 0x3333333333333333) << 2 | (word >> 2 & 0x3333333333333333);
    word = (word & 0x0f0f0f0f0f0f0f0f) << 4 | (word >> 4 & 0x0f0f0f0f0f0f0f0f);
    return __builtin_bswap64(word);
}

/* Reverses the order of all bits. */
static void reverse_bits(uint64_t *bits, size_t words) {
    for (size_t i = 0; i < words / 2; i++) {
        const uint64_t word = bits[i];
        bits[i] = reversed(bits[words - 1 - i]);
        bits[words - 1 - i] = reversed(word);
    }
    if (words % 2 != 0) {
        bits[words / 2] = reversed(bits[words / 2]);
    }
}

/* Rows along the first axis, whose bits follow each other where they are read, to one after the other. */
static void arrange_rows(const uint64_t *from, ptrdiff_t first, uint64_t *to, const bit_axes *axes) {
    bit_axes along;
    axes_after(axes, 1, &along);
    const size_t n = axes->axis[0].n, rows = positions_along(&along), neighbours = along.axis[0].n;
    bit_cursor row = begin_bits(first, 0, &along);
    uint64_t last = 0; /* the bits that do not fill a word, */
    size_t count = 0;  /* and how many they are */
    for (size_t i = 0; i < rows; i += neighbours, step_bits(&row, &along, neighbours)) {
        ptrdiff_t at = row.from;
        for (size_t k = 0; k < neighbours; k++, at += along.axis[0].from) {
            for (size_t bit = 0, some; bit < n; bit += some) {
                some = smaller(n - bit, WORD);
                const uint64_t bits = bits_from(from, at + (ptrdiff_t)bit) & low_bits(some);
                const uint64_t word = last | bits << count, rest = bits >> 1 >> (63 - count);
                const size_t full = (count + some) / WORD;
                *to = word;
                to += full;
                last = full ? rest : word;
                count = (count + some) % WORD;
            }
        }
    }
    *to = last;
}

/* A block that is transposed: its rows follow each other where they are written, its columns where they are read. */
typedef struct {
    bit_axes rows, columns, others;
    ptrdiff_t from, to; /* of the first row's first column */
    /* Where all axes go if the block is written with its rows along each column, then the columns, then the others; and
       where the first position goes. */
    bit_axes transposed;
    ptrdiff_t first;
} bit_block;

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

/* Adds an axis to rows, columns or others, the next one of the transposed block. */
static void take_axis(bit_block *block, bit_axes *among, bit_axis axis, int number, ptrdiff_t *stride) {
    among->axis[among->count++] = axis;
    block->transposed.axis[number] = (bit_axis){axis.n, *stride, 0};
    *stride *= (ptrdiff_t)axis.n;
}

/* The block whose rows are along the first axes in memory; its columns are along as many others as follow each other
   where they are read, ascending. */
static void set_block(bit_block *block, const bit_axes *axes, ptrdiff_t from, int rows) {
    unsigned char taken[MAX_AXES + 1] = {0};
    ptrdiff_t stride = 1, width = 1;
    block->from = from, block->to = block->first = 0;
    block->rows.count = block->columns.count = block->others.count = 0;
    block->transposed.count = axes->count;
    for (int axis = 0; axis < rows; axis++) {
        take_axis(block, &block->rows, axes->axis[axis], axis, &stride);
        taken[axis] = 1;
    }
    for (int next; (next = axis_at_distance(axes, taken, width)) != axes->count; taken[next] = 1) {
        bit_axis column = axes->axis[next];
        const int backward = column.from < 0;
        if (backward) {
            block->from += (ptrdiff_t)(column.n - 1) * column.from;
            block->to += (ptrdiff_t)(column.n - 1) * column.to;
            block->first += (ptrdiff_t)(column.n - 1) * stride;
            column.from = -column.from, column.to = -column.to;
        }
        take_axis(block, &block->columns, column, next, &stride);
        width *= (ptrdiff_t)column.n;
        if (backward) {
            block->transposed.axis[next].from *= -1;
        }
    }
    for (int axis = 0; axis < axes->count; axis++) {
        if (!taken[axis]) {
            take_axis(block, &block->others, axes->axis[axis], axis, &stride);
        }
    }
}

/* How many of a block's columns follow each other where they are read, if its rows are along so many axes. */
static size_t columns_beside(const bit_axes *axes, int rows) {
    unsigned char taken[MAX_AXES + 1] = {0};
    ptrdiff_t width = 1;
    memset(taken, 1, (size_t)rows);
    for (int next; (next = axis_at_distance(axes, taken, width)) != axes->count; taken[next] = 1) {
        width *= (ptrdiff_t)axes->axis[next].n;
    }
    return (size_t)width;
}

/* The rows, along the first axes in memory, that make the fullest blocks of a number of rows and columns, of several
   the most; and how full they are. */
typedef struct {
    int axes;
    size_t rows, columns;
} block_rows;

static block_rows best_rows(const bit_axes *axes, size_t most_rows, size_t most_columns) {
    block_rows best = {0, 0, 0};
    size_t n = 1;
    for (int count = 1; count <= axes->count; count++) {
        n *= axes->axis[count - 1].n;
        if (count > 1 && distance(axes->axis[count - 1].from) == 1) {
            break;
        }
        const block_rows rows = {count, smaller(n, most_rows), smaller(columns_beside(axes, count), most_columns)};
        if (rows.rows * rows.columns >= best.rows * best.columns) {
            best = rows;
        }
    }
    return best;
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

/* Writes n bits to where all bits are still 0. */
static inline void set_bits(uint64_t *to, ptrdiff_t at, uint64_t bits, size_t n) {
    const size_t shift = (size_t)at % WORD;
    bits &= low_bits(n);
    to += (size_t)at / WORD;
    to[0] |= bits << shift;
    to[1] |= bits >> 1 >> (63 - shift);
}

/* 64 rows and columns at a time; `to` is all 0. */
static void arrange_words(const uint64_t *from, uint64_t *to, const bit_block *block) {
    bit_axes others, columns;
    axes_after(&block->others, 0, &others);
    axes_after(&block->columns, 0, &columns);
    const size_t count = positions_along(&others), height = positions_along(&block->rows),
                 width = positions_along(&columns);
    uint64_t word[WORD] __attribute__((aligned(LINE))) = {0};
    ptrdiff_t row_at[WORD], column_at[WORD];
    bit_cursor at = begin_bits(block->from, block->to, &others), row, column;
    for (size_t k = 0; k < count; k++, step_bits(&at, &others, 1)) {
        row = begin_bits(0, 0, &block->rows);
        for (size_t i = 0, high; i < height; i += high) {
            high = smaller(height - i, WORD);
            if (k == 0 || height > WORD) { /* else they are as before */
                take_positions(&row, &block->rows, high, 0, row_at);
            }
            column = begin_bits(0, 0, &columns);
            for (size_t j = 0, wide; j < width; j += wide) {
                wide = smaller(width - j, WORD);
                if ((k == 0 && i == 0) || width > WORD) {
                    take_positions(&column, &columns, wide, 1, column_at);
                }
                for (size_t r = 0; r < high; r++) {
                    word[r] = bits_from(from, at.from + row_at[r] + (ptrdiff_t)j);
                }
                transpose_bits(word, wide);
                for (size_t c = 0; c < wide; c++) {
                    set_bits(to, at.to + column_at[c] + (ptrdiff_t)i, word[c], high);
                }
            }
        }
    }
}

/* Neighbours that are one axis where they are read become one. */
static void join_bit_axes(bit_axes *axes) {
    int joined = 1;
    for (int i = 1; i < axes->count; i++) {
        bit_axis *inner = &axes->axis[joined - 1];
        if (axes->axis[i].from == (ptrdiff_t)inner->n * inner->from) {
            inner->n *= axes->axis[i].n;
        } else {
            axes->axis[joined++] = axes->axis[i];
        }
    }
    axes->count = joined;
}

/* Brings decisions that are drawn as bytes, n of them from `first` on, into the order of memory, as bits. */
static void arrange_bytes(ptrdiff_t first, const bit_axes *axes, block_bytes *bytes, size_t n, uint64_t *to) {
    bit_block block;
    const bit_axes *rows = axes;
    uint8_t *from = bytes->drawn, *next = bytes->transposed;
    if (axes->axis[0].from != 1) {
        set_block(&block, axes, first, best_rows(axes, BYTE_ROWS, BYTE_COLUMNS).axes);
        transpose_bytes(from + block.from, &block.rows, positions_along(&block.columns), &block.others, next,
                        bytes->positions);
        join_bit_axes(&block.transposed);
        rows = &block.transposed, first = block.first;
        from = next, next = bytes->drawn;
    }
    if (rows->count != 1) {
        gather_rows(from + first, rows, next, bytes->positions);
        from = next, first = 0;
    }
    for (size_t i = 0; i < n; i += WORD) { /* `to` may begin where the bytes do */
        to[i / WORD] = load_bools(from + first + i);
    }
}

/* The bits of a block, unless its rows are so short that its decisions become bytes: then the result is 0. */
static int arrange(const uint64_t *from, ptrdiff_t first, const bit_axes *axes, uint64_t *to) {
    if (axes->axis[0].from == 1) {
        if (axes->axis[0].n >= LEAST_ROW) {
            arrange_rows(from, first, to, axes);
        }
        return axes->axis[0].n >= LEAST_ROW;
    }
    const block_rows rows = best_rows(axes, WORD, WORD);
    const int is_large = rows.rows >= LEAST_ROWS && rows.columns >= LEAST_ROWS;
    if (is_large) {
        bit_block block;
        set_block(&block, axes, first, rows.axes);
        memset(to, 0, (words_of(positions_along(axes)) + 1) * sizeof *to);
        arrange_words(from, to, &block);
    }
    return is_large;
}
