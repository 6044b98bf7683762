"""Reads the arrays of an `.npz` file, which may be gzipped, without pickles."""

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import InputError
from .reading import opened, read_array

ZIP_MAGIC = b"PK"
SUFFIX = ".npy"
HEADER = 2**14  # bytes; NumPy itself refuses one above 10,000
READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What NumPy writes. Python decompresses the others whole, however much that is.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Npz:
    """The arrays of one file.

    Parameters
    ----------
    path : Path
        For messages.
    archive : zipfile.ZipFile
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.members = archive.infolist()

    @property
    def names(self) -> list[str]:
        """The array's names, in the order of `members`; a damaged file may have one twice."""
        return [member.filename.removesuffix(SUFFIX) for member in self.members]

    def read(self, number: int) -> NDArray[Any]:
        """Read an array: memory is taken only for what is there and the array's header asks for.

        Parameters
        ----------
        number : int
            Its position in `names`.

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        InputError
            If the member is no array, one of objects, or damaged.
        """
        name = self.names[number]
        try:
            with _silent():
                return self._read(self.members[number], name)
        except (InputError, MemoryError):
            raise
        # Damaged bytes make zipfile, zlib and NumPy's header parser raise a dozen kinds of error;
        # whichever it is, the file is what the user has to look at.
        except Exception as error:
            raise InputError(f"{str(self.path)!r}: array {name} cannot be read: {error}") from error

    def _read(self, member: zipfile.ZipInfo, name: str) -> NDArray[Any]:
        if member.compress_type not in METHODS:
            raise ValueError("it is not compressed as NumPy does")
        with self.archive.open(member) as file:
            start = io.BytesIO(file.read(HEADER))
            if start.getvalue()[: len(npy.MAGIC_PREFIX)] != npy.MAGIC_PREFIX:
                raise InputError(f"{str(self.path)!r}: {name} is in the archive, but is no array")
            version = npy.read_magic(start)
            if version not in READ_HEADER:
                raise ValueError(f"format version {version} is not one for numbers and strings")
            shape, fortran, dtype = READ_HEADER[version](start)
            if dtype.hasobject:
                raise ValueError("Object arrays are pickles; wanted numbers or strings")
            return read_array(
                file,
                dtype,
                shape,
                name=f"{str(self.path)!r}: {name}",
                order="F" if fortran else "C",
                start=start.read(),
            )


@contextmanager
def opened_npz(path: Path) -> Iterator[Npz]:
    """Open an `.npz` file; what it is, is told by its first bytes, not by its name.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Npz

    Raises
    ------
    InputError
        If it cannot be read, or is no archive.
    """
    with opened(path) as file:
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            raise InputError(
                f"{str(path)!r} is not an .npz file; wanted one, or a folder with the IDX files of "
                "MNIST, EMNIST or QMNIST"
            )
        file.seek(0)
        try:
            with _silent():
                archive = zipfile.ZipFile(file)
        except Exception as error:
            raise InputError(f"{str(path)!r} is a damaged .npz file: {error}") from error
        with archive:
            yield Npz(path, archive)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the warnings of parsers that read damaged bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
