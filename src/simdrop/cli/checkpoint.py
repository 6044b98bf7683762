"""Checkpoints of `simdrop train`: when one is written, what it holds, what it fits."""

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
from ..nn import checkpoint as nets
from .data import Data
from .errors import InputError, Interrupted, UnsavedError
from .files import check_writable, reason, writing
from .loop import Epoch, Run, Trial
from .options import Every, Settings, option, spelled
from .ranks import ALONE, Alone

# SIGHUP: the terminal was closed. SIGUSR1: what mpiexec forwards to all ranks, and batch systems
# can send before the time is up.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
LAST = "the last checkpoint could not be written"


class Saver:
    """Writes checkpoints of nets in training.

    A signal that would end the process ends the training after the current batch, with a last
    checkpoint; a second one takes effect at once. If a checkpoint cannot be written, the user is
    told once, and the next one is tried when it is due. Of several ranks the first one writes, and
    all end after the same batch, whichever got the signal.

    Parameters
    ----------
    path : Path
        The file.
    every : Every
        How often to write it.
    trials : sequence of Trial
        The nets in training.
    about : dict
        What `describe` says of the settings and the data.
    warn : callable
        Shows a message to the user.
    team : Alone or Ranks
        Who trains; each rank has a Saver.
    """

    def __init__(
        self,
        path: Path,
        every: Every,
        trials: Sequence[Trial],
        about: dict[str, Any],
        warn: Callable[[str], None],
        team: Alone = ALONE,
    ) -> None:
        self.path, self.every, self.about, self.warn = path, every, about, warn
        self.runs = named(trials)
        self.team = team
        self.problem: str | None = None
        self.signal = 0
        self.steps, self.saved = 0, time.monotonic()

    def begin(self) -> None:
        """Write the first checkpoint; InputError if that fails."""
        with writing("--checkpoint", self.path):
            self.save()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Handle signals during the training, and write a checkpoint at its end.

        One is also written if standard output fails. Raises Interrupted after a signal.
        """
        try:
            with self._signals():
                yield
        except OSError:  # from standard output: nothing else is written in the block
            self._try()
            raise
        self.signal = self.team.largest(self.signal)
        self._try()
        self._leave_after_signal()

    def step(self) -> None:
        """Write a checkpoint if one is due; to be called at each yield of `loop.train`.

        Raises Interrupted after a signal, with a last checkpoint.
        """
        self.steps += 1
        self.signal = self.team.largest(self.signal)
        if self.signal:
            self._try()
            self._leave_after_signal()
        if self.steps >= self.every.steps or time.monotonic() - self.saved >= self.every.seconds:
            self._try()

    def finish(self) -> None:
        """Raise UnsavedError if the last checkpoint could not be written."""
        if self.problem:
            raise UnsavedError(f"{LAST}: {self.problem}")

    def save(self) -> None:
        """Write a checkpoint now; OSError or ValueError if that fails."""
        progress = {
            name: {
                "batches": run.batches,
                "seconds": run.seconds,
                "history": [asdict(epoch) for epoch in run.history],
            }
            for name, run in self.runs.items()
        }
        try:
            nets.write(
                self.path,
                {name: (run.net, run.optimizer) for name, run in self.runs.items()},
                self.about | {"runs": progress},
            )
        finally:
            self.steps, self.saved = 0, time.monotonic()

    def _leave_after_signal(self) -> None:
        if self.signal and self.problem:
            raise Interrupted(f"{LAST}: {self.problem}", self.signal)
        if self.signal:
            raise Interrupted(f"--resume continues from {str(self.path)!r}", self.signal)

    def _try(self) -> None:
        """Write a checkpoint; a failure does not end the training."""
        if not self.team.first:
            return
        try:
            self.save()
        except OSError as error:
            if self.problem is None:
                self.warn(
                    f"warning: --checkpoint {str(self.path)!r} cannot be written: {reason(error)}; "
                    "the training continues, and the previous checkpoint is kept"
                )
            self.problem = reason(error)
        else:
            if self.problem is not None:
                self.warn(f"--checkpoint {str(self.path)!r} has been written again")
            self.problem = None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Defer signals to the end of a batch, since a net is half updated before."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python allows signal handlers only in the main thread
            return

        def first(number: int, frame: FrameType | None) -> None:
            self.signal = number
            for which, handler in before.items():  # a second one has its usual effect
                signal.signal(which, handler)

        before = {}
        try:
            for name in filter(partial(hasattr, signal), SIGNALS):  # Windows has no SIGHUP
                which = getattr(signal, name)
                # An ignored one stays ignored: nohup, a shell's background job.
                if signal.getsignal(which) not in (signal.SIG_IGN, None):
                    before[which] = signal.getsignal(which)
                    signal.signal(which, first)
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)


def named(trials: Sequence[Trial]) -> dict[str, Run]:
    """The nets by their names in a checkpoint: "with", "without"; with several seeds "with-0"."""
    several = len(trials) > 1
    return {run.key if several else run.name: run for trial in trials for run in trial.runs}


def describe(data: Data, settings: Settings) -> dict[str, Any]:
    """The settings, a fingerprint of each array of the data, and what inputs and outputs mean."""
    described: dict[str, Any] = json.loads(json.dumps({"settings": asdict(settings)}))
    described["data"] = data.fingerprints()
    described["signature"] = data.signature.as_json()
    return described


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How two results of `describe` differ, in words; empty if they do not."""

    def value(settings: Mapping[str, Any], name: str) -> str:
        return spelled(settings[name]) if name in settings else "not there"

    then, chosen = saved["settings"], now["settings"]
    found = [
        f"{option(name)} was {value(then, name)} and is {value(chosen, name)}"
        for name in nets.unlike(then, chosen)
    ]
    changed = nets.unlike(saved["data"], now["data"])
    if changed:
        found.append(f"the data differ in {', '.join(changed)}")
    return "; ".join(found)


