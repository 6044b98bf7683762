"""Data: .npz files, the checks and the scaling of arrays, the validation set."""

import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from datasets import IDX_FILES, MUCH, assert_small_set, gzip_bomb, little_memory, small_set
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simdrop.cli import data
from simdrop.cli.data.sources import Found
from simdrop.cli.errors import InputError

MNIST = Path(
    os.environ.get("SIMDROP_MNIST")
    or Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist.npz"
)


@pytest.fixture
def npz(tmp_path):
    """Write the small set, with some arrays replaced (by None: left out), and give the path."""

    def write(**changes):
        arrays = {k: v for k, v in (small_set() | changes).items() if v is not None}
        np.savez(tmp_path / "small.npz", **arrays)
        return tmp_path / "small.npz"

    return write


def checked(arrays):
    return data.checked(Found("small", arrays))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_header(shape, descr="|u1", version=1):
    """The header of an array of any shape and type, without its numbers."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return (
        b"\x93NUMPY" + struct.pack("<BBH" if version == 1 else "<BBI", version, 0, len(text)) + text
    )


def write_npz(path, members, method=zipfile.ZIP_DEFLATED):
    """Write a zip archive of bytes: the small set with some members replaced."""
    contents = {f"{name}.npy": npy(array) for name, array in small_set().items()} | members
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "member, message",
    [
        (
            npy(np.zeros((6, 2, 3), np.uint8)) + bytes(MUCH),
            "array x_train .* has bytes after its end",
        ),
        (
            npy_header((10**6, 10**6)) + bytes(100),
            "array x_train .* is truncated: .* there are 100",
        ),
        (npy_header((10**30, 10**30)), "array x_train .* is truncated: .* there are 0"),
        (npy_header((10**6, 10**6), "<f8") + bytes(100), "array x_train .* is truncated"),
        (npy_header((-6, -6)) + bytes(36), "array x_train cannot be read: negative dimensions"),
        (b"\x93NUMPY\2\0" + struct.pack("<I", MUCH) + b" " * MUCH, "array x_train cannot be read"),
        (b"\x93NUMPY\3\0" + bytes(100), "array x_train cannot be read: .* version"),
        (bytes(MUCH), "array x_train cannot be read: it is not in NumPy's"),
    ],
    ids=["long", "1e12", "1e60", "8e12", "negative", "header", "version", "zeros"],
)
@pytest.mark.parametrize("gzipped", [False, True])
def test_npz_member_is_read_no_further_than_its_header_promises(tmp_path, member, message, gzipped):
    path = write_npz(tmp_path / "small.npz", {"x_train.npy": member})
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    with little_memory(), pytest.raises(InputError, match=message):
        data.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_compressed_as_numpy_does_not(tmp_path, method):
    """bz2 and LZMA give all of a bomb at once."""
    path = write_npz(tmp_path / "small.npz", {"x_train.npy": bytes(MUCH)}, method)
    with little_memory(), pytest.raises(InputError, match="cannot be read: .* compress"):
        data.load(path)


@pytest.mark.parametrize("start", [b"", b"text", b"PK\3\4", b"PK\5\6" + bytes(18)])
def test_npz_gz_bomb(tmp_path, start):
    path = tmp_path / "small.npz.gz"
    path.write_bytes(gzip_bomb(start, 64))
    with little_memory(), pytest.raises(InputError, match="not an .npz file|damaged .npz file"):
        data.load(path)


def test_npz_gz_with_a_bomb_of_names(tmp_path):
    """The list of names, too, is a size that somebody promises."""
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, MUCH, 4, 0)
    path = tmp_path / "small.npz.gz"
    path.write_bytes(gzip.compress(b"PK\3\4" + bytes(MUCH) + end, 1))
    with little_memory(), pytest.raises(InputError, match="damaged .npz file: .* names"):
        data.load(path)


# npz files


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "small.npz", **small_set(), another=np.zeros(3))
    loaded = data.load(str(tmp_path / "small.npz"))
    assert_small_set(loaded)
    assert loaded.name == "small"


def test_npz_is_told_by_its_content_not_by_its_name(npz):
    path = npz()
    assert_small_set(data.load(path.rename(path.with_suffix(".dat"))))


@pytest.mark.parametrize(
    "missing, found",
    [
        (["x_train"], "y_train, x_test, y_test"),
        (["x_test"], "x_train, y_train, y_test"),
        (IDX_FILES, "none"),
    ],
    ids=["one", "test", "all"],
)
def test_npz_without_an_array(npz, missing, found):
    path = npz(**dict.fromkeys(missing))
    names = " or ".join(list(missing)[:2])
    with pytest.raises(InputError, match=f"has no array {names}; wanted x_train, .* found {found}"):
        data.load(path)


SPELLINGS = {
    "x_train": [
        "x_train",
        "X_train",
        "X_TRAIN",
        "train_x",
        "train_X",
        "train_images",
        "training_images",
    ],
    "y_train": ["y_train", "Y_train", "train_y", "train_labels", "training_labels"],
    "x_test": ["x_test", "X_test", "test_x", "test_X", "test_images"],
    "y_test": ["y_test", "Y_test", "test_y", "test_labels", "Test_Labels"],
}


@given(names=st.tuples(*(st.sampled_from(SPELLINGS[name]) for name in IDX_FILES)))
def test_npz_with_other_spellings_of_the_names(tmp_path, names):
    path = tmp_path / "small.npz"
    arrays = [small_set()[name] for name in IDX_FILES]
    np.savez(path, **dict(zip(names, arrays, strict=True)), val_images=np.zeros(3))
    assert_small_set(data.load(path))


@pytest.mark.parametrize("name, others", SPELLINGS.items())
def test_npz_with_two_spellings_of_one_name(npz, name, others):
    for other in others[1:]:
        path = npz(**{other: small_set()[name]})
        message = f"holds both {name} and {other}, .* wanted one of them"
        with pytest.raises(InputError, match=message):
            data.load(path)


def test_npz_with_one_name_twice(tmp_path):
    path = write_npz(tmp_path / "small.npz", {"x_train": npy(small_set()["x_train"])})
    with pytest.raises(InputError, match="holds both x_train and x_train, .* wanted one of them"):
        data.load(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["small.npz.gz", "small.dat"])
def test_npz_gz(tmp_path, save, name):
    file = io.BytesIO()
    save(file, **small_set())
    (tmp_path / name).write_bytes(gzip.compress(file.getvalue()))
    loaded = data.load(tmp_path / name)
    assert_small_set(loaded)
    assert loaded.name == "small"


@given(share=st.floats(0, 1, exclude_max=True))
def test_npz_gz_truncated_anywhere(tmp_path, share):
    file = io.BytesIO()
    np.savez(file, **small_set())
    content = gzip.compress(file.getvalue())
    path = tmp_path / "small.npz.gz"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not an .npz file|damaged"):
        data.load(path)


@given(
    array=hnp.arrays(
        st.sampled_from(["u1", "<i4", ">i4", "<f4", ">f4", "f2", "?"]),
        st.tuples(st.just(6), st.integers(1, 4), st.integers(1, 4)),
        elements=st.integers(0, 1),
    ),
    order=st.sampled_from("CF"),
)
def test_npz_arrays_are_read_as_numpy_reads_them(tmp_path, array, order):
    path = tmp_path / "small.npz"
    array = np.asarray(array, order=order)
    np.savez(path, **small_set() | {"x_train": array, "x_test": array[:4]})
    loaded = data.load(path, scale="none")
    wanted = array.reshape(6, -1).astype(np.float32)
    np.testing.assert_array_equal(loaded.x_train, wanted)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", IDX_FILES)
def test_npz_with_pickled_objects_is_refused_and_nothing_runs(npz, tmp_path, name):
    sprung = tmp_path / "sprung"
    path = npz(**{name: np.array([[Trap(sprung)]] * 6, object)})
    with pytest.raises(InputError, match=f"array {name} cannot be read: object arrays"):
        data.load(path)
    assert not sprung.exists()


@given(share=st.floats(0, 1, exclude_max=True))
def test_npz_truncated_anywhere(tmp_path, share):
    path = tmp_path / "small.npz"
    np.savez(path, **small_set())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not an .npz file|damaged .npz file"):
        data.load(path)


@given(
    position=st.integers(0, 10**6),
    value=st.integers(1, 255),
    save=st.sampled_from(["", "_compressed"]),
)
def test_npz_with_a_changed_byte_is_data_or_a_clear_error(tmp_path, position, value, save):
    path = tmp_path / "small.npz"
    getattr(np, f"savez{save}")(path, **small_set())
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= value
    path.write_bytes(content)
    try:
        loaded = data.load(path)
    except InputError as error:
        assert repr(str(path)) in str(error)
    else:
        assert_small_set(loaded)


def test_npz_member_that_is_no_array(tmp_path):
    path = tmp_path / "small.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in IDX_FILES:
            archive.writestr(name, b"text")
    with pytest.raises(InputError, match="array x_train cannot be read: it is not in NumPy's"):
        data.load(path)


@pytest.mark.parametrize("content", [b"", b"P", b"text", b"\x93NUMPY\1\0"])
def test_file_that_is_no_npz(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="data.npz' is not an .npz file; wanted one, a folder"):
        data.load(path)


def test_gzip_file_that_is_no_npz(tmp_path):
    path = tmp_path / "data.npz.gz"
    path.write_bytes(gzip.compress(b"text"))
    with pytest.raises(InputError, match="data.npz.gz' is not an .npz file; wanted one, a fold"):
        data.load(path)


def test_path_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nowhere.npz' cannot be read: No such file"):
        data.load(tmp_path / "nowhere.npz")


def test_path_with_a_null_character():
    with pytest.raises(InputError, match="cannot be read: embedded null"):
        data.load("a\0b")


def test_path_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is neither a file nor a folder"):
        data.load(tmp_path / "pipe")


def test_name_that_cannot_be_drawn(npz):
    path = npz()
    assert data.load(path.rename(path.with_name("a\nb.npz"))).name == "a?b"


# Arrays


U1 = np.uint8

IMAGES = np.zeros((6, 2, 3), U1)

FLOATS = {"x_train": np.zeros((6, 5)), "x_test": np.zeros((4, 5))}


def with_value(value, shape=(4, 5)):
    array = np.zeros(shape)
    array[2, 3] = value
    return array


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x_train": np.zeros((6, 2, 3), "U1")}, "x_train holds <U1; wanted integers or floats"),
        ({"x_test": np.zeros((4, 6), complex)}, "x_test holds complex128; wanted integers or"),
        ({"x_train": np.zeros(6)}, r"x_train has shape \(6,\); wanted \(examples, features\)"),
        ({"x_test": U1(3)}, r"x_test has shape \(\); wanted \(examples, features\)"),
        ({"x_train": IMAGES[:0], "y_train": U1([])}, r"x_train is empty: its shape is \(0, 2, 3\)"),
        ({"x_test": IMAGES[:0], "y_test": U1([])}, r"x_test is empty: its shape is \(0, 2, 3\)"),
        ({"x_train": IMAGES[:, :0]}, r"x_train is empty: its shape is \(6, 0, 3\)"),
        ({"x_test": np.zeros((4, 2, 4), U1)}, "has 6 numbers in x_train and 8 in x_test"),
        (
            {"x_test": np.zeros((4, 2, 3))},
            "x_train holds uint8 and x_test float64; wanted the same",
        ),
        (FLOATS | {"x_test": with_value(np.nan)}, "x_test holds nan in example 2; wanted finite"),
        (FLOATS | {"x_test": with_value(-np.inf)}, "x_test holds -inf in example 2; wanted finite"),
        (FLOATS | {"x_train": with_value(np.nan, (6, 5))}, "x_train holds nan in example 2"),
        (FLOATS | {"x_test": with_value(1e39)}, r"x_test holds 1e\+39 in example 2"),
        ({"y_train": np.full(6, "a")}, "y_train holds strings and y_test whole numbers; wanted th"),
        ({"y_test": np.full(4, True)}, "y_train holds whole numbers and y_test booleans; wanted"),
        ({"y_train": np.full(6, 1j)}, "y_train holds complex128; wanted whole numbers, strings"),
        ({"y_train": np.full(6, "1999", "M8[Y]")}, r"y_train holds datetime64\[Y\]; wanted whole"),
        ({"y_train": np.zeros((6, 3))}, r"y_train has shape \(6, 3\); wanted .* example: \(6,\)"),
        ({"y_train": np.full((6, 2), "a")}, r"y_train has shape \(6, 2\); wanted one label an"),
        ({"y_train": np.eye(6)[:, :5]}, r"y_train has shape \(6, 5\).*row 5 is not"),
        ({"y_train": np.eye(6) + np.eye(6)[0]}, r"y_train has shape \(6, 6\).*row 0 is not"),
        ({"y_train": np.full((6, 2), 0.5)}, "y_train has 2 numbers an example, and y_test 1"),
        ({"y_train": np.full(6, 0.5), "y_test": np.full(4, np.nan)}, "y_test holds nan in exampl"),
        ({"y_train": np.full(6, 0.5), "y_test": np.full(4, "a")}, "y_test holds <U1, shape "),
        ({"y_train": np.full((6, 2), np.nan)}, r"y_train has shape \(6, 2\).*row 0 is not"),
        (
            {"y_train": np.eye(6), "y_test": np.eye(4)},
            "one-hot rows of 6 numbers in y_train and of 4 in y_test; wanted the same",
        ),
        ({"y_test": U1(1)}, r"y_test has shape \(\); wanted one label an example: \(4,\)"),
        ({"y_train": U1([0, 1])}, "y_train has 2 labels for the 6 examples of x_train; wanted one"),
        ({"y_test": U1([0] * 5)}, "y_test has 5 labels for the 4 examples of x_test"),
        ({"y_test": np.array([0, 1, 2.0**54, 1])}, "y_test holds the label 1.80143985"),
        ({"y_test": np.array([0, 1, 0.5, 1])}, "y_test holds the label 0.5; wanted whole numbers"),
        ({"y_test": np.array([0, 1, np.nan, 1])}, "y_test holds the label nan"),
        ({"y_test": np.array([0, 1, np.inf, 1])}, "y_test holds the label inf"),
        ({"y_test": np.array([0, 1, np.inf, 1], "f2")}, "y_test holds the label inf"),
        ({"y_test": np.array([0, 1, 0.5, 1], "f2")}, "y_test holds the label 0.5; wanted whole"),
        ({"y_test": np.array([0, 2**63, 1, 1], np.uint64)}, "y_test holds the label 9223372036854"),
        ({"y_train": np.full(6, 7)}, "y_train holds one label, 7; wanted two or more"),
        ({"y_test": U1([0, 1, 9, 2])}, "y_test holds label 9, which y_train does not"),
        ({"y_test": U1([7, 1, 9, 7])}, "y_test holds labels 7, 9, which y_train does not"),
        (
            {"y_train": np.array(list("aabbcc")), "y_test": np.array(list("axyb"))},
            "y_test holds labels 'x', 'y', which y_train does not",
        ),
    ],
)
def test_arrays_that_do_not_fit(npz, changes, message):
    path = npz(**changes)
    with pytest.raises(InputError, match=message) as error:
        data.load(path)
    assert repr(str(path)) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "dtype, low, high, scale",
    [
        ("uint8", 0, 100, 255),  # its range, not its largest value
        ("int8", -100, 50, 100),
        ("uint16", 0, 4095, 4095),
        ("int64", 0, 255, 255),
        ("int64", -(2**63), 5, 2**63),
        ("int32", 0, 0, 1),
        ("float32", -2.5, 80, 80),
        ("float64", 0, 1e30, 1e30),
        ("float16", 0, 60000, 60000),
        ("bool", 0, 1, 1),
    ],
)
def test_scale(npz, dtype, low, high, scale):
    train = np.array([[low, high]] * 6).astype(dtype)
    test = np.array([[high, high]] * 4).astype(dtype)
    loaded = data.load(npz(x_train=train, x_test=test))
    wanted = [[np.float32(low) / np.float32(scale), np.float32(high) / np.float32(scale)]] * 6
    np.testing.assert_array_equal(loaded.x_train, wanted)
    np.testing.assert_array_equal(loaded.x_test, np.array(wanted)[:4, [1, 1]])


def test_a_test_set_does_not_change_the_scale(npz):
    test = np.full((4, 2), 1000, np.int64)
    loaded = data.load(npz(x_train=np.full((6, 2), 10, np.int64), x_test=test))
    assert loaded.x_train.max() == 1 and loaded.x_test.max() == 100


@pytest.mark.parametrize("dtype", ["u1", "i1", "i8", "u8", ">i4", "f4", "f8"])
def test_labels_become_0_1_2(npz, dtype):
    train = np.array([26, 1, 7, 7, 1, 26], dtype)
    loaded = data.load(npz(y_train=train, y_test=np.array([7, 1, 26, 7], dtype)))
    assert loaded.classes == 3
    assert loaded.y_train.tolist() == [2, 0, 1, 1, 0, 2]
    assert loaded.y_test.tolist() == [1, 0, 2, 1]


def test_labels_may_be_negative(npz):
    loaded = data.load(npz(y_train=np.array([1, -1] * 3), y_test=np.array([1.0, 1, -1, -1])))
    assert loaded.labels == (-1, 1) and loaded.y_train.tolist() == [1, 0] * 3
    assert loaded.y_test.tolist() == [1, 1, 0, 0]


@given(
    labels=hnp.arrays(
        st.sampled_from(["u1", "i1", "<i2", ">i4", "i8", "u8", ">f2", "f4", ">f8", "g"]),
        6,
        elements=st.integers(0, 100),
    ),
    shape=st.sampled_from([(6,), (6, 1), (6, 1, 1)]),
)
def test_labels_are_the_sorted_ones_of_the_training_set(labels, shape):
    arrays = small_set() | {"y_train": labels.reshape(shape), "y_test": labels[:4]}
    known = sorted(set(labels.tolist()))
    if len(known) == 1:
        with pytest.raises(InputError, match="wanted two or more"):
            checked(arrays)
        return
    loaded = checked(arrays)
    assert loaded.labels == tuple(known) and all(type(label) is int for label in loaded.labels)
    assert [known[y] for y in loaded.y_train] == labels.tolist()
    assert [known[y] for y in loaded.y_test] == labels[:4].tolist()
    assert [note for note in loaded.notes if not note.startswith("Inputs")] == []


@given(
    labels=st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(lambda y: len(set(y)) > 1),
    dtype=st.sampled_from(["u1", "?", "<i4", ">f4", "f8"]),
    trailing=st.booleans(),
    test_too=st.booleans(),
)
def test_one_hot_labels(labels, dtype, trailing, test_too):
    rows = np.eye(5)[labels].astype(dtype)
    test = rows[:4] if test_too else np.array(labels[:4])
    arrays = small_set() | {"y_train": rows[..., None] if trailing else rows, "y_test": test}
    loaded = checked(arrays)
    assert loaded.labels == tuple(sorted(set(labels)))
    assert [loaded.labels[y] for y in loaded.y_train] == labels
    assert [loaded.labels[y] for y in loaded.y_test] == labels[:4]
    names = "y_train and y_test" if test_too else "y_train"
    assert loaded.notes[0] == (
        f"Labels: the positions of the 1s in {names}, one-hot rows of 5 numbers."
    )


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4)


@given(
    labels=st.lists(TEXT, min_size=6, max_size=6).filter(lambda y: len(set(y)) > 1),
    as_bytes=st.tuples(st.booleans(), st.booleans()),
)
def test_labels_that_are_strings(labels, as_bytes):
    train, test = (
        np.array([label.encode() for label in part] if encoded else part)
        for part, encoded in zip((labels, labels[:4]), as_bytes, strict=True)
    )
    loaded = checked(small_set() | {"y_train": train, "y_test": test})
    assert loaded.labels == tuple(sorted(set(labels)))
    assert [loaded.labels[y] for y in loaded.y_train] == labels
    assert [loaded.labels[y] for y in loaded.y_test] == labels[:4]


def test_labels_that_are_bytes_in_another_encoding(npz):
    train = np.array([b"caf\xe9", b"caf\xe8"] * 3)
    loaded = data.load(npz(y_train=train, y_test=train[:4]))
    assert loaded.classes == 2 and loaded.y_train.tolist() == [1, 0] * 3


def test_labels_that_are_booleans(npz):
    loaded = data.load(npz(y_train=np.array([True, False] * 3), y_test=np.full(4, True)))
    assert loaded.labels == (False, True) and type(loaded.labels[0]) is bool
    assert loaded.y_train.tolist() == [1, 0] * 3 and loaded.y_test.tolist() == [1] * 4


@pytest.mark.parametrize("orders", ["<>", "><", ">>"])
@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "u4"])
def test_byte_orders(npz, orders, kind):
    x = np.arange(60).reshape(10, 2, 3)
    arrays = {"x_train": x[:6].astype(orders[0] + kind), "x_test": x[6:].astype(orders[1] + kind)}
    labels = {"y_train": np.arange(6, dtype=orders[1] + "i4"), "y_test": np.arange(4.0)}
    loaded = data.load(npz(**arrays, **labels), scale="unit")
    scale = np.float32(35)
    np.testing.assert_array_equal(loaded.x_train, x[:6].reshape(6, 6).astype("f4") / scale)
    np.testing.assert_array_equal(loaded.x_test, x[6:].reshape(4, 6).astype("f4") / scale)
    assert loaded.y_train.dtype.isnative and loaded.x_train.dtype.isnative


def test_a_test_set_may_lack_a_label(npz):
    loaded = data.load(npz(y_test=np.zeros(4, U1)))
    assert loaded.classes == 3 and loaded.y_test.tolist() == [0] * 4


def test_digits():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    digits = data.load()
    assert digits.x_train.shape == (898, 64) and digits.x_test.shape == (899, 64)
    assert digits.classes == 10
    for x in (digits.x_train, digits.x_test):
        assert x.min() == 0 and x.max() == 1
    # Every image is in one of the halves, with its label.
    together = np.vstack([digits.x_train, digits.x_test]) * 16
    rows = np.column_stack([together, np.concatenate([digits.y_train, digits.y_test])])
    wanted = np.column_stack([pixels, labels])
    np.testing.assert_array_equal(
        rows[np.lexsort(rows.T)], wanted[np.lexsort(wanted.T)].astype(np.float32)
    )
    assert digits.x_train.tobytes() == data.load().x_train.tobytes()


@pytest.mark.skipif(
    not MNIST.is_file(), reason="no mnist.npz: set SIMDROP_MNIST to the path of one"
)
def test_mnist():
    mnist = data.load(MNIST)
    assert mnist.x_train.shape == (60000, 784) and mnist.x_test.shape == (10000, 784)
    assert mnist.classes == 10
    assert mnist.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.x_train.min() == 0 and mnist.x_train.max() == 1
    # 0.1307, the mean that everybody normalizes MNIST with
    assert mnist.x_train.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)


# The validation set


@given(count=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**70))
def test_hold_out_takes_every_row_once(count, fraction, seed):
    arrays = small_set(train=max(count, 3))
    images = checked(arrays)
    held_out = round(fraction * len(images.y_train))
    if not 0 < held_out < len(images.y_train):
        with pytest.raises(InputError, match="wanted at least one for each"):
            data.hold_out(images, fraction, seed)
        return
    rows = data.hold_out(images, fraction, seed)
    assert len(rows.validation) == held_out
    assert sorted([*rows.train, *rows.validation]) == list(range(len(images.y_train)))
    again = data.hold_out(images, fraction, seed)
    assert again.train.tolist() == rows.train.tolist()


def test_hold_out_depends_on_the_seed():
    images = checked(small_set(train=60))
    rows = [data.hold_out(images, 0.5, seed).validation.tolist() for seed in (0, 1)]
    assert rows[0] != rows[1]
    assert rows[0] != sorted(rows[0])
