"""Embedding the C library: examples/embed in an empty folder, on the installed package."""

import ctypes
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop._core import kernels

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "embed"
HEADER = (ROOT / "csrc" / "simdrop.h").read_text()
CMAKE = shutil.which("cmake", path=sysconfig.get_path("scripts")) or shutil.which("cmake")
PACKAGE = pathlib.Path(sd.get_include()).parent

needs_cmake = pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")
needs_compilers = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("c++")), reason="there is no compiler"
)
# A program without sanitizers cannot be linked with a library that has them.
unsanitized = pytest.mark.unsanitized


@pytest.fixture
def folder(tmp_path):
    """An empty folder but for copies of the examples."""
    return pathlib.Path(shutil.copytree(EXAMPLES, tmp_path / "embed"))


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(folder, prefix):
    run(CMAKE, "-S", ".", "-B", "build", f"-Dsimdrop_ROOT={prefix}", cwd=folder)
    run(CMAKE, "--build", "build", cwd=folder)
    return folder / "build"


def check_mask(printed, isas=None):
    """The output of mask.c, on a library with these instruction sets: the package's, or others."""
    lines = printed.splitlines()
    dropped = np.flatnonzero(oracle.dropped(oracle.key_from_seed(0), 0, 0.1, 0, 100_003))
    expected = " ".join(map(str, dropped))
    assert lines[0] == f"simdrop {sd.__version__}"
    assert lines[1:] == [f"{isa} drops {expected}" for isa in isas or kernels.instruction_sets()]


def check_layer(printed):
    """The output of layer.cpp."""
    expected, x = [], np.arange(1, 11)
    for draw in range(2):
        keep = ~oracle.dropped(oracle.key_from_seed(0), draw, 0.5, 0, 10)
        expected += [" ".join(["y", *map(str, 2 * x * keep)])]
        expected += [" ".join(["dx", *map(str, 2 * keep)])]
    assert printed.splitlines() == expected


@needs_cmake
@needs_compilers
@unsanitized
def test_cmake_finds_the_package(folder):
    build = built(folder, PACKAGE)
    check_mask(run(build / "mask", cwd=folder))
    check_layer(run(build / "layer", cwd=folder))


@needs_cmake
@needs_compilers
def test_cmake_builds_and_installs_the_library_without_python(folder, tmp_path):
    options = "-DCMAKE_BUILD_TYPE=Release", "-DSIMDROP_ISAS=portable"
    run(CMAKE, "-S", ROOT, "-B", "library", *options, cwd=tmp_path)
    run(CMAKE, "--build", "library", cwd=tmp_path)
    run(CMAKE, "--install", "library", "--prefix", tmp_path / "prefix", cwd=tmp_path)
    shutil.rmtree(tmp_path / "library")
    (tmp_path / "prefix").rename(tmp_path / "moved")  # it works wherever it is
    build = built(folder, tmp_path / "moved")
    check_mask(run(build / "mask", cwd=folder), ("portable",))
    check_layer(run(build / "layer", cwd=folder))


@needs_compilers
@unsanitized
@pytest.mark.parametrize("static", [False, True])
def test_a_compiler_needs_two_paths(folder, static):
    library = pathlib.Path(sd.get_library(static=static))
    run("cc", "mask.c", f"-I{sd.get_include()}", library, "-lm", "-o", "mask", cwd=folder)
    run("c++", "layer.cpp", f"-I{sd.get_include()}", library, "-o", "layer", cwd=folder)
    environment = {} if static else {"LD_LIBRARY_PATH": str(library.parent)}
    for program, check in (("mask", check_mask), ("layer", check_layer)):
        check(subprocess.check_output(folder / program, env=environment, text=True))


@needs_compilers
@unsanitized
@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not installed")
def test_pkg_config_finds_the_package(folder):
    file = pathlib.Path(sd.get_library()).parent / "pkgconfig" / "simdrop.pc"
    assert run("pkg-config", "--modversion", file, cwd=folder).strip() == sd.__version__
    options = run("pkg-config", "--cflags", "--libs", file, cwd=folder).split()
    libraries = pathlib.Path(sd.get_library()).parent
    run("cc", "mask.c", *options, f"-Wl,-rpath,{libraries}", "-o", "mask", cwd=folder)
    check_mask(run(folder / "mask", cwd=folder))


