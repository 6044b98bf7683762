"""Dropout in JAX: NumPy's masks, compiled, differentiated and mapped."""

import pathlib
import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import simdrop as sd
import simdrop.jax as sj
from simdrop.jax import _extension, _keystream, _primitive

KEY = bytes(range(16))
ADDRESS = np.array([*np.frombuffer(KEY, "<u4"), 7, 0], np.uint32)  # draw 7

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
OTHERS = ("bool", "int8", "uint8", "int16", "uint32", "int64", "float8_e5m2", "float8_e4m3fn")

needs_extension = pytest.mark.skipif(
    not _extension.is_registered(), reason="this build has no extension for JAX"
)


def dtype_named(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def values(shape, dtype, special=True):
    """Normal numbers, and what is special among floats."""
    x = np.random.default_rng(0).standard_normal(shape) * 10
    if special and dtype.kind not in "biu":
        for i, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            x.reshape(-1)[i::7] = value
    with np.errstate(all="ignore"):
        return (x > 0 if dtype.kind == "b" else x).astype(dtype)


def assert_same_bits(found, expected):
    """Also of zeros; NaN is NaN."""
    found = np.asarray(found)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if found.dtype.kind == "c":
        found, expected = (
            np.ascontiguousarray(a)[..., None].view(a.real.dtype) for a in (found, expected)
        )
    with np.errstate(all="ignore"):
        nan = expected != expected
        np.testing.assert_array_equal(found != found, nan)
    as_bytes = [np.where(nan, np.zeros((), a.dtype), a).tobytes() for a in (found, expected)]
    assert as_bytes[0] == as_bytes[1]


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


# --- The bits ---


@st.composite
def cases(draw):
    shape = draw(st.sampled_from([(), (0,), (1,), (17,), (3, 0, 2), (5, 33), (2, 3, 4, 5)]))
    axes = draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    scale = draw(st.booleans())
    dtype = draw(st.sampled_from(FLOATS if scale else FLOATS + OTHERS))
    p = draw(st.sampled_from([0.1, 0.5, 1 / 3, 2**-70, 1 - 2**-53, 1.0]))
    return shape, tuple(axes), scale, dtype_named(dtype), p


@needs_extension
@given(cases())
@settings(max_examples=60)
def test_bits_of_the_extension(x64, case):
    shape, axes, scale, dtype, p = case
    x = values(shape, dtype)
    y = sj.dropout(jnp.asarray(ADDRESS), x, p, shared_axes=axes, scale=scale)
    assert_same_bits(y, oracle.apply(x, KEY, 7, p, axes, scale))


@pytest.mark.parametrize(("p", "n"), [(0.5, 0), (0.5, 1), (1 / 3, 1000), (2**-70, 40), (1.0, 40)])
def test_decisions_in_jax_numpy(p, n):
    kept = jax.jit(lambda address: _keystream.keep(address, p, n))(ADDRESS)
    np.testing.assert_array_equal(kept, oracle.keep(KEY, 7, p, (n,)))


def test_high_words_of_draws(way):
    draw = 2**56 - 3
    words = ADDRESS.copy()
    words[4:] = draw & 0xFFFFFFFF, draw >> 32
    ones = np.ones(200, np.float32)
    expected = sd.Mask(KEY, draw, 0.3, 200).apply(ones)
    np.testing.assert_array_equal(sj.dropout(words, ones, 0.3), expected)
    words[5] |= 0xFF000000  # beyond: left out
    np.testing.assert_array_equal(sj.dropout(words, ones, 0.3), expected)


@pytest.mark.parametrize("axes", ["d", "s", "dsd", "ssd", "dds"])
def test_axes_in_jax_numpy(axes):
    shape = (4, 5, 6)[: len(axes)]
    shared = [i for i, kind in enumerate(axes) if kind == "s"]
    keep = jax.jit(lambda address: _primitive.kept(shape, address, 0.5, axes))(ADDRESS)
    np.testing.assert_array_equal(
        np.broadcast_to(keep, shape), oracle.keep(KEY, 7, 0.5, shape, shared)
    )


@pytest.mark.parametrize("name", FLOATS + OTHERS)
def test_types_in_jax_numpy(x64, name):
    dtype = dtype_named(name)
    x, keep = values((3, 40), dtype), oracle.keep(KEY, 7, 1 / 3, (3, 40))
    for scaled in (True, False) if name in FLOATS else (False,):
        selected = jax.jit(lambda x, keep, s=scaled: _primitive.selected(keep, x, 1 / 3, s))
        assert_same_bits(selected(x, keep), oracle.apply(x, KEY, 7, 1 / 3, (), scaled))


@pytest.mark.parametrize("name", ["dropout", "drop_path", "locked_dropout"])
def test_as_numpy(way, name):
    x = values((6, 50), np.dtype(np.float32))
    compiled = jax.jit(lambda address, x: getattr(sj, name)(address, x, 0.3))
    ours, numpys = sd.Stream(3), sd.Stream(3)
    for _ in range(3):
        expected, _ = getattr(sd, name)(x, 0.3, rng=numpys)
        assert_same_bits(compiled(sj.address(ours), x), expected)


def test_half_a_byte():
    """XLA may pack such elements, so that jax.numpy computes."""
    x = jnp.arange(40).astype(jnp.int4)
    y = sj.dropout(ADDRESS, x, scale=False)
    np.testing.assert_array_equal(
        y.astype(jnp.int32), np.where(oracle.keep(KEY, 7, 0.5, (40,)), x.astype(jnp.int32), 0)
    )


@needs_extension
def test_subnormal_numbers_are_kept():
    """XLA's threads flush them."""
    x = np.full(100, 1e-40, np.float32)
    y = np.asarray(jax.jit(sj.dropout)(ADDRESS, x))
    assert_same_bits(y, oracle.apply(x, KEY, 7, 0.5))
    assert y.max() > 0


# --- Where masks come from ---


def test_addresses():
    stream = sd.Stream(0)
    first, second = sj.address(stream), sj.address(stream)
    assert (first.shape, first.dtype, stream.draw) == ((6,), np.uint32, 2)
    assert first[:4].tobytes() == stream.key == second[:4].tobytes()
    assert (first[4:].tolist(), second[4:].tolist()) == ([0, 0], [1, 0])
    mask = sd.Mask(KEY, 2**40 + 5, 0.5, (3,))
    np.testing.assert_array_equal(sj.address(mask)[4:], [5, 256])
    np.testing.assert_array_equal(sj.address(mask), sj.address(sd.Draw(KEY, 2**40 + 5, 9)))


def test_wrong_addresses():
    mask = sd.Mask(KEY, 0, 0.5, (4, 4))
    with pytest.raises(ValueError, match="is a window, which has no address"):
        sj.address(mask.window((0, 0), (2, 4)))
    with pytest.raises(TypeError, match="must be a simdrop.Stream or Draw, not int"):
        sj.address(5)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_of_jax(make, impl):
    with jax.default_prng_impl(impl):
        key, x = make(5), jnp.ones((4, 5))
        bits = jax.random.bits(key, (4,), jnp.uint32)
        expected = sd.Mask(bits.tobytes(), 0, 0.3, (4, 5)).apply(np.ones((4, 5), np.float32))
        np.testing.assert_array_equal(sj.dropout(key, x, 0.3), expected)
        np.testing.assert_array_equal(jax.jit(sj.dropout, static_argnums=2)(key, x, 0.3), expected)


def test_streams_draw_as_in_numpy():
    x, ours, numpys = np.ones(50, np.float32), sd.Stream(0), sd.Stream(0)
    for p in (0.5, 0.0, 1.0, 0.1):
        np.testing.assert_array_equal(sj.dropout(ours, x, p), sd.dropout(x, p, rng=numpys)[0])
        assert ours.draw == numpys.draw
    sj.dropout(ours, x, training=False)
    assert ours.draw == numpys.draw


def test_streams_outside_of_compiled_functions():
    """grad, jvp and vmap run Python at each call, so that each call draws."""
    x, stream = jnp.ones(64), sd.Stream(0)
    for function in (
        jax.grad(lambda x: sj.dropout(stream, x).sum()),
        lambda x: jax.jvp(lambda x: sj.dropout(stream, x), (x,), (x,))[1],
        jax.vmap(lambda x: sj.dropout(stream, x)),
        lambda x: jax.vjp(lambda x: sj.dropout(stream, x), x)[1](x)[0],
    ):
        before = stream.draw
        y = function(jnp.ones((1, 64)) if before == 2 else x)
        assert stream.draw == before + 1
        mask = sd.Mask(stream.key, before, 0.5, 64)
        np.testing.assert_array_equal(y.reshape(64), mask.apply(np.ones(64)))


@pytest.mark.parametrize(
    "traced",
    [
        jax.jit,
        lambda f: jax.jit(jax.grad(lambda x: f(x).sum())),
        lambda f: jax.grad(jax.jit(lambda x: f(x).sum())),
        jax.checkpoint,
        lambda f: lambda x: jax.lax.scan(lambda c, x: (c, f(x)), 0, x),
        lambda f: jax.jit(jax.vmap(f)),
        lambda f: jax.jit(lambda x: f(jnp.ones(3)) + x),
    ],
)
def test_streams_in_traced_functions(traced):
    stream = sd.Stream(0)
    for drawn in (lambda x: sj.dropout(stream, x), lambda x: sj.dropout(sj.address(stream), x)):
        with pytest.raises(ValueError, match=r"Pass simdrop.jax.address\(stream\) to the function"):
            traced(drawn)(jnp.ones(3))
    assert stream.draw == 0


def test_draws_themselves():
    mask = sd.Stream(1).mask((4, 5), 0.25, shared_axes=1, scale=False)
    x = np.arange(20, dtype=np.float32).reshape(4, 5)
    fitting = {"p": 0.25, "shared_axes": -1, "scale": False}
    np.testing.assert_array_equal(sj.dropout(mask, x, **fitting), mask.apply(x))
    jitted = jax.jit(lambda x: sj.dropout(mask, x, **fitting))
    np.testing.assert_array_equal(jitted(x), mask.apply(x))
    draw = sd.Draw(mask.key, mask.draw, (4, 5), shared_axes=1)
    np.testing.assert_array_equal(sj.dropout(draw, x, **fitting), mask.apply(x))
    for other, name in [
        ({"p": 0.5}, "p = 0.25, but the call has 0.5"),
        ({"shared_axes": 0}, "shared_axes"),
        ({"scale": True}, "scaled = False"),
    ]:
        with pytest.raises(ValueError, match=f"the Mask has {name}"):
            sj.dropout(mask, x, **fitting | other)
    with pytest.raises(ValueError, match=r"shape = \(4, 5\), but the call has \(5, 5\)"):
        sj.dropout(draw, np.ones((5, 5)), **fitting)
    several = sd.Mask(KEY, 0, np.full(5, 0.25), (4, 5))
    with pytest.raises(ValueError, match="the Mask has p = "):
        sj.dropout(several, x, 0.25)


def test_compiled_functions_draw_by_their_keys():
    traces = []

    @jax.jit
    def f(key, x):
        traces.append(1)
        return sj.dropout(key, x)

    x = jnp.ones(100)
    masks = [f(jax.random.key(seed), x).tobytes() for seed in (0, 1, 0)]
    stream = sd.Stream(0)
    more = [f(sj.address(stream), x).tobytes() for _ in range(3)]
    assert masks[0] == masks[2] != masks[1] and len({*masks, *more}) == 5
    assert len(traces) == 2  # keys, and addresses


# --- Gradients ---


def test_gradients(way):
    mask, x = sd.Mask(KEY, 7, 0.3, (3, 20)), jnp.linspace(-1, 1, 60).reshape(3, 20)
    dy = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)

    @jax.jit
    def both(x, dy):
        def f(x):
            return sj.dropout(ADDRESS, x, 0.3)

        return *jax.jvp(f, (x,), (dy,)), *jax.vjp(f, x)[1](dy)

    y, tangent, dx = both(x, dy)
    assert_same_bits(y, mask.apply(np.asarray(x)))
    assert_same_bits(tangent, mask.apply(dy))
    assert_same_bits(dx, mask.backward(dy))


