"""The results of a training as JSON, for programs that compare many."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import simdrop

from .._files import check, replacing
from .data import Data
from .errors import writing
from .report import Result
from .settings import Settings


def check_path(path: Path) -> None:
    """Find out before the training whether the file could be written.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it is no file, or its folder does not take one.
    """
    with writing("--results", path):
        check(path)


def save(path: Path, results: Sequence[Result], images: Data, settings: Settings) -> None:
    """Write the results, all of them or nothing.

    Parameters
    ----------
    path : Path
    results : sequence of Result
    images : Data
    settings : Settings

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    runs = {}
    for result in results:
        history = result.run.history
        runs[result.run.name] = {
            "train_error": result.train_error,
            "validation_error": history[-1].validation_error,
            "test_error": result.test_error,
            "test_examples_wrong": round(result.test_error * len(images.y_test)),
            "epochs": len(history),
            "seconds": sum(epoch.seconds for epoch in history),
            "history": [asdict(epoch) for epoch in history],
        }
    about = {
        "simdrop": simdrop.__version__,
        "data": images.name,
        "settings": asdict(settings),
        "runs": runs,
    }
    text = json.dumps(about, indent=1) + "\n"
    with writing("--results", path), replacing(path) as file:
        file.write(text.encode())
