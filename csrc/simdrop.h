/* Dropout masks drawn from AES-128 counter keystream, and the kernels that apply them: the whole public interface.

   An element's decision depends on a key, a draw number and its index alone: any part of a mask can be computed by
   itself, in any order, on any machine. Functions do not check their arguments, do not fail, keep no state and may run
   in any number of threads; only simdrop_isa_choose must not run beside others.

       simdrop_rule rule = {.draw = 0};
       simdrop_expand_key(key, rule.round_keys);
       simdrop_set_p(&rule, 0.1);
       simdrop_isa_choose(NULL);
       simdrop_apply(SIMDROP_F32, &rule, 0, n, x, y, 1 / (1 - 0.1)); */
#ifndef SIMDROP_H
#define SIMDROP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIMDROP_VERSION "0.1.0" /* of this header; simdrop_version() is that of the library */
const char *simdrop_version(void);

/* The definition of the stream that these functions follow: counter block = uint64 block | uint56 draw | uint8 plane,
   little-endian; element e of a draw has the uniform U = 0.b0 b1 b2 ... in base 256, where b_k is keystream byte e of
   plane k; it is dropped iff U < p. It never changes; another definition gets another number. */
enum { SIMDROP_STREAM_VERSION = 1 };

enum { SIMDROP_KEY_BYTES = 16, SIMDROP_BLOCK_BYTES = 16, SIMDROP_SCHEDULE_BYTES = 176 };

/* Draws are numbered below 2^56. */
#define SIMDROP_DRAWS (UINT64_C(1) << 56)

/* --- Rules and keystream --- */

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

/* --- Dropout --- */

typedef enum simdrop_type {
    /* Multiplied by the scale where kept: the 16-bit types as float, rounded once; both parts of a complex number. */
    SIMDROP_F16,
    SIMDROP_BF16,
    SIMDROP_F32,
    SIMDROP_F64,
    SIMDROP_C64,
    SIMDROP_C128,
    /* Any data of this many bits, copied where kept. */
    SIMDROP_U8,
    SIMDROP_U16,
    SIMDROP_U32,
    SIMDROP_U64,
    SIMDROP_U128,
    SIMDROP_TYPES
} simdrop_type;

/* y[i] = x[i] * scale where element start + i is kept, else zero: n contiguous elements. x and y are aligned for the
   type; they may be the same array, but must not overlap otherwise. */
void simdrop_apply(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                   double scale);

typedef struct simdrop_elements {
    simdrop_type type;
    size_t bytes;  /* of an element in memory: the type's, or fewer for SIMDROP_U128 */
    size_t swap_x; /* bytes of a number whose order is reversed in x (in y), or 0 */
    size_t swap_y;
    double scale;
} simdrop_elements;

/* The most axes that an array may have. */
enum { SIMDROP_MAX_AXES = 64 };

/* An axis of x and y, which have the same shape. */
typedef struct simdrop_axis {
    size_t n;
    ptrdiff_t x, y;   /* strides in bytes */
    uint64_t element; /* stride in the mask's element numbers; 0 where a decision is shared along the axis */
} simdrop_axis;

/* The same for arrays of any strides and alignment; element `start` of the mask is at x and y. */
void simdrop_apply_array(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count,
                         const simdrop_axis *axes, const void *x, void *y);

/* The same for a stored mask of one bit an element, as simdrop_packbits writes it: element e is kept if bit e % 8 of
   byte e / 8 is set. */
void simdrop_select_array(const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count,
                          const simdrop_axis *axes, const void *x, void *y);

/* keep[i] = 1 where element start + i is kept, else 0. */
void simdrop_keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep);

/* The same, a bit each, first element in the lowest bit; (n + 7) / 8 bytes, unused bits 0. */
void simdrop_packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits);

/* The bits of a block of a mask in the C order of its axes, whose `element` is the stride in the mask; the block begins
   at element `start`. If `p` is not NULL, each element has a p of its own instead of the rule's, at the byte strides
   `x` of the axes, where 0 repeats it. Elements that share a decision share p. */
void simdrop_packbits_array(const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes,
                            const double *p, uint8_t *bits);

/* The positions of the set bits among the first n, ascending; there are `count`, and the bits after them are 0. */
void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices, size_t count);

/* --- Dropout fused with its neighbours in a network ---

   From here on, `type` is SIMDROP_F32 or SIMDROP_F64. A call works on n contiguous elements; the first is element
   `start` of the draw. An output may be one of the inputs of its shape, but must not overlap them otherwise. Where an
   operation has several NaN operands, or makes a NaN, the result is the positive quiet NaN without payload. */

