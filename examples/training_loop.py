"""A training loop by hand: what two calls of simdrop do for a net whose labels are partly wrong.

A net of two layers learns scikit-learn's handwritten digits, a fifth of them with a wrong label.
"""

import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd

TRAINED, WRONG = 1000, 200  # digits to learn from, and how many of them are taught as another one
HIDDEN, EPOCHS, BATCH = 256, 100, 50
RATE, MOMENTUM = 0.1, 0.9
P_INPUT, P_HIDDEN = 0.2, 0.5  # of dropping; Srivastava et al. (2014), appendix A.4


def digits():
    """(images (n, 64), labels as taught, true labels) to learn from, and the same to test with."""
    rng = np.random.default_rng(0)
    data = load_digits()
    order = rng.permutation(len(data.data))
    x, true = (data.data[order] / 16).astype(np.float32), data.target[order]
    taught = true.copy()
    taught[:WRONG] = (true[:WRONG] + rng.integers(1, 10, size=WRONG)) % 10
    train, test = slice(TRAINED), slice(TRAINED, None)
    return (x[train], taught[train], true[train]), (x[test], taught[test], true[test])


def train(x, y, dropout):
    """The weights W1 (64, HIDDEN), b1, W2 (HIDDEN, 10), b2 after stochastic gradient descent."""
    rng = np.random.default_rng(1)  # the same first weights and batches, with dropout or without
    stream = sd.Stream(2)  # each call that takes it gets another mask
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
            dh = sd.dropout_backward(dh1, mask)  # drops what was dropped, scales as was scaled
            da = dh * (h > 0)
            gradients = x0.T @ da, da.sum(axis=0), h1.T @ dlogits, dlogits.sum(axis=0)

            # update
            for w, v, g in zip(weights, velocities, gradients, strict=True):
                v *= MOMENTUM
                v -= RATE * g
                w += v
    return weights


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def error(weights, x, y):
    """The fraction of x classified otherwise than y; in use, nothing is dropped or scaled."""
    W1, b1, W2, b2 = weights
    logits = np.maximum(x @ W1 + b1, 0) @ W2 + b2
    return np.mean(logits.argmax(axis=1) != y)


def main():
    (x, taught, true), (x_test, _, y_test) = digits()
    print(f"errors           {'labels as taught':>18}{'true labels':>14}{'new digits':>13}")
    for name, dropout in (("without dropout", False), ("with dropout", True)):
        weights = train(x, taught, dropout)
        found = error(weights, x, taught), error(weights, x, true), error(weights, x_test, y_test)
        print("{:17}{:>18.1%}{:>14.1%}{:>13.1%}".format(name, *found))
    print(
        f"\n{WRONG / TRAINED:.0%} of the labels taught are wrong. Without dropout the net learns "
        "them by heart; with\ndropout it disagrees with most of them, and errs on fewer new digits."
    )


if __name__ == "__main__":
    main()
