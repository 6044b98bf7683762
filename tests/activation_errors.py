"""The errors of fused activations and their derivatives, in units in the last place."""

import ctypes
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from simdrop import fused

TRANSCENDENTAL = ["gelu", "tanh", "sigmoid", "silu"]


def function_and_derivative(activation, x):
    """By the kernels: nothing is dropped, and adding -0 changes nothing."""
    y, ctx = fused.bias_dropout(x, np.full(x.shape[-1:], -0.0, x.dtype), 0, activation=activation)
    return y, ctx.backward(np.ones_like(x))[0]


@pytest.fixture(scope="session")
def largest_error(tmp_path_factory):
    """activations.c: the largest error of float32 results, and where it is."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("activations") / "activations.so"
    source = pathlib.Path(__file__).with_name("activations.c")
    command = [compiler, "-O2", "-shared", "-fPIC", source, "-o", library, "-lm"]
    subprocess.run(command, check=True)
    function = ctypes.CDLL(library).largest_error
    function.restype = ctypes.c_double

    def error(name, x, y):
        where = ctypes.c_float()
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
        size = ctypes.c_size_t(x.size)
        return function(name.encode(), size, *pointers, ctypes.byref(where)), where.value

    return error


def check_floats(activation, largest_error, step):
    """Every `step`-th float32, from another one on in each block."""
    block = 1 << 20
    for i, first in enumerate(range(0, 1 << 32, block * step)):
        pattern = np.arange(first + i % step, first + block * step, step, np.uint64)
        x = pattern.astype(np.uint32).view(np.float32).reshape(1024, 1024)
        for name, values in zip(
            (activation, f"{activation}_slope"), function_and_derivative(activation, x), strict=True
        ):
            error, where = largest_error(name, x, values)
            assert error <= 4, f"{name}({where}) is {error} units wrong"
