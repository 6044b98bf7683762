"""The machine and the software of a run, as facts by name."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version

from cpuinfo import get_cpu_info  # comes with pytest-benchmark

from simdrop.config import config

from .cases import CONTENDERS, missing


def facts() -> dict[str, str]:
    """The CPU, versions and settings, and the date."""
    build, absent = config(), missing()
    return {
        "CPU": cpu(),
        "instruction set": f"{build['chosen']} (of {build['instruction sets']})",
        "simdrop": build["simdrop"],
        "compiler": build["compiler"],
        "Python": platform.python_version(),
        "NumPy": version("numpy"),
        **{
            CONTENDERS[name]: "not installed, not measured" if name in absent else version(name)
            for name in ("torch", "jax")
        },
        "threads": build["threads"],
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def cpu() -> str:
    """The CPU's name, and its numbers, because virtual machines hide the name."""
    info = get_cpu_info()
    numbers = [
        f"{field} {info[field]}" for field in ("family", "model", "stepping") if field in info
    ]
    return ", ".join([info.get("brand_raw", "unnamed"), *numbers, f"{info['count']} in all"])


def instruction_sets(facts: dict[str, str]) -> tuple[str, list[str]]:
    """The chosen instruction set in a run's facts, and all that its machine has."""
    fact = facts.get("instruction set", "")
    if (match := re.fullmatch(r"(\w+) \(of (.+)\)", fact)) is None:
        raise ValueError(f"the fact 'instruction set' is {fact!r}; wanted 'CHOSEN (of ALL)'")
    return match[1], match[2].split(", ")
