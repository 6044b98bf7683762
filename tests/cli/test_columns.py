"""Tables: what is read from CSV and Parquet files, and what is refused."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from command import one_error_line
from hypothesis import given
from hypothesis import strategies as st

from simdrop import nn
from simdrop.cli import data
from simdrop.cli.data import columns
from simdrop.cli.errors import InputError
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")

RNG = np.random.default_rng(0)


def table(text, name="t.csv"):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return columns.read(Path(name), lambda names: names)


def test_numbers_and_strings():
    found = table("size,kind,n\n1.5,cat,1\n-2e3, dog ,2\n")
    assert found["size"].tolist() == [1.5, -2000] and found["size"].dtype == np.float64
    assert found["kind"].tolist() == ["cat", "dog"] and found["n"].tolist() == [1, 2]


NAMES = st.text(st.characters(categories=["L"]), min_size=1, max_size=5).filter(
    lambda name: name.lower() not in columns.MISSING and not columns._is_number(name)
)
TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=6).filter(
    lambda text: text.strip().lower() not in columns.MISSING and not columns._is_number(text)
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data())
def test_what_csv_writes_is_read(data):
    names = data.draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = data.draw(st.integers(1, 12))
    kinds = [data.draw(st.sampled_from([NUMBERS, TEXTS])) for _ in names]
    values = [data.draw(st.lists(kind, min_size=rows, max_size=rows)) for kind in kinds]
    delimiter = data.draw(st.sampled_from(columns.DELIMITERS)) if len(names) > 1 else ","
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows(zip(*values, strict=True))
    content = text.getvalue().encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig"])))
    zipped = data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ROWS", data.draw(st.integers(1, 5)))
        found = table(gzip.compress(content) if zipped else content)
    assert list(found) == names
    for column, wanted in zip(found.values(), values, strict=True):
        shown = [value.strip() if isinstance(value, str) else value for value in wanted]
        assert column.tolist() == shown


def test_a_column_that_holds_a_string_at_last_is_read_again(monkeypatch):
    monkeypatch.setattr(columns, "ROWS", 2)
    found = table("a,b\n" + "".join(f"{i:02},x\n" for i in range(5)) + "six,y\n")
    assert found["a"].tolist() == ["00", "01", "02", "03", "04", "six"]


@pytest.mark.parametrize(
    "text, names",
    [
        ("5.1,3.5,setosa\n4,3,virginica\n", ["1", "2", "3"]),
        ("a;b\n1,5;2\n", ["a", "b"]),
        ("a\tb\n1\t2\n", ["a", "b"]),
        ('"a,b"|c\n1|2\n', ["a,b", "c"]),
        ("a,b\r\n1,2\r\n\r\n3,4\r\n", ["a", "b"]),
        ("a\n1\n", ["a"]),
    ],
)
def test_headers_and_delimiters(text, names):
    assert list(table(text)) == names


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "it is empty"),
        ("a,b\n", "is empty: it has no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, and the first line 2"),
        ("a,a\n1,2\n", "its first line names 'a' more than once"),
        ("a,,c\n1,2,3\n", "column 2 has no name in the first line"),
        ("a,b\n1,2\n,3\n", "column 'a' is empty in line 3; wanted none missing"),
        ("a,b\nx,2\n ? ,3\n", "column 'a' holds ' [?] ' in line 3; wanted none missing"),
        ("a,b\n1,2\nNaN,3\n", "column 'a' holds 'NaN' in line 3; wanted none missing"),
        (b"a,b\n1,\xff\n", "it is not UTF-8 text: "),
        (b"a\0,b\n1,2\n", "its first line holds a null character"),
        ("a,b\n1," + "x" * 2**21 + "\n", "line 2: field larger than field limit"),
    ],
)
def test_tables_that_are_refused(text, message):
    with pytest.raises((InputError, ValueError), match=message) as caught:
        table(text)
    assert "'t.csv'" in str(caught.value) and "\n" not in str(caught.value)


def test_missing_values_in_columns_that_are_ignored_do_not_matter():
    Path("t.csv").write_text("a,b,y\n1,,0\n2,x,1\n3,,0\n4,x,1\n5,x,1\n6,x,0\n")
    loaded = data.load("t.csv", target="y", ignore=("b",), test=1 / 3)
    assert loaded.x_train.shape == (4, 1) and loaded.labels == (0, 1)
    with pytest.raises(InputError, match="column 'b' is empty in line 2"):
        data.load("t.csv", target="y")


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "--target says which column is to be learned; wanted one of 'a', 'b', 'y'"),
        (["--target", "z"], "--target 'z' is not a column; wanted one of 'a', 'b', 'y'"),
        (["--target", "y", "--ignore", "z"], "--ignore 'z' is not a column"),
        (["--target", "y", "--ignore", "a,y"], "column 'y' is both --target and --ignore"),
        (["--target", "y", "--ignore", "a,b"], "no column besides 'y' and those to ignore"),
        (["--target", "y", "--test", "u.csv"], "--test 'u.csv': "),
        (["--target", "y", "--test", "v.csv"], "it lacks the column 'b'; it has 'a', 'y'"),
        (["--target", "y", "--test", "w.csv"], "column 'b' holds 'eel', which it does not hold"),
        (["--target", "y", "--test", "2"], "argument --test: wanted a file, or a number above 0"),
        (["--target", "y", "--test", "0.01"], "--test 0.01 of 6 examples leaves 6 to train on"),
    ],
)
def test_options_that_do_not_fit_a_table(capsys, words, message):
    Path("t.csv").write_text("a,b,y\n" + "1,cat,0\n2,dog,1\n3,cat,0\n" * 2)
    Path("v.csv").write_text("a,y\n1,0\n")
    Path("w.csv").write_text("a,b,y\n1,eel,0\n")
    assert main(["train", "--data", "t.csv", *words]) == 2
    assert message in one_error_line(capsys, silent=True)


@pytest.mark.parametrize("words", [["--target", "y"], ["--ignore", "y"], ["--test", "t.npz"]])
def test_options_of_tables_without_one(small, capsys, words):
    words = ["train", "--data", small, *words] if words[0] != "--target" else ["train", *words]
    assert main(words) == 2
    assert "without a table; wanted it with a CSV or Parquet file" in one_error_line(capsys)


def test_columns_that_are_no_categories(monkeypatch):
    text = "a,y\n" + "".join(f"name{i},{i % 2}\n" for i in range(101))
    Path("t.csv").write_text(text)
    with pytest.raises(InputError, match="column 'a' holds 101 different strings.* --ignore a$"):
        data.load("t.csv", target="y")
    Path("t.csv").write_text("a;y\n1,5;0\n2,5;1\n")
    with pytest.raises(InputError, match="column 'a' holds '1,5'; wanted .* a decimal point"):
        data.load("t.csv", target="y")


def animals(rows):
    """A table whose column `kind` is decided by the others."""
    size, legs = RNG.normal(50, 20, rows), RNG.choice(["two", "four"], rows)
    kind = np.where(legs == "two", "bird", np.where(size > 50, "horse", "cat"))
    return {"size": size.round(3), "legs": legs, "id": np.arange(rows), "kind": kind}


def write_csv(path, table):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))


def test_train_and_predict_from_tables(capsys):
    """From a table to predictions for another one, in which the columns are in another order."""
    train, new = animals(300), animals(50)
    write_csv("train.csv", train)
    write_csv("new.csv", {name: new[name] for name in ("legs", "id", "size")})
    write_csv("known.csv", new)
    words = ["--data", "train.csv", "--target", "kind", "--ignore", "id", "--hidden", "16"]
    assert main(["train", *words, "--p", "0", "--p-input", "0", "--checkpoint", "k.npz"]) == 0
    out = capsys.readouterr().out
    assert "Column 'legs': one-hot, for 2 categories." in out
    assert "Test set: 60 of 300 examples, chosen at random (--test)." in out
    assert "--scale auto chose standard: columns have different scales" in out
    assert "Classes: 'bird', 'cat', 'horse'." in out

    assert main(["predict", "k.npz", "--data", "new.csv", "--out", "new.out"]) == 0
    out = capsys.readouterr().out
    assert "Predicted 50 rows: 'new.out'" in out and "Error" not in out
    with open("new.out", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["prediction", "p(bird)", "p(cat)", "p(horse)"]
    predicted = np.array([row["prediction"] for row in rows])
    wrong = np.count_nonzero(predicted != new["kind"])
    assert wrong <= 5
    for row in rows:
        best = max(("bird", "cat", "horse"), key=lambda kind: float(row[f"p({kind})"]))
        assert best == row["prediction"]
    again = nn.open("k.npz").predict({"size": new["size"], "legs": new["legs"]})
    assert again.tolist() == predicted.tolist()

    assert main(["predict", "k.npz", "--data", "known.csv", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert Path("simdrop-predict.csv").read_bytes() == Path("new.out").read_bytes()
    assert main(["predict", "k.npz", "--data", "known.csv"]) == 0
    assert f"Error: {2 * wrong:.2f} %, {wrong} of 50 are wrong." in capsys.readouterr().out
    write_csv("test.csv", new)
    assert main(["train", *words, "--test", "test.csv", "--epochs", "2"]) == 0
    assert "tested on 50." in capsys.readouterr().out


def test_parquet_holds_what_csv_holds():
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = animals(30)
    write_csv("t.csv", table)
    kinds = {"kind": pa.array(table["kind"]).dictionary_encode(), "legs": pa.array(table["legs"])}
    pq.write_table(pa.table(table | kinds), "t.parquet")
    loaded = [data.load(name, target="kind", ignore=("id",)) for name in ("t.csv", "t.parquet")]
    assert loaded[0].fingerprints() == loaded[1].fingerprints()
    assert loaded[0].signature.columns == loaded[1].signature.columns

    for column, message in (
        (pa.array([1, None, 3]), "column 'a' has no value in row 2; wanted none missing"),
        (pa.array([["x"], ["y"], []]), "column 'a' holds list<"),
        (pa.array([1, 2, 3], pa.timestamp("s")), r"column 'a' holds timestamp\[m?s\]; wanted"),
    ):
        pq.write_table(pa.table({"a": column, "y": [0, 1, 0]}), "bad.parquet")
        with pytest.raises(InputError, match=message):
            data.load("bad.parquet", target="y")
    whole = Path("t.parquet").read_bytes()
    Path("cut.parquet").write_bytes(whole[:-20])
    with pytest.raises(InputError, match="it is a damaged Parquet file"):
        data.load("cut.parquet", target="kind")


def test_parquet_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    Path("t.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r'Parquet files need pyarrow: pip install "simdrop\[parq'):
        data.load("t.parquet", target="y")
