# cython: language_level=3, binding=True, freethreading_compatible=True
"""Mask: which elements are dropped, as a few numbers, and the kernels that apply it."""

import operator
import os
from math import prod

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

import simdrop
from simdrop import _arrays, _threads
from simdrop._core import signatures

cimport numpy as cnp
from libc.stdint cimport intptr_t, uint8_t, uint64_t
from libc.string cimport memcpy

from simdrop._core.plain cimport are_same_or_apart
from simdrop._core.task cimport Task, share

cnp.import_array()

STREAM_VERSION = SIMDROP_STREAM_VERSION
COMPILER = simdrop_compiler().decode()

# Below this many elements releasing the GIL costs more than it gives to other threads.
cdef enum:
    RELEASE_GIL_FROM = 8192
    SPLIT_GRAIN = 4096  # elements: threads' parts of a flat array begin at lines of memory and of keystream

cdef Py_ssize_t SPLIT_FROM = _threads.SPLIT_FROM


cdef class Mask:
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

    __signature__ = signatures.shown(signatures.Mask)

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes, scale = signatures.Mask(*args, **named)
        if self.shape is not None:
            raise TypeError("a Mask cannot be changed")
        if not isinstance(key, (bytes, bytearray)):
            raise TypeError(f"key must be 16 bytes, not {type(key).__name__}")
        if len(key) != SIMDROP_KEY_BYTES:
            raise ValueError(f"key has {len(key)} bytes, but must have 16")
        self.rule.draw = checked_draw(draw)
        cdef bytes key_bytes = bytes(key)
        simdrop_expand_key(key_bytes, self.rule.round_keys)
        self.set_form(p, shape, shared_axes, scale)

    cdef int set_form(self, p, shape, shared_axes, bint scale) except -1:
        """Everything but the rule's key and draw, or nothing: all is checked before the first attribute is set."""
        cdef bint each = type(p) is not float and is_array_p(p), empty = False
        cdef double probability = 0 if each else checked_p(p)
        cdef tuple lengths = <tuple>shape if type(shape) is tuple else _arrays.ints(shape, "shape")
        cdef tuple axes = ()
        cdef Py_ssize_t n, size = 1
        if len(lengths) > SIMDROP_MOST_AXES:
            raise ValueError(f"shape has {len(lengths)} axes, but arrays have at most {SIMDROP_MOST_AXES}")
        for length in lengths:
            if type(length) is not int:
                return self.set_form(p, _arrays.ints(shape, "shape"), shared_axes, scale)
            n = checked_length(length, shape)
            empty = empty or n == 0
            size = multiplied(size, n, shape)
        size = 0 if empty else size
        cdef Py_ssize_t decisions = size
        if type(shared_axes) is not tuple or len(<tuple>shared_axes) != 0:
            axes = tuple(sorted(normalize_axis_tuple(shared_axes, len(lengths), argname="shared_axes")))
            decisions = prod(decided_shape(lengths, axes))
        if each:
            self.p_array = checked_array_p(p, lengths, axes)
            probability = self.p_array.max(initial=0.0)
        self.probability = probability
        self.scaled = scale
        self.factor = 1.0 if not scale or each else 1 / (1 - probability) if probability < 1 else 0.0
        simdrop_set_p(&self.rule, 0 if each else probability)
        self.size, self.decisions = size, decisions
        self.shared_axes = axes
        self.direct = not each
        self.in_order = not each and decisions == size
        self.shape = lengths
        return 0

    cdef tuple decided(self):
        """The shape with the shared axes 1; 0 where the mask is empty along one."""
        if self.shape is None:
            raise TypeError(f"this {type(self).__name__} was never initialised")
        return decided_shape(self.shape, self.shared_axes)

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

    @property
    def key(self):
        """The 16 bytes of the key."""
        return self.rule.round_keys[:SIMDROP_KEY_BYTES]

    @property
    def draw(self):
        """The number of the draw."""
        return self.rule.draw

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
        cdef int element_type = self.kernel_type(x)
        if element_type < 0 or (out is not None and not self.takes_out(x, out)):
            return self.apply_array(x, out)
        if out is None:
            out = cnp.PyArray_EMPTY(
                cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), not cnp.PyArray_IS_C_CONTIGUOUS(x)
            )
        cdef const void *source = cnp.PyArray_DATA(x)
        cdef void *target = cnp.PyArray_DATA(out)
        if not self.in_order or not cnp.PyArray_IS_C_CONTIGUOUS(x):
            self.apply_parts(x, out)
        elif self.size < RELEASE_GIL_FROM:
            simdrop_apply(
                &self.rule, self.first, <simdrop_type>element_type, self.size, source, target, self.factor
            )
        elif cnp.PyArray_NBYTES(x) < SPLIT_FROM:
            with nogil:
                simdrop_apply(
                    &self.rule, self.first, <simdrop_type>element_type, self.size, source, target, self.factor
                )
        else:
            self.apply_split(x.reshape(-1), out.reshape(-1), None)
        return out

    def backward(self, dy, *, out=None):
        """
        The gradient with respect to x of a loss whose gradient with respect to ``apply(x)`` is `dy`.

        A mask is a diagonal matrix, its own transpose: this is ``apply(dy, out=out)``.
        """
        return self.apply(dy, out=out)

    cdef int kernel_type(self, x) noexcept:
        """The type of x if it is what most arrays are, contiguous, aligned, native, of NumPy's numbers; else -1."""
        cdef int axis, number
        if not self.direct:
            return -1
        if not cnp.PyArray_CheckExact(x) or not (cnp.PyArray_ISCARRAY_RO(x) or cnp.PyArray_ISFARRAY_RO(x)):
            return -1
        if cnp.PyArray_NDIM(x) != len(self.shape):
            return -1
        for axis in range(cnp.PyArray_NDIM(x)):
            if cnp.PyArray_DIM(x, axis) != <Py_ssize_t>self.shape[axis]:
                return -1
        number = cnp.PyArray_TYPE(x)
        if self.scaled:
            return scaled_type(number)
        return plain_type(cnp.PyArray_ITEMSIZE(x)) if number <= cnp.NPY_COMPLEX128 or number == cnp.NPY_FLOAT16 else -1

    cdef bint takes_out(self, x, out) noexcept:
        """Whether `out` is like such an x, of its order, writeable, and x itself or apart from it."""
        if not cnp.PyArray_CheckExact(out) or not cnp.PyArray_SAMESHAPE(out, x):
            return False
        if not (cnp.PyArray_ISCARRAY(out) if cnp.PyArray_IS_C_CONTIGUOUS(x) else cnp.PyArray_ISFARRAY(out)):
            return False
        if cnp.PyArray_TYPE(out) != cnp.PyArray_TYPE(x):
            return False
        return are_same_or_apart(x, out)

    cdef apply_array(self, given, out):
        """Apply to an array of any type and layout."""
        cdef cnp.ndarray x = given if cnp.PyArray_CheckExact(given) else _arrays.base(given)
        cdef cnp.ndarray y
        _arrays.check_dtype(x.dtype, self.scaled)
        if (<object>x).shape != self.shape:
            raise ValueError(f"the array has shape {(<object>x).shape}, but the mask has shape {self.shape}")
        if out is None:
            y = _arrays.new_like(x)
        else:
            y = _arrays.checked_out(out, x)
            if not _arrays.apart(x, y):
                x = x.copy()
        self.apply_parts(x, y)
        return y if out is None else out

    cdef apply_parts(self, cnp.ndarray x, cnp.ndarray y):
        """Apply to an array of any type and layout, with all threads where it is large."""
        bits = self.stored_bits()
        if cnp.PyArray_NBYTES(x) < SPLIT_FROM:
            self.apply_part(x, y, bits, 0, 0, cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) else 1)
        else:
            self.apply_split(x, y, bits)
        if self.p_array is not None and self.scaled:
            _arrays.multiply(y, self.factors_as(_arrays.real_type(y.dtype)), y)

    cdef factors_as(self, dtype):
        """What an array p multiplies by; kept, as p is, since dividing takes longer than all the rest."""
        factors = self.factor_array
        if factors is None or factors.dtype != dtype:
            factors = self.factor_array = _arrays.factors(self.p_array, dtype)
        return factors

    cdef stored_bits(self):
        """The bits of all decisions where the kernels do not draw them themselves, else None."""
        return None if self.direct else self.pack(self.decided())

    cdef apply_split(self, x, y, bits):
        """Apply with all threads, each to parts along the axis that is outermost in memory."""
        cdef Apply task = Apply.__new__(Apply)
        axis = max(range(y.ndim), key=lambda axis: (y.shape[axis] > 1, abs(y.strides[axis])))
        task.arrays = (self, x, y, bits)
        self.lay_out(&task.layout, x, y, bits, axis)
        share(task, y.shape[axis], SPLIT_GRAIN if y.ndim == 1 else 1, cnp.PyArray_NBYTES(x), SPLIT_FROM)

    cdef apply_part(self, cnp.ndarray x, cnp.ndarray y, bits, int split_axis, Py_ssize_t start, Py_ssize_t stop):
        """Apply to arrays of any type and layout, from `start` to `stop` along one axis."""
        cdef Layout layout
        self.lay_out(&layout, x, y, bits, split_axis)
        with nogil:
            apply_layout(&layout, start, stop)

    cdef int lay_out(self, Layout *layout, cnp.ndarray x, cnp.ndarray y, bits, int split_axis) except -1:
        """Say where elements are and how they are numbered; flat arrays are as well as those of the mask's shape."""
        cdef int axis, count = cnp.PyArray_NDIM(x)
        cdef bint shared, flat = count != len(self.shape)
        cdef uint64_t step = 1
        # Elements are numbered as in the mask that this is a window of, stored bits as here.
        cdef tuple numbered = self.shape if bits is not None or self.source is None else self.source.shape
        layout.rule = &self.rule
        layout.bits = NULL if bits is None else <const uint8_t *>cnp.PyArray_DATA(bits)
        layout.x, layout.y = <const char *>cnp.PyArray_DATA(x), <char *>cnp.PyArray_DATA(y)
        layout.first = 0 if bits is not None else self.first
        layout.elements = elements_of(x.dtype, y.dtype, self.scaled and self.p_array is None)
        layout.elements.scale = self.factor
        layout.count, layout.split_axis = count, split_axis
        for axis in range(count - 1, -1, -1):
            shared = not flat and axis in self.shared_axes
            layout.axes[axis].n = cnp.PyArray_DIM(x, axis)
            layout.axes[axis].x = cnp.PyArray_STRIDE(x, axis)
            layout.axes[axis].y = cnp.PyArray_STRIDE(y, axis)
            layout.axes[axis].element = 0 if shared else step
            if not shared and not flat:
                step *= <uint64_t>numbered[axis]
        return 0

    cdef pack(self, tuple shape):
        """The bits of a shape: this mask's, or the one with the shared axes 1."""
        cdef simdrop_axis[SIMDROP_MOST_AXES] axes
        cdef int axis, count = len(shape)
        cdef uint64_t step = 1
        cdef tuple numbered = self.shape if self.source is None else self.source.shape
        cdef const double *numbers = NULL
        bits = np.empty((prod(shape) + 7) // 8, np.uint8)
        p = None
        if self.p_array is not None:
            p = np.broadcast_to(self.p_array, shape)
            numbers = <const double *>cnp.PyArray_DATA(p)
        for axis in range(count - 1, -1, -1):
            axes[axis].n = shape[axis]
            axes[axis].x = 0 if p is None else cnp.PyArray_STRIDE(p, axis)
            axes[axis].y = 0
            axes[axis].element = 0 if axis in self.shared_axes else step
            if axis not in self.shared_axes:
                step *= <uint64_t>numbered[axis]
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(bits)
        with nogil:
            simdrop_packbits_array(&self.rule, self.first, count, axes, numbers, target)
        return bits

    def _keep_flat(self, start, stop):
        """Decisions `start` to `stop`, in the C order of the shape with the shared axes 1, bool; not of a window."""
        cdef Py_ssize_t first = start, last = stop
        if not 0 <= first <= last <= self.decisions:
            raise ValueError(f"decisions {start} to {stop} are not among the mask's {self.decisions}")
        keep = np.empty(last - first, np.bool_)
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(keep)
        with nogil:
            simdrop_keep(&self.rule, self.first + first, last - first, target)
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
        if self.in_order or (self.direct and self.source is None):
            keep = self._keep_flat(0, self.decisions)
        else:
            bits = self.stored_bits() if not self.direct else self.pack(decided)
            keep = np.unpackbits(bits, count=prod(decided), bitorder="little").view(np.bool_)
        keep = keep.reshape(decided)
        return keep if decided == self.shape else np.broadcast_to(keep, self.shape).copy()

    def window(self, start, shape):
        """
        A block of this mask, as a mask: for shards of an array and for blocks of one that fits no memory.

        Parameters
        ----------
        start : int or tuple of ints
            Index of the block's first element.
        shape : int or tuple of ints
            Shape of the block.

        Returns
        -------
        Mask
            Its ``keep()`` is ``self.keep()[block]``, computed alone.

        Raises
        ------
        ValueError
            If start or shape has another number of axes, or a length is negative.
        IndexError
            If the block is not inside this mask.
        TypeError
            If they are not of ints.

        Examples
        --------
        >>> mask = simdrop.Mask(bytes(16), draw=0, p=0.5, shape=(2**30, 2**20))
        >>> mask.window((2**29, 7), (2, 4)).apply(np.ones((2, 4)))
        array([[2., 0., 0., 2.],
               [2., 2., 2., 2.]])
        """
        cdef Mask whole = self if self.source is None else self.source
        cdef Mask mask
        corner, lengths = _arrays.checked_block(start, shape, self.shape)
        if self.at is not None:
            corner = tuple([i + j for i, j in zip(corner, self.at)])
        if lengths == whole.shape and not any(corner):
            return whole
        mask = Mask.__new__(Mask)
        mask.rule = whole.rule
        mask.probability = whole.probability
        mask.factor = whole.factor
        mask.scaled = whole.scaled
        mask.shared_axes = whole.shared_axes
        mask.source = whole
        mask.at = corner
        mask.shape = lengths
        mask.size = prod(lengths)
        mask.decisions = prod(mask.decided())
        mask.direct = whole.direct
        mask.in_order = whole.direct
        cdef uint64_t step = 1, next_step = 1
        for axis in range(len(lengths) - 1, -1, -1):
            shared = axis in mask.shared_axes
            if lengths[axis] != 1:  # its elements go on where those of the axes inside it end, or do not
                mask.in_order = mask.in_order and not shared and step == next_step
                next_step *= <uint64_t>lengths[axis]
            if not shared:
                mask.first += <uint64_t>corner[axis] * step
                step *= <uint64_t>whole.shape[axis]
        if whole.p_array is not None:
            mask.p_array = _arrays.block_of(whole.p_array, corner, lengths)
            mask.probability = mask.p_array.max(initial=0.0)
        return mask

    @property
    def start(self):
        """Index of the first element in the mask that this is a window of; zeros in any other."""
        return (0,) * len(self.shape) if self.at is None else self.at

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
        PackedMask

        Raises
        ------
        TypeError
            If `keep` is not of bool.
        ValueError
            If p is not in [0, 1], or 1 though elements are kept and scaled.
        """
        keep = _arrays.base(keep)
        if keep.dtype != np.bool_:
            raise TypeError(f"keep must be an array of bool, not of {keep.dtype}")
        return simdrop._core.stored.PackedMask(np.packbits(keep, bitorder="little"), p, keep.shape, scale=scale)

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _arrays.refuse_ufunc(self, ufunc)

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
        if not self.in_order:
            return self.pack(self.shape)
        bits = np.empty(bytes_of_bits(self.size), np.uint8)
        cdef uint8_t *target = <uint8_t *>cnp.PyArray_DATA(bits)
        with nogil:
            simdrop_packbits(&self.rule, self.first, self.size, target)
        return bits

    def indices(self):
        """
        Flat indices of the kept elements, ascending.

        Returns
        -------
        ndarray of intp
            ``np.flatnonzero(mask.keep())``.
        """
        bits = self.packbits()
        cdef size_t count = np.bitwise_count(bits).sum(dtype=np.int64)
        indices = np.empty(count, np.intp)
        cdef const uint8_t *source = <const uint8_t *>cnp.PyArray_DATA(bits)
        cdef intptr_t *target = <intptr_t *>cnp.PyArray_DATA(indices)
        with nogil:
            simdrop_indices(source, self.size, target, count)
        return indices

    def _numbers(self):
        """What masks are compared and hashed by: an array p by value, too."""
        p = self.probability if self.p_array is None else (self.p_array.shape, self.p_array.tobytes())
        whole_shape = None if self.source is None else self.source.shape
        return self.key, self.draw, p, self.shape, self.shared_axes, self.scaled, self.at, whole_shape

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._numbers() == (<Mask>other)._numbers()

    def __hash__(self):
        return hash(self._numbers())

    def __reduce__(self):
        if self.source is not None:
            return restore_window, (self.source, self.at, self.shape)
        return restore_mask, (self.key, self.draw, self.p, self.shape, self.shared_axes, self.scaled)

    def __repr__(self):
        if self.source is not None:
            return f"{self.source!r}.window({self.at}, {self.shape})"
        p = self.probability if self.p_array is None else _arrays.shown(self.p_array)
        options = f", shared_axes={self.shared_axes}" if self.shared_axes else ""
        if not self.scaled:
            options += ", scale=False"
        return (
            f"Mask(bytes.fromhex('{self.key.hex()}'), draw={self.draw}, p={p}, "
            f"shape={self.shape}{options})"
        )


cdef class Apply(Task):
    """A mask and two arrays: threads apply it to parts along an axis."""

    cdef Layout layout

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef Layout layout = self.layout
        apply_layout(&layout, start, stop)
        return 0


cdef void apply_layout(Layout *layout, size_t start, size_t stop) noexcept nogil:
    """Apply from `start` to `stop` along the layout's axis, which has that length afterwards."""
    cdef simdrop_axis *axis
    if layout.count != 0:
        axis = &layout.axes[layout.split_axis]
        layout.x += <Py_ssize_t>start * axis.x
        layout.y += <Py_ssize_t>start * axis.y
        layout.first += start * axis.element
        axis.n = stop - start
    if layout.bits is not NULL:
        simdrop_select_array(
            layout.bits, layout.first, layout.elements, layout.count, layout.axes, layout.x, layout.y
        )
    else:
        simdrop_apply_array(
            layout.rule, layout.first, layout.elements, layout.count, layout.axes, layout.x, layout.y
        )


def restore_mask(key, draw, p, shape, shared_axes, scale):
    """A Mask from the numbers that it was pickled as."""
    return Mask(key, draw, p, shape, shared_axes=shared_axes, scale=scale)


def restore_window(source, start, shape):
    """A window from what it was pickled as."""
    return source.window(start, shape)


def restore_packed(bits, p, shape, scale):
    """A PackedMask from what it was pickled as."""
    return simdrop._core.stored.PackedMask(bits, p, shape, scale=scale)


cdef int scaled_type(int number) noexcept:
    """The C library's name of a NumPy type that is scaled; -1 if it has none."""
    if number == cnp.NPY_FLOAT32:
        return SIMDROP_F32
    if number == cnp.NPY_FLOAT64:
        return SIMDROP_F64
    if number == cnp.NPY_FLOAT16:
        return SIMDROP_F16
    if number == cnp.NPY_COMPLEX64:
        return SIMDROP_C64
    if number == cnp.NPY_COMPLEX128:
        return SIMDROP_C128
    return -1


cdef int plain_type(size_t size) noexcept:
    """The C library's name of any type of a size, which is not scaled; the largest for odd sizes."""
    if size == 1:
        return SIMDROP_U8
    if size == 2:
        return SIMDROP_U16
    if size == 4:
        return SIMDROP_U32
    if size == 8:
        return SIMDROP_U64
    return SIMDROP_U128


cdef simdrop_elements elements_of(cnp.dtype x, cnp.dtype y, bint scaled):
    """The elements of two arrays whose types differ in byte order at most."""
    cdef simdrop_elements elements
    cdef int number = x.type_num
    cdef int named = scaled_type(number) if scaled else plain_type(x.itemsize)
    elements.type = SIMDROP_BF16 if named < 0 else <simdrop_type>named  # the one type that is not NumPy's
    elements.bytes = x.itemsize
    elements.swap_x = elements.swap_y = 0
    if not (x.isnative and y.isnative) and _arrays.has_byte_order(x):
        part = x.itemsize // 2 if number == cnp.NPY_COMPLEX64 or number == cnp.NPY_COMPLEX128 else x.itemsize
        elements.swap_x = 0 if x.isnative else part
        elements.swap_y = 0 if y.isnative else part
    return elements


cdef tuple decided_shape(tuple shape, tuple shared_axes):
    return tuple([min(n, 1) if axis in shared_axes else n for axis, n in enumerate(shape)])


cdef checked_array_p(p, tuple shape, tuple shared_axes):
    """An array p instead of a number, as read-only float64."""
    values = _arrays.probabilities(p)
    decided = decided_shape(shape, shared_axes)
    if not _arrays.broadcasts_to(values.shape, decided):
        shared = f", which with the shared axes 1 is {decided}" if shared_axes else ""
        raise ValueError(f"p has shape {values.shape}, but must broadcast to the mask's {shape}{shared}")
    return values


cdef void expand_key(const uint8_t *key, uint8_t *round_keys) noexcept:
    simdrop_expand_key(key, round_keys)


cdef const simdrop_fused *fused_kernels() noexcept nogil:
    return simdrop_fused_kernels()


cdef const simdrop_noise *noise_kernels() noexcept nogil:
    return simdrop_noise_kernels()


cdef const simdrop_weights *weights_kernels() noexcept nogil:
    return simdrop_weights_kernels()


cdef Mask new_mask(const uint8_t *round_keys, uint64_t draw, p, shape, shared_axes, bint scale):
    """A Mask from an expanded key, or from none yet: what a Stream makes for each draw."""
    cdef Mask mask = Mask.__new__(Mask)
    if round_keys is not NULL:
        memcpy(mask.rule.round_keys, round_keys, SIMDROP_SCHEDULE_BYTES)
    mask.rule.draw = draw
    mask.set_form(p, shape, shared_axes, scale)
    return mask


def keystream(key, draw, plane, first_block, n_blocks):
    """
    AES-128 counter keystream of stream version 1, from the kernel of the instruction set in use.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        In [0, 2**56).
    plane : int
        In [0, 256).
    first_block, n_blocks : int
        Which blocks of 16 bytes; all are numbered below 2**64.

    Returns
    -------
    ndarray of uint8
        ``16 * n_blocks`` bytes.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    cdef Mask mask = Mask(key, draw, 0, ())
    first, count, number = operator.index(first_block), operator.index(n_blocks), operator.index(plane)
    if not 0 <= number < 256:
        raise ValueError(f"plane = {plane}, but planes are numbered from 0 to 255")
    if not 0 <= first < 2**64:
        raise ValueError(f"first_block = {first_block}, but blocks are numbered from 0 to 2**64 - 1")
    if not 0 <= count <= min(2**64 - first, (2**63 - 1) // SIMDROP_BLOCK_BYTES):
        raise ValueError(f"n_blocks = {n_blocks}, but there must be from 0 to 2**59 - 1, the last one below 2**64")
    cdef uint64_t block = first
    cdef size_t blocks = count
    cdef uint64_t plane_number = number
    stream = np.empty(count * SIMDROP_BLOCK_BYTES, np.uint8)
    simdrop_keystream(&mask.rule, plane_number, block, blocks, <uint8_t *>cnp.PyArray_DATA(stream))
    return stream


def instruction_sets():
    """The names of the instruction sets that this build has and this CPU can run, best first."""
    names = []
    while simdrop_isa_available(len(names)) is not NULL:
        names.append(simdrop_isa_available(len(names)).decode())
    return tuple(names)


def instruction_set():
    """The name of the instruction set in use."""
    return simdrop_isa_name().decode()


def use_instruction_set(name):
    """
    Use the kernels of one instruction set; None: the best. Results do not depend on it. Not while others compute.

    Raises
    ------
    ValueError
        If it is unknown or this CPU cannot run it.
    """
    # Compared here, because a string of C ends at its first NUL.
    if name is not None and name not in instruction_sets():
        raise ValueError(
            f"instruction set {name!r} is not available; this CPU and build have "
            + ", ".join(instruction_sets())
        )
    cdef bytes encoded = b"" if name is None else name.encode()
    simdrop_isa_choose(NULL if name is None else <const char *>encoded)


try:
    use_instruction_set(os.environ.get("SIMDROP_ISA") or None)
except ValueError as error:
    raise ValueError(f"SIMDROP_ISA: {error}") from None
