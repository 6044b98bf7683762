"""Checkpoints for tests: nets to save, all bits of them, and every way to spoil a file."""

import hashlib
import json

import numpy as np

from simdrop import nn

OPTIMIZERS = {
    "sgd": lambda net: nn.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True, max_norm=2.0),
    "adam": lambda net: nn.Adam(net.parameters(), 0.01, l2=0.01, l1=0.001),
}


def make(seed, sizes=(4, 6, 5, 3), optimizer="sgd", **keywords):
    net = nn.MLP(sizes, rng=seed, **keywords)
    return net, OPTIMIZERS[optimizer](net)


def steps(net, optimizer, first, last):
    """Train on the batches of these numbers."""
    for number in range(first, last):
        rng = np.random.default_rng(number)
        x = rng.normal(size=(7, net.n_in)).astype(net.dtype)
        optimizer.lr *= 0.95
        net.train_step(x, rng.integers(0, net.n_out, 7), optimizer)


def all_of(net, optimizer):
    """Every bit of a net and its optimizer."""
    arrays = [p.value for p in net.parameters()] + sum(optimizer.state, [])
    numbers = [layer.steps for layer in net.layers], [s.state for s in net.streams()]
    return [a.tobytes() for a in arrays], numbers, optimizer.steps, optimizer.lr


def digest(arrays):
    """SHA-256 of all names, types, shapes and bytes, as docs/how-to/checkpoints.md has it."""
    parts = []
    for name in sorted(arrays):
        array = arrays[name]
        whole = f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()
        parts.append([name, hashlib.sha256(whole).hexdigest()])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def contents(path):
    """The JSON and the arrays of a checkpoint, the digest among them."""
    with np.load(path) as npz:
        arrays = dict(npz)
    return json.loads(arrays.pop("about").tobytes()), arrays


def forge(path, about, arrays, new_digest=True):
    """Write a checkpoint by hand, with the digest of its contents or with the one it had."""
    arrays = arrays | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    if new_digest:
        arrays.pop("sha256", None)
        arrays["sha256"] = np.array(digest(arrays))
    np.savez(path, **arrays)


def rewritten(path, **changes):
    """Change the JSON of a checkpoint."""
    about, arrays = contents(path)
    forge(path, about | changes, arrays)


NOT_COUNTS = [None, "1", [1], {}, True, 1.5, -1, 2**63, 2**64, 10**400, float("nan"), float("inf")]


NOT_NUMBERS = [None, "0.5", [0.5], {}, True, -1.0, 10**400, -(10**400), float("nan"), float("inf")]


NOT_TEXT = [None, 1, 1.5, True, ["a"], {}]


NOT_FLAGS = [None, 0, 1, 1.0, "true", [], {}]


NOT_OBJECTS = [None, 1, "{}", [], True]


NOT_LISTS = [None, 1, "[]", {}, True]


def wrong_values(value, path):
    """What cannot be in the place of a value."""
    if path[-1] == "max_norm":
        return [*NOT_NUMBERS[1:], 0.0]
    if isinstance(value, bool):
        return NOT_FLAGS if path[-1] == "nesterov" else [not value, *NOT_FLAGS]
    if isinstance(value, int):
        return NOT_COUNTS
    if isinstance(value, float):
        return NOT_NUMBERS
    if isinstance(value, str):
        return NOT_TEXT if path[-1] == "simdrop" else [*NOT_TEXT, "another", ""]
    if isinstance(value, list):
        shorter = [] if path[-1] == "history" else [value[:-1]]  # before the measurement
        return [*NOT_LISTS, [*value, None], [*value, *value[-1:]], *shorter]
    if isinstance(value, dict):
        return [*NOT_OBJECTS, value | {"more": 1}]
    return [1, "a", [], {}, False]  # None


def variants(value, path=(), skip=()):
    """Of a value of JSON all wrong ones that differ in one place: where, what is there, all."""
    if path in skip:
        return
    if path:
        for wrong in wrong_values(value, path):
            if json.dumps(wrong) != json.dumps(value):
                yield path, wrong, wrong
    if isinstance(value, dict):
        for key in value:
            yield (*path, key), "missing", {k: v for k, v in value.items() if k != key}
            for where, what, inner in variants(value[key], (*path, key), skip):
                yield where, what, value | {key: inner}
    elif isinstance(value, list):
        for i, item in enumerate(value):
            for where, what, inner in variants(item, (*path, i), skip):
                yield where, what, [*value[:i], inner, *value[i + 1 :]]


def spoil(path, how):
    """Make a file of a checkpoint's name that is none."""
    if how == "text":
        path.write_text("not what it should be")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "npz":
        np.savez(path, a=np.zeros(3))
    elif how == "version":
        rewritten(path, version=1)
    elif how == "format":
        rewritten(path, format="another")


SPOILT = {
    "text": "is no checkpoint: it starts with 6e 6f 74 20",
    "empty": "is no checkpoint: it starts with no byte",
    "truncated": "is a damaged checkpoint",
    "npz": "is an .npz file, but no checkpoint",
    "version": "is a checkpoint of version 1; this simdrop",
    "format": "is an .npz file, but no checkpoint",
}
