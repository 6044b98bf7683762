"""Checkpoints of `simdrop train`: when one is written, what it holds, and whether one fits."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from .. import _schema
from .._files import check
from ..nn import checkpoint as nets
from .data import ARRAYS, Data
from .errors import InputError, Interrupted, UnsavedError, writing
from .loop import Epoch, Run
from .options import Every, option
from .settings import Settings

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # the last: the terminal was closed
LAST = "the last checkpoint could not be written"


class Silent:
    """No checkpoints, and what `Saver` has in common with that."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Until the end of the block, the training is on."""
        yield

    def step(self) -> None:
        """Take note of a batch or of the end of an epoch."""

    def finish(self) -> None:
        """Take note that all is done and printed."""


class Saver(Silent):
    """Writes checkpoints of nets in training.

    A signal that ends the process makes it write a last one at the next batch; a second one does
    not wait for that. What cannot be written is reported once, and tried again at the next time.

    Parameters
    ----------
    path : Path
        The file.
    every : Every
        How often.
    runs : sequence of Run
        Of which `step` is called at each yield of `loop.train`.
    about : dict
        What `describe` gives of the settings and the data.
    warn : callable
        Gets a message for the user.
    """

    def __init__(
        self,
        path: Path,
        every: Every,
        runs: Sequence[Run],
        about: dict[str, Any],
        warn: Callable[[str], None],
    ) -> None:
        self.path, self.every, self.runs, self.about, self.warn = path, every, runs, about, warn
        self.problem: str | None = None
        self.signal = 0
        self._note_time()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle signals; write a checkpoint at the end, and if standard output fails.

        Raises
        ------
        Interrupted
            After a signal.
        """
        try:
            with self._signals():
                yield
        except OSError:  # standard output: nothing else in the block is written
            self._try()
            raise
        self._try()
        self._leave_after_signal()

    def step(self) -> None:
        """Write a checkpoint if it is time.

        Raises
        ------
        Interrupted
            After a signal, and with a last checkpoint.
        """
        self.steps += 1
        if self.signal:
            self._try()
            self._leave_after_signal()
        if self.steps >= self.every.steps or time.monotonic() - self.saved >= self.every.seconds:
            self._try()

    def finish(self) -> None:
        """Say so at the end if the last checkpoint is not on the disk.

        Raises
        ------
        UnsavedError
            Then.
        """
        if self.problem:
            raise UnsavedError(f"{LAST}: {self.problem}")

    def save(self) -> None:
        """Write a checkpoint now.

        Raises
        ------
        OSError, ValueError
            If it cannot be written.
        """
        progress = {
            run.name: {
                "batches": run.batches,
                "seconds": run.seconds,
                "history": [asdict(epoch) for epoch in run.history],
            }
            for run in self.runs
        }
        nets.write(
            self.path,
            {run.name: (run.net, run.optimizer) for run in self.runs},
            self.about | {"runs": progress},
        )

    def _leave_after_signal(self) -> None:
        if self.signal and self.problem:
            raise Interrupted(f"{LAST}: {self.problem}", self.signal)
        if self.signal:
            raise Interrupted(f"--resume goes on from {str(self.path)!r}", self.signal)

    def _try(self) -> None:
        """Write one; the training is not to end because that fails."""
        try:
            self.save()
        except OSError as error:
            reason = error.strerror or str(error)
            if self.problem is None:
                self.warn(
                    f"warning: --checkpoint {str(self.path)!r} cannot be written: {reason}; the "
                    "training goes on, and the checkpoint before stays as it is"
                )
            self.problem = reason
        else:
            if self.problem is not None:
                self.warn(f"--checkpoint {str(self.path)!r} has been written again")
            self.problem = None
        self._note_time()

    def _note_time(self) -> None:
        self.steps, self.saved = 0, time.monotonic()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let signals wait for the end of a batch: before, a net is half updated."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets no other thread handle signals
            return

        def first(number: int, frame: FrameType | None) -> None:
            self.signal = number
            for which, handler in before.items():  # a second one has its usual effect
                signal.signal(which, handler)

        before = {}
        try:
            for name in filter(partial(hasattr, signal), SIGNALS):  # Windows has no SIGHUP
                which = getattr(signal, name)
                # One that is ignored stays so: nohup, a shell's background job.
                if signal.getsignal(which) not in (signal.SIG_IGN, None):
                    before[which] = signal.getsignal(which)
                    signal.signal(which, first)
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)


def describe(images: Data, settings: Settings) -> dict[str, Any]:
    """The settings and a fingerprint of the data, as they are in a file.

    Parameters
    ----------
    images : Data
    settings : Settings

    Returns
    -------
    dict
        Of what JSON has: lists, not tuples.
    """
    described: dict[str, Any] = json.loads(json.dumps({"settings": asdict(settings)}))
    described["data"] = fingerprint(images)
    return described


def fingerprint(images: Data) -> dict[str, str]:
    """SHA-256 of each array, with its shape and type.

    Parameters
    ----------
    images : Data

    Returns
    -------
    dict of str to str
        Hexadecimal digits.
    """
    return {name: nets.fingerprint(getattr(images, name)) for name in ARRAYS}


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two results of `describe`, in words.

    Parameters
    ----------
    saved, now : mapping

    Returns
    -------
    list of str
        Empty if nothing does.
    """
    then, chosen = saved["settings"], now["settings"]
    found = [
        f"{option(name)} was {_spelled(then, name)} and is {_spelled(chosen, name)}"
        for name in nets.unlike(then, chosen)
    ]
    changed = nets.unlike(saved["data"], now["data"])
    if changed:
        found.append(f"the data has other numbers in {', '.join(changed)}")
    return found


