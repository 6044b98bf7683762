# cython: language_level=3, binding=True, freethreading_compatible=True
"""StoredMask: a mask whose decisions are stored, one bit per element, instead of drawn."""

from inspect import signature
from math import prod

import numpy as np

from simdrop import _args, _indexing, _pickle
from simdrop._core import signatures
from simdrop._core.named import explained

cimport numpy as cnp

from simdrop._core.apply cimport apply_stored, delivered, indices_of, operands
from simdrop._core.args cimport checked_p
from simdrop._core.draw cimport checked_shape

cnp.import_array()

cdef enum:
    MOST_SHOWN = 32  # bytes of bits
    GATHERED = 32  # bytes that an element takes while its window is gathered; without that, one for each of the mask

arguments = signatures.arguments("StoredMask", "bits, p, shape, *, scale=True")


cdef class StoredMask:
    """
    A mask whose decisions are stored, one bit per element, instead of drawn: see ``Mask.from_keep``.

    It does what a Mask does, but was not drawn: it has no key and no draw.

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

    __signature__ = signature(arguments)

    def __init__(self, *args, **named):
        bits, p, shape, scale = arguments(*args, **named)
        if self.shape is not None:
            raise TypeError("a StoredMask cannot be changed")
        if isinstance(bits, (bytes, bytearray)):
            bits = np.frombuffer(bits, np.uint8)
        self.set_bits(bits, p, shape, scale)
        self.bits = self.bits.copy()
        if self.size % 8:
            self.bits[-1] &= (1 << self.size % 8) - 1
        self.bits.flags.writeable = False

    cdef int set_bits(self, bits, p, shape, bint scale) except -1:
        """All of it, or nothing; bits are not copied."""
        cdef Py_ssize_t size
        cdef double probability = checked_p(p)
        cdef tuple lengths = checked_shape(shape, &size)
        bits = _args.checked_bits(bits, size, lengths)
        if probability == 1 and scale and np.unpackbits(bits, count=size, bitorder="little").any():
            raise ValueError("p = 1 drops everything, but bits keep elements: pass the p that they were made with")
        self.bits, self.p, self.size, self.scaled = bits, probability, size, scale
        self.scale = 1.0 if not scale else 1 / (1 - probability) if probability < 1 else 0.0
        self.shape = lengths
        return 0

    @property
    def shared_axes(self):
        return ()

    def apply(self, x, *, out=None):
        """Dropout, ``x * scale`` where kept, exactly +0 where dropped: see `Mask.apply`."""
        given = x
        x, y = operands(given, out, self.shape, self.scaled)
        apply_stored(x, y, self.bits, self.shape, (), self.scaled, self.scale)
        return delivered(given, x, y, out)

    def backward(self, dy, *, out=None):
        """The gradient with respect to x, ``apply(dy, out=out)``: see `Mask.backward`."""
        return self.apply(dy, out=out)

    def keep(self):
        """True where an element is kept: see `Mask.keep`."""
        check_made(self)
        return np.unpackbits(self.bits, count=self.size, bitorder="little").view(np.bool_).reshape(self.shape)

    def packbits(self):
        """One bit an element in C order, as a new array: see `Mask.packbits`."""
        return self.bits.copy()

    def indices(self):
        """Flat indices of the kept elements, ascending: see `Mask.indices`."""
        return indices_of(self.bits, self.size)

    def window(self, start, shape):
        """A block of this mask, as a StoredMask of its own: see `Draw.window`."""
        check_made(self)
        corner, lengths = _args.checked_block(start, shape, self.shape)
        if prod(lengths) >= self.size // GATHERED:
            block = self.keep()[tuple([slice(i, i + n) for i, n in zip(corner, lengths)])]
        else:
            block = self._gathered(corner, lengths)
        return StoredMask(np.packbits(block, bitorder="little"), self.p, lengths, scale=self.scaled)

    def _gathered(self, start, shape):
        """Which elements of a block are kept, each read by itself: of a small part of a large mask."""
        numbers = np.zeros(shape, np.int64)
        step = 1
        for axis in range(len(shape) - 1, -1, -1):
            along = (np.arange(shape[axis]) + start[axis]) * step
            numbers += along.reshape((-1,) + (1,) * (len(shape) - 1 - axis))
            step *= self.shape[axis]
        return (self.bits[numbers >> 3] >> (numbers & 7).astype(np.uint8)) & 1

    def __getitem__(self, index):
        """Which elements of a part are kept, ``mask.keep()[index]``: see `Mask.__getitem__`."""
        check_made(self)
        return _indexing.kept(self, index)

    def __iter__(self):
        raise TypeError(f"a {type(self).__name__} cannot be iterated over: iterate over its keep()")

    def _repr_html_(self):
        from simdrop import _html  # in a notebook alone

        check_made(self)
        return _html.of_mask(self)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("a StoredMask holds bits, so np.asarray needs to make an array: copy=False is impossible")
        keep = self.keep()
        return keep if dtype is None else keep.astype(dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _args.refuse_ufunc(self, ufunc)

    def _values(self):
        return self.bits.tobytes(), self.p, self.shape, self.scaled

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __reduce__(self):
        bits, p, shape, scale = self._values()
        return _pickle.restore, ("StoredMask", {"bits": bits, "p": p, "shape": shape, "scale": scale})

    def __repr__(self):
        bits = f"bytes.fromhex('{self.bits.tobytes().hex()}')"
        if len(self.bits) > MOST_SHOWN:
            bits = f"<{len(self.bits)} bytes>"
        scale = "" if self.scaled else ", scale=False"
        return f"StoredMask({bits}, p={self.p}, shape={self.shape}{scale})"


_pickle.classes["StoredMask"] = StoredMask


cdef int check_made(StoredMask mask) except -1:
    if mask.shape is None:
        raise TypeError(f"this {type(mask).__name__} was never initialised")
    return 0


@explained
def apply_packed(x, bits, p=0.5, *, scale=True, out=None):
    """
    Apply a mask of any origin that is given as one bit per element.

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
        As `StoredMask` and `Mask.apply`; nothing is written then.

    Examples
    --------
    >>> simdrop.apply_packed(np.array([1.0, 2.0, 3.0]), np.array([0b101], np.uint8))
    array([2., 0., 6.])
    """
    cdef StoredMask mask = StoredMask.__new__(StoredMask)
    given = x
    if not cnp.PyArray_CheckExact(x):
        x = _args.base(x)
    mask.set_bits(bits, p, x.shape, scale)
    memory = out if out is None or cnp.PyArray_Check(out) else _args.checked_out(out, x)
    if memory is not None and np.may_share_memory(memory, mask.bits):
        mask.bits = mask.bits.copy()
    return delivered(given, x, mask.apply(x, out=out), out)
