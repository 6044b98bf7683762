"""How objects are shown: a repr of every public class is short, of huge instances, too."""

import inspect

import numpy as np
import pytest

import simdrop as sd
from simdrop import fused, nn, schedule, submatrix

KEY = bytes(range(16))
LARGEST = 2**56 - 1  # number of a draw
HUGE = (10**6, 10**6)
STREAM = sd.Stream(0)
STREAM.state = {"stream": 1, "key": KEY.hex(), "draw": LARGEST, "spawned": LARGEST}
X, WIDE = np.ones((2, 3)), np.ones((1000, 1000))
P = np.linspace(0, 1, 1000)
STORED = np.arange(10**6) % 3 == 0


def units(n=3, p=0.5):
    return nn.Units(n, p, STREAM)


def net(*sizes, **options):
    return nn.MLP(sizes, rng=0, **options)


def layers(n):
    return [nn.Linear(2, 2, rng=i) for i in range(n)]


def history(epochs=0):
    record = nn.History(nn.Adam(net(2, 2).parameters()))
    for epoch in range(epochs):
        record._add(nn.history.Epoch(1e-17 / 3 + epoch, 12345.678, 1 / 3, 0.1))
    record.stopped = "interrupted" if epochs else None
    return record


def prediction(batch, n_out):
    return net(2, n_out).predict_mc(np.ones((batch, 2)), 2, rng=0)


