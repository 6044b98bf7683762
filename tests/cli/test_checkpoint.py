"""Checkpoints: training goes on bit for bit from them, and no kill or full disk loses the last."""

import argparse
import contextlib
import functools
import hashlib
import inspect
import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _files, nn
from simdrop.cli import checkpoint, data, errors, loop, options, sources
from simdrop.cli.main import main
from simdrop.cli.presets import PRESETS
from simdrop.nn import checkpoint as nets

SMALL = ["--hidden", "8", "--epochs", "3", "--batch-size", "20"]


# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def small(corners):
    """The path of an .npz file with 120 + 60 points."""
    return corners(120, 60)


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


def one_error_line(capsys):
    """The message of the only line on standard error."""
    err = capsys.readouterr().err
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err.removeprefix("simdrop: error: ").rstrip()


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


# nn.save and nn.load

OPTIMIZERS = {
    "sgd": lambda net: nn.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True, max_norm=2.0),
    "adam": lambda net: nn.Adam(net.parameters(), 0.01, l2=0.01, l1=0.001),
}


def make(seed, sizes=(4, 6, 5, 3), optimizer="sgd", **keywords):
    net = nn.MLP(sizes, rng=seed, **keywords)
    return net, OPTIMIZERS[optimizer](net)


def steps(net, optimizer, first, last):
    """Train on the batches of these numbers."""
    for number in range(first, last):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(7, net.n_in)).astype(net.dtype)
        optimizer.lr *= 0.95
        net.train_step(x, rng.integers(0, net.n_out, 7), optimizer)


def all_of(net, optimizer):
    """Every bit of a net and its optimizer."""
    arrays = [p.value for p in net.parameters()] + sum(optimizer.state, [])
    numbers = [layer.steps for layer in net.layers], [s.state for s in net.streams()]
    return [a.tobytes() for a in arrays], numbers, optimizer.steps, optimizer.lr


@given(
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    dropout=st.sampled_from(["elementwise", "batchwise"]),
    p=st.sampled_from([0.0, 0.5, sd.schedule.linear(0.0, 0.8, 6)]),
    activity_l1=st.sampled_from([0.0, 0.01]),
    dtype=st.sampled_from(["float32", "float64"]),
    hidden=st.lists(st.integers(1, 9), max_size=3),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
)
def test_training_goes_on_as_if_never_interrupted(before, after, hidden, **settings):
    settings["sizes"] = (4, *hidden, 3)
    net, optimizer = make(1, **settings)
    steps(net, optimizer, 0, before)
    with tempfile.TemporaryDirectory() as place:
        nn.save(f"{place}/a.npz", net, optimizer, {"step": before, "more": (1, 2.5, None)})
        other, its_optimizer = make(2, **settings)
        steps(other, its_optimizer, 10, 12)
        extra = nn.load(f"{place}/a.npz", other, its_optimizer)
        assert os.listdir(place) == ["a.npz"]
    assert extra == {"step": before, "more": [1, 2.5, None]}
    assert all_of(other, its_optimizer) == all_of(net, optimizer)
    steps(net, optimizer, before, before + after)
    steps(other, its_optimizer, before, before + after)
    assert all_of(other, its_optimizer) == all_of(net, optimizer)


def test_streams_of_layers_that_share_none():
    net = nn.Network(
        [
            nn.Dropout(0.5, sd.Stream(1)),
            nn.Linear(4, 5, rng=0),
            nn.GaussianDropout(0.5, sd.Stream(2)),
            nn.Linear(5, 3, rng=1),
        ],
        nn.SoftmaxCrossEntropy,
    )
    optimizer = OPTIMIZERS["sgd"](net)
    steps(net, optimizer, 0, 3)
    assert [stream.draw for stream in net.streams()] == [3, 3]
    nn.save("a.npz", net, optimizer)
    wanted = all_of(net, optimizer)
    steps(net, optimizer, 3, 5)
    assert nn.load("a.npz", net, optimizer) is None
    assert all_of(net, optimizer) == wanted
    for dropout in ("elementwise", "batchwise"):
        mlp, _ = make(0, dropout=dropout)
        assert [s is mlp.stream for s in mlp.streams()] == [True]


