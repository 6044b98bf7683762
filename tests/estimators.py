"""Small estimators, and data for them: what the tests of simdrop.sklearn share."""

import pytest
import threadpoolctl
from sklearn.datasets import make_classification, make_regression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

OWN = {DropoutMLPClassifier: MLPClassifier, DropoutMLPRegressor: MLPRegressor}
every_estimator = pytest.mark.parametrize("estimator", OWN)
every_kind = pytest.mark.parametrize("kind", ["elementwise", "batchwise"])
CLASSES = make_classification(120, 8, n_informative=5, n_classes=3, random_state=0)
NUMBERS = make_regression(120, 8, n_targets=2, random_state=0)


@pytest.fixture(autouse=True)
def one_blas_thread():
    """Products this small gain nothing from more, and lose much on a machine that is busy."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


def data_for(estimator):
    X, y = CLASSES if estimator is DropoutMLPClassifier else NUMBERS
    return X, y if estimator is DropoutMLPClassifier else y / 100


def small(estimator, **parameters):
    defaults = {"hidden_layer_sizes": (12, 7), "batch_size": 30, "max_iter": 4, "random_state": 0}
    return estimator(**defaults | parameters)


def fitted(estimator, **parameters):
    return small(estimator, **parameters).fit(*data_for(estimator))


def first_classes(estimator):
    """What the first `partial_fit` needs."""
    return {"classes": [0, 1, 2]} if estimator is DropoutMLPClassifier else {}


def weights(estimator):
    return b"".join(array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_))
