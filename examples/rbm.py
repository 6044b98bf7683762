"""
A restricted Boltzmann machine
==============================

Srivastava et al. (2014), section 8: visible units are the pixels of scikit-learn's handwritten
digits, black or white, and hidden units are dropped while the machine is trained by contrastive
divergence (CD-1), different ones for each image of each batch. As in the paper, fewer units are
dead (8.3) and they are sparser (8.4).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd

PIXELS, HIDDEN, P = 64, 256, 0.5
TRAINED, EPOCHS, BATCH, RATE, MOMENTUM = 500, 300, 50, 0.05, 0.9


def digits():
    """Black and white images v (n, PIXELS) to train with, and others to test with."""
    data = load_digits().data
    order = np.random.default_rng(0).permutation(len(data))
    v = (data[order] > 7).astype(np.float32)
    return v[:TRAINED], v[TRAINED:]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# %%
# Training
# --------
#
# One mask serves both phases of CD-1: a machine without the dropped units is trained.


def train(v, p):
    """Weights W (PIXELS, HIDDEN), biases a (PIXELS,) and b (HIDDEN,); p is that of dropping."""
    rng, stream = np.random.default_rng(1), sd.Stream(2)
    # Initial values: Hinton (2012), "A practical guide to training RBMs", section 8.
    on = v.mean(axis=0).clip(0.01, 0.99)
    W = rng.normal(0, 0.01, (PIXELS, HIDDEN)).astype(np.float32)
    weights = W, a, b = W, np.log(on / (1 - on)), np.zeros(HIDDEN, np.float32)
    velocities = [np.zeros_like(w) for w in weights]

    def sample(probabilities):
        return (rng.random(probabilities.shape, np.float32) < probabilities).astype(np.float32)

    for _ in range(EPOCHS):
        for batch in np.split(rng.permutation(len(v)), len(v) // BATCH):
            # A dropped hidden unit is 0 in both phases; none is scaled.
            mask = stream.mask((BATCH, HIDDEN), p, scale=False)
            v0 = v[batch]
            h0 = mask.apply(sigmoid(v0 @ W + b))
            v1 = sample(sigmoid(sample(h0) @ W.T + a))
            h1 = mask.apply(sigmoid(v1 @ W + b))
            steps = (v0.T @ h0 - v1.T @ h1) / BATCH, (v0 - v1).mean(axis=0), (h0 - h1).mean(axis=0)
            for w, u, step in zip(weights, velocities, steps, strict=True):
                u *= MOMENTUM
                u += RATE * step
                w += u
    return weights


# %%
# Evaluation
# ----------


def free_energy(weights, v, p):
    """Of images (n, PIXELS), the mean over all masks: a hidden unit counts with weight 1 - p."""
    W, a, b = weights
    return -(v @ a) - (1 - p) * np.logaddexp(0, v @ W + b).sum(axis=1)


def pseudo_likelihood(weights, v, p):
    """The mean over images of the sum over pixels of log2 P(pixel | all others)."""
    energy, total = free_energy(weights, v, p), 0.0
    for i in range(PIXELS):
        flipped = v.copy()
        flipped[:, i] = 1 - v[:, i]
        total -= np.logaddexp(0, energy - free_energy(weights, flipped, p)).mean()
    return total / np.log(2)


# %%
# What the hidden units learn
# ---------------------------
#
# The pictures show the weights of 64 hidden units, from blue (negative) to red (positive). A unit
# that is nearly gray everywhere is dead: it is the same for every image.


def main():
    """Print what both machines make of new images, and return their weights."""
    seen, new = digits()
    machines = {}
    print("                 bits trained  bits new   mean h   h > 0.5    dead")
    for name, p in (("without dropout", 0.0), ("with dropout", P)):
        weights = W, _, b = train(seen, p)
        bits = -pseudo_likelihood(weights, seen, p), -pseudo_likelihood(weights, new, p)
        h = sigmoid(new @ W + b)  # (n, HIDDEN)
        dead = np.mean(h.std(axis=0) < 0.05)  # nearly the same for every image
        row = *bits, h.mean(), np.mean(h > 0.5), dead
        print("{:17}{:12.1f}{:10.1f}{:9.3f}{:10.1%}{:8.1%}".format(name, *row))
        machines[name] = W
    print(
        "\nBits are minus the log of an image's pseudo-likelihood; h are hidden units, given new\n"
        "images. With dropout new images are more likely, fewer units are on, and hardly any are\n"
        "dead."
    )
    return machines


def draw(machines):
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
    for one, (name, W) in zip(axes, machines.items(), strict=True):
        rows, columns = 8, 8
        filters = W.T[: rows * columns].reshape(rows, columns, 8, 8)
        filters = np.pad(filters, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
        one.imshow(filters.swapaxes(1, 2).reshape(9 * rows, -1), cmap="coolwarm", vmin=-3, vmax=3)
        one.set_title(name)
        one.set_axis_off()


if __name__ == "__main__":
    draw(main())
    plt.show()