def test_a_net_alone_and_numbers_of_numpy():
    net, optimizer = make(1)
    optimizer.lr = np.float32(0.25)
    nn.save("a.npz", net, optimizer, {"best": np.float64(0.5), "epoch": np.int64(3)})
    other, _ = make(2)
    assert nn.load("a.npz", other) == {"best": 0.5, "epoch": 3}
    assert [p.value.tobytes() for p in other.parameters()] == all_of(net, optimizer)[0][:6]
    with np.load("a.npz", allow_pickle=False) as npz:  # a file that other programs can read
        about = json.loads(npz["about"].tobytes())
        assert npz["net/parameter/0"].shape == (4, 6)
    assert (about["format"], about["version"]) == ("simdrop checkpoint", 2)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"sizes": (4, 6, 5, 2)},
            r"net/parameter/4 is 'float32 \(5, 3\)', and here 'float32 \(5, 2\)'",
        ),
        ({"sizes": (4, 6, 3)}, "it has 4 layers, and this one has 3"),
        ({"dtype": "float64"}, r"net/parameter/0 is 'float32 \(4, 6\)', and here 'float64"),
        ({"optimizer": "adam"}, "its optimizer.kind is 'SGD', and here 'Adam'"),
        ({"activity_l1": 0.1}, "it has 4 layers, and this one has 6"),
    ],
)
def test_another_net_is_an_error_and_changes_nothing(change, message):
    net, optimizer = make(1)
    steps(net, optimizer, 0, 2)
    nn.save("a.npz", net, optimizer)
    other, its_optimizer = make(2, **change)
    before = all_of(other, its_optimizer)
    with pytest.raises(ValueError, match=message):
        nn.load("a.npz", other, its_optimizer)
    assert all_of(other, its_optimizer) == before


def test_what_is_not_there():
    net, optimizer = make(1)
    nn.save("a.npz", net)
    with pytest.raises(ValueError, match="'a.npz' holds no optimizer"):
        nn.load("a.npz", net, optimizer)
    with pytest.raises(ValueError, match="'a.npz' has no net 'with'; it has net"):
        nn.load("a.npz", net, name="with")
    with pytest.raises(FileNotFoundError):
        nn.load("b.npz", net)
    with pytest.raises(TypeError, match="JSON cannot hold a function"):
        nn.save("b.npz", net, extra=steps)
    assert os.listdir() == ["a.npz"]


def digest(arrays):
    """SHA-256 of all names, types, shapes and bytes, as docs/training.md has it."""
    parts = []
    for name in sorted(arrays):
        array = arrays[name]
        whole = f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()
        parts.append([name, hashlib.sha256(whole).hexdigest()])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def contents(path):
    """The JSON and the arrays of a checkpoint, the digest among them."""
    with np.load(path) as npz:
        arrays = dict(npz)
    return json.loads(arrays.pop("about").tobytes()), arrays


def forge(path, about, arrays, new_digest=True):
    """Write a checkpoint by hand, with the digest of its contents or with the one it had."""
    arrays = arrays | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    if new_digest:
        arrays.pop("sha256", None)
        arrays["sha256"] = np.array(digest(arrays))
    np.savez(path, **arrays)


def rewritten(path, **changes):
    """Change the JSON of a checkpoint."""
    about, arrays = contents(path)
    forge(path, about | changes, arrays)


NOT_COUNTS = [None, "1", [1], {}, True, 1.5, -1, 2**63, 2**64, 10**400, float("nan"), float("inf")]
NOT_NUMBERS = [None, "0.5", [0.5], {}, True, -1.0, 10**400, -(10**400), float("nan"), float("inf")]
NOT_TEXT = [None, 1, 1.5, True, ["a"], {}]
NOT_FLAGS = [None, 0, 1, 1.0, "true", [], {}]
NOT_OBJECTS = [None, 1, "{}", [], True]
NOT_LISTS = [None, 1, "[]", {}, True]


def wrong_values(value, path):
    """What cannot be in the place of a value."""
    if path[-1] == "max_norm":
        return [*NOT_NUMBERS[1:], 0.0]
    if isinstance(value, bool):
        return NOT_FLAGS if path[-1] == "nesterov" else [not value, *NOT_FLAGS]
    if isinstance(value, int):
        return NOT_COUNTS
    if isinstance(value, float):
        return NOT_NUMBERS
    if isinstance(value, str):
        return NOT_TEXT if path[-1] == "simdrop" else [*NOT_TEXT, "another", ""]
    if isinstance(value, list):
        shorter = [] if path[-1] == "history" else [value[:-1]]  # before the measurement
        return [*NOT_LISTS, [*value, None], [*value, *value[-1:]], *shorter]
    if isinstance(value, dict):
        return [*NOT_OBJECTS, value | {"more": 1}]
    return [1, "a", [], {}, False]  # None


def variants(value, path=(), skip=()):
    """Of a value of JSON all wrong ones that differ in one place: where, what is there, all."""
    if path in skip:
        return
    if path:
        for wrong in wrong_values(value, path):
            if json.dumps(wrong) != json.dumps(value):
                yield path, wrong, wrong
    if isinstance(value, dict):
        for key in value:
            yield (*path, key), "missing", {k: v for k, v in value.items() if k != key}
            for where, what, inner in variants(value[key], (*path, key), skip):
                yield where, what, value | {key: inner}
    elif isinstance(value, list):
        for i, item in enumerate(value):
            for where, what, inner in variants(item, (*path, i), skip):
                yield where, what, [*value[:i], inner, *value[i + 1 :]]


