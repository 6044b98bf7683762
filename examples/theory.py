"""
Weight scaling, sampled masks and the exact average
===================================================

A net of 12 hidden units has 4,096 masks, few enough to average over all of them. How close do the
two approximations come that nets of any size can afford?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd
from simdrop import nn

HIDDEN, P = 12, 0.5
SAMPLES = (1, 10, 100, 1000)


# %%
# Two neurons
# -----------


def two_neurons():
    """The mean of z = w1 x + w2 y over its four masks: (exact mean, exact variance, scaled)."""
    w, inputs, p = np.array([0.5, -2.0]), np.array([3.0, 1.0]), 0.25

    def f(masked):
        return masked @ w

    mean, variance = sd.theory.expectation(f, inputs, p)
    return float(mean), float(variance), float(sd.theory.weight_scaling(f, inputs, p))


# %%
# A trained net
# -------------


def trained_net():
    """A net of 12 hidden units, trained with dropout in its classic form, and data to test it."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    x, y = digits.data[order] / 16, digits.target[order]
    net = nn.MLP((64, HIDDEN, 10), p=P, p_input=0, inverted=False, rng=0, dtype=np.float64)
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    for _ in range(40):
        for start in range(0, 1200, 50):
            net.train_step(x[start : start + 50], y[start : start + 50], optimizer)
    return net.eval(), x[1200:1500], y[1200:1500]


def compare():
    """Rows of (what, distance from the exact average, error), over 300 digits."""
    net, x, y = trained_net()
    first, last = net.layers[1:]
    hidden = np.maximum(
        x @ first.weight.value + first.bias.value, 0
    )  # (images, HIDDEN), not masked

    def softmax(logits):
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def probabilities(masked):
        return softmax(last(masked))

    exact = np.array([sd.theory.expectation(probabilities, h, P)[0] for h in hidden])
    found = [("all 4,096 nets", exact)]
    scaled = np.array([sd.theory.weight_scaling(probabilities, h, P) for h in hidden])
    found.append(("weight scaling", scaled))
    stream = sd.Stream(0)
    for n in SAMPLES:
        # monte_carlo wants two masks for a standard error
        if n == 1:
            sampled = probabilities(sd.dropout(hidden, P, rng=stream, scale=False)[0])
        else:
            sampled = np.array(
                [sd.theory.monte_carlo(probabilities, h, P, n, rng=stream)[0] for h in hidden]
            )
        found.append((f"{n:,} sampled mask" + "s" * (n > 1), sampled))
    # The nets' geometric mean, normalised, is what weight scaling gives: softmax of a mean.
    logits = np.array([sd.theory.expectation(last, h, P)[0] for h in hidden])
    found.append(("geometric mean of all", softmax(logits)))
    return [
        (what, np.abs(q - exact).sum(axis=1).mean() / 2, np.mean(q.argmax(axis=1) != y))
        for what, q in found
    ]


# %%
# Distance from the exact average
# -------------------------------
#
# Sampling approaches it as ``1 / sqrt(n)``. Weight scaling stays where it is, since it computes
# another average, the geometric one; yet its error is no larger.


def main():
    """Print both tables, and return the second."""
    print("two neurons: mean {}, variance {}, weight scaling {}\n".format(*two_neurons()))
    rows = compare()
    print("| average | distance | error |\n| :-- | --: | --: |")
    for what, distance, error in rows:
        print(f"| {what} | {distance:.4f} | {100 * error:.1f} % |")
    return rows


def draw(rows):
    distances = {what: distance for what, distance, _ in rows}
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    sampled = [distance for what, distance in distances.items() if "sampled" in what]
    axes.loglog(SAMPLES, sampled, "o-", label="sampled masks")
    axes.loglog(
        SAMPLES, sampled[-1] * np.sqrt(SAMPLES[-1] / np.array(SAMPLES)), "k:", label="1 / sqrt(n)"
    )
    axes.axhline(distances["weight scaling"], color="C1", label="weight scaling")
    axes.set(xlabel="sampled masks n", ylabel="distance from the exact average")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


if __name__ == "__main__":
    draw(main())
    plt.show()
