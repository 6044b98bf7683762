"""
Attention with fused dropout
============================

One encoder layer of a transformer, forward and backward by hand, with `simdrop.fused.bias_dropout`
and `simdrop.fused.dropout_add`. It reads scikit-learn's handwritten digits as eight tokens, the
rows of an image. The layer norms have no weights of their own, for brevity.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import simdrop as sd
from simdrop import fused, nn

WIDTH, HEADS, INNER = 64, 4, 128
TRAINED, EPOCHS, BATCH, RATE = 1000, 35, 50, 3e-3
P = 0.3  # of dropping the output of each sub-layer, and the units inside the second


def digits(wrong):
    """Images (n, 8, 8) and labels (n,), a fraction of them wrong; and a correct test set."""
    rng = np.random.default_rng(0)
    data = load_digits()
    order = rng.permutation(len(data.images))
    x, y = (data.images[order] / 16).astype(np.float32), data.target[order]
    count = round(wrong * TRAINED)
    y[:count] = (y[:count] + rng.integers(1, 10, size=count)) % 10
    return (x[:TRAINED], y[:TRAINED]), (x[TRAINED:], y[TRAINED:])


def new_weights(rng, dtype=np.float32):
    def normal(rows, columns):
        return rng.normal(0, rows**-0.5, (rows, columns)).astype(dtype)

    return {
        "embed": normal(8, WIDTH),  # a token is a row of 8 pixels
        "position": normal(8, WIDTH),  # and there are 8 of them
        "qkv": normal(WIDTH, 3 * WIDTH),
        "join": normal(WIDTH, WIDTH),
        "inner": normal(WIDTH, INNER),
        "bias": np.zeros(INNER, dtype),
        "outer": normal(INNER, WIDTH),
        "classes": normal(WIDTH, 10),
    }


# %%
# The parts of the layer
# ----------------------


def norm(x):
    """Tokens (N, T, F) with mean 0 and variance 1, and what they were multiplied by (N, T, 1)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred * scale, scale


def norm_backward(dy, y, scale):
    along = y * (dy * y).mean(axis=-1, keepdims=True)
    return scale * (dy - dy.mean(axis=-1, keepdims=True) - along)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y):
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def attention(qkv):
    """Each token's mix of values (N, T, WIDTH), by queries, keys and values (N, T, 3 WIDTH)."""
    N, T, _ = qkv.shape
    q, k, v = qkv.reshape(N, T, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)  # (N, HEADS, T, F) each
    weights = softmax(q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5)  # (N, HEADS, T, T)
    return (weights @ v).swapaxes(1, 2).reshape(N, T, -1), (q, k, v, weights)


def attention_backward(dy, kept):
    q, k, v, weights = kept
    N, _, T, F = q.shape
    dy = dy.reshape(N, T, HEADS, F).swapaxes(1, 2)
    dscores = softmax_backward(dy @ v.swapaxes(-1, -2), weights) * F**-0.5
    dqkv = [dscores @ k, dscores.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ dy]
    return np.stack(dqkv).transpose(1, 3, 0, 2, 4).reshape(N, T, -1)


# %%
# Forward and backward
# --------------------
#
# Dropout is in three places, each fused with what is next to it: after the attention and after the
# second sub-layer, where the residual is added, and inside the second, with bias and activation.


def forward(w, x, p=0.0, rng=None):
    """Logits (N, 10) of images x (N, 8, 8), and what `backward` needs."""
    h = x @ w["embed"] + w["position"]  # (N, 8, WIDTH)

    first, scale1 = norm(h)
    mixed, attended = attention(first @ w["qkv"])
    h, add1 = fused.dropout_add(mixed @ w["join"], h, p, rng=rng)

    second, scale2 = norm(h)
    units, gelu = fused.bias_dropout(
        second @ w["inner"], w["bias"], p, activation="gelu", rng=rng
    )  # (N, 8, INNER)
    h, add2 = fused.dropout_add(units @ w["outer"], h, p, rng=rng)

    last, scale3 = norm(h)
    pooled = last.mean(axis=1)  # (N, WIDTH)
    norms = (first, scale1), (second, scale2), (last, scale3)
    return pooled @ w["classes"], (x, norms, (mixed, attended, add1), (units, gelu, add2), pooled)


