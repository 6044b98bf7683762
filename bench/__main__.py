"""`python -m bench`: measure everything, print the ratios and write them to bench/results/."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from . import machine, report, results, tables
from .cases import FAMILIES
from .measurements import Measurements, from_benchmarks

HERE = Path(__file__).parent
RESULTS = HERE / "results"
FILE = "results.csv"


def main() -> int:
    """Measure, or load what was measured, and report it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure everything, print the ratios and write them to bench/results/.",
    )
    parser.add_argument("--passes", type=positive, default=5, help="passes over everything (5)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (bench/results)")
    parser.add_argument("--only", action="append", choices=FAMILIES, help="a family, repeatable")
    parser.add_argument(
        "--report",
        action="store_true",
        help=f"measure nothing: make the page and the picture of the {FILE} that is there",
    )
    options = parser.parse_args()
    if options.only and options.report:
        parser.error("--only with --report, which reports all that was measured")
    if options.only and options.output == RESULTS:
        parser.error("--only needs --output: bench/results has all families")

    file = options.output / FILE
    written = []
    if options.report:
        try:
            measurements, facts = results.load(file)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    else:
        facts = machine.facts()
        measurements = measure(options.passes, options.only or [])
        options.output.mkdir(parents=True, exist_ok=True)
        results.save(file, measurements, facts)
        written.append(FILE)
    written += report.write(options.output, measurements, facts)
    tables.show(report.all_tables(measurements), facts)
    print(f"Written to {options.output}: {', '.join(written)}")
    if options.output == RESULTS:
        report.fill_readme(HERE.parent / "README.md", tables.overview(measurements))
    return 0


def measure(passes: int, families: list[str]) -> Measurements:
    """Run pytest-benchmark; exit with its code unless all of it ended well."""
    with TemporaryDirectory() as folder:
        rounds = Path(folder) / "rounds.json"
        code = pytest.main(
            [
                str(HERE),
                "-q",
                "--exitfirst",
                "-Wdefault",  # a contender's warnings do not end the run
                "-pno:cacheprovider",
                f"--passes={passes}",
                *(f"--only={family}" for family in families),
                "--benchmark-quiet",
                f"--benchmark-json={rounds}",
            ]
        )
        if code:
            sys.exit(int(code))
        return from_benchmarks(json.loads(rounds.read_text(encoding="utf-8"))["benchmarks"])


def positive(text: str) -> int:
    """A number of passes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
