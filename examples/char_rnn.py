"""
A recurrent net with locked dropout and zoneout
===============================================

A gated recurrent unit (Cho et al. 2014) predicts the next character of a text, with backpropagation
through time by hand. The text comes from a small grammar, so that the smallest possible number of
bits per character is known.
"""

import re

import matplotlib.pyplot as plt
import numpy as np

import simdrop as sd
from simdrop import nn

HIDDEN, STEPS, BATCH, EPOCHS, RATE = 128, 32, 16, 30, 6e-3
P, P_ZONEOUT = 0.5, 0.1
ALPHABET = sorted("abcdefghijklmnopqrstuvwxyz .")
GRAMMAR = {
    "sentence": ["{one} {verb}s {any}. ", "{several} {verb} {any}. "],
    "any": ["{one}", "{several}"],
    "one": ["the {kind}{noun}", "a {kind}{noun}"],
    "several": ["the {kind}{noun}s", "some {kind}{noun}s"],
    "kind": ["", "{adjective} "],
    "adjective": "brave clever gentle happy hungry lonely proud quiet small tired".split(),
    "noun": "bird cat cook dog duck friend goat horse king lion monkey nurse pilot queen".split(),
    "verb": "call chase fear feed find follow help know like meet see trust".split(),
}


def text(length, seed):
    """At least `length` characters of random sentences, and the mean bits of choice in each."""
    rng, bits = np.random.default_rng(seed), 0.0

    def expand(symbol):
        nonlocal bits
        choices = GRAMMAR[symbol]
        bits += np.log2(len(choices))
        return re.sub(r"{(\w+)}", lambda found: expand(found[1]), rng.choice(choices))

    written = ""
    while len(written) < length:
        written += expand("sentence")
    return written, bits / len(written)


def side_by_side(written):
    """A text's parts as numbers (L, BATCH), and the characters that follow each (L, BATCH)."""
    numbers = np.searchsorted(ALPHABET, list(written))
    length = (len(numbers) - 1) // BATCH
    x, following = numbers[: BATCH * length], numbers[1 : BATCH * length + 1]
    return x.reshape(BATCH, length).T, following.reshape(BATCH, length).T


# %%
# Forward and backward
# --------------------
#
# `simdrop.zoneout` is called in each time step, `simdrop.locked_dropout` once for all states.


def new_weights(rng, hidden, dtype=np.float32):
    def normal(rows, columns):
        return rng.normal(0, rows**-0.5, (rows, columns)).astype(dtype)

    return {
        "inputs": normal(len(ALPHABET), 3 * hidden),  # to reset gate, update gate, candidate
        "bias": np.zeros(3 * hidden, dtype),
        "gates": normal(hidden, 2 * hidden),
        "candidate": normal(hidden, hidden),
        "out": normal(hidden, len(ALPHABET)),
        "out_bias": np.zeros(len(ALPHABET), dtype),
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(w, x, h, p, p_zoneout, rng=None, training=False):
    """Probabilities (T, B, characters) of what follows x (T, B), and what `backward` needs.

    A unit of the state h (B, H) keeps its value with probability `p_zoneout`, at each step by
    itself; the output drops the same units at all steps, with probability p.
    """
    H = h.shape[1]
    inputs = w["inputs"][x] + w["bias"]  # (T, B, 3 H)
    states, steps = [h], []
    for a in inputs:
        gates = sigmoid(a[:, : 2 * H] + h @ w["gates"])
        reset, update = gates[:, :H], gates[:, H:]
        candidate = np.tanh(a[:, 2 * H :] + (reset * h) @ w["candidate"])
        new = update * h + (1 - update) * candidate
        h, zoneout = sd.zoneout(h, new, p_zoneout, rng=rng, training=training)
        states.append(h)
        steps.append((reset, update, candidate, zoneout))
    states = np.array(states)  # (T + 1, B, H)
    out, mask = sd.locked_dropout(states[1:], p, rng=rng, training=training)
    logits = out @ w["out"] + w["out_bias"]
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True), (x, states, steps, out, mask)


