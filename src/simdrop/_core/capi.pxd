# cython: language_level=3
"""The C library, as csrc/simdrop.h declares it."""

from libc.stdint cimport intptr_t, uint8_t, uint64_t


cdef extern from "simdrop.h" nogil:
    enum:
        SIMDROP_STREAM_VERSION
        SIMDROP_KEY_BYTES
        SIMDROP_BLOCK_BYTES
        SIMDROP_SCHEDULE_BYTES
        SIMDROP_MOST_AXES
    const uint64_t SIMDROP_DRAWS

    ctypedef struct simdrop_rule:
        uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]
        uint64_t draw

    void simdrop_expand_key(const uint8_t *key, uint8_t *round_keys)
    void simdrop_set_p(simdrop_rule *rule, double p)
    void simdrop_keystream(const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out)
    ctypedef enum simdrop_type:
        SIMDROP_F16
        SIMDROP_BF16
        SIMDROP_F32
        SIMDROP_F64
        SIMDROP_C64
        SIMDROP_C128
        SIMDROP_U8
        SIMDROP_U16
        SIMDROP_U32
        SIMDROP_U64
        SIMDROP_U128

    ctypedef struct simdrop_elements:
        simdrop_type type
        size_t bytes
        size_t swap_x
        size_t swap_y
        double scale

    ctypedef struct simdrop_axis:
        size_t n
        ptrdiff_t x
        ptrdiff_t y
        uint64_t element

    void simdrop_apply(
        const simdrop_rule *rule, uint64_t start, simdrop_type type, size_t n, const void *x, void *y, double scale
    )
    void simdrop_apply_array(
        const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count, const simdrop_axis *axes,
        const void *x, void *y
    )
    void simdrop_select_array(
        const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count, const simdrop_axis *axes,
        const void *x, void *y
    )
    void simdrop_keep(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep)
    void simdrop_packbits(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits)
    void simdrop_packbits_array(
        const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes, const double *p,
        uint8_t *bits
    )
    void simdrop_indices(const uint8_t *bits, size_t n, intptr_t *indices, size_t count)
    ctypedef enum simdrop_activation:
        SIMDROP_IDENTITY
        SIMDROP_RELU
        SIMDROP_GELU
        SIMDROP_TANH
        SIMDROP_SIGMOID
        SIMDROP_SILU
        SIMDROP_ACTIVATIONS

    ctypedef void simdrop_bias_dropout(
        const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x, const void *bias, void *y,
        double scale
    ) noexcept
    ctypedef void simdrop_bias_dropout_backward(
        const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x, const void *bias,
        const void *dy, void *dx, double *sums, double scale
    ) noexcept
    ctypedef void simdrop_dropout_add(
        const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual, void *y, double scale
    ) noexcept
    ctypedef void simdrop_relu_dropout(
        const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale
    ) noexcept
    ctypedef void simdrop_relu_dropout_backward(
        size_t n, size_t columns, const void *y, const void *dy, void *dx, double *sums, double scale
    ) noexcept
    ctypedef void simdrop_finish_sums(
        size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias
    ) noexcept
    ctypedef struct simdrop_fused:
        simdrop_bias_dropout *bias_dropout[2][SIMDROP_ACTIVATIONS]
        simdrop_bias_dropout_backward *bias_dropout_backward[2][SIMDROP_ACTIVATIONS]
        simdrop_dropout_add *dropout_add[2]
        simdrop_relu_dropout *relu_dropout[2]
        simdrop_relu_dropout_backward *relu_dropout_backward[2]
        simdrop_finish_sums *finish_sums[2]
    const simdrop_fused *simdrop_fused_kernels()
    ctypedef void simdrop_normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z) noexcept
    ctypedef void simdrop_add_noise(
        const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation
    ) noexcept
    ctypedef void simdrop_dropout_shift(
        const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale, double kept,
        double dropped
    ) noexcept
    ctypedef struct simdrop_noise:
        simdrop_normals *normals
        simdrop_add_noise *multiply_noise[2]
        simdrop_add_noise *add_noise[2]
        simdrop_dropout_shift *dropout_shift[2]
    const simdrop_noise *simdrop_noise_kernels()
    ctypedef struct simdrop_part:
        size_t rows, columns, first, stop
        const uint8_t *keep_rows
        const uint8_t *keep_columns
    ctypedef struct simdrop_descent:
        double lr, l1, l2, momentum, beta1, beta2, root_scale, eps
        int nesterov
    ctypedef void simdrop_gather(const simdrop_part *part, const void *matrix, void *packed) noexcept
    ctypedef void simdrop_sgd(
        const simdrop_part *part, const simdrop_descent *how, void *w, void *v, const void *g, double *squares
    ) noexcept
    ctypedef void simdrop_adam(
        const simdrop_part *part, const simdrop_descent *how, void *w, void *m, void *v, const void *g, double *squares
    ) noexcept
    ctypedef struct simdrop_weights:
        simdrop_gather *gather[2]
        simdrop_sgd *sgd[2]
        simdrop_adam *adam[2]
    const simdrop_weights *simdrop_weights_kernels()
    const char *simdrop_isa_available(size_t i)
    const char *simdrop_isa_name()
    int simdrop_isa_choose(const char *name)
    const char *simdrop_compiler()
