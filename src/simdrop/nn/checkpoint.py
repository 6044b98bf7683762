"""Checkpoints: nets and their optimizers in a file, from which training continues bit for bit.

The file is an .npz of NumPy, without pickles. Its array `about` holds bytes of JSON (its schema is
`_ABOUT`): the format's name and version; for each net what its layers are, their steps, the states
of its streams, the arguments of an `MLP` and the settings of its optimizer; and what the caller
adds. `sha256` is a digest of all else. The other arrays are the parameters and the optimizers'
state: `NET/parameter/I` and `NET/state/I/J`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import reprlib
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

import simdrop as sd
from simdrop import _schema
from simdrop._files import Target, is_file, replacing, spelled
from simdrop._npz import Npz

from . import rebuild
from .network import Network
from .optimizers import Optimizer
from .parameter import Array

FORMAT = "simdrop checkpoint"
VERSION = 3
READ = (2, 3)  # a net of version 2 has no `mlp`
ZIP_MAGIC = b"PK\x03\x04"


def save(path: Target, net: Network, optimizer: Optimizer | None = None, extra: Any = None) -> None:
    """
    Write a net, its optimizer and the state of the training to a file, completely or not at all.

    Parameters
    ----------
    path : str, bytes, PathLike or file
        The name is used as it is, without a suffix. An existing file is replaced in one step once
        the new one is on the disk, and its permissions are kept: neither a kill nor a full disk
        leaves a partial file. A file open for writing bytes is written to and stays open.
    net : Network
        Saved are what its layers are, its parameters, its layers' steps and the states of its
        streams, but not that of the process-wide stream.
    optimizer : Optimizer or None
        Saved are its settings, such as lr, its steps and its state.
    extra : optional
        Anything else that JSON can hold, such as the epoch; `load` returns it.

    Raises
    ------
    TypeError
        If JSON cannot hold `extra`.
    ValueError
        If a setting of the optimizer is not finite.
    OSError
        If the file cannot be written, or is a folder, device or pipe; an existing file stays.
    """
    write(path, {"net": (net, optimizer)}, extra)


def load(
    path: Target, net: Network, optimizer: Optimizer | None = None, *, name: str = "net"
) -> Any:
    """
    Restore a net and its optimizer to the state that `save` wrote.

    Parameters
    ----------
    path : str, bytes, PathLike or file
        The file; an open one must be seekable, as for `numpy.load`.
    net : Network
        One that computes in evaluation what the saved one does, once it has its parameters: with
        the same kinds of layers, sizes, dtypes, activations, `inverted` and criterion. What only
        training uses may differ: p (unless ``inverted=False`` makes it a factor in evaluation),
        block sizes, shared axes, penalties. It stays in training or evaluation mode.
    optimizer : Optimizer or None
        Of the same kind as the one saved, whose settings, such as lr, it gets. None loads the net
        alone.
    name : str
        Which net, of a file with several: those of `simdrop train` are "without" and "with".

    Returns
    -------
    object
        The `extra` that was saved, with lists in the place of tuples.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, is damaged, or is of another version, net or optimizer;
        then, or after an interruption, nothing has changed.
    OSError
        If the file cannot be read.
    """
    checkpoint = read(path)
    checkpoint.restore({name: (net, optimizer)})
    return checkpoint.extra


Pair = tuple[Network, Optimizer | None]


def write(path: Target, nets: Mapping[str, Pair], extra: Any = None) -> None:
    """`save` for several nets, each with a name."""
    about = {
        "format": FORMAT,
        "version": VERSION,
        "simdrop": sd.__version__,
        "nets": {name: described(*pair) for name, pair in nets.items()},
        "extra": extra,
    }
    text = json.dumps(about, default=_plain)
    arrays = {"about": np.frombuffer(text.encode(), np.uint8)}
    for name, pair in nets.items():
        arrays |= arrays_of(name, *pair)
    _check(json.loads(text), arrays)
    with replacing(path) as file:
        np.savez(file, sha256=np.array(_digest(arrays)), **arrays)  # type: ignore[arg-type]


def read(path: Target) -> Checkpoint:
    """Read and check a file; the errors are those of `load`."""
    name = spelled(path)
    opened: Any = nullcontext(path) if is_file(path) else open(cast(str, path), "rb")
    with opened as file:
        magic = file.read(len(ZIP_MAGIC))
        if magic != ZIP_MAGIC:
            raise ValueError(
                f"{name} is no checkpoint: it starts with {magic.hex(' ') or 'no byte'}"
            )
        file.seek(-len(magic), 1)
        try:
            arrays = _read_arrays(file)
            digest, found = str(arrays.pop("sha256", "")), _digest(arrays)
        except ValueError as error:
            raise ValueError(f"{name} is a damaged checkpoint: {error}") from error
    try:
        about = json.loads(arrays["about"].tobytes())
        if about["format"] != FORMAT:
            raise KeyError("format")
        version = about["version"]
    except Exception as error:
        raise ValueError(f"{name} is an .npz file, but no checkpoint") from error
    if version not in READ or isinstance(version, bool):
        raise ValueError(
            f"{name} is a checkpoint of version {reprlib.repr(version)}; "
            f"this simdrop {sd.__version__} reads versions {' and '.join(map(str, READ))}"
        )
    if version == 2:
        nets = about.get("nets")
        for net in nets.values() if isinstance(nets, dict) else ():
            if isinstance(net, dict):
                net["mlp"] = None
    try:
        if digest != found:
            raise ValueError("its contents are not those of its digest")
        _check(about, arrays)
    except ValueError as error:
        raise ValueError(f"{name} is a damaged checkpoint: {error}") from error
    del arrays["about"]
    return Checkpoint(name, about["nets"], arrays, about["extra"], version)


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file, checked by `_check`."""

    name: str
    about: dict[str, Any]
    arrays: dict[str, Array]
    extra: Any
    version: int

    def restore(self, nets: Mapping[str, Pair]) -> None:
        """Set nets and optimizers to what the file holds, or change none of them.

        Raises
        ------
        ValueError
            Naming the first difference from those saved.
        """
        for name, pair in nets.items():
            self._compare(name, *pair)
        before = {
            name: (described(*pair), {key: a.copy() for key, a in arrays_of(name, *pair).items()})
            for name, pair in nets.items()
        }
        try:
            for name, pair in nets.items():
                put(name, pair, self.about[name], self.arrays)
        except BaseException:  # an interruption
            for name, pair in nets.items():
                put(name, pair, *before[name])
            raise

    def _compare(self, name: str, net: Network, optimizer: Optimizer | None) -> None:
        if name not in self.about:
            raise ValueError(f"{self.name} has no net {name!r}; it has {', '.join(self.about)}")
        saved, here = self.about[name], described(net, optimizer)
        if optimizer is None:
            saved = saved | {"optimizer": None}
        elif saved["optimizer"] is None:
            raise ValueError(f"{self.name} holds no optimizer")
        different = _difference(
            _common(saved), json.loads(json.dumps(_common(here), default=_plain))
        )
        if not different:
            arrays = arrays_of(name, net, optimizer)
            different = _difference(
                _kinds({key: self.arrays[key] for key in arrays}), _kinds(arrays)
            )
        if different:
            raise ValueError(f"{self.name} is of another net or optimizer: {different}")
        for key, array in arrays.items():
            if not array.flags.writeable:
                raise ValueError(f"{key} of this net cannot be written to")
        if optimizer is not None:
            try:
                _check_numbers(saved["optimizer"]["numbers"], optimizer)
            except (TypeError, ValueError) as error:
                kind = saved["optimizer"]["kind"]
                raise ValueError(f"{self.name} does not fit this {kind}: {error}") from error