def wrong_arrays(arrays):
    """Of a checkpoint's arrays all that differ in one place."""
    for name, array in arrays.items():
        if name == "sha256":
            continue
        yield f"without {name}", {key: a for key, a in arrays.items() if key != name}
        for what, wrong in {
            "longer": np.concatenate([array, array[:1]]),
            "shorter": array[:-1],
            "flat": array.reshape(-1, 1),
            "empty": array[:0],
            "0-d": np.array(1, array.dtype),
            "double": array.astype(np.float64),
            "half": array.astype(np.float16),
            "int32": array.astype(np.int32),
            "complex": array.astype(np.complex64),
            "bytes": array.view(np.uint8),
            "text": array.astype("U3"),
            "date": array.astype("M8[s]"),
        }.items():
            if (wrong.shape, wrong.dtype) != (array.shape, array.dtype):
                yield f"{name} {what}", arrays | {name: wrong}
    some = np.zeros(3, np.float32)
    for name in ["net/parameter/6", "net/parameter/06", "net/state/0/1", "net/state/6/0", "a"]:
        yield f"with {name}", arrays | {name: some}
    first, second = "net/parameter/0", "net/parameter/2"
    yield "exchanged", arrays | {first: arrays[second], second: arrays[first]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_whatever_is_wrong_in_a_checkpoint_is_an_error_that_changes_nothing(optimizer):
    """Also where the digest is right, as in files made by hand."""
    settings = {"p_input": sd.schedule.linear(0.1, 0.5, 9), "inverted": False}
    net, its_optimizer = make(1, optimizer=optimizer, **settings)
    steps(net, its_optimizer, 0, 2)
    nn.save("a.npz", net, its_optimizer, {"epoch": 5})
    about, arrays = contents("a.npz")
    other, another = make(2, optimizer=optimizer, **settings)
    steps(other, another, 5, 6)
    before = all_of(other, another)
    seen = 0

    def refused(what, *file):
        forge("b.npz", *file)
        for wanted in (nn.load, lambda *all: nets.read(all[0]).restore({"net": all[1:]})):
            with pytest.raises(ValueError):
                wanted("b.npz", other, another)
                pytest.fail(f"accepted: {what}")
        assert all_of(other, another) == before, what

    for where, what, wrong in variants(about, skip=[("extra",)]):
        seen += 1
        refused((where, what), wrong, arrays)
        if seen % 10 == 0:
            refused((where, what), wrong, arrays, False)
    for what, wrong in wrong_arrays(arrays):
        seen += 1
        refused(what, about, wrong)
    assert seen > 500
    forge("b.npz", about, arrays)
    assert nn.load("b.npz", other, another) == {"epoch": 5}
    assert all_of(other, another) == all_of(net, its_optimizer)


def test_the_digest_is_of_all_of_the_contents():
    net, optimizer = make(1)
    steps(net, optimizer, 0, 2)
    nn.save("a.npz", net, optimizer, {"epoch": 5})
    about, arrays = contents("a.npz")
    assert str(arrays["sha256"]) == digest(
        {key: array for key, array in arrays.items() if key != "sha256"}
        | {"about": np.load("a.npz")["about"]}
    )
    for name in arrays:
        changed = arrays[name].copy()
        if name == "sha256":
            changed = np.array("0" * 64)
        else:
            changed.flat[0] += 1
        forge("b.npz", about, arrays | {name: changed}, new_digest=False)
        with pytest.raises(ValueError, match="contents are not those of its digest"):
            nn.load("b.npz", net, optimizer)
    for changed in ({"extra": {"epoch": 6}}, {"simdrop": "0.0"}):
        forge("b.npz", about | changed, arrays, new_digest=False)
        with pytest.raises(ValueError, match="contents are not those of its digest"):
            nn.load("b.npz", net, optimizer)
    del arrays["sha256"]
    forge("b.npz", about, arrays, new_digest=False)
    with pytest.raises(ValueError, match="contents are not those of its digest"):
        nn.load("b.npz", net, optimizer)


def test_archives_that_no_checkpoint_is():
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    with np.load("a.npz") as npz:
        arrays = dict(npz)
    np.savez_compressed("b.npz", **arrays)
    with pytest.raises(ValueError, match="it is not compressed as NumPy"):
        nn.load("b.npz", net, optimizer)
    for name, message in [
        ("a", "array a cannot be read: it is not in NumPy's format"),
        ("about", "an array twice"),
    ]:
        np.savez("b.npz", **arrays)
        with zipfile.ZipFile("b.npz", "a") as archive:
            archive.writestr(name, b"something")
        with pytest.raises(ValueError, match=message):
            nn.load("b.npz", net, optimizer)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"{" * 100_000, b"\xff", b"1" * 5000, b"[1]", b"null", b"", b"NaN"]
)
def test_json_that_is_none(text):
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    _, arrays = contents("a.npz")
    arrays["about"] = np.frombuffer(text, np.uint8)
    del arrays["sha256"]
    np.savez("a.npz", sha256=np.array(digest(arrays)), **arrays)
    with pytest.raises(ValueError, match="is an .npz file, but no checkpoint"):
        nn.load("a.npz", net, optimizer)


