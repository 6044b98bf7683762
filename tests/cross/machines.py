"""The machines that the C library is tried on besides this one; run by itself, it fails with what
they need."""

import shutil
import sys
from typing import NamedTuple


class Machine(NamedTuple):
    processor: str
    instruction_sets: tuple[str, ...]  # that it must run, best first

    @property
    def compiler(self):
        return shutil.which(f"{self.processor}-linux-gnu-gcc")

    @property
    def emulator(self):
        """Of QEMU; distributions have it linked statically, too."""
        name = f"qemu-{self.processor}"
        return shutil.which(name) or shutil.which(f"{name}-static")


MACHINES = [
    Machine("aarch64", ("neon", "portable")),
    Machine("s390x", ("portable",)),  # big-endian
]
NEEDED = (
    "gcc-aarch64-linux-gnu libc6-dev-arm64-cross "
    "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user"
)

if __name__ == "__main__" and not all(m.compiler and m.emulator for m in MACHINES):
    sys.exit(f"cross compilers or QEMU are missing: apt-get install {NEEDED}")
