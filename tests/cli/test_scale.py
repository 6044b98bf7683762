"""--scale: what auto chooses for the data that people have, and that it says so."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import SMALL
from datasets import edited, small_set
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import data, loop
from simdrop.cli.data.sources import Found
from simdrop.cli.errors import InputError
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")

RNG = np.random.default_rng(0)
UNITS = np.array([1.0, 1000, 0.01])


def scaled(x, **options):
    labels = np.arange(len(x)) % 2
    found = {"x_train": x, "y_train": labels, "x_test": x, "y_test": labels}
    return data.checked(Found("x", found), **options)


@pytest.mark.parametrize(
    "x, kind, why",
    [
        (RNG.integers(0, 200, (50, 4, 4), np.uint8), "unit", "they are uint8"),
        (RNG.integers(0, 17, (50, 8, 8)).astype(float), "unit", "examples are images"),
        (RNG.integers(0, 17, (200, 20)).astype(float), "unit", "columns have one scale"),
        (RNG.integers(0, 17, (200, 20)), "unit", "columns have one scale"),
        (RNG.uniform(0, 1, (200, 20)), "none", "they reach from 0"),
        (RNG.normal(size=(200, 3)), "none", "means near 0 and deviations near 1"),
        (RNG.normal(size=(200, 3)) * UNITS, "standard", "columns have different scales"),
        (RNG.normal(1e6, 1, (200, 3)), "standard", "columns have different scales"),
        (RNG.uniform(0, 1e-6, (200, 20)), "unit", "columns have one scale"),
        (RNG.integers(0, 2, (50, 3), dtype=np.int8).astype(bool), "none", "they are booleans"),
        (np.full((50, 3), 7.0), "unit", "they do not vary"),
    ],
)
def test_what_auto_chooses(x, kind, why):
    loaded = scaled(x)
    assert loaded.signature.scaling.kind == kind
    (note,) = (note for note in loaded.notes if note.startswith("Inputs: "))
    assert f"(--scale auto chose {kind}: " in note and why in note
    assert np.abs(loaded.x_train).max() < 10 and np.isfinite(loaded.x_train).all()


@given(st.integers(0, 2**32), st.sampled_from(["unit", "standard", "none", "auto"]))
def test_each_kind_is_what_it_says(seed, kind):
    x = np.random.default_rng(seed).normal(3, 2, (40, 3))
    loaded = scaled(x, scaled=kind)
    wanted = {
        "unit": x / np.abs(x).max(),
        "standard": (x - x.mean(axis=0)) / x.std(axis=0),
        "none": x,
    }
    if kind == "auto":
        kind = loaded.signature.scaling.kind
    np.testing.assert_allclose(loaded.x_train, wanted[kind], rtol=1e-4, atol=1e-5)


def test_constant_columns_and_columns_of_categories_stay_finite():
    x = np.column_stack([np.full(30, 1e9), RNG.normal(5, 3, 30)])
    loaded = scaled(x, scaled="standard")
    assert (loaded.x_train[:, 0] == 0).all()
    Path("t.csv").write_text("size,kind,y\n" + "1,cat,0\n9,dog,1\n5,cat,1\n" * 10)
    loaded = data.load("t.csv", target="y", test=0.5)
    assert set(loaded.x_train[:, 1]) == {0, 1}  # as they are
    assert abs(loaded.x_train[:, 0].mean()) < 1e-6


def test_the_test_set_does_not_decide(small):
    before = data.load(small, scale="standard")
    with edited(small) as arrays:
        arrays["x_test"] = arrays["x_test"] * 1000
    after = data.load(small, scale="standard")
    assert before.x_train.tobytes() == after.x_train.tobytes()


def test_digits_as_floats_train_as_digits_do():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    np.savez("floats.npz", x=pixels, y=labels)
    np.savez("ints.npz", x=pixels.astype(int), y=labels)
    errors = []
    for name in ("floats.npz", "ints.npz"):
        words = ["--data", name, "--hidden", "32", "--epochs", "10", "--only", "without", "--quiet"]
        assert main(["train", *words, "--results", "r.json"]) == 0
        errors.append(json.loads(Path("r.json").read_text())["runs"]["without"]["test_error"])
    assert errors[0] == errors[1] < 0.1


# Arrays in files


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("dtype", ["f8", ">f4", "u1", "i2"])
def test_npy_files_give_what_npz_gives(split, dtype):
    rng = np.random.default_rng(1)
    if split:
        arrays = small_set(40, 20) | {
            "x_train": rng.integers(0, 100, (40, 2, 3)).astype(dtype),
            "x_test": rng.integers(0, 100, (20, 2, 3)).astype(dtype),
        }
    else:
        arrays = {"x": rng.integers(0, 100, (60, 7)).astype(dtype), "y": np.arange(60) % 3}
    np.savez("all.npz", **arrays)
    Path("all").mkdir()
    for name, array in arrays.items():
        np.save(f"all/{name}.npy", np.asfortranarray(array) if name[0] == "x" else array)
    np.save("all/other.npy", np.zeros(3))
    wanted = data.load("all.npz", scale="standard")
    for path in ("all", f"all/{next(iter(arrays))}.npy"):
        mapped = data.load(path, scale="standard")
        assert isinstance(mapped.x_train, data.Mapped) and mapped.name == "all"
        for part in ("train", "test"):
            x, y = getattr(wanted, f"x_{part}"), getattr(wanted, f"y_{part}")
            found = getattr(mapped, f"x_{part}")
            assert found.shape == x.shape and len(found) == len(x)
            np.testing.assert_array_equal(found[np.arange(len(x))], x)
            np.testing.assert_array_equal(found[3:5], x[3:5])
            np.testing.assert_array_equal(getattr(mapped, f"y_{part}"), y)


def test_a_training_on_npy_files_is_that_on_npz(small, capsys):
    Path("small").mkdir()
    with np.load(small) as arrays:
        for name, array in arrays.items():
            np.save(f"small/{name}.npy", array)
    tables = []
    for path in (small, "small"):
        assert main(["train", "--data", path, *SMALL, "--scale", "standard"]) == 0
        lines = capsys.readouterr().out.splitlines()
        tables.append([line[:-12] for line in lines if line.startswith((" with", "Misclass"))])
    assert tables[0] == tables[1] and len(tables[0]) == 3


def test_npy_files_that_change_are_noticed(small, capsys):
    Path("small").mkdir()
    with np.load(small) as arrays:
        for name, array in arrays.items():
            np.save(f"small/{name}.npy", array)
    words = ["train", "--data", "small", *SMALL, "--checkpoint", "run.npz", "--resume", "--quiet"]
    assert main(words) == 0
    x = np.load("small/x_test.npy")
    np.save("small/x_test.npy", x[::-1])
    assert main(words) == 2
    assert "the data differ in x_test" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "it cannot be read: it is not in NumPy's format"),
        (b"\x93NUMPY\1\0\x76\0", "it cannot be read: "),
        (None, "asks for 48 bytes, and there are 47"),
        (np.zeros((0, 3)), r"it is empty: its shape is \(0, 3\)"),
        (np.array([[None, 1]]), "object arrays are pickles"),
    ],
)
def test_npy_files_that_are_refused(content, message):
    np.save("y.npy", np.arange(2))
    if isinstance(content, np.ndarray):
        np.save("x.npy", content, allow_pickle=True)
    else:
        np.save("x.npy", np.zeros((2, 3)))
        whole = Path("x.npy").read_bytes()
        Path("x.npy").write_bytes(whole[:-1] if content is None else content)
    with pytest.raises(InputError, match=message):
        data.load("x.npy")


def test_a_folder_of_npy_files_without_labels(folder):
    np.save("x.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match="has no array y_train; wanted x_train, .* found x.npy"):
        data.load(folder)
    np.save("z.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match="'z.npy' is not named as an array of x_train"):
        data.load("z.npy")


# What is learned


@pytest.mark.parametrize(
    "y, task",
    [
        (np.arange(100) % 20, "classification"),
        (np.arange(100.0) % 20, "classification"),
        (np.arange(100), "regression"),
        (np.arange(100) / 2, "regression"),
        (np.arange(100).astype(str), "classification"),
        (RNG.normal(size=(100, 2)), "regression"),
        (np.eye(10)[np.arange(100) % 10], "classification"),
    ],
)
def test_the_task_is_found(y, task):
    np.savez("t.npz", x_train=np.eye(100), y_train=y, x_test=np.eye(100), y_test=y)
    loaded = data.load("t.npz")
    assert loaded.task.name == task
    assert any(note.startswith("Task: regression") for note in loaded.notes) == (
        task == "regression"
    )
    if y.ndim == 1 and y.dtype.kind != "U":
        loaded = data.load("t.npz", task="regression", scale="none")
        assert loaded.y_train.ravel().tolist() == np.float32(y).tolist()


def test_targets_are_scaled_and_errors_are_not():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(1000, 30, 50)
    np.savez("t.npz", x=x, y=y)
    loaded = data.load("t.npz", test=0.5)
    assert abs(loaded.y_train.mean()) < 1e-5 and loaded.y_train.std() == pytest.approx(1)
    net = loop.nn.MLP((3, 4, 1), loss="squared_error", rng=0).eval()
    loss, rmse = loop.evaluate(net, loaded)
    apart = net(loaded.x_train) - loaded.y_train
    assert loss == pytest.approx(0.5 * np.mean(apart**2), rel=1e-5)
    deviation = loaded.signature.target_scaling.divisor
    assert rmse == pytest.approx(np.sqrt(np.mean((apart * deviation) ** 2)), rel=1e-5)
