"""The functions: bits as from NumPy, PyTorch's semantics, errors before anything is written."""

import ml_dtypes
import numpy as np
import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop.torch import _eager
from simdrop.torch import functional as F

SEED = 7
KEY = oracle.key_from_seed(SEED)
TYPES = {
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.complex64: np.complex64,
    torch.complex128: np.complex128,
}
NAMES = [
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
]
INPUTS = {"dropout1d": (4, 5, 6), "dropout2d": (4, 5, 6, 3), "dropout3d": (4, 5, 2, 3, 4)}
OTHERS = {
    "gaussian_dropout": lambda x, p, **named: F.gaussian_dropout(x, p, **named),
    "drop_path": lambda x, p, **named: F.drop_path(x, p, **named),
    "locked_dropout": lambda x, p, **named: F.locked_dropout(x, p, **named),
    "drop_block": lambda x, p, **named: F.drop_block(x, p, 2, **named),
}


def as_numpy(x):
    x = x.detach()
    return (
        x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        if x.dtype is torch.bfloat16
        else x.numpy()
    )


def stream():
    return sd.Stream(SEED)


@st.composite
def views(draw):
    """Tensors of any strides and type."""
    dtype = draw(st.sampled_from(list(TYPES)))
    shape = draw(st.lists(st.integers(1, 7), max_size=4))
    steps = [draw(st.integers(1, 3)) for _ in shape]
    memory = torch.randn([n * step for n, step in zip(shape, steps, strict=True)], dtype=dtype)
    x = memory[tuple(slice(None, None, step) for step in steps)]
    x = x.permute(draw(st.permutations(range(len(shape)))))
    if draw(st.booleans()) and x.dim():
        x = x[:1].expand_as(x)
    return x


@given(views(), st.sampled_from([0.1, 0.5, 1.0]))
def test_bits_are_the_oracles(x, p):
    before = x.clone()
    y = F.dropout(x, p, stream=stream())
    keep = oracle.keep(KEY, 0, p, tuple(x.shape))
    expected = sd.Mask(KEY, 0, p, tuple(x.shape)).apply(as_numpy(x))
    assert y.dtype is x.dtype and y.shape == x.shape and torch.equal(x, before)
    np.testing.assert_array_equal(as_numpy(y), expected)
    assert not as_numpy(y)[~keep].any()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(
    "name", ["dropout", "drop_path", "dropout1d", "locked_dropout", "drop_block"]
)
def test_every_type(name, dtype):
    x = torch.randn(6, 5, 4, dtype=dtype)
    y = {**{n: getattr(F, n) for n in NAMES}, **OTHERS}[name](x, 0.5, stream=stream())
    axes = {"drop_path": (1, 2), "dropout1d": (2,), "locked_dropout": (0,)}.get(name, ())
    if name == "drop_block":
        expected, _ = sd.drop_block(as_numpy(x), 0.5, 2, rng=stream_at_zero())
    else:
        expected = sd.Mask(KEY, 0, 0.5, (6, 5, 4), shared_axes=axes).apply(as_numpy(x))
    np.testing.assert_array_equal(as_numpy(y), expected)


def stream_at_zero():
    """Whose next draw is draw 0 of KEY, as that of `stream()`."""
    return sd.Stream(SEED)


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout", "gaussian_dropout"])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_transforms_of_real_numbers(name, dtype):
    x = torch.randn(6, 5, 4, dtype=dtype)
    y = getattr(F, name)(x, 0.3, training=True, stream=stream())
    function = sd.gaussian_dropout if name == "gaussian_dropout" else sd.alpha_dropout
    axes = (2,) if name == "feature_alpha_dropout" else ()
    expected, _ = function(as_numpy(x), 0.3, rng=stream(), shared_axes=axes)
    np.testing.assert_array_equal(as_numpy(y), expected)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=str)
def test_the_memory_format_stays(memory_format):
    x = torch.randn(4, 3, 5, 6).contiguous(memory_format=memory_format).requires_grad_()
    y = F.dropout2d(x, 0.5, stream=stream())
    assert y.is_contiguous(memory_format=memory_format)
    dy = torch.ones_like(y)
    (dx,) = torch.autograd.grad(y, x, dy)
    assert dx.is_contiguous(memory_format=memory_format)
    expected = sd.Mask(KEY, 0, 0.5, (4, 3, 5, 6), shared_axes=(2, 3)).apply(
        np.ones((4, 3, 5, 6), np.float32)
    )
    np.testing.assert_array_equal(dx.numpy(), expected)


