"""The reader of .npz files: what NumPy writes is what is read, and nothing else is."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simdrop._npz import Npz


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    file.seek(0)
    return file


@given(
    array=hnp.arrays(
        st.sampled_from(["u1", "?", "<i4", ">i4", "f2", ">f8", "c8", "S3", "<U2", "M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    order=st.sampled_from("CF"),
    save=st.sampled_from([np.savez, np.savez_compressed]),
)
def test_arrays_are_those_that_numpy_saved(array, order, save):
    array = np.asarray(array, order=order)
    npz = Npz(saved(save, first=array, second=np.zeros(3)))
    assert npz.names == ["first", "second"]
    read = npz.read(0)
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.tobytes() == array.tobytes() and read.flags.writeable
    assert read.flags.f_contiguous == array.flags.f_contiguous
    assert npz.read(1).tolist() == [0, 0, 0]


def test_the_compression_is_one_of_those_accepted():
    file = saved(np.savez_compressed, a=np.zeros(3))
    assert Npz(file).read(0).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="^array a cannot be read: its compression is not supp"):
        Npz(file, methods=[zipfile.ZIP_STORED]).read(0)


def test_a_name_that_is_there_twice():
    file = saved(a=np.zeros(3))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("a", b"something")
    npz = Npz(file)
    assert npz.names == ["a", "a"] and npz.read(0).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="^array a cannot be read: it is not in NumPy's format$"):
        npz.read(1)


def test_objects_are_refused():
    with pytest.raises(ValueError, match="object arrays are pickles; wanted numbers or strings"):
        Npz(saved(a=np.array([{}]))).read(0)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4"])
def test_a_file_that_is_no_archive(content):
    with pytest.raises(ValueError):
        Npz(io.BytesIO(content))


@given(position=st.integers(0, 10**6), value=st.integers(1, 255))
def test_a_changed_byte_is_an_error_or_changes_no_number(position, value):
    array = np.arange(60, dtype=np.int16)
    content = bytearray(saved(np.savez_compressed, a=array).getvalue())
    content[position % len(content)] ^= value
    try:
        read = Npz(io.BytesIO(content)).read(0)
    except ValueError:
        return
    assert read.tobytes() == array.tobytes()
