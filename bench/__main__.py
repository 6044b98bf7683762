"""`python -m bench`: measure everything, print the ratios and write them to bench/results/."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from . import results, tables, targets
from .figures import Figures
from .machine import facts

HERE = Path(__file__).parent


def main() -> int:
    """Run pytest-benchmark, and report only if all of it ended well."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--passes", type=int, default=5, help="passes over everything (5)")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="(bench/results)")
    options = parser.parse_args()

    with TemporaryDirectory() as folder:
        rounds = Path(folder) / "rounds.json"
        code = pytest.main(
            [
                str(HERE),
                "-q",
                "-Wdefault",  # a contender's warnings do not end the run
                "-pno:cacheprovider",
                f"--passes={options.passes}",
                "--benchmark-quiet",
                f"--benchmark-json={rounds}",
            ]
        )
        if code:
            return int(code)
        run = json.loads(rounds.read_text(encoding="utf-8"))

    figures, machine = Figures(run["benchmarks"]), facts(run["machine_info"])
    reports = [
        tables.ratio_table(figures),
        tables.call_table(figures),
        tables.target_table(targets.check(figures)),
    ]
    tables.show(reports, machine)
    results.write(options.output, figures, reports, machine)
    print(f"Written to {options.output}: results.md, results.json, results.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
