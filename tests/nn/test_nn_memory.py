"""The blocks of memory in which a net's arrays lie: what they hold, who keeps them, that copies
have blocks of their own, and that nothing else depends on them."""

import copy
import mmap
import pickle
import sys
import weakref
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import batch_for, trained, weights

from simdrop import nn
from simdrop._core.submatrix import overlapping
from simdrop.nn import memory

SIZES = (7, 6, 5, 4)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for huge pages")
every_copy = pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))]
)


@pytest.fixture(params=["plain", pytest.param("huge pages", marks=linux)])
def pages(request, monkeypatch):
    """In which kind of memory all blocks of a test are."""
    monkeypatch.setattr(memory, "LEAST", 0 if request.param == "huge pages" else sys.maxsize)


def address(array):
    return array.__array_interface__["data"][0]


def in_one_block(arrays):
    """Whether they follow each other, with less than a line between two, each from a line."""
    bounds = [(address(a), address(a) + a.nbytes) for a in arrays if a.size]
    apart = [start - end for (_, end), (start, _) in pairwise(bounds)]
    return all(0 <= n < memory.LINE for n in apart) and not any(start % 64 for start, _ in bounds)


def blocks(net, optimizer):
    """All arrays of a net and its optimizer, by their block."""
    values = [p.value for p in net.parameters()]
    gradients = [p._room for p in net.parameters()]
    return values, gradients, [array for state in optimizer.state for array in state]


def pages_of(array):
    """The memory that keeps an array alive."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def flags_of_pages(array):
    """What Linux says of the pages at which an array begins."""
    inside = False
    with open("/proc/self/smaps") as maps:
        for line in maps:
            first = line.split()[0]
            if "-" in first and not first.endswith(":"):
                start, stop = (int(end, 16) for end in first.split("-"))
                inside = start <= address(array) < stop
            elif inside and first == "VmFlags:":
                return line.split()[1:]
    raise AssertionError("it is nowhere")


# --- Blocks ---


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 9), max_size=3).map(tuple),
            st.sampled_from([np.dtype(name) for name in ("f4", "f8", ">f4", ">f8")]),
        ),
        max_size=7,
    )
)
def test_arrays_of_a_block_are_zero_and_apart(pages, kinds):
    arrays = memory.zeros(kinds)
    assert [(array.shape, array.dtype) for array in arrays] == kinds
    assert in_one_block(arrays)
    for array in arrays:
        assert type(array) is np.ndarray and array.flags.carray and not array.any()
    assert overlapping(arrays) is None
    for i, array in enumerate(arrays):
        assert not any(np.may_share_memory(array, other) for other in arrays[:i])
        array[...] = i + 1
    for i, array in enumerate(arrays):
        assert (array == i + 1).all()
    again = memory.together(arrays)
    assert [a.tobytes() for a in again] == [a.tobytes() for a in arrays]
    assert [a.dtype for a in again] == [a.dtype for a in arrays]
    assert overlapping([*again, *arrays]) is None


@linux
@pytest.mark.parametrize("size", [memory.LEAST - memory.LINE, memory.LEAST])
def test_large_blocks_are_on_huge_pages(size):
    (array,) = memory.zeros([((size,), np.dtype(np.uint8))])
    if "hg" not in flags_of_pages(np.frombuffer(memory._huge_pages(1), np.uint8)):
        pytest.skip("this kernel has no huge pages")
    huge = size >= memory.LEAST
    assert isinstance(pages_of(array), mmap.mmap) == huge
    assert not huge or (address(array) % memory.HUGE_PAGE == 0 and "hg" in flags_of_pages(array))


@linux
@pytest.mark.parametrize("fails", ["mmap", "madvise"])
def test_memory_without_huge_pages_is_plain(monkeypatch, fails):
    class Refused(mmap.mmap):
        def __new__(cls, *arguments, **options):
            if fails == "mmap":
                raise OSError(12, "Cannot allocate memory")
            return super().__new__(cls, *arguments, **options)

        def madvise(self, *arguments):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(memory.mmap, "mmap", Refused)
    (array,) = memory.zeros([((memory.LEAST,), np.dtype(np.uint8))])
    assert not array.any() and not isinstance(pages_of(array), mmap.mmap)


def test_other_systems_are_asked_for_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "another")
    monkeypatch.delattr(memory.mmap, "mmap")
    (array,) = memory.zeros([((memory.LEAST,), np.dtype(np.uint8))])
    assert not array.any()


@linux
def test_a_block_is_freed_with_the_last_of_its_arrays(monkeypatch):
    monkeypatch.setattr(memory, "LEAST", 0)
    net, optimizer = trained(0)
    kept = net.parameters()[-1].value
    alive = [weakref.ref(pages_of(block[0])) for block in blocks(net, optimizer)]
    assert all(isinstance(one(), mmap.mmap) for one in alive)
    del net, optimizer
    assert [one() is None for one in alive] == [False, True, True]
    del kept
    assert alive[0]() is None


@pytest.mark.skipif(not hasattr(memory.mmap, "MAP_PRIVATE"), reason="no fork here")
def test_a_forked_child_trains_weights_of_its_own(run_python):
    script = """
