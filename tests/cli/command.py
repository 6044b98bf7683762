"""Runs the command for tests: in this process or in one of its own, in a terminal or not."""

import argparse
import dataclasses
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time

from simdrop.cli import data, loop, options

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
QUICK = ["--hidden", "8", "--epochs", "3"]
SMALL = [*QUICK, "--batch-size", "20"]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # these nets are tiny
SHOW_CURSOR, HIDE_CURSOR, CURSOR_UP = "\x1b[?25h", "\x1b[?25l", "\x1b[1A"

# The tests may run as a background job or under `nohup`, which ignore these signals, and so would
# their children.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from simdrop.cli.main import main
sys.exit(main())
"""


def one_error_line(capsys, silent=False):
    """The message of the only line on standard error; if silent, nothing else was printed."""
    out, err = capsys.readouterr()
    assert out == "" or not silent
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err.removeprefix("simdrop: error: ").rstrip()


def start(*words, code=START, **keywords):
    """Start the command in a process of its own."""
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | keywords
    # A terminal tells its size; COLUMNS and LINES, which test runners set, would overrule it.
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    environment = inherited | ONE_THREAD | keywords.pop("env", {})
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, **keywords)


def finish(process):
    """Its exit code, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, out or "", err or ""


def in_terminal(*words, stop_at=None, code=START, columns=100, **environment):
    """Run the command in a pseudo-terminal; press Ctrl-C once `stop_at` is on it.

    Gives the exit code, all that was written to the terminal, and standard error.
    """
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(
        *words, code=code, stdin=theirs, stdout=theirs, env={"TERM": "xterm-256color"} | environment
    )
    # Its end stays open here until all is read: closing it may throw away what is on the way.
    seen, deadline = b"", time.monotonic() + 600  # only against hanging
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if select.select([ours], [], [], 0.2)[0]:
            seen += os.read(ours, 65536)
            if stop_at is not None and stop_at in seen.decode(errors="ignore"):
                process.send_signal(signal.SIGINT)
                stop_at = None
        elif ended:
            break
    code, _, err = finish(process)
    os.close(theirs)
    os.close(ours)
    return code, seen.decode(), err


def plain(text):
    """Without the terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def without_seconds(text):
    """Output without what may differ between two runs: time left, and the column of seconds."""
    text = re.sub(r"[\d:]+ left", "left", text)
    return re.sub(r"%\s+\S+ *$", "%", text, flags=re.MULTILINE)


def chosen(*words):
    """The settings that these options of simdrop train make."""
    parser = argparse.ArgumentParser()
    options.add_train_options(parser)
    return options.settings_from(parser.parse_args(words))


def settings(**changes):
    """The settings of the command's defaults, with changes."""
    return dataclasses.replace(chosen(*QUICK), **changes)


def trained(images, chosen):
    """Both runs and the rows, after training."""
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    for _ in loop.train(runs, images, rows, chosen):
        pass
    return runs, rows
