"""A multi-layer perceptron with dropout in plain NumPy, small enough to read in one sitting."""

from .activations import ActivityL1, Identity, ReLU, Sigmoid, Tanh
from .base import Layer, Parameter
from .batchwise import BatchwiseDense, KeptInputs, Units
from .checkpoint import load, save
from .dense import Dense
from .dropout import (
    AlphaDropout,
    DropBlock,
    DropConnect,
    Dropout,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    LockedDropout,
    Transform,
)
from .layers import Linear
from .losses import BinaryCrossEntropy, Poisson, SoftmaxCrossEntropy, SquaredError
from .mlp import MLP
from .network import Network
from .optimizers import SGD, Adam, Optimizer
from .uncertainty import Prediction

__all__ = [
    "MLP",
    "SGD",
    "ActivityL1",
    "Adam",
    "AlphaDropout",
    "BatchwiseDense",
    "BinaryCrossEntropy",
    "Dense",
    "DropBlock",
    "DropConnect",
    "DropPath",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "KeptInputs",
    "Layer",
    "Linear",
    "LockedDropout",
    "Network",
    "Optimizer",
    "Parameter",
    "Poisson",
    "Prediction",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
    "Transform",
    "Units",
    "load",
    "save",
]