def test_gradients_by_differences():
    def f(x):
        return jnp.sin(sj.dropout(ADDRESS, jnp.cos(x), 0.3))

    check_grads(jax.jit(f), (jnp.linspace(-1, 1, 20),), order=2, atol=2e-2, rtol=2e-2)


def test_second_derivatives():
    x = jnp.linspace(-1, 1, 8)
    hessian = jax.hessian(lambda x: (sj.dropout(ADDRESS, x) ** 3).sum())(x)
    kept = np.asarray(oracle.keep(KEY, 7, 0.5, (8,)), np.float32)
    np.testing.assert_allclose(hessian, np.diag(kept * 48 * np.asarray(x)), rtol=1e-6)


def test_nothing_of_the_size_of_a_mask_is_saved():
    x = jnp.ones((100, 10))
    for key in (ADDRESS, jax.random.key(0)):
        _, vjp = jax.vjp(lambda x, key=key: sj.dropout(key, x), x)
        assert all(leaf.size <= 6 for leaf in jax.tree.leaves(vjp))


def test_gradients_of_integers():
    x = jnp.arange(6)
    y, tangent = jax.jvp(
        lambda x: sj.dropout(ADDRESS, x, scale=False), (x,), (np.zeros(6, jax.dtypes.float0),)
    )
    assert (y.dtype, tangent.dtype) == (x.dtype, jax.dtypes.float0)


