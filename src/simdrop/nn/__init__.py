"""A multi-layer perceptron with dropout in plain NumPy, small enough to read in one sitting."""

from .activations import ActivityL1, ReLU, Sigmoid, Tanh
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
from .losses import SoftmaxCrossEntropy, SquaredError
from .mlp import MLP
from .network import Network
from .optimizers import SGD, Adam, Optimizer

__all__ = [
    "MLP",
    "SGD",
    "ActivityL1",
    "Adam",
    "AlphaDropout",
    "BatchwiseDense",
    "Dense",
    "DropBlock",
    "DropConnect",
    "DropPath",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "KeptInputs",
    "Layer",
    "Linear",
    "LockedDropout",
    "Network",
    "Optimizer",
    "Parameter",
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
