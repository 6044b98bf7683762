"""The display of progress by itself: the time left, and where it draws what."""

from simdrop import _progress


def test_time_left(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
    display = _progress.Display("title", None, total=250, done=50, quiet=True)  # 50: a checkpoint
    display.show(100)  # a quarter of the rest
    for seconds, wanted in ((20, "1:00"), (25, "1:15"), (1300, "1:05:00")):
        now = 1000.0 + seconds
        assert display.time_left() == wanted
    display.show(250)
    assert display.time_left() == "0:00"
