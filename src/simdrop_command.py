"""The program `simdrop`; outside the package, since one that cannot be imported cannot say why."""

import sys


def main() -> int:
    """The command line's exit code; 2 if SIMDROP_ISA names no instruction set of this machine."""
    try:
        from simdrop.cli import main
    except ValueError as error:
        if not str(error).startswith("SIMDROP_ISA"):
            raise
        print("simdrop: error:", error, file=sys.stderr)
        return 2
    return main()
