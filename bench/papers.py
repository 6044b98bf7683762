"""`python -m bench.papers --data mnist.npz`: presets over seeds, docs/mnist.md and its picture.

Each run of `simdrop train` has a checkpoint and goes on from it, and one that is done is not made
again: interrupt this at will. A run whose settings have changed has another name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simdrop import cli
from simdrop.files import replacing
from simdrop.train.options import add_options, settings_from
from simdrop.train.presets import PRESETS

ROOT = Path(__file__).parent.parent
# Okabe and Ito's colours, and black.
COLOURS = "#000000 #999999 #e69f00 #cc79a7 #56b4e9 #009e73 #0072b2 #d55e00".split()


def main() -> int:
    """Run what is missing, then write the page and the picture."""
    parser = argparse.ArgumentParser(prog="python -m bench.papers", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="MNIST, as for simdrop train")
    parser.add_argument("--seeds", type=int, default=5, help="seeds from 0 (5)")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/results/mnist", help="folder")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/mnist.md", help="what to write")
    parser.add_argument("--epochs", help="instead of the presets', for a quick look")
    parser.add_argument("--hidden", help="instead of the presets', for a quick look")
    parser.add_argument("--validation", default="0", help="part of the training set (0)")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"Skipped: there is no {str(options.data)!r}")
        return 0
    options.runs.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict[str, Any]]] = {}
    for preset in options.presets:
        for seed in range(options.seeds):
            words = ["--data", str(options.data), "--preset", preset, "--seed", str(seed)]
            words += ["--validation", options.validation]
            for name in ("epochs", "hidden"):
                if getattr(options, name):
                    words += [f"--{name}", getattr(options, name)]
            file = options.runs / f"{preset}-{seed}-{digest(words)}.json"
            if not file.exists() and (code := run(words, file)):
                return code
            results.setdefault(preset, []).append(json.loads(file.read_text(encoding="utf-8")))
    picture = options.page.with_suffix(".png")
    draw(results, picture)
    with replacing(options.page) as page:
        page.write(written(results, picture.name).encode())
    print(f"Written: {options.page}, {picture}")
    return 0


def run(words: list[str], file: Path) -> int:
    """One training, from its checkpoint if there is one, which goes when the results are there."""
    print(f"\n{file.stem}", flush=True)
    checkpoint, curves = file.with_suffix(".npz"), file.with_suffix(".png")
    words = [*words, "--checkpoint", str(checkpoint), "--resume", "--results", str(file)]
    code = cli.main(["train", *words, "--out", str(curves)])
    if code == 0:
        checkpoint.unlink()
    return code


def digest(words: list[str]) -> str:
    """Eight digits that are others for other settings, whatever a preset's are by now."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    settings = json.dumps(asdict(settings_from(parser.parse_args(words))))
    return hashlib.sha256(settings.encode()).hexdigest()[:8]


def written(results: dict[str, list[dict[str, Any]]], picture: str) -> str:
    """The page: a row for each preset."""
    lines = [
        "# MNIST: what dropout and other regularizers reach",
        "",
        "Test errors after the last epoch, over seeds; the test set is used once, at the end.",
        "[training.md](training.md) describes the presets; `python -m bench.papers` writes this.",
        "",
        "| preset | net | mean | min | max | runs | trained on | epochs | minutes a run |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for preset, runs in results.items():
        nets = [the_net(run) for run in runs]
        errors = 100 * np.array([net["test_error"] for net in nets])
        minutes = np.mean([net["seconds"] for net in nets]) / 60
        settings = runs[0]["settings"]
        hidden, part = settings["hidden"], 100 * (1 - settings["validation"])
        lines.append(
            f"| `{preset}` | {'-'.join(map(str, hidden))} | {errors.mean():.3f} % | "
            f"{errors.min():.2f} % | {errors.max():.2f} % | {len(runs)} | {part:.3g} % | "
            f"{nets[0]['epochs']} | {minutes:.1f} |"
        )
    return "\n".join([*lines, "", f"![training losses and test errors]({picture})", ""])


def the_net(run: dict[str, Any]) -> dict[str, Any]:
    """What was measured of the net of a run: a preset trains one."""
    (net,) = run["runs"].values()
    return dict(net)


def draw(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Mean curves over seeds: the training loss, and test errors of each run at the right."""
    figure = Figure(figsize=(11, 5), dpi=120, layout="constrained")
    loss, error = figure.subplots(1, 2)
    for row, (preset, runs) in enumerate(results.items()):
        nets, colour = [the_net(run) for run in runs], COLOURS[list(PRESETS).index(preset)]
        curves = np.array([[epoch["training_loss"] for epoch in net["history"]] for net in nets])
        curve = np.maximum(curves.mean(axis=0), 1e-7)
        loss.plot(np.arange(1, len(curve) + 1), curve, color=colour, label=preset)
        errors = [100 * net["test_error"] for net in nets]
        error.plot(errors, [row] * len(errors), "o", color=colour, alpha=0.6)
        error.plot(np.mean(errors), row, "|", color=colour, markersize=22, markeredgewidth=2)
    loss.set(yscale="log", xlabel="epochs", ylabel="nats per example", title="Training loss, mean")
    loss.legend(frameon=False)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))
    error.set(xlabel="wrongly classified test examples (%)", title="Test error: runs, and mean")
    error.set_yticks(range(len(results)), list(results))
    error.invert_yaxis()
    for axes in (loss, error):
        axes.grid(alpha=0.3)
    with replacing(path) as file:
        figure.savefig(file, format="png")


if __name__ == "__main__":
    sys.exit(main())
