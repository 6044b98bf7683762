"""The constants of templates/activations.h and parts/normals.h: prints polynomials.h. Needs mpmath,
and half a minute.

Each polynomial is the best one of its degree, in relative error or with another weight, by Remez's
exchange algorithm.
"""

from mpmath import mp, mpf

mp.dps = 60

# With any factor that it has in activations.h, exp(-z) is 0 from EXP_END on, gelu(-z) and its
# derivative are 0 from GELU_END on, and tanh(z / 2) is 1 from TANH_END on.
EXP_END = {"f32": mpf(110), "f64": mpf(760)}
GELU_END = {"f32": mpf("14.75"), "f64": mpf(39)}
TANH_END = {"f32": mpf(20), "f64": mpf(40)}

# From here on, 1 + exp(-z) - z of z = SILU_ROOT + d loses few bits.
SILU_NEAR_END = mpf("0.1875")

# t = z / (z + shift) - CENTER: chosen for small degrees and little rounding.
SHIFT = {"f32": mpf(3), "f64": mpf(5)}
CENTER = mpf("0.46875")

DEGREES = {
    "f32": {
        "EXP_REST": 4,
        "SILU_NEAR": 4,
        "CENTRAL": 5,
        "TAIL": 10,
        "TAIL_SLOPE": 9,
        "MINUS_TWO_LOG": 9,
        "NORMAL_TAIL": 7,
    },
    "f64": {"EXP_REST": 9, "SILU_NEAR": 9, "CENTRAL": 11, "TAIL": 24, "TAIL_SLOPE": 22},
}
NORMAL_DEGREE, NORMAL_PIECES = 6, 16
DENSITY_AT_ZERO = 1 / mp.sqrt(2 * mp.pi)


def mills(z):
    """Phi(-z) exp(z^2 / 2), of Phi the standard normal distribution function."""
    return mp.erfc(z / mp.sqrt(2)) * mp.exp(z * z / 2) / 2


def slope(z):
    """gelu'(-z) exp(z^2 / 2)."""
    return mills(z) - DENSITY_AT_ZERO * z


GELU_ROOT = mp.findroot(slope, mpf("0.75"))  # gelu'(-GELU_ROOT) = 0
SILU_ROOT = mp.findroot(lambda z: 1 + mp.exp(-z) - z, mpf("1.28"))  # silu'(-SILU_ROOT) = 0


def silu_near(d):
    """(1 + exp(-z) - z) / d + 1, of z = SILU_ROOT + d."""
    return mp.exp(-SILU_ROOT) * (exp_rest(d) * d - 1)


def exp_rest(r):
    """(exp(-r) - 1 + r) / r^2."""
    return mp.fsum((-r) ** k / mp.factorial(k + 2) for k in range(40))


def exp_weight(r):
    """How much an error of exp_rest counts: r^2 in exp, more in expm1 of a small r."""
    return r * r + mpf("0.01")


def central(square):
    """(1/2 - Phi(-z)) / z, of z^2."""
    terms = ((-square / 2) ** k / (mp.factorial(k) * (2 * k + 1)) for k in range(40))
    return DENSITY_AT_ZERO * mp.fsum(terms)


def tail(z, shift):
    """mills(z) (z + shift)."""
    return mills(z) * (z + shift)


def tail_slope(z):
    """slope(z) / (GELU_ROOT - z)."""
    if abs(z - GELU_ROOT) < mpf(10) ** -25:
        return -mp.diff(slope, GELU_ROOT)
    return slope(z) / (GELU_ROOT - z)


