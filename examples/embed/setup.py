"""Build the Cython module: ``python setup.py build_ext --inplace``."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import simdrop

folder = str(Path(simdrop.get_library()).parent)
rows = Extension(
    "rows",
    ["rows.pyx"],
    include_dirs=[simdrop.get_include()],
    libraries=["simdrop"],
    library_dirs=[folder],
    runtime_library_dirs=[folder],
)
setup(name="rows", ext_modules=cythonize([rows]))
