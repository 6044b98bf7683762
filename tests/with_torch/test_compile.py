"""torch.compile, torch.export and the operators they see."""

import io

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import simdrop as sd
import simdrop.torch as st
from simdrop.torch import _ops
from simdrop.torch import functional as F

ADDRESS = torch.tensor([1, 2, 3])
KINDS = [
    ("dropout", [], 0),
    ("dropout", [1], 0),
    ("alpha", [], 0),
    ("gaussian", [], 0),
    ("block", [], 2),
]
X = torch.ones(1000)

pytestmark = pytest.mark.unsanitized  # compiled code is loaded without the sanitizers' library


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()


@pytest.mark.parametrize(("kind", "axes", "size"), KINDS)
@pytest.mark.parametrize("operator", [_ops.apply, _ops.gradient], ids=["apply", "gradient"])
def test_operators(operator, kind, axes, size):
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    args = (x, ADDRESS, kind, 0.5, axes, True, size)
    found = torch.library.opcheck(operator, args)
    assert set(found.values()) == {"SUCCESS"}
    assert torch.autograd.gradcheck(lambda x: operator(x, *args[1:]), x)
    assert torch.autograd.gradgradcheck(lambda x: operator(x, *args[1:]), x)


def test_operator_of_addresses():
    found = torch.library.opcheck(_ops.address, (torch.tensor([5, 6]), -1))
    assert set(found.values()) == {"SUCCESS"}
    assert _ops.address(torch.tensor([5, 6]), -1).tolist() == [5, 6, 0]
    with pytest.raises(RuntimeError, match="is not in this process"):
        _ops.address(torch.tensor([5, 6]), 10**6)


FUNCTIONS = {
    "dropout": lambda x: F.dropout(x, 0.5),
    "alpha": lambda x: F.alpha_dropout(x, 0.5, True),
    "gaussian": lambda x: F.gaussian_dropout(x, 0.5),
    "path": lambda x: F.drop_path(x, 0.5),
    "block": lambda x: F.drop_block(x.reshape(10, 10, 10), 0.5, 2).reshape(1000),
    "bias": lambda x: F.bias_dropout(x, x.detach(), 0.5, activation="gelu"),
    "add": lambda x: F.dropout_add(x, x, 0.5),
    "relu": lambda x: F.relu_dropout(x, 0.5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_graph_break_and_a_fresh_mask_every_call(name):
    compiled = torch.compile(FUNCTIONS[name], fullgraph=True, backend="aot_eager")
    x = X.clone().requires_grad_()
    ys = [compiled(x) for _ in range(3)]
    assert not torch.equal(ys[0], ys[1]) and not torch.equal(ys[1], ys[2])
    (dx,) = torch.autograd.grad(ys[0].sum(), x)
    slope = {"add": 1.0}.get(name, 0.0)
    if name != "gaussian":  # dropped where the output is the least
        assert torch.equal(dx == slope, ys[0] == ys[0].min())
    torch.manual_seed(1)
    first = compiled(x)
    torch.manual_seed(1)
    assert torch.equal(first, compiled(x))


def test_inductor():
    def function(x):
        return F.dropout(F.dropout(x * 1, 0.5) + 1, 0.5), F.dropout(x, 0.5), F.dropout(x, 0.5)

    compiled = torch.compile(function, fullgraph=True)
    x = X.clone().requires_grad_()
    y, first, second = compiled(x)
    assert not torch.equal(first, second) and not torch.equal(compiled(x)[0], y)
    assert set(y.unique().tolist()) == {0.0, 2.0, 6.0}
    (dx,) = torch.autograd.grad((y.sum(), first.sum()), x)
    assert torch.equal(dx, torch.where(y == 6, 4.0, 0.0) + first.detach())


def test_a_stream_of_a_compiled_module():
    net = torch.nn.Sequential(torch.nn.ReLU(), st.Dropout(0.5, stream=sd.Stream(8)))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    stream = sd.Stream(8)
    for mask in [stream.mask((1000,), 0.5) for _ in range(3)]:
        assert torch.equal(compiled(X), torch.from_numpy(mask.apply(X.numpy())))
    assert net[1].stream.draw == 3


@pytest.mark.parametrize("with_stream", [False, True])
def test_a_compiled_checkpoint(with_stream):
    stream = sd.Stream(0) if with_stream else None

    def part(x):
        return F.dropout(x.sin(), 0.5, stream=stream)

    def function(x):
        return checkpoint(part, x, use_reentrant=False)

    x = X.clone().requires_grad_()
    y = torch.compile(function, fullgraph=True, backend="aot_eager")(x)
    y.sum().backward()
    assert torch.equal(x.grad != 0, y != 0)


def test_export():
    net = torch.nn.Sequential(torch.nn.Linear(10, 20), st.Dropout(0.5)).train()
    x = torch.ones(3, 10)
    program = torch.export.export(net, (x,))
    assert "simdrop.apply" in program.graph_module.code
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    first, second = loaded(x), loaded(x)
    assert not torch.equal(first, second)
    linear = net[0](x)
    assert torch.equal(first, torch.where(first == 0, 0, 2 * linear))


def test_export_in_evaluation_has_no_dropout():
    net = torch.nn.Sequential(torch.nn.Linear(10, 20), st.Dropout(0.5)).eval()
    program = torch.export.export(net, (torch.ones(3, 10),))
    assert "simdrop" not in program.graph_module.code
