"""HIPS autograd: outputs as NumPy's, gradients of every order."""

import doctest
import pathlib
import re

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, jacobian, make_jvp
from autograd.test_util import check_grads

import simdrop as sd
import simdrop.autograd as sda

FUNCTIONS = {
    "dropout": ((0.3,), {}),
    "dropout of channels": ((0.3,), {"shared_axes": 1}),
    "dropout without scale": ((0.3,), {"scale": False}),
    "dropout in evaluation": ((0.3,), {"training": False}),
    "alpha_dropout": ((0.3,), {}),
    "gaussian_dropout": ((0.3,), {"shared_axes": (0,)}),
    "gaussian_noise": ((0.3,), {}),
    "drop_path": ((0.3,), {}),
    "locked_dropout": ((0.3,), {"time_axis": 1}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outputs_and_gradients(name):
    args, named = FUNCTIONS[name]
    function = getattr(sda, name.split()[0])
    x = np.random.default_rng(0).standard_normal((6, 5))
    expected, context = getattr(sd, name.split()[0])(x, *args, rng=7, **named)

    def call(x):
        return function(x, *args, rng=7, **named)

    np.testing.assert_array_equal(call(x), expected)
    dx = elementwise_grad(call)(x)
    np.testing.assert_array_equal(dx, context.backward(np.ones_like(x)))
    check_grads(call, modes=["fwd", "rev"], order=2)(x)
    check_grads(lambda x: anp.sin(call(x * x)), modes=["fwd", "rev"], order=2)(x)


def test_a_loop_with_a_stream():
    """Each call of the traced function takes the next draw, once."""
    stream = sd.Stream(0)
    x = np.ones(50)
    first, second = (grad(lambda x: anp.sum(sda.dropout(x, rng=stream)))(x) for _ in range(2))
    assert stream.draw == 2 and not np.array_equal(first, second)
    np.testing.assert_array_equal(first, sd.Stream(0).mask(50).apply(x))


def test_masks_of_any_origin():
    mask = sd.Mask.from_keep(np.arange(6) % 2 == 0)
    jacobians = jacobian(lambda x: sda.apply(x, mask))(np.ones(6))
    np.testing.assert_array_equal(jacobians, np.diag(mask.apply(np.ones(6))))
    value, tangent = make_jvp(lambda x: sda.apply(x, mask))(np.ones(6))(np.arange(6.0))
    np.testing.assert_array_equal(tangent, mask.apply(np.arange(6.0)))


def test_what_raises_takes_no_draw():
    stream = sd.Stream(0)
    for call in (
        lambda: sda.dropout(np.ones(3), 2, rng=stream),
        lambda: sda.dropout(np.ones(3, int), rng=stream),
        lambda: sda.alpha_dropout(np.ones(3), -1, rng=stream),
        lambda: sda.gaussian_dropout(np.ones(3), 1, rng=stream),
        lambda: sda.gaussian_noise(np.ones(3), -1, rng=stream),
        lambda: sda.drop_path(np.ones(()), 0.5, rng=stream),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    assert stream.draw == 0


def test_the_page():
    page = (pathlib.Path(__file__).parents[2] / "docs/how-to/autograd.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    keep = sd.Stream(0).mask((8, 3), 0.5).keep()
    hidden = np.tanh(names["x"] @ names["w"])
    expected = names["x"].T @ (8 * keep * hidden * (1 - hidden**2))
    np.testing.assert_allclose(names["dw"], expected)
    assert all(f"`{name}" in page for name in sda.__all__)


def test_examples():
    found = doctest.testmod(sda)
    assert found.attempted and not found.failed
