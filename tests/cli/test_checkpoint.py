"""Checkpoints of simdrop train: neither kills nor full disks lose the last one."""

import contextlib
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from checkpoints import SPOILT, all_of, contents, forge, make, spoil, variants
from command import SMALL, chosen, finish, one_error_line, start
from datasets import edited

from simdrop import _files, nn
from simdrop.cli import checkpoint, data, errors, loop, options
from simdrop.cli.main import main
from simdrop.nn import checkpoint as nets

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 2 MB, where the system lets us make one."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    try:
        made = subprocess.run(words, capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("mounting a small file system is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def content(path):
    """All of a checkpoint of simdrop train but the seconds."""
    file = nets.read(path)
    for run in file.extra["runs"].values():
        del run["seconds"]
        for epoch in run["history"]:
            del epoch["seconds"]
    arrays = file.arrays.items()
    bits = {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays}
    return file.about, file.extra, bits


def train(data, *words, path="run.npz"):
    return main(["train", "--data", data, "--quiet", *SMALL, "--checkpoint", str(path), *words])


KILLS = """
import os, random, signal, sys, time
import simdrop.cli.train
from simdrop import _files
from simdrop.cli.main import main

def run(path, *words):
    return main([*sys.argv[1:], "--checkpoint", path, *words])

def fork(function):
    child = os.fork()
    if child:
        return child
    try:
        os._exit(function())
    finally:
        os._exit(99)

def killed(child):
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, status
    return False
"""


WORDS = ["--hidden", "8", "--batch-size", "8", "--quiet", "--checkpoint-every", "2steps"]


def in_one_process(code, *words):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLS + code, "train", *words],
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def left_behind(at_most):
    """Each kill may leave a temporary file, which goes when it is a day old."""
    left = list(Path().glob(".*"))
    assert len(left) <= at_most and all(_files.TEMPORARY.fullmatch(path.name) for path in left)
    for path in left:
        os.utime(path, (0, 0))
    nn.save("another.npz", make(1)[0])
    assert not list(Path().glob(".*"))


def test_kills_at_random_moments(small):
    code = """
began = time.monotonic()
assert not killed(fork(lambda: run("whole.npz")))
seconds = time.monotonic() - began
kills = runs = 0
while kills < 20:
    child = fork(lambda: run("run.npz", "--resume"))
    time.sleep(random.uniform(0, seconds / 10))
    os.kill(child, signal.SIGKILL)
    if killed(child):
        kills += 1
    else:  # it was faster; the next one starts anew
        os.rename("run.npz", f"finished{runs}.npz")
        runs += 1
assert not killed(fork(lambda: run("run.npz", "--resume")))
"""
    in_one_process(code, "--data", small, *WORDS, "--epochs", "12")
    wanted = content("whole.npz")
    assert [len(run["history"]) for run in wanted[1]["runs"].values()] == [12, 12]
    for path in Path().glob("finished*.npz"):
        assert content(path) == wanted
    assert content("run.npz") == wanted
    left_behind(at_most=20)


@pytest.mark.parametrize("moment", ["half", "fsync", "before", "after"])
def test_kills_while_a_checkpoint_is_written(small, moment):
    """Each process dies in its fourth write: half of the bytes written, and so on."""
    code = f"""
moment = {moment!r}
writes = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def fsync(number, whole=os.fsync):
    global writes
    writes += 1
    if moment == "half" and writes == 7:  # the fourth file: each has its folder's, too
        os.ftruncate(number, os.fstat(number).st_size // 2)
        die()
    if moment == "fsync" and writes == 7:
        die()
    whole(number)

def replace(old, new, whole=os.replace):
    if moment == "before" and writes == 7:
        die()
    whole(old, new)
    if moment == "after" and writes == 7:
        die()

assert not killed(fork(lambda: run("whole.npz")))
os.fsync, os.replace = fsync, replace
deaths = 0
while killed(fork(lambda: run("run.npz", "--resume"))):
    deaths += 1
print(deaths)
"""
    deaths = int(in_one_process(code, "--data", small, *WORDS, "--epochs", "2").split()[-1])
    assert deaths > 5
    assert content("run.npz") == content("whole.npz")
    left_behind(at_most=0 if moment == "after" else deaths)


@pytest.mark.parametrize(
    "words",
    [
        ["--only", "with"],
        ["--dropout", "batchwise", "--optimizer", "adam", "--max-norm", "2"],
        ["--validation", "0", "--activity-l1", "0.01", "--l1", "0.001"],
    ],
)
def test_going_on_from_every_batch(small, words, monkeypatch):
    """An interruption after each batch and each epoch of a whole training."""
    words = [*words, "--checkpoint-every", "1steps"]
    assert train(small, *words, path="whole.npz") == 0
    stops = 0
    step = checkpoint.Saver.step

    def stop(saver):
        nonlocal stops
        stops += 1
        step(saver)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Saver, "step", stop)
    while train(small, *words, "--resume") == 130:
        pass
    nets_trained = 1 if "--only" in words else 2
    rows = 120 if "--validation" in words else 96
    assert stops == nets_trained * 3 * (-(-rows // 20) + 1)
    assert content("run.npz") == content("whole.npz")


@pytest.mark.parametrize("which, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_writes_a_last_checkpoint(small, which, code):
    words = ["--data", small, "--epochs", "1000000", "--checkpoint", "run.npz"]
    process = start("train", "--hidden", "8", *words)
    for _ in range(7):  # the title, a note and five epochs' lines
        assert process.stdout.readline()
    process.send_signal(getattr(signal, which))
    ended, out, err = finish(process)
    assert (ended, err) == (code, "simdrop: interrupted; --resume continues from 'run.npz'\n")
    runs = nets.read("run.npz").extra["runs"]  # not the one of the start: the next is in a minute
    assert all(len(run["history"]) >= 2 for run in runs.values())
    assert os.listdir() == ["run.npz"]


def test_a_system_without_one_of_the_signals(small, monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    assert train(small) == 0 and len(content("run.npz")[1]["runs"]["with"]["history"]) == 3


def test_a_reader_that_goes_away_writes_a_last_checkpoint(small):
    words = ["--hidden", "8", "--epochs", "1000000", "--checkpoint", "run.npz"]
    process = start("train", "--data", small, *words)
    for _ in range(7):  # the title, a note and five epochs' lines
        assert process.stdout.readline()
    process.stdout.close()
    process.wait(600)
    assert process.returncode == 1 and process.stderr.read() == ""
    process.stderr.close()
    runs = nets.read("run.npz").extra["runs"]
    assert all(len(run["history"]) >= 2 for run in runs.values())


def test_resume_says_where_it_goes_on(small, capsys):
    assert main(["train", "--data", small, *SMALL, "--checkpoint", "run.npz", "--resume"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("No checkpoint 'run.npz': starting from scratch\n")
    assert main(["train", "--data", small, *SMALL, "--checkpoint", "run.npz", "--resume"]) == 0
    again = capsys.readouterr().out
    assert again.startswith(
        "Resuming from 'run.npz': 3 of 3 epochs without dropout, 3 of 3 epochs with dropout are "
        "done\n"
    )
    assert "epoch 3" not in again.split("\n", 1)[1]
    assert first[first.index("Trained on") :] == again[again.index("Trained on") :]


def test_a_trained_net_of_simdrop_train(small):
    assert train(small) == 0
    net = nn.MLP((3, 8, 3), p=0.5, p_input=0.1)
    extra = nn.load("run.npz", net, name="with")
    with np.load(small) as arrays:
        error = net.error(arrays["x_train"], arrays["y_train"])
    assert error < 0.6 and extra["settings"]["p"] == 0.5


def test_nothing_is_overwritten_without_resume(small, capsys):
    assert train(small) == 0
    before = Path("run.npz").read_bytes()
    capsys.readouterr()
    assert train(small) == 2
    assert one_error_line(capsys) == (
        "--checkpoint 'run.npz' exists; add --resume to continue from it, or remove it"
    )
    assert Path("run.npz").read_bytes() == before


@pytest.mark.parametrize("how", SPOILT)
def test_resume_from_a_file_that_is_no_checkpoint(small, capsys, how):
    assert train(small) == 0
    spoil(Path("run.npz"), how)
    before = Path("run.npz").read_bytes()
    capsys.readouterr()
    assert train(small, "--resume") == 2
    assert SPOILT[how] in one_error_line(capsys)
    assert Path("run.npz").read_bytes() == before
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("validation", ["0.2", "0"])
def test_resume_from_whatever_is_wrong_is_one_line(small, capsys, validation):
    """All variants go to the function, and some through the whole command."""
    words = ["--validation", validation, "--only", "with"]
    assert train(small, *words) == 0
    about, arrays = contents("run.npz")
    images = data.load(small)
    chosen_settings = chosen("--data", small, *SMALL, *words)
    described = checkpoint.describe(images, chosen_settings)
    trials = loop.make_trials(images, chosen_settings, 1)
    per_epoch = loop.batches_an_epoch(trials[0].rows, chosen_settings)
    runs = trials[0].runs
    before = all_of(runs[0].net, runs[0].optimizer)
    seen = 0
    seconds = ("extra", "runs", "with", "seconds")
    for where, what, wrong in variants(about["extra"], ("extra",)):
        number = isinstance(what, int | float) and what == 0  # of these, 0 is not wrong
        if where == seconds and number:
            continue
        seen += 1
        forge("b.npz", about | {"extra": wrong}, arrays)
        with pytest.raises(errors.InputError, match="^--resume: "):
            checkpoint.resume(Path("b.npz"), trials, described, per_epoch)
            pytest.fail(f"accepted: {where} {what}")
        assert all_of(runs[0].net, runs[0].optimizer) == before and not runs[0].history
        if seen % 50 == 0:
            capsys.readouterr()
            assert train(small, *words, "--resume", path="b.npz") == 2
            assert one_error_line(capsys).startswith("--resume: 'b.npz'")
    assert seen > 300
    batches = about["extra"]["runs"]["with"]["batches"]
    for wrong in (batches - 1, batches + 1, 0):
        progress = about["extra"]["runs"]["with"] | {"batches": wrong}
        forge("b.npz", about | {"extra": about["extra"] | {"runs": {"with": progress}}}, arrays)
        capsys.readouterr()
        assert train(small, *words, "--resume", path="b.npz") == 2
        assert f"with has {wrong} batches and 3 epochs; wanted" in one_error_line(capsys)


def test_resume_from_a_checkpoint_of_something_else(small, capsys):
    net, optimizer = make(1)
    nn.save("run.npz", net, optimizer)
    assert train(small, "--resume") == 2
    assert "is a checkpoint, but not one of simdrop train" in one_error_line(capsys)


def test_resume_with_other_settings_or_data(small, tmp_path, capsys):
    assert train(small) == 0
    before = Path("run.npz").read_bytes()
    capsys.readouterr()
    words = ["--lr", "0.01", "--max-norm", "3", "--hidden", "8,8", "--resume"]
    assert train(small, *words) == 2
    assert one_error_line(capsys) == (
        "--resume: 'run.npz' is from another training: --hidden was 8 and is 8,8; --lr was 0.05 "
        "and is 0.01; --max-norm was none and is 3"
    )
    with edited(small) as arrays:
        arrays["x_test"][0, 0] += 1
    assert train(small, "--resume") == 2
    assert one_error_line(capsys) == (
        "--resume: 'run.npz' is from another training: the data differ in x_test"
    )
    assert Path("run.npz").read_bytes() == before


@pytest.mark.parametrize(
    "words, message",
    [
        (["--resume"], "--resume without --checkpoint; wanted the checkpoint's file"),
        (["--checkpoint-every", "5"], "--checkpoint-every without --checkpoint; wanted"),
        (["--checkpoint-every", "0"], "argument --checkpoint-every: wanted seconds, such as 90"),
        (["--checkpoint-every", "5 m"], "or batches, such as 500steps, got '5 m'"),
        (["--checkpoint-every", "0steps"], "or batches, such as 500steps, got '0steps'"),
        (["--checkpoint", "no/run.npz"], "--checkpoint 'no/run.npz' cannot be written: No such"),
        (["--checkpoint", "taken"], "--checkpoint 'taken' cannot be written: Is a directory"),
        (["--checkpoint", "a\0"], "--checkpoint 'a\\x00' cannot be written: embedded null byte"),
        (["--checkpoint", "/proc/run.npz"], "--checkpoint '/proc/run.npz' cannot be written: "),
        (["--checkpoint", "f" * 300], "cannot be written: File name too long"),
        (["--results", "no/r.json"], "--results 'no/r.json' cannot be written: No such file"),
        (["--results", "taken"], "--results 'taken' cannot be written: Is a directory"),
        (["--preset", "mnist"], "argument --preset: invalid choice: 'mnist'"),
        (["--optimizer", "adam", "--momentum", "0.5"], "--momentum with --optimizer adam; wanted"),
        (["--optimizer", "adam", "--nesterov"], "--nesterov with --optimizer adam; wanted it with"),
        (["--only", "none"], "argument --only: invalid choice: 'none'"),
        (["--dropout", "no"], "argument --dropout: invalid choice: 'no'"),
        (["--l1", "-1"], "argument --l1: wanted a number from 0, got '-1'"),
        (["--activity-l1", "nan"], "argument --activity-l1: wanted a number from 0, got 'nan'"),
    ],
)
def test_bad_input(small, folder, capsys, words, message):
    Path("taken").mkdir()
    assert main(["train", "--data", small, *SMALL, *words]) == 2
    assert message in one_error_line(capsys)
    assert os.listdir() == ["taken"]


def test_a_folder_that_takes_no_files(small, tiny_disk, capsys):
    assert train(small, path=tiny_disk / "run.npz") == 0
    before = (tiny_disk / "run.npz").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    capsys.readouterr()
    assert train(small, "--resume", path=tiny_disk / "run.npz") == 2
    assert "run.npz' cannot be written: Read-only file system" in one_error_line(capsys)
    assert (tiny_disk / "run.npz").read_bytes() == before


def fill(disk):
    """Until there is no page left."""
    with open(disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


def test_a_disk_that_is_full_at_the_start(small, tiny_disk, capsys):
    fill(tiny_disk)
    assert train(small, path=tiny_disk / "run.npz") == 2
    assert "run.npz' cannot be written: No space left on device" in one_error_line(capsys)
    assert os.listdir(tiny_disk) == ["filler"] and os.listdir() == []


@pytest.mark.parametrize("freed", [True, False])
def test_a_disk_that_gets_full(small, tiny_disk, freed):
    path = tiny_disk / "run.npz"
    words = ["--data", small, "--epochs", "1000", "--checkpoint", str(path)]
    process = start("train", "--hidden", "8", *words, "--checkpoint-every", "100steps")
    for _ in range(10):  # the title and nine epochs' lines
        assert process.stdout.readline()
    fill(tiny_disk)
    warning = process.stderr.readline()
    wanted = f"simdrop: warning: --checkpoint '{path}' cannot be written: No space left on device;"
    assert warning.startswith(wanted) and "the training continues" in warning
    content(path)  # the last good one
    if freed:
        (tiny_disk / "filler").unlink()
        again = f"simdrop: --checkpoint '{path}' has been written again\n"
        assert process.stderr.readline() == again
    code, out, err = finish(process)
    assert "epoch 1000/1000, with dropout" in out and "Curves: 'simdrop-train.png'" in out
    if freed:
        assert (code, err) == (0, "")
        assert len(content(path)[1]["runs"]["with"]["history"]) == 1000
    else:
        last = "the last checkpoint could not be written: No space left on device"
        assert (code, err) == (1, f"simdrop: error: {last}\n")
        assert len(content(path)[1]["runs"]["with"]["history"]) < 1000
        assert sorted(os.listdir(tiny_disk)) == ["filler", "run.npz"]


def test_checkpoints_by_the_clock_and_by_batches(small, monkeypatch):
    times, now, tick = [], 0.0, 0.0

    def monotonic():
        nonlocal now
        now += tick
        return now

    monkeypatch.setattr(checkpoint, "time", types.SimpleNamespace(monotonic=monotonic))
    save = checkpoint.Saver.save
    monkeypatch.setattr(checkpoint.Saver, "save", lambda saver: times.append(1) or save(saver))
    assert train(small) == 0
    assert len(times) == 2  # the first and the last: a minute is not over
    times.clear()
    assert train(small, "--checkpoint-every", "7steps", path="b.npz") == 0
    assert len(times) == 2 + 3 * 2 * (5 + 1) // 7  # of a batch or the end of an epoch, each
    times.clear()
    tick = 1.0
    assert train(small, "--checkpoint-every", "3.5s", path="c.npz") == 0
    assert len(times) == 2 + 36 // 4
    assert options.every("90") == options.every("90s") == options.Every(seconds=90)
