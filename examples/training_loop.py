"""
A training loop by hand
=======================

A net of two layers learns scikit-learn's handwritten digits, a fifth of them with a wrong label, in
plain NumPy. Dropout is two calls per layer: `simdrop.dropout` in the forward pass, and
`simdrop.dropout_backward` in the backward pass.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd

TRAINED, WRONG = 1000, 200  # training digits, and how many of them have a wrong label
HIDDEN, EPOCHS, BATCH = 256, 100, 50
RATE, MOMENTUM = 0.1, 0.9
P_INPUT, P_HIDDEN = 0.2, 0.5  # of dropping; Srivastava et al. (2014), appendix A.4


def digits():
    """(images (n, 64), given labels, true labels) to train with, and the same to test with."""
    rng = np.random.default_rng(0)
    data = load_digits()
    order = rng.permutation(len(data.data))
    x, true = (data.data[order] / 16).astype(np.float32), data.target[order]
    given = true.copy()
    given[:WRONG] = (true[:WRONG] + rng.integers(1, 10, size=WRONG)) % 10
    train, test = slice(TRAINED), slice(TRAINED, None)
    return (x[train], given[train], true[train]), (x[test], given[test], true[test])


# %%
# The loop
# --------
#
# The mask of the inputs is not needed in the backward pass, since nobody asks for the gradient with
# respect to the images.


def train(x, y, dropout, after_epoch=None):
    """The weights W1 (64, HIDDEN), b1, W2 (HIDDEN, 10), b2 after stochastic gradient descent."""
    rng = np.random.default_rng(1)  # the same initial weights and batches, with or without dropout
    stream = sd.Stream(2)  # each call takes its next mask
    W1 = rng.normal(0, np.sqrt(2 / 64), (64, HIDDEN)).astype(np.float32)
    W2 = rng.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, 10)).astype(np.float32)
    weights = W1, b1, W2, b2 = W1, np.zeros(HIDDEN, np.float32), W2, np.zeros(10, np.float32)
    velocities = [np.zeros_like(w) for w in weights]
    for _ in range(EPOCHS):
        for batch in np.split(rng.permutation(len(x)), len(x) // BATCH):
            # forward
            x0, _ = sd.dropout(x[batch], P_INPUT, rng=stream, training=dropout)  # (BATCH, 64)
            h = np.maximum(x0 @ W1 + b1, 0)  # (BATCH, HIDDEN)
            h1, mask = sd.dropout(h, P_HIDDEN, rng=stream, training=dropout)
            logits = h1 @ W2 + b2  # (BATCH, 10)

            # backward, from the batch's mean cross-entropy
            dlogits = (softmax(logits) - np.eye(10, dtype=np.float32)[y[batch]]) / BATCH
            dh1 = dlogits @ W2.T
            dh = sd.dropout_backward(dh1, mask)  # the same elements, the same factor
            da = dh * (h > 0)
            gradients = x0.T @ da, da.sum(axis=0), h1.T @ dlogits, dlogits.sum(axis=0)

            # update
            for w, v, g in zip(weights, velocities, gradients, strict=True):
                v *= MOMENTUM
                v -= RATE * g
                w += v
        if after_epoch:
            after_epoch(weights)
    return weights


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def error(weights, x, y):
    """The fraction of x that is misclassified; nothing is dropped or scaled here."""
    W1, b1, W2, b2 = weights
    logits = np.maximum(x @ W1 + b1, 0) @ W2 + b2
    return np.mean(logits.argmax(axis=1) != y)


# %%
# What the labels do to the net
# -----------------------------
#
# Without dropout the net memorizes the wrong labels, and is the worse for it.


def main():
    """Print the errors of both nets, and return their test errors after each epoch."""
    (x, given, true), (x_test, _, y_test) = digits()
    curves = {}
    print(f"errors           {'labels as given':>18}{'true labels':>14}{'new digits':>13}")
    for name, dropout in (("without dropout", False), ("with dropout", True)):
        curve = curves[name] = []
        weights = train(
            x,
            given,
            dropout,
            lambda weights, curve=curve: curve.append(error(weights, x_test, y_test)),
        )
        found = error(weights, x, given), error(weights, x, true), error(weights, x_test, y_test)
        print("{:17}{:>18.1%}{:>14.1%}{:>13.1%}".format(name, *found))
    print(
        f"\n{WRONG / TRAINED:.0%} of the labels are wrong. Without dropout the net memorizes them; "
        "with dropout it\ndisagrees with most of them, and has a lower test error."
    )
    return curves


def draw(curves):
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, curve in curves.items():
        axes.plot(range(1, len(curve) + 1), 100 * np.array(curve), label=name)
    axes.set(xlabel="epoch", ylabel="test error (%)", ylim=(0, 25))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


if __name__ == "__main__":
    draw(main())
    plt.show()
