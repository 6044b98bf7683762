# cython: language_level=3, binding=True, freethreading_compatible=True
"""Functions of the form ``y, mask = transform(x, ...)``, and their gradients."""

from simdrop import _args
from simdrop._core.named import explained

cimport numpy as cnp

from simdrop._core.apply cimport delivered
from simdrop._core.args cimport is_ready_out
from simdrop._core.mask cimport Mask, is_mask
from simdrop._core.stream cimport next_mask_of

cnp.import_array()


@explained
def dropout(x, p=0.5, *, rng=None, shared_axes=(), training=True, scale=True, out=None):
    """
    Set each element to zero with probability p, and scale the others by ``1 / (1 - p)`` (inverted dropout).

    Parameters
    ----------
    x : array_like
        Any shape and layout: float16, bfloat16, float32, float64, complex64 or complex128, and with ``scale=False``
        any type of fixed size up to 16 bytes.
    p : float or ndarray, optional
        Probability of DROPPING an element, in [0, 1]; an array that broadcasts to x's shape, with the shared axes 1,
        gives samples or units their own.
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        None uses a process-wide stream seeded by the operating system, or by `simdrop.seed`; an int gives the same
        mask every time, so pass a Stream in a loop, which takes its next draw; a Generator gives 128 bits and moves on.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared: ``(2, 3)`` drops channels of NCHW images, ``range(1, x.ndim)`` whole
        samples (stochastic depth), ``0`` the same units at all time steps of (T, B, F).
    training : bool, optional
        False is evaluation: nothing is dropped, and no draw is taken.
    scale : bool, optional
        False leaves kept elements as they are.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself (of a subclass, its base array) if nothing can be dropped (``p=0`` or
        ``training=False``) and no `out` is given.
    mask : Mask
        Which elements were dropped, for `dropout_backward`: a few numbers, no array.

    Raises
    ------
    TypeError
        If the type of an argument is wrong, or x's type cannot be scaled (integers: pass ``scale=False``).
    ValueError
        If p is not in [0, 1], or shapes or axes do not fit.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", section 4 and 10.

    Examples
    --------
    >>> y, mask = simdrop.dropout(np.ones(8, np.float32), p=0.5, rng=0)
    >>> y
    array([0., 2., 2., 0., 0., 0., 2., 2.], dtype=float32)
    >>> simdrop.dropout_backward(np.full(8, 3, np.float32), mask)
    array([0., 6., 6., 0., 0., 0., 6., 6.], dtype=float32)
    """
    cdef Mask mask
    given = x
    if not cnp.PyArray_CheckExact(x):
        x = _args.base(x)
    # What cannot be done is refused before a draw is taken, and in evaluation too.
    if cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT32 and cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT64:
        _args.check_dtype(x.dtype, scale)
    if out is not None and not is_ready_out(out, x):
        _args.checked_out(out, x)
    mask = next_mask_of(rng, p, x.shape, shared_axes, training, scale)
    if mask.probability == 0 and out is None:
        return delivered(given, x, x, out), mask
    return delivered(given, x, mask.apply(x, out=out), out), mask


@explained
def dropout_backward(dy, mask, *, out=None):
    """
    The gradient with respect to x of a loss whose gradient with respect to dropout's y is `dy`.

    Parameters
    ----------
    dy : array_like
        Of the shape of y.
    mask : Mask or StoredMask
        As `dropout` returned it.
    out : ndarray, optional
        Where to write the result; may be dy itself.

    Returns
    -------
    ndarray
        ``dy * mask.scale`` where the element was kept, else 0: ``mask.backward(dy, out=out)``.

    Raises
    ------
    TypeError, ValueError
        As `Mask.apply`.
    """
    if not is_mask(mask):
        raise TypeError(f"mask must be a simdrop.Mask or StoredMask, not {type(mask).__name__}")
    return mask.backward(dy, out=out)