def test_checkpoint():
    """The mask is the same when the forward pass is computed again."""

    def loss(x, key):
        return (sj.dropout(key, jnp.tanh(x)) ** 2).sum()

    x = jnp.linspace(-1, 1, 100)
    for key in (jax.random.key(0), jnp.asarray(ADDRESS)):
        for gradient in (jax.grad(jax.checkpoint(loss)), jax.jit(jax.grad(jax.checkpoint(loss)))):
            np.testing.assert_allclose(gradient(x, key), jax.grad(loss)(x, key), rtol=1e-5)


# --- vmap, scan, devices ---


def masks_of(addresses, shape, p=0.5, **named):
    """What the masks of some addresses make of ones."""
    words = np.asarray(addresses)
    return np.stack(
        [
            sd.Mask(w[:4].astype("<u4").tobytes(), int(w[4]), p, shape, **named).apply(
                np.ones(shape, np.float32)
            )
            for w in words
        ]
    )


def addresses_of(n):
    stream = sd.Stream(0)
    return jnp.stack([sj.address(stream) for _ in range(n)])


def test_vmap(way):
    ones, addresses = jnp.ones((3, 4, 5)), addresses_of(3)
    each = masks_of(addresses, (4, 5))
    f = jax.vmap(sj.dropout)
    np.testing.assert_array_equal(f(addresses, ones), each)
    np.testing.assert_array_equal(jax.vmap(sj.dropout, (0, None))(addresses, ones[0]), each)
    one = masks_of(addresses[:1], (4, 5))
    shared = jax.vmap(sj.dropout, (None, 0))(addresses[0], ones)
    np.testing.assert_array_equal(shared, np.broadcast_to(one, (3, 4, 5)))
    keys = jax.random.split(jax.random.key(0), 3)
    np.testing.assert_array_equal(
        f(keys, ones), jnp.stack([sj.dropout(key, ones[0]) for key in keys])
    )


