"""Tests of `simdrop.BitGenerator` in compiled code (`make test-adapters` installs Numba)."""

from importlib.util import find_spec

# tests/test_adapters.py says so
collect_ignore_glob = [] if find_spec("numba") else ["test_*.py"]
