"""Signatures, docstrings and the page about the estimators."""

import ast
import doctest
import importlib
import inspect
import pathlib
import re

import pytest

pytest.importorskip("sklearn", minversion="1.6")

from small_estimators import OWN, every_estimator, fitted

from simdrop.sklearn import DropoutMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = pathlib.Path(__file__).parents[2]


@every_estimator
def test_the_parameters_are_scikit_learns_but_for_lbfgs_and_a_few_more(estimator):
    parameters, own = (dict(inspect.signature(e).parameters) for e in (estimator, OWN[estimator]))
    del own["max_fun"]
    added = ["dropout", "input_dropout", "dropout_kind", "max_norm"]
    added += ["class_weight"] * (estimator is DropoutMLPClassifier)
    common = [name for name in parameters if name not in added]
    if "loss" not in own and "loss" in common:
        common.remove("loss")  # the regressor's, since scikit-learn 1.7
    assert common == list(own)
    assert all(parameters[name].default == own[name].default for name in own)
    assert list(parameters)[-len(added) :] == added


@every_estimator
def test_help_has_every_parameter_with_its_default_and_every_attribute(estimator):
    text = inspect.getdoc(estimator)
    defaults = {}
    for names, values in re.findall(r"^(\w[\w, ]*) : .*default=(.*)$", text, re.MULTILINE):
        names = names.split(", ")
        values = values.split(", ") if len(names) > 1 else [values]
        defaults |= dict(zip(names, map(ast.literal_eval, values), strict=True))
    parameters = inspect.signature(estimator).parameters.values()
    assert defaults == {parameter.name: parameter.default for parameter in parameters}
    assert list(defaults) == [parameter.name for parameter in parameters]
    model = fitted(estimator)
    for name in [name for name in (*vars(model), "coefs_", "intercepts_") if name[0] != "_"]:
        assert name in defaults or re.search(rf"^(\w+, )?{name}(, \w+)? : ", text, re.MULTILINE)


@pytest.mark.parametrize("module", ["classifier", "composition", "regressor"])
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"simdrop.sklearn.{module}"))
    assert result.attempted and not result.failed


def test_the_page_about_scikit_learn():
    names = {}
    for block in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/how-to/sklearn.md").read_text(), re.S
    ):
        exec(block, names)
    assert names["search"].best_score_ > 0.9
