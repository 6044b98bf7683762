"""The functions of `simdrop.mpi`: rows, windows, sums of gradients, steps of all ranks as one."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from jobs import run

from simdrop import nn

# What each rank does; it saves its masks of each step, and what it came to.
STEPS = """
import json, sys
import numpy as np
import simdrop as sd
from simdrop import mpi, nn
from simdrop.nn import shard as shards

folder = sys.argv[1]
comm = mpi.MPI.COMM_WORLD
seen, losses, units, nets = [], [], [], []
window = shards.Shard.window

def recorded(shard, context, n):
    part = window(shard, context, n)
    seen.append((shard.start, part.keep()))
    return part

shards.Shard.window = recorded
for dropout in ("elementwise", "batchwise"):
    net = nn.MLP((6, 9, 8, 4), p=0.4, p_input=0.3, dropout=dropout, activity_l1=0.01, rng=comm.rank)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9, max_norm=1.0)
    mpi.broadcast(net, optimizer)
    rng = np.random.default_rng(0)
    for batch in (8, 7, 2, 8, 1):  # with one rank more than rows, and two
        x, y = rng.random((batch, 6), dtype=np.float32), rng.integers(0, 4, batch)
        mine = mpi.rows(batch)
        assert mpi.shard(batch) == (mine.start, batch)
        weight = np.arange(batch) + 1.0 if batch == 7 else None
        losses.append(mpi.train_step(net, x[mine], y[mine], optimizer, weight, batch=batch))
        units.append([p.grad.shape for p in net.parameters()])
    nets.append(net)
assert len(seen) == (15 if comm.size > 1 else 0)
values = [p.value for net in nets for p in net.parameters()]
np.savez(
    f"{folder}/{comm.rank}.npz",
    **{f"keep{i}": keep for i, (_, keep) in enumerate(seen)},
    **{f"value{i}": value for i, value in enumerate(values)},
    losses=losses,
    about=json.dumps([units, [net.stream.state for net in nets]]),
)
"""


def one_process():
    """The same steps by nn alone: losses, masks as the layers hold them, parameters; and of which
    parts there are gradients, and the streams' states."""
    losses, keeps, units, values, states = [], [], [], [], []
    for dropout in ("elementwise", "batchwise"):
        net = nn.MLP((6, 9, 8, 4), p=0.4, p_input=0.3, dropout=dropout, activity_l1=0.01, rng=0)
        optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9, max_norm=1.0)
        rng = np.random.default_rng(0)
        for batch in (8, 7, 2, 8, 1):
            x, y = rng.random((batch, 6), dtype=np.float32), rng.integers(0, 4, batch)
            weight = np.arange(batch) + 1.0 if batch == 7 else None
            losses.append(net.train_step(x, y, optimizer, weight))
            if dropout == "elementwise":
                first, dense = net.layers[0], net.layers[1:5:2]
                keeps += [first._saved.keep(), *(layer._saved[1].mask.keep() for layer in dense)]
            units.append([list(p.grad.shape) for p in net.parameters()])
        values += [p.value for p in net.parameters()]
        states.append(net.stream.state)
    return losses, keeps, values, [units, states]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_draw_the_masks_of_one_process_and_take_its_steps(tmp_path, ranks):
    code, _, err = run(ranks, STEPS, tmp_path)
    assert code == 0, err
    losses, keeps, values, about = one_process()
    assert len(keeps) == 15
    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(ranks)]
    for one in found:
        np.testing.assert_allclose(one["losses"], losses, rtol=0, atol=1e-5)
        assert json.loads(str(one["about"])) == about
        for i, value in enumerate(values):
            np.testing.assert_allclose(one[f"value{i}"], value, rtol=0, atol=1e-5)
            np.testing.assert_array_equal(one[f"value{i}"], found[0][f"value{i}"])
    if ranks == 1:
        assert all((found[0][f"value{i}"] == value).all() for i, value in enumerate(values))
    for i, keep in enumerate(keeps if ranks > 1 else []):
        np.testing.assert_array_equal(np.concatenate([one[f"keep{i}"] for one in found]), keep)


