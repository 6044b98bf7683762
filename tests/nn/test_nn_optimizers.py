"""The optimizers against slow NumPy: shapes, layouts and kept parts, max-norm and penalties; what
is refused, before anything has changed."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import nn, submatrix

DTYPES = (np.float32, np.float64)


# --- Slow NumPy ---


class Oracle:
    """One parameter, in float64, a step at a time; by the formulas of the papers."""

    def __init__(self, value, kind, rows, columns, options):
        self.value, self.kind = np.array(value, np.float64, order="C"), kind
        axes = {1: [columns], 2: [rows, columns]}.get(value.ndim, [None] * value.ndim)
        axes = [np.arange(n) if k is None else k for n, k in zip(value.shape, axes, strict=True)]
        self.where = np.ix_(*axes)
        self.options = {"l1": 0.0, "l2": 0.0, "max_norm": None} | options
        self.states = [np.zeros(value.shape), np.zeros(value.shape)]
        self.steps = 0

    def step(self, grad):
        self.steps += 1
        w, o = self.value[self.where], self.options
        if self.kind == "weight":
            grad = grad + o["l2"] * w + o["l1"] * np.sign(w)
        if "beta1" in o:
            mean, square = (state[self.where] for state in self.states)
            mean = o["beta1"] * mean + (1 - o["beta1"]) * grad
            square = o["beta2"] * square + (1 - o["beta2"]) * grad**2
            self.states[0][self.where], self.states[1][self.where] = mean, square
            mean, square = (
                mean / (1 - o["beta1"] ** self.steps),
                square / (1 - o["beta2"] ** self.steps),
            )
            self.value[self.where] = w - o["lr"] * mean / (np.sqrt(square) + o["eps"])
        else:
            step = -o["lr"] * grad
            velocity = o["momentum"] * self.states[0][self.where] + step
            self.states[0][self.where] = velocity
            ahead = o["momentum"] * velocity + step if o["nesterov"] else velocity
            self.value[self.where] = w + ahead
        if self.kind == "weight" and o["max_norm"] is not None:
            inputs = 1 if self.value.ndim < 2 else len(self.value)
            units = self.value.reshape(inputs, self.value.size // max(inputs, 1))
            for unit in units.T:
                norm = math.sqrt(sum(float(w) ** 2 for w in unit))
                if norm > o["max_norm"]:
                    unit *= o["max_norm"] / norm


def laid_out(array, layout):
    """The same numbers in memory that is laid out otherwise, and all of that memory."""
    shape, dtype = array.shape, array.dtype
    if layout == "fortran":
        result = array.copy(order="F")
        return result, result
    if layout == "swapped":
        result = array.astype(dtype.newbyteorder())
        return result, result
    if layout == "unaligned":
        memory = np.zeros(array.nbytes + 1, np.uint8)
        result = memory[1:].view(dtype).reshape(shape)
    elif layout == "sliced":
        memory = np.full([2 * n + 1 for n in shape], 7, dtype)
        result = memory[(*(slice(1, None, 2) for _ in shape), ...)]
    elif layout == "reversed":
        memory = np.zeros(shape, dtype)
        result = memory[(*(slice(None, None, -1) for _ in shape), ...)]
    else:
        result = memory = np.zeros(shape, dtype)
    result[...] = array
    return result, memory


LAYOUTS = ("c", "fortran", "sliced", "reversed", "swapped", "unaligned")
numbers = {
    "lr": st.sampled_from([0.0, 0.01, 0.3]),
    "l2": st.sampled_from([0.0, 0.1]),
    "l1": st.sampled_from([0.0, 0.02]),
    "max_norm": st.sampled_from([None, 0.5, 2.0]),
}
sgds = st.fixed_dictionaries(
    numbers | {"momentum": st.sampled_from([0.0, 0.5, 0.9]), "nesterov": st.booleans()}
).map(lambda o: o | {"nesterov": o["nesterov"] and o["momentum"] > 0})
adams = st.fixed_dictionaries(
    numbers
    | {
        "beta1": st.sampled_from([0.0, 0.9]),
        "beta2": st.sampled_from([0.0, 0.5, 0.999]),
        "eps": st.sampled_from([1e-8, 1e-3]),
    }
)
shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple) | st.sampled_from(
    [(64,), (129,), (3, 130), (70, 65)]
)


@given(
    shapes,
    sgds | adams,
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["weight", "bias"]),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.integers(0, 2**32),
)
def test_every_step_is_that_of_slow_numpy(
    shape, options, dtype, layout, grad_layout, kind, p_rows, p_columns, seed
):
    rng = np.random.default_rng(seed)
    value, memory = laid_out(rng.normal(size=shape).astype(dtype), layout)
    parameter = nn.Parameter(value, kind)
    rows = columns = None
    if len(shape) == 2 and p_rows is not None:
        rows = submatrix.Kept(sd.Stream([seed, 0]).mask(shape[0], p_rows))
    if len(shape) in (1, 2) and p_columns is not None:
        columns = submatrix.Kept(sd.Stream([seed, 1]).mask(shape[-1], p_columns))
    kept = [None if k is None else k.indices for k in (rows, columns)]
    oracle = Oracle(value, kind, *kept, options)
    make = nn.Adam if "beta1" in options else nn.SGD
    optimizer = make([parameter], **options)
    for _ in range(3):
        grad = parameter.take_part(rows, columns)
        grad[...] = rng.normal(size=grad.shape)
        parameter.grad, _ = laid_out(grad, grad_layout)
        oracle.step(parameter.grad.astype(np.float64))
        optimizer.step()
    assert parameter.value is value
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(value, oracle.value, rtol=tolerance, atol=tolerance)
    if layout == "sliced":
        assert memory.sum(dtype=np.float64) - value.sum(dtype=np.float64) == pytest.approx(
            7 * (memory.size - value.size), rel=1e-6
        )


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_parameter_of_any_layout_learns(make, layout):
    """In three axes, where a reshape may copy."""
    start = np.random.default_rng(0).normal(size=(2, 3, 4))
    results = []
    for chosen in ("c", layout):
        value, _ = laid_out(start, chosen)
        parameter = nn.Parameter(value, "weight")
        optimizer = make([parameter], 0.1, l2=0.1, l1=0.1, max_norm=1.0)
        for _ in range(3):
            parameter.grad[...] = np.arange(24.0).reshape(2, 3, 4)
            optimizer.step()
        assert np.all(value != start)
        results.append(np.array(value, np.float64, order="C"))
    np.testing.assert_array_equal(*results)


# --- Parameters ---


def broadcast(shape):
    array = np.broadcast_to(np.ones(1), shape)
    array.flags.writeable = True
    return array


def read_only(array):
    array.flags.writeable = False
    return array


class Subclass(np.ndarray):
    pass


refused_values = pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: [1.0], TypeError, "must be a numpy.ndarray, not a list"),
        (lambda: np.ones(3).view(Subclass), TypeError, "not a Subclass; numpy.asarray"),
        (lambda: np.ma.masked_array([1.0], [True]), TypeError, "not a MaskedArray"),
        (lambda: np.ones(3, np.float16), TypeError, "float16, but must be of float32 or float64"),
        (lambda: np.ones(3, int), TypeError, "int64, but must be of float32 or float64"),
        (lambda: np.ones(3, complex), TypeError, "complex128, but"),
        (lambda: read_only(np.ones(3)), ValueError, "is read-only"),
        pytest.param(
            lambda: broadcast(3),
            ValueError,
            "several elements at one address",
            marks=pytest.mark.filterwarnings("ignore:Numpy has detected:DeprecationWarning"),
        ),
        (
            lambda: np.lib.stride_tricks.sliding_window_view(np.ones(5), 3, writeable=True),
            ValueError,
            "several elements at one address",
        ),
    ],
)


@refused_values
def test_a_parameter_refuses_what_cannot_be_learned(make, kind, message):
    with pytest.raises(kind, match="value.*" + message):
        nn.Parameter(make(), "bias")
    parameter = nn.Parameter(np.ones(3), "bias")
    before = parameter.value
    with pytest.raises(kind, match="value.*" + message):
        parameter.value = make()
    assert parameter.value is before


@refused_values
def test_a_gradient_that_cannot_be_written_is_refused(make, kind, message):
    parameter = nn.Parameter(np.ones(3), "bias")
    before = parameter.grad
    with pytest.raises(kind, match="grad.*" + message):
        parameter.grad = make()
    assert parameter.grad is before


def test_a_gradient_that_does_not_fit_its_value_is_refused():
    parameter = nn.Parameter(np.ones((3, 4), np.float32), "weight")
    with pytest.raises(ValueError, match=r"grad has shape \(4, 3\), but.*\(3, 4\)"):
        parameter.grad = np.ones((4, 3), np.float32)
    with pytest.raises(TypeError, match="grad is of float64, but must be of float32"):
        parameter.grad = np.ones((3, 4))
    with pytest.raises(ValueError, match="grad shares memory with value"):
        parameter.grad = parameter.value
    columns = submatrix.Kept(sd.Stream(0).mask(4, 0.5))
    parameter.take_part(None, columns)
    with pytest.raises(ValueError, match=r"grad has shape \(3, 4\)"):
        parameter.grad = np.ones((3, 4), np.float32)
    parameter.grad = np.ones((3, columns.count), np.float32)


def test_another_value_gets_a_gradient_of_its_shape():
    parameter = nn.Parameter(np.ones((3, 4), np.float32), "weight")
    parameter.take_part(None, submatrix.Kept(sd.Stream(0).mask(4, 0.5)))
    parameter.value = np.ones((2, 5))
    assert (parameter.grad.shape, parameter.grad.dtype) == ((2, 5), np.float64)
    assert parameter.rows is None and parameter.columns is None


@pytest.mark.parametrize("kind", ["weights", "Weight", None, 0])
def test_a_parameter_is_a_weight_or_a_bias(kind):
    """Another word would be a weight without its penalties."""
    with pytest.raises(ValueError, match='kind must be "weight" or "bias", got'):
        nn.Parameter(np.ones(3), kind)


def test_take_part_refuses_what_does_not_fit():
    three, four = (submatrix.Kept(sd.Stream(0).mask(n, 0.5)) for n in (3, 4))
    vector, matrix, cube = (nn.Parameter(np.ones((3, 4, 2)[:n]), "weight") for n in (1, 2, 3))
    with pytest.raises(ValueError, match="columns is of 3, but the value has 4"):
        matrix.take_part(None, three)
    with pytest.raises(ValueError, match="rows is of 4, but the value has 3"):
        matrix.take_part(four, None)
    with pytest.raises(ValueError, match=r"rows must be None.*shape \(3,\)"):
        vector.take_part(three, None)
    for kept in ((three, None), (None, four), (three, four)):
        with pytest.raises(ValueError, match=r"must be None.*shape \(3, 4, 2\)"):
            cube.take_part(*kept)
    with pytest.raises(TypeError, match="rows must be a Kept or None, not list"):
        matrix.take_part([0, 1], None)
    for parameter in (vector, matrix, cube):
        assert parameter.rows is None and parameter.columns is None
        assert parameter.grad.shape == parameter.value.shape


@pytest.mark.parametrize("layout", LAYOUTS)
def test_take_part_writes_the_gradient_of_any_layout(layout):
    value, _ = laid_out(np.ones((3, 4)), layout)
    parameter = nn.Parameter(value, "weight")
    rows, columns = (submatrix.Kept(sd.Mask.from_keep(np.arange(n) % 3 != 1)) for n in (3, 4))
    parameter.take_part(rows, columns)[...] = 5
    whole = np.zeros((3, 4))
    whole[np.ix_([0, 2], [0, 2, 3])] = 5
    np.testing.assert_array_equal(parameter.whole_grad(), whole)


# --- One memory, one parameter ---


def overlapping_parameters():
    memory = np.ones((4, 6))
    one = nn.Parameter(memory, "weight")
    return {
        "the same object": (one, one),
        "the same array": (one, nn.Parameter(memory, "weight")),
        "a transposed view": (one, nn.Parameter(memory.T, "weight")),
        "a view of another type": (one, nn.Parameter(memory.view(np.float32), "weight")),
        "rows": (nn.Parameter(memory[:3], "weight"), nn.Parameter(memory[2:], "weight")),
        "columns": (
            nn.Parameter(memory[:, ::2], "weight"),
            nn.Parameter(memory[:, 2:3], "weight"),
        ),
    }


@pytest.mark.parametrize("which", overlapping_parameters())
@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
def test_an_optimizer_refuses_parameters_that_share_memory(which, make):
    first, second = overlapping_parameters()[which]
    other = nn.Parameter(np.ones(3), "bias")
    with pytest.raises(ValueError, match=r"parameters\[1\]\.value.*parameters\[2\]\.value"):
        make([other, first, second], 0.1)


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
@pytest.mark.parametrize(
    "cut", [lambda m: (m[:2], m[2:]), lambda m: (m[:, ::2], m[:, 1::2]), lambda m: (m[:0], m)]
)
def test_disjoint_views_of_one_array_are_parameters_of_their_own(make, cut):
    memory = np.random.default_rng(0).normal(size=(4, 6))
    alone = [nn.Parameter(part.copy(), "weight") for part in cut(memory)]
    views = [nn.Parameter(part, "weight") for part in cut(memory)]
    for parameters in (alone, views):
        for parameter in parameters:
            parameter.grad[...] = parameter.value + 1
        make(parameters, 0.1).step()
    for a, b in zip(alone, views, strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def unchanged(optimizer):
    """Everything that a step may write, to compare."""
    arrays = [p.value for p in optimizer.parameters] + sum(optimizer.state, [])
    return [array.tobytes() for array in arrays] + [optimizer.steps]


def two_parameters(make=nn.SGD):
    parameters = [nn.Parameter(np.ones((2, 3)), "weight"), nn.Parameter(np.ones(3), "bias")]
    for parameter in parameters:
        parameter.grad[...] = 1
    return parameters, make(parameters, 0.1)


def share(parameters, optimizer):
    parameters[1].value = parameters[0].value[1]


def share_gradient(parameters, optimizer):
    parameters[1].grad = parameters[0].grad[1]


def share_state(parameters, optimizer):
    optimizer.state[1][0] = parameters[1].grad


def another_shape(parameters, optimizer):
    parameters[1].value = np.ones(4)


def another_type(parameters, optimizer):
    parameters[1].value = np.ones(3, np.float32)


def no_longer_writable(parameters, optimizer):
    parameters[1].value.flags.writeable = False


def strided_and_no_longer_writable(parameters, optimizer):
    parameters[1].value = np.ones(6)[::2]
    parameters[1].value.flags.writeable = False


def state_of_another_shape(parameters, optimizer):
    optimizer.state[1][-1] = np.zeros(4)


def one_parameter_more(parameters, optimizer):
    optimizer.parameters.append(nn.Parameter(np.ones(3), "bias"))


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (share, r"parameters\[0\]\.value.*parameters\[1\]\.value"),
        (share_gradient, r"parameters\[0\]\.grad.*parameters\[1\]\.grad"),
        (share_state, r"parameters\[1\]\.grad.*state\[1\]\[0\]"),
        (another_shape, "shape"),
        (another_type, "float32"),
        (no_longer_writable, "read-only"),
        (strided_and_no_longer_writable, "read-only"),
        (state_of_another_shape, "shape"),
        (one_parameter_more, "shorter|longer|3 parameters"),
    ],
)
def test_a_step_refuses_what_was_changed_since_and_changes_nothing(make, change, message):
    parameters, optimizer = two_parameters(make)
    change(parameters, optimizer)
    before = unchanged(optimizer)
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.step()
    assert unchanged(optimizer) == before


def test_optimizers_may_follow_each_other():
    """One parameter, two optimizers: each step is that of the optimizer that makes it."""
    parameter, alone = (nn.Parameter(np.ones(3), "bias") for _ in range(2))
    adam, sgd = nn.Adam([parameter], 0.1), nn.SGD([parameter], 0.1, momentum=0.9)
    for p in (parameter, alone):
        p.grad[:] = 1, 2, 3
    nn.Adam([alone], 0.1).step()
    alone.value -= 0.1 * alone.grad
    adam.step()
    sgd.step()
    np.testing.assert_allclose(parameter.value, alone.value, rtol=1e-15)


# --- Numbers ---

WRONG = {
    "lr": (-0.1, math.nan, math.inf, -math.inf),
    "l2": (-1e-9, math.nan, math.inf),
    "l1": (-1e-9, math.nan, math.inf),
    "max_norm": (0, -1, math.nan, math.inf),
    "momentum": (-0.1, 1, 1.5, math.nan),
    "beta1": (-0.1, 1, 1.5, math.nan),
    "beta2": (-0.1, 1, 1.5, math.nan),
    "eps": (0, -1e-8, math.nan, math.inf),
}
OF = {
    nn.SGD: ("lr", "l2", "l1", "max_norm", "momentum"),
    nn.Adam: ("lr", "l2", "l1", "max_norm", "beta1", "beta2", "eps"),
}
wrong_numbers = pytest.mark.parametrize(
    ("make", "name", "number"),
    [
        (make, name, number)
        for make, names in OF.items()
        for name in names
        for number in WRONG[name]
    ],
)


@wrong_numbers
def test_an_optimizer_refuses_numbers_outside_their_range(make, name, number):
    parameters, _ = two_parameters()
    with pytest.raises(ValueError, match=f"{name} must be .*got {number!r}"):
        make(parameters, **{"lr": 0.1} | {name: number})
    with pytest.raises(TypeError, match=f"{name} must be a number, not str"):
        make(parameters, **{"lr": 0.1} | {name: "0.5"})


@wrong_numbers
def test_a_step_refuses_numbers_set_since_and_changes_nothing(make, name, number):
    _, optimizer = two_parameters(make)
    setattr(optimizer, name, number)
    before = unchanged(optimizer)
    with pytest.raises(ValueError, match=f"{name} must be"):
        optimizer.step()
    assert unchanged(optimizer) == before


def test_numbers_may_be_numpys():
    parameters, _ = two_parameters()
    optimizer = nn.SGD(parameters, np.float32(0.5), momentum=np.float64(0.5), max_norm=np.int64(2))
    kinds = {type(vars(optimizer)[name]) for name in ("lr", "l1", "l2", "momentum", "max_norm")}
    assert kinds == {float}
    optimizer.lr = np.float64(0.25)
    optimizer.step()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
def test_a_learning_rate_of_zero_changes_nothing(make, dtype):
    """A warm-up begins with it, and a decay may end there; PyTorch takes it, too."""
    parameter = nn.Parameter(np.ones(3, dtype), "weight")
    parameter.grad[:] = 1
    optimizer = make([parameter], 0, max_norm=2)
    optimizer.step()
    np.testing.assert_array_equal(parameter.value, 1)
    optimizer.lr = 0.1
    optimizer.step()
    assert np.all(parameter.value < 1)


def test_an_eps_that_the_type_of_the_parameters_cannot_hold():
    single, double = (nn.Parameter(np.ones(3, dtype), "weight") for dtype in DTYPES)
    with pytest.raises(ValueError, match="finite in float32, but 1e-50 is 0"):
        nn.Adam([single], eps=1e-50)
    with pytest.raises(ValueError, match=r"finite in float32, but 1e\+39 is infinite"):
        nn.Adam([single], eps=1e39)
    nn.Adam([double], eps=1e-50).step()
    assert np.all(np.isfinite(double.value))
    nn.Adam([single], eps=1e-45).step()  # the smallest number
    assert np.all(np.isfinite(single.value))


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
@pytest.mark.parametrize("name", ["lr", "l1", "l2"])
def test_numbers_that_overflow_in_float32_are_seen_to_diverge(make, name):
    parameter = nn.Parameter(np.ones(3, np.float32), "weight")
    parameter.grad[:] = 1
    make([parameter], **{"lr": 0.1} | {name: 1e300}).step()
    assert not np.isfinite(parameter.value).any()


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    eps=st.floats(0, 1, exclude_min=True),
    grads=st.lists(st.sampled_from([0.0, -0.0, 1e-45, -1e-38, 1e-20, 1.0]), min_size=1, max_size=4),
)
def test_adam_is_finite_where_gradients_vanish(dtype, eps, grads):
    parameter = nn.Parameter(np.ones(3, dtype), "weight")
    if dtype(eps) == 0:
        with pytest.raises(ValueError, match="is 0: a step"):
            nn.Adam([parameter], eps=eps)
        return
    optimizer = nn.Adam([parameter], eps=eps)
    for grad in grads:
        parameter.grad[:] = grad
        optimizer.step()
    assert np.all(np.isfinite(parameter.value))


def test_momentum_of_nesterov_may_end_at_zero():
    parameters, _ = two_parameters()
    optimizer = nn.SGD(parameters, 0.1, momentum=0.9, nesterov=True)
    optimizer.momentum = 0.0
    optimizer.step()
    np.testing.assert_allclose(parameters[1].value, 0.9)


# --- Max-norm at the edges ---


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_max_norm_of_other_units_does_not_end_with_one_that_diverges(bad):
    weight = np.full((2, 3), 3.0)
    weight[0, 1] = bad
    parameter = nn.Parameter(weight, "weight")
    nn.SGD([parameter], 0.1, max_norm=1).step()
    np.testing.assert_allclose(np.linalg.norm(weight[:, ::2], axis=0), 1)
    assert np.isnan(weight[:, 1]).any()  # to be seen


@pytest.mark.parametrize("large", [1e153, 1e200, 1.7e308])
def test_max_norm_of_weights_whose_squares_overflow(large):
    weight = np.array([[0.6 * large, 1.0], [-0.8 * large, 0.0]])
    nn.SGD([nn.Parameter(weight, "weight")], 0.1, max_norm=10).step()
    np.testing.assert_allclose(weight, [[6, 1], [-8, 0]], rtol=1e-12)


def test_a_copy_steps_alike():
    parameters, optimizer = two_parameters(nn.Adam)
    again = copy.deepcopy(optimizer)
    for made in (optimizer, again):
        made.step()
    assert unchanged(optimizer) == unchanged(again)
