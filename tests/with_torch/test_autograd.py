"""Gradients of every kind: backward, forward, twice, batched; and what is saved for them."""

import numpy as np
import pytest
import torch
from torch.func import grad, jacfwd, jacrev, jvp, vmap

import simdrop as sd
from simdrop.torch import functional as F

FUNCTIONS = {
    "dropout": lambda x: F.dropout(x, 0.5),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, True),
    "gaussian_dropout": lambda x: F.gaussian_dropout(x, 0.5),
    "drop_path": lambda x: F.drop_path(x, 0.5),
    "locked_dropout": lambda x: F.locked_dropout(x, 0.5),
    "drop_block": lambda x: F.drop_block(x, 0.5, 2),
    "relu_dropout": lambda x: F.relu_dropout(x, 0.5),
    "dropout_add": lambda x: F.dropout_add(x, x * x, 0.5),
    "gelu": lambda x: F.bias_dropout(x, x[0], 0.5, activation="gelu"),
    "sigmoid": lambda x: F.bias_dropout(x, x[0], 0.5, activation="sigmoid"),
    "silu": lambda x: F.bias_dropout(x, x[0], 0.5, activation="silu"),
    "tanh": lambda x: F.bias_dropout(x, x[0], 0.5, activation="tanh"),
    "relu": lambda x: F.bias_dropout(x, x[0], 0.5, activation="relu"),
    "bias": lambda x: F.bias_dropout(x, x[0], 0.5),
}
RANDOMNESS = ("same", "different")


@pytest.fixture(params=FUNCTIONS)
def function(request):
    """With the same draw in every call."""

    def run(x):
        torch.manual_seed(3)
        return FUNCTIONS[request.param](x)

    return run


def inputs():
    return torch.randn(4, 5, dtype=torch.float64).requires_grad_()


def test_gradients(function):
    x = inputs()
    assert torch.autograd.gradcheck(function, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, x)


def test_torch_func(function):
    """The function transforms of torch.func, beside autograd."""
    x, dx = inputs().detach(), torch.randn(4, 5, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    y = function(leaf)
    (expected,) = torch.autograd.grad(y, leaf, dx)
    out, vjp = torch.func.vjp(function, x)
    torch.testing.assert_close(out, y.detach())
    torch.testing.assert_close(vjp(dx)[0], expected)
    jacobian = jacrev(function)(x)
    torch.testing.assert_close(jvp(function, (x,), (dx,))[1], (jacobian * dx).sum((2, 3)))
    second = jacfwd(jacrev(lambda x: function(x).sin().sum()), randomness="same")(x)
    (first,) = torch.autograd.grad(function(leaf).sin().sum(), leaf, create_graph=True)
    (expected,) = torch.autograd.grad(first, leaf, dx)
    torch.testing.assert_close((second * dx).sum((2, 3)), expected)


def test_complex_gradients():
    x = torch.randn(4, 5, dtype=torch.complex128).requires_grad_()

    def function(x):
        torch.manual_seed(3)
        return F.dropout(x, 0.5)

    assert torch.autograd.gradcheck(function, x) and torch.autograd.gradgradcheck(function, x)


def test_nothing_of_the_inputs_size_is_saved():
    saved = []

    def pack(x):
        saved.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        x = torch.ones(100, requires_grad=True)
        for function in (F.dropout, F.gaussian_dropout, F.drop_path):
            function(x, 0.5)
        F.alpha_dropout(x, 0.5, True)
        F.dropout_add(x, x, 0.5)
    assert not saved


def test_a_changed_input_is_noticed():
    x, bias = torch.ones(4, 5, requires_grad=True), torch.ones(5)
    v = x * 2
    y = F.bias_dropout(v, bias, 0.5, activation="gelu")
    v.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_in_place_in_a_graph():
    x = torch.ones(1000, requires_grad=True)
    y = x * 3
    F.dropout(y, 0.5, inplace=True)
    (y * y).sum().backward()
    torch.testing.assert_close(x.grad, 3 * 2 * 2 * y.detach())


def test_in_place_forward_mode():
    x, dx = torch.ones(100), torch.randn(100)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, dx) * 1
        F.dropout(dual, 0.5, inplace=True)
        y, dy = torch.autograd.forward_ad.unpack_dual(dual)
    torch.testing.assert_close(dy, y * dx)


def test_inference_mode():
    with torch.inference_mode():
        y = F.dropout(torch.ones(100), 0.5)
    assert set(y.tolist()) == {0.0, 2.0}


# --- vmap ---


def test_vmap_needs_to_be_told():
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(lambda x: F.dropout(x, 0.5))(torch.ones(3, 5))


@pytest.mark.parametrize("in_dim", [0, 1, 2])
@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "gaussian_dropout", "drop_block"])
def test_vmap(name, in_dim):
    x = torch.ones(6, 6, 6)
    same = vmap(FUNCTIONS[name], in_dims=in_dim, randomness="same")(x)
    assert torch.equal(same, same[:1].expand_as(same)) and len(set(same[0].flatten().tolist())) > 1
    other = vmap(FUNCTIONS[name], in_dims=in_dim, randomness="different")(x)
    assert not torch.equal(other[0], other[1])


def test_vmap_of_what_all_examples_share():
    shared = torch.ones(50)
    y = vmap(lambda x: F.dropout(shared, 0.5) + x, randomness="different")(torch.zeros(3, 50))
    assert not torch.equal(y[0], y[1])
    y = vmap(lambda x: F.dropout(shared, 0.5) + x, randomness="same")(torch.zeros(3, 50))
    assert torch.equal(y[0], y[1])


def test_what_examples_of_an_outer_vmap_share_has_to_be_expanded():
    inner = vmap(lambda x: F.dropout(x, 0.5), randomness="different")
    with pytest.raises(RuntimeError, match="expand it to one for each"):
        vmap(lambda x: inner(torch.ones(2, 50)) + x, randomness="different")(torch.zeros(3, 50))


@pytest.mark.parametrize("randomness", RANDOMNESS)
def test_gradients_of_examples(randomness):
    x = torch.ones(3, 500)
    found = vmap(grad(lambda x: F.dropout(x, 0.5).sum()), randomness=randomness)(x)
    assert set(found.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(found[0], found[1]) == (randomness == "same")


def test_nested_vmaps():
    x = torch.ones(3, 4, 50)
    y = vmap(vmap(lambda x: F.dropout(x, 0.5), randomness="different"), randomness="different")(x)
    assert len({tuple(row.tolist()) for row in y.reshape(12, 50)}) == 12
    y = vmap(vmap(lambda x: F.dropout(x, 0.5), randomness="same"), randomness="different")(x)
    assert len({tuple(row.tolist()) for row in y.reshape(12, 50)}) == 3


def test_the_draw_is_the_streams_under_vmap():
    y = vmap(lambda x: F.dropout(x, 0.5, stream=streams), randomness="different")(torch.ones(3, 50))
    expected = sd.Stream(1).mask((3, 50)).apply(np.ones((3, 50), np.float32))
    np.testing.assert_array_equal(y.numpy(), expected)


streams = sd.Stream(1)
