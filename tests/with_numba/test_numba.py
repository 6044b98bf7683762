"""`simdrop.BitGenerator` in functions that Numba compiles."""

import numba
import numpy as np

import simdrop as sd

N = 1000


@numba.njit
def drawn(rng, n):
    uniforms, numbers, normals = np.empty(n), np.empty(n, np.int64), np.empty(n)
    for i in range(n):
        uniforms[i] = rng.random()
        numbers[i] = rng.integers(0, 1000)
        normals[i] = rng.standard_normal()
    return uniforms, numbers, normals


def test_compiled_code_draws_what_python_does():
    rng, other = (np.random.Generator(sd.BitGenerator(3)) for _ in range(2))
    for compiled, python in zip(drawn(rng, N), drawn.py_func(other, N), strict=True):
        np.testing.assert_array_equal(compiled, python)
    np.testing.assert_array_equal(rng.random(10), other.random(10))  # by turns, too
    assert rng.bit_generator.state == other.bit_generator.state
