"""Arguments by the names that they have in other libraries: errors say which are meant."""

import inspect
import pickle
import pydoc
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _names, fused, nn

X = np.ones(8)
CALLS = {
    "rate": (sd.dropout, r"pass p, the probability of dropping$"),
    "keep_prob": (sd.dropout, r"pass p, the probability of dropping: p = 1 - keep_prob$"),
    "keep_rate": (sd.dropout, r".*p = 1 - keep_rate$"),
    "drop_prob": (sd.drop_path, r"pass p, "),
    "prob": (sd.alpha_dropout, r"pass p, "),
    "seed": (sd.dropout, r"pass rng, where random numbers come from$"),
    "key": (sd.gaussian_dropout, r"pass rng, "),
    "random_state": (sd.zoneout, r"pass rng, "),
    "generator": (fused.relu_dropout, r"pass rng, "),
    "inplace": (sd.dropout, r"pass out, the array to write to, which may be the input itself$"),
    "train": (sd.dropout, r"pass training$"),
    "deterministic": (sd.drop_block, r"pass training = not deterministic$"),
    "noise_shape": (sd.dropout, r"pass shared_axes, .* those where noise_shape has 1$"),
    "axis": (sd.dropout, r"pass shared_axes, the axes along which a decision is shared$"),
    "dim": (sd.locked_dropout, r"pass time_axis, the axes along which a decision is shared$"),
    "batch_first": (sd.locked_dropout, r"pass time_axis=1 for batch_first=True$"),
    "stddev": (sd.gaussian_noise, r"pass std, the standard deviation$"),
    "scale_by_keep": (sd.drop_path, r"pass scale, which says whether kept elements are mul"),
    "input": (fused.dropout_add, r"pass x$"),
}


@pytest.mark.parametrize(("wrong", "call", "hint"), [(k, *v) for k, v in CALLS.items()], ids=CALLS)
def test_the_error_says_which_name_is_meant(wrong, call, hint):
    message = rf"{call.__name__}\(\) got an unexpected keyword argument '{wrong}': {hint}"
    for arguments in ([], [X], [X, 0.5]):
        with pytest.raises(TypeError, match=message):
            call(*arguments, **{wrong: 0})
        with pytest.raises(TypeError, match=message):
            call(*arguments, **{"unheard_of": 1, wrong: 0, "training": False})


def test_classes_and_methods():
    for call, wrong, hint in (
        (sd.Stream, "seed", r"Stream\(\) .*'seed': pass rng, "),
        (lambda **w: sd.Mask(bytes(16), 0, shape=3, **w), "rate", r"Mask\(\) .*'rate': pass p, "),
        (sd.Mask, "seed", r"Mask\(\) .*: pass key and draw; of a simdrop.Stream\(seed\), `mask` "),
        (sd.StoredMask, "keep_prob", r"StoredMask\(\) .*: p = 1 - keep_prob"),
        (sd.GaussianNoiseContext, "sigma", r"GaussianNoiseContext\(\) .*: pass std, "),
        (sd.Stream(0).mask, "rate", r"mask\(\) .*'rate': pass p, "),
        (sd.Stream.mask, "noise_shape", r"mask\(\) .*: pass shared_axes, "),
        (sd.Mask.from_keep, "drop_prob", r"from_keep\(\) .*: pass p, "),
        (nn.Dropout, "rate", r"Dropout\(\) .*: pass p, "),
        (nn.Dropout, "rng", r"Dropout\(\) .*: pass stream, where random numbers come from"),
        (nn.DropPath, "scale", r"DropPath\(\) .*: pass inverted, "),
        (nn.Linear, "in_features", r"Linear\(\) .*: pass n_in$"),
        (nn.Dense, "seed", r"Dense\(\) .*: pass rng, "),
        (nn.MLP, "seed", r"MLP\(\) .*: pass rng, "),
        (nn.MLP, "keep_prob", r"MLP\(\) .*: p = 1 - keep_prob"),
        (nn.MLP((3, 2)).predict_mc, "n_samples", r"predict_mc\(\) .*: pass n$"),
        (sd.schedule.linear, "n_steps", r"linear\(\) .*: pass steps$"),
        (sd.schedule.curriculum, "p", r"curriculum\(\) .*: pass p_max, "),
        (sd.theory.monte_carlo, "seed", r"monte_carlo\(\) .*: pass rng, "),
    ):
        with pytest.raises(TypeError, match=hint):
            call(**{wrong: 0})


