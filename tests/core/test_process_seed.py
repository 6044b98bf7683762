"""`simdrop.seed`: what it decides, and what it leaves alone."""

import threading

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd
from simdrop import fused, nn


@pytest.fixture(autouse=True)
def unseeded():
    """Other tests draw as in a fresh process."""
    yield
    sd.seed()


def key_and_draw(context):
    return context.key, context.draw


X = np.ones((4, 6), np.float32)
UNNAMED = {
    "dropout": lambda: key_and_draw(sd.dropout(X)[1]),
    "alpha_dropout": lambda: key_and_draw(sd.alpha_dropout(X)[1]),
    "gaussian_dropout": lambda: key_and_draw(sd.gaussian_dropout(X)[1]),
    "gaussian_noise": lambda: key_and_draw(sd.gaussian_noise(X, 1)[1]),
    "drop_path": lambda: key_and_draw(sd.drop_path(X, 0.5)[1]),
    "drop_block": lambda: key_and_draw(sd.drop_block(X, 0.5, 2)[1].corners),
    "drop_connect": lambda: key_and_draw(sd.drop_connect(X, 0.5)[1]),
    "drop_connect_matmul": lambda: key_and_draw(sd.drop_connect_matmul(X, X.T, 0.5)[1].mask),
    "embedding_dropout": lambda: key_and_draw(sd.embedding_dropout(X, 0.5)[1]),
    "locked_dropout": lambda: key_and_draw(sd.locked_dropout(X, 0.5)[1]),
    "zoneout": lambda: key_and_draw(sd.zoneout(X, X, 0.5)[1].mask),
    "bias_dropout": lambda: key_and_draw(fused.bias_dropout(X, X[0])[1].mask),
    "dropout_add": lambda: key_and_draw(fused.dropout_add(X, X)[1].mask),
    "relu_dropout": lambda: key_and_draw(fused.relu_dropout(X)[1].mask),
    "Stream": lambda: sd.Stream().key,
    "BitGenerator": lambda: key_and_draw(sd.BitGenerator()),
    "its children": lambda: np.random.Generator(sd.BitGenerator()).spawn(1)[0].bit_generator.key,
    "theory": lambda: sd.theory.monte_carlo(lambda x: x.sum(1), np.ones(40), 0.5, 50)[0],
    "nn.Linear": lambda: nn.Linear(3, 2, rng=None).weight.value.tobytes(),
    "nn.DropConnect": lambda: nn.DropConnect(3, 2, 0.5, rng=None).weight.value.tobytes(),
    "nn.Dropout": lambda: nn.Dropout(0.5)(X).tobytes(),
    "nn.MLP": lambda: (
        (net := nn.MLP((3, 50, 2))).stream.key,
        net.parameters()[0].value.tobytes(),
    ),
    "predict_mc": lambda: nn.MLP((3, 50, 2), rng=0).predict_mc(np.ones((2, 3)), 5).std.tobytes(),
}


@pytest.mark.parametrize("unnamed", UNNAMED.values(), ids=UNNAMED)
def test_it_decides_every_unnamed_draw(unnamed):
    def twice(seed):
        sd.seed(seed)
        return unnamed(), unnamed()

    first = twice(7)
    assert first == twice(7)
    assert first[0] != first[1] and first[0] != twice(8)[0]
    sd.seed()
    assert unnamed() not in first


SEEDS = st.integers(0, 2**130) | st.lists(st.integers(0, 2**64), max_size=4)


@settings(max_examples=50)
@given(SEEDS)
def test_its_draws_are_those_of_a_stream_with_the_same_seed(seed):
    given = [seed, np.random.SeedSequence(seed)]
    if isinstance(seed, list):
        given += [tuple(seed), np.array(seed, np.uint64 if seed else np.int64)]
    for one in given:
        sd.seed(one)
        stream = sd.Stream(one)
        masks = [sd.dropout(np.ones(5), 0.25)[1] for _ in range(3)]
        assert masks == [stream.mask(5, 0.25) for _ in range(3)]
        assert sd.Stream().key == stream.spawn(1)[0].key
        assert masks[0].key == oracle.key_from_seed(seed)


def test_what_was_made_before_stays_as_it_is():
    sd.seed(1)
    stream, net, expected = sd.Stream(), nn.MLP((3, 4, 2)), sd.Stream(1).spawn(2)[0]
    state = net.stream.state
    stream.mask(3)
    sd.seed(1)
    assert stream.state == expected.state | {"draw": 1}
    assert net.stream.state == state


def test_what_names_its_source_neither_follows_nor_moves_it():
    sd.seed(3)
    expected = key_and_draw(sd.dropout(X)[1])
    sd.seed(3)
    masks = [sd.dropout(X, rng=rng)[1] for rng in (0, [1, 2], sd.Stream(5))]
    sd.dropout(X, training=False)
    sd.dropout(X, rng=np.random.default_rng(0))
    nn.MLP((3, 4, 2), rng=0)
    assert key_and_draw(sd.dropout(X)[1]) == expected
    assert masks == [sd.dropout(X, rng=rng)[1] for rng in (0, [1, 2], sd.Stream(5))]


@pytest.mark.parametrize(
    "seed",
    [1.0, "1", b"1", [0.5], sd.Stream(0), np.random.default_rng(0), np.random.PCG64(0), {}],
    ids=lambda seed: type(seed).__name__,
)
def test_what_is_no_seed_is_an_error_and_changes_nothing(seed):
    sd.seed(4)
    with pytest.raises(TypeError, match="seed must be None, an int, a sequence of ints or a NumPy"):
        sd.seed(seed)
    with pytest.raises(ValueError, match="-1 was given as a seed, but seeds must not be negative"):
        sd.seed(-1)
    with pytest.raises(ValueError):
        sd.seed([3, -1])
    assert sd.dropout(X)[1] == sd.dropout(X, rng=4)[1]


def test_threads_share_its_draws():
    """All of one stream, each once, whichever thread gets it."""
    sd.seed(6)
    taken = []

    def work():
        for _ in range(50):
            taken.append(key_and_draw(sd.dropout(X)[1]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [(sd.Stream(6).key, draw) for draw in range(200)]
    sd.seed(np.random.SeedSequence(6))
    assert key_and_draw(sd.dropout(X)[1]) == (sd.Stream(6).key, 0)
