"""`import simdrop`: its submodules are there when they are used, and cost nothing before."""

import sys
from importlib.metadata import version

import pytest

import simdrop as sd

SUBMODULES = ("fused", "nn", "sklearn", "submatrix")


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_is_imported_when_it_is_used(run_python, name):
    code = f"""
import sys, simdrop as sd
assert "simdrop.{name}" not in sys.modules
assert "{name}" in dir(sd)
module = sd.{name}
assert module is sys.modules["simdrop.{name}"] and sd.{name} is module
print(module.__name__)
"""
    result = run_python(code)
    assert (result.stdout, result.stderr) == (f"simdrop.{name}\n", "")


def test_import_star_needs_no_extra(run_python):
    code = """
import sys
sys.modules["sklearn"] = None  # not installed
from simdrop import *
assert "simdrop.sklearn" not in sys.modules and "simdrop.nn" not in sys.modules
print(dropout.__name__)
"""
    assert run_python(code).stdout == "dropout\n"


FRAMEWORKS = {"autograd": "autograd", "dask": "Dask", "jax": "JAX", "mpi": "mpi4py"}
FRAMEWORKS |= {"sklearn": "scikit-learn", "torch": "PyTorch"}


@pytest.mark.parametrize(("name", "needed"), FRAMEWORKS.items())
def test_without_its_framework_the_extra_is_named(run_python, name, needed):
    package = {"mpi": "mpi4py"}.get(name, name)
    code = f"""
import sys, simdrop as sd
sys.modules["{package}"] = None  # not installed
for use in (lambda: sd.{name}, lambda: __import__("simdrop.{name}")):
    try:
        use()
    except ImportError as error:
        print(error)
"""
    line = f"simdrop.{name} needs {needed}: pip install 'simdrop[{name}]'\n"
    assert run_python(code).stdout == 2 * line


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'simdrop' has no attribute 'dropuot'"):
        sd.dropuot  # noqa: B018
    assert not hasattr(sd, "torch_")
    assert {*sd.__all__, *SUBMODULES, *FRAMEWORKS} <= set(dir(sd))


def test_all_names_are_there():
    assert all(getattr(sd, name) is not None for name in sd.__all__)
    assert sys.modules["simdrop"] is sd


def test_the_version_is_that_of_the_package():
    assert sd.__version__ == version("simdrop")


def test_no_module_imports_one_above_it(run_python):
    """Each compiled module can be the first that is imported."""
    modules = "named seedsequence kernels draw task apply stored mask stream dropout".split()
    modules += "elements gaussian alpha fused submatrix".split()
    for module in modules:
        code = f"""
import sys, types
package = types.ModuleType("simdrop")
package.__path__ = [{sd.__path__[0]!r}]
sys.modules["simdrop"] = package  # without what simdrop/__init__.py imports
import simdrop._core.{module}
print(*[name[14:] for name in sys.modules if name.startswith("simdrop._core.")])
"""
        result = run_python(code)
        assert result.stderr == ""
        loaded = result.stdout.split()
        assert module in loaded
        later = modules[modules.index(module) + 1 :]
        assert not set(loaded) & set(later), (module, loaded)
