"""The command `gradcal`: finds the command that is asked for and turns every error into one sentence."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import os
import re
import select
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

# Sums of linear algebra in NumPy depend on its number of threads; one makes results the same on every machine. It is
# read when NumPy is loaded, so it stands before the imports that load it.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from .. import __version__
from ..errors import GradcalError
from ..names import nearest

#: What torch says, in a RuntimeError, when it gets no memory of the machine or the graphics card.
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)

_NOT_COMMANDS = ("__init__", "__main__", "main", "common")


class Parser(argparse.ArgumentParser):
    """A parser that reports a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def commands() -> dict[str, str]:
    """Every command and its line of help, in alphabetical order; read from the sources so that nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in _NOT_COMMANDS:
            found[path.stem] = _help(path)
    return found


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `gradcal ARGUMENTS` (default: those of the process) and return its exit status.

    0: done; 2: bad input or usage, said in one sentence; 130: interrupted.
    """
    status = 0
    try:
        status = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output (`| head`) has gone; give the interpreter somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def process() -> NoReturn:
    """Run the command of this process and end it."""
    status = run()
    if status > 128:
        # Threads that an interruption left at work must not be waited for, nor meet an interpreter that is taken down
        # around them: torch ends the process by SIGABRT then. All files are closed by now.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _dispatch(given: list[str]) -> int:
    known = commands()
    if not given or given[0] in ("-h", "--help"):
        print(_overview(known))
        return 0 if given else 2
    if given[0] == "--version":
        print(f"gradcal {__version__}")
        return 0
    command = given[0]
    if command not in known:
        return _fail("gradcal", f"there is no command {command!r}; did you mean {nearest(command, known)!r}?")
    return _run_command(command, known[command], given[1:])


def _run_command(command: str, summary: str, arguments: Sequence[str]) -> int:
    prog = f"gradcal {command}"
    # A batch system ends jobs with SIGTERM: leave through the same door as Ctrl-C, so that temporary files go.
    previous = signal.signal(signal.SIGTERM, _terminated)
    hook, sys.unraisablehook = sys.unraisablehook, _once_more
    try:
        module = importlib.import_module(f"{__package__}.{command}")
        parser = Parser(prog=prog, description=summary, allow_abbrev=False)
        module.add_arguments(parser)
        module.main(parser.parse_args(arguments))
    except KeyboardInterrupt:
        _tell(f"{prog}: interrupted; nothing half-written is left.")
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 2
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_gone():
            raise
        return _fail(prog, _sentence(error))
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, previous)
    return 0


def _sentence(error: Exception) -> str:
    if os.environ.get("GRADCAL_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, GradcalError):
        return str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
        return "the memory of this machine does not suffice; lower simulate.memory_limit_mib."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}."
    return (
        f"a fault in this program ({type(error).__name__}: {error}); set GRADCAL_DEBUG=1 to see where, and report it."
    )


def _fail(prog: str, sentence: str) -> int:
    _tell(f"{prog}: {' '.join(sentence.split())}")
    return 2


def _tell(sentence: str) -> None:
    from .common import say

    say(sentence)


def _reader_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), select.POLLOUT)
    except OSError:  # within a program, output may be kept in memory
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _once_more(swallowed: sys.UnraisableHookArgs) -> None:
    """Send a signal again that came while an object was being removed, where Python ignores what its handler raises.

    That is no rare case: a signal that comes while HDF5 compresses is handled when h5py removes what it used for it.
    """
    number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(swallowed.exc_type)
    if number is None:
        sys.__unraisablehook__(swallowed)
        return
    later = threading.Timer(0.05, os.kill, (os.getpid(), number))
    later.daemon = True
    later.start()


def _overview(known: dict[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {text}" for name, text in known.items()]
    return "\n".join(
        ["usage: gradcal COMMAND ...   (gradcal COMMAND --help explains one; gradcal --version)", "", *lines]
    )


def _help(path: Path) -> str:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "HELP":
            return str(ast.literal_eval(node.value))
    return ""
