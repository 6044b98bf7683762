"""Parameters that are set between two calls of an estimator: each acts from the next call on, or
is refused; and none is ignored."""

import copy
import inspect
import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

from small_estimators import (
    OWN,
    data_for,
    every_estimator,
    first_classes,
    net_by_hand,
    small,
    weights,
    weights_of,
)

from simdrop import nn
from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SGD = {"solver": "sgd", "learning_rate_init": 0.02}
ADAPTIVE = SGD | {"learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 1}
ONE_STEP = SGD | {"batch_size": 120, "momentum": 0, "alpha": 0}  # an epoch
DROPS = {"dropout": 0.3, "shuffle": False}

# Of each parameter: what the estimator is made with, and what is set later.
ACT_IN_PARTIAL_FIT = {
    "activation": ({}, "tanh"),
    "solver": ({}, "sgd"),
    "alpha": ({}, 3.0),
    "batch_size": ({}, 13),
    "learning_rate": (SGD, "invscaling"),
    "learning_rate_init": ({}, 0.03),
    "power_t": (SGD | {"learning_rate": "invscaling"}, 0.1),
    "shuffle": ({}, False),
    "random_state": (DROPS, 5),
    "tol": (ADAPTIVE, 10.0),
    "n_iter_no_change": (ADAPTIVE | {"tol": 10.0, "n_iter_no_change": 100}, 1),
    "verbose": ({}, True),
    "momentum": (SGD, 0.5),
    "nesterovs_momentum": (SGD, False),
    "beta_1": ({}, 0.5),
    "beta_2": ({}, 0.9),
    "epsilon": ({}, 0.1),
    "dropout": (DROPS, 0.6),
    "input_dropout": (DROPS, 0.2),
    "dropout_kind": (DROPS, "batchwise"),
    "max_norm": ({}, 0.3),
    "class_weight": ({}, {1: 5.0}),
    "loss": ({}, "poisson"),
}
REFUSED_IN_PARTIAL_FIT = {
    "hidden_layer_sizes": ((12, 8), ValueError, r"sizes \(8, 12, 7, \d\), and cannot continue"),
    "early_stopping": (True, ValueError, "partial_fit does not support early_stopping"),
    "solver": ("lbfgs", ValueError, "'sgd' or 'adam', got 'lbfgs'"),
    "class_weight": ("balanced", ValueError, "'balanced' is not supported for partial_fit"),
}
# What belongs to many epochs has no part in one.
OF_FIT_ALONE = ["max_iter", "validation_fraction", "warm_start"]

STOPS = {"early_stopping": True, "max_iter": 20, "learning_rate_init": 0.02}
ACT_IN_A_WARM_START = ACT_IN_PARTIAL_FIT | {
    "max_iter": ({}, 6),
    "early_stopping": ({}, True),
    "validation_fraction": (STOPS, 0.4),
    "warm_start": ({}, False),
    "tol": ({"max_iter": 30, "n_iter_no_change": 3}, 10.0),
    "n_iter_no_change": ({"max_iter": 30, "tol": 10.0, "n_iter_no_change": 100}, 1),
}


def of_both(names):
    """(estimator, name) for the parameters that each has."""
    return [(e, name) for e in OWN for name in names if name in inspect.signature(e).parameters]


def positive_data(estimator):
    X, y = data_for(estimator)
    return X, abs(y)  # for the Poisson loss, too


def outcome(model, fit, **parameters):
    """What one can see of three calls."""
    X, y = positive_data(type(model))
    printed = io.StringIO()
    with redirect_stdout(printed):
        for _ in range(3):
            getattr(model.set_params(**parameters), fit)(X, y)
    return weights(model), model.loss_curve_, model.validation_scores_, printed.getvalue()


def rate_of_an_epoch(model):
    """The learning rate of one more epoch, from its step: one batch, SGD without momentum."""
    X, y = data_for(DropoutMLPRegressor)
    before, net = model.coefs_[0].copy(), net_by_hand(model, epochs=0)
    net.loss(X, y)
    net.backward()
    gradient = net.parameters()[0].grad
    step = before - model.partial_fit(X, y).coefs_[0]
    steepest = np.abs(gradient).argmax()
    return step.flat[steepest] / gradient.flat[steepest]


def trained(estimator, fit, **parameters):
    model, (X, y) = small(estimator, warm_start=True, **parameters), positive_data(estimator)
    for _ in range(2):
        getattr(model, fit)(X, y, **first_classes(estimator) if fit == "partial_fit" else {})
    return model


def assert_acts(estimator, fit, name, parameters, value):
    """Training that goes on with another value of one parameter has another outcome."""
    model = trained(estimator, fit, **parameters)
    unchanged = outcome(copy.deepcopy(model), fit)
    assert unchanged == outcome(copy.deepcopy(model), fit)
    assert unchanged != outcome(model, fit, **{name: value})


def test_every_parameter_is_in_a_table_above():
    for estimator in OWN:
        names = set(inspect.signature(estimator).parameters)
        tried = {*ACT_IN_PARTIAL_FIT, *REFUSED_IN_PARTIAL_FIT, *OF_FIT_ALONE}
        assert names <= tried
        assert names <= {*ACT_IN_A_WARM_START, "hidden_layer_sizes"}


@pytest.mark.parametrize(("estimator", "name"), of_both(ACT_IN_PARTIAL_FIT))
def test_a_parameter_acts_from_the_next_partial_fit_on(estimator, name):
    assert_acts(estimator, "partial_fit", name, *ACT_IN_PARTIAL_FIT[name])


@pytest.mark.parametrize(("estimator", "name"), of_both(REFUSED_IN_PARTIAL_FIT))
def test_a_parameter_is_refused_by_the_next_partial_fit(estimator, name):
    value, error, message = REFUSED_IN_PARTIAL_FIT[name]
    model = trained(estimator, "partial_fit")
    before, expected = weights(model), outcome(copy.deepcopy(model), "partial_fit")
    set_back = {name: model.get_params()[name]}
    with pytest.raises(error, match=message):
        outcome(model, "partial_fit", **{name: value})
    assert weights(model) == before
    assert outcome(model, "partial_fit", **set_back) == expected


@pytest.mark.parametrize(("estimator", "name"), of_both(OF_FIT_ALONE))
def test_a_parameter_of_fit_has_no_part_in_one_epoch(estimator, name):
    model = trained(estimator, "partial_fit")
    value = ACT_IN_A_WARM_START[name][1]
    expected = outcome(copy.deepcopy(model), "partial_fit")
    assert outcome(model, "partial_fit", **{name: value}) == expected


@pytest.mark.parametrize(("estimator", "name"), of_both(ACT_IN_A_WARM_START))
def test_a_parameter_acts_from_the_next_warm_start_on(estimator, name):
    assert_acts(estimator, "fit", name, *ACT_IN_A_WARM_START[name])


@every_estimator
def test_a_warm_start_refuses_other_layers(estimator):
    model = trained(estimator, "fit")
    before = weights(model)
    with pytest.raises(ValueError, match=r"sizes \(8, 12, 7, \d\), and cannot continue"):
        outcome(model, "fit", hidden_layer_sizes=(12, 8))
    assert weights(model) == before


@every_estimator
@settings(max_examples=20)
@given(
    parameters=st.fixed_dictionaries(
        {},
        optional={
            "learning_rate_init": st.floats(1e-4, 0.01),
            "momentum": st.sampled_from([0, 0.5, 0.9]),
            "nesterovs_momentum": st.booleans(),
            "alpha": st.floats(0, 3),
            "batch_size": st.integers(5, 120),
            "max_norm": st.floats(0.1, 3),
            "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
            "shuffle": st.booleans(),
            "random_state": st.integers(0, 2**32 - 1),
            "learning_rate": st.sampled_from(["constant", "adaptive"]),
        },
    )
)
def test_what_is_set_acts_as_if_it_had_been_set_before(estimator, parameters):
    """The call before is one that changes next to nothing, and leaves no momentum."""
    X, y = data_for(estimator)
    classes = first_classes(estimator)
    start = {"solver": "sgd", "learning_rate_init": 1e-300, "momentum": 0}
    parameters = {"learning_rate_init": 0.005, "momentum": 0.9} | parameters
    model = small(estimator, **start).partial_fit(X, y, **classes)
    before = copy.deepcopy(model)
    model.set_params(**parameters).partial_fit(X, y)

    anew = small(estimator, **start).set_params(**parameters)
    anew.set_params(learning_rate_init=1e-300, max_norm=None).partial_fit(X, y, **classes)
    anew.coefs_, anew.intercepts_ = before.coefs_, before.intercepts_
    anew.set_params(**{"max_norm": None} | parameters).partial_fit(X, y)
    assert weights(model) == weights(anew)
    assert model.loss_ == anew.loss_


@every_estimator
@settings(max_examples=20)
@given(
    phases=st.lists(
        st.fixed_dictionaries(
            {
                "solver": st.sampled_from(["sgd", "adam"]),
                "learning_rate_init": st.sampled_from([1e-4, 1e-3, 3e-3]),
                "momentum": st.sampled_from([0, 0.5, 0.9]),
                "nesterovs_momentum": st.booleans(),
                "beta_1": st.sampled_from([0, 0.5, 0.9]),
                "beta_2": st.sampled_from([0.9, 0.99, 0.999]),
                "epsilon": st.sampled_from([1e-8, 1e-3, 0.1]),
                "max_norm": st.sampled_from([None, 0.5, 2.0]),
                "dropout": st.sampled_from([0.3, 0.5]),
            }
        ),
        min_size=2,
        max_size=4,
    )
)
def test_an_optimizer_continues_as_it_is_set(estimator, phases):
    """To the bit: with its memory while the solver is the same, and with none after another."""
    X, y = data_for(estimator)
    model = small(estimator, shuffle=False, alpha=0, learning_rate_init=1e-300, solver="sgd")
    model.set_params(momentum=0, dropout=0.3).partial_fit(X, y, **first_classes(estimator))
    net, optimizer, solver = net_by_hand(model, epochs=1), None, None
    for phase in phases:
        model.set_params(**phase).partial_fit(X, y)

        for layer in net.layers:
            if isinstance(layer, nn.Dense):
                layer.p = phase["dropout"]
        optimizer, solver = by_hand(net, optimizer, solver, phase), phase["solver"]
        for start in range(0, 120, 30):
            if solver == "adam":
                corrected = 1 - optimizer.beta2 ** (optimizer.steps + 1)
                optimizer.eps = phase["epsilon"] / np.sqrt(corrected)
            net.train_step(X[start : start + 30], y[start : start + 30], optimizer)
        assert weights(model) == weights_of(net)


def by_hand(net, optimizer, solver, phase):
    if solver != phase["solver"] or optimizer is None:
        make = nn.Adam if phase["solver"] == "adam" else nn.SGD
        optimizer = make(net.parameters(), 1.0)
    if phase["solver"] == "adam":
        optimizer.beta1, optimizer.beta2 = phase["beta_1"], phase["beta_2"]
    else:
        optimizer.momentum = phase["momentum"]
        optimizer.nesterov = phase["nesterovs_momentum"] and phase["momentum"] > 0
    optimizer.lr, optimizer.max_norm = phase["learning_rate_init"], phase["max_norm"]
    return optimizer


@every_estimator
def test_what_scikit_learn_takes_between_calls_acts_as_there(estimator):
    X, y = data_for(estimator)
    y = y if estimator is DropoutMLPClassifier else y[:, 0]
    ours, theirs = small(estimator), small(OWN[estimator])
    ours.partial_fit(X, y, **first_classes(estimator))
    theirs.partial_fit(X, y, **first_classes(estimator))
    for parameters in (
        {"alpha": 2.0},
        {"batch_size": 50},
        {"activation": "tanh"},
        {"shuffle": False},
        {"shuffle": True, "random_state": 3},
        {"activation": "logistic", "alpha": 0.0},
    ):
        ours.set_params(**parameters).partial_fit(X, y)
        theirs.set_params(**parameters).partial_fit(X, y)
        assert np.isclose(ours.loss_, theirs.loss_, rtol=1e-9)
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            assert np.allclose(a, b, rtol=1e-7, atol=1e-9)


def test_invscaling_continues_over_calls():
    X, y = data_for(DropoutMLPRegressor)
    parameters = SGD | {"learning_rate": "invscaling", "power_t": 0.25, "shuffle": False}
    model, at_once = (small(DropoutMLPRegressor, **parameters) for _ in range(2))
    at_once.fit(X, y)
    for _ in range(at_once.max_iter):
        model.partial_fit(X, y)
    assert weights(model) == weights(at_once)


def test_the_rate_of_invscaling_follows_the_samples_and_is_never_zero():
    X, y = data_for(DropoutMLPRegressor)
    model = small(DropoutMLPRegressor, **ONE_STEP | {"learning_rate": "invscaling"}, power_t=0.25)
    model.partial_fit(X, y)
    for epochs in range(1, 5):
        expected = 0.02 / (120 * epochs + 1) ** 0.25
        assert np.isclose(rate_of_an_epoch(model), expected, rtol=1e-9)
    model.set_params(learning_rate="constant")
    assert np.isclose(rate_of_an_epoch(model), 0.02, rtol=1e-9)
    before = weights(model.set_params(learning_rate="invscaling", power_t=1e6))
    assert weights(model.partial_fit(X, y)) == before  # and no error


def test_a_learning_rate_that_is_set_is_the_one_that_is_used():
    """An adaptive one is divided from there, and stays over the calls until it is set again."""
    X, y = data_for(DropoutMLPRegressor)
    model = small(DropoutMLPRegressor, **ADAPTIVE | ONE_STEP | {"tol": 100}).partial_fit(X, y)
    rates = [rate_of_an_epoch(model) for _ in range(4)]
    model.set_params(learning_rate_init=0.01)
    rates += [rate_of_an_epoch(model) for _ in range(3)]
    model.set_params(learning_rate="constant")
    rates.append(rate_of_an_epoch(model))
    expected = [0.02, 0.02, 0.004, 0.004, 0.01, 0.01, 0.002, 0.01]
    assert np.allclose(rates, expected, rtol=1e-9)


@pytest.mark.parametrize("value", [7, np.random.RandomState(7), None])
def test_another_random_state_begins_other_masks(value):
    """The loss of weights that stay as they are tells the masks."""
    X, y = data_for(DropoutMLPRegressor)
    model = trained(DropoutMLPRegressor, "partial_fit", **DROPS, learning_rate_init=1e-300)
    unchanged = copy.deepcopy(model)
    model.set_params(random_state=value)
    losses = [model.partial_fit(X, y).loss_ for _ in range(2)]
    again = copy.deepcopy(model)
    assert model.partial_fit(X, y).loss_ == again.partial_fit(X, y).loss_
    losses += [unchanged.partial_fit(X, y).loss_ for _ in range(2)]
    assert len({*losses, *model.loss_curve_}) == 2 + len(model.loss_curve_)
    if value == 7:
        assert unchanged.set_params(random_state=7).partial_fit(X, y).loss_ == losses[0]


def test_the_loss_may_change_between_calls():
    X, y = positive_data(DropoutMLPRegressor)
    model = small(DropoutMLPRegressor).partial_fit(X, y)
    model.set_params(loss="poisson").partial_fit(X, y)
    assert model.out_activation_ == "exp"
    assert model.best_loss_ == model.loss_ == model.loss_curve_[-1]
    assert (model.predict(X) > 0).all()
    before = weights(model)
    with pytest.raises(ValueError, match="targets must not be negative"):
        model.partial_fit(X, -y)
    assert weights(model) == before


def test_fit_forgets_what_an_optimizer_of_other_layers_remembers():
    X, y = data_for(DropoutMLPClassifier)
    model = small(DropoutMLPClassifier).fit(X, y).set_params(hidden_layer_sizes=5).fit(X, y)
    anew = small(DropoutMLPClassifier, hidden_layer_sizes=5).fit(X, y)
    assert weights(model) == weights(anew)
    assert weights(model.partial_fit(X, y)) == weights(anew.partial_fit(X, y))
