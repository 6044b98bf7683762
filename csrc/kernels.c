/* Every kernel, written once on the vector operations of one instruction set's header, and compiled once for each.

   Keystream -> compare -> settle ties -> select and scale, a chunk at a time: draw_keep_bits leaves one bit an element
   in the first-level cache, and every kernel is a loop over those bits. README.md walks through it. */
#include "kernels.h"
#include "polynomials.h"

#include <math.h>
#include <string.h>

#include SIMDROP_ISA_HEADER

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

/* Counter word that stands above the block number. */
static inline uint64_t counter_high(const simdrop_rule *rule, uint64_t plane) { return rule->draw | plane << 56; }

/* The positions of the set bits of tied[0..tiles), and how many there are. Mostly a tile has none or one, which needs
   no branch that could be mispredicted. */
INLINE size_t positions_of(const uint64_t *tied, size_t tiles, uint16_t *positions) {
    size_t count = 0;
    for (size_t t = 0; t < tiles; t++) {
        positions[count] = (uint16_t)(t * TILE + (size_t)__builtin_ctzll(tied[t] | UINT64_C(1) << 63));
        count += tied[t] != 0;
        for (uint64_t others = tied[t] & (tied[t] - 1); __builtin_expect(others != 0, 0); others &= others - 1) {
            positions[count++] = (uint16_t)(t * TILE + (size_t)__builtin_ctzll(others));
        }
    }
    return count;
}

/* The elements of a chunk whose bits are set in `tied` are equal to p in plane 0, one in 256 of all. Draw their bytes
   in the next planes, four blocks a vector, until each is decided; clear the bits of those dropped. */
INLINE void settle_ties(const simdrop_rule *rule, cipher keys, uint64_t tile, uint64_t *bits, const uint64_t *tied,
                        size_t tiles) {
    uint16_t positions[CHUNK_TILES * TILE + 4];
    size_t count = positions_of(tied, tiles, positions);
    const uint64_t first_block = tile * (TILE / SIMDROP_BLOCK_BYTES);
    for (uint64_t plane = 1; plane < rule->planes && count != 0; plane++) {
        const uint64_t high = counter_high(rule, plane);
        const uint8_t digit = (uint8_t)(rule->digits >> (56 - 8 * plane));
        size_t still_tied = 0;
        memset(positions + count, 0, 4 * sizeof *positions); /* the last vector may draw what nobody needs */
        for (size_t i = 0; i < count; i += 4) {
            uint64_t blocks[4];
            for (size_t j = 0; j < 4; j++) {
                blocks[j] = first_block + positions[i + j] / SIMDROP_BLOCK_BYTES;
            }
            uint8_t keystream[TILE];
            store_bytes(keystream, encrypt(keys, counters_at(blocks, high)));
            for (size_t j = 0; j < 4 && i + j < count; j++) {
                const size_t e = positions[i + j];
                const uint8_t byte = keystream[j * SIMDROP_BLOCK_BYTES + e % SIMDROP_BLOCK_BYTES];
                bits[e / TILE] &= ~((uint64_t)(byte < digit) << e % TILE);
                positions[still_tied] = (uint16_t)e;
                still_tied += byte == digit;
            }
        }
        count = still_tied;
    }
}

/* What the caller touches next, `bytes` a tile: the AES units leave the memory idle, so it is fetched while they work.
 */
typedef struct {
    const void *read, *written, *also_read; /* NULL where there is nothing to fetch */
    size_t bytes;
} lookahead;

/* What is some whole elements later. */
INLINE lookahead ahead_by(lookahead next, size_t elements) {
    const size_t bytes = elements * (next.bytes / TILE);
    next.read = (const char *)next.read + bytes;
    next.written = next.written ? (const char *)next.written + bytes : NULL;
    next.also_read = next.also_read ? (const char *)next.also_read + bytes : NULL;
    return next;
}

INLINE void fetch(lookahead next, size_t tile) {
    const size_t first = tile * next.bytes;
    for (size_t line = 0; line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.read + first + line, 0);
    }
    for (size_t line = 0; next.written && line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.written + first + line, 1);
    }
    for (size_t line = 0; next.also_read && line < next.bytes; line += LINE) {
        __builtin_prefetch((const char *)next.also_read + first + line, 0);
    }
}

/* What draws the tiles of a chunk one after the other. */
typedef struct {
    cipher keys;
    uint64_t tile; /* the first, and how many */
    size_t tiles;
#ifdef BATCH_TILES
    batch_cipher batch;
    int has_batch;
#else
    counters next;
#endif
} drawing;

