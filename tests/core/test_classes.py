"""The compiled classes: never initialised, failed or twice; signatures; no operands of ufuncs."""

import copy
import gc
import inspect
import pickle

import numpy as np
import pytest

import simdrop as sd
from simdrop import fused, submatrix
from simdrop._core import alpha, gaussian, task

KEY = bytes(16)
X = np.ones((2, 3))

# Every class, and arguments that it takes and that it refuses; None: it is not made by hand.
CLASSES = {
    sd.Draw: ((KEY, 0, (2, 3)), (KEY, 0, (2, 3, -1))),
    sd.Mask: ((KEY, 0, 0.5, (2, 3)), (KEY, 0, 0.5, (2, 3, -1))),
    sd.StoredMask: ((b"\x15", 0.5, (2, 3)), (b"\x15\x15", 0.5, (2, 3))),
    sd.GaussianDropoutContext: ((KEY, 0, 0.5, (2, 3)), (KEY, 0, 0.5, (2, -3))),
    sd.GaussianNoiseContext: ((KEY, 0, 0.5, (2, 3)), (KEY, 0, 0.5, (2, -3))),
    sd.AlphaDropoutContext: ((KEY, 0, 0.5, (2, 3)), (KEY, 0, 0.5, (2, -3))),
    sd.Stream: ((0,), ("seed",)),
    submatrix.Kept: ((sd.Mask(KEY, 0, 0.5, 6),), (X,)),
    gaussian.GaussianContext: None,
    fused.Context: None,
    fused.BiasDropoutContext: None,
    fused.DropoutAddContext: None,
    fused.ReluDropoutContext: None,
}
BY_HAND = [cls for cls, arguments in CLASSES.items() if arguments is not None]


def test_the_list_has_every_public_class():
    found = set()
    for module in (sd, fused, alpha, gaussian, submatrix):
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__.startswith("simdrop."):
                if not value.__flags__ & (1 << 9):  # not a heap type: compiled
                    found.add(value)
    assert {cls for cls in found if not issubclass(cls, task.Task)} == set(CLASSES)


def use(object):
    """Call all that an object has, with what its methods take: errors may come, crashes not."""
    errors = 0
    kept = {"rows": object, "columns": object}
    calls = [
        lambda: repr(object),
        lambda: hash(object),
        lambda: object == object,
        lambda: pickle.loads(pickle.dumps(object)),
        lambda: copy.deepcopy(object),
        lambda: np.asarray(object),
        lambda: sd.dropout(X, rng=object),
        lambda: sd.dropout_backward(X, object),
        lambda: submatrix.Kept(object),
        lambda: submatrix.gather(X, object),
        lambda: submatrix.gather(X, columns=object),
        lambda: submatrix.sgd(X.copy(), X, X.copy(), lr=0.1, **kept),
    ]
    for name in dir(type(object)):
        if name.startswith("__") or name in ("use",):
            continue
        for arguments in ((), (X,), ((0, 0), (1, 1)), (0, 2), ((2, 3), 0.5), (2,)):
            calls.append(lambda name=name, arguments=arguments: getattr(object, name)(*arguments))
    for call in calls:
        try:
            call()
        except Exception:
            errors += 1
    gc.collect()
    return errors


@pytest.mark.parametrize("cls", CLASSES)
def test_made_by_new_alone(cls):
    object = cls.__new__(cls)
    assert use(object) > 0
    for method in ("apply", "backward", "keep", "normals", "packbits"):
        if hasattr(cls, method):
            arguments = (X,) if method in ("apply", "backward") else ()
            with pytest.raises(Exception) as error:
                getattr(object, method)(*arguments)
            assert isinstance(error.value, (AttributeError, TypeError, ValueError))


@pytest.mark.parametrize("cls", [sd.Draw, sd.Mask, sd.StoredMask])
def test_what_was_never_initialised_says_so(cls):
    with pytest.raises(TypeError, match=f"this {cls.__name__} was never initialised"):
        cls.__new__(cls).window((0, 0), (1, 1))


class Keyless(sd.Stream):
    def __init__(self):
        pass


@pytest.mark.parametrize("make", [lambda: sd.Stream.__new__(sd.Stream), Keyless])
def test_a_stream_without_a_key_draws_nothing(make):
    """Its masks would be those of a key that is all zeros, alike in every such stream."""
    for use in (
        lambda stream: stream.mask(8),
        lambda stream: stream.spawn(2),
        lambda stream: stream.key,
        lambda stream: stream.state,
        lambda stream: repr(stream),
        lambda stream: pickle.dumps(stream),
        lambda stream: sd.Stream(stream),
        lambda stream: sd.dropout(X, rng=stream),
    ):
        with pytest.raises(TypeError, match="was never initialised"):
            use(make())
    stream = make()
    stream.state = sd.Stream(5).state
    assert stream.mask(8) == sd.Stream(5).mask(8)


@pytest.mark.parametrize("cls", BY_HAND)
def test_made_by_a_constructor_that_failed(cls):
    right, wrong = CLASSES[cls]
    object = cls.__new__(cls)
    with pytest.raises((TypeError, ValueError)):
        object.__init__(*wrong)
    use(object)
    with pytest.raises((TypeError, ValueError)):
        object.__init__(*([-1] if cls is sd.Stream else []))
    use(object)
    # What failed has left nothing behind.
    object.__init__(*right)
    if cls is submatrix.Kept:
        assert repr(object) == repr(cls(*right))
    elif cls is sd.Stream:
        assert object.state == cls(*right).state
    else:
        assert object == cls(*right) and object.shape == (2, 3)
        if cls is not sd.Draw:
            np.testing.assert_array_equal(object.apply(X), cls(*right).apply(X))


