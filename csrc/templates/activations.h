/* Activations and their derivatives for one floating-point type: a part of floats.h.

   All are straight lines of +, -, *, / and choices between two values, which the compiler vectorises, and which give
   the same bits in vectors of any length. With e = exp(-|x|) nothing overflows, and differences of nearly equal numbers
   are avoided, so that results have few units of error in the last place even where they are subnormal. NaN stays NaN,
   since comparisons with it are false. */

/* exp(-z - low) = 2^k (1 + rest), for z in [0, EXP_END] and a small low. */
typedef struct {
    T power; /* 2^k LIFT: a normal number where 2^k is not */
    T rest;  /* expm1(-r), for |r| <= ln(2) / 2 */
} NAME(exponential);

/* `rounding` is ROUNDING, which multiplies by LIFT, or ROUNDING_TO_ONE, for which 2^k must be a normal number. */
INLINE NAME(exponential) NAME(exponential_of)(T z, T low, T rounding) {
    /* The sum is so large that its last bits are an integer: k plus the exponent that `rounding` adds. */
    const T shifted = z * -CONSTANT(LOG2_E) + rounding;
    const T k = shifted - rounding;
    const T r = (z + k * CONSTANT(LN_2_HIGH)) + (k * CONSTANT(LN_2_LOW) + low);
    NAME(exponential) e;
    BITS bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= FRACTION_BITS;
    memcpy(&e.power, &bits, sizeof bits);
    const T square = r * r;
    e.rest = square * CONSTANT(EXP_REST)(r, square) - r;
    return e;
}

/* The compiler leaves out an addition of -0, not one of 0. */
INLINE NAME(exponential) NAME(decay)(T z) { return NAME(exponential_of)(z, -(T)0, CONSTANT(ROUNDING)); }

/* factor * exp(-z - low) * LIFT. The power is exact: the error is little more than that of one rounding. */
INLINE T NAME(lifted)(NAME(exponential) e, T factor) { return e.power * (factor + factor * e.rest); }

/* The smaller one; NaN if z is NaN. */
INLINE T NAME(at_most)(T z, T end) { return z > end ? end : z; }

/* The larger one; NaN if z is NaN. */
INLINE T NAME(at_least)(T z, T end) { return z < end ? end : z; }

/* |x|, at most EXP_END, from where exp(-|x|) times any factor used here is 0. */
INLINE T NAME(magnitude)(T x) { return NAME(at_most)(FABS(x), CONSTANT(EXP_END)); }

INLINE T NAME(identity)(T x) { return x; }

INLINE T NAME(relu)(T x) { return x <= 0 ? 0 : x; }

INLINE T NAME(sigmoid)(T x) {
    const T e = NAME(lifted)(NAME(decay)(NAME(magnitude)(x)), 1) * CONSTANT(UNLIFT);
    return (x < 0 ? e : 1) / (1 + e);
}

/* (1 + e)^2, more exactly than by squaring. */
INLINE T NAME(square_of_one_plus)(T e) { return 1 + e * (2 + e); }

/* factor * e / (1 + e)^2, for a power of two; the last operation is the one that may round to a subnormal number. */
INLINE T NAME(logistic_density)(T x, T factor) {
    const T lifted = NAME(lifted)(NAME(decay)(NAME(magnitude)(x)), 1);
    return lifted / NAME(square_of_one_plus)(lifted * CONSTANT(UNLIFT)) * (factor * CONSTANT(UNLIFT));
}

INLINE T NAME(sigmoid_slope)(T x) { return NAME(logistic_density)(x, 1); }

/* (1 - e^2) / (1 + e^2), where 1 - e^2 is -expm1(-2|x|) */
INLINE T NAME(tanh)(T x) {
    const T z = NAME(at_most)(FABS(x + x), CONSTANT(TANH_END));
    const NAME(exponential) e = NAME(exponential_of)(z, -(T)0, CONSTANT(ROUNDING_TO_ONE));
    const T part = e.power * e.rest;
    return COPYSIGN(((1 - e.power) - part) / ((1 + e.power) + part), x);
}

/* 4 e^2 / (1 + e^2)^2 */
INLINE T NAME(tanh_slope)(T x) { return NAME(logistic_density)(x + x, 4); }