INLINE void begin_drawing(drawing *drawing, const simdrop_rule *rule) {
    drawing->keys = load_cipher(rule->round_keys);
#ifdef BATCH_TILES
    drawing->has_batch = 0;
#endif
}

INLINE void begin_chunk(drawing *drawing, const simdrop_rule *rule, uint64_t tile, size_t tiles) {
    drawing->tile = tile;
    drawing->tiles = tiles;
#ifdef BATCH_TILES
    (void)rule;
    if (!drawing->has_batch && tiles >= BATCH_LEAST) {
        load_batch_cipher(&drawing->batch, &drawing->keys);
        drawing->has_batch = 1;
    }
#else
    drawing->next = counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), counter_high(rule, 0));
#endif
}

#ifdef BATCH_TILES
/* Tile t of a chunk, and those after it in its batch. */
INLINE void compare_tiles(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                          int planes) {
    const uint64_t tile = drawing->tile + t, high = counter_high(rule, 0);
    const uint8_t digit = (uint8_t)(rule->digits >> 56);
    if (drawing->tiles < BATCH_LEAST) {
        const bytes64 keystream = encrypt(drawing->keys, counters_from(tile * (TILE / SIMDROP_BLOCK_BYTES), high));
        bits[t] = at_least(keystream, digit);
        tied[t] = equal(keystream, digit);
    } else if (t == 0 || tile % BATCH_TILES == 0) {
        const size_t skip = tile % BATCH_TILES, count = smaller(drawing->tiles - t, BATCH_TILES - skip);
        uint64_t batch_bits[BATCH_TILES], batch_tied[BATCH_TILES];
        compare_batch(&drawing->keys, &drawing->batch, (tile - skip) * (TILE / SIMDROP_BLOCK_BYTES), high, digit,
                      batch_bits, planes > 1 ? batch_tied : NULL);
        memcpy(bits + t, batch_bits + skip, count * sizeof *bits);
        if (planes > 1) {
            memcpy(tied + t, batch_tied + skip, count * sizeof *tied);
        }
    }
}
#else
INLINE void compare_tiles(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                          int planes) {
    const uint8_t digit = (uint8_t)(rule->digits >> 56);
    const bytes64 keystream = encrypt(drawing->keys, drawing->next);
    drawing->next = counters_after(drawing->next);
    bits[t] = at_least(keystream, digit);
    if (planes > 1) {
        tied[t] = equal(keystream, digit);
    }
}
#endif

/* Tile t of a chunk: the bits of those that plane 0 keeps, and where it does not decide all (planes > 1) of those equal
   to p's first digit. */
INLINE void draw_tile(drawing *drawing, const simdrop_rule *rule, size_t t, uint64_t *bits, uint64_t *tied,
                      lookahead ahead, int planes) {
    fetch(ahead, t);
    compare_tiles(drawing, rule, t, bits, tied, planes);
}

INLINE void draw_planes(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, lookahead ahead,
                        int planes) {
    uint64_t tied[CHUNK_TILES];
    drawing drawing;
    begin_drawing(&drawing, rule);
    begin_chunk(&drawing, rule, tile, tiles);
    for (size_t t = 0; t < tiles; t++) {
        draw_tile(&drawing, rule, t, bits, tied, ahead, planes);
    }
    if (planes > 1) {
        settle_ties(rule, drawing.keys, tile, bits, tied, tiles);
    }
}

/* The keep bits of whole tiles, at most a chunk: bit i of bits[t] is element 64 (tile + t) + i. */
INLINE void draw_keep_bits(const simdrop_rule *rule, uint64_t tile, size_t tiles, uint64_t *bits, lookahead ahead) {
    if (rule->planes == 0) {
        memset(bits, rule->digits ? 0 : 0xff, tiles * sizeof *bits);
    } else if (rule->planes == 1) {
        draw_planes(rule, tile, tiles, bits, ahead, 1);
    } else {
        draw_planes(rule, tile, tiles, bits, ahead, 2);
    }
}

/* Sixty-four bits that begin `shift` bits into a word. */
static inline uint64_t bits_at(const uint64_t *word, size_t shift) {
    return word[0] >> shift | word[1] << 1 << (63 - shift);
}

static inline size_t tiles_of(size_t shift, size_t n) { return (shift + n + TILE - 1) / TILE; }

/* Every bit twice: a complex number has two parts and one decision. */
static inline uint64_t twice(uint64_t bits) {
    bits &= 0xffffffff;
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    bits = (bits | bits << 1) & 0x5555555555555555;
    return bits * 3;
}

