/* Prefetching of what a kernel uses next. Part of kernels.c. */
#pragma once

#include "common.h"

/* What to prefetch: the AES units leave the memory idle. */
typedef struct {
    const void *read, *written, *also_read; /* NULL where there is nothing to prefetch */
    size_t bytes;                           /* of a tile */
} prefetch;

/* Three loops, which are faster than one with conditions. */
INLINE void prefetch_tile(prefetch from, size_t tile) {
    const size_t first = tile * from.bytes;
    for (size_t line = 0; line < from.bytes; line += LINE) {
        __builtin_prefetch((const char *)from.read + first + line, 0);
    }
    for (size_t line = 0; from.written && line < from.bytes; line += LINE) {
        __builtin_prefetch((const char *)from.written + first + line, 1);
    }
    for (size_t line = 0; from.also_read && line < from.bytes; line += LINE) {
        __builtin_prefetch((const char *)from.also_read + first + line, 0);
    }
}

INLINE prefetch prefetch_after(prefetch from, size_t elements) {
    const size_t bytes = elements * (from.bytes / TILE);
    from.read = (const char *)from.read + bytes;
    from.written = from.written ? (const char *)from.written + bytes : NULL;
    from.also_read = from.also_read ? (const char *)from.also_read + bytes : NULL;
    return from;
}
