"""Dropout fused with the operations around it in a net: one pass over memory in each direction.

Every function has the form ``y, ctx = function(x, ...)``, with the gradients from
``ctx.backward(dy)``. It drops the same elements as `simdrop.dropout` with the same stream and draw,
takes float32 and float64, computes in C order (arrays in another layout are copied), and gives the
same bits on every instruction set.
"""

from simdrop._core.fused import (
    BiasDropoutContext,
    Context,
    DropoutAddContext,
    ReluDropoutContext,
    bias_dropout,
    dropout_add,
    relu_dropout,
)

__all__ = [
    "BiasDropoutContext",
    "Context",
    "DropoutAddContext",
    "ReluDropoutContext",
    "bias_dropout",
    "dropout_add",
    "relu_dropout",
]
