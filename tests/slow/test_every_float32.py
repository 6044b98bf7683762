"""Activations and their derivatives for all 2**32 float32."""

import pytest
from activation_errors import TRANSCENDENTAL, check_floats

pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
def test_every_float32(activation, largest_error):
    check_floats(activation, largest_error, 1)
