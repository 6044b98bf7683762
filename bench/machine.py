"""What a run was made on and with."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from simdrop.config import config

from .cases import CONTENDERS, OPTIONAL, missing


def facts(machine_info: dict[str, Any]) -> dict[str, str]:
    """By name; `machine_info` is that of pytest-benchmark's JSON."""
    cpu, build = machine_info["cpu"], config()
    model = f"family {cpu['family']}, model {cpu['model']}, " if "family" in cpu else ""
    absent = missing()
    return {
        "CPU": f"{cpu['brand_raw']} ({model}{cpu['count']} CPUs)",
        "instruction set": f"{build['chosen']} (of {build['instruction sets']})",
        "simdrop": build["simdrop"],
        "compiler": build["compiler"],
        "Python": platform.python_version(),
        "NumPy": version("numpy"),
        **{
            CONTENDERS[name]: "not installed, not measured" if name in absent else version(name)
            for name in OPTIONAL
        },
        "threads": "1",
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
