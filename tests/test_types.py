"""Types as checkers see them: mypy checks each `assert_type`, pytest that it is so at run time.

Results have the dtype of the array that was given; of what is no array, nothing is known.
"""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import simdrop as sd
from simdrop import fused, submatrix

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Complex = NDArray[np.complex64]
Unknown = NDArray[Any]

x16: Float16 = np.ones((4, 6), np.float16)
x: Float32 = np.ones((4, 6), np.float32)
x64: Float64 = np.ones((4, 6))
z: Complex = np.ones((4, 6), np.complex64)
n: NDArray[np.int8] = np.ones((4, 6), np.int8)
listed = [[1.0, 2.0], [3.0, 4.0]]


def check(array: object, dtype: object) -> None:
    assert isinstance(array, np.ndarray) and array.dtype == dtype


def test_dropout() -> None:
    y, mask = sd.dropout(x)
    assert_type(y, Float32)
    assert_type(mask, sd.Mask)
    check(y, np.float32)
    check(assert_type(sd.dropout(x16, 0.5, rng=0)[0], Float16), np.float16)
    check(assert_type(sd.dropout(z, training=False)[0], Complex), np.complex64)
    check(assert_type(sd.dropout(n, scale=False)[0], NDArray[np.int8]), np.int8)
    check(assert_type(sd.dropout(x64, np.full((4, 1), 0.5))[0], Float64), np.float64)
    check(assert_type(sd.dropout(x, out=x.copy())[0], Float32), np.float32)
    check(assert_type(sd.dropout(listed)[0], Unknown), np.float64)
    check(assert_type(sd.dropout(1.0)[0], Unknown), np.float64)
    check(assert_type(sd.dropout_backward(x64, mask), Float64), np.float64)
    check(assert_type(sd.dropout_backward(x, mask, out=x.copy()), Float32), np.float32)


def test_masks() -> None:
    mask = sd.Stream(0).mask((4, 6))
    stored = assert_type(sd.Mask.from_keep(mask.keep()), sd.StoredMask)
    check(assert_type(mask.apply(x16), Float16), np.float16)
    check(assert_type(mask.backward(x, out=x.copy()), Float32), np.float32)
    check(assert_type(stored.apply(z), Complex), np.complex64)
    check(assert_type(stored.backward(x), Float32), np.float32)
    check(assert_type(sd.Mask.from_keep([True, False]).apply([1.0, 2.0]), Unknown), np.float64)
    check(assert_type(sd.apply_packed(x, mask.packbits()), Float32), np.float32)
    assert_type(mask.keep(), NDArray[np.bool_])
    assert_type(mask.packbits(), NDArray[np.uint8])
    assert_type(mask.indices(), NDArray[np.intp])


def test_noise() -> None:
    y, gaussian = sd.gaussian_dropout(x)
    check(assert_type(y, Float32), np.float32)
    check(assert_type(gaussian.apply(x64), Float64), np.float64)
    check(assert_type(gaussian.backward(x), Float32), np.float32)
    y16, noise = sd.gaussian_noise(x16, 1)
    check(assert_type(y16, Float16), np.float16)
    check(assert_type(noise.backward(x), Float32), np.float32)
    y64, alpha = sd.alpha_dropout(x64)
    check(assert_type(y64, Float64), np.float64)
    check(assert_type(alpha.apply(x), Float32), np.float32)
    check(assert_type(alpha.backward(x), Float32), np.float32)
    check(assert_type(sd.alpha_dropout(listed)[0], Unknown), np.float64)


def test_fused() -> None:
    bias: Float32 = np.zeros(6, np.float32)
    y, biased = fused.bias_dropout(x, bias, activation="gelu")
    check(assert_type(y, Float32), np.float32)
    dx, dbias = biased.backward(x)
    check(assert_type(dx, Float32), np.float32)
    check(assert_type(dbias, Float32), np.float32)
    y64, added = fused.dropout_add(x64, x64, out=x64.copy())
    check(assert_type(y64, Float64), np.float64)
    assert_type(added.backward(x64, out=(None, None)), tuple[Float64, Float64])
    rectified, relu = fused.relu_dropout(x)
    check(assert_type(rectified, Float32), np.float32)
    check(assert_type(relu.backward(x), Float32), np.float32)
    check(assert_type(fused.relu_dropout(listed)[0], Unknown), np.float64)
    check(assert_type(fused.relu_dropout(x16)[0], Float16), np.float16)


def test_structured() -> None:
    check(assert_type(sd.drop_path(x, 0.5)[0], Float32), np.float32)
    y, blocks = sd.drop_block(x16, 0.5, 2)
    check(assert_type(y, Float16), np.float16)
    check(assert_type(blocks.apply(x), Float32), np.float32)
    check(assert_type(blocks.backward(x), Float32), np.float32)
    assert_type(sd.embedding_dropout(x, 0.5), tuple[Float32, sd.Mask])
    assert_type(sd.embedding_dropout(listed, 0.5), tuple[Unknown, sd.Mask])
    looked_up, words = sd.embedding_dropout(x, 0.5, indices=[1, 0])
    check(assert_type(looked_up, Float32), np.float32)
    assert_type(words, sd.EmbeddingDropoutContext)
    check(assert_type(words.backward(x64[:2]), Float64), np.float64)
    assert_type(sd.embedding_dropout(listed, 0.5, indices=[1])[1], sd.EmbeddingDropoutContext)


def test_weights_and_states() -> None:
    check(assert_type(sd.drop_connect(x, 0.5)[0], Float32), np.float32)
    y, product = sd.drop_connect_matmul(x, x.T, 0.5)
    check(assert_type(y, Float32), np.float32)
    assert_type(product.backward(y), tuple[Float32, Float32])
    check(assert_type(sd.locked_dropout(x16, 0.5)[0], Float16), np.float16)
    state, zones = sd.zoneout(x, x, 0.5)
    check(assert_type(state, Float32), np.float32)
    assert_type(zones.backward(x64), tuple[Float64, Float64])
    check(assert_type(submatrix.gather(x), Float32), np.float32)