def public():
    """Every function and class of the package with p, rng or training."""
    found = [getattr(module, name) for module in (sd, fused, nn) for name in module.__all__]
    found += [sd.schedule.linear, sd.schedule.cosine, sd.schedule.curriculum]
    found += [sd.theory.expectation, sd.theory.monte_carlo, sd.theory.weight_scaling]
    for one in found:
        if callable(one) and not inspect.isabstract(one):
            parameters = list(inspect.signature(one).parameters)
            if {"p", "p_max", "rng", "training", "steps"} & set(parameters):
                yield one.__name__, one, parameters


@pytest.mark.parametrize(("name", "call", "parameters"), list(public()), ids=lambda v: str(v)[:24])
def test_every_name_of_the_table(name, call, parameters):
    """The first entry that fits speaks, whatever else is right or wrong in the call."""
    for wrong in {word for elsewhere, *_ in _names.MEANINGS for word in elsewhere.split()}:
        expected = _names.explanation(call.__name__, parameters, [wrong])
        if wrong in parameters or expected is None:
            continue
        with pytest.raises(TypeError) as caught:
            call(**{wrong: 0})
        assert str(caught.value) == expected
    assert _names.explanation(name, parameters, ["rate"]) or "p" not in parameters
    assert _names.explanation(name, parameters, ["seed"]) or "rng" not in parameters
    with pytest.raises(TypeError) as caught:
        call(unheard_of=0)
    assert "pass " not in str(caught.value)


def test_other_errors_stay_as_they_are():
    for call in (sd.dropout, sd.drop_path, nn.Dropout):
        with pytest.raises(TypeError, match="unexpected keyword argument 'unheard_of'$"):
            call(X, 0.5, unheard_of=0)
    with pytest.raises(TypeError, match=r"p, the probability of dropping, must be a number"):
        sd.dropout(X, "half", rng=0)
    with pytest.raises(ValueError, match="p = 2"):
        sd.dropout(X, p=2)
    with pytest.raises(TypeError, match="takes at least 1 positional argument"):
        sd.dropout(p=0.5)
    with pytest.raises(TypeError, match="multiple values"):
        sd.dropout(X, x=X)

    class Odd:
        def __float__(self):
            raise KeyError("seed")

    for rest in ({}, {"rng": 0}):
        with pytest.raises(KeyError, match="seed"):
            sd.dropout(X, p=Odd(), **rest)
    assert sys.exc_info() == (None, None, None)


def test_an_error_leaves_no_reference_behind():
    if not hasattr(sys, "getrefcount"):
        pytest.skip("this interpreter does not count references")

    def failed(**named):
        with pytest.raises(TypeError):
            sd.dropout(X, **named)

    value = object()
    for named in ({"rate": value}, {"unheard_of": value}, {"p": value}):
        failed(**named)
        before = sys.getrefcount(value), sys.getrefcount(TypeError)
        for _ in range(100):
            failed(**named)
        assert sys.getrefcount(value) == before[0]
        assert abs(sys.getrefcount(TypeError) - before[1]) < 50


def test_functions_are_what_they_were():
    text = "dropout(x, p=0.5, *, rng=None, shared_axes=(), training=True, scale=True, out=None)"
    assert text in pydoc.plain(pydoc.render_doc(sd.dropout))
    assert str(inspect.signature(sd.dropout)) == text.removeprefix("dropout")
    assert str(inspect.signature(sd.Stream.mask)).startswith("(self, shape, p=0.5, *, shared_axes")
    assert str(inspect.signature(nn.Dropout)).startswith("(p: ")
    for call in (sd.dropout, sd.drop_path, sd.zoneout, fused.bias_dropout, sd.apply_packed):
        assert pickle.loads(pickle.dumps(call)) is call
        assert call.__doc__ and call.__module__.startswith("simdrop")
        assert inspect.unwrap(call).__name__ == call.__name__


@given(
    st.lists(st.sampled_from(["x", "p", "rng", "out", "key", "training"]), unique=True),
    st.lists(st.text(max_size=5) | st.sampled_from(["p", "rate", "seed", "out"]), max_size=3),
)
def test_an_explanation_is_about_a_name_that_is_wrong_and_one_that_is_right(parameters, given):
    found = _names.explanation("f", parameters, given)
    if found is not None:
        wrong = found.split("'")[1]
        assert wrong in given and wrong not in parameters
        assert any(f"pass {right}" in found for right in parameters)
    elif "rate" in given:
        assert "p" not in parameters


def test_no_entry_is_hidden_by_an_earlier_one():
    seen = set()
    for elsewhere, parameters, _ in _names.MEANINGS:
        pairs = {(word, here) for word in elsewhere.split() for here in parameters}
        assert not pairs & seen, pairs & seen
        seen |= pairs
