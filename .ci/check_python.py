"""Say in one line what a Python lacks that `make` needs: version 3.11, its C headers, venv."""

import importlib.util
import pathlib
import sys
import sysconfig

if sys.version_info < (3, 11):  # noqa: UP036 (this file runs before there is a suitable one)
    sys.exit(
        f"simdrop needs Python 3.11 or later, and {sys.executable} is {sys.version.split()[0]}: "
        "name another with `make PYTHON=python3.12 ...`"
    )
if not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists():
    sys.exit(
        f"simdrop compiles C, and the headers of {sys.executable} are not installed "
        "(Debian and Ubuntu: apt install python3-dev)"
    )
if importlib.util.find_spec("ensurepip") is None:
    sys.exit(
        f"{sys.executable} cannot make virtual environments "
        "(Debian and Ubuntu: apt install python3-venv)"
    )
