"""Models as they are: exchanged modules, replaced operators."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

import simdrop as sd
import simdrop.torch as st
from simdrop.torch import functional as F
from simdrop.torch._patch import DIFFERENTIABLE

TF = nn.functional


@pytest.fixture
def calls(monkeypatch):
    """How often simdrop was called while PyTorch was patched."""
    seen = []

    def transformed(transform, x, training, *rest):
        seen.append((transform.kind, transform.p, training, tuple(x.shape)))
        return before(transform, x, training, *rest)

    before = F.transformed
    monkeypatch.setattr(F, "transformed", transformed)
    return seen


def test_convert():
    class Other(nn.Dropout):
        pass

    inner = nn.Sequential(nn.Dropout2d(0.1), Other(0.2))
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.3, inplace=True), inner, nn.AlphaDropout())
    shared = net[1]
    net.append(shared)
    hooks = []
    shared.register_forward_hook(lambda *args: hooks.append(1))
    net.eval()
    stream = sd.Stream(0)
    assert st.convert(net, stream=stream) is net
    assert [type(m) for m in net] == [
        nn.Linear,
        st.Dropout,
        nn.Sequential,
        st.AlphaDropout,
        st.Dropout,
    ]
    assert [type(m) for m in net[2]] == [st.Dropout2d, Other]
    assert net[1] is net[4] and net[1].p == 0.3 and net[1].inplace and not net[1].training
    assert net[1].stream is stream
    net[1](torch.ones(2))
    assert hooks == [1]
    assert type(st.convert(nn.Dropout(0.5))) is st.Dropout


OPERATORS = {
    "dropout": (lambda x: TF.dropout(x, 0.5), (40, 50)),
    "in place": (lambda x: TF.dropout(x * 1, 0.5, inplace=True), (40, 50)),
    "dropout1d": (lambda x: TF.dropout1d(x, 0.5), (40, 50, 2)),
    "dropout2d": (lambda x: TF.dropout2d(x, 0.5), (40, 50, 2, 2)),
    "dropout3d": (lambda x: TF.dropout3d(x, 0.5), (40, 50, 2, 2, 2)),
    "alpha": (lambda x: TF.alpha_dropout(x, 0.5, True), (40, 50)),
    "alpha in place": (lambda x: TF.alpha_dropout(x * 1, 0.5, True, True), (40, 50)),
    "feature alpha": (lambda x: TF.feature_alpha_dropout(x, 0.5, True), (40, 50, 2)),
    "module": (nn.Dropout(0.5), (40, 50)),
    "torch": (lambda x: torch.dropout(x, 0.5, True), (40, 50)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_patch(name, calls):
    function, shape = OPERATORS[name]
    x = torch.ones(shape, requires_grad=True)
    with st.patch():
        torch.manual_seed(0)
        y = function(x)
        (dx,) = torch.autograd.grad(y.sum(), x)
        with torch.inference_mode():
            function(x.detach().clone())
    assert len(calls) == 2
    torch.manual_seed(0)
    transform = F.Transform(
        "alpha" if "alpha" in name else "dropout", 0.5, tuple(range(2, x.dim()))
    )
    expected = F.transformed(transform, x, True, False, None)
    assert torch.equal(y, expected)
    (expected,) = torch.autograd.grad(expected.sum(), x)
    assert torch.equal(dx, expected)
    before = len(calls)
    function(x)
    assert len(calls) == before  # PyTorch's own again


def test_native_dropout():
    x = torch.randn(100, requires_grad=True)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with st.patch():
            y, mask = torch.native_dropout(x, 0.25, True)
            (dx,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, x * mask / 0.75)
    torch.testing.assert_close(dx, mask / 0.75)
    torch.manual_seed(0)
    assert torch.equal(y, F.dropout(x, 0.25))


MODELS = {
    "LSTM": (lambda: nn.LSTM(8, 8, num_layers=3, dropout=0.5), lambda net, x: net(x)[0], 2),
    "GRU": (lambda: nn.GRU(8, 8, num_layers=2, dropout=0.5), lambda net, x: net(x)[0], 1),
    "attention": (
        lambda: nn.MultiheadAttention(8, 2, dropout=0.5),
        lambda net, x: net(x, x, x, need_weights=False)[0],
        1,
    ),
    "attention with weights": (
        lambda: nn.MultiheadAttention(8, 2, dropout=0.5),
        lambda net, x: net(x, x, x)[0],
        1,
    ),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5),
        lambda net, x: net(x),
        4,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_patched_models(name, calls):
    make, run, count = MODELS[name]
    net, x = make(), torch.randn(4, 3, 8)
    with st.patch():
        torch.manual_seed(0)
        y = run(net, x)
        y.sum().backward()
        torch.manual_seed(0)
        again = run(net, x)
    assert len(calls) == 2 * count and torch.equal(y, again)
    assert all(training and p == 0.5 for _, p, training, _ in calls)
    net.eval()
    with st.patch():
        run(net, x)
    assert len(calls) <= 3 * count and not any(training for _, _, training, _ in calls[2 * count :])


def test_patches_are_nested(calls):
    with st.patch(), st.patch():
        pass
    with st.patch():
        with st.patch():
            pass
        TF.dropout(torch.ones(3), 0.5)
    assert len(calls) == 1
    with pytest.raises(ZeroDivisionError), st.patch():
        1 / 0  # noqa: B018
    TF.dropout(torch.ones(3), 0.5)
    assert len(calls) == 1


def test_install(run_python):
    code = """
