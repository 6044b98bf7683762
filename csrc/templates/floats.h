/* All kernels that are for floating-point types alone: kernels.c includes it for float and for double, with T (the
   type), BITS (an integer of its size), SUFFIX (of names), FABS, COPYSIGN and SQRT (of math.h), TINY (the smallest
   normal number), FRACTION_BITS and HIGH_HALF (of BITS: how many are the fraction, and a mask of the upper half of the
   precision), TILE_OF_BITS (the tile operation of BITS) and ADD_TO_SUM (to a column's sum and its compensation). */

/* Which of two NaNs an operation returns depends on the order of its operands, which the compiler chooses. */
INLINE T NAME(canonical_nan)(T v) { return v == v ? v : (T)NAN; }

INLINE void NAME(pad)(T *tile, const T *x, size_t count) {
    memset(tile, 0, TILE * sizeof(T));
    copy_part(tile, x, count * sizeof(T));
}

/* A tile that begins with `count` elements of x: x itself if they are a tile, else a buffer padded with zeros. */
INLINE const T *NAME(padded)(T *buffer, const T *x, size_t count) {
    if (count == TILE) {
        return x;
    }
    NAME(pad)(buffer, x, count);
    return buffer;
}

/* Stores the first `count` elements of a tile. */
INLINE void NAME(store)(T *y, const T *tile, size_t count) {
    if (count == TILE) { /* a constant size is faster */
        memcpy(y, tile, TILE * sizeof(T));
    } else {
        copy_part(y, tile, count * sizeof(T));
    }
}

#ifndef HAS_COMPRESS
/* The elements of a tile whose bits are set, contiguously; returns how many. */
INLINE size_t NAME(compress)(uint64_t keep, const T *x, T *compressed) {
    size_t count = 0;
    for (; keep != 0; keep &= keep - 1) {
        compressed[count++] = x[__builtin_ctzll(keep)];
    }
    return count;
}

/* The inverse, with zero where a bit is not set. */
INLINE size_t NAME(expand)(uint64_t keep, const T *compressed, T *y) {
    size_t count = 0;
    memset(y, 0, TILE * sizeof(T));
    for (; keep != 0; keep &= keep - 1) {
        y[__builtin_ctzll(keep)] = compressed[count++];
    }
    return count;
}

/* Stores the elements whose bits are set, and the others of y as they were. */
INLINE void NAME(store_kept)(uint64_t keep, const T *x, T *y) {
    for (; keep != 0; keep &= keep - 1) {
        const int i = __builtin_ctzll(keep);
        y[i] = x[i];
    }
}
#endif

#include "activations.h"
#include "fused.h"
#include "noise.h"
#include "submatrix.h"

#undef T
#undef BITS
#undef SUFFIX
#undef FABS
#undef COPYSIGN
#undef SQRT
#undef TINY
#undef FRACTION_BITS
#undef HIGH_HALF
#undef TILE_OF_BITS
#undef ADD_TO_SUM