/* Elements of the first chunk of a large array: those before a batch begins, or else a line of y. */
static inline size_t first_chunk(uint64_t start, const void *y, size_t bytes) {
#ifdef BATCH_TILES
    (void)y, (void)bytes;
    return CHUNK - start % (BATCH_TILES * TILE);
#else
    (void)start;
    return -(uintptr_t)y % LINE / bytes;
#endif
}

/* What a kernel does with a tile: `count` elements from its i-th on, of one row, whose first is in that column. */
typedef void tile_use(void *kernel, uint64_t keep, size_t i, size_t column, size_t count);

/* And with a chunk after its tiles; tile t has bits_at(bits + t, shift). */
typedef void chunk_use(void *kernel, const uint64_t *bits, size_t shift, size_t i, size_t count);

/* Goes over n elements of rows of `columns`, the first of them element `start`. As in select.h, the tiles of a chunk,
   which ends where its row ends, are drawn between those of the one before it. */
INLINE void over_tiles(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, lookahead ahead,
                       void *kernel, tile_use *use, chunk_use *finish) {
    uint64_t bits[2][CHUNK_TILES + 1], tied[CHUNK_TILES];
    drawing drawing;
    begin_drawing(&drawing, rule);
    memset(bits, rule->digits ? 0 : 0xff, sizeof bits);
    size_t i = 0, column = 0, count = 0, next_column = 0, next = smaller(smaller(n, CHUNK), columns);
    for (int turn = 0; i != n; turn = !turn) {
        const size_t later = i + count, shift = (start + i) % TILE;
        const size_t tiles = rule->planes && next ? tiles_of((start + later) % TILE, next) : 0;
        const lookahead of_next = ahead_by(ahead, later);
        begin_chunk(&drawing, rule, (start + later) / TILE, tiles);
        size_t t = 0, drawn = 0;
        for (; drawn < tiles && (t + 1) * TILE <= count; t++, drawn++) {
            draw_tile(&drawing, rule, drawn, bits[turn], tied, of_next, 2);
            use(kernel, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE, TILE);
        }
        for (; drawn < tiles; drawn++) {
            draw_tile(&drawing, rule, drawn, bits[turn], tied, of_next, 2);
        }
        for (; t * TILE < count; t++) {
            use(kernel, bits_at(bits[!turn] + t, shift), i + t * TILE, column + t * TILE,
                smaller(count - t * TILE, TILE));
        }
        if (finish) {
            finish(kernel, bits[!turn], shift, i, count);
        }
        if (rule->planes > 1) {
            settle_ties(rule, drawing.keys, drawing.tile, bits[turn], tied, tiles);
        }
        i = later, column = next_column, count = next;
        next_column = column + count < columns ? column + count : 0;
        next = smaller(smaller(n - i - count, CHUNK), columns - next_column);
    }
}

typedef struct {
    float part[2];
} c64;

typedef struct {
    double part[2];
} c128;

typedef struct {
    uint64_t part[2];
} u128;

static inline void tile_c64(uint64_t keep, const c64 *x, c64 *y, float scale) {
    tile_f32(twice(keep), x[0].part, y[0].part, scale);
    tile_f32(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_c128(uint64_t keep, const c128 *x, c128 *y, double scale) {
    tile_f64(twice(keep), x[0].part, y[0].part, scale);
    tile_f64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part, scale);
}

static inline void tile_u128(uint64_t keep, const u128 *x, u128 *y) {
    tile_u64(twice(keep), x[0].part, y[0].part);
    tile_u64(twice(keep >> 32), x[TILE / 2].part, y[TILE / 2].part);
}

#define T uint16_t
#define NAME(verb) verb##_f16
#define TILE_OF(keep, x, y) tile_f16(keep, x, y, (float)scale)
#include "select.h"

#define T uint16_t
#define NAME(verb) verb##_bf16
#define TILE_OF(keep, x, y) tile_bf16(keep, x, y, (float)scale)
#include "select.h"

#define T float
#define NAME(verb) verb##_f32
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#include "select.h"

#define T double
#define NAME(verb) verb##_f64
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#include "select.h"

#define T c64
#define NAME(verb) verb##_c64
#define TILE_OF(keep, x, y) tile_c64(keep, x, y, (float)scale)
#include "select.h"

#define T c128
#define NAME(verb) verb##_c128
#define TILE_OF(keep, x, y) tile_c128(keep, x, y, scale)
#include "select.h"

#define T uint8_t
#define NAME(verb) verb##_u8
#define TILE_OF(keep, x, y) ((void)scale, tile_u8(keep, x, y))
#include "select.h"

#define T uint16_t
#define NAME(verb) verb##_u16
#define TILE_OF(keep, x, y) ((void)scale, tile_u16(keep, x, y))
#include "select.h"

#define T uint32_t
#define NAME(verb) verb##_u32
#define TILE_OF(keep, x, y) ((void)scale, tile_u32(keep, x, y))
#include "select.h"

#define T uint64_t
#define NAME(verb) verb##_u64
#define TILE_OF(keep, x, y) ((void)scale, tile_u64(keep, x, y))
#include "select.h"

#define T u128
#define NAME(verb) verb##_u128
#define TILE_OF(keep, x, y) ((void)scale, tile_u128(keep, x, y))
#include "select.h"

/* Keep bits from element `start` on; they begin start % 64 bits into bits[0]. */
static void draw(const simdrop_rule *rule, uint64_t start, size_t n, uint64_t *bits) {
    const size_t tiles = tiles_of(start % TILE, n);
    for (size_t t = 0; t < tiles; t += CHUNK / TILE) {
        draw_keep_bits(rule, start / TILE + t, smaller(tiles - t, CHUNK / TILE), bits + t, (lookahead){0});
    }
}

#define OF_TYPES(verb)                                                                                                 \
    verb##_f16, verb##_bf16, verb##_f32, verb##_f64, verb##_c64, verb##_c128, verb##_u8, verb##_u16, verb##_u32,       \
        verb##_u64, verb##_u128

static void (*const applies[SIMDROP_TYPES])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                            double scale) = {OF_TYPES(apply)};
static void (*const selects[SIMDROP_TYPES])(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y,
                                            double scale, lookahead ahead, int past_cache) = {OF_TYPES(select)};