@pytest.mark.parametrize("out", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_vmap_along_other_axes(at, out):
    addresses = addresses_of(3)
    ones = jnp.ones((3, 4, 5))
    f = jax.jit(jax.vmap(sj.dropout, (1, at), out))
    y = f(addresses.T, jnp.moveaxis(ones, 0, at))
    np.testing.assert_array_equal(jnp.moveaxis(y, out, 0), masks_of(addresses, (4, 5)))


def test_vmap_in_vmap(way):
    addresses, ones = addresses_of(6).reshape(2, 3, 6), jnp.ones((2, 3, 4, 5))
    each = masks_of(addresses.reshape(6, 6), (4, 5), shared_axes=0).reshape(2, 3, 4, 5)

    def f(address, x):
        return sj.dropout(address, x, shared_axes=0)

    np.testing.assert_array_equal(jax.vmap(jax.vmap(f))(addresses, ones), each)
    # The inner axis of x is the outer one of addresses.
    turned = jax.vmap(jax.vmap(f, (0, 0)), (1, 1))(addresses, ones)
    np.testing.assert_array_equal(turned, each.swapaxes(0, 1))
    # One address for each of the inner examples, the same for all of the outer ones, and so on.
    inner = jax.vmap(jax.vmap(f), (None, 0))(addresses[0], ones)
    np.testing.assert_array_equal(inner, np.broadcast_to(each[0], each.shape))
    outer = jax.vmap(jax.vmap(f, (None, 0)))(addresses[:, 0], ones)
    np.testing.assert_array_equal(outer, np.broadcast_to(each[:, :1], each.shape))


def test_gradients_of_examples():
    addresses, x = addresses_of(3), jnp.ones((3, 8))
    dx = jax.vmap(jax.grad(lambda x, a: (sj.dropout(a, x) ** 2).sum()))(x, addresses)
    np.testing.assert_array_equal(dx, 4 * masks_of(addresses, (8,)))
    jacobian = jax.jacrev(lambda x: sj.dropout(addresses[0], x))(x[0])
    np.testing.assert_array_equal(jacobian, np.diag(masks_of(addresses[:1], (8,))[0]))


def test_scan():
    addresses, x = addresses_of(4), jnp.ones(20)

    @jax.jit
    def run(keys):
        return jax.lax.scan(lambda c, key: (c, sj.dropout(key, x)), 0, keys)[1]

    np.testing.assert_array_equal(run(addresses), masks_of(addresses, (20,)))
    keys = jax.random.split(jax.random.key(0), 4)
    assert len({y.tobytes() for y in run(keys)}) == 4
    np.testing.assert_array_equal(run(keys)[2], sj.dropout(keys[2], x))


def test_shapes_are_known_before_anything_is_computed():
    shape = jax.eval_shape(sj.dropout, ADDRESS, jax.ShapeDtypeStruct((3, 4), jnp.bfloat16))
    assert (shape.shape, shape.dtype) == ((3, 4), jnp.bfloat16)


def test_devices():
    """Sharded arrays have the mask of the whole; in shard_map, shards are arrays of their own."""
    mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")
    x = jax.device_put(jnp.ones((4, 10)), jax.sharding.NamedSharding(mesh, spec))
    whole = masks_of(ADDRESS[None], (4, 10))[0]
    np.testing.assert_array_equal(jax.jit(sj.dropout)(ADDRESS, x), whole)

    def step(key, x):
        return jax.grad(lambda x: (sj.dropout(key, x) ** 2).sum())(x)

    none = jax.sharding.PartitionSpec()
    replicated = jax.shard_map(step, mesh=mesh, in_specs=(none, spec), out_specs=spec)
    part = masks_of(ADDRESS[None], (2, 10))[0]
    y = jax.jit(replicated)(jnp.asarray(ADDRESS), x)
    np.testing.assert_array_equal(y, 4 * np.concatenate([part, part]))
    each = jax.shard_map(
        lambda a, x: sj.dropout(a[0], x), mesh=mesh, in_specs=(spec, none), out_specs=spec
    )
    addresses = addresses_of(2)
    y = jax.jit(each)(addresses, jnp.ones((2, 10)))
    np.testing.assert_array_equal(y, np.concatenate(masks_of(addresses, (2, 10))))


def test_pmap():
    addresses = addresses_of(2)
    y = jax.pmap(sj.dropout)(addresses, jnp.ones((2, 10)))
    np.testing.assert_array_equal(y, masks_of(addresses, (10,)))


# --- Arguments ---


def test_nothing_to_drop():
    x, stream = jnp.ones(3), sd.Stream(0)
    assert sj.dropout(stream, x, training=False) is x
    assert sj.drop_path(stream, x, 0.5, training=False) is x
    assert sj.locked_dropout(stream, x, training=False) is x
    assert stream.draw == 0
    assert sj.dropout(stream, x, 0) is x
    np.testing.assert_array_equal(sj.dropout(stream, jnp.full(3, np.nan), 1), np.zeros(3))


def test_probabilities_are_known_when_tracing():
    with pytest.raises(TypeError, match="p, the probability of dropping, is traced"):
        jax.jit(sj.dropout)(ADDRESS, jnp.ones(3), 0.5)
    with pytest.raises(TypeError, match="one number here, not an array of shape"):
        sj.dropout(ADDRESS, jnp.ones(3), jnp.full(3, 0.5))
    expected = sj.dropout(ADDRESS, jnp.ones(30), 0.25)
    np.testing.assert_array_equal(sj.dropout(ADDRESS, jnp.ones(30), jnp.float32(0.25)), expected)


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ({"p": 2}, ValueError, "p = 2"),
        ({"p": "half"}, TypeError, "must be a number"),
        ({"shared_axes": 1}, ValueError, "out of bounds"),
        ({"x": jnp.arange(3)}, TypeError, "scale=False"),
        ({"x": jax.random.split(jax.random.key(0))}, TypeError, "cannot be masked"),
    ],
)
def test_errors_take_no_draw(named, error, message):
    stream = sd.Stream(0)
    with pytest.raises(error, match=message):
        sj.dropout(**{"key": stream, "x": jnp.ones(3)} | named)
    with pytest.raises(error, match=message):
        sj.dropout(**{"key": stream, "x": jnp.ones(3), "training": False} | named)
    assert stream.draw == 0


