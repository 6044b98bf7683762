"""A multi-layer perceptron with dropout in plain NumPy.

To be read in this order, a page or two each: layer, parameter, linear, activations, transform,
dropout, losses, network; mlp puts them together. They call arguments (of layers), checks (of nets),
memory (for blocks of arrays) and shard (for some rows of a batch). Beside them are the other layers
that drop (transforms, dropconnect), the fast paths (dense: one pass for bias, activation and
dropout; batchwise: products of kept weights alone), optimizers, checkpoint, and montecarlo with
sampling, of a layer, and prediction, of a net. training is the loop of `Network.fit`, and history
its record.
"""

from .activations import GELU, ActivityL1, Identity, ReLU, Sigmoid, SiLU, Tanh
from .batchwise import BatchwiseDense, KeptInputs, Units
from .checkpoint import load, save
from .dense import Dense
from .dropconnect import DropConnect
from .dropout import Dropout
from .history import History
from .inputs import Column, Scaling
from .layer import Layer
from .linear import Linear, Weighted
from .losses import BinaryCrossEntropy, Loss, Poisson, SoftmaxCrossEntropy, SquaredError
from .mlp import MLP
from .network import Network
from .optimizers import SGD, Adam, Optimizer
from .parameter import Parameter
from .prediction import Prediction
from .predictor import Predictor, open
from .shard import Shard
from .signature import Signature
from .transform import Transform
from .transforms import (
    AlphaDropout,
    DropBlock,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    LockedDropout,
)

__all__ = [
    "GELU",
    "MLP",
    "SGD",
    "ActivityL1",
    "Adam",
    "AlphaDropout",
    "BatchwiseDense",
    "BinaryCrossEntropy",
    "Column",
    "Dense",
    "DropBlock",
    "DropConnect",
    "DropPath",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "History",
    "Identity",
    "KeptInputs",
    "Layer",
    "Linear",
    "LockedDropout",
    "Loss",
    "Network",
    "Optimizer",
    "Parameter",
    "Poisson",
    "Prediction",
    "Predictor",
    "Signature",
    "ReLU",
    "Scaling",
    "Shard",
    "SiLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "Tanh",
    "Transform",
    "Units",
    "Weighted",
    "load",
    "open",
    "save",
]
