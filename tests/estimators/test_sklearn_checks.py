"""scikit-learn's own checks of estimators, and its tools: searches, pipelines, clones, routing."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import CLASSES, data_for, every_estimator, fitted, small, weights

from simdrop.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def masks_of_rows(*_):
    return {
        check: "a row of weight k has one mask, k equal rows have k"
        for check in (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weight_equivalence_on_sparse_data",
        )
    }


# Small, since the suite is long.
SMALL = {"hidden_layer_sizes": (20,), "max_iter": 100, "learning_rate_init": 0.005}
BATCHWISE = SMALL | {"dropout": 0.2, "dropout_kind": "batchwise"}
ELEMENTWISE = SMALL | {"dropout": 0.2, "input_dropout": 0.01}


@parametrize_with_checks([DropoutMLPClassifier(), DropoutMLPRegressor()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@parametrize_with_checks([DropoutMLPClassifier(**BATCHWISE), DropoutMLPRegressor(**BATCHWISE)])
def test_checks_of_scikit_learn_with_masks_of_batches(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [DropoutMLPClassifier(**ELEMENTWISE), DropoutMLPRegressor(**ELEMENTWISE)],
    expected_failed_checks=masks_of_rows,
)
def test_checks_of_scikit_learn_with_masks_of_rows(estimator, check):
    check(estimator)


def test_grid_search_pipeline_and_cross_validation():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    net = DropoutMLPClassifier((60,), max_iter=30, learning_rate_init=0.01, random_state=0)
    pipeline = make_pipeline(StandardScaler(), net)
    grid = {"dropoutmlpclassifier__dropout": [0.0, 0.3, 0.97]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert search.best_params_["dropoutmlpclassifier__dropout"] != 0.97
    assert scores[2] < min(scores[:2])
    assert search.score(X, y) > 0.95
    assert cross_val_score(search.best_estimator_, X, y, cv=3).mean() > 0.8
    X, y = data_for(DropoutMLPRegressor)
    net = small(DropoutMLPRegressor, max_iter=100, learning_rate_init=0.01, input_dropout=0.01)
    assert cross_val_score(make_pipeline(StandardScaler(), net), X, y, cv=3).mean() > 0.7


def test_grid_search_in_two_processes():
    X, y = CLASSES
    grid = {"dropout": [0.0, 0.5], "class_weight": [None, "balanced"]}
    searches = [
        GridSearchCV(small(DropoutMLPClassifier), grid, cv=2, n_jobs=jobs).fit(X, y)
        for jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"].tolist() for search in searches)
    assert one == two
    assert weights(searches[0].best_estimator_) == weights(searches[1].best_estimator_)


@every_estimator
def test_a_clone_has_the_parameters_and_learns_the_same(estimator):
    model = fitted(estimator, dropout=0.3, max_norm=2.0)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "coefs_") and not hasattr(again, "n_iter_")
    assert weights(again.fit(*data_for(estimator))) == weights(model)
    assert "dropout=0.3" in repr(model) and "max_norm=2.0" in repr(model)


@every_estimator
def test_sample_weights_are_routed(estimator):
    X, y = data_for(estimator)
    weight = np.random.default_rng(0).integers(1, 4, 120)
    expected = small(estimator).fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(estimator).set_fit_request(sample_weight=True)
        model.set_partial_fit_request(sample_weight=True)
        pipeline = make_pipeline(model).fit(X, y, sample_weight=weight)
        with pytest.raises(TypeError, match="other"):
            make_pipeline(model).fit(X, y, other=weight)
    assert weights(pipeline[-1]) == weights(expected)


def test_importing_simdrop_does_not_import_scikit_learn(run_python):
    script = "import sys, simdrop, simdrop.nn; assert not {'sklearn', 'scipy'} & set(sys.modules)"
    assert run_python(script).stderr == ""
