"""The command line: `simdrop train`, `predict`, `sweep` and `info`."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import simdrop

from . import ranks
from .errors import DivergedError, InputError, Interrupted, RanksError, UnsavedError
from .options import add_predict_options, add_sweep_options, add_train_options

Command = Callable[[argparse.Namespace, ranks.Alone], None]
EXTRAS = {"matplotlib": "matplotlib", "rich": "rich", "sklearn": "scikit-learn"}


class Parser(argparse.ArgumentParser):
    """argparse's parser, but errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def make_parser() -> Parser:
    """The parser of all commands; `function` of its result is what runs the command."""
    parser = Parser(
        prog="simdrop",
        description="Dropout for NumPy arrays on CPUs.",
        epilog="examples:\n  simdrop train           see what dropout does on handwritten digits\n"
        "  simdrop train --help    its options: other data, another net\n"
        "  simdrop predict         use a net that train has saved\n"
        "  simdrop sweep           compare dropout probabilities\n"
        "  simdrop info            see which instruction set is used",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"simdrop {simdrop.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    def add(name: str, function: Command, summary: str) -> Parser:
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(function=function)
        return command

    train = add("train", _train, "train a net without and with dropout, and show the difference")
    add_train_options(train)
    predict = add("predict", _predict, "predict with a net that train has saved")
    add_predict_options(predict)
    sweep = add(
        "sweep", _sweep, "compare dropout probabilities and other settings by cross-validation"
    )
    add_sweep_options(sweep)
    add("info", _info, "print the version, the instruction sets found and used, and the threads")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code: 0 done; 1 the training diverged, standard output failed or the last
        checkpoint or result could not be written; 2 bad input or a missing package; 130
        interrupted (143 by SIGTERM, 129 by SIGHUP, 138 by SIGUSR1, after a checkpoint).
    """
    team = ranks.ALONE
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may not be printable
    try:
        team = ranks.chosen(sys.argv[1:] if argv is None else argv)
        _run(argv, team)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where an error is still caught
    except KeyboardInterrupt:
        return team.end(130, "simdrop: interrupted")
    except Interrupted as error:
        return team.fail(error.code, f"simdrop: interrupted; {error}")
    except InputError as error:
        return team.fail(2, _line(error))
    except (DivergedError, UnsavedError, RanksError) as error:
        return team.fail(1, _line(error))
    except ModuleNotFoundError as error:
        package = EXTRAS.get((error.name or "").partition(".")[0])
        if package is None:
            return _crash(team)
        return team.end(2, _line(f'this command needs {package}: pip install "simdrop[train]"'))
    except MemoryError as error:
        return team.end(2, _line(": ".join(filter(None, ("not enough memory", str(error))))))
    except BrokenPipeError:  # the reader, such as `head`, has closed it
        _drop_stdout()
        return team.end(1)
    except OSError as error:
        _drop_stdout()
        why = error.strerror or error
        return team.end(1, _line(f"standard output cannot be written: {why}"))
    except Exception:
        return _crash(team)
    return 0


def _run(argv: Sequence[str] | None, team: ranks.Alone) -> None:
    try:
        options = make_parser().parse_args(argv)
    except SystemExit:  # --help or --version has been printed
        return
    if "function" not in options:
        raise InputError(
            "no command given; wanted train, predict, sweep or info (see simdrop --help)"
        )
    try:
        simdrop.get_num_threads()
    except ValueError as error:  # SIMDROP_NUM_THREADS is invalid
        raise InputError(str(error)) from None
    options.function(options, team)


def _train(options: argparse.Namespace, team: ranks.Alone) -> None:
    with team.together():
        from . import train  # imports matplotlib and rich, which other commands do not need

    train.run(options, team)


def _predict(options: argparse.Namespace, team: ranks.Alone) -> None:
    from . import predict

    predict.run(options)


def _sweep(options: argparse.Namespace, team: ranks.Alone) -> None:
    from . import sweep

    sweep.run(options)


def _info(options: argparse.Namespace, team: ranks.Alone) -> None:
    simdrop.show_config()


def _crash(team: ranks.Alone) -> int:
    """End after the exception that is being handled, which nobody expected."""
    if team.size == 1:
        raise
    traceback.print_exc()
    return team.end(1, "simdrop: error: an exception that should not happen")


def _line(message: object) -> str:
    """One line, whatever line breaks a file name or another package's message has."""
    return " ".join(["simdrop: error:", *str(message).split()])


def _drop_stdout() -> None:
    """Send the interpreter's last flush of standard output nowhere, so that it cannot fail again.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
