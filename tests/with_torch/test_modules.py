"""The modules: as PyTorch's, and with streams that state dicts carry."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import simdrop as sd
import simdrop.torch as st

PAIRS = [
    (st.Dropout, nn.Dropout, (4, 5)),
    (st.Dropout1d, nn.Dropout1d, (4, 5, 6)),
    (st.Dropout2d, nn.Dropout2d, (4, 5, 6, 3)),
    (st.Dropout3d, nn.Dropout3d, (4, 5, 2, 3, 4)),
    (st.AlphaDropout, nn.AlphaDropout, (4, 5)),
    (st.FeatureAlphaDropout, nn.FeatureAlphaDropout, (4, 5)),
]
MODULES = [
    *((ours, shape) for ours, _, shape in PAIRS),
    (st.GaussianDropout, (4, 5)),
    (st.DropPath, (4, 5)),
    (lambda p, **named: st.DropBlock(p, 2, **named), (3, 6, 6)),
    (st.LockedDropout, (4, 5)),
]


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_in_place_of_pytorchs(ours, theirs, shape):
    for args in [(), (0.2,), (0.2, True)]:
        mine, other = ours(*args), theirs(*args)
        assert repr(mine) == repr(other) and isinstance(mine, theirs)
        assert mine.state_dict() == other.state_dict() == {}
    for p in (-1, 2):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
            ours(p)
    x = torch.ones(shape)
    assert torch.equal(ours(0.5).eval()(x), x) and ours(0.5).eval()(x) is x
    y = ours(0.5)(x)
    assert len(set(y.flatten().tolist())) == 2


def test_reprs():
    stream = sd.Stream(0)
    assert repr(st.DropPath(0.1, scale=False)) == "DropPath(p=0.1, inplace=False, scale=False)"
    assert repr(st.DropBlock(0.1, 7)) == "DropBlock(p=0.1, inplace=False, block_size=7)"
    assert repr(st.LockedDropout(batch_first=True)) == (
        "LockedDropout(p=0.5, inplace=False, batch_first=True)"
    )
    assert repr(st.Dropout(stream=stream)) == f"Dropout(p=0.5, inplace=False, stream={stream!r})"


@pytest.mark.parametrize(("module", "shape"), MODULES)
def test_a_state_dict_carries_the_stream(module, shape):
    first = module(0.5, stream=sd.Stream(1))
    x = torch.ones(shape)
    first(x)
    file = io.BytesIO()
    torch.save(nn.Sequential(first).state_dict(), file)
    file.seek(0)
    second = module(0.5, stream=sd.Stream(2))
    nn.Sequential(second).load_state_dict(torch.load(file, weights_only=True))
    assert second.stream.state == first.stream.state and second.stream.draw == 1
    assert torch.equal(first(x), second(x))


def test_states_that_do_not_fit():
    module, plain = st.Dropout(stream=sd.Stream(0)), st.Dropout()
    with pytest.raises(RuntimeError, match='Missing key.*"stream"'):
        module.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected key.*"stream"'):
        plain.load_state_dict(module.state_dict())
    for state, message in [
        (torch.zeros(4), "five int64"),
        (torch.tensor([2, 0, 0, 0, 0]), "version 2"),
        (torch.tensor([1, 0, 0, -1, 0]), "draw = -1"),
    ]:
        before = module.stream.state
        with pytest.raises(RuntimeError, match=message):
            module.load_state_dict({"stream": state})
        assert module.stream.state == before
    module.load_state_dict({}, strict=False)
    with pytest.raises(TypeError, match="stream must be"):
        st.Dropout(stream=0)


@pytest.mark.parametrize(("module", "shape"), MODULES)
def test_pickles_and_copies(module, shape):
    one = module(0.5, stream=sd.Stream(3))
    x = torch.ones(shape)
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert repr(other) == repr(one)
        torch.testing.assert_close(other(x), copy.deepcopy(one)(x))


def test_locked_dropout_shares_the_time_axis():
    x = torch.ones(7, 3, 50)
    y = st.LockedDropout(0.5)(x)
    assert torch.equal(y, y[:1].expand_as(y)) and not torch.equal(y[:, 0], y[:, 1])
    y = st.LockedDropout(0.5, batch_first=True)(x)
    assert torch.equal(y, y[:, :1].expand_as(y)) and not torch.equal(y[0], y[1])


# --- WeightDrop ---


def lstm():
    torch.manual_seed(1)
    return nn.LSTM(3, 4, num_layers=2)


def test_weight_drop_is_dropout_of_the_weights():
    module = lstm()
    names = ["weight_hh_l0", "weight_hh_l1"]
    net = st.WeightDrop(module, names, 0.5, stream=sd.Stream(0))
    x = torch.randn(5, 2, 3)
    y, _ = net(x)
    other = lstm()
    with torch.no_grad():
        for draw, name in enumerate(names):
            weight = other.get_parameter(name)
            mask = sd.Mask(sd.Stream(0).key, draw, 0.5, tuple(weight.shape))
            weight.copy_(torch.from_numpy(mask.apply(weight.numpy())))
    torch.testing.assert_close(y, other(x)[0])


def test_weight_drop_leaves_the_module_as_it_was():
    module = lstm()
    before = copy.deepcopy(module.state_dict())
    names = [name for name, _ in module.named_parameters()]
    net = st.WeightDrop(module, "weight_hh_l0", 0.5)
    x = torch.randn(5, 2, 3)
    outputs = [net(x)[0] for _ in range(2)]
    assert not torch.equal(*outputs)
    assert [name for name, _ in module.named_parameters()] == names
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    torch.testing.assert_close(net.eval()(x)[0], module(x)[0])
    assert list(net.state_dict()) == [f"module.{name}" for name in before]


def test_weight_drop_trains_the_weights():
    """Gradients reach the parameters that an optimizer has, and only where they were kept."""
    module = lstm()
    net = st.WeightDrop(module, "weight_hh_l0", 0.5, stream=sd.Stream(0))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = module.weight_hh_l0.detach().clone()
    net(torch.randn(5, 2, 3))[0].sum().backward()
    optimizer.step()
    keep = torch.from_numpy(sd.Stream(0).mask((16, 4), 0.5).keep())
    assert torch.equal(module.weight_hh_l0.detach() != before, keep)
    net(torch.randn(5, 2, 3))[0].sum().backward()  # of a second call, too


def test_weight_drop_of_wrong_arguments():
    with pytest.raises(AttributeError, match="weight_hh_l9"):
        st.WeightDrop(lstm(), "weight_hh_l9")
    with pytest.raises(ValueError, match="between 0 and 1"):
        st.WeightDrop(lstm(), "weight_hh_l0", 1.5)


def test_weight_drop_copies_and_pickles():
    net = st.WeightDrop(lstm(), "weight_hh_l0", 0.5, stream=sd.Stream(0))
    x = torch.randn(5, 2, 3)
    others = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
    y = net(x)[0]
    assert all(torch.equal(other(x)[0], y) for other in others)
    np.testing.assert_array_equal(
        others[0].state_dict()["stream"], others[1].state_dict()["stream"]
    )
