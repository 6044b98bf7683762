"""Dropout fused with what precedes or follows it in a net: one pass over memory each way.

Every function has the form ``y, ctx = function(x, ...)``, with the gradients from
``ctx.backward(dy)``. It drops the elements that `simdrop.dropout` drops with the same stream and
draw, takes float32 and float64, computes in C order (arrays in another layout are copied), and
gives the same bits on every instruction set.
"""

from simdrop._core.fused import (
    BiasDropout,
    Context,
    DropoutAdd,
    ReluDropout,
    bias_dropout,
    dropout_add,
    relu_dropout,
)

__all__ = [
    "BiasDropout",
    "Context",
    "DropoutAdd",
    "ReluDropout",
    "bias_dropout",
    "dropout_add",
    "relu_dropout",
]
