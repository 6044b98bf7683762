/* What every instruction set provides: the table that dispatch.c chooses from. Private. */
#ifndef SIMDROP_KERNELS_H
#define SIMDROP_KERNELS_H

#include "simdrop.h"

/* Elements whose bits are drawn before they are used: small enough for the CPU to overlap one chunk's memory with the
   next one's AES, large enough to settle ties together. */
enum { SIMDROP_CHUNK = 1024 };

/* Words that `draw` may write for a chunk that begins inside a word, and one that may be read behind them. */
enum { SIMDROP_CHUNK_WORDS = SIMDROP_CHUNK / 64 + 2 };

typedef struct simdrop_kernels {
    const char *name;
    void (*keystream)(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out);
    void (*apply[SIMDROP_TYPES])(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                 double scale);
    void (*apply_array)(const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count,
                        const simdrop_axis *axes, const void *x, void *y);
    void (*select_array)(const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count,
                         const simdrop_axis *axes, const void *x, void *y);
    void (*keep)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep);
    void (*packbits)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits);
    void (*packbits_array)(const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes,
                           const double *p, uint8_t *bits);
    void (*indices)(const uint8_t *bits, size_t n, intptr_t *indices, size_t count);
    simdrop_fused fused;
    simdrop_noise noise;
    simdrop_weights weights;
} simdrop_kernels;

/* One table an instruction set, from kernels.c compiled once for each. */
#define ISA(name, needs) extern const simdrop_kernels simdrop_kernels_##name;
#include "isas.def"
#undef ISA

/* Bytes of an element of each type, and of the numbers that it is made of, which are its alignment (dispatch.c). */
extern const size_t simdrop_type_bytes[SIMDROP_TYPES];
extern const size_t simdrop_type_part[SIMDROP_TYPES];

/* What this CPU, and its operating system, can run (cpu.c). */
enum { SIMDROP_CPU_AESNI = 1, SIMDROP_CPU_VAES256 = 2, SIMDROP_CPU_VAES512 = 4, SIMDROP_CPU_NEON = 8 };
unsigned simdrop_cpu_features(void);

#endif
