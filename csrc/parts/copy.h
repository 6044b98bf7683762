/* Elements copied between memory of any stride and byte order and contiguous buffers. Part of kernels.c. */
#pragma once

#include "common.h"

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