def resume(path: Path, runs: Sequence[Run], about: dict[str, Any], steps: int) -> None:
    """Bring nets to where a checkpoint left them.

    Parameters
    ----------
    path : Path
        The file.
    runs : sequence of Run
        New ones, of `loop.make_runs`.
    about : dict
        What `describe` gives of the settings and the data now.
    steps : int
        Batches an epoch.

    Raises
    ------
    InputError
        If the file cannot be read, or is of other settings or other data.
    """
    try:
        saved = nets.read(path)
        extra = saved.extra
        if not isinstance(extra, dict) or "runs" not in extra:
            raise ValueError(f"{str(path)!r} is a checkpoint, but not one of simdrop train")
        _schema.fields(
            settings=_schema.mapping(_schema.anything),
            data=_schema.mapping(_schema.text),
            runs=_schema.anything,
        )(extra, f"{str(path)!r}: extra")
        unlike = differences(extra, about)
        if unlike:
            raise ValueError(f"{str(path)!r} is of another training: {'; '.join(unlike)}")
        where = f"{str(path)!r}: extra.runs"
        _check_progress(extra["runs"], where, runs, about["settings"], steps)
        saved.restore({run.name: (run.net, run.optimizer) for run in runs})
    except OSError as error:
        raise InputError(f"--resume: {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--resume: {error}") from error
    for run in runs:
        progress = extra["runs"][run.name]
        run.batches, run.seconds = progress["batches"], progress["seconds"]
        run.history = [Epoch(**epoch) for epoch in progress["history"]]


def check_path(path: Path, resuming: bool) -> bool:
    """Find out whether there is a checkpoint, before data is loaded.

    Parameters
    ----------
    path : Path
        Where it is, or is to be.
    resuming : bool
        Whether it may be there.

    Returns
    -------
    bool
        Whether it is.

    Raises
    ------
    InputError
        If it would be overwritten, or cannot be written.
    """
    with writing("--checkpoint", path):
        check(path)
        exists = path.exists()
    if exists and not resuming:
        raise InputError(
            f"--checkpoint {str(path)!r} exists; add --resume to go on from it, or remove it"
        )
    return exists


def _check_progress(
    saved: Any, where: str, runs: Sequence[Run], settings: Mapping[str, Any], steps: int
) -> None:
    """Refuse progress that no training with these settings makes, with a ValueError."""
    held_out = settings["validation"] > 0
    progress = _schema.fields(
        batches=_schema.count,
        seconds=_schema.from_zero,
        history=_schema.items(
            _schema.fields(
                training_loss=_schema.from_zero,
                training_error=_schema.fraction,
                validation_loss=_schema.from_zero if held_out else _schema.null,
                validation_error=_schema.fraction if held_out else _schema.null,
                seconds=_schema.from_zero,
            )
        ),
    )
    _schema.fields(**{run.name: progress for run in runs})(saved, where)
    for name, run in saved.items():
        epochs, batches = len(run["history"]), run["batches"]
        if not epochs * steps <= batches <= min(epochs + 1, settings["epochs"]) * steps:
            raise ValueError(
                f"{where}.{name} has {batches} batches and {epochs} epochs; wanted {steps} "
                f"batches an epoch, and {settings['epochs']} epochs"
            )


def _spelled(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name, "not there")
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