def test_arrays_of_the_other_byte_order():
    """What a machine of that order writes."""
    net, optimizer = make(1)
    steps(net, optimizer, 0, 2)
    nn.save("a.npz", net, optimizer)
    about, arrays = contents("a.npz")
    swapped = {key: a.astype(a.dtype.newbyteorder()) for key, a in arrays.items()}
    forge("b.npz", about, swapped | {"sha256": arrays["sha256"]})
    other, another = make(2)
    nn.load("b.npz", other, another)
    assert all_of(other, another) == all_of(net, optimizer)
    assert all(p.value.dtype.isnative for p in other.parameters())


def test_an_interruption_at_any_line_leaves_all_or_nothing():
    net, optimizer = make(1)
    steps(net, optimizer, 0, 3)
    nn.save("a.npz", net, optimizer)
    wanted, lines, interrupted = all_of(net, optimizer), 0, 0

    def trace(frame, event, argument):
        return count if frame.f_code is nets._put.__code__ else None

    def count(frame, event, argument):
        nonlocal left
        left -= event == "line"
        if left < 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return count

    traced = sys.gettrace()
    while True:
        other, another = make(2)
        steps(other, another, 3, 4)
        before, left = all_of(other, another), lines
        try:
            sys.settrace(trace)
            nn.load("a.npz", other, another)
        except KeyboardInterrupt:
            assert all_of(other, another) == before
            interrupted += 1
        else:
            break
        finally:
            sys.settrace(traced)
        lines += 1
    assert all_of(other, another) == wanted and interrupted > 20


def test_parameters_that_cannot_be_written_to():
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    other, another = make(2)
    other.layers[-1].bias.value.flags.writeable = False
    before = all_of(other, another)
    with pytest.raises(ValueError, match="net/parameter/5 of this net cannot be written to"):
        nn.load("a.npz", other, another)
    assert all_of(other, another) == before


def test_an_optimizer_of_some_of_the_parameters():
    net, _ = make(1)
    optimizer = nn.SGD(net.layers[-1].parameters(), 0.1, momentum=0.5)
    steps(net, optimizer, 0, 2)
    nn.save("a.npz", net, optimizer)
    other, _ = make(2)
    another = nn.SGD(other.layers[-1].parameters(), 0.2)
    nn.load("a.npz", other, another)
    assert all_of(other, another) == all_of(net, optimizer) and another.momentum == 0.5
    before = all_of(*make(2))
    for wrong in (nn.SGD(other.parameters(), 0.1), nn.SGD(other.layers[-1].parameters()[:1], 0.1)):
        with pytest.raises(ValueError, match="it has 2 optimizer.states, and this one has"):
            nn.load("a.npz", *(other, wrong))
    assert before == all_of(*make(2))


class Lion(nn.SGD):
    """Somebody's optimizer, which calls its arguments what it likes."""

    def __init__(self, parameters, rate, *, betas=(0.9, 0.99)):
        super().__init__(parameters, rate)
        self.betas, self.label = list(betas), "lion"


def test_an_optimizer_of_somebody_else():
    net, _ = make(1)
    optimizer = Lion(net.parameters(), 0.1, betas=(0.8, 0.95))
    steps(net, optimizer, 0, 2)
    nn.save("a.npz", net, optimizer)
    other, _ = make(2)
    another = Lion(other.parameters(), 0.3)
    nn.load("a.npz", other, another)
    assert all_of(other, another) == all_of(net, optimizer)
    assert (another.betas, another.label) == ([0.8, 0.95], "lion")


def test_numbers_that_a_schedule_has_set():
    net, optimizer = make(1)
    optimizer.lr = 0.0  # the end of a cosine
    nn.save("a.npz", net, optimizer)
    other, another = make(2)
    nn.load("a.npz", other, another)
    assert another.lr == 0
    optimizer.lr = float("nan")
    before = Path("a.npz").read_bytes()
    with pytest.raises(ValueError, match="lr is nan; wanted a number that is finite"):
        nn.save("a.npz", net, optimizer)
    assert Path("a.npz").read_bytes() == before


# What a net is


def dense(activation="relu", p=0.5, **options):
    return nn.Dense(4, 6, p, sd.Stream(0), activation=activation, rng=0, **options)


