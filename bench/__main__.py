"""`python -m bench`: measure everything, print the ratios and write them to bench/results/."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from . import machine, results, tables, targets
from .cases import FAMILIES
from .figures import Figures

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main() -> int:
    """Run pytest-benchmark, and report only if all of it ended well."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure everything, print the ratios and write them to bench/results/.",
    )
    parser.add_argument("--passes", type=positive, default=5, help="passes over everything (5)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (bench/results)")
    parser.add_argument("--only", action="append", choices=FAMILIES, help="a family, repeatable")
    options = parser.parse_args()
    if options.only and options.output == RESULTS:
        parser.error("--only needs --output: bench/results has all families")

    software = machine.software()
    with TemporaryDirectory() as folder:
        rounds = Path(folder) / "rounds.json"
        code = pytest.main(
            [
                str(HERE),
                "-q",
                "-Wdefault",  # a contender's warnings do not end the run
                "-pno:cacheprovider",
                f"--passes={options.passes}",
                *(f"--only={family}" for family in options.only or ()),
                "--benchmark-quiet",
                f"--benchmark-json={rounds}",
            ]
        )
        if code:
            return int(code)
        run = json.loads(rounds.read_text(encoding="utf-8"))

    figures = Figures(run["benchmarks"])
    facts = {"CPU": machine.cpu(run["machine_info"]["cpu"]), **software}
    measured = [family for family in FAMILIES if figures.select(family=family)]
    reports = [tables.target_table(targets.check(figures))]
    reports += [tables.family_table(figures, family) for family in measured]
    overview = tables.overview(figures)
    if overview.rows:
        reports.insert(0, overview)
    tables.show(reports, facts)
    written = results.write(options.output, figures, reports, facts)
    print(f"Written to {options.output}: {', '.join(written)}")
    if options.output == RESULTS:
        results.fill_readme(HERE.parent / "README.md", overview)
    return 0


def positive(text: str) -> int:
    """A number of passes."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
