"""simdrop train --distributed mpi: any number of ranks train as one process, and end as one."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from jobs import COMMAND, UNDRAWN, ours, run

from simdrop.cli import checkpoint
from simdrop.cli.main import main
from simdrop.nn import checkpoint as nets

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")

SMALL = ["--hidden", "8,6", "--epochs", "2", "--batch-size", "20", "--activity-l1", "0.01"]
FILES = ["--results", "results.json", "--checkpoint", "run.npz"]


@pytest.fixture
def words(corners):
    """A training of 96 + 24 points in 2 x 2 x 5 batches of 20 and 19."""
    return ["train", "--data", str(corners(120, 60)), *SMALL]


def curves(name):
    """The losses and errors of all epochs."""
    runs = json.loads(Path(name).read_text())["runs"]
    keys = ("training_loss", "training_error", "validation_loss", "validation_error")
    return [[epoch[key] for key in keys] for run in runs.values() for epoch in run["history"]]


def check_equal_but_for_rounding(one, other):
    """Two checkpoints whose parameters and losses differ by rounding, and in nothing else."""
    first, second = nets.read(one), nets.read(other)
    assert first.about == second.about and first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_allclose(second.arrays[name], array, rtol=0, atol=1e-5, err_msg=name)
    for name, net in first.extra.pop("runs").items():
        same = second.extra["runs"][name]
        assert same["batches"] == net["batches"]
        for a, b in zip(net["history"], same["history"], strict=True):
            assert a.pop("seconds") > 0 and b.pop("seconds") > 0
            assert b == pytest.approx(a, abs=1e-5)
    del second.extra["runs"]
    assert first.extra == second.extra


@pytest.fixture
def whole(words, capsys):
    """What one process prints of a whole training, without seconds; its files are whole.*."""
    assert main([*words, "--results", "whole.json", "--checkpoint", "whole.npz"]) == 0
    return lines(capsys.readouterr().out)


def lines(out):
    """Output without seconds and the path of the picture."""
    out = re.sub(r", [\d:]+ left", "", out)
    return [line.rpartition("%")[0] or line.partition("Curves")[0] for line in out.splitlines()]


# Two trainings; the second is of batchwise dropout.
BOTH = """
from simdrop.cli.main import main

words = sys.argv[1:]
code = main([*words, "--results", "0.json", "--checkpoint", "0.npz"])
words += ["--dropout", "batchwise", "--optimizer", "adam", "--results", "1.json"]
sys.exit(code or main([*words, "--checkpoint", "1.npz"]))
"""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_train_the_nets_of_one_process(words, whole, capsys, ranks):
    code, out, err = run(ranks, UNDRAWN + BOTH, *words, "--distributed", "mpi")
    assert code == 0 and ours(err) == [], err
    assert lines(out)[: len(whole)] == whole
    Path("whole.json").rename("whole0.json")
    Path("whole.npz").rename("whole0.npz")
    words += ["--dropout", "batchwise", "--optimizer", "adam", "--results", "whole1.json"]
    assert main([*words, "--checkpoint", "whole1.npz"]) == 0
    assert lines(out)[len(whole) :] == lines(capsys.readouterr().out)
    for i in range(2):
        close = {"rtol": 0, "atol": 1e-5}
        np.testing.assert_allclose(curves(f"{i}.json"), curves(f"whole{i}.json"), **close)
        check_equal_but_for_rounding(f"whole{i}.npz", f"{i}.npz")


# A rank does something in its fourth batch.
INJECTED = (
    UNDRAWN
    + """
import os, signal, time
from simdrop import mpi
from simdrop.cli.main import main

rank, action, *sys.argv[1:] = sys.argv[1:]
whole, steps = mpi.train_step, 0

def train_step(*args, **named):
    global steps
    steps += 1
    if steps == 4 and mpi.MPI.COMM_WORLD.rank == int(rank):
        exec(action)
    return whole(*args, **named)

mpi.train_step = train_step
sys.exit(main())
"""
)

# mpiexec, the parent, forwards it to all ranks; the handler sets back what was before.
THROUGH_MPIEXEC = """
os.kill(os.getppid(), signal.SIGUSR1)
while signal.getsignal(signal.SIGUSR1) != signal.SIG_DFL:
    time.sleep(0.01)
"""


def test_interruptions_and_resumptions_by_other_numbers_of_ranks(words, whole, capsys):
    """Two ranks, three and one process continue each other's training."""
    job = [*words, *FILES, "--resume", "--distributed", "mpi"]
    stopped = ["simdrop: interrupted; --resume continues from 'run.npz'"]
    for ranks, rank, action, number in (
        (2, 0, THROUGH_MPIEXEC, signal.SIGUSR1),
        (3, 2, "os.kill(os.getpid(), signal.SIGTERM)", signal.SIGTERM),
    ):
        code, out, err = run(ranks, INJECTED, rank, action, *job)
        assert code == 128 + number and ours(err) == stopped, err
    assert out.startswith("Resuming from 'run.npz': 0 of 2 epochs without dropout")
    assert sum(net["batches"] for net in nets.read("run.npz").extra["runs"].values()) >= 8
    assert main(job[:-2]) == 0
    assert lines(capsys.readouterr().out)[-5:] == whole[-5:]
    np.testing.assert_allclose(curves("results.json"), curves("whole.json"), rtol=0, atol=1e-5)
    check_equal_but_for_rounding("whole.npz", "run.npz")


