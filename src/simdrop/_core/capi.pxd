# cython: language_level=3
"""The C library: csrc/simdrop.h, and the table of kernels in csrc/kernels.h."""

from libc.stdint cimport intptr_t, uint8_t, uint64_t


cdef extern from "simdrop.h" nogil:
    enum:
        SIMDROP_STREAM_VERSION
        SIMDROP_KEY_BYTES
        SIMDROP_BLOCK_BYTES
        SIMDROP_SCHEDULE_BYTES
        SIMDROP_MAX_AXES
    const uint64_t SIMDROP_DRAWS

    ctypedef struct simdrop_rule:
        uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]
        uint64_t draw

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
        size_t rows, columns, first, stop
        const uint8_t *keep_rows
        const uint8_t *keep_columns

    ctypedef struct simdrop_step:
        double lr, l1, l2, momentum, beta1, beta2, root_scale, eps
        int nesterov

    void simdrop_expand_key(const uint8_t *key, uint8_t *round_keys)
    void simdrop_set_p(simdrop_rule *rule, double p)
    const char *simdrop_isa_available(size_t i)
    const char *simdrop_isa_name()
    int simdrop_isa_choose(const char *name)
    const char *simdrop_compiler()


# The kernels of one instruction set. In arrays of two, [0] is for float32 and [1] for float64.
cdef extern from "kernels.h" nogil:
    ctypedef struct simdrop_kernels:
        void (*keystream)(
            const simdrop_rule *rule, uint64_t plane, uint64_t block, size_t blocks, uint8_t *out
        ) noexcept nogil
        void (*apply[SIMDROP_TYPES])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale
        ) noexcept nogil
        void (*apply_array)(
            const simdrop_rule *rule, uint64_t start, simdrop_elements elements, int axes_count,
            const simdrop_axis *axes, const void *x, void *y
        ) noexcept nogil
        void (*select_array)(
            const uint8_t *bits, uint64_t start, simdrop_elements elements, int axes_count, const simdrop_axis *axes,
            const void *x, void *y
        ) noexcept nogil
        void (*copy_block)(
            int count, const simdrop_axis *axes, char *memory, char *buffer, size_t size, int to_memory
        ) noexcept nogil
        void (*keep)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *keep) noexcept nogil
        void (*packbits)(const simdrop_rule *rule, uint64_t start, size_t n, uint8_t *bits) noexcept nogil
        void (*packbits_array)(
            const simdrop_rule *rule, uint64_t start, int axes_count, const simdrop_axis *axes, const double *p,
            uint8_t *bits
        ) noexcept nogil
        void (*indices)(const uint8_t *bits, size_t n, intptr_t *indices, size_t count) noexcept nogil
        void (*bias_dropout[2][SIMDROP_ACTIVATIONS])(
            const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x, const void *bias,
            void *y, double scale
        ) noexcept nogil
        void (*bias_dropout_backward[2][SIMDROP_ACTIVATIONS])(
            const simdrop_rule *rule, uint64_t start, size_t n, size_t columns, const void *x, const void *bias,
            const void *dy, void *dx, double *sums, double scale
        ) noexcept nogil
        void (*dropout_add[2])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, const void *residual, void *y,
            double scale
        ) noexcept nogil
        void (*relu_dropout[2])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale
        ) noexcept nogil
        void (*relu_dropout_backward[2])(
            size_t n, size_t columns, const void *y, const void *dy, void *dx, double *sums, double scale
        ) noexcept nogil
        void (*finish_sums[2])(
            size_t columns, size_t repeats, size_t blocks, double *sums, void *dbias
        ) noexcept nogil
        void (*normals)(const simdrop_rule *rule, uint64_t start, size_t n, float *z) noexcept nogil
        void (*multiply_noise[2])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation
        ) noexcept nogil
        void (*add_noise[2])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double deviation
        ) noexcept nogil
        void (*dropout_shift[2])(
            const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale, double kept,
            double dropped
        ) noexcept nogil
        void (*gather[2])(const simdrop_submatrix *submatrix, const void *matrix, void *compact) noexcept nogil
        void (*sgd[2])(
            const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *v, const void *g,
            double *squares
        ) noexcept nogil
        void (*adam[2])(
            const simdrop_submatrix *submatrix, const simdrop_step *step, void *w, void *m, void *v, const void *g,
            double *squares
        ) noexcept nogil

    const simdrop_kernels *simdrop_chosen_kernels()
