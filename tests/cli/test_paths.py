"""Paths that cannot be read or written: one line that names the option, and nothing is left."""

import os
import re
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from command import finish, one_error_line, start
from datasets import edited

from simdrop.cli import data, loop, sweep, train
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


OPTIONS = [
    ("train", "--data"),
    ("train", "--out"),
    ("train", "--results"),
    ("train", "--checkpoint"),
    ("train", "--resume", "--checkpoint"),
    ("sweep", "--data"),
    ("sweep", "--out"),
    ("sweep", "--results"),
]


FAULTS = {
    "a loop of links": ("loop.png", "Too many levels of symbolic links|is not a file"),
    "a name that is too long": ("f" * 300 + ".png", "File name too long"),
    "a null character": ("a\0.png", "embedded null"),
    "a folder": ("folder.png", "Is a directory|is not a file|has none of the IDX files"),
    "no permission": ("locked/a.png", "Permission denied"),
    "a pipe": ("pipe.png", "not a (regular )?file|neither a file nor a folder"),
    "a device": ("device.png", "not a (regular )?file|neither a file nor a folder"),
    "a file as a folder": ("file/a.png", "Not a directory"),
    "a folder that is not there": ("no/a.png", "No such file or directory"),
}


@pytest.fixture
def paths(monkeypatch):
    """A folder with paths that cannot be used, and a user who may not enter one of them."""
    # Not in pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        monkeypatch.chdir(folder)
        Path("loop.png").symlink_to("loop.png")
        Path("folder.png").mkdir()
        Path("locked").mkdir(0)
        os.mkfifo("pipe.png")
        Path("device.png").symlink_to("/dev/zero")
        Path("file").touch()
        root = os.geteuid() == 0  # who may do anything
        if root:
            os.seteuid(65534)
        yield sorted(os.listdir())
        if root:
            os.seteuid(0)
        Path("locked").chmod(0o700)
        monkeypatch.undo()


@pytest.fixture
def no_hanging():
    """An AssertionError instead of waiting for someone to open the other end of a pipe."""

    def hang(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("no_hanging")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_path_that_cannot_be_used(words, fault, small, capsys, monkeypatch, request):
    images = data.load(small)
    if "--data" not in words:
        monkeypatch.setattr(train, "load", lambda **source: images)
        monkeypatch.setattr(sweep, "load", lambda **source: images)
    monkeypatch.setattr(loop, "train", None)  # none of them comes as far
    before = request.getfixturevalue("paths")
    path, message = FAULTS[fault]
    assert main([*words, path]) == 2
    line = one_error_line(capsys, silent=True)
    assert re.search(message, line) and repr(path) in line
    assert "--data" in words or words[-1] in line
    assert sorted(os.listdir()) == before


@pytest.mark.usefixtures("no_hanging")
@pytest.mark.parametrize("fault", ["loop", "pipe", "folder"])
def test_folder_with_a_file_that_cannot_be_read(fault, folder, capsys):
    path = folder / "train-images-idx3-ubyte"
    {"loop": lambda: path.symlink_to(path), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[
        fault
    ]()
    (folder / "train-labels-idx1-ubyte").touch()
    assert main(["train", "--data", "."]) == 2
    assert "'.' has no file train-images-idx3-ubyte (or .gz)" in one_error_line(capsys, silent=True)
    assert main(["train", "--data", path.name]) == 2
    assert path.name in one_error_line(capsys, silent=True)


@pytest.mark.parametrize("fault", ["truncated", "nan"])
def test_bad_data_in_a_process_of_its_own(small, folder, fault):
    if fault == "nan":
        with edited(small) as arrays:
            arrays["x_test"][3, 1] = np.nan
    else:
        Path(small).write_bytes(Path(small).read_bytes()[:-30])
    code, out, err = finish(start("train", "--data", small))
    assert (code, out) == (2, "")
    messages = {
        "truncated": "is a damaged .npz file",
        "nan": "x_test holds nan in example 3; wanted finite numbers",
    }
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1
    assert messages[fault] in err
    assert list(folder.iterdir()) == []