@needs_compilers
@unsanitized
def test_cython_module(folder):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=folder)
    code = """
import numpy as np
import simdrop as sd
from rows import dropped_sums
x = np.arange(7.0 * 33).reshape(7, 33)
mask = sd.Stream(1).mask(x.shape, 0.5)
assert (dropped_sums(x, mask) == mask.apply(x).sum(axis=1)).all()
assert dropped_sums(np.ones((2, 0)), sd.Stream(1).mask((2, 0))).tolist() == [0, 0]
try:
    dropped_sums(x.T.copy(), mask)
except ValueError as error:
    print(error)
"""
    printed = run(sys.executable, "-c", code, cwd=folder)
    assert printed == "the mask has shape (7, 33), but must have (33, 7)\n"


@needs_cmake
@needs_compilers
@unsanitized
def test_page(tmp_path):
    page = (ROOT / "docs/how-to/embedding.md").read_text()
    block = {
        language: re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
        for language in ("c", "sh", "cmake", "cython")
    }
    (tmp_path / "program.c").write_text(block["c"][0])
    rule = oracle.keep(bytes([42, *[0] * 15]), 0, 0.5, (8,))
    expected = " ".join(f"{2 * e:g}" for e in np.arange(1, 9) * rule) + " \n"
    folder = PACKAGE / "lib"
    environment = os.environ | {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]),
        "PKG_CONFIG_PATH": str(folder / "pkgconfig"),
        "LD_LIBRARY_PATH": str(folder),
    }
    for lines in block["sh"][: 2 if shutil.which("pkg-config") else 1]:
        subprocess.run(["sh", "-ec", lines], cwd=tmp_path, env=environment, check=True)
        printed = subprocess.check_output(tmp_path / "program", env=environment, text=True)
        assert printed == expected

    project = (
        "cmake_minimum_required(VERSION 3.21)\nproject(page C)\nadd_executable(program program.c)\n"
    )
    find, link = block["cmake"][0].splitlines()
    (tmp_path / "CMakeLists.txt").write_text(f"{project}{find}\n{link}\n")
    assert run(built(tmp_path, PACKAGE) / "program", cwd=tmp_path) == expected
    pytest.importorskip("Cython")
    (tmp_path / "page.pyx").write_text(block["cython"][0])
    run(sys.executable, "-m", "cython", "-3", "page.pyx", cwd=tmp_path)


def functions():
    """The names of the functions that simdrop.h declares."""
    return re.findall(r"^[a-z].*?\b(simdrop_\w+)\(", HEADER, re.MULTILINE)


def test_the_shared_library_exports_the_functions_of_the_header_and_no_tables():
    library = ctypes.CDLL(sd.get_library())
    assert len(functions()) == 28
    assert all(hasattr(library, name) for name in functions())
    for name in ("simdrop_kernels_portable", "simdrop_runs_portable", "simdrop_type_bytes"):
        assert not hasattr(library, name)


def test_cython_declares_what_the_header_does():
    declarations = (PACKAGE / "__init__.pxd").read_text()
    declared = re.findall(r"^    (?:const )?\w+ \*?(simdrop_\w+)\(", declarations, re.MULTILINE)
    assert sorted(declared) == sorted(functions())
    for struct in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", HEADER, re.DOTALL):
        body = re.sub(r"/\*.*?\*/", "", struct[0], flags=re.DOTALL)
        fields = re.findall(r"(\w+)(?:\[\w+\])?(?=[,;])", body)
        cython = re.search(rf"ctypedef struct {struct[1]}:\n((?:        .*\n)+)", declarations)[1]
        assert re.findall(r"(\w+)(?:\[\w+\])?$", cython, re.MULTILINE) == fields, struct[1]
    for enum in re.findall(r"typedef enum \w+ \{(.*?)\} (\w+);", HEADER, re.DOTALL):
        body = re.sub(r"/\*.*?\*/", "", enum[0], flags=re.DOTALL)
        cython = re.search(rf"ctypedef enum {enum[1]}:\n((?:        .*\n)+)", declarations)[1]
        assert cython.split() == re.findall(r"\w+", body), enum[1]


def test_the_package_has_the_header_of_its_library():
    header = pathlib.Path(sd.get_include(), "simdrop.h").read_text()
    version = re.search(r'^#define SIMDROP_VERSION "(.*?)"', header, re.MULTILINE)[1]
    assert version == sd.__version__ == importlib.metadata.version("simdrop")
    (found,) = importlib.metadata.entry_points(group="cmake.root", name="simdrop")
    assert found.value == "simdrop"


def test_a_build_without_the_library_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sd, "__path__", [str(tmp_path)])
    with pytest.raises(FileNotFoundError, match=r"this build of simdrop has no .*libsimdrop\.a"):
        sd.get_library(static=True)
    with pytest.raises(FileNotFoundError, match=r"this build of simdrop has no .*simdrop\.h"):
        sd.get_include()
