"""Arguments by the names that they have elsewhere: errors that say which name is meant here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

T = TypeVar("T")


P = ("p", "p_max", "dropout")

# Names of arguments in other libraries, the parameters that they mean (of these the first that a
# function has), and what to say. Constants, since each import of simdrop reads this.
MEANINGS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "p rate drop_rate dropout_rate droprate drop_prob dropout_prob drop_probability "
        "dropout_probability prob probability p_drop dropout_p drop dropout ratio drop_ratio",
        P,
        "pass {here}, the probability of dropping",
    ),
    (
        "keep_prob keep_rate keep_probability keep p_keep keep_p retain_prob retain_rate "
        "survival_prob survival_probability survival_rate",
        P,
        "pass {here}, the probability of dropping: {here} = 1 - {elsewhere}",
    ),
    (
        "seed rng random_state generator random_seed stream rngs prng_key",
        ("draw",),
        "pass key and draw; of a simdrop.Stream(seed), `mask` takes the next ones",
    ),
    (
        "seed rng key random_state generator random_seed stream rngs prng_key",
        ("rng", "random_state", "stream", "key"),
        "pass {here}, where random numbers come from",
    ),
    ("train is_training is_train train_mode", ("training",), "pass {here}"),
    (
        "deterministic eval evaluate evaluation inference test is_test",
        ("training",),
        "pass {here} = not {elsewhere}",
    ),
    (
        "noise_shape",
        ("shared_axes",),
        "pass {here}, the axes along which a decision is shared: those where noise_shape has 1",
    ),
    (
        "broadcast_dims broadcast_axes axis axes dim dims shared_axis",
        ("shared_axes", "time_axis"),
        "pass {here}, the axes along which a decision is shared",
    ),
    ("batch_first", ("time_axis",), "pass {here}=1 for batch_first=True"),
    (
        "inplace in_place output",
        ("out",),
        "pass {here}, the array to write to, which may be the input itself",
    ),
    ("in_place out", ("inplace",), "pass {here}=True to write over the input"),
    (
        "scale inverted rescale scaling upscale scale_by_keep",
        ("scale", "inverted"),
        "pass {here}, which says whether kept elements are multiplied by 1 / (1 - p)",
    ),
    (
        "stddev stdev sigma standard_deviation noise_std scale",
        ("std",),
        "pass {here}, the standard deviation",
    ),
    ("input inputs tensor data array a X", ("x", "W", "weight", "h"), "pass {here}"),
    ("x inputs tensor data array a X", ("input",), "pass {here}"),
    ("n_samples num_samples passes n_passes num_passes", ("n",), "pass {here}"),
    ("blocksize block kernel_size size", ("block_size",), "pass {here}"),
    ("p_start start_p initial initial_p begin", ("start",), "pass {here}"),
    ("p_end end_p final final_p", ("end",), "pass {here}"),
    ("n_steps num_steps total_steps", ("steps",), "pass {here}"),
    ("input_dropout input_p p_in", ("p_input",), "pass {here}"),
    ("p_input input_p", ("input_dropout",), "pass {here}"),
    ("in_features", ("n_in",), "pass {here}"),
    ("out_features units", ("n_out",), "pass {here}"),
)


def explanation(name: str, parameters: Iterable[str], given: Iterable[str]) -> str | None:
    """
    What to say if a function with these parameters is given arguments by these names.

    None if it has parameters of all these names, or nobody knows what those others are elsewhere.
    """
    known = tuple(parameters)
    for wrong in given:
        if wrong in known:
            continue
        for elsewhere, parameters_here, hint in MEANINGS:
            here = next((one for one in parameters_here if one in known), None)
            if here is not None and wrong in elsewhere.split():
                hint = hint.format(here=here, elsewhere=wrong)
                return f"{name}() got an unexpected keyword argument {wrong!r}: {hint}"
    return None


def explained(of: T) -> T:
    """A function, or a class with its own `__init__`, whose TypeErrors for arguments by other names
    say which are meant. Compiled functions: `simdrop._core.named`."""
    if isinstance(of, type):
        of.__init__ = _explained(of.__init__, True)  # type: ignore[misc]
        return of
    call: Any = _explained(of, False)
    return call  # type: ignore[no-any-return]


def _explained(function: Any, of_class: bool) -> Any:
    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except TypeError:
            name = type(args[0]).__name__ if of_class and args else function.__name__
            error = explanation_of(function, name, named)
            if error is None:
                raise
        raise TypeError(error)

    return call


def explanation_of(function: Any, name: str, given: Iterable[str]) -> str | None:
    """The same for any function; of one that takes any names, nothing can be said."""
    parameters = signature(function).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return explanation(name, parameters, given)
