/* One table, a row an instruction set; the public functions call the chosen row. */
#include "kernels.h"

#include <string.h>

#ifdef __AVX__
#error "dispatch.c runs on every CPU: compile it without instruction set flags"
#endif

static const struct {
    const simdrop_kernels *kernels;
    int (*runs)(void);
} rows[] = {
#define ISA(name) {&simdrop_kernels_##name, simdrop_runs_##name},
#include "isas.def"
#undef ISA
};

const size_t simdrop_type_bytes[SIMDROP_TYPES] = {2, 2, 4, 8, 8, 16, 1, 2, 4, 8, 16};
const size_t simdrop_type_alignment[SIMDROP_TYPES] = {2, 2, 4, 8, 4, 8, 1, 2, 4, 8, 8};

static const simdrop_kernels *chosen = &simdrop_kernels_portable;

static const simdrop_kernels *available(size_t i) {
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        if (rows[row].runs() && i-- == 0) {
            return rows[row].kernels;
        }
    }
    return NULL;
}

const char *simdrop_isa_available(size_t i) {
    const simdrop_kernels *kernels = available(i);
    return kernels ? kernels->name : NULL;
}

const char *simdrop_version(void) { return SIMDROP_VERSION; }

const char *simdrop_compiler(void) {
#ifdef __clang__
    return __VERSION__; /* begins with its name */
#else
    return "GCC " __VERSION__;
#endif
}

const simdrop_kernels *simdrop_chosen_kernels(void) { return chosen; }

const char *simdrop_isa_name(void) { return chosen->name; }

int simdrop_isa_choose(const char *name) {
    const simdrop_kernels *kernels;
    for (size_t i = 0; (kernels = available(i)) != NULL; i++) {
        if (name == NULL || strcmp(name, kernels->name) == 0) {
            chosen = kernels;
            return 1;
        }
    }
    return 0;
}

/* The index of a floating-point type in the tables. */
static int is_double(simdrop_type type) { return type == SIMDROP_F64; }

void simdrop_keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out) {
    chosen->keystream(rule, plane, block, blocks, out);
}

void simdrop_apply(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                   double scale) {
    chosen->apply[type](rule, start, n, x, y, scale);
}

void simdrop_apply_array(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count,
                         const simdrop_axis *axes, const void *x, void *y) {
    chosen->apply_array(rule, start, elements, axes_count, axes, x, y);
}

void simdrop_select_array(const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count,
                          const simdrop_axis *axes, const void *x, void *y) {
    chosen->select_array(bits, start, elements, axes_count, axes, x, y);
}

void simdrop_keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    chosen->keep(rule, start, n, keep);
}

void simdrop_packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits) {
    chosen->packbits(rule, start, n, bits);
}

void simdrop_packbits_array(const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes,
                            const double *p, uint8_t *bits) {
    chosen->packbits_array(rule, start, axes_count, axes, p, bits);
}

void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices, size_t count) {
    chosen->indices(bits, n, indices, count);
}

void simdrop_bias_dropout(simdrop_type type, simdrop_activation activation, const simdrop_rule *rule, uint64_t start,
                          size_t n, size_t columns, const void *x, const void *bias, void *y, double scale) {
    chosen->bias_dropout[is_double(type)][activation](rule, start, n, columns, x, bias, y, scale);
}

void simdrop_bias_dropout_backward(simdrop_type type, simdrop_activation activation, const simdrop_rule *rule,
                                   uint64_t start, size_t n, size_t columns, const void *x, const void *bias,
                                   const void *dy, void *dx, double *sums, double scale) {
    chosen->bias_dropout_backward[is_double(type)][activation](rule, start, n, columns, x, bias, dy, dx, sums, scale);
}

void simdrop_dropout_add(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                         const void *residual, void *y, double scale) {
    chosen->dropout_add[is_double(type)](rule, start, n, x, residual, y, scale);
}

void simdrop_relu_dropout(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                          double scale) {
    chosen->relu_dropout[is_double(type)](rule, start, n, x, y, scale);
}

void simdrop_relu_dropout_backward(simdrop_type type, size_t n, size_t columns, const void *y, const void *dy, void *dx,
                                   double *sums, double scale) {
    chosen->relu_dropout_backward[is_double(type)](n, columns, y, dy, dx, sums, scale);
}

void simdrop_finish_sums(simdrop_type type, size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias) {
    chosen->finish_sums[is_double(type)](columns, repeats, blocks, sums, dbias);
}

void simdrop_normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z) {
    chosen->normals(rule, start, n, z);
}

void simdrop_multiply_noise(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                            void *y, double deviation) {
    chosen->multiply_noise[is_double(type)](rule, start, n, x, y, deviation);
}

void simdrop_add_noise(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                       double deviation) {
    chosen->add_noise[is_double(type)](rule, start, n, x, y, deviation);
}

void simdrop_dropout_shift(simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                           void *y, double scale, double kept, double dropped) {
    chosen->dropout_shift[is_double(type)](rule, start, n, x, y, scale, kept, dropped);
}

void simdrop_gather(simdrop_type type, const simdrop_submatrix *submatrix, const void *matrix, void *compact) {
    chosen->gather[is_double(type)](submatrix, matrix, compact);
}

void simdrop_sgd(simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v,
                 const void *g, double *squares) {
    chosen->sgd[is_double(type)](submatrix, step, w, v, g, squares);
}

void simdrop_adam(simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m,
                  void *v, const void *g, double *squares) {
    chosen->adam[is_double(type)](submatrix, step, w, m, v, g, squares);
}