def minimax(f, low, high, degree, weight):
    """Coefficients, lowest first, and largest weighted error of the best polynomial for f."""
    middle, radius = (low + high) / 2, (high - low) / 2
    count = degree + 2
    points = [middle - radius * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    grid = [middle - radius * mp.cos(mp.pi * i / (24 * count)) for i in range(24 * count + 1)]
    values = [(x, f(x), weight(x)) for x in grid]
    for _ in range(12):
        # The polynomial whose weighted errors at the points are equal, with alternating signs.
        rows, right = mp.matrix(count, count), mp.matrix(count, 1)
        for i, x in enumerate(points):
            for k in range(degree + 1):
                rows[i, k] = x**k * weight(x)
            rows[i, degree + 1] = (-1) ** i
            right[i] = f(x) * weight(x)
        *coefficients, levelled = mp.lu_solve(rows, right)
        errors = [(mp.polyval(coefficients[::-1], x) - y) * w for x, y, w in values]
        worst = max(map(abs, errors))
        # The next points: where the error is largest between two changes of its sign.
        extremes = [0]
        for i, error in enumerate(errors):
            if error * errors[extremes[-1]] < 0:
                extremes.append(i)
            elif abs(error) > abs(errors[extremes[-1]]):
                extremes[-1] = i
        if len(extremes) != count or worst < abs(levelled) * mpf("1.01"):
            break
        points = [grid[i] for i in extremes]
    return coefficients, worst


def rounded(value, bits):
    """value to the nearest number of so many significant bits."""
    with mp.workprec(bits):
        return +value


def literal(value, suffix):
    single = suffix == "f32"
    mantissa, exponent = float(rounded(value, 24 if single else 53)).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" + ("f" if single else "")


def print_constant(name, suffix, value):
    print(f"#define {name}_{suffix} {literal(value, suffix)}")


def print_in_two(name, suffix, value, bits):
    """value as a sum of two numbers, the first of so many bits."""
    print_constant(f"{name}_HIGH", suffix, rounded(value, bits))
    print_constant(f"{name}_LOW", suffix, value - rounded(value, bits))


def horner(coefficients, suffix, x):
    text = literal(coefficients[-1], suffix)
    for c in coefficients[-2::-1]:
        text = f"({literal(c, suffix)} + ({x}) * {text})"
    return text


def print_polynomial(name, suffix, f, low, high, weight=None, in_halves=False):
    """In halves, as a function of x and its square: even and odd powers are two shorter chains."""
    degree = DEGREES[suffix][name]
    coefficients, error = minimax(f, low, high, degree, weight or (lambda x: 1 / f(x)))
    print(f"/* error 2^{float(mp.log(error, 2)):.1f} */")
    if in_halves:
        even, odd = (horner(coefficients[i::2], suffix, "q") for i in range(2))
        print(f"#define {name}_{suffix}(x, q) ({even} + (x) * {odd})")
    else:
        print(f"#define {name}_{suffix}(x) {horner(coefficients, suffix, 'x')}")


def print_all(suffix, bits, exponent_bits):
    shift, end = SHIFT[suffix], GELU_END[suffix]

    def z_of(t):
        return shift * (t + CENTER) / (1 - CENTER - t)

    half = mp.log(2) / 2 * mpf("1.01")
    first, last = -CENTER, end / (end + shift) - CENTER
    print()
    print_constant("LOG2_E", suffix, 1 / mp.log(2))
    print_in_two("LN_2", suffix, mp.log(2), bits - exponent_bits)  # times an exponent is exact
    print_constant("EXP_END", suffix, EXP_END[suffix])
    print_constant("TANH_END", suffix, TANH_END[suffix])
    print_constant("GELU_END", suffix, end)
    print_constant("GELU_SHIFT", suffix, shift)
    print_constant("GELU_CENTER", suffix, CENTER)
    print_in_two("GELU_ROOT", suffix, GELU_ROOT, bits)
    print_in_two("SILU_ROOT", suffix, SILU_ROOT, bits)
    print_constant("SILU_NEAR_END", suffix, SILU_NEAR_END)
    print_polynomial("EXP_REST", suffix, exp_rest, -half, half, exp_weight, in_halves=True)
    print_polynomial("SILU_NEAR", suffix, silu_near, -SILU_NEAR_END, SILU_NEAR_END, in_halves=True)
    print_polynomial("CENTRAL", suffix, central, mpf(0), mpf(1))
    print_polynomial("TAIL", suffix, lambda t: tail(z_of(t), shift), first, last)
    print_polynomial("TAIL_SLOPE", suffix, lambda t: tail_slope(z_of(t)), first, last)


def tail_end(probability):
    """The z beyond which a standard normal number is with this probability, below 1/2."""
    log = mp.log(probability)
    start = mp.sqrt(2) * mp.erfinv(1 - 2 * max(probability, mpf("1e-9")))
    z = max(start, mp.sqrt(-2 * log) - 1)
    return mp.findroot(lambda z: mp.log(mp.erfc(z / mp.sqrt(2)) / 2) - log, z)


def normal_columns():
    """Of NORMAL: the inverse of the normal distribution function, in pieces.

    z is for the probability f / 2^32 of more than z, for f in [2^e, 2^(e+1)) and e from 16 to 30;
    it is a polynomial of t = f / 2^e - 3/2. Column k has the coefficients of t^k, each at the place
    that is the last four bits of the exponent as IEEE 754 has it. f = 2^31 is probability 1/2, or
    z = 0.
    """
    columns = [[mpf(0)] * NORMAL_PIECES for _ in range(NORMAL_DEGREE + 1)]
    half, worst = mpf(1) / 2, mpf(0)
    for e in range(16, 31):

        def piece(t, e=e):
            return tail_end(mpf(2) ** (e - 32) * (t + 3 * half))

        coefficients, error = minimax(piece, -half, half, NORMAL_DEGREE, lambda t: mpf(1))
        worst = max(worst, error)
        for column, c in zip(columns, coefficients, strict=True):
            column[(e + 127) % NORMAL_PIECES] = c
    return columns, worst


def print_normals():
    """Of normal numbers: pieces of the inverse distribution function, and, where probabilities are
    below 2^-16, the logarithm that leads to r = sqrt(-2 log U), and z of r."""
    half = mpf(1) / 2

    def minus_two_log1p(t):
        """-2 log(1 + t) / t."""
        return -2 * mp.fsum((-t) ** k / (k + 1) for k in range(200))

    print()
    print(f"#define NORMAL_DEGREE {NORMAL_DEGREE}")
    print(f"#define NORMAL_PIECES {NORMAL_PIECES}")
    columns, error = normal_columns()
    print(f"/* error {float(error):.1e} */")
    rows = (", ".join(literal(c, "f32") for c in column) for column in columns)
    print("#define NORMAL_COLUMNS_f32 {" + ", ".join(f"{{{row}}}" for row in rows) + "}")
    print_constant("MINUS_TWO_LN_2", "f32", -2 * mp.log(2))
    print_polynomial("MINUS_TWO_LOG", "f32", minus_two_log1p, -half, mpf(0), in_halves=True)
    print_constant("RADIUS_CENTER", "f32", mpf(7))
    first, last = (mp.sqrt(2 * bits * mp.log(2)) - 7 for bits in (16, 64))
    print_polynomial(
        "NORMAL_TAIL", "f32", lambda s: tail_end(mp.exp(-((s + 7) ** 2) / 2)), first, last
    )


if __name__ == "__main__":
    files = "activations.h and normals.h"
    print(f"/* Constants of {files}, by coefficients.py, which says what each is. */")
    print("/* clang-format off */")
    print_all("f32", 24, 8)
    print_all("f64", 53, 11)
    print_normals()
    print("\n/* clang-format on */")