@pytest.mark.parametrize("cls", [c for c in BY_HAND if c is not sd.Stream])
def test_a_constructor_that_is_called_twice(cls):
    right, _ = CLASSES[cls]
    object = cls(*right)
    before = repr(object)
    with pytest.raises(TypeError, match="cannot be changed"):
        object.__init__(*right)
    assert repr(object) == before
    if hasattr(cls, "apply"):
        np.testing.assert_array_equal(object.apply(X), cls(*right).apply(X))


def test_a_stream_is_seeded_anew_as_a_whole_or_not_at_all():
    stream = sd.Stream(0)
    stream.__init__(1)
    assert stream.state == sd.Stream(1).state
    with pytest.raises(TypeError):
        stream.__init__("seed")
    assert stream.state == sd.Stream(1).state


@pytest.mark.parametrize("cls", BY_HAND)
def test_a_subclass_that_does_not_call_its_parent(cls):
    class Careless(cls):
        def __init__(self):
            pass

    assert use(Careless()) > 0


@pytest.mark.parametrize("cls", [c for c in CLASSES if issubclass(c, fused.Context)])
def test_contexts_are_not_made_by_hand(cls):
    with pytest.raises(
        TypeError, match=f"a {cls.__name__} is what a function of simdrop.fused returns"
    ):
        cls()
    with pytest.raises(TypeError):
        cls(1, x=2)


# --- Signatures ---


@pytest.mark.parametrize("cls", BY_HAND)
def test_signatures(cls):
    signature = inspect.signature(cls)
    assert len(signature.parameters) >= len(CLASSES[cls][0])
    for name in signature.parameters:
        assert name in cls.__doc__
    right, _ = CLASSES[cls]
    bound = signature.bind(*right)
    cls(*bound.args, **bound.kwargs)


def test_what_is_missing_is_named():
    with pytest.raises(TypeError, match=r"Mask\(\) missing 2 required .* 'p' and 'shape'"):
        sd.Mask((2, 3), 0.5)
    for cls in BY_HAND:
        if cls is not sd.Stream:
            first = next(iter(inspect.signature(cls).parameters))
            with pytest.raises(TypeError, match=rf"{cls.__name__}\(\) missing .*'{first}'"):
                cls()
        with pytest.raises(TypeError, match=rf"{cls.__name__}\(\) got an unexpected .*'colour'"):
            cls(*CLASSES[cls][0], colour=1)


def test_methods_have_signatures():
    for cls in CLASSES:
        for name, method in vars(cls).items():
            if callable(method) and not name.startswith("_"):
                assert "args" not in inspect.signature(method).parameters, (cls, name)


# --- Not for ufuncs ---

TRANSFORMED = {
    "Mask": lambda: sd.dropout(X, rng=0)[1],
    "StoredMask": lambda: sd.Mask.from_keep(X > 0),
    "GaussianDropoutContext": lambda: sd.gaussian_dropout(X, rng=0)[1],
    "GaussianNoiseContext": lambda: sd.gaussian_noise(X, 1, rng=0)[1],
    "AlphaDropoutContext": lambda: sd.alpha_dropout(X, rng=0)[1],
    "DropBlockContext": lambda: sd.drop_block(X, 0.5, 1, rng=0)[1],
    "EmbeddingDropoutContext": lambda: sd.embedding_dropout(X, 0.5, indices=[0], rng=0)[1],
    "ZoneoutContext": lambda: sd.zoneout(X, X, 0.5, rng=0)[1],
    "DropConnectMatmulContext": lambda: sd.drop_connect_matmul(X, X.T, 0.5, rng=0)[1],
    "BiasDropoutContext": lambda: fused.bias_dropout(X, X[0], rng=0)[1],
    "DropoutAddContext": lambda: fused.dropout_add(X, X, rng=0)[1],
    "ReluDropoutContext": lambda: fused.relu_dropout(X, rng=0)[1],
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_products_with_a_mask_are_refused(name):
    """By the bools of a mask they would not be scaled: every loop written by hand has this line."""
    mask = TRANSFORMED[name]()
    assert type(mask).__name__ == name
    call = "apply" if hasattr(mask, "apply") and name != "EmbeddingDropoutContext" else "backward"
    y = X.copy()
    for product in (
        lambda: X * mask,
        lambda: mask * X,
        lambda: np.float32(2) * mask,
        lambda: np.multiply(mask, X),
        lambda: np.multiply(X, mask, out=y),
        lambda: np.add.reduce(mask),
        lambda: y.__imul__(mask),
        lambda: X @ mask,
        lambda: X - mask,
        lambda: X & mask,
        lambda: np.where(mask, X, 0) * mask,
    ):
        with pytest.raises(TypeError, match=rf"{name}, which is not an array: call its {call}\("):
            product()
    np.testing.assert_array_equal(y, X)


def test_a_mask_is_still_an_array_where_one_asks_for_it():
    mask = sd.dropout(X, rng=0)[1]
    np.testing.assert_array_equal(np.asarray(mask), mask.keep())
    np.testing.assert_array_equal(np.where(mask, X, 0), np.where(mask.keep(), X, 0))
