"""What the tests of the command share."""

import pytest


@pytest.fixture
def small(corners):
    """The path of an .npz file with 120 + 60 points."""
    return corners(120, 60)