#include "bits.h"
#include "walk.h"

static void keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out) {
    const cipher keys = load_cipher(rule->round_keys);
    counters next = counters_from(block, counter_high(rule, plane));
    for (; blocks >= 4; blocks -= 4) {
        store_bytes(out, encrypt(keys, next));
        next = counters_after(next);
        out += TILE;
    }
    uint8_t last[TILE];
    store_bytes(last, encrypt(keys, next));
    memcpy(out, last, blocks * SIMDROP_BLOCK_BYTES);
}

static void keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits, (lookahead){0});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE) {
            store_bools(keep + i, bits_at(bits + i / TILE, shift));
        }
        uint8_t last[TILE];
        store_bools(last, bits_at(bits + i / TILE, shift));
        memcpy(keep + i, last, count - i);
        start += count, keep += count, n -= count;
    }
}

static void packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *packed) {
    uint64_t bits[CHUNK_TILES + 1];
    while (n != 0) {
        const size_t shift = start % TILE, count = smaller(n, CHUNK);
        draw_keep_bits(rule, start / TILE, tiles_of(shift, count), bits, (lookahead){0});
        size_t i = 0;
        for (; i + TILE <= count; i += TILE, packed += 8) {
            store_little_endian(packed, bits_at(bits + i / TILE, shift));
        }
        if (i < count) {
            uint8_t last[8];
            store_little_endian(last, bits_at(bits + i / TILE, shift) & ((UINT64_C(1) << (count - i)) - 1));
            memcpy(packed, last, (count - i + 7) / 8);
        }
        start += count, n -= count;
    }
}

static void indices(const uint8_t *packed, size_t n, intptr_t *out, size_t count) {
    size_t written = 0, byte = 0;
    for (; byte < (n + 7) / 8 && written + 8 <= count; byte++) {
        written += (size_t)store_indices(out + written, (intptr_t)(8 * byte), packed[byte]);
    }
    for (; byte < (n + 7) / 8; byte++) {
        for (unsigned rest = packed[byte]; rest != 0; rest &= rest - 1) {
            out[written++] = (intptr_t)(8 * byte) + __builtin_ctz(rest);
        }
    }
}

#define UNLIFT_f32 0x1p-64f
#define UNLIFT_f64 0x1p-128
#define ROUNDING_TO_ONE_f32 (0x1.8p23f + 127)
#define ROUNDING_TO_ONE_f64 (0x1.8p52 + 1023)
#define ROUNDING_f32 (ROUNDING_TO_ONE_f32 + 64)
#define ROUNDING_f64 (ROUNDING_TO_ONE_f64 + 128)

#define T float
#define U uint32_t
#define NAME(verb) verb##_f32
#define CONSTANT(name) name##_f32
#define FABS fabsf
#define COPYSIGN copysignf
#define FRACTION_BITS 23
#define HIGH_HALF UINT32_C(0xfffff000)
#define TILE_OF(keep, x, y) tile_f32(keep, x, y, (float)scale)
#define ADD_TO_SUM(sum, lack, x) ((void)(lack), (sum) += (double)(x)) /* which lacks nothing to speak of */
#include "fused.h"