import os, sys
import numpy as np
from simdrop import nn
from simdrop.nn import memory

memory.LEAST = int(sys.argv[1])
net = nn.MLP((7, 6, 4), rng=0)
optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
x, y = np.ones((5, 7)), np.arange(5) % 4


def everything():
    state = [array for arrays in optimizer.state for array in arrays]
    return b"".join(a.tobytes() for p in net.parameters() for a in (p.value, p.grad, *state))


before = everything()
child = os.fork()
if child == 0:
    net.train_step(x, y, optimizer)
    os._exit(everything() == before)
assert os.waitpid(child, 0)[1] == 0
assert everything() == before
"""
    for least in (0, sys.maxsize):
        done = run_python(script, [str(least)])
        assert done.returncode == 0, done.stderr


# --- Nets and optimizers ---


@pytest.mark.parametrize("dropout", ["elementwise", "batchwise"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
@pytest.mark.usefixtures("pages")
def test_values_gradients_and_states_lie_in_a_block_each(dropout, dtype, kind):
    net = nn.MLP(SIZES, dropout=dropout, dtype=dtype, rng=0)
    optimizer = kind(net.parameters(), 0.1)
    arrays = blocks(net, optimizer)
    net.train_step(*batch_for("cross_entropy"), optimizer)
    for block, after in zip(arrays, blocks(net, optimizer), strict=True):
        assert in_one_block(block)
        assert all(now is then for now, then in zip(after, block, strict=True))  # in place
    for parameter, room in zip(net.parameters(), arrays[1], strict=True):
        assert np.shares_memory(parameter.grad, room)
    part = kind(net.parameters()[1:4], 0.1)
    assert in_one_block([array for state in part.state for array in state])


@every_copy
@pytest.mark.parametrize("dropout", ["elementwise", "batchwise"])
@pytest.mark.usefixtures("pages")
def test_a_copy_has_blocks_of_its_own(duplicate, dropout):
    net = nn.MLP(SIZES, dropout=dropout, rng=0)
    optimizer = nn.Adam(net.parameters(), 0.1)
    x, y = batch_for("cross_entropy")
    for _ in range(2):
        net.train_step(x, y, optimizer)
    other, other_optimizer = duplicate((net, optimizer))
    arrays, copies = blocks(net, optimizer), blocks(other, other_optimizer)
    assert all(in_one_block(block) for block in copies)
    assert overlapping([array for block in (*arrays, *copies) for array in block]) is None
    for _ in range(2):
        for parameter, copied in zip(net.parameters(), other.parameters(), strict=True):
            assert np.array_equal(parameter.value, copied.value)
            assert np.array_equal(parameter.grad, copied.grad)
            assert np.array_equal(parameter.whole_grad(), copied.whole_grad())
            assert np.shares_memory(copied.grad, copied._room)
        for one, again in zip(blocks(net, optimizer)[2], copies[2], strict=True):
            assert np.array_equal(one, again)
        assert net.train_step(x, y, optimizer) == other.train_step(x, y, other_optimizer)


@pytest.mark.usefixtures("pages")
def test_a_pickle_holds_values_and_gradients_once():
    net = nn.MLP((50, 40, 30), rng=0)
    size = sum(p.value.nbytes for p in net.parameters())
    assert 2 * size < len(pickle.dumps(net)) < 2.3 * size
    layer = net.layers[-1]
    size = sum(p.value.nbytes for p in layer.parameters())
    assert 2 * size < len(pickle.dumps(layer)) < 2.3 * size
    other = copy.deepcopy(layer)
    np.testing.assert_array_equal(other.weight.value, layer.weight.value)
    assert overlapping([other.weight.value, other.bias.value, layer.weight.value]) is None


@pytest.mark.usefixtures("pages")
def test_a_shallow_copy_leaves_all_arrays_where_they_are():
    net, _ = trained(0)
    mine = np.ones((7, 6), np.float32)
    net.parameters()[0].value = mine
    before = [(p, p.value, p.grad) for p in net.parameters()]
    other = copy.copy(net)
    assert other.layers is net.layers and other.sizes == net.sizes
    assert mine is other.parameters()[0].value
    for parameter, (same, value, grad) in zip(other.parameters(), before, strict=True):
        assert parameter is same and parameter.value is value and parameter.grad is grad


@pytest.mark.parametrize("order", ["C", "F"])
@every_copy
@pytest.mark.usefixtures("pages")
def test_another_value_may_be_set(duplicate, order):
    net, _ = trained(0)
    parameters = net.parameters()
    mine = np.array(parameters[2].value, order=order)
    parameters[2].value = mine
    parameters[4].grad = np.asfortranarray(parameters[4].grad)
    assert parameters[2].value is mine and not parameters[2].grad.any()
    copied, optimizer = duplicate((net, nn.SGD(parameters, 0.1)))
    assert copied.parameters()[2].value.flags.f_contiguous == (order == "F")
    assert copied.parameters()[4].grad.flags.f_contiguous
    rest = [p.value for i, p in enumerate(copied.parameters()) if i != 2]
    assert overlapping([*rest, copied.parameters()[2].value]) is None
    assert in_one_block([p.value for p in copied.parameters()]) == (order == "C")
    x, y = batch_for("cross_entropy")
    net.train_step(x, y, nn.SGD(parameters, 0.1))
    copied.train_step(x, y, optimizer)
    assert weights(net) == weights(copied)
    assert mine is parameters[2].value


def test_what_is_restored_into_memory_that_cannot_be_written_stays_there():
    net, _ = trained(0)
    buffers = []
    data = pickle.dumps(net, protocol=5, buffer_callback=buffers.append)
    buffers = [bytes(buffer.raw()) for buffer in buffers]
    other = pickle.loads(data, buffers=buffers)
    x, _ = batch_for("cross_entropy")
    assert np.array_equal(net.eval()(x), other.eval()(x))
    memories = [np.frombuffer(buffer, np.uint8) for buffer in buffers]
    for parameter in other.parameters():
        assert any(np.shares_memory(parameter.value, shared) for shared in memories)


@every_copy
def test_a_layer_may_refer_to_its_net(duplicate):
    net, _ = trained(0)
    net.layers[1].net = net
    for other in (duplicate(net.layers[1]).net, duplicate(net)):
        assert other.layers[1].net is other is not net
        assert weights(other) == weights(net)


def test_bits_do_not_depend_on_where_arrays_lie(folder, monkeypatch):
    files, made = [], []
    for least in (0, sys.maxsize):
        monkeypatch.setattr(memory, "LEAST", least)
        made.append(trained(1))
        nn.save("net.npz", *made[-1])
        files.append((folder / "net.npz").read_bytes())
    net, optimizer = made[0]
    for parameter, state in zip(net.parameters(), optimizer.state, strict=True):
        parameter.value = parameter.value.copy()
        state[:] = [array.copy() for array in state]
    nn.save("net.npz", net, optimizer)
    files.append((folder / "net.npz").read_bytes())
    assert files[0] == files[1] == files[2]
    nn.load("net.npz", *made[1])
    assert weights(net) == weights(made[1][0])
    x, y = batch_for("cross_entropy")
    assert net.train_step(x, y, optimizer) == made[1][0].train_step(x, y, made[1][1])
    assert weights(net) == weights(made[1][0])


@linux
def test_a_large_net_trains_on_huge_pages():
    net = nn.MLP((1024, 1024, 10), rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    for block in blocks(net, optimizer):
        assert in_one_block(block)
        assert isinstance(pages_of(block[0]), mmap.mmap)
        assert address(block[0]) % memory.HUGE_PAGE == 0
