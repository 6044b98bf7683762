/* What every instruction set provides: the table that dispatch.c chooses from. Private. */
#pragma once

#include "simdrop.h"

#include <math.h>

/* The kernels of one instruction set: simdrop.h says what each does. Where an index is [2], 0 is float and 1 double. */
typedef struct simdrop_kernels {
    const char *name;
    __typeof__(simdrop_keystream) *keystream;
    void (*apply[SIMDROP_TYPES])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                 double scale);
    __typeof__(simdrop_apply_array) *apply_array;
    __typeof__(simdrop_select_array) *select_array;
    /* A block of elements, from memory of any layout (strides x) to a contiguous buffer (strides y), or back. The axes
       begin with the buffer's innermost one. */
    void (*copy_block)(int count, const simdrop_axis *axes, char *memory, char *buffer, size_t size, int to_memory);
    __typeof__(simdrop_keep) *keep;
    __typeof__(simdrop_packbits) *packbits;
    __typeof__(simdrop_packbits_array) *packbits_array;
    __typeof__(simdrop_indices) *indices;
    void (*bias_dropout[2][SIMDROP_ACTIVATIONS])(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,
                                                 const void *x, const void *bias, void *y, double scale);
    /* NULL for SIMDROP_RELU, whose result says enough. */
    void (*bias_dropout_backward[2][SIMDROP_ACTIVATIONS])(const simdrop_rule *rule, uint64_t start, size_t n,
                                                          size_t columns, const void *x, const void *bias,
                                                          const void *dy, void *dx, double *sums, double scale);
    void (*dropout_add[2])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual,
                           void *y, double scale);
    void (*relu_dropout[2])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale);
    void (*relu_dropout_backward[2])(size_t n, size_t columns, const void *y, const void *dy, void *dx, double *sums,
                                     double scale);
    void (*finish_sums[2])(size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias);
    __typeof__(simdrop_normals) *normals;
    void (*multiply_noise[2])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                              double deviation);
    void (*add_noise[2])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation);
    void (*dropout_shift[2])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale,
                             double kept, double dropped);
    void (*gather[2])(const simdrop_submatrix *submatrix, const void *matrix, void *compact);
    void (*sgd[2])(const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v, const void *g,
                   double *squares);
    void (*adam[2])(const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m, void *v,
                    const void *g, double *squares);
} simdrop_kernels;

/* The table that simdrop_isa_choose chose; for the extensions of the Python package. */
const simdrop_kernels *simdrop_chosen_kernels(void);

/* What follows stays in the library, also where its functions are visible from outside. */
#pragma GCC visibility push(hidden)

/* For each instruction set its table, from kernels.c compiled for it, and whether this CPU and its operating system can
   run it (cpu.c). */
#define ISA(name)                                                                                                      \
    extern const simdrop_kernels simdrop_kernels_##name;                                                               \
    int simdrop_runs_##name(void);
#include "isas.def"
#undef ISA

/* Bytes of an element of each type, and of its alignment (dispatch.c). */
extern const size_t simdrop_type_bytes[SIMDROP_TYPES];
extern const size_t simdrop_type_alignment[SIMDROP_TYPES];

#pragma GCC visibility pop

/* p as eight base-256 digits. p 2^64 is exact; only a p below 2^-11 has digits left to round. */
static inline uint64_t simdrop_digits(double p) { return p < 1 ? (uint64_t)nearbyint(p * 0x1p64) : UINT64_MAX; }