def find(path: Path, resuming: bool) -> bool:
    """Whether there is a checkpoint, before the data are loaded.

    Raises InputError if there is one and it is not to be resumed, or if none can be written.
    """
    check_writable("--checkpoint", path)
    exists = path.exists()
    if exists and not resuming:
        raise InputError(
            f"--checkpoint {str(path)!r} exists; add --resume to continue from it, or remove it"
        )
    return exists


def resume(path: Path, trials: Sequence[Trial], about: dict[str, Any], steps: int) -> str:
    """Restore nets, fresh from `loop.make_trials`, to the state in a checkpoint.

    Parameters
    ----------
    path : Path
        The file.
    trials : sequence of Trial
        The nets. Those of seeds that the file does not have yet stay fresh.
    about : dict
        What `describe` says of the settings and the data now. There may be more epochs than then.
    steps : int
        Batches per epoch.

    Returns
    -------
    str
        What is more than then, in words; empty if nothing is.

    Raises
    ------
    InputError
        If the file cannot be read, or is from other settings or other data.
    """
    try:
        saved = nets.read(path)
        extra = saved.extra
        if not isinstance(extra, dict) or "runs" not in extra:
            raise ValueError(f"{str(path)!r} is a checkpoint, but not one of simdrop train")
        if saved.version == 2:  # which had none
            extra["signature"] = about["signature"]
        _schema.fields(
            settings=_schema.mapping(_schema.anything),
            data=_schema.mapping(_schema.text),
            signature=_schema.anything,
            runs=_schema.mapping(_schema.anything),
        )(extra, f"{str(path)!r}: extra")
        epochs = extra["settings"].get("epochs"), about["settings"]["epochs"]
        longer = isinstance(epochs[0], int) and 0 < epochs[0] < epochs[1]
        now = about
        if longer:
            now = about | {"settings": about["settings"] | {"epochs": epochs[0]}}
        unlike = differences(extra, now)
        pair = {"signature": extra["signature"]}, {"signature": about["signature"]}
        if not unlike and nets.unlike(*pair):
            unlike = "its columns, scaling or classes are not those of these data"
        if unlike:
            raise ValueError(f"{str(path)!r} is from another training: {unlike}")
        known = _known(extra["runs"], trials)
        lost = [name for name in extra["runs"] if name not in known]
        if lost:
            raise ValueError(
                f"{str(path)!r} has nets of other seeds, {', '.join(lost)}; wanted a --seeds of "
                "all of them"
            )
        where = f"{str(path)!r}: extra.runs"
        _check_progress(extra["runs"], where, known, now["settings"], steps)
        saved.restore({name: (run.net, run.optimizer) for name, run in known.items()})
    except OSError as error:
        raise InputError(f"--resume: {str(path)!r} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise InputError(f"--resume: {error}") from error
    for name, run in known.items():
        progress = extra["runs"][name]
        run.batches, run.seconds = progress["batches"], progress["seconds"]
        run.history = [Epoch(**epoch) for epoch in progress["history"]]
    more = [f"from {epochs[0]} to {epochs[1]} epochs"] if longer else []
    fresh = len(trials) - len(known) // len(trials[0].runs)
    if fresh:
        more.append(f"by {fresh} {'seed' if fresh == 1 else 'seeds'}")
    return f"; extended {' and '.join(more)}" if more else ""


def _known(saved: Mapping[str, Any], trials: Sequence[Trial]) -> dict[str, Run]:
    """The nets that go on from those with these names; at least those of the first seed."""
    alone = {run.name: run for run in trials[0].runs}
    if saved.keys() == alone.keys():  # a single seed, until now
        return alone
    known: dict[str, Run] = {}
    for number, trial in enumerate(trials):
        of_seed = {run.key: run for run in trial.runs} if len(trials) > 1 else alone
        if number == 0 or of_seed.keys() & saved.keys():
            known |= of_seed
    return known


def _check_progress(
    saved: Any, where: str, runs: Mapping[str, Run], settings: Mapping[str, Any], steps: int
) -> None:
    """Raise ValueError for progress that no training with these settings makes."""
    held_out = settings["validation"] > 0
    progress = _schema.fields(
        batches=_schema.count,
        seconds=_schema.from_zero,
        history=_schema.items(
            _schema.fields(
                training_loss=_schema.from_zero,
                training_error=_schema.from_zero,
                validation_loss=_schema.from_zero if held_out else _schema.null,
                validation_error=_schema.from_zero if held_out else _schema.null,
                seconds=_schema.from_zero,
            )
        ),
    )
    _schema.fields(**{name: progress for name in runs})(saved, where)
    for name, run in saved.items():
        epochs, batches = len(run["history"]), run["batches"]
        if not epochs * steps <= batches <= min(epochs + 1, settings["epochs"]) * steps:
            raise ValueError(
                f"{where}.{name} has {batches} batches and {epochs} epochs; wanted {steps} "
                f"batches an epoch, and {settings['epochs']} epochs"
            )