def test_ranks_resume_what_one_process_began_until_one_is_killed(words, whole, monkeypatch):
    step = checkpoint.Saver.step

    def interrupt(saver):
        step(saver)
        if next(iter(saver.runs.values())).batches == 3:
            raise KeyboardInterrupt

    job = [*words, *FILES, "--resume", "--checkpoint-every", "1steps"]
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Saver, "step", interrupt)
        assert main(job) == 130
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    code, _, err = run(3, INJECTED, 1, kill, *job, "--distributed=mpi")
    assert code == 128 + signal.SIGKILL
    assert re.search(r"rank 1\b.*\n?.*signal\s+9", err), err
    done = sum(net["batches"] for net in nets.read("run.npz").extra["runs"].values())
    assert 5 <= done <= 6  # rank 0 may be killed while it writes what came before the fourth batch
    assert main(job) == 0
    check_equal_but_for_rounding("whole.npz", "run.npz")


def test_a_rank_that_raises_ends_the_job_and_says_which(words):
    code, _, err = run(2, INJECTED, 1, "raise ZeroDivisionError", *words, "--distributed=mpi")
    (line,) = ours(err)
    assert code == 1 and re.fullmatch(r"simdrop: error: an .* \(rank 1 of 2 on .* the job\)", line)
    assert err.count("ZeroDivisionError") >= 1 and "train_step" in err


# Commands that fail, one after the other; other ranks would print "rank".
WRONG = (
    UNDRAWN
    + """
import json
from simdrop import mpi
from simdrop.cli import data
from simdrop.cli.errors import InputError
from simdrop.cli.main import main

comm = mpi.MPI.COMM_WORLD
load = data.load

def loaded(path, **options):
    if comm.rank == 1 and path.name == "elsewhere.npz":
        raise InputError("'there' cannot be read")
    found = load(path, **options)
    found.x_train[0] += comm.rank == 1 and path.name == "other.npz"
    return found

data.load = loaded
for words in json.loads(sys.argv[1]):
    codes = comm.allgather(main(words))
    assert len(set(codes)) == 1
    print("code", codes[0], file=sys.stderr) if comm.rank == 0 else None
    comm.Barrier()
"""
)


def test_what_is_wrong_is_said_once(words, corners):
    Path("taken.npz").write_bytes(b"")
    small = words[2]
    for name in ("elsewhere.npz", "other.npz"):
        Path(name).write_bytes(Path(small).read_bytes())
    cases = {
        "'nowhere.npz' cannot be read": (2, ["--data", "nowhere.npz"]),
        "argument --epochs: wanted a whole number": (2, ["--epochs", "0"]),
        "--checkpoint 'taken.npz' exists": (2, ["--checkpoint", "taken.npz"]),
        "--resume: 'taken.npz'": (2, ["--checkpoint", "taken.npz", "--resume"]),
        "the net without dropout diverged in epoch 1": (1, ["--lr", "1e30"]),
        "rank 1 of 2: 'there' cannot be read": (2, ["--data", "elsewhere.npz"]),
        "rank 1 of 2 has other data than rank 0": (1, ["--data", "other.npz"]),
    }
    common = [*words, "--quiet", "--distributed", "mpi"]
    commands = [common + more for _, more in cases.values()] + [[*common, "--help"]]
    code, out, err = run(2, WRONG, json.dumps(commands))
    assert code == 0, err
    assert out.count("usage:") == 1 and out.startswith("usage:")
    said = [line for line in err.splitlines() if line.startswith(("simdrop:", "code"))]
    assert len(said) == 2 * len(cases) + 1
    for (message, (code, _)), line, exit_code in zip(
        cases.items(), said[::2], said[1::2], strict=False
    ):
        assert line.startswith(f"simdrop: error: {message}") and exit_code == f"code {code}"


def test_an_mpiexec_of_another_mpi_is_not_taken_for_many_single_ranks(words, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "3")
    code, out, err = run(None, COMMAND, *words, "--distributed", "mpi")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "mpiexec started 3 processes, but each finds itself alone" in err


def test_the_whole_command_without_mpiexec(words):
    code, out, err = run(None, COMMAND, *words, "--distributed", "mpi", "--quiet")
    assert code == 0 and err == "" and "Curves: 'simdrop-train.png'" in out
    assert Path("simdrop-train.png").exists()
