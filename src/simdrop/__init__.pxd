# cython: language_level=3
"""The C library for Cython, ``cimport simdrop``: all of simdrop.h, which says what each function does.

Compile with ``simdrop.get_include()`` and link with ``simdrop.get_library()``.
"""

from libc.stdint cimport intptr_t, uint8_t, uint64_t


cdef extern from "simdrop.h" nogil:
    enum:
        SIMDROP_STREAM_VERSION
        SIMDROP_KEY_BYTES
        SIMDROP_BLOCK_BYTES
        SIMDROP_SCHEDULE_BYTES
        SIMDROP_MAX_AXES
    const char *SIMDROP_VERSION
    const uint64_t SIMDROP_DRAWS

    ctypedef struct simdrop_rule:
        uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]
        uint64_t draw
        uint64_t digits
        uint64_t planes

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
        SIMDROP_TYPES

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

    ctypedef enum simdrop_activation:
        SIMDROP_IDENTITY
        SIMDROP_RELU
        SIMDROP_GELU
        SIMDROP_TANH
        SIMDROP_SIGMOID
        SIMDROP_SILU
        SIMDROP_ACTIVATIONS

    ctypedef struct simdrop_submatrix:
        size_t rows
        size_t columns
        const uint8_t *keep_rows
        const uint8_t *keep_columns
        size_t first
        size_t stop

    ctypedef struct simdrop_step:
        double lr
        double l1
        double l2
        double momentum
        int nesterov
        double beta1
        double beta2
        double root_scale
        double eps

    const char *simdrop_version()

    # Rules and keystream
    void simdrop_expand_key(const uint8_t *key, uint8_t *round_keys)
    void simdrop_set_p(simdrop_rule *rule, double p)
    void simdrop_keystream(
        const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out
    )

    # Dropout
    void simdrop_apply(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale
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

    # Dropout fused with its neighbours in a network
    void simdrop_bias_dropout(
        simdrop_type type, simdrop_activation activation, const simdrop_rule *rule, uint64_t start, size_t n,
        size_t columns, const void *x, const void *bias, void *y, double scale
    )
    void simdrop_bias_dropout_backward(
        simdrop_type type, simdrop_activation activation, const simdrop_rule *rule, uint64_t start, size_t n,
        size_t columns, const void *x, const void *bias, const void *dy, void *dx, double *sums, double scale
    )
    void simdrop_dropout_add(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual,
        void *y, double scale
    )
    void simdrop_relu_dropout(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale
    )
    void simdrop_relu_dropout_backward(
        simdrop_type type, size_t n, size_t columns, const void *y, const void *dy, void *dx, double *sums,
        double scale
    )
    void simdrop_finish_sums(
        simdrop_type type, size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias
    )

    # Gaussian noise, and dropout to a value
    void simdrop_normals(const simdrop_rule *rule, uint64_t start, size_t n, float *z)
    void simdrop_multiply_noise(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation
    )
    void simdrop_add_noise(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation
    )
    void simdrop_dropout_shift(
        simdrop_type type, const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale,
        double kept, double dropped
    )

    # Submatrices
    void simdrop_gather(simdrop_type type, const simdrop_submatrix *submatrix, const void *matrix, void *compact)
    void simdrop_sgd(
        simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v,
        const void *g, double *squares
    )
    void simdrop_adam(
        simdrop_type type, const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m, void *v,
        const void *g, double *squares
    )

    # Instruction sets
    const char *simdrop_isa_available(size_t i)
    const char *simdrop_isa_name()
    int simdrop_isa_choose(const char *name)
    const char *simdrop_compiler()
