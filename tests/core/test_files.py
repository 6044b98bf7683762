"""Files are written whole or not at all, into the place and with the permissions of the old one."""

import errno
import io
import os
import socket
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simdrop import _files, nn
from simdrop.cli.main import main

ROOT = os.geteuid() == 0

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def write(path, content=b"new"):
    with _files.replacing(path) as file:
        file.write(content)


def permissions(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# What is kept


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o660, 0o777])
def test_the_permissions_of_the_old_file_are_kept(mode):
    Path("a").write_bytes(b"old")
    os.chmod("a", mode)
    write("a")
    assert Path("a").read_bytes() == b"new" and permissions("a") == mode


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0, 0o666)])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(umask, mode):
    before = os.umask(umask)
    try:
        write("a")
    finally:
        os.umask(before)
    assert permissions("a") == mode


def test_what_is_secret_is_so_while_it_is_written():
    Path("a").touch(0o600)
    with _files.replacing("a"):
        (temporary,) = Path().glob(".simdrop-*")
        assert permissions(temporary) == 0o600


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_owner_and_group_are_kept():
    Path("a").write_bytes(b"old")
    os.chmod("a", 0o640)
    os.chown("a", 1234, 4321)
    write("a")
    found = os.stat("a")
    assert (found.st_uid, found.st_gid, permissions("a")) == (1234, 4321, 0o640)


def test_a_group_that_cannot_be_kept_is_given_no_rights_to_another_one(monkeypatch):
    def refused(*arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    Path("a").write_bytes(b"old")
    os.chmod("a", 0o664)
    if ROOT:
        os.chown("a", -1, 4321)
    monkeypatch.setattr(_files.os, "fchown", refused)
    write("a")
    assert permissions("a") == (0o644 if ROOT else 0o664)


def test_access_control_lists_are_kept():
    Path("a").write_bytes(b"old")
    # Version 2; tag, permissions, id: owner rw, user 1234 rw, group none, mask rw, others none.
    entries = [(1, 6, -1), (2, 6, 1234), (4, 0, -1), (16, 6, -1), (32, 0, -1)]
    packed = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + may.to_bytes(2, "little") + (who % 2**32).to_bytes(4, "little")
        for tag, may, who in entries
    )
    try:
        os.setxattr("a", _files.ACCESS_LIST, packed)
    except OSError as error:
        assert error.errno == errno.ENOTSUP
        pytest.skip("this file system has no access control lists")
    write("a")
    assert os.getxattr("a", _files.ACCESS_LIST) == packed


@pytest.mark.parametrize("where", ["folder", "file"])
def test_what_may_not_be_written_is_not_replaced(run_python, where):
    """As somebody else than root, who may write everything."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "a")
        path.write_bytes(b"old")
        os.chmod(place, 0o555 if where == "folder" else 0o777)
        os.chmod(path, 0o666 if where == "folder" else 0o444)
        done = run_python(f"""
import os
from simdrop import _files
if {ROOT}:
    os.setgid(65534)
    os.setuid(65534)
try:
    with _files.replacing({str(path)!r}) as file:
        file.write(b"new")
except PermissionError as error:
    print(error.filename)