def test_conjugated_and_negated_tensors():
    x = torch.randn(5, 3, dtype=torch.complex64)
    for view in (x.conj(), x.conj().imag):
        y = F.dropout(view, 0.5, stream=stream())
        assert torch.equal(
            y, F.dropout(view.resolve_conj().resolve_neg().clone(), 0.5, stream=stream())
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inplace", [False, True])
def test_semantics_of_pytorch(name, inplace):
    """Of p and training, for whatever PyTorch's function does without chance."""
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    shape = INPUTS.get(name, (4, 5))
    for p, training in [(0.0, True), (1.0, True), (0.3, False), (0.0, False)]:
        x, z = torch.randn(shape), torch.empty(0)
        z = x.clone()
        y = ours(x, p, training, inplace)
        expected = theirs(z, p, training, inplace)
        assert torch.equal(y, expected) and (y is x) == (expected is z)
        assert torch.equal(x, z)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_wrong_p(name, p):
    x = torch.randn(INPUTS.get(name, (4, 5)))
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"):
        getattr(F, name)(x, p, True)


@pytest.mark.parametrize("name", NAMES)
def test_in_place_is_the_same(name):
    x = torch.randn(INPUTS.get(name, (4, 5)))
    expected = getattr(F, name)(x, 0.5, True, stream=stream())
    y = getattr(F, name)(x, 0.5, True, True, stream=stream())
    assert y is x and torch.equal(x, expected)


def test_in_place_on_a_leaf_writes_nothing():
    x = torch.ones(100, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        F.dropout(x, 0.5, inplace=True)
    assert torch.equal(x, torch.ones(100))
    with torch.no_grad():
        F.dropout(x, 0.5, inplace=True)
    assert x.count_nonzero() < 100


@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 3, 4)])
def test_without_a_batch_axis_each_channel_is_one(shape):
    function = F.dropout1d if len(shape) == 2 else F.dropout3d
    y = function(torch.ones(shape), 0.5, stream=stream())
    axes = tuple(range(1, len(shape)))
    expected = sd.Mask(KEY, 0, 0.5, shape, shared_axes=axes).apply(np.ones(shape, np.float32))
    np.testing.assert_array_equal(y.numpy(), expected)


def test_numbers_of_axes():
    with pytest.raises(RuntimeError, match="dropout1d: Expected 2D or 3D input"):
        F.dropout1d(torch.ones(3))
    with pytest.warns(UserWarning, match="Received a 3D input to dropout2d"):
        y = F.dropout2d(torch.ones(4, 5, 6), 0.5)
    assert torch.equal(y, y[..., :1].expand_as(y))
    with pytest.warns(UserWarning, match="Received a 2-D input to dropout2d"):
        F.dropout2d(torch.ones(4, 5), 0.5)
    with pytest.warns(UserWarning, match="Received a 2-D input to dropout3d"):
        F.dropout3d(torch.ones(4, 5), 0.5)
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        F.feature_alpha_dropout(torch.ones(4), 0.5, True)
    with pytest.raises(ValueError, match="no axes"):
        F.drop_path(torch.tensor(1.0))
    with pytest.raises(IndexError, match="time_axis = 2"):
        F.locked_dropout(torch.ones(3, 4), time_axis=2)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), ()])
def test_empty_and_zero_dimensional(shape):
    x = torch.ones(shape, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    assert y.shape == x.shape and x.grad.shape == x.shape


def test_dropped_nan_and_infinity_are_zero():
    x = torch.full((1000,), float("nan"))
    x[::2] = float("inf")
    y = F.dropout(x, 0.5)
    assert 400 < (y == 0).sum() < 600


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones(3), TypeError, "input must be a torch.Tensor, not ndarray"),
        (torch.ones(3, dtype=torch.int64), TypeError, "must be of floats or complex numbers"),
        (torch.ones(3, dtype=torch.bool), TypeError, "must be of floats or complex numbers"),
        (torch.eye(3).to_sparse(), ValueError, "must be dense"),
    ],
)
def test_what_is_no_tensor_of_floats(x, error, message):
    with pytest.raises(error, match=message):
        F.dropout(x)


