"""The distribution of normal numbers."""

import math
from statistics import NormalDist

import numpy as np
import oracle

import simdrop as sd

KEY = oracle.key_from_seed(7)


def check_distribution(n, draws):
    """Kolmogorov and Smirnov's distance over cells, and the numbers beyond 0.5, 1, ... sigma."""
    edges = np.linspace(-6, 6, 4097)
    below = np.array([NormalDist().cdf(e) for e in edges])
    tails = np.arange(0.5, 6.6, 0.5)
    counts, beyond, near = np.zeros(len(edges) - 1), np.zeros((2, len(tails))), 0
    outside = 0
    for draw in range(draws):
        z = sd.GaussianNoiseContext(KEY, draw, 1, n).normals()
        counts += np.histogram(z, edges)[0]
        outside += np.count_nonzero(z < edges[0])
        beyond += [
            [np.count_nonzero(z > t) for t in tails],
            [np.count_nonzero(z < -t) for t in tails],
        ]
        near += np.count_nonzero(np.abs(z) < 1e-4)
    total = n * draws
    distance = np.abs((outside + counts.cumsum()) / total - below[1:]).max()
    assert distance * total**0.5 < 2.2  # which happens once in 8,000 times
    for side in beyond:
        for count, t in zip(side, tails, strict=True):
            mean = total * math.erfc(t / 2**0.5) / 2
            assert abs(count - mean) < 5 * mean**0.5 + 3, t
    mean = total * math.erf(1e-4 / 2**0.5)
    assert abs(near - mean) < 5 * mean**0.5
