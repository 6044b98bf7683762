"""
Monte Carlo dropout: how sure is a net?
=======================================

Dropout at prediction gives many thinned nets, and where they disagree, the net is unsure (Gal and
Ghahramani 2016). `simdrop.nn.Network.predict_mc` samples them, here for a curve and for digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from simdrop import nn

NOISE, INTERVALS = 0.1, ((-3.0, -1.0), (1.0, 3.0))  # of the training points
SAMPLES, ROWS, COLUMNS = 500, 3, 7  # of masks; of digits in the picture


def curve(x):
    return np.sin(1.5 * x)


# %%
# A curve
# -------
#
# Two intervals have training points; the gap between them and what lies beyond have none.


def points():
    """x (n, 1) in two intervals, and y (n, 1) with noise."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(*interval, 60) for interval in INTERVALS])[:, None]
    return x, curve(x) + rng.normal(0, NOISE, x.shape)


def train(net, x, y, epochs, batch):
    rng, optimizer = np.random.default_rng(1), nn.Adam(net.parameters(), 0.001, l2=1e-5)
    for epoch in range(epochs):
        optimizer.lr = 0.001 * (1 - epoch / epochs)
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            some = order[start : start + batch]
            net.train_step(x[some], y[some], optimizer)
    return net


def regression():
    """The points, a grid, and the predictions on it."""
    x, y = points()
    net = nn.MLP((1, 256, 256, 1), p=0.2, p_input=0, loss="squared_error", rng=0)
    # Without a bias the kinks of all units would be at 0.
    net.layers[1].bias.value[:] = np.random.default_rng(2).uniform(-3, 3, 256)
    train(net, x, y, 800, 40)
    grid = np.linspace(-6, 6, 481)[:, None]
    # Each sample is one thinned net for the whole grid, so that curves and band are smooth.
    return x, y, grid, net.predict_mc(grid, SAMPLES, rng=0, shared_masks=True, samples=True)


def places(grid):
    """Which part of the grid is among the points, in the gap between them, and beyond them."""
    (first, left), (right, last) = INTERVALS
    x = grid[:, 0]
    gap, beyond = (x > left) & (x < right), (x < first) | (x > last)
    return {"among the points": ~(gap | beyond), "in the gap": gap, "beyond them": beyond}


def draw_regression(x, y, grid, found):
    mean, std, at = found.mean[:, 0], found.std[:, 0], grid[:, 0]
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    axes.set(xlabel="x", ylabel="y", xlim=(-6, 6), ylim=(-5, 5))
    axes.fill_between(at, mean - 2 * std, mean + 2 * std, alpha=0.25, label="mean ± 2 std")
    axes.plot(at, found.samples[:5, :, 0].T, color="C0", linewidth=0.6, alpha=0.6)
    axes.plot([], [], color="C0", linewidth=0.6, alpha=0.6, label="5 thinned nets")
    axes.plot(at, mean, color="C0", linewidth=2, label=f"mean of {SAMPLES} thinned nets")
    axes.plot(at, curve(at), "k--", linewidth=1, label="true function")
    axes.plot(x, y, "C3.", markersize=5, label="training points")
    axes.legend(loc="upper left", fontsize="small", ncols=2, frameon=False)


# %%
# Digits
# ------


def digits():
    """New images (n, 64), their labels, and the predictions of a net trained on others."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.data))
    x, y = (data.data[order] / 16).astype(np.float32), data.target[order]
    net = train(nn.MLP((64, 256, 256, 10), rng=0), x[:1000], y[:1000], 100, 50)
    return x[1000:], y[1000:], net.predict_mc(x[1000:], SAMPLES, rng=0)


def draw_digits(x, y, found):
    figure = plt.figure(figsize=(9, 4.9), layout="constrained")
    figure.suptitle(
        "The least certain digits and their entropy in nats (at most log 10 = 2.30); red is wrong"
    )
    most = np.argsort(-found.entropy)[: ROWS * COLUMNS]
    for axes, i in zip(figure.subplots(ROWS, COLUMNS).flat, most, strict=True):
        right = found.label[i] == y[i]
        axes.imshow(x[i].reshape(8, 8), cmap="gray_r")
        axes.set_axis_off()
        said = f"{found.label[i]}" if right else f"{found.label[i]}, is {y[i]}"
        axes.set_title(
            f"{said}\n{found.entropy[i]:.2f}", fontsize=10, color="black" if right else "C3"
        )


# %%
# What both say
# -------------
#
# On the curve, std grows with the distance from the points. For digits the order is what counts:
# the least certain ones are wrong most often.


def main():
    x, y, grid, found = regression()
    draw_regression(x, y, grid, found)
    mean, std, true = found.mean, found.std, curve(grid)
    stds = {name: std[where].mean() for name, where in places(grid).items()}
    inside = {
        name: np.mean(np.abs(mean - true)[where] < 2 * std[where])
        for name, where in places(grid).items()
    }

    x, y, found = digits()
    draw_digits(x, y, found)
    order, wrong = np.argsort(found.entropy), found.label != y
    edges = [0, len(y) // 2, len(y) * 8 // 10, len(y) * 95 // 100, len(y)]
    names = ("surest half", "next 30 %", "next 15 %", "least sure 5 %")
    print(f"{'digits':15}{'errors':>8}{'entropy':>10}{'mutual information':>21}")
    for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True):
        part = order[start:stop]
        row = wrong[part].mean(), found.entropy[part].mean(), found.mutual_information[part].mean()
        print("{:15}{:>8.1%}{:>10.3f}{:>21.3f}".format(name, *row))
    print("\nThe curve: std, and how much of the true function lies within 2 std,")
    print(", ".join(f"{name} {stds[name]:.2f} and {inside[name]:.0%}" for name in stds) + ".")


if __name__ == "__main__":
    main()
    plt.show()
