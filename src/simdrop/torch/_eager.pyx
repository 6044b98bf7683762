# cython: language_level=3, binding=True, freethreading_compatible=True
"""
The way of a plain tensor through dropout and back, compiled: of a small tensor, most of the time would be Python's.

PyTorch's compilers cannot look into this file, and its callers do not show it to them.
"""

import threading

import torch
from torch.autograd import forward_ad

from simdrop.torch._draws import KEY_BYTES, address_of, checked_stream, first_draw
from simdrop.torch._tensors import DTYPES, check_in_place

cimport numpy as cnp
from cpython.bytes cimport PyBytes_FromStringAndSize

from simdrop._core.mask cimport Mask

try:
    from ml_dtypes import bfloat16
except ModuleNotFoundError:  # simdrop[torch] has it; other types work without
    bfloat16 = None

cnp.import_array()

cdef object TENSOR = torch.Tensor, PARAMETER = torch.nn.Parameter, GENERATOR = torch.Generator
cdef object STRIDED = torch.strided, BFLOAT16 = torch.bfloat16
cdef object from_numpy = torch.from_numpy, is_grad_enabled = torch.is_grad_enabled
cdef object are_functions_transformed = torch._C._are_functorch_transforms_active
cdef object has_storage = torch._C._has_storage


# --- Tensors as arrays ---


cpdef bint is_plain(x) except -1:
    """Whether `_tensors.check` accepts a tensor, and NumPy can see its memory: not if it stands for a batch."""
    kind = type(x)
    return (
        (kind is TENSOR or kind is PARAMETER) and x.is_cpu and x.dtype in DTYPES and x.layout is STRIDED
        and not are_functions_transformed()
    )


cpdef bint is_plain_gradient(dy) except -1:
    """The same of a gradient, which `torch.autograd.grad(is_grads_batched=True)` batches itself."""
    return is_plain(dy) and has_storage(dy)


cpdef array(x):
    """
    The elements of a tensor as NumPy sees them, where autograd does not record.

    It is a copy only if they are lazily conjugated or negated.
    """
    if x.dtype is BFLOAT16:
        if bfloat16 is None:
            raise ModuleNotFoundError("tensors of bfloat16 need ml_dtypes: pip install 'simdrop[torch]'")
        return x.view(torch.uint16).numpy().view(bfloat16)
    try:
        return x.numpy()
    except RuntimeError:
        return x.resolve_conj().resolve_neg().numpy()


cpdef tensor(x):
    """The inverse: a tensor on the memory of an array."""
    if cnp.PyArray_TYPE(x) >= cnp.NPY_NTYPES_LEGACY:
        return from_numpy(x.view("u2")).view(BFLOAT16)
    return from_numpy(x)


# --- Draws ---


class Bits(threading.local):
    """128 random bits, in memory that a thread uses again."""

    def __init__(self):
        with torch.inference_mode(False):  # else it could not be written outside of that mode
            self.tensor = torch.empty(KEY_BYTES, dtype=torch.uint8, device="cpu")
        self.array = self.tensor.numpy()


cdef object bits = Bits()


cdef bytes random_bits(generator):
    """From a generator, which moves on; None is PyTorch's."""
    tensor = bits.tensor
    if generator is None:
        tensor.random_()
    else:
        tensor.random_(generator=generator)
    return PyBytes_FromStringAndSize(<char *>cnp.PyArray_DATA(bits.array), cnp.PyArray_NBYTES(bits.array))


cpdef tuple next_address(stream):
    """The key and the number of the next draw of a Stream, or of a generator of PyTorch's; None is its default one."""
    if stream is None or isinstance(stream, GENERATOR):
        return random_bits(stream), first_draw()
    return address_of(random_bits(None), checked_stream(stream))


# --- Forward and backward ---


def forward(transform, x, training, bint in_place, stream):
    """A transform's result for a tensor that is plain, in autograd; None for another."""
    cdef Mask mask
    if not is_plain(x):
        return None
    kind, p, shared_axes, scale, _ = transform
    if kind != "dropout":
        transform.check(x)
    if not training or p == 0 or x.numel() == 0:
        return x
    if in_place:
        check_in_place(x)
    shape = tuple(x.shape)
    if kind != "dropout":
        return apply(x, transform.context(next_address(stream), shape), in_place)
    mask = Mask.__new__(Mask)
    key, draw = next_address(stream)
    mask.set_address(key, draw)
    mask.set_form(p, shape, shared_axes, scale)
    return apply(x, mask, in_place)


cpdef gradient(context, dy):
    """`context.backward`, as a function that can be differentiated where autograd records."""
    if is_plain_gradient(dy) and not is_grad_enabled() and forward_ad._current_level < 0:
        return tensor(context.backward(array(dy)))
    from simdrop.torch._autograd import recorded  # which imports this file

    return recorded(context, dy)


class Apply(torch.autograd.Function):
    """`context.apply`; of the input nothing is saved."""

    @staticmethod
    def forward(ctx, x, context, in_place):
        ctx.context, ctx.in_place = context, in_place
        if not in_place:
            return tensor(context.apply(array(x)))
        ctx.mark_dirty(x)
        context.apply(array(x), out=array(x))
        return x

    @staticmethod
    def backward(ctx, dy):
        return gradient(ctx.context, dy), None, None

    @staticmethod
    def jvp(ctx, tangent, *_):
        dy = gradient(ctx.context, tangent)
        return tangent.copy_(dy) if ctx.in_place else dy


# Without the checks for torch.func's transforms, which `forward` makes.
cdef object apply = super(torch.autograd.Function, Apply).apply