def network(*layers, criterion=nn.SoftmaxCrossEntropy):
    return nn.Network([*layers, nn.Linear(6, 3, rng=0)], criterion)


ramp = sd.schedule.linear(0.1, 0.5, 100)


@pytest.mark.parametrize(
    "saved, here, message",
    [
        (
            lambda: network(dense("relu")),
            lambda: network(dense("tanh")),
            r"another net .*: its layers\[0\].activation is 'relu', and here 'tanh'",
        ),
        (
            lambda: network(nn.Linear(4, 6, rng=0), nn.ReLU()),
            lambda: network(nn.Linear(4, 6, rng=0), nn.Tanh()),
            r"its layers\[1\].layer is 'ReLU', and here 'Tanh'",
        ),
        (
            lambda: network(dense(inverted=False)),
            lambda: network(dense()),
            r"its layers\[0\].inverted is False, and here True",
        ),
        (
            lambda: network(dense(p=0.25, inverted=False)),
            lambda: network(dense(p=0.5, inverted=False)),
            "p is 0.25, and here 0.5",
        ),
        (
            lambda: network(dense(p=ramp, inverted=False)),
            lambda: network(dense(p=0.5, inverted=False)),
            r"p is 'linear\(start=0.1, end=0.5, steps=100\)'",
        ),
        (
            lambda: network(dense(p=lambda step: 0.5, inverted=False)),
            lambda: network(dense(p=ramp, inverted=False)),
            "p is '.*<lambda>', and here 'linear",
        ),
        (
            lambda: network(dense(), criterion=nn.SquaredError),
            lambda: network(dense()),
            "its criterion is 'SquaredError', and here 'SoftmaxCrossEntropy'",
        ),
        (
            lambda: network(dense(), nn.DropPath(0.5, sd.Stream(0))),
            lambda: network(dense(), nn.GaussianDropout(0.5, sd.Stream(0))),
            "layer is 'DropPath', and here 'GaussianDropout'",
        ),
        (
            lambda: network(dense(), nn.Transform(sd.drop_path, 0.5, stream=sd.Stream(0))),
            lambda: network(dense(), nn.Transform(sd.alpha_dropout, 0.5, stream=sd.Stream(0))),
            "transform is 'drop_path'",
        ),
        (
            lambda: network(nn.Linear(4, 6, rng=0)),
            lambda: network(nn.DropConnect(4, 6, 0.5, rng=0)),
            "layer is 'Linear'",
        ),
        (
            lambda: nn.MLP((4, 6, 3), dropout="batchwise", rng=0),
            lambda: nn.MLP((4, 6, 3), dropout="batchwise", activation="sigmoid", rng=0),
            "activation is 'relu'",
        ),
        (
            lambda: nn.MLP((4, 6, 3), dropout="batchwise", inverted=False, rng=0),
            lambda: nn.MLP((4, 6, 3), dropout="batchwise", inverted=False, p_input=0.3, rng=0),
            "p is 0.2",
        ),
    ],
)
def test_another_function_is_an_error_and_changes_nothing(saved, here, message):
    net, other = saved(), here()
    nn.save("a.npz", net)
    for parameter in other.parameters():
        parameter.value += 1
    before = [p.value.tobytes() for p in other.parameters()], [s.state for s in other.streams()]
    with pytest.raises(ValueError, match=message):
        nn.load("a.npz", other)
    after = [p.value.tobytes() for p in other.parameters()], [s.state for s in other.streams()]
    assert before == after
    nn.load("a.npz", saved())