# Small and huge instances of each class.
INSTANCES = {
    sd.AlphaDropoutContext: [lambda n: sd.AlphaDropoutContext(KEY, LARGEST, 1 / 3, n)],
    sd.BitGenerator: [lambda n: sd.BitGenerator(0)],
    sd.Draw: [
        lambda n: sd.Draw(KEY, LARGEST, n, shared_axes=1),
        lambda n: sd.Draw(KEY, LARGEST, n).window((1, 1), (1, 1)),
    ],
    sd.DropBlockContext: [lambda n: sd.drop_block(X, 0.3, 1, rng=0)[1]],
    sd.DropConnectMatmulContext: [lambda n: sd.drop_connect_matmul(X, X.T, 0.5, rng=0)[1]]
    + [lambda n: sd.drop_connect_matmul(WIDE[:2], WIDE[:, :2], 0.5, rng=0)[1]],
    sd.EmbeddingDropoutContext: [
        lambda n: sd.embedding_dropout(WIDE, 0.5, indices=np.arange(1000), rng=0)[1],
        lambda n: sd.embedding_dropout(X, 0.5, indices=[1], rng=0)[1],
    ],
    sd.GaussianDropoutContext: [lambda n: sd.GaussianDropoutContext(KEY, LARGEST, 1 / 3, n)],
    sd.GaussianNoiseContext: [lambda n: sd.GaussianNoiseContext(KEY, LARGEST, 1 / 3, n)],
    sd.Mask: [
        lambda n: sd.Mask(KEY, LARGEST, 1 / 3, n, shared_axes=(0, 1), scale=False),
        lambda n: sd.Mask(KEY, LARGEST, P, (10**6, 1000)).window((1, 0), (1, 1000)),
        lambda n: sd.Mask(KEY, LARGEST, 1 / 3, n).window((1, 1), (1, 2)),
    ],
    sd.StoredMask: [
        lambda n: sd.Mask.from_keep(STORED, 1 / 3, scale=False),
        lambda n: sd.Mask.from_keep(STORED[:256], 1 / 3, scale=False),
        lambda n: sd.Mask.from_keep(STORED[:1], 1 / 3),
    ],
    sd.Stream: [lambda n: sd.Stream(0), lambda n: STREAM],
    sd.ZoneoutContext: [lambda n: sd.zoneout(WIDE, WIDE, 1 / 3, rng=0)[1]],
    fused.BiasDropoutContext: [
        lambda n: fused.bias_dropout(WIDE, WIDE[0], 1 / 3, activation="sigmoid", rng=0)[1],
        lambda n: fused.bias_dropout(X, X[0], rng=0)[1],
    ],
    fused.DropoutAddContext: [lambda n: fused.dropout_add(WIDE, WIDE, 1 / 3, rng=0)[1]],
    fused.ReluDropoutContext: [lambda n: fused.relu_dropout(WIDE, 1 / 3, rng=0)[1]],
    submatrix.Kept: [lambda n: submatrix.Kept(sd.Mask.from_keep(STORED))],
    schedule.linear: [lambda n: schedule.linear(1 / 3, 2 / 3, 10**9)],
    schedule.cosine: [lambda n: schedule.cosine(1 / 3, 2 / 3, 10**9)],
    schedule.curriculum: [lambda n: schedule.curriculum(1 / 3, 1 / 3)],
    nn.MLP: [
        lambda n: net(2, 2),
        lambda n: net(*range(100, 151), p=list(np.linspace(0, 1, 49)), loss="poisson"),
        lambda n: net(*[10] * 50, p=schedule.linear(0, 0.5, 10), dropout="batchwise"),
    ],
    nn.Network: [lambda n, k=k: nn.Network(layers(k), nn.SquaredError) for k in (1, 50)],
    nn.SGD: [lambda n: nn.SGD(net(2, 2).parameters(), 1 / 3, momentum=1 / 3, nesterov=True)]
    + [lambda n: nn.SGD(net(*[2] * 50).parameters(), 1 / 3, l1=1 / 3, l2=1 / 3, max_norm=1 / 3)],
    nn.Adam: [lambda n: nn.Adam(net(2, 2).parameters(), beta1=1 / 3, beta2=1 / 3, eps=1 / 3)],
    nn.Parameter: [lambda n: nn.Parameter(WIDE.copy(), "weight")],
    nn.Prediction: [lambda n: prediction(1, 2), lambda n: prediction(1000, 50)],
    nn.History: [lambda n: history(), lambda n: history(1000)],
    nn.Predictor: [
        lambda n: nn.Predictor(net(2, 2)),
        lambda n: nn.Predictor(net(*range(100, 151)), signature()),
    ],
    nn.Signature: [lambda n: nn.Signature(), lambda n: signature()],
    nn.Scaling: [lambda n: nn.Scaling("none"), lambda n: signature().scaling],
    nn.Column: [lambda n: nn.Column("size"), lambda n: signature().columns[0]],
    nn.Shard: [lambda n: nn.Shard(10**6, 10**9)],
    nn.Units: [lambda n: units(), lambda n: units(10**6, schedule.linear(0, 1 / 3, 10**6))],
    nn.KeptInputs: [lambda n: nn.KeptInputs(units(10**6))],
    nn.BatchwiseDense: [lambda n: nn.BatchwiseDense(units(1000), units(1000), rng=0)],
    nn.Dense: [lambda n: nn.Dense(1000, 1000, 1 / 3, STREAM, inverted=False, rng=0)],
    nn.Linear: [lambda n: nn.Linear(1000, 1000, rng=0)],
    nn.DropConnect: [lambda n: nn.DropConnect(1000, 1000, 1 / 3, STREAM, rng=0)],
    nn.ActivityL1: [lambda n: nn.ActivityL1(1 / 3)],
    nn.Transform: [lambda n: nn.Transform(sd.dropout, 1 / 3, shared_axes=(0, 1, 2, 3))],
    nn.DropBlock: [lambda n: nn.DropBlock(1 / 3, 7, STREAM)],
    **{
        cls: [lambda n, cls=cls: cls(1 / 3)]
        for cls in (
            nn.AlphaDropout,
            nn.Dropout,
            nn.DropPath,
            nn.GaussianDropout,
            nn.GaussianNoise,
            nn.LockedDropout,
        )
    },
    **{
        cls: [lambda n, cls=cls: cls()]
        for cls in (nn.GELU, nn.Identity, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Tanh)
    },
}


def signature():
    columns = tuple(nn.Column("x" * 1000, tuple(map(str, range(100)))) for _ in range(1000))
    scaling = nn.Scaling("standard", np.arange(10_000.0) / 3, np.ones(10_000) / 3)
    return nn.Signature(tuple(range(1000)), scaling, columns=columns, target="y" * 1000)