/* What rounding takes from a sum, which is itself a double (Knuth, The Art of Computer Programming, volume 2, section
   4.2.2, theorem B). */
static inline void add_exactly(double *sum, double *lack, double x) {
    const double before = *sum, after = before + x, of_x = after - before;
    *lack += (before - (after - of_x)) + (x - of_x);
    *sum = after;
}

#define T double
#define U uint64_t
#define NAME(verb) verb##_f64
#define CONSTANT(name) name##_f64
#define FABS fabs
#define COPYSIGN copysign
#define FRACTION_BITS 52
#define HIGH_HALF UINT64_C(0xfffffffff8000000)
#define TILE_OF(keep, x, y) tile_f64(keep, x, y, scale)
#define ADD_TO_SUM(sum, lack, x) add_exactly(&(sum), &(lack), x)
#include "fused.h"

#include "normals.h"

/* Which of a matrix's rows or columns are kept: a bit each, or NULL for all. */

static inline int is_kept(const uint8_t *keep, size_t i) { return keep == NULL || (keep[i / 8] >> i % 8 & 1); }

/* Of the n <= TILE from i on, i a multiple of TILE. */
static inline uint64_t tile_kept(const uint8_t *keep, size_t i, size_t n) {
    const uint64_t all = n < TILE ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    return keep ? load_little_endian(keep + i / 8) & all : all;
}

/* Of the first n. */
static inline size_t count_kept(const uint8_t *keep, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i += TILE) {
        count += (size_t)__builtin_popcountll(tile_kept(keep, i, smaller(TILE, n - i)));
    }
    return count;
}

enum { FETCHED = 2048, WIDE_ROW = 1 << 14 }; /* bytes */

/* How many elements further on memory is to be fetched: the next kept row's, or where rows are wide, this one's. */
static inline size_t fetch_ahead(const simdrop_part *part, size_t row, size_t size) {
    if (part->columns * size > WIDE_ROW) {
        return FETCHED / size;
    }
    size_t next = row + 1;
    while (next < part->stop && !is_kept(part->keep_rows, next)) {
        next++;
    }
    return (next - row) * part->columns;
}

#define T float
#define NAME(verb) verb##_f32
#define SQRT sqrtf
#define TINY 0x1p-126f
#include "weights.h"

#define T double
#define NAME(verb) verb##_f64
#define SQRT sqrt
#define TINY 0x1p-1022
#include "weights.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

const simdrop_kernels JOIN(simdrop_kernels_, SIMDROP_ISA) = {
    .name = TEXT(SIMDROP_ISA),
    .keystream = keystream,
    .apply = {OF_TYPES(apply)},
    .apply_array = apply_array,
    .select_array = select_array,
    .keep = keep,
    .packbits = packbits,
    .packbits_array = packbits_array,
    .indices = indices,
    .fused =
        {
            .bias_dropout = {{bias_identity_f32, bias_relu_f32, packed_gelu_f32, bias_tanh_f32, bias_sigmoid_f32,
                              bias_silu_f32},
                             {bias_identity_f64, bias_relu_f64, packed_gelu_f64, bias_tanh_f64, bias_sigmoid_f64,
                              bias_silu_f64}},
            .bias_dropout_backward = {{bias_identity_backward_f32, NULL, bias_gelu_backward_f32, bias_tanh_backward_f32,
                                       bias_sigmoid_backward_f32, bias_silu_backward_f32},
                                      {bias_identity_backward_f64, NULL, bias_gelu_backward_f64, bias_tanh_backward_f64,
                                       bias_sigmoid_backward_f64, bias_silu_backward_f64}},
            .dropout_add = {dropout_add_f32, dropout_add_f64},
            .relu_dropout = {relu_dropout_f32, relu_dropout_f64},
            .relu_dropout_backward = {relu_dropout_backward_f32, relu_dropout_backward_f64},
            .finish_sums = {finish_sums_f32, finish_sums_f64},
        },
    .noise =
        {
            .normals = normals,
            .multiply_noise = {multiply_noise_f32, multiply_noise_f64},
            .add_noise = {add_noise_f32, add_noise_f64},
            .dropout_shift = {dropout_shift_f32, dropout_shift_f64},
        },
    .weights =
        {
            .gather = {gather_f32, gather_f64},
            .sgd = {sgd_f32, sgd_f64},
            .adam = {adam_f32, adam_f64},
        },
};
