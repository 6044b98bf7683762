"""Tests of `simdrop.jax`, which need JAX and Flax (`make test-adapters` installs them)."""

from importlib.util import find_spec

import pytest

collect_ignore_glob = []

if not (find_spec("jax") and find_spec("flax")):
    collect_ignore_glob = ["test_*.py"]  # tests/test_adapters.py says so
else:
    import jax

    jax.config.update("jax_num_cpu_devices", 2)  # before anything is computed

    @pytest.fixture(params=["extension", "jax.numpy"], scope="module")
    def way(request):
        """Run the test once with each way of computing; the extension may not be built."""
        from simdrop.jax import _extension, _primitive

        if request.param == "extension":
            if not _extension.is_registered():
                pytest.skip("this build has no extension for JAX")
            yield request.param
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_primitive, "is_registered", lambda: False)
            jax.clear_caches()
            yield request.param
        jax.clear_caches()
