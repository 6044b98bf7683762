"""Starts jobs of several ranks, and reads what they came to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")

# What Open MPI wants from root, and on fewer cores than ranks; others ignore it.
SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
COMMAND = """
import sys
from simdrop.cli.main import main
sys.exit(main())
"""

# Without pictures, whose library takes most of the time of a short job to import.
UNDRAWN = """
import sys, types
sys.modules["simdrop.cli.plot"] = types.SimpleNamespace(
    check_path=lambda path: None,
    curves=lambda results, title, task: None,
    save=lambda figure, path: None,
)
"""


def run(ranks, code, *words):
    """Exit code, standard output and standard error of a job of so many ranks, each of which runs
    this code; None: a process without mpiexec."""
    command = [] if ranks is None else [MPIEXEC, "-n", str(ranks)]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, *map(str, words)],
        env=os.environ | SETTINGS,
        capture_output=True,
        text=True,
        timeout=300,  # only against hanging
    )
    return done.returncode, done.stdout, done.stderr


def ours(err):
    """The lines of the command on standard error, without those of mpiexec."""
    return [line for line in err.splitlines() if line.startswith("simdrop:")]
