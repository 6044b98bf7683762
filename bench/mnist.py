"""`python -m bench.mnist --data mnist.npz`: train presets on seeds, write docs/benchmarks/mnist.md.

Each run of `simdrop train` resumes from its checkpoint, and a run that is done is not made again:
this may be interrupted at any time. A run whose settings have changed has another name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from simdrop.cli.main import main as run_command
from simdrop.cli.options import PRESETS, add_train_options, settings_from

from . import mnist_page, mnist_results
from .machine import cpu

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench/results"
OVERRIDES = ("epochs", "hidden", "validation")  # options of `simdrop train`


def main() -> int:
    """Make the runs that are missing, then write the page and its pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench.mnist", description=__doc__)
    parser.add_argument("--data", type=Path, help="MNIST, as for simdrop train; for missing runs")
    parser.add_argument("--seeds", type=int, default=3, help="seeds from 0 (3)")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (bench/results)")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs/benchmarks/mnist.md", help="what to write"
    )
    for name in OVERRIDES:
        parser.add_argument(f"--{name}", help="instead of the presets', for a quick look")
    options = parser.parse_args()
    overrides = [name for name in OVERRIDES if getattr(options, name)]
    if overrides and options.output == RESULTS:
        parser.error(f"--{overrides[0]} needs --output: bench/results has the presets as they are")

    wanted: dict[str, list[str]] = {}  # the names of the runs of each preset
    missing: dict[str, list[str]] = {}  # their command lines
    runs = mnist_results.load(options.output)
    for preset in options.presets:
        for seed in range(options.seeds):
            words = ["--data", str(options.data), "--preset", preset, "--seed", str(seed)]
            for name in overrides:
                words += [f"--{name}", getattr(options, name)]
            run = f"{preset}-{seed}-{digest(words)}"
            wanted.setdefault(preset, []).append(run)
            if run not in runs:
                missing[run] = words
    if missing and not (options.data and options.data.exists()):
        print(f"Skipped: {len(missing)} runs are missing, and there is no --data {options.data}")
        return 0

    for run, words in missing.items():
        file = options.output / "unfinished" / f"{run}.json"
        if not file.exists() and (code := train(words, file)):
            return code
        runs[run] = mnist_results.from_json(json.loads(file.read_text(encoding="utf-8")), cpu())
        mnist_results.save(options.output, runs)
        for done in file.parent.glob(f"{run}.*"):  # results, checkpoint, picture
            done.unlink()
    found = {preset: [runs[run] for run in names] for preset, names in wanted.items()}
    mnist_page.write(found, options.page)
    print(f"Written: {options.page}")
    return 0


def train(words: list[str], file: Path) -> int:
    """One training, resumed from its checkpoint if there is one, with its results in a file."""
    print(f"\n{file.stem}", flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    checkpoint, curves = file.with_suffix(".npz"), file.with_suffix(".png")
    words = [*words, "--checkpoint", str(checkpoint), "--resume", "--results", str(file)]
    return run_command(["train", *words, "--out", str(curves)])


def digest(words: list[str]) -> str:
    """Eight digits that differ for other settings, also where a preset has changed."""
    parser = argparse.ArgumentParser()
    add_train_options(parser)
    settings = json.dumps(asdict(settings_from(parser.parse_args(words))))
    return hashlib.sha256(settings.encode()).hexdigest()[:8]


if __name__ == "__main__":
    sys.exit(main())
