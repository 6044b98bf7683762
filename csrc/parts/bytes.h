/* Decisions of a block as bytes, 0 or 1, for rows that are too short for words of bits: a row or a column is copied at
   once, together with what lies behind it, and the next one is written over that. Part of kernels.c. */
#pragma once

#include "axes.h"

enum {
    BYTES = 1 << 14,                   /* decisions of a block */
    DRAWN_BYTES = 2 * BYTES,           /* among them some in vain */
    BYTE_ROWS = 16,                    /* rows */
    BYTE_COLUMNS = 8,                  /* and columns that are transposed at a time */
    MARGIN = BYTE_ROWS * BYTE_COLUMNS, /* bytes behind the last one that may be read, and written */
};

/* Decisions of a block as they are drawn, transposed, and where rows are. */
typedef struct {
    uint8_t drawn[DRAWN_BYTES + MARGIN], transposed[BYTES + MARGIN];
    uint16_t positions[BYTES + 1 + BYTE_ROWS];
} block_bytes;

#ifndef HAS_LOAD_BOOLS
/* The lowest bits of 64 bytes. */
static inline uint64_t load_bools(const uint8_t *bools) {
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 8) { /* each bit to a place of its own in the highest byte */
        const uint64_t lowest = load_little_endian(bools + i) & 0x0101010101010101;
        bits |= lowest * 0x0102040810204080 >> 56 << i;
    }
    return bits;
}
#endif

/* The positions where bytes are read along axes, the first axis fastest. They are counted from the lowest one, which is
   returned: it is 0 or below. */
static ptrdiff_t list_positions(const bit_axis *axes, int count, uint16_t *position) {
    ptrdiff_t lowest = 0;
    size_t n = 1;
    for (int axis = 0; axis < count; axis++) {
        lowest += axes[axis].from < 0 ? (ptrdiff_t)(axes[axis].n - 1) * axes[axis].from : 0;
    }
    position[0] = (uint16_t)-lowest;
    for (int axis = 0; axis < count; n *= axes[axis++].n) {
        for (size_t i = 1, some; i < axes[axis].n; i += some) { /* as many again as there are, further along the axis */
            const uint16_t further = (uint16_t)((ptrdiff_t)i * axes[axis].from);
            some = smaller(i, axes[axis].n - i);
            for (size_t k = 0; k < some * n; k++) {
                position[i * n + k] = (uint16_t)(position[k] + further);
            }
        }
    }
    return lowest;
}

/* Rows of n bytes, `step` at a time. */
INLINE void copy_rows(const uint8_t *from, const uint16_t *position, size_t rows, uint8_t *to, size_t n, size_t step) {
    for (size_t row = 0; row < rows; row++, to += n) {
        for (size_t i = 0; i < n; i += step) {
            memcpy(to + i, from + position[row] + i, step);
        }
    }
}

/* The same for rows of n <= 4 bytes, as many together as fit into eight. */
INLINE void copy_short_rows(const uint8_t *from, const uint16_t *position, size_t rows, uint8_t *to, size_t n,
                            size_t together) {
    size_t row = 0;
    for (; row + together <= rows; row += together, to += together * n) {
        uint64_t word = 0;
#pragma GCC unroll 4
        for (size_t i = 0; i < together; i++) {
            uint32_t bytes;
            memcpy(&bytes, from + position[row + i], sizeof bytes);
            word |= (uint64_t)(bytes & low_bits(8 * n)) << 8 * n * i;
        }
        memcpy(to, &word, sizeof word);
    }
    copy_rows(from, position + row, rows - row, to, n, 8);
}

