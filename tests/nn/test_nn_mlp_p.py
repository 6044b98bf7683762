"""A p of each hidden layer: what it is the same as, what copies and checkpoints keep, errors."""

import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import SIZES, batch_for, weights

from simdrop import nn, schedule

FORMS = pytest.mark.parametrize("dropout", ["elementwise", "batchwise"])


def shown(net):
    """p of the input and of each hidden layer."""
    layers = net.layers[:-1]
    if isinstance(layers[0], nn.KeptInputs):
        return [layers[0].units.p, *(layer.units_out.p for layer in layers[1:])]
    return [layer.p for layer in layers]


@FORMS
@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_each_hidden_layer_has_its_own(dropout, ps):
    sizes = (3, *range(2, 2 + len(ps)), 2)
    for sequence in (ps, tuple(ps), np.array(ps)):
        assert shown(nn.MLP(sizes, p=sequence, p_input=0.1, dropout=dropout)) == [0.1, *ps]


@FORMS
def test_equal_ones_are_the_same_net_as_one_for_all(dropout):
    nets = [nn.MLP(SIZES, p=p, rng=3, dropout=dropout) for p in (0.4, [0.4, 0.4])]
    x, y = batch_for("cross_entropy")
    for net in nets:
        optimizer = nn.SGD(net.parameters(), 0.1)
        for _ in range(5):
            net.train_step(x, y, optimizer)
    assert weights(nets[0]) == weights(nets[1]) and repr(nets[0]) == repr(nets[1])


@FORMS
def test_copies_and_checkpoints_keep_them(dropout):
    ps = [0.25, schedule.linear(0, 0.5, 10)]
    net = nn.MLP(SIZES, p=ps, rng=3, dropout=dropout)
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert shown(other) == [0.2, *ps] and repr(other) == repr(net)
    file = io.BytesIO()
    nn.save(file, net)
    file.seek(0)
    other = nn.MLP(SIZES, p=0.7, rng=4, dropout=dropout)
    nn.load(file, other)
    assert weights(other) == weights(net)


def test_a_net_without_hidden_layers():
    assert shown(nn.MLP((3, 2), p=[])) == [0.2] and shown(nn.MLP((3, 2), p=0.7)) == [0.2]
    with pytest.raises(ValueError, match="each of the 0 hidden layers, got 1"):
        nn.MLP((3, 2), p=[0.5])


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        ([0.5], ValueError, "one probability or one for each of the 2 hidden layers, got 1"),
        ((0.5, 0.5, 0.2), ValueError, "2 hidden layers, got 3"),
        (np.array([0.5]), ValueError, "2 hidden layers, got 1"),
        ([0.5, 1.5], ValueError, r"p\[1\]: p = 1.5, but the probability"),
        ([lambda step: -1, 0.5], ValueError, r"p\[0\]: p = -1"),
        ([0.5, "a"], TypeError, r"p\[1\]: "),
        ([[0.5], [0.5]], TypeError, r"p\[0\]: "),
        ("ab", TypeError, "p"),
        ({0.5, 0.2}, TypeError, "p"),
        (None, TypeError, "p"),
    ],
)
@FORMS
def test_refused(dropout, p, error, message):
    with pytest.raises(error, match=message):
        nn.MLP(SIZES, p=p, dropout=dropout)
