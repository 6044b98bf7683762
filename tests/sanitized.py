"""Run the tests on a simdrop that is built with AddressSanitizer and UndefinedBehaviorSanitizer.

All of them run with the best instruction set; then those of the kernels that do not try each
instruction set anyway, with each of the others. `make sanitize` builds what it needs. Arguments
are pytest's, in place of the files of both rounds."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

TESTS = pathlib.Path(__file__).parent
# What the kernels do; the rest of the suite is Python on top.
CORE = ["core/test_apply.py", "core/test_backward_strides.py", "core/test_decisions.py"]
CORE += ["core/test_dropout.py", "core/test_dtypes.py", "core/test_layouts.py"]
CORE += ["core/test_mask.py", "core/test_nan.py", "core/test_out.py", "core/test_p_arrays.py"]
CORE += ["core/test_stored.py", "core/test_windows.py", "transforms/test_fused.py"]
CORE += ["transforms/test_noise.py", "transforms/test_structured.py"]
CORE += ["transforms/test_submatrix.py"]
OPTIONS = [
    "-s",  # else pytest keeps what UndefinedBehaviorSanitizer says
    *("-p", "no:faulthandler"),  # a segmentation fault is AddressSanitizer's to report
    *("-m", "not exhaustive and not emulated and not unsanitized"),
    *("--numprocesses", "auto", "--maxprocesses", "4"),
]
ENVIRONMENT = {
    # The C code allocates nothing, so it leaks nothing, and CPython leaves objects behind at exit.
    # What is too large for any memory is MemoryError, as without sanitizers.
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "PYTHONMALLOC": "malloc",  # CPython's own allocator hides where small objects end
}


def libraries():
    """The names of the shared libraries that the compiled part of simdrop is linked with."""
    package = importlib.util.find_spec("simdrop").submodule_search_locations[0]
    extension = next(pathlib.Path(package).glob("_core/kernels.*.so"))
    linked = subprocess.run(["ldd", extension], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^\s*(\S+) =>", linked, re.MULTILINE)


def environment():
    """Such that this Python can load a library with sanitizers; child processes inherit it."""
    runtime = [name for name in libraries() if name.startswith(("libasan", "libclang_rt.asan"))]
    if not runtime:
        sys.exit("this simdrop is built without sanitizers: `make sanitize` builds one with them")
    # AddressSanitizer must come first and find C++'s exceptions, which other packages throw.
    return os.environ | ENVIRONMENT | {"LD_PRELOAD": f"{runtime[0]} libstdc++.so.6"}


def pytest(*arguments, **more):
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    code = subprocess.run(command, env=environment() | more).returncode
    if code:
        sys.exit(code)


def main(arguments):
    script = "from simdrop._core.kernels import instruction_sets; print(*instruction_sets())"
    listed = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True
    )
    if listed.returncode:
        sys.exit(listed.stderr)
    instruction_sets = listed.stdout.split()
    pytest(*(arguments or [TESTS]))
    files = arguments or [TESTS / name for name in CORE]
    for name in instruction_sets[1:]:  # the first was in use
        print(f"\nWith {name} alone:", flush=True)
        pytest("-k", f"not ({' or '.join(instruction_sets)})", *files, SIMDROP_ISA=name)


if __name__ == "__main__":
    main(sys.argv[1:])