/* Rows along the first axis, whose bytes follow each other where they are read, to one after the other. */
static void gather_rows(const uint8_t *from, const bit_axes *axes, uint8_t *to, uint16_t *position) {
    const size_t n = axes->axis[0].n, rows = positions_along(axes) / n;
    from += list_positions(axes->axis + 1, axes->count - 1, position);
    if (n == 2 && IS_LITTLE_ENDIAN) {
        copy_short_rows(from, position, rows, to, 2, 4);
    } else if (n == 3 && IS_LITTLE_ENDIAN) {
        copy_short_rows(from, position, rows, to, 3, 2);
    } else if (n == 4 && IS_LITTLE_ENDIAN) {
        copy_short_rows(from, position, rows, to, 4, 2);
    } else if (n <= 8) {
        copy_rows(from, position, rows, to, n, 8);
    } else if (n <= 16) {
        copy_rows(from, position, rows, to, n, 16);
    } else {
        copy_rows(from, position, rows, to, n, 32);
    }
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* The bytes of two vectors in turn: of their lower halves, and of their upper halves. */
#ifdef __clang__
#define INTERLEAVE(a, b, first)                                                                                        \
    __builtin_shufflevector(a, b, (first), (first) + 16, (first) + 1, (first) + 17, (first) + 2, (first) + 18,         \
                            (first) + 3, (first) + 19, (first) + 4, (first) + 20, (first) + 5, (first) + 21,           \
                            (first) + 6, (first) + 22, (first) + 7, (first) + 23)
#else
#define INTERLEAVE(a, b, first)                                                                                        \
    __builtin_shuffle(a, b,                                                                                            \
                      (bytes16){(first), (first) + 16, (first) + 1, (first) + 17, (first) + 2, (first) + 18,           \
                                (first) + 3, (first) + 19, (first) + 4, (first) + 20, (first) + 5, (first) + 21,       \
                                (first) + 6, (first) + 22, (first) + 7, (first) + 23})
#endif

static inline bytes16 eight_bytes(const uint8_t *from) {
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return (bytes16)(words2){word, 0};
}

/* Of rows `apart` from each other, half as many columns in twice as many rows: their bytes in turn. */
INLINE void interleave_rows(bytes16 *v, int count, int apart) {
#pragma GCC unroll 4
    for (int i = 0; i < count / 2; i++) {
        bytes16 *const a = v + i / apart * 2 * apart + i % apart, *const b = a + apart, both = *a;
        *a = INTERLEAVE(both, *b, 0);
        *b = INTERLEAVE(both, *b, 8);
    }
}

/* Columns of 4, 8 or 16 rows: each becomes a row, `stride` bytes from the one before. */
INLINE void transpose_columns(const uint8_t *from, const uint16_t *row, int rows, uint8_t *to, size_t stride,
                              size_t columns) {
    const int half = rows / 2;
    bytes16 v[BYTE_ROWS / 2];
#pragma GCC unroll 8
    for (int i = 0; i < half; i++) {
        v[i] = INTERLEAVE(eight_bytes(from + row[i]), eight_bytes(from + row[i + half]), 0);
    }
    if (half >= 8) {
        interleave_rows(v, half, 4);
    }
    if (half >= 4) {
        interleave_rows(v, half, 2);
    }
    interleave_rows(v, half, 1);
#pragma GCC unroll 8
    for (size_t column = 0; column < BYTE_COLUMNS; column++) {
        if (column == 0 || column < columns) {
            memcpy(to + column * stride, (const uint8_t *)v + column * (size_t)rows, (size_t)rows);
        }
    }
}

INLINE void transpose_rows(const uint8_t *from, const uint16_t *row, int rows, const uint16_t *position, size_t others,
                           uint8_t *to, size_t stride, size_t columns) {
    const size_t last = columns < BYTE_COLUMNS ? 0 : columns - BYTE_COLUMNS;
    for (size_t other = 0; other < others; other++, to += columns * stride) {
        const uint8_t *at = from + position[other];
        if (columns < BYTE_COLUMNS) {
            transpose_columns(at, row, rows, to, stride, columns);
            continue;
        }
        for (size_t column = 0; column < last; column += BYTE_COLUMNS) {
            transpose_columns(at + column, row, rows, to + column * stride, stride, BYTE_COLUMNS);
        }
        transpose_columns(at + last, row, rows, to + last * stride, stride, BYTE_COLUMNS); /* some of them again */
    }
}

/* Two rows: their bytes in turn. */
static void interleave_bytes(const uint8_t *restrict a, const uint8_t *restrict b, size_t columns,
                             uint8_t *restrict to) {
    for (size_t i = 0; i < columns; i++) {
        to[2 * i] = a[i];
        to[2 * i + 1] = b[i];
    }
}

/* At most four columns, and rows that follow each other: each column's bytes side by side. */
static void separate_bytes(const uint8_t *restrict from, size_t rows, size_t columns, uint8_t *restrict to) {
#define SEPARATE(n)                                                                                                    \
    for (size_t column = 0; columns == n && column < n; column++) {                                                    \
        for (size_t i = 0; i < rows; i++) {                                                                            \
            to[column * rows + i] = from[n * i + column];                                                              \
        }                                                                                                              \
    }
    SEPARATE(1)
    SEPARATE(2)
    SEPARATE(3)
    SEPARATE(4)
#undef SEPARATE
}

/* Columns along which bytes follow each other: of each, what the rows have there, side by side. Then the next columns,
   at the next position along the other axes. */
static void transpose_bytes(const uint8_t *from, const bit_axes *rows, size_t columns, const bit_axes *others,
                            uint8_t *to, uint16_t *position) {
    const size_t height = positions_along(rows), count = positions_along(others);
    uint16_t *const other = position + height;
    from += list_positions(rows->axis, rows->count, position) + list_positions(others->axis, others->count, other);
    for (size_t k = 0; height == 2 && k < count; k++) {
        interleave_bytes(from + position[0] + other[k], from + position[1] + other[k], columns, to + k * 2 * columns);
    }
    const int follow_each_other = rows->count == 1 && rows->axis[0].from == (ptrdiff_t)columns;
    for (size_t k = 0; columns <= 4 && follow_each_other && k < count; k++) {
        separate_bytes(from + position[0] + other[k], height, columns, to + k * height * columns);
    }
    if (height == 2 || (columns <= 4 && follow_each_other)) {
        return;
    }
    /* The last rows first: they may be fewer than are written, over the first ones of the next column. */
    for (size_t first = (height - 1) / BYTE_ROWS * BYTE_ROWS;; first -= BYTE_ROWS) {
        const size_t some = smaller(height - first, BYTE_ROWS);
        const uint16_t *row = position + first;
        uint16_t last[BYTE_ROWS];
        for (size_t i = 0; some < BYTE_ROWS && i < BYTE_ROWS; i++) {
            last[i] = row[smaller(i, some - 1)];
        }
        row = some < BYTE_ROWS ? last : row;
        if (some <= 4) {
            transpose_rows(from, row, 4, other, count, to + first, height, columns);
        } else if (some <= 8) {
            transpose_rows(from, row, 8, other, count, to + first, height, columns);
        } else {
            transpose_rows(from, row, 16, other, count, to + first, height, columns);
        }
        if (first == 0) {
            return;
        }
    }
}
