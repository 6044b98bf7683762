# cython: language_level=3, binding=True, freethreading_compatible=True
"""Draw: where decisions are numbered. Nothing else counts elements."""

from inspect import signature
from math import prod

import numpy as np

from simdrop import _args, _pickle
from simdrop._core import signatures
from simdrop._values import shown

cimport cython
cimport numpy as cnp
from libc.stdint cimport uint64_t

from simdrop cimport SIMDROP_KEY_BYTES, SIMDROP_MAX_AXES, simdrop_axis
from simdrop._core.args cimport PyLong_AsLongLongAndOverflow, checked_draw, checked_key, plain_size
from simdrop._core.kernels cimport expand_key

cnp.import_array()

arguments = signatures.arguments("Draw", "key, draw, shape, *, shared_axes=()")
cdef dict DEFAULTS = {"shared_axes": (), "scale": True}  # arguments that are not shown


@cython.no_gc  # of numbers and arrays of them: no cycle can lead back to it
cdef class Draw:
    """
    One draw of a stream for arrays of one shape: which number decides each element.

    Element `e` (its flat index in C order) has uniform `e` of the draw of this number, under this key. All that is
    random here has such an address: a `Mask` is a Draw and a probability. A Draw is immutable, hashable, comparable and
    pickles.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw, in [0, 2**56).
    shape : int or tuple of ints
        Shape of the arrays.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared; the decision's index is the one in the shape with these axes 1.

    Attributes
    ----------
    key, draw, shape, shared_axes
        As given; the axes ascending and not negative.
    size : int
        Number of elements.
    start : tuple of ints
        Index of the first element in the draw that this is a window of; zeros in any other.

    Raises
    ------
    ValueError
        If draw, the key's length, the shape or an axis is out of range.
    TypeError
        If one of them has the wrong type.

    Examples
    --------
    >>> simdrop.Draw(bytes(16), draw=0, shape=(2**30, 2**20)).window((2**29, 7), (2, 4)).start
    (536870912, 7)
    """

    __signature__ = signature(arguments)
    _kind = "Draw"  # what a subclass in Python is pickled as, too

    def __init__(self, *args, **named):
        cdef Py_ssize_t size
        key, draw, shape, shared_axes = arguments(*args, **named)
        lengths = checked_shape(shape, &size)
        axes = checked_axes(shared_axes, lengths)
        self.set_address(key, draw)
        self.set_shape(lengths, axes, size)

    cdef int set_address(self, key, draw) except -1:
        """Set key and number, of an object that has none yet."""
        cdef bytes key_bytes
        if self.shape is not None:
            raise TypeError(f"a {type(self).__name__} cannot be changed")
        key_bytes = checked_key(key)
        self.rule.draw = checked_draw(draw)
        expand_key(key_bytes, self.rule.round_keys)
        return 0

    cdef int set_shape(self, tuple shape, tuple shared_axes, Py_ssize_t size) except -1:
        """Number the elements of a shape; all was checked."""
        self.size = self.decisions = size
        self.shared_axes = shared_axes
        if len(shared_axes) != 0:
            self.decisions = prod(decided_shape(shape, shared_axes))
        self.in_order = self.decisions == size
        self.shape = shape
        return 0

    cdef int set_window(self, Draw whole, tuple start, tuple shape) except -1:
        """Become a block of a draw, whose elements keep their numbers."""
        cdef simdrop_axis[SIMDROP_MAX_AXES] axes
        cdef uint64_t step = 1
        cdef int axis
        cdef Py_ssize_t n
        self.rule = whole.rule
        self.first = whole.number_axes(axes)
        self.shared_axes, self.source, self.at = whole.shared_axes, whole, start
        self.size = self.decisions = 1
        self.in_order = True
        for axis in range(len(shape) - 1, -1, -1):
            n = <Py_ssize_t>shape[axis]
            self.size *= n
            self.decisions *= min(n, 1) if axis in whole.shared_axes else n
            self.first += <uint64_t>start[axis] * axes[axis].element
            if n != 1:  # its elements go on where those of the axes inside it end, or do not
                self.in_order = self.in_order and axes[axis].element == step
                step *= <uint64_t>n
        self.shape = shape
        return 0

    cdef Draw new_window(self, tuple start, tuple shape):
        cdef Draw window = Draw.__new__(Draw)
        window.set_window(self, start, shape)
        return window

    cdef tuple decided(self):
        """The shape with the shared axes 1; 0 where it is empty along one."""
        if self.shape is None:
            raise TypeError(f"this {type(self).__name__} was never initialised")
        return decided_shape(self.shape, self.shared_axes)

    cdef uint64_t number_axes(self, simdrop_axis *axes) except? 0:
        """Say how elements are numbered along each axis; gives the number of the first."""
        number_c_order(self.shape if self.source is None else self.source.shape, self.shared_axes, axes)
        return self.first

    @property
    def key(self):
        """The 16 bytes of the key."""
        return self.rule.round_keys[:SIMDROP_KEY_BYTES]

    @property
    def draw(self):
        """The number of the draw."""
        return self.rule.draw

    @property
    def start(self):
        """Index of the first element in the draw that this is a window of; zeros in any other."""
        return (0,) * len(self.shape) if self.at is None else self.at

    def window(self, start, shape):
        """
        A block of this draw: for shards of an array and for blocks of one that fits no memory.

        Parameters
        ----------
        start : int or tuple of ints
            Index of the block's first element.
        shape : int or tuple of ints
            Shape of the block.

        Returns
        -------
        Draw
            Of the same kind as this: of a Mask, a Mask.

        Raises
        ------
        ValueError
            If start or shape has another number of axes, or a length is negative.
        IndexError
            If the block is not inside this draw.
        TypeError
            If they are not of ints.

        Examples
        --------
        >>> mask = simdrop.Mask(bytes(16), draw=0, p=0.5, shape=(2**30, 2**20))
        >>> mask.window((2**29, 7), (2, 4)).apply(np.ones((2, 4)))
        array([[2., 0., 0., 2.],
               [2., 2., 2., 2.]])
        """
        cdef Draw whole = self if self.source is None else self.source
        cdef tuple corner, lengths
        if self.shape is None:
            self.decided()  # raises
        if is_plain_block(start, shape, self.shape):
            corner, lengths = start, shape
        else:
            corner, lengths = _args.checked_block(start, shape, self.shape)
        if self.at is not None:
            corner = tuple([i + j for i, j in zip(corner, self.at)])
        return whole if lengths == whole.shape else whole.new_window(corner, lengths)

    def _each_once(self):
        """The window that has each decision once: of length 1 along shared axes."""
        decided = self.decided()
        return self.window((0,) * len(decided), decided)

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _args.refuse_ufunc(self, ufunc)

    def _arguments(self):
        """What the constructor takes, by name; of a window, it would make a draw of its own."""
        return {"key": self.key, "draw": self.draw, "shape": self.shape, "shared_axes": self.shared_axes}

    def _values(self):
        """What draws are compared and hashed by: arrays by value, too."""
        values = [(v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v for v in self._arguments().values()]
        return *values, self.at, None if self.source is None else self.source.shape

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self):
        return hash(self._values())

    def __reduce__(self):
        if self.source is not None:
            return _pickle.restore_window, (self.source, self.at, self.shape)
        return _pickle.restore, (self._kind, self._arguments())

    def __repr__(self):
        if self.source is not None:
            return f"{self.source!r}.window({self.at}, {self.shape})"
        arguments = self._arguments()
        key = arguments.pop("key")
        written = [f"{name}={shown(v)}" for name, v in arguments.items() if v is not DEFAULTS.get(name, self)]
        return f"{self._kind}(bytes.fromhex('{key.hex()}'), {', '.join(written)})"


