"""The arguments of an MLP, read back from its layers, and the MLP that they make."""

from __future__ import annotations

import operator
from typing import Any

from simdrop import _schema, schedule

from .activations import ACTIVATIONS, ActivityL1
from .arguments import Probability
from .batchwise import KeptInputs
from .losses import LOSSES
from .mlp import MLP
from .network import Network

SCHEDULES = {
    kind.__name__: kind for kind in (schedule.linear, schedule.cosine, schedule.curriculum)
}
DTYPES = ("float32", "float64")
KINDS = ("elementwise", "batchwise")


def arguments(net: Network) -> dict[str, Any] | None:
    """The arguments of `MLP` that make a net like this one, in JSON's types.

    None if it is no MLP, or drops by a function that is not of `simdrop.schedule`.
    """
    if type(net) is not MLP:
        return None
    penalties = {layer.strength for layer in net.layers if isinstance(layer, ActivityL1)}
    first, *others = [layer for layer in net.layers if not isinstance(layer, ActivityL1)]
    hidden: list[Any] = others[:-1]
    units: list[Any]
    if isinstance(first, KeptInputs):
        kind, units = KINDS[1], [first.units, *(layer.units_out for layer in hidden)]
    else:
        kind, units = KINDS[0], [first, *hidden]
    try:
        p_input, *p = (_p_to_json(one.p) for one in units)
    except TypeError:
        return None
    if len({one.inverted for one in units}) > 1:  # set by the user; one argument is for all
        return None
    return {
        "sizes": list(net.sizes),
        "activation": hidden[0].activation if hidden else "relu",
        "p": p,
        "p_input": p_input,
        "dropout": kind,
        "inverted": units[0].inverted,
        "loss": next(name for name, loss in LOSSES.items() if loss is net.criterion),
        "activity_l1": penalties.pop() if penalties else 0.0,
        "dtype": net.dtype.name,
    }


def check(value: Any, name: str) -> None:
    """Raise ValueError for what `arguments` never gives."""
    _schema.fields(
        sizes=_schema.items(_schema.count),
        activation=_one_of(ACTIVATIONS),
        p=_schema.items(_check_p),
        p_input=_check_p,
        dropout=_one_of(KINDS),
        inverted=_schema.boolean,
        loss=_one_of(LOSSES),
        activity_l1=_schema.from_zero,
        dtype=_one_of(DTYPES),
    )(value, name)
    sizes = value["sizes"]
    if len(sizes) < 2 or min(sizes) < 1:
        _schema.refuse(sizes, f"{name}.sizes", "two or more positive numbers")
    if len(value["p"]) != len(sizes) - 2:
        _schema.refuse(value["p"], f"{name}.p", f"one for each of {len(sizes) - 2} hidden layers")


def rebuilt(value: dict[str, Any]) -> MLP:
    """The net of arguments that passed `check`; its weights and streams are those of no seed."""
    p = [_p_from_json(one, "p") for one in value["p"]]
    given = value | {"p": p or 0.0, "p_input": _p_from_json(value["p_input"], "p_input")}
    return MLP(**given, rng=0)


def _p_to_json(p: Probability) -> float | dict[str, Any]:
    """TypeError for a function of the user's own."""
    if not callable(p):
        return float(p)
    name = type(p).__name__
    if SCHEDULES.get(name) is not type(p):
        raise TypeError(f"{name} is not of simdrop.schedule")
    return {"schedule": name, "values": [_number(value) for value in p._values()]}


def _number(value: Any) -> int | float:
    """In JSON's types, as a whole number if it is one: 10 steps are not 10.0."""
    return operator.index(value) if hasattr(value, "__index__") else float(value)


def _p_from_json(value: Any, name: str) -> Probability:
    """ValueError for what `_p_to_json` never gives."""
    if not isinstance(value, dict):
        _schema.fraction(value, name)
        return float(value)
    _schema.fields(schedule=_one_of(SCHEDULES), values=_schema.items(_schema.from_zero))(
        value, name
    )
    try:
        made: Probability = SCHEDULES[value["schedule"]](*value["values"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
    return made


def _check_p(value: Any, name: str) -> None:
    _p_from_json(value, name)


def _one_of(known: Any) -> _schema.Check:
    def check_it(value: Any, name: str) -> None:
        if not isinstance(value, str) or value not in known:
            _schema.refuse(value, name, f"one of {', '.join(known)}")

    return check_it
