"""IDX files and folders of them: what is written is what is read, all else is one clear line."""

import gzip
import os
import re

import numpy as np
import pytest
from datasets import (
    IDX_CODES,
    IDX_FILES,
    assert_small_set,
    gzip_bomb,
    idx_bytes,
    little_memory,
    small_set,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simdrop.cli import data
from simdrop.cli.data.idx import read_idx
from simdrop.cli.errors import InputError

arrays_of_any_kind = st.sampled_from(sorted(IDX_CODES)).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(max_dims=4, max_side=5))
)


@pytest.fixture
def folder(tmp_path):
    """Write the small set as MNIST's four files, and give the folder."""
    for name, array in small_set().items():
        (tmp_path / IDX_FILES[name]).write_bytes(idx_bytes(array))
    return tmp_path


# IDX files


def test_idx_by_hand(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes.fromhex("00000801 00000003 050004"))
    read = read_idx(path)
    assert read.dtype == np.uint8
    assert read.tolist() == [5, 0, 4]
    path.write_bytes(bytes.fromhex("00000b02 00000001 00000002 0102 ffff"))
    assert read_idx(path).tolist() == [[258, -1]]


@given(array=arrays_of_any_kind, gzipped=st.booleans())
def test_idx_round_trip(tmp_path, array, gzipped):
    content = idx_bytes(array)
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    read = read_idx(path)
    assert read.dtype == array.dtype and read.dtype.isnative
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()  # NaN too


@pytest.mark.parametrize("gzipped", [False, True])
def test_idx_truncated_at_every_byte(tmp_path, gzipped):
    content = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    content = gzip.compress(content) if gzipped else content
    path = tmp_path / "array"
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=re.escape(repr(str(path)))) as error:
            read_idx(path)
        assert re.search("truncated|not an IDX file|damaged gzip", str(error.value))


@given(array=arrays_of_any_kind, gzipped=st.booleans(), tail=st.binary(min_size=1, max_size=20))
def test_idx_with_bytes_after_its_end(tmp_path, array, gzipped, tail):
    content = idx_bytes(array) + tail
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    with pytest.raises(InputError, match="bytes after its end"):
        read_idx(path)


@given(
    start=st.sampled_from([b"", b"\0\0", b"\0\0\x08\x01", b"\0\0\x08\x03\0\0\0", b"\x1f\x8b\x08"]),
    rest=st.binary(max_size=40),
)
def test_idx_of_any_bytes_is_an_array_or_a_clear_error(tmp_path, start, rest):
    path = tmp_path / "array"
    path.write_bytes(start + rest)
    try:
        array = read_idx(path)
    except InputError as error:
        assert repr(str(path)) in str(error)
    else:
        assert idx_bytes(array) == start + rest


@given(position=st.integers(0, 10**6), value=st.integers(1, 255), gzipped=st.booleans())
def test_idx_with_a_changed_byte_is_an_array_or_a_clear_error(tmp_path, position, value, gzipped):
    content = idx_bytes(np.arange(600, dtype=np.int32).reshape(2, 300))
    content = bytearray(gzip.compress(content) if gzipped else content)
    content[position % len(content)] ^= value
    path = tmp_path / "array"
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except InputError as error:
        assert repr(str(path)) in str(error)
    else:
        assert array.size * array.dtype.itemsize == 2400


@pytest.mark.parametrize(
    "header, message",
    [
        ("", "starts with no bytes; wanted 00 00"),
        ("50 4b 03 04", "not an IDX file: it starts with 50 4b 03 04; wanted 00 00"),
        ("00 00 07 01 00000001 00", "starts with 00 00 07 01"),
        ("00 00 08 00", "has 0 axes; wanted 1 to 32"),
        ("00 00 08 ff" + "00000001" * 255 + "00", "has 255 axes; wanted 1 to 32"),
        ("00 00 08 02 00000001", "ends after 8 of its header's 12 bytes"),
        ("00 00 08 03" + "ffffffff" * 3, r"truncated: its header \(shape \(4294967295, "),
        ("00 00 08 03 00000000" + "ffffffff" * 2, r"empty: its shape is \(0, 4294967295"),
    ],
)
def test_idx_with_a_wrong_header(tmp_path, header, message):
    path = tmp_path / "array"
    path.write_bytes(bytes.fromhex(header))
    with pytest.raises(InputError, match=message):
        read_idx(path)


