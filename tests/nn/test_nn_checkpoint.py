"""nn.save and nn.load: training continues bit for bit, and nothing damaged is ever loaded."""

import functools
import inspect
import io
import itertools
import json
import os
import resource
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from checkpoints import (
    OPTIMIZERS,
    SPOILT,
    all_of,
    contents,
    digest,
    forge,
    make,
    spoil,
    steps,
    variants,
)
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _files, nn
from simdrop.nn import checkpoint as nets
from simdrop.nn.activations import ACTIVATIONS

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


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
    assert (about["format"], about["version"]) == ("simdrop checkpoint", 3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sizes": (4, 6, 5, 2)}, r"net/parameter/4 is 'float32 \(5, 3\)', and here 'float32"),
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

    # What `nn.open` alone reads, `test_nn_open` damages.
    for where, what, wrong in variants(about, skip=[("extra",), ("nets", "net", "mlp")]):
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


def test_archives_that_are_no_checkpoint():
    net, optimizer = make(1)
    nn.save("a.npz", net, optimizer)
    with np.load("a.npz") as npz:
        arrays = dict(npz)
    np.savez_compressed("b.npz", **arrays)
    with pytest.raises(ValueError, match="cannot be read: its compression is not supported"):
        nn.load("b.npz", net, optimizer)
    for name, message in [
        ("a", "array a cannot be read: it is not in NumPy's"),
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
        return count if frame.f_code is nets.put.__code__ else None

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
                "activation": st.sampled_from(list(ACTIVATIONS)),
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
