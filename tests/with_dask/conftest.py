"""Tests of `simdrop.dask`, which need Dask (`make test-adapters` installs it)."""

from importlib.util import find_spec

# tests/test_adapters.py says so
collect_ignore_glob = [] if find_spec("dask") and find_spec("distributed") else ["test_*.py"]
