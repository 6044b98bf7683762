"""What tests of simdrop.sklearn share: small estimators, data for them, the same nets by hand."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from simdrop import nn
from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

OWN = {DropoutMLPClassifier: MLPClassifier, DropoutMLPRegressor: MLPRegressor}
every_estimator = pytest.mark.parametrize("estimator", OWN)
every_kind = pytest.mark.parametrize("kind", ["elementwise", "batchwise"])
CLASSES = make_classification(120, 8, n_informative=5, n_classes=3, random_state=0)
NUMBERS = make_regression(120, 8, n_targets=2, random_state=0)


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


def after_the_weights(seed, sizes):
    """The random state of an estimator of this seed, once its initial weights are drawn."""
    random_state = np.random.RandomState(seed)
    for n_in, n_out in itertools.pairwise(sizes):
        random_state.uniform(size=(n_in + 1) * n_out)
    return random_state


def net_by_hand(model, epochs):
    """A net of ReLUs with an estimator's weights, and its masks after epochs of four batches."""
    sizes = (len(model.coefs_[0]), *(w.shape[1] for w in model.coefs_))
    net = nn.MLP(
        sizes,
        p=model.dropout,
        p_input=model.input_dropout,
        dropout=model.dropout_kind,
        loss="cross_entropy" if isinstance(model, DropoutMLPClassifier) else "squared_error",
        rng=after_the_weights(model.random_state, sizes).randint(2**32, size=4, dtype=np.uint32),
        dtype=model.coefs_[0].dtype,
    )
    layers = zip(model.coefs_, model.intercepts_, strict=True)
    for parameter, value in zip(net.parameters(), itertools.chain(*layers), strict=True):
        parameter.value[...] = value
    net.stream.state |= {"draw": epochs * 4 * len(model.coefs_)}  # one for the input of each layer
    return net


def weights_of(net):
    """As `weights`, of a net."""
    values = [parameter.value for parameter in net.parameters()]
    return b"".join(array.tobytes() for array in values[::2] + values[1::2])
