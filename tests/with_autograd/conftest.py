"""Tests of `simdrop.autograd`, which need autograd (`make test-adapters` installs it)."""

from importlib.util import find_spec

# tests/test_adapters.py says so
collect_ignore_glob = [] if find_spec("autograd") else ["test_*.py"]
