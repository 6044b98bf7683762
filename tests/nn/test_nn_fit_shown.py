"""What `Network.fit` shows while it trains, and the pictures of its history."""

import re
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import SIZES, batch_for

from simdrop import nn
from simdrop.nn import history as histories
from simdrop.nn import training

X, Y = batch_for("cross_entropy", batch=20)


def fit(**options):
    options = {"epochs": 3, "rng": 0, "batch_size": 5} | options
    return nn.MLP(SIZES, rng=0).fit(X, Y, **options)


# --- Lines ---


def test_a_line_for_each_epoch(capsys):
    fit(validation=0.5)
    out, err = capsys.readouterr()
    title, *lines = out.splitlines()
    assert title == "MLP(7-6-5-4, relu, p=0.5, p_input=0.2): 10 rows in 2 batches" and err == ""
    for number, line in enumerate(lines, 1):
        form = (
            rf"epoch {number}/3, loss [\d.]+, validation loss [\d.]+, validation error [\d.]+ %, "
        )
        assert re.fullmatch(form + r"\d:\d\d left", line)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("epochs", "shown"),
    [
        (1, [1]),
        (20, range(1, 21)),
        (21, [1, *range(2, 21, 2), 21]),
        (1000, [1, *range(50, 1001, 50)]),
    ],
)
def test_many_epochs_have_about_20_lines(epochs, shown, capsys):
    fit(epochs=epochs, batch_size=20)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [int(re.match(r"epoch +(\d+)/", line)[1]) for line in lines] == list(shown)


@given(epochs=st.integers(1, 10**9))
def test_the_number_of_lines(epochs):
    step = training._step(epochs)
    assert epochs / step <= training.MOST_LINES and str(step).rstrip("0") in ("1", "2", "5")
    assert step == 1 or epochs * 2.5 / step > training.MOST_LINES


def test_a_slow_epoch_has_a_line(capsys, monkeypatch):
    clock = iter(range(0, 10**9, 61))
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    fit(epochs=100, batch_size=20)
    assert len(capsys.readouterr().out.splitlines()) == 101


def test_the_last_epoch_has_a_line_also_after_a_callback(capsys):
    fit(epochs=1000, callback=lambda history: len(history) == 7)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split("/")[0].split()[1] for line in lines] == ["1", "7"]
    assert lines[-1].endswith(", 0:00 left")
    fit(epochs=9, callback=lambda history: len(history) == 7)
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_nothing_is_shown_if_so_asked(capsys):
    fit(progress=False)
    assert capsys.readouterr() == ("", "")
    assert capsys.readouterr() == ("", "")


def test_lines_need_numpy_alone(run_python):
    code = """
import sys
for name in ("rich", "tqdm", "matplotlib", "IPython", "ipywidgets", "scipy"):
    sys.modules[name] = None  # not installed
from simdrop import nn
history = nn.MLP((2, 3, 2), rng=0).fit([[1, 2], [3, 4]], [0, 1], epochs=2)
history._repr_html_()
try:
    history.plot()
except ImportError as error:
    print(error)
"""
    result = run_python(code)
    title, first, second, plot = result.stdout.splitlines()
    assert first.startswith("epoch 1/2, loss ") and second.startswith("epoch 2/2, loss ")
    assert plot == "History.plot needs Matplotlib: pip install 'simdrop[train]'"
    assert result.stderr == ""


# --- In a notebook ---


@pytest.fixture
def notebook(monkeypatch):
    """What a kernel's `display` is called with: the HTML of each update."""
    shown = []

    class Handle:
        def update(self, bundle, raw):
            assert raw and set(bundle) == {"text/html", "text/plain"}
            shown.append(bundle["text/html"])

    def display(bundle, raw, display_id):
        assert display_id is True
        Handle().update(bundle, raw)
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return types.SimpleNamespace(shown=shown, shell=shell)


def test_in_a_notebook_the_output_is_drawn_over(notebook, capsys):
    fit(validation=0.5)
    assert capsys.readouterr() == ("", "")
    assert 'value="1" max="6"' in notebook.shown[0] and "epoch 0/3, time left" in notebook.shown[0]
    assert 'value="6" max="6"' in notebook.shown[-1]
    assert re.search("epoch 3/3, loss .* %, done in 0:0", notebook.shown[-1])
    count = len(notebook.shown)
    fit(progress=False)
    assert len(notebook.shown) == count and capsys.readouterr() == ("", "")


def test_in_a_notebook_an_error_leaves_the_state(notebook):
    def callback(history):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(callback=callback)
    assert "epoch 1/3, loss" in notebook.shown[-1] and "time left" in notebook.shown[-1]


def test_a_shell_without_a_kernel_gets_lines(notebook, capsys):
    notebook.shell.kernel = None
    fit()
    assert notebook.shown == [] and len(capsys.readouterr().out.splitlines()) == 4


# --- Pictures ---


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def lines_of(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_a_picture_of_losses_and_errors(plt):
    history = fit(validation=0.5, progress=False)
    loss, error = history.plot()
    assert loss.figure is error.figure is plt.gcf()
    drawn = lines_of(loss)
    np.testing.assert_array_equal(drawn["training"], history.loss)
    np.testing.assert_array_equal(drawn["validation"], history.validation_loss)
    np.testing.assert_allclose(
        lines_of(error)["validation"], 100 * np.array(history.validation_error)
    )
    colours = {line.get_label(): line.get_color() for line in loss.get_lines()}
    assert colours == histories.COLOURS
    for axes in (loss, error):
        axes.figure.canvas.draw()
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_colours_are_those_of_the_command():
    pytest.importorskip("rich")
    plot = pytest.importorskip("simdrop.cli.plot")
    assert set(histories.COLOURS.values()) == set(plot.COLOURS.values())


def test_a_picture_without_validation(plt):
    history = fit(progress=False)
    (axes,) = history.plot()
    assert set(lines_of(axes)) == {"training"} and axes.get_lines()[0].get_linestyle() == "-"


def test_a_picture_on_axes_that_are_there(plt):
    history = fit(validation=0.5, progress=False)
    _, panels = plt.subplots(1, 2)
    assert history.plot(panels) == tuple(panels)
    _, single = plt.subplots()
    assert history.plot(ax=single) == (single,) and len(single.get_lines()) == 2
    without = fit(progress=False)
    assert without.plot(panels) == (panels[0],)
    _, panels = plt.subplots(1, 3)
    for wrong in (panels, []):
        with pytest.raises(ValueError, match="ax must be one or two Axes, got [30]"):
            history.plot(wrong)
    with pytest.raises(ValueError, match="no epochs to plot"):
        nn.History().plot()


def test_the_axis_is_logarithmic_where_losses_differ_much(plt):
    for losses, scale in (
        ((1.0, 0.1), "linear"),
        ((100.0, 0.1), "log"),
        ((100.0, 0.0), "linear"),
    ):
        history = nn.History()
        for loss in losses:
            history._add(histories.Epoch(loss, None, None, 0.1))
        assert history.plot()[0].get_yscale() == scale
