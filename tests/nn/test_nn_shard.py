"""Shards of a batch: the masks of the whole, losses and gradients that add up to those of it."""

from itertools import pairwise

import numpy as np
import pytest
from nets import BATCH, SIZES, batch_for, every_activation

import simdrop as sd
from simdrop import nn, schedule
from simdrop.nn import memory

CUTS = [(0, BATCH), (0, 4, BATCH), (0, 0, 3, 8, BATCH, BATCH)]  # two shards of the last are empty


def shards(cuts):
    return [(nn.Shard(begin, BATCH), slice(begin, end)) for begin, end in pairwise(cuts)]


def gradients(net):
    return [p.whole_grad() for p in net.parameters()]


def in_parts(net, x, y, cuts, weight=None):
    """Loss and gradients summed over the shards, each as the process that has it computes them."""
    state, loss, sums, draws = net.stream.state, 0.0, None, []
    for shard, rows in shards(cuts):
        net.stream.state = state
        loss += net.loss(x[rows], y[rows], weight, shard=shard)
        net.backward()
        own = gradients(net)
        sums = own if sums is None else [a + b for a, b in zip(sums, own, strict=True)]
        draws.append(net.stream.draw)
    assert len(set(draws)) == 1
    return loss, sums


def check(net, loss="cross_entropy", weight=None):
    """The shards of a batch against all of it, with the same draws."""
    x, y = batch_for(loss)
    before = net.stream.state
    for cuts in CUTS:
        net.stream.state = before
        expected = net.loss(x, y, weight)
        net.backward()
        wanted = gradients(net)
        after = net.stream.state
        net.stream.state = before
        found, sums = in_parts(net, x, y, cuts, weight)
        assert net.stream.state == after
        assert found == pytest.approx(expected, rel=1e-12)
        for one, other in zip(sums, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@every_activation
@pytest.mark.parametrize("dropout", ["elementwise", "batchwise"])
@pytest.mark.parametrize("inverted", [True, False])
def test_shards_add_up_to_the_batch(activation, dropout, inverted):
    form = {"dropout": dropout, "inverted": inverted, "activity_l1": 0.1}
    check(nn.MLP(SIZES, activation=activation, rng=3, dtype=np.float64, **form))


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error", "poisson"])
def test_each_loss(loss):
    net = nn.MLP(SIZES, loss=loss, rng=3, dtype=np.float64)
    x, y = batch_for(loss)
    weight = np.arange(BATCH, dtype=float)
    for given in (None, weight):
        state = net.stream.state
        targets = (y > 0).astype(float)
        expected = net.loss(x, targets, given)
        net.stream.state = state
        assert in_parts(net, x, targets, CUTS[2], given)[0] == pytest.approx(expected, rel=1e-12)


def test_weights_of_rows_are_those_of_the_whole_batch():
    check(nn.MLP(SIZES, rng=3, dtype=np.float64), weight=np.arange(BATCH) % 4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.4),
        nn.Dropout(schedule.linear(0.2, 0.6, 5), shared_axes=[0]),
        nn.Dropout(0, inverted=False),
        nn.DropPath(0.4),
        nn.LockedDropout(0.4),
        nn.AlphaDropout(0.4),
        nn.AlphaDropout(0.4, shared_axes=(0,)),
        nn.GaussianDropout(0.4),
        nn.GaussianNoise(0.3),
        nn.Transform(sd.dropout, 0.4, scale=False),
        nn.DropConnect(7, 7, 0.4, rng=0, dtype=np.float64),
    ],
    ids=repr,
)
def test_each_layer_that_drops_has_the_rows_of_the_batch(layer):
    layer.stream = sd.Stream(5)
    x = batch_for("cross_entropy")[0]
    y = layer(x)
    after, dx = layer.stream.state, layer.backward(2 * x)
    for shard, rows in [part for cuts in CUTS for part in shards(cuts)]:
        layer.stream = sd.Stream(5)
        np.testing.assert_allclose(layer.on_shard(x[rows], shard), y[rows], rtol=1e-14)
        assert layer.stream.state == after
        np.testing.assert_allclose(layer.backward(2 * x[rows]), dx[rows], rtol=1e-14)
    layer.eval()
    part = layer.on_shard(x[2:5], nn.Shard(2, BATCH))
    np.testing.assert_allclose(part, layer(x)[2:5], rtol=1e-14)
    assert layer.stream.state == after


class Own(nn.Dropout):
    """Calls differently, and says nothing of shards."""

    def __call__(self, x):
        return super().__call__(x + 1)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Transform(sd.zoneout, 0.0, 0.4),
        nn.DropBlock(0.3, 2),
        nn.DropConnect(7, 7, 0.4, rng=0, per_sample=True),
        Own(0.5),
    ],
    ids=repr,
)
def test_what_has_no_windows_is_refused_and_takes_no_draw(layer):
    layer.stream = sd.Stream(0)
    x = batch_for("cross_entropy")[0]
    with pytest.raises(ValueError, match="cannot compute some rows of a batch by themselves"):
        layer.on_shard(x[:2], nn.Shard(0, BATCH))
    assert layer.stream.draw == 0


def test_rows_that_no_batch_has_are_refused():
    net = nn.MLP(SIZES, rng=3)
    x, y = batch_for("cross_entropy")
    for shard in (nn.Shard(1, BATCH), nn.Shard(-1, 20), nn.Shard(0, 3)):
        with pytest.raises(ValueError, match="has 9 rows, which are not rows of a batch"):
            net.loss(x, y, shard=shard)
    with pytest.raises(ValueError, match="the batch has no rows"):
        net.loss(x[:0], y[:0], shard=nn.Shard(0, 0))
    with pytest.raises(ValueError, match=r"sample_weight must be \(9,\)"):
        net.loss(x[:2], y[:2], [1, 1], shard=nn.Shard(0, BATCH))
    assert net.stream.draw == 0


def test_the_gradients_of_a_net_are_one_array():
    for sizes in (SIZES, (300, 700, 800, 10)):  # the second has 3 MB, the third row of pages
        net = nn.MLP(sizes, rng=0)
        grads = [p.grad for p in net.parameters()]
        whole = memory.whole(grads)
        whole[:] = 1
        assert all((grad == 1).all() for grad in grads)
        assert len(whole) < sum(grad.size for grad in grads) + 16 * len(grads)
        assert not any((p.value == 1).any() for p in net.parameters()[::2])
        assert memory.whole(grads[::-1]) is None
        assert memory.whole([grads[0], np.zeros(3, np.float32)]) is None
        assert memory.whole([grads[0][:2], *grads[1:]]) is None
        assert memory.whole([grads[0].view(np.int32), *grads[1:]]) is None
    assert memory.whole([np.zeros(3, np.float32)]) is None
    assert memory.whole([np.zeros(8)[2:]]) is None
