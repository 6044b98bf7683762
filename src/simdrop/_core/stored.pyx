# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""PackedMask: a mask that is stored, a bit an element, instead of drawn."""

import numpy as np

from simdrop import _arrays
from simdrop._core import signatures
from simdrop._core.mask import restore_packed

cimport numpy as cnp

from simdrop._core.args cimport bytes_of_bits, checked_p
from simdrop._core.mask cimport Mask

cnp.import_array()


cdef class PackedMask(Mask):
    """
    A mask that is stored, a bit an element, instead of drawn: what ``Mask.from_keep`` gives.

    It has all that a Mask has, but a key and a draw.

    Parameters
    ----------
    bits : bytes or ndarray of uint8
        ``(size + 7) // 8`` of them, as ``Mask.packbits`` gives them: the first element, in the C order of `shape`, is the
        lowest bit of the first byte; set where it is kept. Bits after the last element are ignored.
    p : float
        The probability of dropping that it was made with, for the scale.
    shape : int or tuple of ints
        Shape of the arrays that it is applied to.
    scale : bool, optional
        Whether kept elements are multiplied by ``1 / (1 - p)``.

    Attributes
    ----------
    p, shape, size, scale, scaled
        As a Mask's.
    shared_axes : tuple
        Empty.

    Raises
    ------
    TypeError
        If one of them has the wrong type.
    ValueError
        If there are more or fewer bytes, p is not in [0, 1], or p is 1 though elements are kept and scaled.

    Examples
    --------
    >>> mask = simdrop.Mask.from_keep([True, False, True], p=0.5)
    >>> mask.apply(np.array([1.0, 2.0, 3.0]))
    array([2., 0., 6.])
    """

    cdef object bits  # uint8

    __signature__ = signatures.shown(signatures.PackedMask)

    def __init__(self, *args, **named):
        bits, p, shape, scale = signatures.PackedMask(*args, **named)
        if self.shape is not None:
            raise TypeError("a Mask cannot be changed")
        if isinstance(bits, (bytes, bytearray)):
            bits = np.frombuffer(bits, np.uint8)
        self.set_bits(bits, p, shape, scale)
        self.bits = self.bits.copy()
        if self.size % 8:
            self.bits[-1] &= (1 << self.size % 8) - 1
        self.bits.flags.writeable = False

    cdef int set_bits(self, bits, p, shape, bint scale) except -1:
        """All of it, or nothing; bits are not copied."""
        cdef Mask form = Mask.__new__(Mask)  # refuses what no mask takes
        checked_p(p)
        form.set_form(p, shape, (), scale)
        if not isinstance(bits, np.ndarray) or bits.dtype != np.uint8:
            given = f"an array of {bits.dtype}" if isinstance(bits, np.ndarray) else type(bits).__name__
            raise TypeError(f"bits must be an array of uint8, as packbits gives it, not {given}")
        packed = _arrays.base(bits)
        wanted = (bytes_of_bits(form.size),)
        if packed.shape != wanted:
            raise ValueError(f"bits have shape {packed.shape}, but a mask of shape {form.shape} has {wanted}")
        if form.probability == 1 and scale and np.unpackbits(packed, count=form.size, bitorder="little").any():
            raise ValueError("p = 1 drops everything, but bits keep elements: pass the p that they were made with")
        self.bits = np.ascontiguousarray(packed)
        self.set_form(p, form.shape, (), scale)
        self.direct = self.in_order = False
        return 0

    cdef stored_bits(self):
        return self.bits

    @property
    def key(self):
        """A PackedMask was not drawn: AttributeError."""
        raise AttributeError("a PackedMask was not drawn and has no key")

    @property
    def draw(self):
        """A PackedMask was not drawn: AttributeError."""
        raise AttributeError("a PackedMask was not drawn and has no draw")

    def _keep_flat(self, start, stop):
        return self.keep().reshape(-1)[start:stop]

    def packbits(self):
        """One bit an element in C order, as a new array: see `Mask.packbits`."""
        return self.bits.copy()

    def window(self, start, shape):
        """A block of this mask, as a PackedMask of its own: see `Mask.window`."""
        corner, lengths = _arrays.checked_block(start, shape, self.shape)
        block = tuple([slice(i, i + n) for i, n in zip(corner, lengths)])
        return Mask.from_keep(self.keep()[block], self.probability, scale=self.scaled)

    def _numbers(self):
        return self.bits.tobytes(), self.probability, self.shape, self.scaled

    def __reduce__(self):
        return restore_packed, (self.bits.tobytes(), self.probability, self.shape, self.scaled)

    def __repr__(self):
        scale = "" if self.scaled else ", scale=False"
        hexadecimal = self.bits[:1024].tobytes().hex() + ("..." if len(self.bits) > 1024 else "")
        return f"PackedMask(bytes.fromhex('{hexadecimal}'), p={self.probability}, shape={self.shape}{scale})"


def apply_packed(x, bits, p=0.5, *, scale=True, out=None):
    """
    Apply a mask that was stored, or came from elsewhere, as one bit an element.

    Parameters
    ----------
    x : array_like
        Any shape, type and layout that `Mask.apply` takes.
    bits : ndarray of uint8
        ``(x.size + 7) // 8`` of them, as ``Mask.packbits`` or ``np.packbits(keep, bitorder="little")`` gives them: the
        first element of x, in C order, is the lowest bit of the first byte; set where it is kept.
    p : float, optional
        The probability of dropping that the mask was made with, for the scale.
    scale : bool, optional
        Whether kept elements are multiplied by ``1 / (1 - p)``.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself.

    Returns
    -------
    ndarray
        ``x * scale`` where the bit is set, exactly +0 elsewhere.

    Raises
    ------
    TypeError, ValueError
        As `PackedMask` and `Mask.apply`; nothing is written then.

    Examples
    --------
    >>> simdrop.apply_packed(np.array([1.0, 2.0, 3.0]), np.array([0b101], np.uint8))
    array([2., 0., 6.])
    """
    cdef PackedMask mask = PackedMask.__new__(PackedMask)
    if not cnp.PyArray_CheckExact(x):
        x = _arrays.base(x)
    mask.set_bits(bits, p, x.shape, scale)
    if isinstance(out, np.ndarray) and np.may_share_memory(out, mask.bits):
        mask.bits = mask.bits.copy()
    return mask.apply(x, out=out)