def backward(w, dlogits, kept):
    """The gradients of the weights, from that of the logits (N, 10)."""

    def product(a, b):  # (N, T, m), (N, T, n) -> (m, n)
        return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])

    x, (first, second, last), (mixed, attended, add1), (units, gelu, add2), pooled = kept
    g = {"classes": pooled.T @ dlogits}
    dlast = np.repeat((dlogits @ w["classes"].T / 8)[:, None], 8, axis=1)

    dsum, dh = add2.backward(norm_backward(dlast, *last))
    g["outer"] = product(units, dsum)
    da, g["bias"] = gelu.backward(dsum @ w["outer"].T)
    g["inner"] = product(second[0], da)
    dh = dh + norm_backward(da @ w["inner"].T, *second)

    dsum, dh = add1.backward(dh)
    g["join"] = product(mixed, dsum)
    dqkv = attention_backward(dsum @ w["join"].T, attended)
    g["qkv"] = product(first[0], dqkv)
    dh = dh + norm_backward(dqkv @ w["qkv"].T, *first)

    g["position"] = dh.sum(axis=0)
    g["embed"] = product(x, dh)
    return g


def loss_and_gradients(w, x, y, p=0.0, rng=None):
    """The mean cross-entropy of labels y (N,), and its gradients by the weights' names."""
    logits, kept = forward(w, x, p, rng)
    q = softmax(logits)
    dlogits = (q - np.eye(10, dtype=q.dtype)[y]) / len(y)
    return -np.log(q[np.arange(len(y)), y]).mean(), backward(w, dlogits, kept)


# %%
# Training
# --------


def train(x, y, p):
    """The weights after Adam (Kingma and Ba 2015)."""
    rng, stream = np.random.default_rng(1), sd.Stream(2)  # the same start and batches for any p
    w = new_weights(rng)
    parameters = {name: nn.Parameter(value, "weight") for name, value in w.items()}
    optimizer = nn.Adam(parameters.values(), RATE, beta2=0.99)
    for _ in range(EPOCHS):
        for batch in np.split(rng.permutation(len(x)), len(x) // BATCH):
            for name, g in loss_and_gradients(w, x[batch], y[batch], p, stream)[1].items():
                parameters[name].grad[...] = g
            optimizer.step()
    return w


def error(w, x, y):
    return np.mean(forward(w, x)[0].argmax(axis=1) != y)


# %%
# Where it helps, and where it does not
# -------------------------------------
#
# With a fifth of the labels wrong, dropout lowers the test error by a third. Where all labels are
# right, this net does not overfit, and there is nothing to gain.


def main():
    """Print the errors of all nets, and return their test errors."""
    errors = {}
    print(f"errors{'labels as given':>39}{'new digits':>13}")
    for labels, wrong in (("a fifth wrong", 0.2), ("all right", 0.0)):
        given, new = digits(wrong)
        for dropout, p in (("without", 0.0), ("with", P)):
            w = train(*given, p)
            name = f"{labels}, {dropout} dropout"
            errors[labels, dropout] = error(w, *new)
            print(f"{name:30}{error(w, *given):15.1%}{errors[labels, dropout]:13.1%}")
    print(
        "\nWithout dropout the net memorizes many wrong labels; with dropout it has a lower test\n"
        "error. Where all labels are right there is nothing to gain."
    )
    return errors


def draw(errors):
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for index, ((_, dropout), value) in enumerate(errors.items()):
        at = index + (index > 1) * 0.5
        bar = axes.bar(at, 100 * value, color="C0" if dropout == "without" else "C1")
        axes.bar_label(bar, fmt="%.1f %%")
    axes.set_xticks(
        [0, 1, 2.5, 3.5], [f"{labels},\n{dropout} dropout" for labels, dropout in errors]
    )
    axes.set(ylabel="test error (%)", ylim=(0, 1.15 * 100 * max(errors.values())))


if __name__ == "__main__":
    draw(main())
    plt.show()
