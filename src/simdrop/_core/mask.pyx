# cython: language_level=3, binding=True, freethreading_compatible=True
"""Mask: which elements are dropped, as a few numbers: a draw and a probability."""

from inspect import signature
from math import prod

import numpy as np

from simdrop import _args, _arrays, _indexing, _pickle
from simdrop._core import signatures
from simdrop._core.named import explained

cimport cython
cimport numpy as cnp
from libc.stdint cimport uint8_t

from simdrop cimport SIMDROP_MAX_AXES, simdrop_axis
from simdrop._core.apply cimport apply_drawn, apply_stored, delivered, indices_of, operands
from simdrop._core.args cimport bytes_of_bits, checked_p, is_array_p
from simdrop._core.draw cimport Draw, checked_axes, checked_shape, decided_shape
from simdrop._core.kernels cimport kernels, set_p
from simdrop._core.stored cimport StoredMask

cnp.import_array()

arguments = signatures.arguments("Mask", "key, draw, p, shape, *, shared_axes=(), scale=True")


@cython.no_gc  # as Draw
cdef class Mask(Draw):
    """
    Which elements of an array are dropped, as a few numbers instead of an array.

    Element `e` (its flat index in C order) is dropped iff ``U_e < p``, where ``U_e`` is its uniform in stream version
    1: bytes of AES-128 counter keystream as digits in base 256. The same numbers give the same mask on every machine.
    A Mask is immutable, hashable, comparable and pickles. ``np.asarray(mask)`` is ``mask.keep()``.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw, in [0, 2**56).
    p : float or ndarray
        Probability of dropping an element, in [0, 1]. An array that broadcasts against the shape, with the shared axes
        1, gives each decision its own: shape (n, 1, 1) each of n samples, (1, m) each of m units.
    shape : int or tuple of ints
        Shape of the arrays that it is applied to.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared; the decision's index is the one in the shape with these axes 1.
    scale : bool, optional
        Whether kept elements are multiplied by ``1 / (1 - p)`` (inverted dropout).

    Attributes
    ----------
    key, draw, p, shape, shared_axes
        As given; the axes ascending and not negative, an array p as read-only float64.
    size : int
        Number of elements.
    scale : float or ndarray
        What kept elements are multiplied by: ``1 / (1 - p)``, 0.0 at ``p=1``, and 1.0 with ``scale=False``.
    scaled : bool
        The parameter `scale`.
    start : tuple of ints
        Index of the first element in the mask that this is a window of; zeros in any other.

    Raises
    ------
    ValueError
        If p, draw, the key's length, the shape or an axis is out of range, or an array p does not broadcast.
    TypeError
        If one of them has the wrong type.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting"; Salmon et al. (2011),
    "Parallel random numbers: as easy as 1, 2, 3" (AES as a counter-based generator).

    Examples
    --------
    >>> mask = simdrop.Stream(0).mask((2, 4), p=0.5)
    >>> mask.apply(np.ones((2, 4)))
    array([[0., 2., 2., 0.],
           [0., 0., 2., 2.]])
    """

    __signature__ = signature(arguments)
    _kind = "Mask"

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes, scale = arguments(*args, **named)
        self.set_address(key, draw)
        self.set_form(p, shape, shared_axes, scale)

    cdef int set_form(self, p, shape, shared_axes, bint scale) except -1:
        """Everything but the address, or nothing: all is checked before the first attribute is set."""
        cdef Py_ssize_t size
        cdef bint each = type(p) is not float and is_array_p(p)
        cdef double probability = 0 if each else checked_p(p)
        cdef tuple lengths = checked_shape(shape, &size)
        cdef tuple axes = checked_axes(shared_axes, lengths)
        if each:
            self.p_array = _args.probabilities_for(p, lengths, decided_shape(lengths, axes))
        self.scaled = scale
        self.set_probability(probability)
        return self.set_shape(lengths, axes, size)

    cdef int set_probability(self, double probability) except -1:
        """One for all elements, unless they have an array."""
        self.direct = self.p_array is None
        self.probability = probability if self.direct else self.p_array.max(initial=0.0)
        self.factor = 1.0 if not (self.scaled and self.direct) else 1 / (1 - probability) if probability < 1 else 0.0
        set_p(&self.rule, probability)
        return 0

    cdef int keep_all(self) except -1:
        """Become the mask of evaluation, which drops nothing."""
        self.p_array = None
        return self.set_probability(0)

    @property
    def p(self):
        """The probability of dropping an element; an array of them, read-only, if one was given."""
        return self.probability if self.p_array is None else self.p_array

    @property
    def scale(self):
        """What kept elements are multiplied by; an array if p is one, unless with ``scale=False``."""
        if self.p_array is None or not self.scaled:
            return self.factor
        return _arrays.factors(self.p_array)

    def apply(self, x, *, out=None):
        """
        Dropout: ``x * scale`` where kept, exactly +0 where dropped (NaN and infinity too).

        Parameters
        ----------
        x : array_like
            Of the mask's shape, in any layout and byte order: float16, bfloat16, float32, float64, complex64 or
            complex128, and with ``scale=False`` any type of fixed size up to 16 bytes.
        out : ndarray, optional
            Where to write the result; of x's shape and type. May be x itself or overlap it.

        Returns
        -------
        ndarray
            `out`, or a new array of x's shape, type and order. float16 and bfloat16 are multiplied as float32.

        Raises
        ------
        TypeError
            If the type of x cannot be masked or scaled, or `out` has another one or is no array.
        ValueError
            If a shape is not the mask's, or `out` cannot be written.
        """
        if self.direct:
            return apply_drawn(x, out, self, self.scaled, self.factor)
        given = x
        x, y = operands(given, out, self.shape, self.scaled)
        apply_stored(x, y, self.pack(self.decided()), self.shape, self.shared_axes, False, 1.0)
        if self.scaled:
            _arrays.multiply(y, self.factors_as(_arrays.real_type(y.dtype)), y)
        return delivered(given, x, y, out)

    def backward(self, dy, *, out=None):
        """
        The gradient with respect to x of a loss whose gradient with respect to ``apply(x)`` is `dy`.

        A mask is a diagonal matrix, its own transpose: this is ``apply(dy, out=out)``.
        """
        return self.apply(dy, out=out)

    cdef factors_as(self, dtype):
        """The factors of an array p, which are kept: computing them takes longer than all the rest."""
        factors = self.factor_array
        if factors is None or factors.dtype != dtype:
            factors = self.factor_array = _arrays.factors(self.p_array, dtype)
        return factors

    cdef pack(self, tuple shape):
        """The bits of a shape: this mask's, or the one with the shared axes 1."""
        cdef simdrop_axis[SIMDROP_MAX_AXES] axes
        cdef int axis, count = len(shape)
        cdef const double *numbers = NULL
        p = None
        if self.p_array is not None:
            p = np.broadcast_to(self.p_array, shape)
            numbers = <const double *>cnp.PyArray_DATA(p)
        self.number_axes(axes)
        for axis in range(count):
            axes[axis].n = shape[axis]
            axes[axis].x = 0 if p is None else cnp.PyArray_STRIDE(p, axis)
            axes[axis].y = 0
        bits = np.empty(bytes_of_bits(prod(shape)), np.uint8)
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(bits)
        with nogil:
            kernels.packbits_array(&self.rule, self.first, count, axes, numbers, target)
        return bits

    def _keep_flat(self, start, stop):
        """Decisions `start` to `stop`, in the C order of the shape with the shared axes 1, bool; not of a window."""
        cdef Py_ssize_t first = start, last = stop
        if not 0 <= first <= last <= self.decisions:
            raise ValueError(f"decisions {start} to {stop} are not among the mask's {self.decisions}")
        keep = np.empty(last - first, np.bool_)
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(keep)
        with nogil:
            kernels.keep(&self.rule, self.first + first, last - first, target)
        return keep

    def keep(self):
        """
        True where an element is kept.

        Returns
        -------
        ndarray of bool
            Of the mask's shape.
        """
        decided = self.decided()
        if self.direct and (self.in_order or self.source is None):
            keep = self._keep_flat(0, self.decisions)
        else:
            bits = self.pack(decided)
            keep = np.unpackbits(bits, count=self.decisions, bitorder="little").view(np.bool_)
        keep = keep.reshape(decided)
        return keep if decided == self.shape else np.broadcast_to(keep, self.shape).copy()

    cdef Draw new_window(self, tuple start, tuple shape):
        cdef Mask window = Mask.__new__(Mask)
        window.set_window(self, start, shape)
        window.scaled, window.factor, window.direct = self.scaled, self.factor, self.direct
        window.probability = self.probability
        if self.p_array is not None:
            window.p_array = block_of(self.p_array, start, shape)
            window.probability = window.p_array.max(initial=0.0)
        return window

    @staticmethod
    def from_keep(keep, p=0.5, *, scale=True):
        """
        A mask from a bool array: of another library's making, or of any rule of your own.

        Parameters
        ----------
        keep : array_like of bool
            True where an element is kept.
        p : float, optional
            The probability of dropping that it was made with, for the scale.
        scale : bool, optional
            Whether kept elements are multiplied by ``1 / (1 - p)``.

        Returns
        -------
        StoredMask

        Raises
        ------
        TypeError
            If `keep` is not of bool.
        ValueError
            If p is not in [0, 1], or 1 though elements are kept and scaled.
        """
        keep = _args.base(keep)
        if keep.dtype != np.bool_:
            raise TypeError(f"keep must be an array of bool, not of {keep.dtype}")
        return StoredMask(np.packbits(keep, bitorder="little"), p, keep.shape, scale=scale)

    def __getitem__(self, index):
        """
        Which elements of a part are kept: ``mask.keep()[index]``, drawing only the block around that part.

        Parameters
        ----------
        index : int, slice, Ellipsis, numpy.newaxis or a tuple of these
            As for a NumPy array. A part as a Mask, to apply, is what `window` gives.

        Returns
        -------
        ndarray of bool, or bool

        Raises
        ------
        IndexError
            If an int is outside its axis, or there are more of them than axes.
        TypeError
            For arrays, lists and bools: index ``mask.keep()`` with these.

        Examples
        --------
        >>> mask = simdrop.Mask(bytes(16), draw=0, p=0.5, shape=(2**30, 2**20))
        >>> mask[2**29, 7:11]
        array([ True, False, False,  True])
        """
        self.decided()  # raises if this was never initialised
        return _indexing.kept(self, index)

    def __iter__(self):
        raise TypeError(f"a {type(self).__name__} cannot be iterated over: iterate over its keep()")

    def _repr_html_(self):
        from simdrop import _html  # in a notebook alone

        self.decided()  # raises if this was never initialised
        return _html.of_mask(self)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("a Mask holds no array, so np.asarray needs to make one: copy=False is impossible")
        keep = self.keep()
        return keep if dtype is None else keep.astype(dtype)

    def packbits(self):
        """
        One bit an element in C order, set where it is kept; the first element is the lowest bit of the first byte.

        Returns
        -------
        ndarray of uint8
            ``np.packbits(mask.keep(), bitorder="little")``: ``(size + 7) // 8`` bytes.
        """
        if not (self.direct and self.in_order):
            return self.pack(self.shape)
        bits = np.empty(bytes_of_bits(self.size), np.uint8)
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(bits)
        with nogil:
            kernels.packbits(&self.rule, self.first, self.size, target)
        return bits

    def indices(self):
        """
        Flat indices of the kept elements, ascending.

        Returns
        -------
        ndarray of intp
            ``np.flatnonzero(mask.keep())``.
        """
        return indices_of(self.packbits(), self.size)

    def _arguments(self):
        return {
            "key": self.key, "draw": self.draw, "p": self.p, "shape": self.shape, "shared_axes": self.shared_axes,
            "scale": self.scaled,
        }


explained(Mask.from_keep)
_pickle.classes["Mask"] = Mask


cdef block_of(p, tuple start, tuple shape):
    """The part of an array p that a block of the mask has; an axis of 1 is for all of it."""
    last = zip(start[len(start) - p.ndim :], shape[len(shape) - p.ndim :])
    return p[tuple([slice(None) if n == 1 else slice(i, i + k) for n, (i, k) in zip(p.shape, last)])]


def probability(p):
    """p, the probability of dropping, as a float; or an error."""
    return checked_p(p)


cdef Mask new_mask(p, shape, shared_axes, bint scale):
    """A Mask for a stream to give a key and a number."""
    cdef Mask mask = Mask.__new__(Mask)
    mask.set_form(p, shape, shared_axes, scale)
    return mask
