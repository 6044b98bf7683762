"""What all tests of the estimators need."""

import pytest


@pytest.fixture(autouse=True)
def one_blas_thread():
    """Products this small gain nothing from more, and lose much on a machine that is busy."""
    import threadpoolctl  # which scikit-learn has, and so each test here

    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield
