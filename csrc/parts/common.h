/* Sizes, and words of bits: what all other parts use. Part of kernels.c. */

enum {
    TILE = 64, /* elements that four AES blocks, one word of bits, decide */
#ifdef BATCH_TILES
    CHUNK = 8 * BATCH_TILES * TILE, /* the longer, the less often are the round keys spread for batches */
    ALIGN_FROM = CHUNK,
#else
    CHUNK = SIMDROP_CHUNK,
    ALIGN_FROM = 8 * CHUNK, /* elements from which aligning y's stores pays for a partial tile */
#endif
    CHUNK_TILES = CHUNK / TILE + 1, /* a chunk that starts inside a tile touches one more */
    LINE = 64,                      /* bytes */
    STREAM_FROM = 1 << 24,          /* bytes of y from which it is written past the caches */
};

/* Compiled into each kernel, where its last arguments are constants. */
#define INLINE static inline __attribute__((always_inline))

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Sixty-four bits that begin `shift` bits into a word. */
static inline uint64_t bits_at(const uint64_t *word, size_t shift) {
    return word[0] >> shift | word[1] << 1 << (63 - shift);
}

static inline size_t tiles_of(size_t shift, size_t n) { return (shift + n + TILE - 1) / TILE; }