def _check_numbers(saved: dict[str, Any], optimizer: Optimizer) -> None:
    """Raise ValueError or TypeError for settings that the optimizer itself would refuse."""
    kinds = {
        name: _schema.boolean
        if isinstance(value, bool)
        else _schema.optional(_finite)
        if value is None or isinstance(value, int | float | np.number)
        else _schema.anything
        for name, value in _numbers(optimizer).items()
    }
    _schema.fields(**kinds | {"steps": _schema.count})(saved, "numbers")
    # Its constructor knows the ranges.
    kind = type(optimizer)
    given = {name: saved[name] for name in inspect.signature(kind).parameters if name in saved}
    try:
        inspect.signature(kind).bind(optimizer.parameters, **given)
    except TypeError:  # a class of its own, with other names for its arguments
        return
    kind(optimizer.parameters, **given)


def put(name: str, pair: Pair, about: dict[str, Any], arrays: Mapping[str, Array]) -> None:
    """Make a net and its optimizer what `described` and `arrays_of` once said of them."""
    net, optimizer = pair
    for key, array in arrays_of(name, net, optimizer).items():
        array[...] = arrays[key]
    for layer, steps in zip(net.layers, about["steps"], strict=True):
        layer.steps = steps
    for stream, state in zip(net.streams(), about["streams"], strict=True):
        stream.state = state
    if optimizer is not None:
        vars(optimizer).update(about["optimizer"]["numbers"])


# What is in a file

_STREAM = _schema.fields(
    stream=_schema.count, key=_schema.text, draw=_schema.count, spawned=_schema.count
)
_finite = _schema.number("that is finite", lambda value: True)


def _stream_state(value: Any, name: str) -> None:
    """What `Stream.state` gives and takes."""
    _STREAM(value, name)
    try:
        sd.Stream(0).state = value
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _setting(value: Any, name: str) -> None:
    """What an optimizer may have."""
    if isinstance(value, float):
        _finite(value, name)


_NET = _schema.fields(
    criterion=_schema.text,
    layers=_schema.items(_schema.mapping(_schema.anything)),  # what `Layer.describe` gives
    steps=_schema.items(_schema.count),
    streams=_schema.items(_stream_state),
    parameters=_schema.count,
    mlp=_schema.optional(rebuild.check),
    optimizer=_schema.optional(
        _schema.fields(
            kind=_schema.text,
            numbers=_schema.mapping(_setting),
            states=_schema.items(_schema.count),  # arrays for each of its parameters
        )
    ),
)
_ABOUT = _schema.fields(
    format=_schema.text,
    version=_schema.count,
    simdrop=_schema.text,
    nets=_schema.mapping(_NET),
    extra=_schema.anything,
)


