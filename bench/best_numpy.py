"""The fastest dropout in plain NumPy that was found, with p exact to 2^-16."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Elements in a step: the bits and the mask made of them stay in the L2 cache. 16,384 and 131,072
# elements are slower.
STEP = 65_536


class BestNumpy:
    """
    Inverted dropout of flat arrays of one length, with buffers made once.

    Tried, in ns per float32 at 65,536 elements on one core of a Xeon with AVX-512, where
    np.multiply(x, mask, out=y) took 0.17:

    - drawing 16 bits an element: SFC64 random_raw 0.32; Generator.integers of uint64 0.38, of
      uint16 0.89; Generator.bytes 0.98; Generator.random of float32 1.65.
    - applying them: bool * scale, then x * that 0.34; x * bool, then scale 0.37; np.where 1.05;
      np.putmask 1.0; np.copyto(where=) 1.6 to 4; np.multiply(where=) 2.1.
    - in all at p = 0.1, 16 bits an element 0.72; eight bits, and a second draw for the 1 in 256
      that they leave undecided 0.85; sixteen packed planes of bits, combined by & and | (Horner's
      scheme for p in base 2) 0.84.
    - at p = 0.5, where one plane decides, a table of the 8 factors of each byte 0.33.
    """

    def __init__(self, n: int, dtype: str, p: float) -> None:
        self.n = n
        self.one_bit = p == 0.5
        self.bits = np.random.SFC64(0)
        self.scale = np.dtype(dtype).type(1 / (1 - p))
        self.threshold = np.uint16(round(p * 2**16))
        bytes_of_bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self.table = bytes_of_bits * self.scale
        # What backward needs: a bit or bool per element, and the factors if there is one step only.
        self.packed = np.zeros(-(-n // 64), np.uint64)
        self.keep = np.zeros(n, np.bool_)
        self.factors = np.zeros(-(-min(n, STEP) // 8) * 8, dtype)

    def forward(self, x: np.ndarray, y: np.ndarray) -> None:
        """Draw a new mask and write x times it to y."""
        for part in self.parts():
            self.draw(part)
            np.multiply(x[part], self.expand(part), out=y[part])

    def backward(self, dy: np.ndarray, dx: np.ndarray) -> None:
        """Write dy times the mask of the last forward to dx."""
        for part in self.parts():
            factors = self.expand(part) if self.n > STEP else self.factors[: self.n]
            np.multiply(dy[part], factors, out=dx[part])

    def parts(self) -> Iterator[slice]:
        """The steps through the arrays."""
        return (slice(i, min(i + STEP, self.n)) for i in range(0, self.n, STEP))

    def draw(self, part: slice) -> None:
        """Decide which elements of a part are kept."""
        n = part.stop - part.start
        if self.one_bit:
            words = slice(part.start // 64, -(-part.stop // 64))
            self.packed[words] = self.bits.random_raw(-(-n // 64))
        else:
            uniforms = self.bits.random_raw(-(-n // 4)).view(np.uint16)[:n]
            np.greater_equal(uniforms, self.threshold, out=self.keep[part])

    def expand(self, part: slice) -> np.ndarray:
        """The factors of a part's elements: scale where kept, else 0."""
        n = part.stop - part.start
        if self.one_bit:
            packed = self.packed.view(np.uint8)[part.start // 8 : -(-part.stop // 8)]
            rows = self.factors[: packed.size * 8].reshape(-1, 8)
            np.take(self.table, packed, axis=0, out=rows, mode="clip")  # mode="raise" copies
        else:
            np.multiply(self.keep[part], self.scale, out=self.factors[:n])
        return self.factors[:n]
