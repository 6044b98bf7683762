"""Tests of `simdrop.torch`, which need PyTorch (`make test-adapters` installs it)."""

import pytest

collect_ignore_glob = []

try:
    import torch
except ModuleNotFoundError:
    collect_ignore_glob = ["test_*.py"]  # tests/test_adapters.py says so
else:

    @pytest.fixture(autouse=True)
    def seeded():
        """Each test begins with the same seed."""
        torch.manual_seed(0)