CASES = [(cls, make) for cls, makes in INSTANCES.items() for make in makes]
MOST = 240  # characters: two lines


def public_classes():
    """Those that have instances, of every module that needs no framework."""
    found = set()
    for module in (sd, fused, submatrix, nn, schedule):
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        found |= {
            getattr(module, name) for name in names if isinstance(getattr(module, name), type)
        }
    never = {fused.Context, nn.Loss, *nn.Loss.__subclasses__(), schedule.Ramp, schedule.Values}
    return {cls for cls in found if not inspect.isabstract(cls)} - never


def test_the_list_has_every_public_class():
    assert public_classes() == set(INSTANCES)


@pytest.mark.parametrize(("cls", "make"), CASES, ids=[cls.__name__ for cls, _ in CASES])
def test_a_repr_is_short_and_names_the_class(cls, make):
    for shape in ((2, 3), HUGE):
        one = make(shape)
        assert type(one) is cls
        written = repr(one)
        assert written.startswith(f"{cls.__name__}(")
        assert len(written) <= MOST and written.count("\n") <= 1


@pytest.mark.parametrize(("cls", "make"), CASES, ids=[cls.__name__ for cls, _ in CASES])
def test_what_a_notebook_shows_takes_no_draw(cls, make):
    one = make(HUGE)
    if not hasattr(one, "_repr_html_"):
        return
    before = STREAM.state, repr(one)
    html = one._repr_html_()
    assert cls.__name__ in html and len(html) < 20_000
    assert before == (STREAM.state, repr(one))


def test_numbers_in_reprs():
    optimizer = nn.Adam(net(784, 100, 10).parameters(), 0.01, max_norm=3)
    assert repr(optimizer) == "Adam(4 parameters, lr=0.01, max_norm=3.0, steps=0)"
    optimizer.step()
    optimizer.lr = 0.5
    assert repr(optimizer) == "Adam(4 parameters, lr=0.5, max_norm=3.0, steps=1)"
    assert repr(nn.Network(layers(2), nn.SquaredError)) == (
        "Network(2-2-2, 2 layers, 12 parameters, SquaredError)"
    )
    assert repr(net(784, 100, 50, 10, p=[0.5, 0.25])) == (
        "MLP(784-100-50-10, relu, p=(0.5, 0.25), p_input=0.2)"
    )
    assert repr(net(3, 2)) == "MLP(3-2, p_input=0.2)"
    assert repr(net(3, 3, 2, activation="tanh", inverted=False, activity_l1=0.5)) == (
        "MLP(3-3-2, tanh, p=0.5, p_input=0.2, inverted=False, activity_l1=0.5)"
    )
    assert repr(units()) == "Units(3, p=0.5)"
    assert repr(sd.BitGenerator(0)) == f"BitGenerator(key={sd.Stream(0).key.hex()}, draw=0, word=0)"
    context = fused.bias_dropout(X, X[0], rng=0, activation="relu")[1]
    assert (
        repr(context) == f"BiasDropoutContext({context.mask!r}, dtype=float64, activation='relu')"
    )


def test_small_arrays_are_written_out_and_large_ones_are_not():
    small = sd.Mask(KEY, 0, np.array([0.25, 0.5, 0.75]), (2, 3))
    assert "p=np.array([0.25, 0.5, 0.75])" in repr(small)
    assert "p=<array of shape (1000,)>" in repr(sd.Mask(KEY, 0, P, (2, 1000)))
    assert "indices=<array of shape (1000,)>" in repr(
        sd.embedding_dropout(WIDE, 0.5, indices=np.arange(1000), rng=0)[1]
    )


def test_a_net_is_printed_with_a_line_for_each_layer():
    for one in (net(4, 3, 2), nn.Network(layers(50), nn.SquaredError)):
        first, *lines, last = str(one).splitlines()
        assert (first, last) == (f"{type(one).__name__}(", ")")
        assert [line.strip() for line in lines] == [f"{layer!r}," for layer in one.layers]
