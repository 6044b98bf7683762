/* Weight matrices of which dropout keeps some rows and columns, and what trains them: a part of simdrop.h, which
   includes it. */
#ifndef SIMDROP_WEIGHTS_H
#define SIMDROP_WEIGHTS_H

/* Rows and columns of a matrix whose rows follow each other in memory. A packed array holds what is kept alone, row
   after row, of all rows. */
typedef struct simdrop_part {
    size_t rows, columns;
    const uint8_t *keep_rows, *keep_columns; /* a bit each, in whole words of 8 bytes; NULL: all are kept */
    size_t first, stop;                      /* the rows that a call works on */
} simdrop_part;

/* packed = what is kept of the matrix. */
typedef void simdrop_gather(const simdrop_part *part, const void *matrix, void *packed);

/* What the optimizers do to the weights w that are kept, with their packed gradients g; all others stay as they are,
   and so does what the optimizer remembers of them. `squares`, or NULL, is set to the sums of squares of the columns
   afterwards, over the rows that the call works on, kept or not. */
typedef struct simdrop_descent {
    double lr, l1, l2;      /* of g + l2 w + l1 sign(w) */
    double momentum;        /* SGD: step = -lr g; v = momentum v + step; w += v */
    int nesterov;           /* w += momentum v + step instead */
    double beta1, beta2;    /* Adam: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g g; */
    double root_scale, eps; /* w -= lr m / (sqrt(v) root_scale + eps) */
} simdrop_descent;

typedef void simdrop_sgd(const simdrop_part *part, const simdrop_descent *how, void *w, void *v, const void *g,
                         double *squares);
typedef void simdrop_adam(const simdrop_part *part, const simdrop_descent *how, void *w, void *m, void *v,
                          const void *g, double *squares);

/* [0] for float, [1] for double. What is NaN is NaN on every instruction set; its sign and payload are not promised. */
typedef struct simdrop_weights {
    simdrop_gather *gather[2];
    simdrop_sgd *sgd[2];
    simdrop_adam *adam[2];
} simdrop_weights;

/* Those of the instruction set in use. */
const simdrop_weights *simdrop_weights_kernels(void);

#endif
