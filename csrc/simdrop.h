/* Dropout masks drawn from AES-128 counter keystream: the one header that Cython and embedding programs include. */
#ifndef SIMDROP_H
#define SIMDROP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The definition of the stream that these functions follow: counter block = uint64 block | uint56 draw | uint8 plane,
   little-endian; element e of a draw has the uniform U = 0.b0 b1 b2 ... in base 256, where b_k is keystream byte e of
   plane k; it is dropped iff U < p. It never changes; another definition gets another number. */
enum { SIMDROP_STREAM_VERSION = 1 };

enum { SIMDROP_KEY_BYTES = 16, SIMDROP_BLOCK_BYTES = 16, SIMDROP_SCHEDULE_BYTES = 176 };

/* Draws are numbered below 2^56. */
#define SIMDROP_DRAWS (UINT64_C(1) << 56)

/* What decides which elements are dropped. Set round_keys with simdrop_expand_key, draw by hand, the rest with
   simdrop_set_p. */
typedef struct simdrop_rule {
    uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]; /* the first 16 bytes are the key */
    uint64_t draw;
    uint64_t digits; /* p as eight base-256 digits, that of plane 0 the most significant; p = 1 is 0.(255)(255)... */
    uint64_t planes; /* how many planes can decide: up to p's last non-zero digit, 0 for p = 0 and p = 1 */
} simdrop_rule;

/* The AES-128 key schedule (FIPS-197, section 5.2). */
void simdrop_expand_key(const uint8_t key[SIMDROP_KEY_BYTES], uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]);

/* p in [0, 1]; digits after the eighth are rounded to nearest, ties to even. */
void simdrop_set_p(simdrop_rule *rule, double p);

/* `blocks` blocks of one plane of the rule's draw, from block number `block` on. */
void simdrop_keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out);

/* What elements are. */
typedef enum simdrop_type {
    /* Multiplied by the scale where kept: the 16-bit ones as float32, rounded once; both parts of a complex number. */
    SIMDROP_F16,
    SIMDROP_BF16,
    SIMDROP_F32,
    SIMDROP_F64,
    SIMDROP_C64,
    SIMDROP_C128,
    /* Anything of so many bits, left as it is where kept. */
    SIMDROP_U8,
    SIMDROP_U16,
    SIMDROP_U32,
    SIMDROP_U64,
    SIMDROP_U128,
    SIMDROP_TYPES
} simdrop_type;

/* y[i] = x[i] * scale where element start + i is kept, else zero: n elements, one after the other, of a type whose
   alignment x and y have. They may be the same array, but must not overlap otherwise. */
void simdrop_apply(const simdrop_rule *rule, uint64_t start, simdrop_type type, size_t n, const void *x, void *y,
                   double scale);

typedef struct simdrop_elements {
    simdrop_type type;
    size_t bytes;  /* of an element in memory: the type's, or fewer for SIMDROP_U128 */
    size_t swap_x; /* bytes of a number whose order is reversed in x (in y), or 0 */
    size_t swap_y;
    double scale;
} simdrop_elements;

/* Arrays have at most so many axes. */
enum { SIMDROP_MOST_AXES = 64 };

/* An axis of x and y, which have the same shape. */
typedef struct simdrop_axis {
    size_t n;
    ptrdiff_t x, y;   /* bytes from one element to the next */
    uint64_t element; /* from one element's number in the mask to the next one's; 0 where they share a decision */
} simdrop_axis;

/* The same for arrays of any layout and alignment; element `start` of the mask is at x and y. */
void simdrop_apply_array(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count,
                         const simdrop_axis *axes, const void *x, void *y);

/* The same for a mask that was stored, a bit an element, as simdrop_packbits gives them: element e is kept if bit e % 8
   of byte e / 8 is set. */
void simdrop_select_array(const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count,
                          const simdrop_axis *axes, const void *x, void *y);

/* keep[i] = 1 where element start + i is kept, else 0. */
void simdrop_keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep);

/* The same, a bit each, first element in the lowest bit; (n + 7) / 8 bytes, unused bits 0. */
void simdrop_packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits);

/* The bits of a block of a mask, in the C order of its axes, whose `element` says how elements are numbered; element
   `start` is its first. Where `p` is not NULL, each element has one of its own instead of the rule's: axes have in `x`
   the bytes from one's to the next one's, where 0 repeats it. Elements that share a decision share p. */
void simdrop_packbits_array(const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes,
                            const double *p, uint8_t *bits);

/* The numbers of the set bits among the first n, ascending; there are `count`, and the bits after them are 0. */
void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices, size_t count);

#include "simdrop_fused.h"
#include "simdrop_noise.h"
#include "simdrop_weights.h"

/* Instruction sets: number i of those that this build has and this CPU can run, best first, or NULL after the last. */
const char *simdrop_isa_available(size_t i);
/* The one in use: "portable" until another is chosen. */
const char *simdrop_isa_name(void);
/* Choose by name, or the best with NULL. Returns 0 and changes nothing when it cannot run here. Call it before other
   threads use the library. */
int simdrop_isa_choose(const char *name);

/* The compiler that built the library, for reports. */
const char *simdrop_compiler(void);

#ifdef __cplusplus
}
#endif
#endif
