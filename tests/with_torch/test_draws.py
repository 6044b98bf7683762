"""Where masks come from: seeds, streams, checkpoints, workers and ranks."""

import copy
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.multiprocessing as mp
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

import simdrop as sd
from simdrop.torch import Dropout, _draws
from simdrop.torch import functional as F

ONES = torch.ones(200)


def test_a_seed_decides():
    first, second = F.dropout(ONES, 0.5), F.dropout(ONES, 0.5)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(F.dropout(ONES, 0.5), first) and torch.equal(F.dropout(ONES, 0.5), second)


def test_the_key_is_128_bits_of_the_generator():
    y = F.dropout(ONES, 0.5)
    torch.manual_seed(0)
    key = torch.empty(16, dtype=torch.uint8).random_().numpy().tobytes()
    expected = sd.Mask(key, 0, 0.5, (200,)).apply(ONES.numpy())
    assert torch.equal(y, torch.from_numpy(expected))


def test_generators():
    first = F.dropout(ONES, 0.5, stream=torch.Generator().manual_seed(5))
    assert torch.equal(first, F.dropout(ONES, 0.5, stream=torch.Generator().manual_seed(5)))
    assert not torch.equal(first, F.dropout(ONES, 0.5, stream=torch.Generator().manual_seed(6)))


def test_a_stream_moves_on_whatever_the_seed():
    stream = sd.Stream(0)
    masks = []
    for _ in range(3):
        torch.manual_seed(0)
        masks.append(F.dropout(ONES, 0.5, stream=stream))
    assert stream.draw == 3
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(masks[1], masks[2])


def test_evaluation_takes_no_draw():
    stream = sd.Stream(0)
    state = torch.get_rng_state()
    F.dropout(ONES, 0.5, False, stream=stream)
    F.dropout(ONES, 0.0, stream=stream)
    assert stream.draw == 0 and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("with_stream", [False, True])
def test_a_checkpoint_computes_with_the_same_masks(use_reentrant, with_stream):
    stream, seen = sd.Stream(1) if with_stream else None, []

    def part(x):
        for _ in range(2):
            x = F.dropout(x, 0.25, stream=stream)
            seen.append(x.detach().clone())
        return x * x

    x = torch.ones(200, requires_grad=True)
    y = checkpoint(part, x, use_reentrant=use_reentrant)
    z = checkpoint(part, y, use_reentrant=use_reentrant)
    z.sum().backward()
    first, second = seen[:2], seen[2:4]
    assert len(seen) == 8
    assert torch.equal(seen[4], second[0]) and torch.equal(seen[5], second[1])
    assert torch.equal(seen[6], first[0]) and torch.equal(seen[7], first[1])
    assert not torch.equal(first[0], second[0])
    assert stream is None or stream.draw == 4


def test_few_draws_are_remembered(monkeypatch):
    monkeypatch.setattr(_draws, "REMEMBERED", 3)
    _draws.remembered.clear()
    stream = sd.Stream(2)
    for _ in range(10):
        F.dropout(ONES, 0.5, stream=stream)
    assert [draw for (key, _), draw in _draws.remembered.items() if key == stream.key] == [7, 8, 9]


def test_what_raises_takes_no_draw():
    stream, state = sd.Stream(0), torch.get_rng_state()
    x = torch.ones(4, 5)
    for call in (
        lambda: F.dropout(x, 2, stream=stream),
        lambda: F.dropout(x.int(), 0.5, stream=stream),
        lambda: F.gaussian_dropout(x, 1.0, stream=stream),
        lambda: F.alpha_dropout(x.to(torch.complex64), 0.5, True, stream=stream),
        lambda: F.drop_block(x, 0.5, 5, stream=stream),
        lambda: F.drop_block(x[0], 0.5, 1, stream=stream),
        lambda: F.bias_dropout(x, x, 0.5, stream=stream),
        lambda: F.dropout(x.requires_grad_(), 0.5, inplace=True, stream=stream),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            call()
    assert stream.draw == 0 and torch.equal(state, torch.get_rng_state())


def test_a_thread_that_begins_in_inference_mode():
    def run():
        with torch.inference_mode():
            F.dropout(ONES, 0.5)
        return F.dropout(ONES, 0.5)

    with ThreadPoolExecutor(1) as pool:
        assert 0 < pool.submit(run).result().count_nonzero() < 200


def test_the_default_device_does_not_matter():
    module = Dropout(0.5, stream=sd.Stream(0))
    with torch.device("meta"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(F.dropout, ONES, 0.5).result().count_nonzero() < 200
        assert module.state_dict()["stream"].device.type == "cpu"
        y = torch.vmap(lambda x: F.dropout(x, 0.5), randomness="different")(ONES.reshape(2, 100))
    assert y.device.type == "cpu"


def test_copies_of_a_stream_go_on_alike():
    module = Dropout(0.5, stream=sd.Stream(0))
    other = copy.deepcopy(module)
    assert torch.equal(module(ONES), other(ONES)) and other.stream is not module.stream


# --- Other processes ---


class Masks(torch.utils.data.Dataset):
    """Each item is the mask of a call in a worker."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return F.dropout(ONES, 0.5)


def rows(y):
    return {tuple(row.tolist()) for row in y}


@pytest.mark.unsanitized  # spawned workers begin without the sanitizers' library
def test_workers_have_masks_of_their_own():
    loader = DataLoader(Masks(), batch_size=1, num_workers=2, multiprocessing_context="spawn")
    masks = torch.cat(list(loader))
    assert len(rows(masks)) == 8
    torch.manual_seed(0)
    assert torch.equal(masks, torch.cat(list(loader)))


@pytest.mark.unsanitized
def test_forked_workers_have_masks_of_their_own(run_python):
    """In a process of one thread: others may hold a lock that a forked child waits for."""
    code = """
import torch
from torch.utils.data import DataLoader
from simdrop.torch import functional as F

class Masks(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return F.dropout(torch.ones(200), 0.5)

torch.set_num_threads(1)
loader = DataLoader(Masks(), batch_size=1, num_workers=2, multiprocessing_context="fork")
masks = [tuple(row.tolist()) for epoch in range(2) for batch in loader for row in batch]
print(len(set(masks)))
"""
    result = run_python(code)
    assert (result.stdout, result.stderr) == ("16\n", "")


def run_rank(rank, path, results):
    torch.distributed.init_process_group("gloo", f"file://{path}", rank=rank, world_size=2)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), Dropout(0.5))
    parallel = torch.nn.parallel.DistributedDataParallel(net)
    mask = F.dropout(ONES, 0.5)
    asked = F.dropout(ONES, 0.5, stream=sd.Stream(0))
    parallel(torch.ones(3, 4)).sum().backward()
    results.put((rank, mask.tolist(), asked.tolist(), net[0].weight.grad.tolist()))
    # Without PyTorch's destructors: that of DDP joins gloo's thread while it holds the global lock,
    # for which that thread may wait.
    os._exit(0)


@pytest.mark.unsanitized  # spawned workers begin without the sanitizers' library
def test_ranks_share_a_mask_only_if_they_are_asked_to(tmp_path):
    context = mp.get_context("spawn")
    results = context.SimpleQueue()
    mp.spawn(run_rank, (tmp_path / "store", results), nprocs=2)
    found = sorted(results.get() for _ in range(2))
    assert found[0][1] != found[1][1]
    assert found[0][2] == found[1][2]
    assert found[0][3] == found[1][3]  # averaged
    y = F.dropout(ONES, 0.5)  # as rank 0
    assert y.tolist() != found[1][1]
