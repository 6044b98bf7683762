"""Arguments of functions, and calls of the extension."""

import pathlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_masks import ADDRESS, needs_extension

import simdrop as sd
import simdrop.jax as sj
from simdrop.jax import _extension


def test_nothing_to_drop():
    x, stream = jnp.ones(3), sd.Stream(0)
    assert sj.dropout(stream, x, training=False) is x
    assert sj.drop_path(stream, x, 0.5, training=False) is x
    assert sj.locked_dropout(stream, x, 0.5, training=False) is x
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


def test_names_of_elsewhere():
    for call in (sj.dropout, sj.drop_path, sj.locked_dropout):
        for wrong, hint in (
            ("rate", "pass p, the probability of dropping$"),
            ("rng", "pass key, where random numbers come from$"),
            ("deterministic", "pass training = not deterministic$"),
        ):
            with pytest.raises(TypeError, match=rf"{call.__name__}\(\) .*'{wrong}': {hint}"):
                call(jax.random.key(0), jnp.ones(3), **{wrong: 0.5})
