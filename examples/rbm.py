"""A restricted Boltzmann machine with dropout: Srivastava et al. (2014), section 8.

Visible units are the pixels of scikit-learn's handwritten digits, black or white. Hidden units are
dropped in training by contrastive divergence (CD-1), other ones for each image of each batch. The
paper sees fewer dead units (8.3) and sparser ones (8.4).
"""

import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd

PIXELS, HIDDEN, P = 64, 256, 0.5
TRAINED, EPOCHS, BATCH, RATE, MOMENTUM = 500, 300, 50, 0.05, 0.9


def digits():
    """Black and white images v (n, PIXELS) to learn from, and others to test with."""
    data = load_digits().data
    order = np.random.default_rng(0).permutation(len(data))
    v = (data[order] > 7).astype(np.float32)
    return v[:TRAINED], v[TRAINED:]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def train(v, p):
    """Weights W (PIXELS, HIDDEN), biases a (PIXELS,) and b (HIDDEN,); p is that of dropping."""
    rng, stream = np.random.default_rng(1), sd.Stream(2)
    # Where to start: Hinton (2012), "A practical guide to training RBMs", section 8.
    on = v.mean(axis=0).clip(0.01, 0.99)
    W = rng.normal(0, 0.01, (PIXELS, HIDDEN)).astype(np.float32)
    weights = W, a, b = W, np.log(on / (1 - on)), np.zeros(HIDDEN, np.float32)
    velocities = [np.zeros_like(w) for w in weights]

    def sample(probabilities):
        return (rng.random(probabilities.shape, np.float32) < probabilities).astype(np.float32)

    for _ in range(EPOCHS):
        for batch in np.split(rng.permutation(len(v)), len(v) // BATCH):
            # A hidden unit that is dropped is 0 in both phases; none is scaled.
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


def free_energy(weights, v, p):
    """Of images (n, PIXELS), the mean over all masks: a hidden unit counts by its chance 1 - p."""
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


def main():
    taught, new = digits()
    print("                 bits taught  bits new   mean h   h > 0.5    dead")
    for name, p in (("without dropout", 0.0), ("with dropout", P)):
        weights = W, _, b = train(taught, p)
        bits = -pseudo_likelihood(weights, taught, p), -pseudo_likelihood(weights, new, p)
        h = sigmoid(new @ W + b)  # (n, HIDDEN)
        dead = np.mean(h.std(axis=0) < 0.05)  # the same for every image, or nearly
        row = *bits, h.mean(), np.mean(h > 0.5), dead
        print("{:17}{:11.1f}{:10.1f}{:9.3f}{:10.1%}{:8.1%}".format(name, *row))
    print(
        "\nBits are minus the log of an image's pseudo-likelihood; h are hidden units, given new "
        "images.\nWith dropout new images are likelier, fewer units are on, and hardly any is dead."
    )


if __name__ == "__main__":
    main()