ALL = """
import sys
import numpy as np
import simdrop as sd
from simdrop import mpi, nn

comm = mpi.MPI.COMM_WORLD
counts = comm.allgather([(mpi.rows(n).start, mpi.rows(n).stop) for n in range(8)])
for n, slices in enumerate(zip(*counts)):
    assert slices[0][0] == 0 and slices[-1][1] == n
    assert all(a[1] == b[0] for a, b in zip(slices, slices[1:]))
    sizes = [stop - start for start, stop in slices]
    assert sorted(sizes, reverse=True) == sizes and sizes[0] - sizes[-1] <= 1

# The first two ranks by themselves.
pair = comm.Split(comm.rank < 2)
if comm.rank < 2:
    assert mpi.rows(4, pair) == slice(2 * comm.rank, 2 * comm.rank + 2)

mask = sd.Stream(0).mask((7, 5), 0.5)
own = mpi.window(mask)
x = np.ones((7, 5))
np.testing.assert_array_equal(own.apply(x[mpi.rows(7)]), mask.apply(x)[mpi.rows(7)])
noise = sd.GaussianNoiseContext(bytes(16), 0, 1.0, (7, 5))
part = mpi.window(noise).apply(x[mpi.rows(7)])
np.testing.assert_array_equal(part, noise.apply(x)[mpi.rows(7)])

# Gradients in one block, in arrays of their own, of two types, and of parts.
big, wide = np.zeros((3, 2), np.float32), np.zeros((2, 4), ">f8")
own = nn.Linear.of(nn.Parameter(big, "weight"), nn.Parameter(np.zeros(2, np.float32), "bias"))
other = nn.Linear.of(nn.Parameter(wide, "weight"), nn.Parameter(np.zeros(4), "bias"))
for net in (nn.MLP((3, 4, 2), rng=0), nn.Network([own, other], nn.SquaredError)):
    for parameter in net.parameters():
        parameter.grad[...] = np.arange(parameter.grad.size).reshape(parameter.grad.shape)
        parameter.grad += comm.rank
    mpi.all_reduce(net)
    for parameter in net.parameters():
        grad = parameter.grad
        expected = comm.size * np.arange(grad.size) + sum(range(comm.size))
        np.testing.assert_array_equal(grad.reshape(-1), expected)

# Nets of other seeds, and layers without a seed.
unseeded = nn.Dropout(0.5), nn.KeptInputs(nn.Units(5, 0.5))
unseeded = [nn.Network([one, nn.Linear(5, 2, rng=0)], nn.SquaredError) for one in unseeded]
for net, words in (
    (nn.MLP((5, 4, 2), rng=comm.rank // 2), "rank 2 of 3 has other weights than that on rank 0"),
    (nn.MLP((5, 4, 2), rng=None), "has other weights than that on rank 0"),
    (unseeded[0], "Dropout(p=0.5) draws from the process-wide stream"),
    (unseeded[1], "KeptInputs(5, p=0.5) draws from the process-wide stream"),
):
    y = np.zeros((7, 2), np.float32) if net.criterion is nn.SquaredError else np.zeros(7, int)
    try:
        optimizer = nn.SGD(net.parameters(), 0.1)
        mpi.train_step(net, x[mpi.rows(7)], y[mpi.rows(7)], optimizer, batch=7)
    except ValueError as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)
net = nn.MLP((5, 4, 2), rng=None)
mpi.broadcast(net)
mpi.check_same(net)
net.stream.state = net.stream.state | {"draw": comm.rank}
try:
    mpi.check_same(net)
except ValueError as error:
    assert "rank 1 of 3 has other streams" in str(error), error

# What cannot be computed in parts, and rows that are not this rank's, are refused on each rank.
whole = nn.DropConnect(5, 2, 0.5, sd.Stream(0), rng=0, per_sample=True)
net = nn.Network([whole], nn.SquaredError)
optimizer = nn.SGD(net.parameters(), 0.1)
y = np.zeros((7, 2), np.float32)
for x_rows, y_rows, words in (
    (mpi.rows(7), mpi.rows(7), "cannot compute some rows of a batch by themselves"),
    (slice(0, 7), slice(0, 7), "y has 7 rows, but of a batch of 7 rank"),
    (slice(0, 7), mpi.rows(7), "has 7 rows, which are not rows of a batch"),
):
    try:
        mpi.train_step(net, x[x_rows], y[y_rows], optimizer, batch=7)
    except ValueError as error:
        assert words in str(error) or comm.rank == 0 and "not rows of" in words, error
    else:
        raise AssertionError(words)
"""


def test_rows_windows_and_sums():
    code, _, err = run(3, ALL)
    assert code == 0, err


def test_the_page_about_ranks(tmp_path):
    """What two ranks and one process make of its Python blocks."""
    page = (Path(__file__).parents[2] / "docs/how-to/distributed.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    save = """
import sys
comm = mpi.MPI.COMM_WORLD
np.savez(f"{sys.argv[1]}/{comm.rank} of {comm.size}", loss=loss, y=y, names=mpi.__all__)
"""
    for ranks in (None, 2):
        code, _, err = run(ranks, "\n".join(blocks) + save, tmp_path)
        assert code == 0, err
    first, second = (np.load(tmp_path / f"{rank} of 2.npz") for rank in range(2))
    whole = np.load(tmp_path / "0 of 1.npz")
    assert first["loss"] == second["loss"] == pytest.approx(whole["loss"], abs=1e-5)
    np.testing.assert_array_equal(np.concatenate([first["y"], second["y"]]), whole["y"])
    for name in whole["names"]:
        assert f"`{name}(" in page