/* x / (1 + e), or x e / (1 + e), with x at least -EXP_END, from where on e times any factor is 0. */
INLINE T NAME(silu)(T x) {
    const T above = NAME(at_least)(x, -CONSTANT(EXP_END));
    const T lifted = NAME(lifted)(NAME(decay)(NAME(magnitude)(x)), 1);
    const T factor = x < 0 ? lifted : 1, unlift = x < 0 ? CONSTANT(UNLIFT) : 1;
    return factor * above / (1 + lifted * CONSTANT(UNLIFT)) * unlift;
}

/* silu'(-z) = e g / (1 + e)^2 with g = 1 + e - z, and silu'(z) = 1 - silu'(-z). Near its root z0 = 1 + exp(-z0), g is
   d SILU_NEAR(d) - d with d = z - z0, and -z0 times the rounding error of d. */
INLINE T NAME(silu_slope)(T x) {
    const T z = NAME(magnitude)(x);
    const NAME(exponential) exponential = NAME(decay)(z);
    const T e = NAME(lifted)(exponential, 1) * CONSTANT(UNLIFT);
    const T d = z - CONSTANT(SILU_ROOT_HIGH);
    const T near = (d * CONSTANT(SILU_NEAR)(d, d * d) + CONSTANT(SILU_ROOT_LOW) * CONSTANT(SILU_ROOT_HIGH)) - d;
    const T g = FABS(d) < CONSTANT(SILU_NEAR_END) ? near : (1 - z) + e;
    const T below = NAME(lifted)(exponential, g) / (1 + ((e + e) + e * e)) * CONSTANT(UNLIFT);
    return x < 0 ? below : 1 - below;
}

/* exp(-z^2 / 2), for z in [0, GELU_END]: z^2 / 2 in two parts, the first exact (as in fdlibm's erf). */
INLINE NAME(exponential) NAME(bell)(T z) {
    BITS bits;
    T high;
    memcpy(&bits, &z, sizeof bits);
    bits &= HIGH_HALF;
    memcpy(&high, &bits, sizeof bits);
    return NAME(exponential_of)((T)0.5 * (high * high), (T)0.5 * ((z - high) * (z + high)), CONSTANT(ROUNDING));
}

/* z / (z + GELU_SHIFT), of which functions of the normal distribution's tail are polynomials with few coefficients (as
   Shepherd and Laframboise 1981, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc(x) in 0 <= x < infinity"). */
INLINE T NAME(tail_variable)(T z) { return z / (z + CONSTANT(GELU_SHIFT)); }

/* With z = |x| and w = z Phi(-z): gelu(-z) = -w and gelu(z) = z - w. Phi(-z) is 1/2 - z CENTRAL(z^2), and
   TAIL(t) exp(-z^2 / 2) / (z + GELU_SHIFT), for t = v - GELU_CENTER. */
INLINE T NAME(gelu)(T x) {
    const T z = NAME(at_most)(FABS(x), CONSTANT(GELU_END));
    const T v = NAME(tail_variable)(z);
    const T t = v - CONSTANT(GELU_CENTER);
    const T tail = v * NAME(lifted)(NAME(bell)(z), CONSTANT(TAIL)(t)) * CONSTANT(UNLIFT);
    const T w = z < 1 ? z * ((T)0.5 - z * CONSTANT(CENTRAL)(z * z)) : tail;
    return x < 0 ? -w : x - w;
}

/* gelu'(-z) = (z0 - z) TAIL_SLOPE(t) exp(-z^2 / 2), where z0 is its root, and gelu'(z) = 1 - gelu'(-z). */
INLINE T NAME(gelu_slope)(T x) {
    const T z = NAME(at_most)(FABS(x), CONSTANT(GELU_END));
    const T t = NAME(tail_variable)(z) - CONSTANT(GELU_CENTER);
    const T d = (CONSTANT(GELU_ROOT_HIGH) - z) + CONSTANT(GELU_ROOT_LOW);
    const T below = NAME(lifted)(NAME(bell)(z), d * CONSTANT(TAIL_SLOPE)(t)) * CONSTANT(UNLIFT);
    return x < 0 ? below : 1 - below;
}