@pytest.mark.parametrize(
    "saved, here",
    [
        (lambda: network(dense(p=0.5)), lambda: network(dense(p=0.2))),
        (lambda: network(dense(p=ramp)), lambda: network(dense(p=lambda step: 0.1))),
        (
            lambda: network(dense(p=np.float64(0.5), inverted=False)),
            lambda: network(dense(p=0.5, inverted=False)),
        ),
        (
            lambda: network(dense(p=ramp, inverted=False)),
            lambda: network(dense(p=sd.schedule.linear(0.1, 0.5, 100), inverted=False)),
        ),
        (
            lambda: network(dense(), nn.Dropout(0.5, sd.Stream(0), shared_axes=(0,))),
            lambda: network(dense(), nn.Dropout(0.1, sd.Stream(0))),
        ),
        (
            lambda: network(dense(), nn.ActivityL1(0.5)),
            lambda: network(dense(), nn.ActivityL1(0.1)),
        ),
        (
            lambda: network(nn.DropConnect(4, 6, 0.5, rng=0)),
            lambda: network(nn.DropConnect(4, 6, 0.1, per_sample=True, rng=0)),
        ),
        (
            lambda: network(dense(), nn.GaussianNoise(0.5, sd.Stream(0))),
            lambda: network(dense(), nn.GaussianNoise(0.1, sd.Stream(0))),
        ),
    ],
)
def test_what_is_for_training_alone_may_differ(saved, here):
    """And what evaluation computes is the same, bit for bit."""
    net, other = saved(), here()
    for parameter in net.parameters():
        parameter.value += 0.1
    nn.save("a.npz", net)
    nn.load("a.npz", other)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert net.eval()(x).tobytes() == other.eval()(x).tobytes()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "activation": st.sampled_from(["relu", "tanh", "sigmoid", "identity"]),
                "p": st.sampled_from([0.1, 0.5, ramp]),
                "p_input": st.sampled_from([0.0, 0.2]),
                "inverted": st.booleans(),
                "dropout": st.sampled_from(["elementwise", "batchwise"]),
                "activity_l1": st.sampled_from([0.0, 0.1]),
            }
        ),
        min_size=2,
        max_size=2,
    )
)
def test_a_net_that_takes_a_checkpoint_computes_what_the_saved_one_does(both):
    net, other = (nn.MLP((4, 6, 5, 3), rng=seed, **each) for seed, each in enumerate(both))
    file = io.BytesIO()
    nn.save(file, net)
    file.seek(0)
    try:
        nn.load(file, other)
    except ValueError as error:
        assert both[0] != both[1] and "of another net" in str(error) or "layers" in str(error)
    else:
        x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
        assert net.eval()(x).tobytes() == other.eval()(x).tobytes()


def layers_with(argument):
    """Each class of layers that has the argument, as a function of others."""
    needed = {"n_in": 4, "n_out": 6, "rng": 0, "block_size": 3}
    for name in nn.__all__:
        kind = getattr(nn, name)
        if not (isinstance(kind, type) and issubclass(kind, nn.Layer)):
            continue
        arguments = inspect.signature(kind).parameters
        if argument in arguments:
            given = {key: value for key, value in needed.items() if key in arguments}
            yield functools.partial(kind, stream=sd.Stream(0), **given)


def test_p_is_part_of_what_a_layer_is_where_evaluation_multiplies_by_it():
    made = list(layers_with("inverted"))
    assert len(made) >= 2
    for make_layer in made:
        inverted = [make_layer(p=p).describe() for p in (0.25, 0.5, ramp)]
        classic = [make_layer(p=p, inverted=False).describe() for p in (0.25, 0.5, ramp)]
        assert inverted[0] == inverted[1] == inverted[2]
        assert all(
            json.dumps(one) != json.dumps(other)
            for one, other in itertools.combinations([inverted[0], *classic], 2)
        )
        again = make_layer(p=sd.schedule.linear(0.1, 0.5, 100), inverted=False).describe()
        assert classic[2] == again == json.loads(json.dumps(again))


class Doubled(nn.Layer):
    """Somebody's layer, which counts its calls and has a factor of its own."""

    def __init__(self, factor):
        self.factor, self.calls = factor, 0

    def __call__(self, x):
        self.calls += 1
        return self.factor * x

    def backward(self, dy):
        return self.factor * dy

    def describe(self):
        return super().describe() | {"factor": (self.factor, np.float32(1))}


def test_a_layer_of_somebody_else():
    net = network(dense(), Doubled(2))
    net(np.ones((2, 4), np.float32))
    nn.save("a.npz", net)
    nn.load("a.npz", network(dense(), Doubled(2)))
    with pytest.raises(ValueError, match=r"its layers\[1\].factor\[0\] is 2, and here 3"):
        nn.load("a.npz", network(dense(), Doubled(3)))


def spoil(path, how):
    """Make a file of a checkpoint's name that is none."""
    if how == "text":
        path.write_text("not what it should be")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "npz":
        np.savez(path, a=np.zeros(3))
    elif how == "version":
        rewritten(path, version=1)
    elif how == "format":
        rewritten(path, format="another")


SPOILT = {
    "text": "is no checkpoint: it starts with 6e 6f 74 20",
    "empty": "is no checkpoint: it starts with no byte",
    "truncated": "is a damaged checkpoint",
    "npz": "is an .npz file, but no checkpoint",
    "version": "is a checkpoint of version 1; this simdrop",
    "format": "is an .npz file, but no checkpoint",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_is_no_checkpoint(how):
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    spoil(Path("a.npz"), how)
    with pytest.raises(ValueError, match=SPOILT[how]):
        nn.load("a.npz", net, optimizer)


@given(st.data())
def test_damage_is_never_read_as_something_else(data):
    net, optimizer = make(1)
    steps(net, optimizer, 0, 2)
    wanted = all_of(net, optimizer)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "a.npz")
        nn.save(path, net, optimizer, {"epoch": 5})
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            whole[at] ^= data.draw(st.integers(1, 255))
        else:
            del whole[at:]
        path.write_bytes(whole)
        other, its_optimizer = make(2)
        before = all_of(other, its_optimizer)
        try:
            extra = nn.load(path, other, its_optimizer)
        except ValueError:
            assert all_of(other, its_optimizer) == before
        else:  # the date of a member, say
            assert (extra, all_of(other, its_optimizer)) == ({"epoch": 5}, wanted)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_alone(monkeypatch, fails, error):
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    before = Path("a.npz").read_bytes()
    steps(net, optimizer, 0, 1)

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, fails, fail)
        with pytest.raises(type(error)):
            nn.save("a.npz", net, optimizer)
    assert os.listdir() == ["a.npz"] and Path("a.npz").read_bytes() == before


