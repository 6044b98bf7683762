"""Fail unless the types of all public names of the installed package are known, as pyright sees it.

simdrop.cli is a program, no interface; names of exceptions that were handled are gone at run time.
"""

import json
import os
import pathlib
import subprocess
import sys

# It looks for packages where the first `python` of the path has them.
path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
command = ["basedpyright", "--verifytypes", "simdrop", "--ignoreexternal", "--outputjson"]
run = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)
try:
    symbols = json.loads(run.stdout)["typeCompleteness"]["symbols"]
except (KeyError, ValueError):
    sys.exit(f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}")


def is_wrong(diagnostic: dict[str, str]) -> bool:
    """Whether it is an error here: not of a base class in a package that has no types or is not
    installed, nor of a type that is reported itself."""
    message = diagnostic["message"]
    return (
        diagnostic["severity"] == "error"
        and not message.startswith(("Type of base class", "Type of metaclass"))
        and ("is partially unknown" not in message or "Unknown" in message)
    )


wrong, count = 0, 0
for symbol in symbols:
    name = symbol["name"]
    is_handled = symbol["category"] == "variable" and name.endswith(".error")
    if not name.startswith("simdrop.cli") and not is_handled:
        count += 1
        messages = [found["message"] for found in symbol["diagnostics"] if is_wrong(found)]
        wrong += bool(messages)
        for message in messages:
            print(f"{name}: {message}")
if wrong or not count:
    sys.exit(f"{wrong} of {count} public names have no known type")
