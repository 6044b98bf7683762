"""What a run was made on and with."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from simdrop.config import config

from .cases import CONTENDERS, OPTIONAL, missing


def software() -> dict[str, str]:
    """Versions and settings by name, and the date."""
    build, absent = config(), missing()
    return {
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


def cpu(info: dict[str, Any]) -> str:
    """The CPU from py-cpuinfo's fields: its name, and its numbers since virtual ones hide it."""
    numbers = [
        f"{field} {info[field]}" for field in ("family", "model", "stepping") if field in info
    ]
    return ", ".join([info.get("brand_raw", "unnamed"), *numbers, f"{info['count']} in all"])