def test_a_write_beyond_the_limit_of_a_file(folder):
    """The system itself refuses the last bytes."""
    net, optimizer = make(1, sizes=(40, 40, 3))
    nn.save("a.npz", net, optimizer)
    before = Path("a.npz").read_bytes()
    steps(net, optimizer, 0, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - 100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            nn.save("a.npz", net, optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir() == ["a.npz"] and Path("a.npz").read_bytes() == before


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    net, optimizer = make(1)
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere" / "real.npz", "link.npz")
    nn.save("link.npz", net, optimizer)
    assert os.path.islink("link.npz") and os.listdir(tmp_path / "elsewhere") == ["real.npz"]
    nn.load("link.npz", net, optimizer)


def test_writers_at_the_same_time_wait_for_each_other():
    made = [make(seed) for seed in range(4)]
    wanted = [all_of(*pair) for pair in made]
    nn.save("a.npz", *made[0])

    def write(pair):
        for _ in range(10):
            nn.save("a.npz", *pair)

    threads = [threading.Thread(target=write, args=(pair,)) for pair in made]
    for thread in threads:
        thread.start()
    reader, reads = make(9), 0
    while any(thread.is_alive() for thread in threads) or reads == 0:
        nn.load("a.npz", *reader)
        assert all_of(*reader) in wanted
        reads += 1
    assert os.listdir() == ["a.npz"]


# simdrop train --checkpoint

# All in one process that has imported what it needs: a killed one is a fork of it, which is fast.
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


# What a background job and `nohup` leave ignored would stay so.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from simdrop.cli.main import main
sys.exit(main())
"""


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-c", START, "train", "--hidden", "8", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


def finish(process):
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize("which, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_writes_a_last_checkpoint(small, which, code):
    words = ["--data", small, "--epochs", "1000000", "--checkpoint", "run.npz"]
    process = start(*words)
    for _ in range(6):  # the title and five epochs' lines
        assert process.stdout.readline()
    process.send_signal(getattr(signal, which))
    ended, out, err = finish(process)
    assert (ended, err) == (code, "simdrop: interrupted; --resume goes on from 'run.npz'\n")
    runs = nets.read("run.npz").extra["runs"]  # not the one of the start: the next is in a minute
    assert all(len(run["history"]) >= 2 for run in runs.values())
    assert os.listdir() == ["run.npz"]


def test_a_system_without_one_of_the_signals(small, monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
    assert train(small) == 0 and len(content("run.npz")[1]["runs"]["with"]["history"]) == 3


def test_a_reader_that_goes_away_writes_a_last_checkpoint(small):
    process = start("--data", small, "--epochs", "1000000", "--checkpoint", "run.npz")
    for _ in range(6):  # the title and five epochs' lines
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
    assert first.startswith("No checkpoint 'run.npz': starting anew\n")
    assert main(["train", "--data", small, *SMALL, "--checkpoint", "run.npz", "--resume"]) == 0
    again = capsys.readouterr().out
    assert again.startswith(
        "Going on from 'run.npz': 3 of 3 epochs without dropout, 3 of 3 epochs with dropout are "
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
        "--checkpoint 'run.npz' exists; add --resume to go on from it, or remove it"
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
    images = sources.load(small)
    chosen_settings = chosen("--data", small, *SMALL, *words)
    described = checkpoint.describe(images, chosen_settings)
    per_epoch = loop.batches_an_epoch(
        data.hold_out(images, chosen_settings.validation, 0), chosen_settings
    )
    runs = loop.make_runs(images, chosen_settings)
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
            checkpoint.resume(Path("b.npz"), runs, described, per_epoch)
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
        "--resume: 'run.npz' is of another training: --hidden was 8 and is 8,8; --lr was 0.05 and "
        "is 0.01; --max-norm was none and is 3.0"
    )
    with np.load(small) as arrays:
        changed = dict(arrays)
    changed["x_test"][0, 0] += 1
    np.savez(small, **changed)
    assert train(small, "--resume") == 2
    assert one_error_line(capsys) == (
        "--resume: 'run.npz' is of another training: the data has other numbers in x_test"
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
    process = start(*words, "--checkpoint-every", "100steps")
    for _ in range(10):  # the title and nine epochs' lines
        assert process.stdout.readline()
    fill(tiny_disk)
    warning = process.stderr.readline()
    wanted = f"simdrop: warning: --checkpoint '{path}' cannot be written: No space left on device;"
    assert warning.startswith(wanted) and "the training goes on" in warning
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


# Presets and results


def chosen(*words):
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    return options.settings_from(parser.parse_args(words))


def test_presets_and_what_overrides_them():
    plain = chosen("--preset", "mnist-maxnorm")
    assert (plain.hidden, plain.only, plain.p, plain.p_input) == ((1024,) * 3, "with", 0.5, 0.2)
    assert plain.max_norm is not None
    words = ["--preset", "mnist-maxnorm", "--max-norm", "none", "--p", "0.3", "--only", "both"]
    other = chosen(*words, "--epochs", "2", "--batch-size", "10")
    assert (other.max_norm, other.p, other.only, other.epochs) == (None, 0.3, "both", 2)
    assert (other.batch_size, other.optimizer, other.lr) == (10, plain.optimizer, plain.lr)
    # Another optimizer has a rate of its own.
    sgd = chosen("--preset", "mnist-maxnorm", "--optimizer", "sgd", "--nesterov")
    assert (sgd.lr, sgd.momentum, sgd.nesterov) == (0.05, 0.9, True)
    assert (plain.lr, plain.momentum, sgd.max_norm) == (0.001, 0.0, plain.max_norm)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(small, name):
    """On small nets: none has settings that do not go together."""
    assert chosen("--preset", name).epochs == PRESETS[name]["epochs"]
    words = ["--data", small, "--preset", name, *SMALL, "--quiet", "--results", "r.json"]
    assert main(["train", *words]) == 0
    results = json.loads(Path("r.json").read_text())
    only = PRESETS[name]["only"]
    assert set(results["runs"]) == ({"without", "with"} if only == "both" else {only})
    wanted = PRESETS[name] | {"hidden": [8], "epochs": 3, "batch_size": 20}
    assert {key: results["settings"][key] for key in wanted} == wanted


def test_results_are_those_of_the_table(small, capsys):
    words = ["--data", small, *SMALL, "--seed", "4", "--results", "r.json"]
    assert main(["train", *words]) == 0
    out = capsys.readouterr().out
    results = json.loads(Path("r.json").read_text())
    assert results["settings"]["seed"] == 4 and results["data"] == "small"
    for name, run in results["runs"].items():
        row = next(line for line in out.splitlines() if line.startswith(f" {name} "))
        for part in ("train", "validation", "test"):
            assert f"{100 * run[f'{part}_error']:.2f} %" in row
        assert run["epochs"] == len(run["history"]) == 3
        assert run["test_examples_wrong"] == round(60 * run["test_error"])
        assert run["seconds"] == sum(epoch["seconds"] for epoch in run["history"])
    assert list(results["runs"]) == ["without", "with"]


def test_training_on_all_examples(small, capsys):
    words = ["--data", small, *SMALL, "--validation", "0", "--only", "with", "--results", "r.json"]
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "Trained on 120 examples, validated on 0, tested on 60:" in out
    assert "without" not in out and "validation error 1" not in out
    run = json.loads(Path("r.json").read_text())["runs"]["with"]
    assert run["validation_error"] is None and run["history"][0]["validation_loss"] is None
    assert f"{run['test_examples_wrong']} test examples are wrong with dropout." in out


# nn.ActivityL1


def test_the_penalty_on_activities_is_the_gradient_of_their_sum():
    rng = np.random.default_rng(0)
    layer = nn.ActivityL1(0.3)
    x = rng.normal(size=(5, 4))
    assert layer(x) is x
    dx = layer.backward(np.zeros_like(x))
    np.testing.assert_allclose(dx, 0.3 * np.sign(x) / 5)
    np.testing.assert_allclose(layer.backward(x), x + dx)
    layer.eval()(x)
    assert layer.backward(x) is x
    assert layer(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="strength must be at least 0 and finite, got nan"):
        nn.ActivityL1(float("nan"))
    with pytest.raises(ValueError, match="strength must be at least 0 and finite, got -1"):
        nn.MLP((3, 4, 2), activity_l1=-1)


def test_the_penalty_makes_activities_small():
    def activity(strength):
        net = nn.MLP((4, 20, 3), p=0, p_input=0, activity_l1=strength, rng=0)
        optimizer = nn.SGD(net.parameters(), 0.1)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50)
        for _ in range(100):
            net.train_step(x, y, optimizer)
        return np.abs(net.layers[1](x)).mean()

    assert activity(0.1) < 0.5 * activity(0.0)