def _check(about: Any, arrays: Mapping[str, Array]) -> None:
    """Raise ValueError for contents that no net and optimizer have."""
    _ABOUT(about, "about")
    nets = about["nets"]
    for name, net in nets.items():
        if len(net["steps"]) != len(net["layers"]):
            raise ValueError(
                f"{name} has {len(net['layers'])} layers and the steps of {len(net['steps'])}"
            )
    # The numbers first: there may be more names than memory.
    states = {name: (net["optimizer"] or {"states": []})["states"] for name, net in nets.items()}
    number = 1 + sum(net["parameters"] + sum(states[name]) for name, net in nets.items())
    if len(arrays) != number:
        raise ValueError(f"it has {len(arrays)} arrays, and should have {number}")
    names = {"about"}
    for name, net in nets.items():
        names |= {f"{name}/parameter/{i}" for i in range(net["parameters"])}
        names |= {f"{name}/state/{i}/{j}" for i, n in enumerate(states[name]) for j in range(n)}
    if arrays.keys() != names:
        raise ValueError(f"it has no {min(names - arrays.keys())}")


def _read_arrays(file: BinaryIO) -> dict[str, Array]:
    # `numpy.savez` stores them as they are, so that nothing is larger than the file.
    npz = Npz(file, methods=[zipfile.ZIP_STORED])
    if len(set(npz.names)) != len(npz.names):
        raise ValueError("it has an array twice")
    arrays = {name: npz.read(number) for number, name in enumerate(npz.names)}
    about = arrays.get("about")
    if about is not None and (about.dtype != np.uint8 or about.ndim != 1):
        raise ValueError(f"about is {about.dtype} {about.shape}; wanted bytes")
    return arrays


def _digest(arrays: Mapping[str, Array]) -> str:
    """Of all names, types, shapes and bytes, in hexadecimal digits."""
    parts = [[name, fingerprint(array)] for name, array in sorted(arrays.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fingerprint(array: Array) -> str:
    """SHA-256 of an array with its type and shape, in hexadecimal digits."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def unlike(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, for what goes into JSON, where 1 is neither 1.0 nor true."""

    def spelled(about: Mapping[str, Any], key: str) -> str:
        return json.dumps(about[key]) if key in about else ""

    return [key for key in {**now, **then} if spelled(then, key) != spelled(now, key)]


def _plain(value: object) -> object:
    """NumPy's numbers as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def described(net: Network, optimizer: Optimizer | None) -> dict[str, Any]:
    """All of a net and its optimizer that is not an array."""
    return {
        "criterion": net.criterion.__name__,
        "layers": [layer.describe() for layer in net.layers],
        "steps": [layer.steps for layer in net.layers],
        "streams": [stream.state for stream in net.streams()],
        "parameters": len(net.parameters()),
        "mlp": rebuild.arguments(net),
        "optimizer": optimizer
        and {
            "kind": type(optimizer).__name__,
            "numbers": _numbers(optimizer),
            "states": [len(state) for state in optimizer.state],
        },
    }


def _numbers(optimizer: Optimizer) -> dict[str, Any]:
    """All of an optimizer that is not an array: its settings and steps."""
    return {
        name: value
        for name, value in vars(optimizer).items()
        if name not in ("parameters", "state") and not name.startswith("_")
    }


def _common(about: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same in a saved net and in the one to restore."""
    common = {what: about[what] for what in ("layers", "criterion", "parameters")}
    common["streams"] = len(about["streams"])
    if about["optimizer"] is not None:
        common["optimizer"] = {what: about["optimizer"][what] for what in ("kind", "states")}
    return common


def _kinds(arrays: Mapping[str, Array]) -> dict[str, str]:
    return {key: f"{a.dtype.newbyteorder('=')} {a.shape}" for key, a in arrays.items()}


def _difference(then: Any, now: Any, name: str = "") -> str:
    """The first difference between two values of JSON, in words; empty if there is none."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in unlike(then, now):
            where = f"{name}.{key}" if name else key
            if key not in then or key not in now:
                return f"it has {'no' if key in now else 'a'} {where}, unlike this one"
            return _difference(then[key], now[key], where)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, pair in enumerate(zip(then, now, strict=True)):
            if different := _difference(*pair, f"{name}[{i}]"):
                return different
    elif isinstance(then, list) and isinstance(now, list):
        return f"it has {len(then)} {name}, and this one has {len(now)}"
    elif json.dumps(then) != json.dumps(now):
        return f"its {name} is {then!r}, and here {now!r}"
    return ""


def arrays_of(name: str, net: Network, optimizer: Optimizer | None) -> dict[str, Array]:
    """The arrays themselves, under their names in the file."""
    arrays = {f"{name}/parameter/{i}": p.value for i, p in enumerate(net.parameters())}
    for i, state in enumerate(optimizer.state if optimizer else []):
        arrays |= {f"{name}/state/{i}/{j}": array for j, array in enumerate(state)}
    return arrays
