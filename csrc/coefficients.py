"""Computes the constants of activations.h and prints polynomials.h (needs mpmath, and half a minute).

Each polynomial is the best one of its degree in relative error, or with another weight (Remez's exchange algorithm).
"""

from mpmath import mp, mpf

mp.dps = 60

# -z from which on gelu and its derivative are 0, and sigmoid, silu and exp with any factor they have
GELU_END = {"f32": mpf("14.75"), "f64": mpf(39)}
EXP_END = {"f32": mpf(110), "f64": mpf(760)}
TANH_END = {"f32": mpf(20), "f64": mpf(40)}  # and where tanh(z / 2) is 1
SHIFTS = {"f32": mpf(3), "f64": mpf(5)}  # t = z / (z + shift) - CENTER
CENTER = mpf("0.46875")


def mills(z):
    """Phi(-z) exp(z^2 / 2), of Phi the standard normal distribution function."""
    return mp.erfc(z / mp.sqrt(2)) * mp.exp(z * z / 2) / 2


def density_at_zero():
    return 1 / mp.sqrt(2 * mp.pi)


def slope(z):
    """gelu'(-z) exp(z^2 / 2)."""
    return mills(z) - density_at_zero() * z


GELU_ROOT = mp.findroot(slope, mpf("0.75"))  # gelu'(-GELU_ROOT) = 0
SILU_ROOT = mp.findroot(lambda z: 1 + mp.exp(-z) - z, mpf("1.28"))  # silu'(-SILU_ROOT) = 0


def exponential_rest(r):
    """(exp(-r) - 1 + r) / r^2."""
    return mp.fsum((-r) ** k / mp.factorial(k + 2) for k in range(40))


def exponential_weight(r):
    """How much an error of exponential_rest counts: r^2 in exp, more in expm1 of a small r."""
    return r * r + mpf("0.01")


def z_of(t, shift):
    return shift * (t + CENTER) / (1 - CENTER - t)


def tail(t, shift):
    """mills(z) (z + shift)."""
    z = z_of(t, shift)
    return mills(z) * (z + shift)


def tail_slope(t, shift):
    """slope(z) / (GELU_ROOT - z)."""
    z = z_of(t, shift)
    if abs(z - GELU_ROOT) < mpf(10) ** -25:
        return -mp.diff(slope, GELU_ROOT)
    return slope(z) / (GELU_ROOT - z)


def central(square):
    """(1/2 - Phi(-z)) / z."""
    return density_at_zero() * mp.fsum((-square / 2) ** k / (mp.factorial(k) * (2 * k + 1)) for k in range(40))


def relative(f):
    return lambda x: 1 / f(x)


def minimax(f, low, high, degree, weight):
    """Coefficients, lowest first, and largest weighted error of the best polynomial for f on [low, high]."""
    middle, radius = (low + high) / 2, (high - low) / 2
    count = degree + 2
    points = [middle - radius * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    grid = [middle - radius * mp.cos(mp.pi * i / (24 * count)) for i in range(24 * count + 1)]
    values = [(f(x), weight(x)) for x in grid]
    for _ in range(12):
        rows = mp.matrix(count, count)
        right = mp.matrix(count, 1)
        for i, x in enumerate(points):
            for k in range(degree + 1):
                rows[i, k] = x**k * weight(x)
            rows[i, degree + 1] = (-1) ** i
            right[i] = f(x) * weight(x)
        solution = mp.lu_solve(rows, right)
        coefficients = [solution[k] for k in range(degree + 1)]
        errors = [
            (mp.polyval(coefficients[::-1], x) - y) * w for x, (y, w) in zip(grid, values, strict=True)
        ]
        worst = max(map(abs, errors))
        # The new points: the largest error between each two changes of sign.
        best, extremes = 0, []
        for i, error in enumerate(errors):
            if extremes and error * errors[best] < 0:
                extremes.append(i)
                best = i
            elif not extremes:
                extremes.append(i)
                best = i
            elif abs(error) > abs(errors[best]):
                extremes[-1] = best = i
        if len(extremes) != count or worst < abs(solution[degree + 1]) * mpf("1.01"):
            break
        points = [grid[i] for i in extremes]
    return coefficients, worst


def rounded(value, bits):
    """value to the nearest number of so many significant bits."""
    with mp.workprec(bits):
        return +value


def literal(value, suffix):
    single = suffix == "f32"
    digits = float(rounded(value, 24 if single else 53)).hex()
    mantissa, exponent = digits.split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}" + ("f" if single else "")


def print_constant(name, suffix, value):
    print(f"#define {name}_{suffix} {literal(value, suffix)}")


def print_in_two(name, suffix, value, bits):
    """value as a sum of two numbers, the first of so many bits."""
    print_constant(f"{name}_HIGH", suffix, rounded(value, bits))
    print_constant(f"{name}_LOW", suffix, value - rounded(value, bits))


def print_polynomial(name, suffix, f, low, high, degree, weight=None):
    coefficients, error = minimax(f, low, high, degree, weight or relative(f))
    text = literal(coefficients[-1], suffix)
    for c in coefficients[-2::-1]:
        text = f"({literal(c, suffix)} + (x) * {text})"
    print(f"/* error 2^{float(mp.log(error, 2)):.1f} */")
    print(f"#define {name}_{suffix}(x) {text}")


def main():
    print("/* Constants of activations.h, by coefficients.py, which says what each is. */")
    print("/* clang-format off */")
    for suffix, bits, exponent_bits in ("f32", 24, 8), ("f64", 53, 11):
        single = suffix == "f32"
        shift, end = SHIFTS[suffix], GELU_END[suffix]
        nearly_half = mp.log(2) / 2 * mpf("1.01")
        last = end / (end + shift) - CENTER
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
        print_constant("EXP_AT_SILU_ROOT", suffix, mp.exp(-SILU_ROOT))
        print_polynomial(
            "EXP_REST", suffix, exponential_rest, -nearly_half, nearly_half, 4 if single else 9, exponential_weight
        )
        print_polynomial("CENTRAL", suffix, central, mpf(0), mpf(1), 5 if single else 11)
        print_polynomial("TAIL", suffix, lambda t, s=shift: tail(t, s), -CENTER, last, 10 if single else 24)
        print_polynomial("TAIL_SLOPE", suffix, lambda t, s=shift: tail_slope(t, s), -CENTER, last, 9 if single else 22)
    print("\n/* clang-format on */")


if __name__ == "__main__":
    main()
