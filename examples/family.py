"""
The family on a photograph
==========================

What each transform drops is easiest to see on a picture. Kept elements are not scaled here
(``scale=False``), so that their colours stay what they are; in training they would be multiplied by
``1 / (1 - p)``. All decisions are draws of one stream, and so the same on every machine.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import simdrop as sd

stream = sd.Stream(0)
flower, china = (
    load_sample_image(name)[20:400:2, 60:600:2].astype(np.float32) / 255
    for name in ("flower.jpg", "china.jpg")
)  # (height, width, channels), in [0, 1]


def show(axes, image, title):
    axes.imshow(image.clip(0, 1))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def panels(rows, columns, height):
    figure, axes = plt.subplots(rows, columns, figsize=(9, height), layout="constrained")
    return axes.flat


# %%
# Elements and what they share
# ----------------------------
#
# ``shared_axes`` are the axes along which one decision holds: with the channels, a pixel is dropped
# in all colours; with rows and columns, a whole channel is dropped.

axes = panels(2, 2, 7)
show(axes[0], flower, "the photograph")
y, _ = sd.dropout(flower, 0.5, rng=stream, scale=False)
show(axes[1], y, "dropout(x, 0.5): each colour of each pixel")
y, _ = sd.dropout(flower, 0.5, rng=stream, shared_axes=2, scale=False)
show(axes[2], y, "shared_axes=2: pixels")
y, _ = sd.dropout(flower, 0.5, rng=stream, shared_axes=(0, 1), scale=False)
colours = np.array(["red", "green", "blue"])
gone = colours[~y.any(axis=(0, 1))]
show(axes[3], y, f"shared_axes=(0, 1): channels, here without {' and '.join(gone)}")

# %%
# Blocks
# ------
#
# Neighbouring pixels are alike, so a net fills in single missing ones from next to them. DropBlock
# drops squares. Their number is drawn so that about a fraction p is missing; overlaps make it less.

axes = panels(1, 2, 3.4)
nchw = flower.transpose(2, 0, 1)[None]
for one, (p, size) in zip(axes, [(0.2, 9), (0.3, 41)], strict=True):
    y, _ = sd.drop_block(nchw, p, size, rng=stream, shared_axes=1, scale=False)
    show(one, y[0].transpose(1, 2, 0), f"drop_block(x, {p}, {size})")

# %%
# Samples
# -------
#
# Stochastic depth drops whole samples of a batch. On a residual branch this means that these
# samples skip the branch, and the layer does nothing to them.

batch = np.stack([flower[::2, ::2]] * 6)
y, _ = sd.drop_path(batch, 0.3, rng=stream, scale=False)
for number, (one, image) in enumerate(zip(panels(2, 3, 4.4), y, strict=True)):
    show(one, image, f"drop_path(x, 0.3): sample {number}")

# %%
# Noise
# -----
#
# Gaussian dropout multiplies by ``1 + z sqrt(p / (1 - p))``, Gaussian noise adds ``std z``. Alpha
# dropout sets dropped elements to a negative value, and then shifts and scales everything so that
# mean and variance stay; it is meant for activations with mean 0 and variance 1, to which the
# photograph is brought first.

axes = panels(2, 2, 7)
show(axes[0], flower, "the photograph")
y, _ = sd.gaussian_dropout(flower, 0.1, rng=stream)
show(axes[1], y, "gaussian_dropout(x, 0.1)")
y, _ = sd.gaussian_noise(flower, 0.15, rng=stream)
show(axes[2], y, "gaussian_noise(x, 0.15)")
mean, std = flower.mean(), flower.std()
y, _ = sd.alpha_dropout((flower - mean) / std, 0.1, rng=stream)
show(axes[3], y * std + mean, "alpha_dropout(x, 0.1), normalized")

# %%
# Zoneout
# -------
#
# Zoneout keeps the previous state of a unit instead of dropping it. Here the previous state is
# another photograph. At inference the two are mixed in the proportion p.

axes = panels(1, 2, 3.4)
y, _ = sd.zoneout(china, flower, 0.3, rng=stream)
show(axes[0], y, "zoneout(h_prev, h, 0.3): training")
y, _ = sd.zoneout(china, flower, 0.3, training=False)
show(axes[1], y, "zoneout(h_prev, h, 0.3): inference")

# %%
# Sequences
# ---------
#
# A recurrent net needs its memory. With a mask of its own at each time step, every unit is soon
# erased; locked dropout drops the same units at all steps.

states = np.ones((40, 1, 60), np.float32)  # (time, batch, units)
axes = panels(1, 2, 3.6)
for one, function in zip(axes, (sd.dropout, sd.locked_dropout), strict=True):
    y, _ = function(states, 0.3, rng=stream, scale=False)
    one.imshow(y[:, 0], cmap="Blues", vmin=0, vmax=1.4)
    one.set(title=f"{function.__name__}(x, 0.3)", xlabel="unit", ylabel="time step")

# %%
# Words
# -----
#
# Embedding dropout drops rows of the embedding, so that a word is missing wherever it occurs in the
# text. Below, the words that are dropped are pale.

text = "the cat saw the dog and the dog saw the bird while the bird saw nothing at all".split()
vocabulary = sorted(set(text))
embedding = np.ones((len(vocabulary), 8), np.float32)
numbers = np.searchsorted(vocabulary, text)
y, _ = sd.embedding_dropout(embedding, 0.5, indices=numbers, rng=stream)

figure, axes = plt.subplots(figsize=(9, 1.1), layout="constrained")
axes.set_axis_off()
at = 0.0
for word, vector in zip(text, y, strict=True):
    colour = "black" if vector.any() else "lightgray"
    axes.text(at, 0.5, word, fontsize=12, family="monospace", color=colour)
    at += len(word) + 1
axes.set(xlim=(0, at), ylim=(0, 1))

# %%
# Weights
# -------
#
# DropConnect drops weights instead of units: one mask for a batch, or one for each sample. A
# dropped unit is a dropped column of weights.

weights = np.ones((24, 40), np.float32)
axes = panels(1, 2, 3.2)
y, _ = sd.drop_connect(weights, 0.3, rng=stream, scale=False)
axes[0].imshow(y, cmap="Blues", vmin=0, vmax=1.4)
axes[0].set(title="drop_connect(W, 0.3)", xlabel="output", ylabel="input")
units = stream.mask((1, 40), 0.3, scale=False)
axes[1].imshow(np.where(units.keep(), weights, 0), cmap="Blues", vmin=0, vmax=1.4)
axes[1].set(title="dropout of the outputs, for comparison", xlabel="output", ylabel="input")

plt.show()
