"""Estimators for scikit-learn: its multi-layer perceptrons, with dropout (docs/sklearn.md)."""

from .classifier import DropoutMLPClassifier
from .regressor import DropoutMLPRegressor

__all__ = ["DropoutMLPClassifier", "DropoutMLPRegressor"]
