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
#ifdef SIMDROP_HAVE_VAES512
    {&simdrop_kernels_vaes512, SIMDROP_CPU_VAES512},
#endif
#ifdef SIMDROP_HAVE_VAES256
    {&simdrop_kernels_vaes256, SIMDROP_CPU_VAES256},
#endif
#ifdef SIMDROP_HAVE_AESNI
    {&simdrop_kernels_aesni, SIMDROP_CPU_AESNI},
#endif
    {&simdrop_kernels_portable, 0},
};

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

void simdrop_keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out) {
    chosen->keystream(rule, plane, block, blocks, out);
}

void simdrop_apply_f32(const simdrop_rule *rule, uint64_t start, size_t n, const float *x, float *y, float scale) {
    chosen->apply_f32(rule, start, n, x, y, scale);
}

void simdrop_apply_f64(const simdrop_rule *rule, uint64_t start, size_t n, const double *x, double *y, double scale) {
    chosen->apply_f64(rule, start, n, x, y, scale);
}

void simdrop_select_f32(const uint8_t *bits, size_t n, const float *x, float *y, float scale) {
    chosen->select_f32(bits, n, x, y, scale);
}

void simdrop_select_f64(const uint8_t *bits, size_t n, const double *x, double *y, double scale) {
    chosen->select_f64(bits, n, x, y, scale);
}

void simdrop_keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) {
    chosen->keep(rule, start, n, keep);
}

void simdrop_packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits) {
    chosen->packbits(rule, start, n, bits);
}

void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices) {
    for (size_t i = 0; i < n; i += 8) {
        for (unsigned byte = bits[i / 8]; byte != 0; byte &= byte - 1) {
            *indices++ = (intptr_t)i + __builtin_ctz(byte);
        }
    }
}
