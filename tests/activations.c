/* Activations and their derivatives in double from the C library's exp, tanh and erfc, for test_fused.py: the largest
   error of float results in units in the last place. long double where a derivative is close to its root. */
#include <math.h>
#include <stddef.h>
#include <string.h>

static const double inverse_root = 0x1.6a09e667f3bcdp-1;    /* 1 / sqrt(2) */
static const double density_at_zero = 0x1.9884533d43651p-2; /* 1 / sqrt(2 pi) */
static const long double silu_root = 1.27846454276107379510935873902L;
static const long double gelu_root = 0.751791524693564457457904947216L;

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

static double sigmoid_slope(double x) {
    const double e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}

static double tanh_slope(double x) { return 4 * sigmoid_slope(2 * x); }

static double silu(double x) { return x == -INFINITY ? 0 : x * sigmoid(x); }

static double silu_slope(double x) {
    const double z = fabs(x), e = exp(-z);
    double below = z == INFINITY ? 0 : e * (1 + e - z) / ((1 + e) * (1 + e));
    if (fabsl(z - silu_root) < 1e-3L) {
        const long double exact = expl(-(long double)z);
        below = (double)(exact * (1 + exact - z) / ((1 + exact) * (1 + exact)));
    }
    return x < 0 ? below : 1 - below;
}

static double gelu(double x) { return x == -INFINITY ? 0 : x * 0.5 * erfc(-x * inverse_root); }

static double gelu_slope(double x) {
    const double z = fabs(x);
    double below = z == INFINITY ? 0 : 0.5 * erfc(z * inverse_root) - density_at_zero * z * exp(-0.5 * z * z);
    if (fabsl(z - gelu_root) < 1e-3L) {
        const long double root = 0.707106781186547524400844362105L, density = 0.398942280401432677939946059934L;
        below = (double)(0.5L * erfcl(z * root) - density * z * expl(-0.5L * z * z));
    }
    return x < 0 ? below : 1 - below;
}

static const struct {
    const char *name;
    double (*exact)(double);
} functions[] = {
    {"tanh", tanh}, {"tanh_slope", tanh_slope}, {"sigmoid", sigmoid}, {"sigmoid_slope", sigmoid_slope},
    {"silu", silu}, {"silu_slope", silu_slope}, {"gelu", gelu},       {"gelu_slope", gelu_slope},
};

/* The largest difference of y from the function `name` of x, in units in the last place, and the x that has it in
   worst_x. INFINITY if one is NaN and the other is not, or if they have different signs. */
double largest_error(const char *name, size_t n, const float *x, const float *y, float *worst_x) {
    double (*exact)(double) = NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            exact = functions[i].exact;
        }
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double value = exact(x[i]);
        double error = INFINITY;
        if (isnan(value) || isnan(y[i])) {
            error = isnan(value) && isnan(y[i]) ? 0 : INFINITY;
        } else if (isinf(value) || isinf(y[i])) {
            error = value == y[i] ? 0 : INFINITY;
        } else if (!(value < 0 && y[i] > 0) && !(value > 0 && y[i] < 0)) {
            const int exponent = value == 0 || ilogb(value) < -126 ? -126 : ilogb(value);
            error = ldexp(fabs(y[i] - value), 23 - exponent);
        }
        if (error > worst) {
            worst = error;
            *worst_x = x[i];
        }
    }
    return worst;
}