def test_idx_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_idx(tmp_path / "array")


@pytest.mark.parametrize("members", [1, 64])
@pytest.mark.parametrize(
    "start, message",
    [
        ("00 00 08 01 00000003 01 02 03", "has bytes after its end"),
        ("00 00 08 01 00000003", "has bytes after its end"),
        ("00 00 08 00", "has 0 axes"),
        ("41 42", "is not an IDX file"),
    ],
)
def test_idx_gzip_bomb_is_read_no_further_than_its_header_promises(
    tmp_path, start, message, members
):
    path = tmp_path / "array"
    path.write_bytes(gzip_bomb(bytes.fromhex(start), members))
    with little_memory(), pytest.raises(InputError, match=message):
        read_idx(path)


@pytest.mark.parametrize("gzipped", [False, True])
def test_idx_header_that_promises_a_terabyte(tmp_path, gzipped):
    content = bytes.fromhex("00 00 08 02 000f4240 000f4240") + bytes(1000)
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if gzipped else content)
    with little_memory(), pytest.raises(InputError, match="is truncated: .* there are 1000"):
        read_idx(path)


def test_idx_plain_file_is_read_no_further_than_its_header_promises(tmp_path):
    path = tmp_path / "array"
    path.write_bytes(bytes.fromhex("00 00 08 01 00000003 01 02 03"))
    os.truncate(path, 2**40)  # with a hole: no disk is so large
    with little_memory(), pytest.raises(InputError, match="has bytes after its end"):
        read_idx(path)


# Folders


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_folder_with_every_spelling_of_the_names(tmp_path, separator, gzipped):
    for name, array in small_set().items():
        file = IDX_FILES[name].replace("-idx", separator + "idx") + (".gz" if gzipped else "")
        content = idx_bytes(array)
        (tmp_path / file).write_bytes(gzip.compress(content) if gzipped else content)
    loaded = data.load(tmp_path)
    assert_small_set(loaded)
    assert loaded.name == tmp_path.name


def test_folder_with_a_gz_file_that_is_not_gzipped(folder):
    """Some browsers decompress a download and leave it its name."""
    for file in list(folder.iterdir()):
        file.rename(file.with_name(file.name + ".gz"))
    assert_small_set(data.load(folder))


@pytest.mark.parametrize("file", IDX_FILES.values())
def test_folder_without_one_of_the_files(folder, file):
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"has no file {file} .*; wanted the four of MNIST"):
        data.load(folder)