typedef enum simdrop_activation {
    SIMDROP_IDENTITY,
    SIMDROP_RELU,
    SIMDROP_GELU,
    SIMDROP_TANH,
    SIMDROP_SIGMOID,
    SIMDROP_SILU,
    SIMDROP_ACTIVATIONS
} simdrop_activation;

/* y = activation(x + bias) * scale where kept, else zero. The first element is the first of a row of `columns`; the
   last row may be partial. */
void simdrop_bias_dropout(simdrop_type type, simdrop_activation activation, const simdrop_rule *rule, uint64_t start,
                          size_t n, size_t columns, const void *x, const void *bias, void *y, double scale);

/* dx = dy * activation'(x + bias) * scale where kept, else zero. The column sums of dx are added to sums[0..columns)
   and, for double, their compensation (the rounding errors of these sums) to sums[columns..2 columns). SIMDROP_IDENTITY
   does not read x and bias; for SIMDROP_RELU call simdrop_relu_dropout_backward. */
void simdrop_bias_dropout_backward(simdrop_type type, simdrop_activation activation, const simdrop_rule *rule,
                                   uint64_t start, size_t n, size_t columns, const void *x, const void *bias,
                                   const void *dy, void *dx, double *sums, double scale);

/* y = residual + (x * scale where kept, else zero). */
void simdrop_dropout_add(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                         const void *residual, void *y, double scale);

/* y = max(x, 0) * scale where kept, else zero. */
void simdrop_relu_dropout(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                          double scale);

/* dx = dy * scale where y > 0, else zero, with or without a bias; sums as above, or NULL. */
void simdrop_relu_dropout_backward(simdrop_type type, size_t n, size_t columns, const void *y, const void *dy, void *dx,
                                   double *sums, double scale);

/* dbias, the sums over all rows, from column sums as above: of `blocks` blocks of rows, 2 repeats columns doubles each,
   whose rows are `repeats` rows of `columns` side by side. Overwrites sums. */
void simdrop_finish_sums(simdrop_type type, size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias);

/* --- Gaussian noise, and dropout to a value --- */

/* The standard normal numbers of a draw; of the rule, key and draw alone count. */
void simdrop_normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z);

/* y = x (1 + deviation z), with such numbers z, each operation rounded. */
void simdrop_multiply_noise(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                            void *y, double deviation);

/* y = x + deviation z. */
void simdrop_add_noise(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                       double deviation);

/* y = x * scale + kept where kept, else dropped. */
void simdrop_dropout_shift(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                           void *y, double scale, double kept, double dropped);

/* --- Submatrices: the kept rows and columns of a weight matrix, and optimizers that update them alone ---

   NaN is NaN on every instruction set; its sign and payload may differ. */

/* A compact array holds the kept elements alone, row after row, of all kept rows. */
typedef struct simdrop_submatrix {
    size_t rows, columns;                    /* of the whole matrix */
    const uint8_t *keep_rows, *keep_columns; /* a bit each, in whole words of 8 bytes; NULL: all are kept */
    size_t first, stop;                      /* the rows that a call works on */
} simdrop_submatrix;

/* compact = the kept elements of the matrix. */
void simdrop_gather(simdrop_type type, const simdrop_submatrix *submatrix, const void *matrix, void *compact);

/* One step of SGD or Adam for the kept weights w with their compact gradient g; other weights, and their optimizer
   state, stay. The gradient used is g + l2 w + l1 sign(w). */
typedef struct simdrop_step {
    double lr, l1, l2;
    double momentum;        /* SGD: step = -lr g; v = momentum v + step; w += v */
    int nesterov;           /* w += momentum v + step instead */
    double beta1, beta2;    /* Adam: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g g; */
    double root_scale, eps; /* w -= lr m / (sqrt(v) root_scale + eps) */
} simdrop_step;

/* `squares`, or NULL, is set to the columns' sums of squares after the step, over the rows that the call works on, kept
   or not. */
void simdrop_sgd(simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v,
                 const void *g, double *squares);
void simdrop_adam(simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m,
                  void *v, const void *g, double *squares);

/* --- Instruction sets --- */

/* The i-th that this build has and this CPU can run, best first; NULL after the last. */
const char *simdrop_isa_available(size_t i);

/* The one in use: "portable" until another is chosen. */
const char *simdrop_isa_name(void);

/* Choose by name, or the best with NULL. Returns 0 and changes nothing if it cannot run here. Call it before other
   threads use the library. */
int simdrop_isa_choose(const char *name);

/* The compiler that built the library, for reports. */
const char *simdrop_compiler(void);

#ifdef __cplusplus
}
#endif
#endif