def backward(w, q, y, kept):
    """Gradients of the mean cross-entropy (in nats) with respect to the weights."""

    def product(a, b):  # (T, B, m), (T, B, n) -> (m, n)
        return a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])

    x, states, steps, out, mask = kept
    one_hot = np.eye(q.shape[-1], dtype=q.dtype)
    dlogits = (q - one_hot[y]) / y.size
    dout = mask.backward(dlogits @ w["out"].T)  # (T, B, H)
    da, dh = [], 0
    for t in reversed(range(len(x))):
        h, (reset, update, candidate, zoneout) = states[t], steps[t]
        dh, dnew = zoneout.backward(dh + dout[t])
        dcandidate = dnew * (1 - update) * (1 - candidate**2)
        dreset_h = dcandidate @ w["candidate"].T
        dreset = dreset_h * h * reset * (1 - reset)
        dupdate = dnew * (h - candidate) * update * (1 - update)
        dgates = np.concatenate([dreset, dupdate], axis=1)
        dh += dnew * update + dreset_h * reset + dgates @ w["gates"].T
        da.append(np.concatenate([dgates, dcandidate], axis=1))
    da, h = np.array(da[::-1]), states[:-1]
    resets, H = np.array([step[0] for step in steps]), h.shape[-1]
    return {
        "inputs": product(one_hot[x], da),
        "bias": da.sum(axis=(0, 1)),
        "gates": product(h, da[..., : 2 * H]),
        "candidate": product(resets * h, da[..., 2 * H :]),
        "out": product(out, dlogits),
        "out_bias": dlogits.sum(axis=(0, 1)),
    }


# %%
# Training
# --------


def train(x, y, p, p_zoneout):
    """The weights after Adam (Kingma and Ba 2015), with gradients clipped to norm 1."""
    rng, stream = np.random.default_rng(1), sd.Stream(2)
    w = new_weights(rng, HIDDEN)
    parameters = {name: nn.Parameter(value, "weight") for name, value in w.items()}
    optimizer = nn.Adam(parameters.values(), RATE, beta2=0.99)
    for _ in range(EPOCHS):
        h = np.zeros((BATCH, HIDDEN), np.float32)
        for start in range(rng.integers(STEPS), len(x) - STEPS + 1, STEPS):
            now = slice(start, start + STEPS)
            q, kept = forward(w, x[now], h, p, p_zoneout, stream, training=True)
            gradients = backward(w, q, y[now], kept)
            h = kept[1][-1]  # the next steps continue from here
            norm = np.sqrt(sum(np.vdot(g, g) for g in gradients.values()))
            for name, g in gradients.items():
                parameters[name].grad[...] = g / max(norm, 1)
            optimizer.step()
    return w


def bits(w, x, y, p_zoneout):
    """Mean bits per character with nothing dropped: zoneout is replaced by its mean."""
    q, _ = forward(w, x, np.zeros((BATCH, HIDDEN), np.float32), 0, p_zoneout)
    return -np.log2(np.take_along_axis(q, y[..., None], axis=-1)).mean()


# %%
# How well it predicts
# --------------------
#
# The best possible result is known: the bits of choice that the grammar leaves.


def main():
    """Print the bits per character, and return them by the net's name."""
    written, _ = text(8_000, seed=0)
    another, least = text(10_000, seed=1)
    seen, new = side_by_side(written), side_by_side(another)
    found = {}
    print(f"bits per character         {'training text':>16}{'new text':>11}")
    for name, *p in (
        ("without dropout", 0.0, 0.0),
        ("locked dropout", P, 0.0),
        ("locked dropout, zoneout", P, P_ZONEOUT),
    ):
        w = train(*seen, *p)
        found[name] = bits(w, *seen, p[1]), bits(w, *new, p[1])
        print(f"{name:27}{found[name][0]:16.3f}{found[name][1]:11.3f}")
    found["knowing the grammar"] = None, least
    print(f"{'knowing the grammar':27}{'':16}{least:11.3f}")
    print(
        "\nWithout dropout the net memorizes sentences, and predicts new ones less well; "
        "locked dropout\nand zoneout bring it closer to what the grammar allows."
    )
    return found


def draw(found):
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    *nets, grammar = found
    at = np.arange(len(nets))
    for offset, index, label in ((-0.2, 0, "training text"), (0.2, 1, "new text")):
        bars = axes.bar(at + offset, [found[name][index] for name in nets], 0.4, label=label)
        axes.bar_label(bars, fmt="%.2f")
    axes.axhline(found[grammar][1], color="black", linestyle="--", linewidth=1, label=grammar)
    axes.set_xticks(at, nets)
    axes.set(ylabel="bits per character", ylim=(0, 1.25))
    axes.legend(frameon=False, ncols=3, loc="upper right")


if __name__ == "__main__":
    draw(main())
    plt.show()
