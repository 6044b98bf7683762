"""The C library by itself, built as an embedding program would, against the oracle."""

import pathlib
import shutil
import subprocess
import sysconfig

import numpy as np
import oracle
import pytest

import simdrop
from simdrop._core import kernels

ROOT = pathlib.Path(__file__).parent.parent
CMAKE = shutil.which("cmake", path=sysconfig.get_path("scripts")) or shutil.which("cmake")


@pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")
def test_c_program_makes_the_same_mask_whole_and_in_parts(tmp_path):
    configure = [CMAKE, "-S", ROOT, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run(configure, check=True, capture_output=True)
    subprocess.run([CMAKE, "--build", tmp_path], check=True, capture_output=True)
    program = next(
        path for path in tmp_path.rglob("embed*") if path.stem == "embed" and path.is_file()
    )
    lines = subprocess.run(
        [program], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    dropped = np.flatnonzero(oracle.dropped(oracle.key_from_seed(0), 0, 0.1, 0, 100_003))
    expected = " ".join(map(str, dropped))
    assert lines[0] == f"simdrop {simdrop.__version__}"
    assert lines[1:] == [f"{isa} drops {expected}" for isa in kernels.instruction_sets()]
