"""Behaviours that users of scikit-learn's multi-layer perceptrons count on, tried with those and
with ours; and those that differ on purpose (docs/how-to/sklearn.md)."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from small_estimators import CLASSES, NUMBERS, small

from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every_classifier = pytest.mark.parametrize("classifier", [DropoutMLPClassifier, MLPClassifier])
every_regressor = pytest.mark.parametrize("regressor", [DropoutMLPRegressor, MLPRegressor])
every_net = pytest.mark.parametrize(
    "net", [DropoutMLPClassifier, MLPClassifier, DropoutMLPRegressor, MLPRegressor]
)
TWO = CLASSES[0], (CLASSES[1] > 0).astype(int)
LABELS = CLASSES[0], (CLASSES[0][:, :3] > 0).astype(int)
NUMBER = NUMBERS[0], NUMBERS[1][:, 0] / 100
QUICK = {"hidden_layer_sizes": 10, "random_state": 0, "learning_rate_init": 0.02}


def data_of(net):
    return CLASSES if net in (DropoutMLPClassifier, MLPClassifier) else NUMBER


@settings(max_examples=25)
@given(
    task=st.sampled_from(["two", "three", "labels", "numbers", "several numbers"]),
    parameters=st.fixed_dictionaries(
        {
            "hidden_layer_sizes": st.sampled_from([(9,), (6, 5), (), 4]),
            "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
            "solver": st.sampled_from(["sgd", "adam"]),
            "alpha": st.sampled_from([0, 1e-4, 1.0]),
            "batch_size": st.sampled_from(["auto", 17, 50]),
            "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
            "learning_rate_init": st.sampled_from([1e-3, 0.02]),
            "power_t": st.sampled_from([0.5, 0.1]),
            "shuffle": st.booleans(),
            "random_state": st.integers(0, 2**32 - 1),
            "tol": st.sampled_from([1e-4, 0.05]),
            "momentum": st.sampled_from([0, 0.5, 0.9]),
            "nesterovs_momentum": st.booleans(),
            "early_stopping": st.booleans(),
            "validation_fraction": st.sampled_from([0.1, 0.3]),
            "beta_1": st.sampled_from([0.9, 0.5]),
            "beta_2": st.sampled_from([0.999, 0.9]),
            "epsilon": st.sampled_from([1e-8, 1e-3]),
            "n_iter_no_change": st.sampled_from([1, 2, 10]),
            "warm_start": st.booleans(),
        }
    ),
    sparse=st.booleans(),
)
def test_without_dropout_it_is_scikit_learns_net(task, parameters, sparse):
    X, y = CLASSES
    own, estimator = MLPClassifier, DropoutMLPClassifier
    if task == "two":
        y = np.where(y > 0, 3, -1)
    elif task == "labels":
        y = np.stack([y > 0, y == 1, X[:, 0] > 0], axis=1).astype(int)
    elif "numbers" in task:
        own, estimator = MLPRegressor, DropoutMLPRegressor
        X, y = NUMBERS[0], NUMBERS[1] / 100
        y = y if task == "several numbers" else y[:, 0]
    X = scipy.sparse.csr_array(X) if sparse else X
    ours, theirs = estimator(max_iter=8, **parameters), own(max_iter=8, **parameters)
    # The second fit is a warm start, or again from the beginning. A warm start that stops early may
    # go back to the best weights of the first, which scikit-learn's has overwritten by then.
    for _ in range(1 if parameters["warm_start"] and parameters["early_stopping"] else 2):
        ours.fit(X, y)
        theirs.fit(X, y)
        for a, b in zip(
            ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
        ):
            assert np.allclose(a, b, rtol=1e-7, atol=1e-9)
        if task != "several numbers":  # of their losses scikit-learn takes the mean, not the sum
            assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-7)
            assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
        assert ours.out_activation_ == theirs.out_activation_
        assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)
        assert (ours.validation_scores_ is None) is (theirs.validation_scores_ is None)
        assert np.allclose(ours.validation_scores_ or 0, theirs.validation_scores_ or 0, atol=1e-9)
        assert (ours.best_loss_ is None) is (theirs.best_loss_ is None)
        if estimator is DropoutMLPClassifier:
            assert np.array_equal(ours.classes_, theirs.classes_)
            assert np.array_equal(ours.predict(X), theirs.predict(X))
            assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
            logs = ours.predict_log_proba(X), theirs.predict_log_proba(X)
            assert np.allclose(*logs, rtol=1e-6, atol=1e-9)
        else:
            assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-9)


def test_poisson_regression_is_scikit_learns():
    if "loss" not in inspect.signature(MLPRegressor).parameters:
        pytest.skip("this scikit-learn has no Poisson loss")
    X, y = NUMBERS[0], np.random.default_rng(0).poisson(3, 120)
    ours, theirs = (
        small(e, loss="poisson", solver="sgd").fit(X, y)
        for e in (DropoutMLPRegressor, MLPRegressor)
    )
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert ours.out_activation_ == "exp"
    with pytest.raises(ValueError, match="targets must not be negative, got -1"):
        small(DropoutMLPRegressor, loss="poisson").fit(X, y - y.min() - 1)


def test_verbose_says_what_scikit_learn_does(capsys):
    for parameters in [
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
        {"early_stopping": True, "tol": 1.0, "n_iter_no_change": 1},
    ]:
        printed = []
        for estimator in (DropoutMLPClassifier, MLPClassifier):
            small(estimator, verbose=True, max_iter=60, **parameters).fit(*CLASSES)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1] != ""


@every_classifier
def test_weights_shrink_as_alpha_grows(classifier):
    sums = [
        [abs(w).sum() for w in classifier(**QUICK, alpha=alpha).fit(*TWO).coefs_]
        for alpha in (0, 1, 10)
    ]
    assert (np.diff(sums, axis=0) < 0).all()


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("data", [TWO, CLASSES, LABELS])
def test_a_step_is_down_the_gradient_of_the_loss(activation, data):
    """By differences of a loss that is computed from what `predict_log_proba` gives."""
    X, y = data[0][:20], data[1][:20]
    net = DropoutMLPClassifier(4, activation, solver="sgd", momentum=0, alpha=0.3, random_state=1)
    classes = np.arange(y.shape[1]) if y.ndim > 1 else np.unique(data[1])
    net.set_params(learning_rate_init=1e-300).partial_fit(X, y, classes=classes)

    def loss():
        if y.ndim > 1:
            p = net.predict_proba(X)
            fit = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=1).mean()
        else:
            fit = -net.predict_log_proba(X)[np.arange(20), y].mean()
        return fit + 0.3 / 2 * sum((w**2).sum() for w in net.coefs_) / 20

    arrays = [*net.coefs_, *net.intercepts_]
    expected = []
    for array in arrays:
        slope = np.empty_like(array)
        for index in np.ndindex(array.shape):
            value, sides = array[index], []
            for step in (1e-5, -1e-5):
                array[index] = value + step
                sides.append(loss())
            array[index] = value
            slope[index] = (sides[0] - sides[1]) / 2e-5
        expected.append(array - 0.1 * slope)
    net.set_params(learning_rate_init=0.1, batch_size=20).partial_fit(X, y)
    assert np.isclose(net.loss_curve_[0], net.loss_curve_[1], rtol=1e-12)
    for array, value in zip(arrays, expected, strict=True):
        assert np.allclose(array, value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_weights_may_be_assigned(estimator):
    X, y = data_of(estimator)
    net, other = (estimator(**QUICK | {"random_state": s}, max_iter=3).fit(X, y) for s in (0, 1))
    assert not np.array_equal(net.predict(X), other.predict(X))
    net.coefs_, net.intercepts_ = list(other.coefs_), [b.tolist() for b in other.intercepts_]
    assert np.array_equal(net.predict(X), other.predict(X))
    before = pickle.dumps(net.coefs_)
    with pytest.raises(
        ValueError, match=r"coefs_ must be of shapes \[\(8, 10\), .* got \[\(8, 10\)\]"
    ):
        net.coefs_ = [np.zeros((8, 10))]
    with pytest.raises(ValueError, match="could not convert"):
        net.coefs_ = [np.zeros((8, 10)), np.full(net.coefs_[1].shape, "a")]
    assert pickle.dumps(net.coefs_) == before
    with pytest.raises(AttributeError, match="is not fitted yet"):
        estimator().intercepts_ = []


@every_classifier
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
def test_a_warm_start_goes_on_with_the_schedule(classifier, schedule):
    """A first epoch at learning_rate_init, then by all samples since the first fit."""
    net = classifier(**QUICK, solver="sgd", learning_rate=schedule, max_iter=2, warm_start=True)
    losses = [net.fit(*TWO).loss_ for _ in range(3)]
    assert net.t_ == 3 * 2 * 120
    assert losses[0] > losses[1] > losses[2]
    theirs = MLPClassifier(**QUICK, solver="sgd", learning_rate=schedule, max_iter=2)
    theirs.set_params(warm_start=True)
    assert np.allclose(losses, [theirs.fit(*TWO).loss_ for _ in range(3)], rtol=1e-9)


@every_classifier
def test_labels_are_learned_by_fit_and_partial_fit(classifier):
    X, y = LABELS
    at_once = classifier(**QUICK, max_iter=100).fit(X, y)
    by_epochs = classifier(**QUICK)
    for _ in range(100):
        by_epochs.partial_fit(X, y, classes=[0, 1, 2])
    stopped = classifier(**QUICK, early_stopping=True).fit(X, y)
    for net in (at_once, by_epochs):
        assert net.score(X, y) > 0.9
        p = net.predict_proba(X)
        assert np.array_equal(p > 0.5, y)
        assert abs(p.sum(axis=1) - 1).max() > 0.5
        assert np.allclose(np.exp(net.predict_log_proba(X)), p)
    assert stopped.predict(X).shape == y.shape


@every_regressor
def test_several_numbers_are_learned(regressor):
    X, y = NUMBERS[0], NUMBERS[1] / 100
    assert regressor(**QUICK, max_iter=300).fit(X, y).score(X, y) > 0.9


@every_net
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_epochs_by_partial_fit_are_those_of_fit(net, momentum):
    X, y = data_of(net)
    parameters = QUICK | {"solver": "sgd", "momentum": momentum, "shuffle": False}
    at_once = net(**parameters, max_iter=30, tol=0, n_iter_no_change=np.inf).fit(X, y)
    by_epochs = net(**parameters)
    for _ in range(30):
        by_epochs.partial_fit(X, y, **({"classes": [0, 1, 2]} if y.dtype == int else {}))
    assert np.array_equal(at_once.predict(X), by_epochs.predict(X))
    assert at_once.loss_curve_ == by_epochs.loss_curve_


@every_classifier
def test_classes_that_come_later(classifier):
    net = classifier(random_state=0)
    net.partial_fit([[1.0], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    net.partial_fit([[4.0]], ["d"])
    assert net.predict_proba([[1.0]]).shape == (1, 4)
    with pytest.raises(ValueError):
        net.partial_fit([[4.0]], ["d"], classes=["a", "b"])
    with pytest.raises(ValueError):
        net.partial_fit([[4.0]], ["e"])
    with pytest.raises(ValueError):
        classifier().partial_fit([[1.0], [2]], [0, 1], classes=[2])


@every_classifier
def test_probabilities_agree_with_their_logarithms(classifier):
    for X, y in (TWO, CLASSES):
        net = classifier(**QUICK, max_iter=30).fit(X, y)
        p, log_p = net.predict_proba(X), net.predict_log_proba(X)
        assert p.shape == log_p.shape == (120, len(net.classes_))
        assert np.allclose(p.sum(axis=1), 1, rtol=1e-14)
        assert np.allclose(np.exp(log_p), p)
        assert np.array_equal(net.classes_[p.argmax(axis=1)], net.predict(X))
        assert np.mean(net.predict(X) == y) == net.score(X, y) > 0.7


@every_regressor
def test_the_order_of_samples_is_shuffled_or_not(regressor):
    parameters = QUICK | {"batch_size": 1, "max_iter": 1}
    shuffled, again, in_order, in_order_again = (
        regressor(**parameters, shuffle=shuffle).fit(*NUMBER).coefs_[0]
        for shuffle in (True, True, False, False)
    )
    assert np.array_equal(shuffled, again) and np.array_equal(in_order, in_order_again)
    assert not np.array_equal(shuffled, in_order)


@every_net
def test_training_ends_after_epochs_without_improvement(net):
    """The first always improves."""
    for patience in (1, 2, 7):
        fitted = net(**QUICK, tol=1e9, n_iter_no_change=patience).fit(*data_of(net))
        assert fitted.n_iter_ == len(fitted.loss_curve_) == patience + 2
    with pytest.warns(ConvergenceWarning):
        endless = net(**QUICK, tol=1e9, n_iter_no_change=np.inf, max_iter=20).fit(*data_of(net))
    assert endless.n_iter_ == 20


@every_net
def test_a_fit_that_has_converged_does_not_warn(net):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(**QUICK, tol=0.5).fit(*data_of(net))


@every_net
def test_verbose_is_a_bool_or_a_number(net, capsys):
    for verbose in (True, 10):
        model = net(**QUICK, max_iter=2, verbose=verbose).fit(*data_of(net))
        assert capsys.readouterr().out.count("Iteration") == 2
        model.partial_fit(*data_of(net))
        assert "Iteration 1, loss = " in capsys.readouterr().out
    net(**QUICK, max_iter=2).fit(*data_of(net))
    assert capsys.readouterr().out == ""


@every_net
def test_early_stopping_says_what_it_measured(net):
    stopped = net(**QUICK, early_stopping=True, tol=0.2).fit(*data_of(net))
    assert stopped.n_iter_ == len(stopped.validation_scores_) < stopped.max_iter
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)
    assert stopped.best_loss_ is None
    plain = net(**QUICK, max_iter=3).fit(*data_of(net))
    assert plain.validation_scores_ is plain.best_validation_score_ is None
    assert plain.best_loss_ == min(plain.loss_curve_)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        stopped.partial_fit(*data_of(net))


@every_net
def test_early_stopping_after_a_warm_start(net):
    model = net(**QUICK, max_iter=5, tol=0, early_stopping=True, warm_start=True)
    assert len(model.fit(*data_of(net)).validation_scores_) == 5
    assert len(model.set_params(max_iter=8).fit(*data_of(net)).validation_scores_) == 13


@every_net
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_every_warm_start_has_max_iter_epochs(net, solver):
    model = net(**QUICK | {"learning_rate_init": 1e-3}, solver=solver, warm_start=True)
    for epochs in (3, 3, 5):
        with pytest.warns(ConvergenceWarning):
            model.set_params(max_iter=epochs).fit(*data_of(net))
        assert model.n_iter_ == epochs


@every_classifier
@pytest.mark.parametrize("other", [[0, 1], [0, 1, 3], [0, 1, 2, 3]])
def test_a_warm_start_needs_the_same_classes(classifier, other):
    X, y = CLASSES
    net = classifier(**QUICK, max_iter=2, warm_start=True).fit(X, y).fit(X, (y + 1) % 3)
    message = r"warm_start can only be used where `y` has the same classes .* got \[0 1 2\]"
    with pytest.raises(ValueError, match=message):
        net.fit(X, np.resize(other, 120))
    assert net.predict(X).shape == (120,)


def test_partial_fit_of_a_warm_start_takes_batches_without_some_classes():
    """As without; scikit-learn refuses them."""
    X, y = CLASSES
    net = DropoutMLPClassifier(**QUICK, warm_start=True).partial_fit(X, y, classes=[0, 1, 2])
    few = y < 2
    assert net.partial_fit(X[few], y[few]).n_outputs_ == 3
    theirs = MLPClassifier(**QUICK, warm_start=True).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="warm_start"):
        theirs.partial_fit(X[few], y[few])


@every_classifier
def test_the_split_is_stratified_for_two_classes(classifier):
    X, y = CLASSES[0], np.repeat(["rare", "usual"], [10, 110])
    net = classifier(**QUICK, early_stopping=True, validation_fraction=0.1).fit(X, y)
    assert set(np.round(np.multiply(net.validation_scores_, 12), 9) % 1) == {0}
    with pytest.raises(ValueError, match="least populated class"):
        classifier(early_stopping=True).fit(X[:4], ["rare", "usual", "usual", "usual"])


def test_an_error_of_the_split_names_the_label():
    with pytest.raises(ValueError, match="rare"):
        DropoutMLPClassifier(early_stopping=True).fit(np.eye(4), ["rare"] + ["usual"] * 3)


def test_early_stopping_with_labels_that_are_strings():
    """Ours alone: some versions of scikit-learn fail."""
    X, y = CLASSES
    net = DropoutMLPClassifier(**QUICK, early_stopping=True).fit(
        X, np.array(["a", "b", "c"], object)[y]
    )
    assert len(net.validation_scores_) == net.n_iter_
    assert np.isfinite(net.validation_scores_).all()


@every_net
def test_a_validation_of_one_sample_is_too_small(net):
    X, y = data_of(net)
    with pytest.raises(ValueError, match="The validation set is too small"):
        net(early_stopping=True, validation_fraction=0.01).fit(X[:40], y[:40])


@every_net
def test_float32_gives_what_float64_does(net):
    X, y = data_of(net)
    double = net(**QUICK, max_iter=20).fit(X, y)
    single = net(**QUICK, max_iter=20).fit(X.astype(np.float32), y)
    method = "predict_proba" if hasattr(net, "predict_proba") else "predict"
    predicted = getattr(single, method)(X.astype(np.float32))
    assert predicted.dtype == np.float32
    assert {array.dtype for array in (*single.coefs_, *single.intercepts_)} == {predicted.dtype}
    assert np.allclose(predicted, getattr(double, method)(X), rtol=1e-2, atol=1e-3)


@every_net
def test_a_pickle_is_fine_tuned(net):
    X, y = data_of(net)
    model = pickle.loads(pickle.dumps(net(**QUICK).fit(X, y)))
    first, target = X[:1], y[1:2]
    for _ in range(300):
        model.partial_fit(first, target)
    assert np.allclose(model.predict(first), target, rtol=1e-2)


def test_weights_of_one_are_no_weights():
    X, y = NUMBER
    net = DropoutMLPRegressor(**QUICK, early_stopping=True, batch_size=10, max_iter=20)
    weighted = net.fit(X, y, sample_weight=np.ones(120)).predict(X)
    assert np.allclose(weighted, net.fit(X, y).predict(X), rtol=1e-9)


@pytest.mark.parametrize("loss", ["poisson", "squared_error"])
def test_a_poisson_net_without_hidden_layers_is_a_generalized_linear_model(loss):
    from sklearn.linear_model import PoissonRegressor

    X = np.linspace(0, 1, 100)[:, np.newaxis]
    y = np.random.default_rng(0).poisson(np.exp(X[:, 0] + 1))
    linear = PoissonRegressor(alpha=0, tol=1e-9, solver="newton-cholesky").fit(X, y)
    net = DropoutMLPRegressor(
        loss,
        (),
        solver="sgd",
        learning_rate_init=0.05,
        batch_size=100,
        alpha=0,
        tol=1e-14,
        max_iter=3000,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)
    assert np.allclose(net.predict(X), linear.predict(X), rtol=1e-3) is (loss == "poisson")
