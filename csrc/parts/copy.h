/* Elements copied between memory of any layout and byte order and contiguous buffers. Part of kernels.c. */
#pragma once

#include "axes.h"

enum {
    SHORT_AXIS = 16, /* elements that are few for a loop */
    ROW_PART = 512,  /* elements of a row that are copied at a time: rows side by side share lines in a near cache */
    LINE_WORDS = LINE / 4, /* elements of four bytes */
    PIXEL = 3, /* elements of a column, such as the colours of a pixel, that are transposed though they are few */
};

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

/* Every other element of four bytes, which compilers vectorise. */
static void copy_every_other(char *restrict to, const char *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        memcpy(to + 4 * i, from + 8 * i, 4);
    }
}

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
        if (to_stride == 4 && from_stride == 8) {
            copy_every_other(to, from, n);
            return;
        }
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

/* --- A block of an array, from memory to a buffer or back: along each axis, strides x in memory and y in the buffer
 * --- */

typedef uint32_t words4 __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (words4){__VA_ARGS__})
#endif

static inline words4 load_words4(const char *from) {
    words4 row;
    memcpy(&row, from, sizeof row);
    return row;
}

/* Three or four rows of four elements, as columns, of which the first three or four are written. */
INLINE void transpose_four(const char *from, ptrdiff_t stride, int rows, char *to, ptrdiff_t to_stride, int columns) {
    const words4 a = load_words4(from), b = load_words4(from + stride);
    const words4 c = load_words4(from + 2 * stride), d = rows == PIXEL ? c : load_words4(from + 3 * stride);
    const words4 ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
    const words4 ab2 = SHUFFLE(a, b, 2, 6, 3, 7), cd2 = SHUFFLE(c, d, 2, 6, 3, 7);
    const words4 column[4] = {SHUFFLE(ab, cd, 0, 1, 4, 5), SHUFFLE(ab, cd, 2, 3, 6, 7), SHUFFLE(ab2, cd2, 0, 1, 4, 5),
                              SHUFFLE(ab2, cd2, 2, 3, 6, 7)};
    for (int i = 0; i < columns; i++) {
        memcpy(to + i * to_stride, &column[i], sizeof column[i]);
    }
}

/* Whether columns of three elements follow each other in memory. */
static int are_pixels(simdrop_axis columns, simdrop_axis rows) {
    return rows.n == PIXEL && columns.x == PIXEL * (ptrdiff_t)sizeof(uint32_t);
}

static int can_transpose(simdrop_axis columns, simdrop_axis rows, size_t size) {
    const ptrdiff_t word = sizeof(uint32_t);
    return size == sizeof(uint32_t) && columns.y == word && rows.x == word && columns.n >= 4 &&
           (rows.n >= 4 || are_pixels(columns, rows));
}

/* A matrix of elements of four bytes, whose rows are contiguous in the buffer, and whose columns are in memory. */
static void copy_transposed(simdrop_axis columns, simdrop_axis rows, char *memory, char *buffer, int to_memory) {
    const int pixels = are_pixels(columns, rows);
    /* Of pixels four elements at a time: the fourth is of the next one, which is there. */
    const size_t n = pixels ? (columns.n - 1) / 4 * 4 : columns.n / 4 * 4, m = pixels ? PIXEL : rows.n / 4 * 4;
    /* Lines of both, sixteen by sixteen, while they are near. */
    for (size_t first = 0; first < n; first += LINE_WORDS) {
        for (size_t line = 0; line < m; line += LINE_WORDS) {
            const size_t end = smaller(m, line + LINE_WORDS), last = smaller(n, first + LINE_WORDS);
            for (size_t j = first; j < last; j += 4) {
                for (size_t i = line; i < end; i += 4) {
                    char *at = memory + i * sizeof(uint32_t) + (ptrdiff_t)j * columns.x;
                    char *by = buffer + (ptrdiff_t)i * rows.y + j * sizeof(uint32_t);
                    if (to_memory) {
                        transpose_four(by, rows.y, pixels ? PIXEL : 4, at, columns.x, 4);
                    } else {
                        transpose_four(at, columns.x, 4, by, rows.y, pixels ? PIXEL : 4);
                    }
                }
            }
        }
    }
    for (size_t i = 0; i < rows.n; i++) {
        for (size_t j = i < m ? n : 0; j < columns.n; j++) { /* what no four by four hold */
            char *at = memory + i * sizeof(uint32_t) + (ptrdiff_t)j * columns.x;
            char *by = buffer + (ptrdiff_t)i * rows.y + j * sizeof(uint32_t);
            memcpy(to_memory ? at : by, to_memory ? by : at, sizeof(uint32_t));
        }
    }
}

static void copy_plane(simdrop_axis inner, simdrop_axis outer, char *memory, char *buffer, size_t size, int to_memory) {
    for (size_t done = 0, n; done < inner.n; done += n) {
        n = smaller(inner.n - done, ROW_PART);
        for (size_t i = 0; i < outer.n; i++) {
            char *at = memory + (ptrdiff_t)i * outer.x + (ptrdiff_t)done * inner.x;
            char *by = buffer + (ptrdiff_t)i * outer.y + (ptrdiff_t)done * inner.y;
            if (to_memory) {
                copy_elements(at, inner.x, by, inner.y, n, size);
            } else {
                copy_elements(by, inner.y, at, inner.x, n, size);
            }
        }
    }
}

/* Along two axes or more, of which the first is in the innermost loop. */
static void copy_along(int count, const simdrop_axis *axes, char *memory, char *buffer, size_t size, int to_memory) {
    const simdrop_axis outer = axes[count - 1];
    if (count > 2) {
        for (size_t i = 0; i < outer.n; i++) {
            copy_along(count - 1, axes, memory + (ptrdiff_t)i * outer.x, buffer + (ptrdiff_t)i * outer.y, size,
                       to_memory);
        }
    } else if (can_transpose(axes[0], axes[1], size)) {
        copy_transposed(axes[0], axes[1], memory, buffer, to_memory);
    } else if (can_transpose(axes[1], axes[0], size)) {
        copy_transposed(axes[1], axes[0], memory, buffer, to_memory);
    } else {
        copy_plane(axes[0], axes[1], memory, buffer, size, to_memory);
    }
}

static void exchange_axes(simdrop_axis *a, simdrop_axis *b) {
    const simdrop_axis axis = *a;
    *a = *b;
    *b = axis;
}

/* `given` are the axes from the buffer's innermost one on. */
static void copy_block(int count, const simdrop_axis *given, char *memory, char *buffer, size_t size, int to_memory) {
    simdrop_axis axes[MAX_AXES + 2];
    int n = 0, near = 1;
    for (int axis = 0; axis < count; axis++) {
        if (given[axis].n != 1) {
            axes[n++] = given[axis];
            near = n > 2 && magnitude(axes[n - 1].x) < magnitude(axes[near].x) ? n - 1 : near;
        }
    }
    while (n < 2) {
        axes[n++] = (simdrop_axis){.n = 1};
    }
    exchange_axes(&axes[1], &axes[near]);
    /* The innermost loop writes elements one after the other, unless they are few. */
    int inner = to_memory && magnitude(axes[1].x) < magnitude(axes[0].x);
    if (axes[inner].n < SHORT_AXIS && axes[!inner].n > axes[inner].n) {
        inner = !inner;
    }
    exchange_axes(&axes[0], &axes[inner]);
    copy_along(n, axes, memory, buffer, size, to_memory);
}