def test_wrong_keys():
    stored = sd.Mask.from_keep(np.ones(3, bool))
    for key in (0, None, stored, "key"):
        with pytest.raises(TypeError, match="key must be a key of jax.random, a simdrop.Stream"):
            sj.dropout(key, jnp.ones(3))
    with pytest.raises((TypeError, ValueError)):
        sj.dropout(jnp.zeros(5, jnp.uint32), jnp.ones(3))
    with pytest.raises(ValueError, match="no axes"):
        sj.drop_path(ADDRESS, 1.0, 0.5)


# --- The extension ---


@needs_extension
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"axes": "d"}, "x, y and axes do not fit"),
        ({"axes": "ad"}, "address does not have the shape"),
        ({"axes": None}, "an attribute is missing"),
        ({"p": np.float32(0.25)}, "an attribute is missing"),
        ({"address": ADDRESS[:5]}, "address must be uint32"),
        ({"address": ADDRESS.astype(np.float32)}, "address must be uint32"),
        ({"y": jax.ShapeDtypeStruct((2, 4), np.float32)}, "the shape of x"),
        ({"y": jax.ShapeDtypeStruct((2, 3), np.int32)}, "do not fit"),
        ({"x": np.ones((2, 3), np.int32)}, "cannot be masked, or not scaled"),
    ],
)
def test_calls_that_do_not_fit(call, message):
    x = call.get("x", np.ones((2, 3), np.float32))
    y = call.get("y", jax.ShapeDtypeStruct(x.shape, x.dtype))
    attributes = {"axes": "dd", "p": np.float64(0.5), "scaled": np.bool_(True)}
    attributes |= {name: value for name, value in call.items() if name in attributes}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    function = jax.ffi.ffi_call(_extension.TARGET, y)
    with pytest.raises(Exception, match=f"simdrop: .*{message}"):
        jax.block_until_ready(function(x, call.get("address", ADDRESS), **attributes))