import torch, simdrop.torch
simdrop.torch.install()
simdrop.torch.install()
y = torch.nn.functional.dropout(torch.ones(9, requires_grad=True), 0.5)
print(type(y.grad_fn).__name__)
"""
    assert run_python(code).stdout == "ApplyBackward\n"


def test_all_operators_of_pytorch_are_replaced():
    names = {name for name in dir(torch.ops.aten) if name.endswith(("dropout", "dropout_"))}
    ours = {name + end for name in DIFFERENTIABLE for end in ("", "_")} | {"native_dropout"}
    assert names <= ours | {"_fused_dropout"}  # which is of CUDA


def test_what_torch_func_transforms_is_pytorchs(calls):
    with st.patch():
        y = torch.vmap(lambda x: TF.dropout(x, 0.5), randomness="different")(torch.ones(3, 50))
    assert not calls and set(y.unique().tolist()) == {0.0, 2.0}


@pytest.mark.unsanitized  # compiled code is loaded without the sanitizers' library
def test_what_is_compiled_inside_has_simdrops_operators():
    torch.compiler.reset()
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph.code)
        return make_boxed_func(graph.forward)

    with st.patch():
        compiled = torch.compile(
            lambda x: TF.dropout(x, 0.5), backend=aot_autograd(fw_compiler=keep)
        )
        x = torch.ones(100, requires_grad=True)
        y = compiled(x)
    assert "simdrop.apply" in graphs[0]
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx, y.detach())


def test_in_other_threads():
    from concurrent.futures import ThreadPoolExecutor

    with st.patch(), ThreadPoolExecutor(4) as pool:
        ys = list(pool.map(lambda _: TF.dropout(torch.ones(1000), 0.5), range(64)))
    assert len({tuple(y.tolist()) for y in ys}) == 64
    assert all(set(y.unique().tolist()) == {0.0, 2.0} for y in ys)


def test_same_mask_as_numpy():
    stream = sd.Stream(4)
    x = np.ones((5, 6), np.float32)
    expected = sd.Stream(4).mask((5, 6), 0.3).apply(x)
    y = st.convert(nn.Dropout(0.3), stream=stream)(torch.from_numpy(x))
    np.testing.assert_array_equal(y.numpy(), expected)