def test_folder_without_any_of_the_files_says_what_is_looked_for(tmp_path):
    with pytest.raises(InputError) as error:
        data.load(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{str(tmp_path)!r} has none of the IDX files looked for")
    for name in (*IDX_FILES.values(), "emnist-SPLIT-", "balanced", "letters", "qmnist-", "(.gz)"):
        assert name in message
    assert "\n" not in message and len(message) < 600 + len(str(tmp_path))


SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")


def write_set(folder, prefix="", *, test="test", labels="idx1-ubyte", gz=True, **changes):
    """Write the small set under the names of EMNIST or QMNIST."""
    for name, array in (small_set() | changes).items():
        kind = "images-idx3-ubyte" if name[0] == "x" else f"labels-{labels}"
        file = f"{prefix}{'train' if name.endswith('train') else test}-{kind}"
        content = idx_bytes(array)
        (folder / (file + ".gz" * gz)).write_bytes(gzip.compress(content) if gz else content)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("split", SPLITS)
def test_folder_with_emnist(tmp_path, split, gz):
    write_set(tmp_path, f"emnist-{split}-", gz=gz)
    assert_small_set(data.load(tmp_path))


def test_emnist_letters_count_from_1(tmp_path):
    labels = {"y_train": np.arange(1, 7, dtype=np.uint8), "y_test": np.arange(1, 5, dtype=np.uint8)}
    write_set(tmp_path, "emnist-letters-", **labels)
    loaded = data.load(tmp_path)
    assert loaded.classes == 6 and loaded.labels == (1, 2, 3, 4, 5, 6)
    assert loaded.y_train.tolist() == [0, 1, 2, 3, 4, 5]


def qmnist_labels(part):
    """Eight columns, of which the first is the class."""
    rng = np.random.default_rng(1)
    y = small_set()[f"y_{part}"]
    return np.column_stack([y, rng.integers(0, 5000, (len(y), 7))]).astype(np.int32)


@pytest.mark.parametrize("gz", [False, True])
def test_folder_with_qmnist(tmp_path, gz):
    labels = {f"y_{part}": qmnist_labels(part) for part in ("train", "test")}
    write_set(tmp_path, "qmnist-", labels="idx2-int", gz=gz, **labels)
    loaded = data.load(tmp_path)
    assert_small_set(loaded)
    assert loaded.notes[0] == "Labels: the first of QMNIST's 8 columns, the digit."


def test_qmnist_with_one_column(tmp_path):
    write_set(tmp_path, "qmnist-", labels="idx2-int")
    with pytest.raises(InputError, match=r"y_train has shape \(6,\); wanted QMNIST's 8 columns"):
        data.load(tmp_path)


def test_folder_with_several_data_sets_lists_them(tmp_path):
    """NIST's archive of EMNIST has all six splits."""
    for split in ("letters", "digits"):
        write_set(tmp_path, f"emnist-{split}-")
    write_set(tmp_path, test="t10k")
    names = "MNIST, EMNIST digits, EMNIST letters"
    with pytest.raises(InputError, match=f"holds several data sets: {names}; wanted") as error:
        data.load(tmp_path)
    assert str(tmp_path / "train-images-idx3-ubyte.gz") in str(error.value)  # how to say which


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", ["images-idx3-ubyte", "labels-idx1-ubyte"])
def test_one_of_the_four_files_names_all_four(tmp_path, part, kind):
    for split, add in (("letters", 0), ("digits", 1)):
        write_set(tmp_path, f"emnist-{split}-", y_train=small_set()["y_train"] + np.uint8(add))
    loaded = data.load(tmp_path / f"emnist-letters-{part}-{kind}.gz")
    assert_small_set(loaded)
    assert loaded.name == "EMNIST letters"


def test_an_unfinished_set_beside_a_whole_one_does_not_count(folder):
    write_set(folder, "emnist-letters-")
    (folder / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    assert_small_set(data.load(folder))


def test_folder_with_two_unfinished_sets(tmp_path):
    write_set(tmp_path, "emnist-letters-")
    write_set(tmp_path, test="t10k")
    (tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / name).unlink()
    message = (
        r"has no file emnist-letters-test-labels-idx1-ubyte \(or .gz\); wanted the four of EMNIST"
    )
    with pytest.raises(InputError, match=message):
        data.load(tmp_path)


@pytest.mark.parametrize("file", IDX_FILES.values())
def test_folder_with_a_truncated_file(folder, file):
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-1])
    with pytest.raises(InputError, match=f"{file}': it is truncated"):
        data.load(folder)


def test_folder_with_images_in_place_of_labels(folder):
    (folder / IDX_FILES["y_test"]).write_bytes((folder / IDX_FILES["x_test"]).read_bytes())
    with pytest.raises(InputError, match=r"y_test has shape \(4, 2, 3\); wanted one label"):
        data.load(folder)
