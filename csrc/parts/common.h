/* The operations of the instruction set, sizes, and words of bits: what all other parts use. Part of kernels.c. */
#pragma once

#include "../kernels.h"
#include "../tables/polynomials.h"

#include <math.h>
#include <string.h>

#include SIMDROP_ISA_HEADER

enum {
    WORD = 64,          /* bits */
    TILE = 64,          /* elements that four AES blocks, one word of bits, decide */
    SHORT_CHUNK = 1024, /* elements whose bits are drawn at a time where few may be needed */
#ifdef BATCH_TILES
    CHUNK = 8 * BATCH_TILES * TILE, /* the longer, the less often are the round keys spread for batches */
    ALIGN_FROM = CHUNK,
#else
    /* Elements whose bits are drawn before they are used: few enough for the CPU to overlap one chunk's memory with the
       next one's AES, enough to settle ties together. */
    CHUNK = SHORT_CHUNK,
    ALIGN_FROM = 8 * CHUNK, /* elements from which aligning y's stores pays for a partial tile */
#endif
    CHUNK_TILES = CHUNK / TILE + 1,             /* a chunk that starts inside a tile touches one more */
    CHUNK_WORDS = CHUNK_TILES + 1,              /* bits_at reads one word beyond them */
    SHORT_CHUNK_WORDS = SHORT_CHUNK / TILE + 2, /* the same for a short chunk */
    LINE = 64,                                  /* bytes of a cache line */
    STREAM_FROM = 1 << 24,                      /* bytes of y from which it is written past the caches */
};

/* Compiled into each kernel, where its last arguments are constants. */
#define INLINE static inline __attribute__((always_inline))

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Sixty-four bits that begin `shift` bits into a word. */
static inline uint64_t bits_at(const uint64_t *word, size_t shift) {
    return word[0] >> shift | word[1] << 1 << (63 - shift);
}

/* The lowest n <= 64 bits. */
static inline uint64_t low_bits(size_t n) { return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX; }

static inline size_t words_of(size_t bits) { return (bits + WORD - 1) / WORD; }

static inline size_t tiles_of(size_t shift, size_t n) { return words_of(shift + n); }

/* memcpy of less than a tile. A size that GCC knows to be small it copies with `rep movs`, which takes longer than a
   call. */
INLINE void copy_part(void *to, const void *from, size_t bytes) {
    __asm__("" : "+r"(bytes));
    memcpy(to, from, bytes);
}

#define IS_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* Eight bytes, the lowest first, whatever the machine's order. */
static inline uint64_t load_little_endian(const uint8_t *byte) {
    uint64_t word;
    memcpy(&word, byte, sizeof word);
    return IS_LITTLE_ENDIAN ? word : __builtin_bswap64(word);
}

static inline void store_little_endian(uint8_t *byte, uint64_t word) {
    word = IS_LITTLE_ENDIAN ? word : __builtin_bswap64(word);
    memcpy(byte, &word, sizeof word);
}
