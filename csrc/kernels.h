/* What every instruction set provides: the table that dispatch.c chooses from. Private. */
#ifndef SIMDROP_KERNELS_H
#define SIMDROP_KERNELS_H

#include "simdrop.h"

typedef struct simdrop_kernels {
    const char *name;
    void (*keystream)(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out);
    void (*apply_f32)(const simdrop_rule *rule, uint64_t start, size_t n, const float *x, float *y, float scale);
    void (*apply_f64)(const simdrop_rule *rule, uint64_t start, size_t n, const double *x, double *y, double scale);
    void (*select_f32)(const uint8_t *bits, size_t n, const float *x, float *y, float scale);
    void (*select_f64)(const uint8_t *bits, size_t n, const double *x, double *y, double scale);
    void (*keep)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep);
    void (*packbits)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits);
} simdrop_kernels;

/* One table an instruction set, from kernels.c compiled once for each. */
extern const simdrop_kernels simdrop_kernels_portable;
extern const simdrop_kernels simdrop_kernels_aesni;
extern const simdrop_kernels simdrop_kernels_vaes256;
extern const simdrop_kernels simdrop_kernels_vaes512;

/* What this CPU, and its operating system, can run (cpu.c). */
enum { SIMDROP_CPU_AESNI = 1, SIMDROP_CPU_VAES256 = 2, SIMDROP_CPU_VAES512 = 4 };
unsigned simdrop_cpu_features(void);

#endif
