/* One table, a row an instruction set; the public functions call the chosen row. */
#include "kernels.h"

#include <string.h>

#ifdef __AVX__
#error "dispatch.c runs on every CPU: compile it without instruction set flags"
#endif

static const struct {
    const simdrop_kernels *kernels;
    unsigned needs;
} rows[] = {
#define ISA(name, needs) {&simdrop_kernels_##name, needs},
#include "isas.def"
#undef ISA
};

const size_t simdrop_type_bytes[SIMDROP_TYPES] = {2, 2, 4, 8, 8, 16, 1, 2, 4, 8, 16};
const size_t simdrop_type_part[SIMDROP_TYPES] = {2, 2, 4, 8, 4, 8, 1, 2, 4, 8, 8};

static const simdrop_kernels *chosen = &simdrop_kernels_portable;

static const simdrop_kernels *available(size_t i) {
    const unsigned features = simdrop_cpu_features();
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        if ((rows[row].needs & features) == rows[row].needs && i-- == 0) {
            return rows[row].kernels;
        }
    }
    return NULL;
}

const char *simdrop_isa_available(size_t i) {
    const simdrop_kernels *kernels = available(i);
    return kernels ? kernels->name : NULL;
}

const char *simdrop_compiler(void) {
#ifdef __clang__
    return __VERSION__; /* begins with its name */
#else
    return "GCC " __VERSION__;
#endif
}

const char *simdrop_isa_name(void) { return chosen->name; }

const simdrop_kernels *simdrop_chosen_kernels(void) { return chosen; }

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

void simdrop_keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out) {
    chosen->keystream(rule, plane, block, blocks, out);
}

void simdrop_apply(const simdrop_rule *rule, uint64_t start, simdrop_type type, size_t n, const void *x, void *y,
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

const simdrop_fused *simdrop_fused_kernels(void) { return &chosen->fused; }

const simdrop_noise *simdrop_noise_kernels(void) { return &chosen->noise; }

const simdrop_weights *simdrop_weights_kernels(void) { return &chosen->weights; }

void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices, size_t count) {
    chosen->indices(bits, n, indices, count);
}
