"""The C library on other machines, emulated: ARM with NEON, and one that is big-endian. A C program
(check.c) compares what it computes there with the oracle's results; here, too, so that it is known
to be good."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import machines
import pytest
import vectors

from simdrop._core import kernels

HERE = Path(__file__).parent
CMAKE = shutil.which("cmake", path=sysconfig.get_path("scripts")) or shutil.which("cmake")

pytestmark = pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")


def build(directory, *options):
    """Compile check.c and the library; gives the program."""
    configure = [CMAKE, "-S", HERE, "-B", directory, "-DCMAKE_BUILD_TYPE=Release", *options]
    for command in (configure, [CMAKE, "--build", directory, "--config", "Release"]):
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
    return next(
        path for path in directory.rglob("check*") if path.stem == "check" and path.is_file()
    )


def check(file, *program):
    return subprocess.run([*program, file], capture_output=True, text=True)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The program for this machine."""
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """All cases."""
    file = tmp_path_factory.mktemp("vectors") / "cases"
    with file.open("wb") as out:
        out.writelines(vectors.cases())
    return file


def expected_lines(instruction_sets):
    """What the program prints at the end of each instruction set, unless it finds a difference."""
    count = sum(1 for _ in vectors.cases())
    return [f"{name}: {count} cases" for name in instruction_sets]


def test_this_machine(native, file):
    run = check(file, native)
    assert run.returncode == 0, run.stdout
    assert run.stdout.splitlines() == expected_lines(kernels.instruction_sets())


@pytest.mark.emulated
@pytest.mark.parametrize("machine", machines.MACHINES, ids=lambda machine: machine.processor)
def test_other_machines(machine, file, tmp_path):
    if not (machine.compiler and machine.emulator):
        pytest.skip(f"no cross compiler or no QEMU (Debian: {machines.NEEDED})")
    program = build(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={machine.processor}",
        f"-DCMAKE_C_COMPILER={machine.compiler}",
        "-DCMAKE_EXE_LINKER_FLAGS=-static",
    )
    run = check(file, machine.emulator, program)
    assert run.returncode == 0, run.stdout
    assert run.stdout.splitlines() == expected_lines(machine.instruction_sets)


@pytest.mark.parametrize(
    "cases",
    [
        vectors.keystream_cases,
        vectors.mask_cases,
        vectors.block_cases,
        vectors.apply_cases,
        vectors.array_cases,
        vectors.stored_cases,
        vectors.fused_cases,
        vectors.noise_cases,
    ],
)
def test_the_program_finds_a_difference(native, tmp_path, cases):
    """One wrong bit in what a case expects, which is what it ends with."""
    file = tmp_path / "case"
    case = max(cases(), key=len)
    file.write_bytes(case)
    assert check(file, native).returncode == 0
    file.write_bytes(case[:-1] + bytes([case[-1] ^ 0x80]))
    run = check(file, native)
    assert run.returncode == 1
    assert run.stdout.startswith(kernels.instruction_sets()[0]) and "byte" in run.stdout
    file.write_bytes(case[:-1])
    assert check(file, native).returncode == 1
