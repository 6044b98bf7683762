"""Estimators for scikit-learn: its multi-layer perceptrons, with dropout."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "simdrop.sklearn needs scikit-learn: pip install 'simdrop[sklearn]'"
    ) from error

from .classifier import DropoutMLPClassifier
from .composition import predict_mc
from .regressor import DropoutMLPRegressor

__all__ = ["DropoutMLPClassifier", "DropoutMLPRegressor", "predict_mc"]
