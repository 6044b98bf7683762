/* Normal numbers, and dropout's relatives that need them or a shift: a part of simdrop.h, which includes it. */
#ifndef SIMDROP_NOISE_H
#define SIMDROP_NOISE_H

/* All of them: n elements, the first of them element `start` of the draw; x and y may be the same array, but must not
   overlap otherwise. */

/* The standard normal numbers of a draw. Of the rule, they use key and draw alone. */
typedef void simdrop_normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z);

/* y = x (1 + deviation z), or y = x + deviation z, with such numbers z, and each operation rounded. */
typedef void simdrop_add_noise(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                               double deviation);

/* y = x * scale + kept where kept, else dropped. */
typedef void simdrop_dropout_shift(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                   double scale, double kept, double dropped);

/* [0] for float, [1] for double. A NaN that several operands could give is the positive quiet one. */
typedef struct simdrop_noise {
    simdrop_normals *normals;
    simdrop_add_noise *multiply_noise[2];
    simdrop_add_noise *add_noise[2];
    simdrop_dropout_shift *dropout_shift[2];
} simdrop_noise;

/* Those of the instruction set in use. */
const simdrop_noise *simdrop_noise_kernels(void);

#endif
