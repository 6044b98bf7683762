/* Dropout fused with what stands around it in a net: a part of simdrop.h, which includes it. */
#ifndef SIMDROP_FUSED_H
#define SIMDROP_FUSED_H

typedef enum simdrop_activation {
    SIMDROP_IDENTITY,
    SIMDROP_RELU,
    SIMDROP_GELU,
    SIMDROP_TANH,
    SIMDROP_SIGMOID,
    SIMDROP_SILU,
    SIMDROP_ACTIVATIONS
} simdrop_activation;

/* All of them: n elements, the first of them element `start` of the mask and the first of a row of `columns`; the last
   row may be partial. A result may be one of the arguments of its shape, but must not overlap them otherwise. */

/* y = activation(x + bias) * scale where kept, else zero. */
typedef void simdrop_bias_dropout(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x,
                                  const void *bias, void *y, double scale);

/* dx = dy * activation'(x + bias) * scale where kept, else zero. The columns' sums of dx are added to `sums`; what they
   lack of the exact sums, to sums + columns, which floats leave alone. The identity uses neither x nor bias; RELU has
   simdrop_relu_dropout_backward, and NULL here. */
typedef void simdrop_bias_dropout_backward(const simdrop_rule *rule, uint64_t start, size_t n, size_t columns,
                                           const void *x, const void *bias, const void *dy, void *dx, double *sums,
                                           double scale);

/* y = residual + (x * scale where kept, else zero). */
typedef void simdrop_dropout_add(const simdrop_rule *rule, uint64_t start, size_t n, const void *x,
                                 const void *residual, void *y, double scale);

/* y = max(x, 0) * scale where kept, else zero. */
typedef void simdrop_relu_dropout(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y,
                                  double scale);

/* dx = dy * scale where y > 0, else zero, for relu with a bias too; sums as above, or NULL for none. */
typedef void simdrop_relu_dropout_backward(size_t n, size_t columns, const void *y, const void *dy, void *dx,
                                           double *sums, double scale);

/* The same sums of `columns` columns as dbias, float or double: from those of `repeats` times as many columns, and
   those of `blocks` blocks of rows, one behind the other, which are added to the first. */
typedef void simdrop_finish_sums(size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias);

/* [0] for float, [1] for double. A NaN that several operands could give is the positive quiet one. */
typedef struct simdrop_fused {
    simdrop_bias_dropout *bias_dropout[2][SIMDROP_ACTIVATIONS];
    simdrop_bias_dropout_backward *bias_dropout_backward[2][SIMDROP_ACTIVATIONS];
    simdrop_dropout_add *dropout_add[2];
    simdrop_relu_dropout *relu_dropout[2];
    simdrop_relu_dropout_backward *relu_dropout_backward[2];
    simdrop_finish_sums *finish_sums[2];
} simdrop_fused;

/* Those of the instruction set in use. */
const simdrop_fused *simdrop_fused_kernels(void);

#endif
