# cython: language_level=3
"""The C library, for the other extensions: the table of kernels of the instruction set in use (csrc/kernels.h)."""

from libc.stdint cimport intptr_t, uint8_t, uint64_t

from simdrop cimport (
    SIMDROP_ACTIVATIONS,
    SIMDROP_TYPES,
    simdrop_axis,
    simdrop_elements,
    simdrop_rule,
    simdrop_step,
    simdrop_submatrix,
)


# In arrays of two, [0] is for float32 and [1] for float64.
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


cdef const simdrop_kernels *kernels  # of the instruction set in use
cdef void expand_key(const uint8_t *key, uint8_t *round_keys) noexcept
cdef void set_p(simdrop_rule *rule, double p) noexcept
