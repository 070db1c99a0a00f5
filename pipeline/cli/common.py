"""What commands share: the configuration, progress, and assignments on the command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ..config.load import config_from_json, load_config
from ..config.models import Config
from ..errors import ConfigError
from ..parameters import check_values

T = TypeVar("T")

#: Seconds between lines of progress where there is no terminal.
LINE_EVERY = 5.0


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--config FILE | --config-json TEXT`."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--config", metavar="FILE", help="configuration file (`gradcal config` prints one)")
    group.add_argument("--config-json", metavar="TEXT", help="configuration, or a part of it, as JSON")


def config_of(args: argparse.Namespace) -> Config:
    """The configuration that the arguments of `add_config_arguments` name."""
    if args.config_json is not None:
        return config_from_json(args.config_json)
    return load_config(args.config)


def say(message: str) -> None:
    """Tell the user something: one line on stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Give a function that counts `n` more of `total` steps.

    On a terminal a bar moves; elsewhere a line is printed at most every `LINE_EVERY` seconds.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)
        return
    done, last = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, last
        done += steps
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            say(f"{label}: {done} of {total}")

    yield advance


def progress(work: Sequence[T], label: str) -> Iterator[T]:
    """Go through `work` (`range(n)` counts) and show how far it has got, as `progress_bar` does."""
    with progress_bar(len(work), label) as advance:
        for step in work:
            yield step
            advance(1)


def parse_assignments(assignments: Sequence[str] | None, where: str) -> dict[str, float]:
    """Parameter values from `name=value` texts, checked against the parameter table.

    `where` names the option in errors. Raises `ConfigError`.
    """
    values: dict[str, float] = {}
    for text in assignments or ():
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"{where}: {text!r} is not of the form name=value.")
        if name in values:
            raise ConfigError(f"{where}: {name} is given twice; keep one.")
        try:
            values[name] = float(number)
        except ValueError as error:
            raise ConfigError(f"{where}: {name} = {number!r} is not a number.") from error
    return check_values(values, where)