""")
        assert (done.stdout, done.stderr) == (f"{path}\n", "")
        assert path.read_bytes() == b"old" and os.listdir(place) == ["a"]
        os.chmod(place, 0o700)


# What is refused


def device(path):
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # that of /dev/null


def listening(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


def loop_of_links(path):
    os.symlink("other", path)
    os.symlink(path, "other")


SPECIAL = {
    "device": (device, "not a regular file"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (listening, "not a regular file"),
    "folder": (os.mkdir, "Is a directory"),
    "loop": (loop_of_links, "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("function", [_files.check, write, lambda path: nn.save(path, a_net())])
def test_what_is_no_file_is_refused_and_stays(function, kind, linked):
    make, message = SPECIAL[kind]
    if kind == "device" and not ROOT:
        pytest.skip("only root makes devices")
    make("special")
    path = "special"
    if linked:
        path = "link"
        os.symlink("special", path)
    names, before = sorted(os.listdir()), os.lstat("special")
    with pytest.raises(OSError, match=message) as caught:
        function(path)
    assert caught.value.filename == path
    assert sorted(os.listdir()) == names and os.path.samestat(os.lstat("special"), before)


@pytest.mark.parametrize("path", ["", ".", "..", "new/", "new/.", "/"])
def test_what_no_file_can_be_called_is_refused(path):
    for function in (_files.check, write):
        with pytest.raises(IsADirectoryError):
            function(path)
    assert os.listdir() == []


def test_the_errors_of_paths_name_the_file():
    Path("file").touch()
    for path, kind in [
        ("no/a", FileNotFoundError),
        ("file/a", NotADirectoryError),
        ("f" * 256, OSError),
    ]:
        for function in (_files.check, write):
            with pytest.raises(kind) as caught:
                function(path)
            assert caught.value.filename == path
    with pytest.raises(ValueError, match="null"):
        write("a\0")
    for wrong in (3, None, 1.5):
        with pytest.raises(TypeError, match="str, bytes or os.PathLike"):
            write(wrong)
    assert os.listdir() == ["file"]


# Links and names


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_stays_and_its_file_is_replaced(dangling):
    os.mkdir("elsewhere")
    if not dangling:
        Path("elsewhere/real").write_bytes(b"old")
        os.chmod("elsewhere/real", 0o600)
    os.symlink("second", "first")
    os.symlink("elsewhere/real", "second")
    write("first")
    assert os.readlink("first") == "second" and os.readlink("second") == "elsewhere/real"
    assert Path("elsewhere/real").read_bytes() == b"new" and os.listdir("elsewhere") == ["real"]
    assert dangling or permissions("elsewhere/real") == 0o600


@pytest.mark.parametrize("length", [1, 254, 255])
def test_names_up_to_the_longest(length):
    for content in (b"one", b"two"):
        _files.check("n" * length)
        write("n" * length, content)
        assert os.listdir() == ["n" * length] and Path("n" * length).read_bytes() == content


def test_planted_temporary_files_are_neither_followed_nor_reused(monkeypatch):
    Path("victim").write_bytes(b"precious")
    monkeypatch.setattr(_files.os, "urandom", lambda count: b"\xab" * count)
    planted = _files.PREFIX + "ab" * 16 + _files.SUFFIX
    for plant in (
        lambda: os.symlink("victim", planted),
        lambda: os.symlink("nowhere", planted),
        lambda: Path(planted).write_bytes(b"another's"),
    ):
        plant()
        before = os.lstat(planted)
        with pytest.raises(FileExistsError):
            write("a")
        assert os.path.samestat(os.lstat(planted), before)
        assert sorted(os.listdir()) == sorted([planted, "victim"])
        os.unlink(planted)
    assert Path("victim").read_bytes() == b"precious"


def test_temporary_files_have_names_that_nobody_guesses():
    seen = set()
    for _ in range(20):
        with _files.replacing("a"):
            seen |= {path.name for path in Path().glob(".*")}
    assert len(seen) == 20 and all(_files.TEMPORARY.fullmatch(name) for name in seen)


def test_temporary_files_are_not_inherited():
    with _files.replacing("a") as file:
        assert not os.get_inheritable(file.fileno())


# Failures


class Failure(Exception):
    pass


@given(
    old=st.none() | st.binary(max_size=20),
    parts=st.lists(st.binary(max_size=20)),
    failure=st.sampled_from([Failure, KeyboardInterrupt, SystemExit, None]),
)
def test_all_is_written_or_nothing(old, parts, failure):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        if old is not None:
            path.write_bytes(old)
        try:
            with _files.replacing(path) as file:
                for part in parts:
                    file.write(part)
                if failure:
                    raise failure
        except (Failure, KeyboardInterrupt, SystemExit):
            pass
        wanted = old if failure else b"".join(parts)
        assert os.listdir(folder) == ([] if wanted is None else ["a"])
        assert wanted is None or path.read_bytes() == wanted


@pytest.mark.parametrize("fails", ["fchown", "fchmod", "fsync", "replace", "open", "scandir"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_each_call_of_the_system_may_fail(monkeypatch, fails, error):
    """Nothing is lost, nothing is left: of permissions, the attempt counts."""
    Path("a").write_bytes(b"old")

    def fail(*arguments, **keywords):
        raise error

    unnecessary = fails in ("fchown", "fchmod", "scandir") and isinstance(error, OSError)
    with monkeypatch.context() as patch:
        patch.setattr(_files.os, fails, fail)
        if unnecessary:
            write("a")
        else:
            with pytest.raises(type(error)):
                write("a")
    assert os.listdir() == ["a"]
    assert Path("a").read_bytes() == (b"new" if unnecessary else b"old")


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_folder(monkeypatch):
    calls = []

    def noted(name, function):
        def call(*arguments):
            is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            calls.append(name + " folder" * is_folder)
            function(*arguments)

        monkeypatch.setattr(_files.os, name, call)

    noted("fsync", os.fsync)
    noted("replace", os.replace)
    write("a")
    assert calls == ["fsync", "replace", "fsync folder"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders(monkeypatch, number):
    fsync = os.fsync

    def refused(what):
        if stat.S_ISDIR(os.fstat(what).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(what)

    monkeypatch.setattr(_files.os, "fsync", refused)
    write("a")
    assert Path("a").read_bytes() == b"new"


def test_two_writers_at_once_the_last_one_wins():
    Path("a").write_bytes(b"old")
    with _files.replacing("a") as first:
        first.write(b"first")
        with _files.replacing("a") as second:
            second.write(b"second")
            assert len(list(Path().glob(".simdrop-*"))) == 2
        assert Path("a").read_bytes() == b"second"
        first.write(b" and last")
    assert Path("a").read_bytes() == b"first and last" and os.listdir() == ["a"]


def test_what_killed_processes_left_is_removed_after_a_day():
    names = {name: _files.PREFIX + name * 32 + _files.SUFFIX for name in "abcdef"}
    for name in "ab":
        Path(names[name]).write_bytes(b"half of a file")
    Path("target").write_bytes(b"not to be followed")
    os.symlink("target", names["c"])
    os.mkdir(names["d"])
    os.mkfifo(names["e"])
    others = [".simdrop-notes.tmp", "simdrop-" + "a" * 32 + ".tmp", ".a.tmp"]
    for name in others:
        Path(name).touch()
    for path in Path().iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    Path(names["b"]).write_bytes(b"being written right now")
    if ROOT:
        Path(names["f"]).touch()
        os.utime(names["f"], (0, 0))
        os.chown(names["f"], 1234, -1)
    before = set(os.listdir())
    write("new")
    assert before - set(os.listdir()) == {names["a"]} and Path("new").read_bytes() == b"new"


def test_where_the_system_has_none_of_these_calls(monkeypatch):
    """Windows, say; folders cannot be opened there."""
    for name in ("fchown", "fchmod", "setxattr", "getxattr", "geteuid"):
        monkeypatch.delattr(_files.os, name)
    monkeypatch.setattr(_files, "NO_FOLLOW", 0)
    monkeypatch.setattr(_files, "FOLDERS_OPEN", False)
    for content in (b"one", b"two"):
        write("a", content)
        assert Path("a").read_bytes() == content and os.listdir() == ["a"]


# What may be given as a file


def a_net(seed=0):
    return nn.MLP((3, 4, 2), rng=seed)


def values(net):
    return [parameter.value.tobytes() for parameter in net.parameters()]


class PathLike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize(
    "path", ["a.npz", b"a.npz", Path("a.npz"), PathLike("a.npz"), PathLike(b"a.npz"), b"\xff\xfe"]
)
def test_paths_of_all_kinds(path):
    nn.save(path, a_net(1))
    name = os.fsencode(path)
    assert os.listdir(b".") == [name]
    net = a_net(2)
    nn.load(path, net)
    assert values(net) == values(a_net(1))
    Path(os.fsdecode(name)).write_bytes(b"junk")
    with pytest.raises(ValueError, match="is no checkpoint") as caught:
        nn.load(path, net)
    assert str(caught.value).startswith(repr(os.fsdecode(name)))


def test_the_name_is_taken_as_it_is():
    """`numpy.savez` would add .npz, and a program that goes on from its checkpoint not find it."""
    nn.save("a", a_net())
    assert os.listdir() == ["a"]


@pytest.mark.parametrize("kind", ["memory", "file", "unbuffered"])
def test_open_files(kind):
    opened = {
        "memory": io.BytesIO,
        "file": lambda: open("a", "w+b"),
        "unbuffered": lambda: open("a", "w+b", buffering=0),
    }
    with opened[kind]() as file:
        file.write(b"what comes before stays")
        start = file.tell()
        nn.save(file, a_net(1), extra=[1])
        assert not file.closed
        file.seek(start)
        net = a_net(2)
        assert nn.load(file, net) == [1] and values(net) == values(a_net(1))
        file.seek(start)
        with np.load(file) as npz:
            assert "about" in npz
        file.seek(0)
        with pytest.raises(ValueError, match="is no checkpoint"):
            nn.load(file, net)
    assert os.listdir() == ([] if kind == "memory" else ["a"])


def test_a_file_that_has_no_positions():
    """What goes through a pipe; to read, `numpy.load` needs positions."""
    reader, writer = os.pipe()
    with open(reader, "rb") as ours:
        with open(writer, "wb") as theirs:
            nn.save(theirs, a_net(1))
        content = ours.read()
    net = a_net(2)
    nn.load(io.BytesIO(content), net)
    assert values(net) == values(a_net(1))


def test_files_of_text_are_refused():
    for open_one in (io.StringIO, lambda: open("a", "w")):
        with open_one() as file:
            with pytest.raises(TypeError, match="open for bytes, not for text"):
                nn.save(file, a_net())
            with pytest.raises(TypeError, match="open for bytes, not for text"):
                nn.load(file, a_net())
    assert Path("a").read_bytes() == b""


# The files of the commands


@pytest.fixture
def small(corners):
    return corners(40, 20)


TRAIN = ["--hidden", "4", "--epochs", "1", "--quiet"]


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "loop", "device"])
@pytest.mark.parametrize(
    "command, option", [("train", "out"), ("train", "checkpoint"), ("train", "results")]
    + [("sweep", "out"), ("sweep", "results")]
)  # fmt: skip
def test_commands_refuse_what_is_no_file(small, capsys, command, option, kind):
    make, message = SPECIAL[kind]
    if kind == "device" and not ROOT:
        pytest.skip("only root makes devices")
    make("special")
    Path("a.png").symlink_to("special")
    names = sorted(os.listdir())
    assert main([command, "--data", small, *TRAIN, f"--{option}", "a.png"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"simdrop: error: --{option} 'a.png' cannot be written: {message}\n")
    assert sorted(os.listdir()) == names


def test_commands_keep_the_permissions_of_their_files(small):
    names = ["a.png", "r.json", "s.png", "c.npz"]
    for name in names[:3]:
        Path(name).touch(0o600)
    words = ["train", "--data", small, *TRAIN, "--out", "a.png", "--results", "r.json"]
    assert main([*words, "--checkpoint", "c.npz"]) == 0
    os.chmod("c.npz", 0o640)
    assert main([*words, "--checkpoint", "c.npz", "--resume"]) == 0
    assert (
        main(["sweep", "--data", small, *TRAIN, "--p", "0", "--p-input", "0", "--out", "s.png"])
        == 0
    )
    assert [permissions(name) for name in names] == [0o600, 0o600, 0o600, 0o640]
    assert all(Path(name).stat().st_size for name in names)


def test_a_checkpoint_that_a_dangling_link_names_is_made(small):
    Path("link.npz").symlink_to("real.npz")
    words = ["train", "--data", small, *TRAIN, "--checkpoint", "link.npz"]
    assert main([*words, "--resume"]) == 0
    assert Path("link.npz").is_symlink() and Path("real.npz").is_file()
    assert main(words) == 2
