"""Checkpoints: nets and their optimizers in a file, from which training goes on bit for bit.

The file is an .npz of NumPy, without pickles. Its array `about` holds bytes of JSON: the format's
name and version, and for each net the steps of its layers, the states of its streams, the numbers
of its optimizer, and whatever the caller adds. All other arrays are weights and what optimizers
remember of them: `NET/parameter/I` and `NET/state/I/J`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simdrop as sd
from simdrop.files import replacing

from .base import Array
from .network import Network
from .optimizers import Optimizer

FORMAT = "simdrop checkpoint"
VERSION = 1
ZIP_MAGIC = b"PK\x03\x04"


def save(
    path: str | Path, net: Network, optimizer: Optimizer | None = None, extra: Any = None
) -> None:
    """
    Write a net, its optimizer and where the training is to a file, all of it or nothing.

    Parameters
    ----------
    path : str or Path
        A file of this name is replaced in one step once the new one is on the disk: neither a kill
        nor a full disk leaves a part of one.
    net : Network
        Its parameters, its layers' steps and the states of its streams. What layers without a
        stream of their own draw is not part of it.
    optimizer : Optimizer or None
        Its numbers, such as lr, its steps and its state.
    extra : optional
        Anything else that goes into JSON, such as the epoch; `load` returns it.

    Raises
    ------
    TypeError
        If `extra` does not go into JSON.
    OSError
        If the file cannot be written; one that was there is as it was.
    """
    write(path, {"net": (net, optimizer)}, extra)


def load(
    path: str | Path, net: Network, optimizer: Optimizer | None = None, *, name: str = "net"
) -> Any:
    """
    Bring a net and its optimizer to where `save` found them.

    Parameters
    ----------
    path : str or Path
        The file.
    net : Network
        With layers as those of the net that was saved. It stays in training or evaluation mode.
    optimizer : Optimizer or None
        Of the same kind as the one saved. None takes the net alone.
    name : str
        Which net, of a file with several: those of `simdrop train` are "without" and "with".

    Returns
    -------
    object
        The `extra` that was saved, with lists for tuples.

    Raises
    ------
    ValueError
        If the file is no checkpoint, damaged, of another version, or of another net or optimizer;
        nothing is changed then.
    OSError
        If the file cannot be read.
    """
    checkpoint = read(path)
    checkpoint.restore({name: (net, optimizer)})
    return checkpoint.extra


Pair = tuple[Network, Optimizer | None]


def write(path: str | Path, nets: Mapping[str, Pair], extra: Any = None) -> None:
    """`save` for several nets, each with a name."""
    arrays: dict[str, Array] = {}
    about: dict[str, Any] = {}
    for name, (net, optimizer) in nets.items():
        about[name] = _about(net, optimizer)
        arrays |= _arrays(name, net, optimizer)
    text = json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "simdrop": sd.__version__,
            "nets": about,
            "extra": extra,
        },
        default=_plain,
    )
    with replacing(path) as file:
        np.savez(file, about=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def read(path: str | Path) -> Checkpoint:
    """All of a file; the errors are those of `load`."""
    name = repr(str(path))
    with open(path, "rb") as file:
        magic = file.read(len(ZIP_MAGIC))
        if magic != ZIP_MAGIC:
            raise ValueError(
                f"{name} is no checkpoint: it starts with {magic.hex(' ') or 'no byte'}"
            )
        file.seek(0)
        # Damaged bytes make zipfile and NumPy's header parser raise a dozen kinds of error, and the
        # parser warn.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with np.load(file, allow_pickle=False) as npz:
                    arrays = {member: npz[member] for member in npz.files}
        except Exception as error:
            raise ValueError(f"{name} is a damaged checkpoint: {error}") from error
    try:
        about = json.loads(arrays.pop("about").tobytes())
        if about["format"] != FORMAT:
            raise KeyError("format")
    except Exception as error:
        raise ValueError(f"{name} is an .npz file, but no checkpoint") from error
    if about["version"] != VERSION:
        raise ValueError(
            f"{name} is a checkpoint of version {about['version']}; "
            f"this simdrop {sd.__version__} reads version {VERSION}"
        )
    return Checkpoint(name, about["nets"], arrays, about["extra"])


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    name: str
    about: dict[str, Any]
    arrays: dict[str, Array]
    extra: Any

    def restore(self, nets: Mapping[str, Pair]) -> None:
        """Bring nets and optimizers to what the file holds, or change none of them.

        Raises
        ------
        ValueError
            Naming the first thing in which they differ from those saved.
        """
        for name, pair in nets.items():
            self._check(name, *pair)
        for name, (net, optimizer) in nets.items():
            about = self.about[name]
            for key, array in _arrays(name, net, optimizer).items():
                array[...] = self.arrays[key]
            for layer, step in zip(net.layers, about["steps"], strict=True):
                layer.step = step
            for stream, state in zip(net.streams(), about["streams"], strict=True):
                stream.state = state
            if optimizer is not None:
                vars(optimizer).update(about["optimizer"]["numbers"])

    def _check(self, name: str, net: Network, optimizer: Optimizer | None) -> None:
        if name not in self.about:
            raise ValueError(f"{self.name} has no net {name!r}; it has {', '.join(self.about)}")
        saved, here = self.about[name], _about(net, optimizer)
        for what in ("steps", "streams"):
            if len(saved[what]) != len(here[what]):
                things = {"steps": "layers", "streams": "streams"}[what]
                raise ValueError(
                    f"{self.name} is of a net with {len(saved[what])} {things}, "
                    f"and this one has {len(here[what])}"
                )
        for state in saved["streams"]:
            sd.Stream(0).state = state
        if optimizer is not None:
            if saved["optimizer"] is None:
                raise ValueError(f"{self.name} holds no optimizer")
            kind, wanted = saved["optimizer"]["kind"], here["optimizer"]["kind"]
            if kind != wanted:
                raise ValueError(f"{self.name} is of {kind}, and this optimizer is {wanted}")
        for key, array in _arrays(name, net, optimizer).items():
            found = self.arrays.get(key)
            if found is None:
                raise ValueError(f"{self.name} has no {key}, which this net has")
            if (found.shape, found.dtype) != (array.shape, array.dtype):
                raise ValueError(
                    f"{self.name}: {key} is {found.dtype} {found.shape}, "
                    f"and in this net {array.dtype} {array.shape}"
                )
        parameters = sum(key.startswith(f"{name}/parameter/") for key in self.arrays)
        if parameters != len(net.parameters()):
            raise ValueError(
                f"{self.name} is of a net with {parameters} parameters, "
                f"and this one has {len(net.parameters())}"
            )


def _plain(value: object) -> object:
    """What NumPy's numbers are to JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def _about(net: Network, optimizer: Optimizer | None) -> dict[str, Any]:
    """All of a net that is no array."""
    about: dict[str, Any] = {
        "steps": [layer.step for layer in net.layers],
        "streams": [stream.state for stream in net.streams()],
        "optimizer": None,
    }
    if optimizer is not None:
        arrays = ("parameters", "state")
        numbers = {name: value for name, value in vars(optimizer).items() if name not in arrays}
        about["optimizer"] = {"kind": type(optimizer).__name__, "numbers": numbers}
    return about


def _arrays(name: str, net: Network, optimizer: Optimizer | None) -> dict[str, Array]:
    """The arrays themselves, under their names in the file."""
    arrays = {f"{name}/parameter/{i}": p.value for i, p in enumerate(net.parameters())}
    for i, state in enumerate(optimizer.state if optimizer else []):
        arrays |= {f"{name}/state/{i}/{j}": array for j, array in enumerate(state)}
    return arrays
