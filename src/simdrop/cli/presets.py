"""Named settings: what the papers on dropout compare on MNIST, each a row of `PRESETS`.

The probabilities are those of Srivastava et al. 2014, "Dropout", appendix A.4, and so is max-norm:
their limit of 2 on weights that are halved at inference is 1 on the weights of inverted dropout.
The rest was chosen on a validation set, never on the test set. More epochs of mnist-maxnorm are
better there (1.33 % after 40, 1.23 % after 110, 1.21 % after 240); 360 take an hour and a half of
one core, and the paper's million updates are twelve times as many. An option that is given
overrides its preset's.
"""

from typing import Any

MNIST: dict[str, Any] = {
    "hidden": (1024, 1024, 1024),
    "activation": "relu",
    "batch_size": 256,
    "optimizer": "adam",
    "lr": 0.001,
    "validation": 0.0,
}
PLAIN = MNIST | {"only": "without", "epochs": 12}
DROPPED = MNIST | {"only": "with", "p": 0.5, "p_input": 0.2, "epochs": 60}

PRESETS: dict[str, dict[str, Any]] = {
    "mnist-none": PLAIN | {"hidden": (1024, 1024)},
    "mnist-l2": PLAIN | {"l2": 1e-4},
    "mnist-l1": PLAIN | {"l1": 1e-6},
    "mnist-sparse": PLAIN | {"activity_l1": 1e-4},
    "mnist-maxnorm-only": PLAIN | {"max_norm": 1.0},
    "mnist-dropout": DROPPED,
    "mnist-maxnorm": DROPPED | {"max_norm": 1.0, "epochs": 360},
    "mnist-batchwise": DROPPED | {"dropout": "batchwise", "max_norm": 1.0, "batch_size": 128},
    "mnist-iterations": MNIST
    | {"hidden": (1024, 1024), "p": 0.5, "p_input": 0.2, "only": "both", "epochs": 30}
    | {"lr_schedule": "constant", "validation": 1 / 6},
}
