"""The distribution of 1e9 normal numbers."""

import pytest
from normal_distribution import check_distribution

pytestmark = pytest.mark.exhaustive


def test_distribution_of_a_billion_normals():
    check_distribution(10_000_000, 100)
