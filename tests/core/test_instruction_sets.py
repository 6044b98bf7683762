"""Which instruction set is used, and how to force one."""

import os
import re

import pytest

import simdrop as sd
from simdrop._core import kernels


def test_instruction_sets_of_this_cpu():
    names = kernels.instruction_sets()
    assert isinstance(names, tuple) and len(set(names)) == len(names)
    assert set(names) <= {"portable", "aesni", "vaes256", "vaes512", "neon"}
    assert "portable" in names
    if "SIMDROP_ISA" not in os.environ:
        assert kernels.instruction_set() in names


def test_use_instruction_set(instruction_set):
    assert kernels.instruction_set() == instruction_set
    unsupported = {"aesni", "vaes256", "vaes512", "neon"} - set(kernels.instruction_sets())
    cut = (f"{instruction_set}\0x", "portable\0", "\0")  # C's strings end at the NUL
    for bad in ("nonesuch", "", "PORTABLE", "\udcff", b"portable", 5, *cut, *unsupported):
        with pytest.raises(ValueError, match=re.escape(f"instruction set {bad!r} is not avail")):
            kernels.use_instruction_set(bad)
        assert kernels.instruction_set() == instruction_set


def test_show_config_names_the_instruction_set(instruction_set, capsys):
    sd.show_config()
    assert instruction_set in capsys.readouterr().out


def test_environment_forces_an_instruction_set(instruction_set, run_python):
    run = run_python(
        "from simdrop._core.kernels import instruction_set; print(instruction_set())",
        SIMDROP_ISA=instruction_set,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == instruction_set


@pytest.mark.parametrize("name", ["nonesuch", "avx9000", "vaes128", "vaes512"])
def test_environment_with_an_impossible_instruction_set(name, run_python):
    if name in kernels.instruction_sets():
        pytest.skip(f"this CPU can run {name}")
    run = run_python("import simdrop; print('imported')", SIMDROP_ISA=name)
    assert run.returncode != 0 and "imported" not in run.stdout
    last_line = run.stderr.strip().splitlines()[-1]
    assert last_line.startswith(f"ValueError: SIMDROP_ISA: instruction set '{name}' is not avail")
    assert last_line.endswith(", ".join(kernels.instruction_sets()))
