"""Which adapters are tested here: each needs its framework."""

from importlib.util import find_spec

import pytest


@pytest.mark.parametrize(
    "framework", ["autograd", "dask", "distributed", "flax", "jax", "mpi4py", "numba", "torch"]
)
def test_framework_is_installed(framework):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed, so its adapter is not tested")