_pickle.classes["Draw"] = Draw


cdef tuple checked_shape(shape, Py_ssize_t *size):
    """A shape as a tuple of ints; its number of elements in `size`."""
    lengths = <tuple>shape if type(shape) is tuple else (shape,) if type(shape) is int else _args.ints(shape, "shape")
    size[0] = plain_size(lengths)
    if size[0] < 0:
        lengths, size[0] = _args.checked_shape(shape, SIMDROP_MAX_AXES)
    return lengths


cdef bint is_plain_block(start, shape, tuple whole) noexcept:
    """Whether start and shape of a block are tuples of ints, and inside a shape; if not, `_args` looks at them."""
    cdef Py_ssize_t axis
    cdef long long first, n
    cdef int overflow = 0
    if type(start) is not tuple or type(shape) is not tuple:
        return False
    if len(<tuple>start) != len(whole) or len(<tuple>shape) != len(whole):
        return False
    for axis in range(len(whole)):
        if type((<tuple>start)[axis]) is not int or type((<tuple>shape)[axis]) is not int:
            return False
        first = PyLong_AsLongLongAndOverflow((<tuple>start)[axis], &overflow)
        if overflow != 0 or first < 0:
            return False
        n = PyLong_AsLongLongAndOverflow((<tuple>shape)[axis], &overflow)
        if overflow != 0 or n < 0 or n > <Py_ssize_t>whole[axis] - first:
            return False
    return True


cdef tuple checked_axes(shared_axes, tuple shape):
    """Shared axes of a shape, ascending and not negative."""
    if type(shared_axes) is tuple and len(<tuple>shared_axes) == 0:
        return ()
    if type(shared_axes) is int and 0 <= shared_axes < len(shape):
        return (shared_axes,)
    return _args.checked_axes(shared_axes, len(shape))


cdef tuple decided_shape(tuple shape, tuple shared_axes):
    """A shape with the shared axes 1."""
    return tuple([min(n, 1) if axis in shared_axes else n for axis, n in enumerate(shape)])


cdef int number_c_order(tuple shape, tuple shared_axes, simdrop_axis *axes) except -1:
    """Number elements in the C order of a shape with the shared axes 1."""
    cdef int axis
    cdef uint64_t step = 1
    for axis in range(len(shape) - 1, -1, -1):
        if axis in shared_axes:
            axes[axis].element = 0
        else:
            axes[axis].element = step
            step *= <uint64_t>shape[axis]
    return 0