def test_wrong_streams():
    for stream in (0, "s", np.random.default_rng(0)):
        with pytest.raises(TypeError, match="stream must be a simdrop.Stream"):
            F.dropout(torch.ones(3), stream=stream)


def test_without_ml_dtypes_other_types_work(monkeypatch):
    monkeypatch.setattr(_eager, "bfloat16", None)
    for dtype in (torch.float32, torch.float64):
        y = F.dropout(torch.ones(50, dtype=dtype), 0.5)
        assert y.dtype is dtype and set(y.tolist()) == {0.0, 2.0}
    with pytest.raises(ModuleNotFoundError, match="bfloat16 need ml_dtypes"):
        F.dropout(torch.ones(5, dtype=torch.bfloat16), 0.5)


def test_subclasses_decide():
    class Loud(torch.Tensor):
        seen = []

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    y = F.dropout(torch.ones(50).as_subclass(Loud), 0.5)
    assert type(y) is Loud and F.dropout in Loud.seen
    assert set(y.as_subclass(torch.Tensor).tolist()) == {0.0, 2.0}


def test_meta_tensors_have_shapes():
    y = F.dropout(torch.empty(3, 4, device="meta"), 0.5)
    assert y.device.type == "meta" and y.shape == (3, 4)


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh", "sigmoid", "silu"])
def test_bias_dropout_is_its_steps(activation):
    x, bias = torch.randn(6, 5), torch.randn(5)
    y = F.bias_dropout(x, bias, 0.4, activation=activation, stream=stream())
    function = {
        None: lambda v: v,
        "gelu": torch.nn.functional.gelu,
        "silu": torch.nn.functional.silu,
    }
    steps = function.get(activation) or getattr(torch, activation)
    expected = F.dropout(steps(x + bias), 0.4, stream=stream())
    torch.testing.assert_close(y, expected)
    assert torch.equal(y == 0, expected == 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_fused_functions_are_their_steps(dtype):
    x, residual = torch.randn(2, 6, 5, dtype=dtype)
    y = F.dropout_add(x, residual, 0.4, stream=stream())
    torch.testing.assert_close(y, F.dropout(x, 0.4, stream=stream()) + residual)
    y = F.relu_dropout(x, 0.4, stream=stream())
    assert torch.equal(y, F.dropout(torch.relu(x), 0.4, stream=stream()))
    for function in (F.relu_dropout, lambda x, p, t: F.dropout_add(x, residual, p, t)):
        assert torch.equal(function(x, 0.4, False), function(x, 0.0, True))


def test_wrong_operands_of_fused_functions():
    x = torch.ones(4, 3)
    for bias, error, message in [
        (torch.ones(4), ValueError, r"bias has shape \(4,\)"),
        (torch.ones(3, dtype=torch.float64), TypeError, "must be of the input's"),
        ([1, 2, 3], TypeError, "bias must be a torch.Tensor"),
    ]:
        with pytest.raises(error, match=message):
            F.bias_dropout(x, bias)
    with pytest.raises(ValueError, match="those that there are: None, 'relu'"):
        F.bias_dropout(x, torch.ones(3), activation="elu")
    with pytest.raises(ValueError, match=r"residual has shape \(3,\)"):
        F.dropout_add(x, torch.ones(3))


def test_names_of_elsewhere():
    x = torch.ones(3)
    for call, wrong, hint in (
        (F.dropout, "rate", r"dropout\(\) .*'rate': pass p, "),
        (F.dropout, "generator", r"'generator': pass stream, where random numbers come from$"),
        (F.dropout, "out", r"'out': pass inplace=True to write over the input$"),
        (F.drop_path, "drop_prob", r"drop_path\(\) .*: pass p, "),
        (F.relu_dropout, "keep_prob", r": p = 1 - keep_prob$"),
    ):
        with pytest.raises(TypeError, match=hint):
            call(x, **{wrong: 0})