@needs_extension
@pytest.mark.parametrize("operands", [(), (np.ones(3, np.float32),)])
def test_calls_without_operands(operands):
    function = jax.ffi.ffi_call(_extension.TARGET, jax.ShapeDtypeStruct((3,), np.float32))
    with pytest.raises(Exception, match="the operands must be x and address"):
        jax.block_until_ready(function(*operands))


def test_an_extension_that_cannot_be_used_is_a_warning(monkeypatch, tmp_path):
    path = tmp_path / "_ffi.so"
    path.write_bytes(b"no library")
    monkeypatch.setattr(_extension, "jax_extension", lambda: path)
    with pytest.warns(RuntimeWarning, match="cannot use simdrop's extension, so that dropout is"):
        assert not _extension.is_registered.__wrapped__()
    monkeypatch.setattr(_extension, "jax_extension", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not _extension.is_registered.__wrapped__()


@needs_extension
def test_an_extension_that_jax_refuses_is_a_warning(monkeypatch):
    def refuse(*_, **named):
        raise RuntimeError("version 0.3 is not supported")

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(RuntimeWarning, match="version 0.3 is not supported"):
        assert not _extension.is_registered.__wrapped__()


def test_show_config_says_whether_it_is_built(run_python):
    code = """
import sys, simdrop as sd
sd.show_config()
assert "jax" not in sys.modules
"""
    built = "built" if pathlib.Path(sj.__file__).with_name("_ffi.so").exists() else "not built"
    assert f"jax extension:    {built}\n" in run_python(code).stdout
