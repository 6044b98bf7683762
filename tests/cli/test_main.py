"""The command line: help, and the one line and exit code of whatever ends a command early."""

import importlib.metadata
import os
import signal
import sys
from pathlib import Path

import pytest
from command import (
    ONE_THREAD,
    PNG_SIGNATURE,
    QUICK,
    START,
    finish,
    in_terminal,
    one_error_line,
    start,
)

import simdrop
from simdrop._core import kernels
from simdrop.cli import loop, train
from simdrop.cli.main import main
from simdrop.config import config

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"simdrop {simdrop.__version__}\n"


def test_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "train a net without and with dropout" in out and "  simdrop info " in out
    assert main(["train", "--help"]) == 0
    assert "simdrop train --data mnist.npz --epochs 10" in capsys.readouterr().out


def test_info_is_show_config(capsys):
    simdrop.show_config()
    wanted = capsys.readouterr().out
    assert main(["info"]) == 0
    assert capsys.readouterr().out == wanted != ""


def test_info_imports_nothing_of_the_training():
    code = """
import sys
from simdrop.cli.main import main
assert main(["info"]) == 0
for name in ("matplotlib", "rich", "sklearn", "simdrop.nn", "simdrop.cli.loop"):
    assert name not in sys.modules, name
"""
    code, _, err = finish(start(code=code))
    assert (code, err) == (0, "")


@pytest.mark.parametrize("words", [("info",), ("train", "--epochs", "1"), ("--help",)])
def test_an_instruction_set_that_is_not_there(words):
    code, out, err = finish(start(*words, env={"SIMDROP_ISA": "nonesuch"}))
    here = ", ".join(kernels.instruction_sets())
    wanted = "ValueError: SIMDROP_ISA: instruction set 'nonesuch' is not available; "
    wanted += f"this CPU and build have {here}"
    assert (code, out, err.splitlines()[-1]) == (1, "", wanted)


def test_an_instruction_set_that_is_there():
    code, out, err = finish(start("info", env={"SIMDROP_ISA": "portable"}))
    assert (code, err) == (0, "") and "portable" in out.split("chosen:")[1].splitlines()[0]


def test_the_program_is_installed():
    (program,) = importlib.metadata.entry_points(group="console_scripts", name="simdrop")
    assert program.value == "simdrop.cli.main:main"
    assert program.load() is main


@pytest.mark.parametrize("given", ["many", "0", "-2"])
@pytest.mark.parametrize("command", ["info", "train"])
def test_threads_that_are_no_number(command, given, monkeypatch, capsys):
    monkeypatch.setenv("SIMDROP_NUM_THREADS", given)
    assert main([command]) == 2
    wanted = f"SIMDROP_NUM_THREADS must be a positive integer, not {given!r}"
    assert one_error_line(capsys, silent=True) == wanted


def test_info_in_a_narrow_terminal(monkeypatch):
    """Its lines are broken between words."""
    for name, value in ONE_THREAD.items():  # as in the terminal: `info` prints the threads
        monkeypatch.setenv(name, value)
    words = [word for line in config().items() for word in " ".join(line).split()]
    for columns in (20, 40, 60, 80, 120):
        code, seen, err = in_terminal("info", columns=columns)
        assert (code, err) == (0, "")
        assert max(map(len, seen.splitlines())) <= max(columns, max(map(len, words)))
        assert " ".join(seen.split()).replace(":", "") == " ".join(words).replace(":", "")


@pytest.mark.parametrize(
    "module, package", [("matplotlib", "matplotlib"), ("rich", "rich"), ("sklearn", "scikit-learn")]
)
def test_missing_package(module, package, folder):
    code = f"import sys\nsys.modules[{module!r}] = None\n" + START
    code, out, err = finish(start("train", "--epochs", "1", code=code))
    assert (code, out) == (2, "")
    assert err == f'simdrop: error: this command needs {package}: pip install "simdrop[train]"\n'
    assert list(folder.iterdir()) == []


def test_data_of_ones_own_does_not_need_scikit_learn(small):
    code = "import sys\nsys.modules['sklearn'] = None\n" + START
    code, _, err = finish(start("train", "--data", small, *QUICK, code=code))
    assert (code, err) == (0, "")


def test_module_that_is_missing_for_another_reason_is_not_hidden(small, monkeypatch):
    def run(chosen, team):
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr(train, "run", run)
    with pytest.raises(ModuleNotFoundError, match="other"):
        main(["train", "--data", small])


def test_ranks_without_mpi4py(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "simdrop.mpi", raising=False)
    for words in (["--distributed", "mpi"], ["--distributed=mpi", "--epochs", "0"]):
        assert main(["train", *words]) == 2
        error = one_error_line(capsys, silent=True)
        assert error == "--distributed mpi: simdrop.mpi needs mpi4py: pip install 'simdrop[mpi]'"


@pytest.mark.parametrize(
    "reason, wanted",
    [
        (["Unable to allocate 7.3 TiB"], "not enough memory: Unable to allocate 7.3 TiB"),
        ([], "not enough memory"),  # Python's own
    ],
)
def test_too_little_memory(small, folder, capsys, monkeypatch, reason, wanted):
    def make_runs(images, settings):
        raise MemoryError(*reason)

    monkeypatch.setattr(loop, "make_runs", make_runs)
    assert main(["train", "--data", small]) == 2
    assert one_error_line(capsys, silent=True) == wanted


def test_ctrl_c(small, folder):
    process = start("train", "--data", small, "--epochs", "1000000")
    assert process.stdout.readline().startswith("small, net")
    assert process.stdout.readline().startswith("Inputs: ")
    assert process.stdout.readline().startswith("epoch ")
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err) == (130, "simdrop: interrupted\n")
    assert list(folder.iterdir()) == []


def test_broken_pipe(small, folder):
    process = start("train", "--data", small, "--epochs", "1000000")
    assert process.stdout.readline().startswith("small, net")
    process.stdout.close()
    code, _, err = finish(process)
    assert (code, err) == (1, "")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [["info"], ["--help"], ["--version"], ["train", "--help"]])
def test_broken_pipe_before_the_first_line(words):
    ours, theirs = os.pipe()
    os.close(ours)
    process = start(*words, stdout=theirs, env={"PYTHONUNBUFFERED": ""})
    os.close(theirs)
    code, _, err = finish(process)
    assert err == "" and code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["info"], ["train", "--data", "small.npz"]])
def test_standard_output_on_a_full_disk(words, small):
    Path(small).rename("small.npz")
    with open("/dev/full", "w") as full:
        code, _, err = finish(start(*words, stdout=full))
    wanted = "simdrop: error: standard output cannot be written: No space left on device\n"
    assert (code, err) == (1, wanted)


def test_standard_output_that_is_closed(small):
    code = f"import os, sys; os.close(1); os.execv({sys.executable!r}, [{sys.executable!r}, '-c', "
    code += f"{START!r}, *sys.argv[1:]])"
    code, _, err = finish(start("train", "--data", small, *QUICK, "--out", "a.png", code=code))
    assert (code, err) == (0, "")
    assert Path("a.png").read_bytes().startswith(PNG_SIGNATURE)


def test_standard_output_that_is_ascii(small):
    process = start(
        "train", "--data", small, *QUICK, "--out", "ü.png", env={"PYTHONIOENCODING": "ascii"}
    )
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "Curves: '\\xfc.png'" in out and "with dropout" in out
    assert Path("ü.png").is_file()
