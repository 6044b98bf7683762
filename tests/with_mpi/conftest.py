"""Tests of `simdrop.mpi` and of `simdrop train --distributed mpi`, in jobs of mpiexec."""

from importlib.util import find_spec

from jobs import MPIEXEC

# tests/test_adapters.py says so
collect_ignore_glob = [] if find_spec("mpi4py") and MPIEXEC else ["test_*.py"]
